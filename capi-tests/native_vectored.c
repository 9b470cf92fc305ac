/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Data in pieces whose ends are no block's ends, metadata in one. */
#include <sys/uio.h>
#include "urx_test.h"

enum { AT = 64 };

static void pieces(const char *label)
{
	struct dev dev;
	uint8_t *a = pages(4096), *b = pages(8192), *c = pages(4096), *meta, *back, *flat = pages(12288);
	/* The first ends and the others begin at a page: controllers want it so. */
	struct iovec iov[3] = { { a + 512, 3584 }, { b, 8192 }, { c, 512 } };
	struct urx_tags tags;
	struct urx_pi pi;
	struct urx_rw rw;
	uint32_t blocks;

	dev_open(&dev, label, 0);
	if (dev.info.data_align > 512) { /* kernels that ask for whole blocks */
		iov[0] = (struct iovec){ a, 4096 }, iov[1].iov_len = 4096, iov[2].iov_len = 4096;
	}
	blocks = 12288 / dev.info.format.interval;
	meta = pages(blocks * dev.info.format.meta_size);
	back = pages(blocks * dev.info.format.meta_size);
	tags = tags_of(&dev, 1, device_block(&dev, AT));
	pi = pi_of(&dev.info.format);
	fill(flat, 12288, 7);
	for (size_t n = 0, at = 0; n < 3; at += iov[n++].iov_len)
		memcpy(iov[n].iov_base, flat + at, iov[n].iov_len);
	CHECK_EQ(urx_pi_generate(&pi, &tags, flat, meta, blocks), 0);

	rw = rw_of(&dev, URX_OP_WRITE, AT, iov, blocks, meta, tags);
	rw.flags = URX_RW_IOVEC, rw.data_len = 3;
	CHECK_EQ(dev_run(&dev, &rw, NULL), 12288);
	for (size_t n = 0; n < 3; n++)
		memset(iov[n].iov_base, 0, iov[n].iov_len);
	rw.op = URX_OP_READ, rw.meta = back;
	CHECK_EQ(dev_run(&dev, &rw, NULL), 12288);
	for (size_t n = 0, at = 0; n < 3; at += iov[n++].iov_len)
		CHECK_BYTES(iov[n].iov_base, flat + at, iov[n].iov_len, label);
	CHECK_BYTES(back, meta, blocks * dev.info.format.meta_size, label);

	/* A failed check in the pieces is found where it is. */
	struct urx_result result;
	((uint8_t *)iov[2].iov_base)[100] ^= 1;
	rw.op = URX_OP_WRITE;
	CHECK_EQ(dev_run(&dev, &rw, &result), -EILSEQ);
	CHECK_EQ(result.pi.check, URX_CHECK_GUARD);
	CHECK_EQ(result.pi.block, (12288 - iov[2].iov_len + 100) / dev.info.format.interval);
	rewrite(label, AT, blocks, dev.info.format.interval);
	free(a), free(b), free(c), free(meta), free(back), free(flat);
	dev_close(&dev);
}

int main(void)
{
	need_attr();
	pieces("pi512");
	pieces("pi4k");
	pieces("ms64last");
	pieces("part2");
	return 0;
}
