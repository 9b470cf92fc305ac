/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Who may only read the node learns the same from 6.2 on, and before that there is something hidden. */
#include <sys/stat.h>
#include <sys/wait.h>
#include "urx_test.h"

static const char *const labels[] = { "pi512",	 "type2",    "type3",	 "pi64",  "ms64first", "ms64last",
				      "ms8nopi", "ms64nopi", "ext4k",	 "zns",	  "znspi",     "plain",
				      "part",	 "part1",    "pi512.ng", "pi64.ng", "ext4k.ng",  "plain.ng" };
static struct urx_target_info as_root[COUNT(labels)];

static struct urx_target_info query(const char *label)
{
	struct urx_target_info info = { .size = sizeof(info) };
	struct urx_target *target;
	int ret = urx_target_open(&target, node(label), NULL);

	if (ret)
		FAIL("%s: %s", label, strerror(-ret));
	CHECK_EQ(urx_target_query(target, &info), 0);
	urx_target_close(target);
	info.fd = 0;
	return info;
}

static void as_nobody(const char *label, struct urx_target_info want)
{
	struct urx_target_info is = query(label);
	bool knows = is.source[URX_FACT_FORMAT] != URX_SOURCE_NONE;

	if (kernel() >= 6002) {
		CHECK_BYTES(&is, &want, sizeof(is), label);
		return;
	}
	CHECK_EQ(is.format.interval, want.format.interval);
	CHECK_EQ(is.bytes, want.bytes);
	CHECK_EQ(is.start, want.start);
	CHECK_EQ(is.nsid, want.nsid);
	CHECK_EQ(is.flags & URX_INFO_ATTR, 0);
	/* The controller may not be asked, and sysfs does not tell how or whether: nothing may be claimed. */
	if (!(is.flags & URX_INFO_HIDDEN) || knows)
		FAIL("%s: flags %#x, source %d", label, is.flags, is.source[URX_FACT_FORMAT]);
	CHECK_EQ(is.format.meta_size | is.format.guard | is.format.pi_type, 0);
}

int main(void)
{
	struct urx_target *target;
	int status;
	pid_t child;

	need_vm();
	for (size_t n = 0; n < COUNT(labels); n++)
		if (!access(node(labels[n]), F_OK)) {
			as_root[n] = query(labels[n]);
			CHECK_EQ(chmod(node(labels[n]), 0644), 0);
		}
	child = fork();
	if (!child) {
		CHECK_EQ(setuid(65534), 0);
		CHECK_EQ(urx_target_open(&target, node("pi4k"), NULL), -EACCES);
		for (size_t n = 0; n < COUNT(labels); n++)
			if (!access(node(labels[n]), F_OK))
				as_nobody(labels[n], as_root[n]);
		fflush(stdout);
		_exit(0);
	}
	CHECK_EQ(waitpid(child, &status, 0), child);
	for (size_t n = 0; n < COUNT(labels); n++)
		if (!access(node(labels[n]), F_OK))
			CHECK_EQ(chmod(node(labels[n]), 0600), 0);
	return status != 0;
}
