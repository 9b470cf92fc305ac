/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Requests larger than the device takes at once: the kernel splits data, metadata and seed alike. */
#include "urx_test.h"

static void large(const char *label, uint32_t bytes, uint64_t seed)
{
	struct dev dev;
	struct urx_tags tags;
	struct blocks out, in;
	struct urx_rw rw;
	struct urx_result result;
	struct urx_pi pi;
	uint32_t count;

	dev_open(&dev, label, 0);
	CHECK(dev.info.max_command && dev.info.max_command < bytes);
	count = bytes / dev.info.format.interval;
	tags = tags_of(&dev, 0x77, seed);
	pi = pi_of(&dev.info.format);
	out = blocks_with(&dev, count, 1, &tags);
	in = blocks_of(&dev, count, 2);
	rw = rw_of(&dev, URX_OP_WRITE, 3, out.data, count, out.meta, tags);
	CHECK_EQ(dev_run(&dev, &rw, NULL), (int)bytes);
	CHECK_EQ(urx_pi_generate(&pi, &tags, out.data, out.meta, count), 0); /* undoes a remap */
	rw = rw_of(&dev, URX_OP_READ, 3, in.data, count, in.meta, tags);
	CHECK_EQ(dev_run(&dev, &rw, NULL), (int)bytes);
	CHECK_BYTES(in.data, out.data, bytes, label);
	CHECK_BYTES(in.meta, out.meta, in.meta_len, label);

	/* The one bad block is far behind the first command of the split. */
	out.data[bytes - 1] ^= 1;
	rw = rw_of(&dev, URX_OP_WRITE, 3, out.data, count, out.meta, tags);
	CHECK_EQ(dev_run(&dev, &rw, &result), -EILSEQ);
	CHECK_EQ(result.pi.check, URX_CHECK_GUARD);
	CHECK_EQ(result.pi.block, count - 1);
	CHECK_EQ(result.pi.lba, device_block(&dev, 3) + count - 1);
	rewrite(label, 3, count, dev.info.format.interval);
	blocks_free(&out);
	blocks_free(&in);
	dev_close(&dev);
}

int main(void)
{
	static const char *labels[] = { "pi512", "pi4k", "pi64", "ms64last", "part1" };

	need_attr();
	for (size_t n = 0; n < COUNT(labels); n++)
		large(labels[n], 1 << 20, n % 2 ? 3 : 1000000);
	large("pi4k", 4 << 20, 1000000);
	return 0;
}
