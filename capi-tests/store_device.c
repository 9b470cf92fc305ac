/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Side files of devices: which can have one, adopting a whole device, a full and a read-only file system. */
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include "urx_test.h"

#define CREATE (URX_TARGET_WRITE | URX_TARGET_CREATE_SIDE)

static const char dir[] = "/tmp/urx-side-disk";
static const char side[] = "/tmp/urx-side-disk/side";
static const struct urx_pi_format t10 = { .size = sizeof(t10), .interval = 4096, .meta_size = 8,
					  .guard = URX_GUARD_T10DIF, .pi_type = 1 };

static int try(const char *label, const struct urx_pi_format *format, uint32_t flags, const char *word,
	       struct urx_target **target)
{
	const char *why = NULL;
	struct urx_target_opts opts = { .size = sizeof(opts), .flags = flags, .side_path = side,
					.side_format = format, .why = &why };
	int ret = urx_target_open(target, node(label), &opts);

	if (!begins(why, word))
		FAIL("%s: %d: \"%s\" does not begin with \"%s\"", label, ret, why, word);
	return ret;
}

static int attempt(const char *label, const struct urx_pi_format *format, uint32_t flags,
		   const char *word)
{
	struct urx_target *target;
	int ret = try(label, format, flags, word, &target);

	urx_target_close(target);
	return ret;
}

static void refused(void)
{
	static const char *const own[] = { "pi512", "pi4k", "type3", "pi64", "ms64last", "ms8nopi",
					   "ext4k", "extnopi", "part", "part1", "znspi" };

	for (size_t n = 0; n < COUNT(own); n++)
		CHECK_EQ(attempt(own[n], &t10, CREATE, "target"), -EOPNOTSUPP);
	CHECK_EQ(attempt("zns", &t10, CREATE, "target: a side file cannot follow zones"), -EOPNOTSUPP);
	if (kernel() >= 6001)
		CHECK_EQ(attempt("plain.ng", &t10, CREATE, "target: a side file needs"), -EOPNOTSUPP);
	CHECK_EQ(access(side, F_OK), -1);
}

/* The records of a device's blocks, one by one, against the oracle. */
static void adopted(uint32_t flags)
{
	struct urx_target_info info = { .size = sizeof(info) };
	struct urx_tags tags = { .app = 0xabc, .ref = 5 };
	uint8_t *data = pages(16 << 20), record[12], expected[8];
	struct urx_target *target;
	int device, file;

	device = open_node("plain", O_RDWR | O_DIRECT);
	fill(data, 16 << 20, flags);
	CHECK_EQ(pwrite(device, data, 16 << 20, 0), 16 << 20);
	CHECK_EQ(try("plain", &t10, CREATE | flags, "", &target), 0);
	CHECK_EQ(urx_target_query(target, &info), 0);
	CHECK_EQ(info.kind, URX_KIND_NVME_BLOCK);
	CHECK_EQ(info.flags, URX_INFO_WRITABLE | (flags ? 0 : URX_INFO_DIRECT));
	CHECK_EQ(info.bytes, 16 << 20);
	CHECK_EQ(info.source[URX_FACT_FORMAT], URX_SOURCE_SIDEFILE);
	CHECK_EQ(info.source[URX_FACT_BYTES], URX_SOURCE_DRIVER);
	CHECK_EQ(info.format.interval, 4096);
	CHECK_EQ(urx_target_adopt(target, &tags), 0);
	CHECK_EQ(urx_target_flush(target), 0);
	CHECK_EQ(urx_target_refresh(target), 0);
	urx_target_close(target);

	file = open(side, O_RDONLY);
	tags.ref = 0;
	for (uint64_t block = 0; block < 4096; block += 11) {
		uint64_t at = 4096 + block / 42 * 512 + block % 42 * 12;

		CHECK_EQ(pread(file, record, 12, (off_t)at), 12);
		oracle_tuple(&t10, &tags, block, oracle_guard(t10.guard, data + block * 4096, 4096),
			     expected);
		CHECK_BYTES(record, expected, 8, "adopted");
	}
	close(file);
	CHECK_EQ(attempt("plain", NULL, 0, ""), 0);
	CHECK_EQ(unlink(side), 0);

	memset(data, 0, 16 << 20);
	CHECK_EQ(pwrite(device, data, 16 << 20, 0), 16 << 20);
	close(device);
	free(data);
}

static void intervals(void)
{
	struct urx_pi_format odd = t10;

	odd.interval = 520;
	CHECK_EQ(attempt("plain", &odd, CREATE, "side_format"), -EOPNOTSUPP);
	odd.interval = 512;
	CHECK_EQ(attempt("plain", &odd, CREATE, ""), 0);
	CHECK_EQ(unlink(side), 0);
	odd.interval = 520;
	CHECK_EQ(attempt("plain", &odd, CREATE | URX_TARGET_BUFFERED, ""), 0);
	CHECK_EQ(attempt("plain", NULL, URX_TARGET_WRITE, "side_format"), -EOPNOTSUPP);
	CHECK_EQ(unlink(side), 0);
}

static void full_and_read_only(void)
{
	struct urx_pi_format wide = t10;
	struct stat stat_;
	int yes = 1, no = 0, fd;

	wide.meta_size = 1000; /* 4 MiB and more on a disk of 1 MiB */
	CHECK_EQ(attempt("plain", &wide, CREATE, ""), -ENOSPC);
	CHECK_EQ(stat(side, &stat_), -1);
	CHECK_EQ(rmdir(dir), -1); /* mounted, and so not removed; but empty: */
	CHECK_EQ(attempt("plain", &t10, CREATE, ""), 0);

	CHECK_EQ(mount(NULL, dir, NULL, MS_REMOUNT | MS_RDONLY, NULL), 0);
	CHECK_EQ(attempt("plain", NULL, URX_TARGET_WRITE, ""), -EROFS);
	CHECK_EQ(attempt("plain", NULL, 0, ""), 0);
	CHECK_EQ(mount(NULL, dir, NULL, MS_REMOUNT, NULL), 0);

	fd = open_node("plain", O_RDONLY);
	CHECK_EQ(ioctl(fd, BLKROSET, &yes), 0);
	CHECK_EQ(attempt("plain", NULL, URX_TARGET_WRITE, ""), 0); /* Linux refuses only the writes */
	CHECK_EQ(ioctl(fd, BLKROSET, &no), 0);
	close(fd);
	CHECK_EQ(unlink(side), 0);
}

int main(void)
{
	need_vm();
	if (mkdir("/tmp", 01777) && errno != EEXIST)
		FAIL("/tmp: %s", strerror(errno));
	CHECK_EQ(mkdir(dir, 0700), 0);
	CHECK_EQ(mount("side", dir, "tmpfs", 0, "size=1M"), 0);
	refused();
	adopted(0);
	adopted(URX_TARGET_BUFFERED);
	intervals();
	full_and_read_only();
	CHECK_EQ(umount(dir), 0);
	CHECK_EQ(rmdir(dir), 0);
	return 0;
}
