/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* A write fails, but its buffers are right when they are looked at: the damage came on the way. */
#include "urx_test.h"

int main(void)
{
	struct dev dev;
	struct urx_attr_pi attr;
	struct io_uring_cqe cqe;
	struct urx_result result = { .size = sizeof(result) };
	struct urx_tags tags;
	struct blocks b;
	struct urx_rw rw;

	need_attr();
	dev_open(&dev, "pi4k", 0);
	tags = tags_of(&dev, 7, 48);
	b = blocks_with(&dev, 2, 1, &tags);
	rw = rw_of(&dev, URX_OP_WRITE, 48, b.data, 2, b.meta, tags);
	b.data[5000] ^= 0x20;
	dev_prep(&dev, &rw, &attr);
	CHECK_EQ(finish(&dev.ring, &cqe), -EILSEQ);
	b.data[5000] ^= 0x20;
	CHECK_EQ(urx_attr_result(dev.target, &rw, &cqe, NULL), -EILSEQ);
	CHECK_EQ(urx_attr_result(dev.target, &rw, &cqe, &result), -EILSEQ);
	CHECK_EQ(result.pi.flags, URX_ERROR_IN_TRANSIT);
	CHECK_EQ(result.pi.check, 0);
	CHECK_EQ(result.pi.block | result.pi.lba | result.pi.expected | result.pi.actual, 0);
	CHECK_EQ(dev_run(&dev, &rw, &result), (int)b.data_len);
	CHECK_EQ(result.pi.flags, 0);
	rewrite("pi4k", 48, 2, 4096);
	blocks_free(&b);
	dev_close(&dev);
	return 0;
}
