/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Data in registered buffers, whole and in pieces; the metadata never is in one. */
#include <sys/uio.h>
#include "urx_test.h"

enum { BLOCKS = 4, AT = 80 };

static void fixed(struct dev *dev, uint8_t *data, uint8_t *meta, bool pieces)
{
	struct urx_tags tags = tags_of(dev, 2, AT);
	struct iovec iov[2] = { { data, 4096 }, { data + 4096, BLOCKS * 4096 - 4096 } };
	struct urx_rw rw = rw_of(dev, URX_OP_WRITE, AT, data, BLOCKS, meta, tags);
	struct urx_pi pi = pi_of(&dev->info.format);
	uint8_t *copy = pages(BLOCKS * 4096);

	fill(data, BLOCKS * 4096, pieces);
	memcpy(copy, data, BLOCKS * 4096);
	CHECK_EQ(urx_pi_generate(&pi, &tags, data, meta, BLOCKS), 0);
	rw.flags = URX_RW_FIXED_BUF;
	rw.buf_index = 1;
	if (pieces)
		rw.flags |= URX_RW_IOVEC, rw.data = iov, rw.data_len = 2;
	CHECK_EQ(dev_run(dev, &rw, NULL), BLOCKS * 4096);
	memset(data, 0, BLOCKS * 4096);
	memset(meta, 0, BLOCKS * 8);
	rw.op = URX_OP_READ;
	CHECK_EQ(dev_run(dev, &rw, NULL), BLOCKS * 4096);
	CHECK_BYTES(data, copy, BLOCKS * 4096, pieces ? "in pieces" : "whole");
	CHECK_EQ(urx_pi_verify(&pi, &tags, data, meta, BLOCKS, NULL), 0);
	rw.buf_index = 0; /* another buffer, in which the data does not lie */
	CHECK_EQ(dev_run(dev, &rw, NULL), -EFAULT);
	rw.buf_index = 2; /* none */
	CHECK_EQ(dev_run(dev, &rw, NULL), -EFAULT);
	free(copy);
}

int main(void)
{
	struct dev dev;
	uint8_t *other = pages(4096), *data = pages(BLOCKS * 4096), *meta = pages(BLOCKS * 8);
	struct iovec buffers[2] = { { other, 4096 }, { data, BLOCKS * 4096 } };

	need_attr();
	dev_open(&dev, "pi4k", 0);
	CHECK_EQ(io_uring_register_buffers(&dev.ring, buffers, 2), 0);
	fixed(&dev, data, meta, false);
	if (kernel() >= 6015)
		fixed(&dev, data, meta, true);
	rewrite("pi4k", AT, BLOCKS, 4096);
	dev_close(&dev);
	free(other), free(data), free(meta);
	return 0;
}
