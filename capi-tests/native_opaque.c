/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Metadata without protection information goes out and back as it is; checks are refused before. */
#include "urx_test.h"

enum { BLOCKS = 5, AT = 10 };

static void opaque(const char *label)
{
	struct dev dev;
	struct blocks out, in;
	struct urx_tags none = { 0 };
	struct urx_rw rw;
	const char *why = NULL;

	dev_open(&dev, label, 0);
	CHECK_EQ(dev.info.format.guard | dev.info.format.pi_type | dev.info.format.checks, 0);
	out = blocks_of(&dev, BLOCKS, 1);
	in = blocks_of(&dev, BLOCKS, 9);
	rw = rw_of(&dev, URX_OP_WRITE, AT, out.data, BLOCKS, out.meta, none);
	CHECK_EQ(dev_run(&dev, &rw, NULL), (int)out.data_len);
	rw = rw_of(&dev, URX_OP_READ, AT, in.data, BLOCKS, in.meta, none);
	CHECK_EQ(dev_run(&dev, &rw, NULL), (int)in.data_len);
	CHECK_BYTES(in.data, out.data, in.data_len, label);
	CHECK_BYTES(in.meta, out.meta, in.meta_len, label);
	for (uint32_t check = URX_CHECK_GUARD; check <= URX_CHECK_APP; check <<= 1) {
		rw.tags.checks = check;
		CHECK_EQ(urx_attr_check(dev.target, 0, dev.ring.features, &rw, &why), -EINVAL);
		CHECK(begins(why, "tags"));
	}
	rewrite(label, AT, BLOCKS, dev.info.format.interval);
	blocks_free(&out);
	blocks_free(&in);
	dev_close(&dev);
}

int main(void)
{
	need_attr();
	opaque("ms8nopi");
	opaque("ms64nopi");
	return 0;
}
