/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* What may not be written is not: opened for reading, and a device set read-only afterwards. */
#include <linux/fs.h>
#include "urx_ladder.h"

#define LEN 4096u

static struct urx_target *for_reading(uint32_t path, const char *file)
{
	struct urx_target_opts opts = { .size = sizeof(opts) };
	struct urx_target *target;

	if (path == URX_PATH_SOFTWARE)
		CHECK_EQ(side_open(&target, file, URX_TARGET_BUFFERED), 0);
	else
		CHECK_EQ(urx_target_open(&target, node(way_node), &opts), 0);
	return target;
}

/* A write is refused before anything is reserved, a read goes. */
static void opened(uint32_t path)
{
	char name[] = "/tmp/urx-readonly-XXXXXX";
	struct urx_target *writable, *target;
	const char *why = "";
	struct urx_io io = { 0 };
	unsigned before;
	struct ask *ask;
	struct way way;

	doing("open for reading");
	if (!way_open(&way, path, 16, 0, NULL))
		return;
	if (path == URX_PATH_SOFTWARE) {
		empty_file(name, SIDE_BYTES);
		CHECK_EQ(side_open(&target, name, URX_TARGET_WRITE | URX_TARGET_CREATE_SIDE | URX_TARGET_BUFFERED), 0);
		urx_target_close(way.dev.target);
		way.dev.target = target;
		way_query(&way);
	}
	put(&way, 20, 2, 1);
	writable = way.dev.target;
	if (path == URX_PATH_SOFTWARE)
		urx_target_close(writable); /* one at a time has a side file */
	target = way.dev.target = for_reading(path, name);
	way_query(&way);
	CHECK_EQ(way.dev.info.flags & URX_INFO_WRITABLE, 0);
	before = descriptors();
	for (uint32_t op = URX_OP_WRITE; op <= URX_OP_WRITE_ZEROES; op += 2) {
		ask = ask_new(&way, op, 20, 2, 2);
		if (op == URX_OP_WRITE_ZEROES)
			ask->rw.data = ask->rw.meta = NULL, ask->rw.meta_len = 0, ask->rw.tags.checks = 0;
		CHECK_EQ(urx_plan(way.queue, target, &ask->rw, &io), -EINVAL);
		CHECK_EQ(urx_explain(way.queue, target, &ask->rw, path, &why), -EINVAL);
		CHECK(begins(why, "op:"));
		ask_free(ask);
	}
	CHECK(descriptors() <= before);
	holds(&way, 20, 2, 1);
	way_close(&way);
	if (path == URX_PATH_SOFTWARE)
		remove_side(name);
	else
		urx_target_close(writable);
}

/* The block layer refuses writes; commands that go past it do not know of the flag. */
static void set_read_only(uint32_t path)
{
	struct way way;
	struct ask *ask;
	int on = 1, off = 0, ret;

	doing("set read-only");
	if (path == URX_PATH_SOFTWARE || !way_open(&way, path, 16, 0, NULL))
		return;
	put(&way, 20, 2, 1);
	CHECK_EQ(ioctl(way.dev.info.fd, BLKROSET, &on), 0);
	ask = ask_new(&way, URX_OP_WRITE, 20, 2, 2);
	ret = ask_run(&way, ask);
	printf("%s: %d\n", doing_where, ret);
	ask_free(ask);
	CHECK_EQ(ioctl(way.dev.info.fd, BLKROSET, &off), 0);
	if (path == URX_PATH_ATTR)
		CHECK_EQ(ret, -EPERM);
	else
		CHECK_EQ(ret, 2 * LEN);
	holds(&way, 20, 2, ret < 0 ? 1 : 2);

	/* Known when the target is opened or refreshed, it keeps commands back, too. */
	CHECK_EQ(ioctl(way.dev.info.fd, BLKROSET, &on), 0);
	CHECK_EQ(urx_target_refresh(way.dev.target), 0);
	ask = ask_new(&way, URX_OP_WRITE, 20, 2, 3);
	if (path == URX_PATH_ATTR)
		CHECK_EQ(ask_run(&way, ask), -EPERM);
	else
		CHECK_EQ(urx_plan(way.queue, way.dev.target, &ask->rw, &ask->io), -EOPNOTSUPP);
	ask_free(ask);
	CHECK_EQ(ioctl(way.dev.info.fd, BLKROSET, &off), 0);
	CHECK_EQ(urx_target_refresh(way.dev.target), 0);
	holds(&way, 20, 2, ret < 0 ? 1 : 2);
	way_close(&way);
}

int main(void)
{
	for (unsigned p = 0; p < COUNT(all_paths); p++) {
		opened(all_paths[p]);
		set_read_only(all_paths[p]);
	}
	return 0;
}
