/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* A wrong guard, reference or application tag in one of four blocks: -EILSEQ, and which, where, what. */
#include "urx_test.h"

enum { BLOCKS = 4, AT = 32, BAD = 2, APP = 0xbeef };

static void wrong(const char *label, uint32_t check, uint64_t seed_offset)
{
	struct dev dev;
	struct urx_tags tags;
	struct blocks b;
	struct urx_rw rw;
	struct urx_result result;
	struct urx_pi pi;
	struct urx_pi_tuple tuple;
	uint64_t expected, actual;
	uint8_t *meta;

	dev_open(&dev, label, 0);
	tags = tags_of(&dev, APP, device_block(&dev, AT) + seed_offset);
	if (!(tags.checks & check) || (check == URX_CHECK_APP && on_ublk())) {
		dev_close(&dev);
		return;
	}
	pi = pi_of(&dev.info.format);
	b = blocks_with(&dev, BLOCKS, 5, &tags);
	meta = b.meta + BAD * dev.info.format.meta_size;
	CHECK_EQ(urx_pi_tuple_get(&pi, meta, &tuple), 0);
	expected = check == URX_CHECK_GUARD ? tuple.guard : check == URX_CHECK_APP ? APP : tuple.ref;
	tuple.guard ^= check == URX_CHECK_GUARD ? 0x8001 : 0;
	tuple.app ^= check == URX_CHECK_APP ? 0x0101 : 0;
	tuple.ref ^= check == URX_CHECK_REF ? 0x10000 : 0;
	actual = check == URX_CHECK_GUARD ? tuple.guard : check == URX_CHECK_APP ? tuple.app : tuple.ref;
	CHECK_EQ(urx_pi_tuple_set(&pi, meta, &tuple), 0);

	rw = rw_of(&dev, URX_OP_WRITE, AT, b.data, BLOCKS, b.meta, tags);
	CHECK_EQ(dev_run(&dev, &rw, &result), -EILSEQ);
	CHECK_EQ(result.res, -EILSEQ);
	CHECK_EQ(result.pi.check, check);
	CHECK_EQ(result.pi.flags, URX_ERROR_BLOCK | URX_ERROR_VALUES);
	CHECK_EQ(result.pi.block, BAD);
	CHECK_EQ(result.pi.lba, device_block(&dev, AT) + BAD);
	CHECK_EQ(result.pi.expected, expected);
	CHECK_EQ(result.pi.actual, actual);
	CHECK_EQ(result.pi.expected_hi | result.pi.actual_hi, 0);

	if (on_ublk()) { /* checked even if not asked for */
		rw.tags.checks = 0;
		CHECK_EQ(dev_run(&dev, &rw, &result), -EILSEQ);
		blocks_free(&b);
		dev_close(&dev);
		return;
	}
	/* Not asked for, the device stores it; who reads with that check finds it. */
	rw.tags.checks &= ~check;
	rw.tags.app = APP;
	blocks_free(&b);
	b = blocks_with(&dev, BLOCKS, 5, &tags);
	rw.data = b.data, rw.meta = b.meta;
	CHECK_EQ(urx_pi_tuple_set(&pi, b.meta + BAD * dev.info.format.meta_size, &tuple), 0);
	CHECK_EQ(dev_run(&dev, &rw, NULL), (int)b.data_len);
	rw.op = URX_OP_READ;
	CHECK_EQ(dev_run(&dev, &rw, NULL), (int)b.data_len);
	rw.tags.checks = check;
	CHECK_EQ(dev_run(&dev, &rw, &result), -EILSEQ);
	CHECK_EQ(result.pi.check | result.pi.flags, 0);
	rewrite(label, AT, BLOCKS, dev.info.format.interval);
	blocks_free(&b);
	dev_close(&dev);
}

int main(void)
{
	need_attr();
	for (size_t n = 0; n < COUNT(protected_labels); n++)
		for (uint32_t check = URX_CHECK_GUARD; check <= URX_CHECK_APP; check <<= 1) {
			wrong(protected_labels[n], check, 0);
			/* The kernel remaps tags on their way, in the caller's buffer. */
			wrong(protected_labels[n], check, 100000);
		}
	return 0;
}
