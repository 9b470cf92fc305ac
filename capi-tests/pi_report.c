/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Where verification stops, what it counts, and that an escape value exempts its own block only. */
#include "urx_test.h"

enum { BLOCKS = 6 };

static struct urx_pi_format f;
static struct urx_pi pi;
static const struct urx_tags tags = { .checks = URX_CHECK_GUARD | URX_CHECK_APP, .app = 7, .ref = 5 };
static uint8_t data[BLOCKS * 512], meta[BLOCKS * 16];

static void make(unsigned guard, unsigned type)
{
	f = format_of(guard, type, 512, tuple_bytes(guard), false);
	pi = pi_of(&f);
	fill(data, sizeof(data), 1);
	CHECK_EQ(urx_pi_generate(&pi, &tags, data, meta, BLOCKS), 0);
}

static void expect(struct urx_pi_report r, int ret, uint64_t stored, uint64_t failed, uint64_t blocks,
		   uint64_t escaped)
{
	struct urx_pi_report before = r;

	CHECK_EQ(urx_pi_verify(&pi, &tags, data, meta, BLOCKS, &r), ret);
	CHECK_EQ(r.stored, stored);
	CHECK_EQ(r.failed, failed);
	CHECK_EQ(r.blocks, blocks);
	CHECK_EQ(r.escaped, escaped);
	CHECK_EQ(r.first_block, before.first_block);
	CHECK_EQ(r.capacity, before.capacity);
	CHECK_EQ(r.flags, before.flags);
}

static void set_tuple(unsigned block, uint16_t app, uint64_t ref, uint16_t ref_hi)
{
	struct urx_pi_tuple tuple;
	uint8_t *at = meta + block * f.meta_size;

	CHECK_EQ(urx_pi_tuple_get(&pi, at, &tuple), 0);
	tuple.app = app, tuple.ref = ref, tuple.ref_hi = ref_hi;
	CHECK_EQ(urx_pi_tuple_set(&pi, at, &tuple), 0);
}

static void stops(void)
{
	struct urx_pi_error e[4];
	struct urx_pi_report none = { .size = sizeof(none) }, all = none, one = none, four = none;

	all.flags = URX_REPORT_COUNT_ALL;
	one.errors = four.errors = e;
	one.capacity = 1, four.capacity = 4;

	make(URX_GUARD_T10DIF, 1);
	expect(none, 0, 0, 0, BLOCKS, 0);
	expect(four, 0, 0, 0, BLOCKS, 0);
	data[1 * 512] ^= 1; /* block 1: guard and application tag; 3: application tag; 4: guard */
	meta[1 * 8 + 2] ^= 1;
	meta[3 * 8 + 3] ^= 1;
	data[4 * 512 + 511] ^= 0x80;
	expect(none, -EILSEQ, 0, 1, 2, 0);
	expect(one, -EILSEQ, 1, 1, 2, 0);
	expect(all, -EILSEQ, 0, 4, BLOCKS, 0);
	one.flags = URX_REPORT_COUNT_ALL;
	expect(one, -EILSEQ, 1, 4, BLOCKS, 0);

	four.first_block = 100;
	four.capacity = 3;
	expect(four, -EILSEQ, 3, 3, 4, 0);
	CHECK_EQ(e[0].block * 16 + e[0].check, 101 * 16 + URX_CHECK_GUARD);
	CHECK_EQ(e[1].block * 16 + e[1].check, 101 * 16 + URX_CHECK_APP);
	CHECK_EQ(e[2].block * 16 + e[2].check, 103 * 16 + URX_CHECK_APP);

	/* One report for many calls: counters and the array go on. */
	four.stored = 2, four.failed = 10, four.blocks = 20, four.escaped = 30;
	expect(four, -EILSEQ, 3, 11, 22, 30);
	CHECK_EQ(e[2].check, URX_CHECK_GUARD);
	four.stored = 3;
	expect(four, -EILSEQ, 3, 11, 22, 30);

	/* What is earlier and right is not an error of this call. */
	make(URX_GUARD_T10DIF, 1);
	expect(four, 0, 3, 10, 20 + BLOCKS, 30);
	four.stored = 4;
	CHECK_EQ(urx_pi_verify(&pi, &tags, data, meta, BLOCKS, &four), -EINVAL);
}

static void escapes(unsigned guard, uint64_t ref, uint16_t ref_hi)
{
	struct urx_pi_report all = { .size = sizeof(all), .flags = URX_REPORT_COUNT_ALL };

	for (unsigned type = 1; type <= 3; type++) {
		make(guard, type);
		memset(data + 512, 0, 512); /* blocks 1 to 3 fail by their guard */
		memset(data + 2 * 512, 0, 512);
		memset(data + 3 * 512, 0, 512);
		expect(all, -EILSEQ, 0, 3, BLOCKS, 0);
		set_tuple(2, 0xffff, ref, ref_hi);
		expect(all, -EILSEQ, 0, 2, BLOCKS, 1);
		/* Without the whole reference tag type 3 has no escape: guard and application tag fail. */
		set_tuple(2, 0xffff, ref - 1, ref_hi);
		expect(all, -EILSEQ, 0, type == 3 ? 4 : 2, BLOCKS, type != 3);
		set_tuple(2, 0xffff, ref, ref_hi);
		set_tuple(1, 0xfffe, ref, ref_hi);
		expect(all, -EILSEQ, 0, 3, BLOCKS, 1);
		for (unsigned n = 0; n < BLOCKS; n++)
			set_tuple(n, 0xffff, ref, ref_hi);
		expect(all, 0, 0, 0, BLOCKS, BLOCKS);
	}
}

int main(void)
{
	stops();
	escapes(URX_GUARD_T10DIF, UINT32_MAX, 0);
	escapes(URX_GUARD_IP, UINT32_MAX, 0);
	escapes(URX_GUARD_CRC32C, UINT64_MAX, 0xffff);
	escapes(URX_GUARD_CRC64, (UINT64_C(1) << 48) - 1, 0);
	return 0;
}
