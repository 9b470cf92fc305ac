/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Mistakes that other implementations of protection information have made. */
#include "urx_test.h"

enum { BLOCKS = 6, INTERVAL = 64 };

static struct urx_pi_format f;
static struct urx_pi pi;
static uint8_t data[BLOCKS * INTERVAL], meta[BLOCKS * 16];

static void start(unsigned guard, unsigned type, unsigned storage_bits)
{
	f = format_of(guard, type, INTERVAL, tuple_bytes(guard), false);
	f.storage_bits = (uint8_t)storage_bits;
	pi = pi_of(&f);
	fill(data, sizeof(data), guard);
	memset(meta, 0xaa, sizeof(meta));
}

/* Generates over old bytes and compares with the oracle. */
static void generate(const struct urx_tags *tags)
{
	CHECK_EQ(urx_pi_generate(&pi, tags, data, meta, BLOCKS), 0);
	for (unsigned n = 0; n < BLOCKS; n++) {
		uint8_t tuple[16];

		oracle_block(&f, tags, n, data + n * INTERVAL, meta, tuple);
		CHECK_BYTES(meta + n * f.meta_size, tuple, f.meta_size, "generated");
	}
}

static int verify(const struct urx_tags *tags, struct urx_pi_error *error, struct urx_pi_report *report)
{
	*report = (struct urx_pi_report){ .size = sizeof(*report), .errors = error, .capacity = 1,
					  .flags = URX_REPORT_COUNT_ALL };
	*error = (struct urx_pi_error){ 0 };
	return urx_pi_verify(&pi, tags, data, meta, BLOCKS, report);
}

/* An escape value exempts its own block and ends nothing; an error has the number of its own block. */
static void escapes(unsigned guard)
{
	struct urx_tags tags = { .checks = 7, .app = 0x1234, .ref = 40 };
	struct urx_pi_report r;
	struct urx_pi_error e;

	for (unsigned bad = 1; bad < BLOCKS; bad++) {
		start(guard, 1, 0);
		generate(&tags);
		memset(meta, 0xff, f.meta_size);
		data[0] ^= 1;
		CHECK_EQ(verify(&tags, &e, &r), 0);
		data[bad * INTERVAL + 9] ^= 4;
		CHECK_EQ(verify(&tags, &e, &r), -EILSEQ);
		CHECK_EQ(r.failed, 1);
		CHECK_EQ(r.escaped, 1);
		CHECK_EQ(r.blocks, BLOCKS);
		CHECK_EQ(e.block, bad);
		CHECK_EQ(e.check, URX_CHECK_GUARD);
		CHECK_EQ(urx_pi_verify(&pi, &tags, data, meta, BLOCKS, NULL), -EILSEQ);
	}
	/* Never written: all ones, of any type. */
	for (unsigned type = 1; type <= 3; type++) {
		start(guard, type, 0);
		memset(data, 0, sizeof(data));
		memset(meta, 0xff, sizeof(meta));
		tags.checks = type == 3 ? URX_CHECK_GUARD | URX_CHECK_APP : 7;
		CHECK_EQ(verify(&tags, &e, &r), 0);
		CHECK_EQ(r.escaped, BLOCKS);
	}
}

/* No reference tag is a magic value: all ones is followed by 0, and compared. */
static void all_ones(unsigned guard, uint64_t ref, uint16_t hi)
{
	struct urx_tags tags = { .checks = 7, .app = 1, .ref = ref, .ref_hi = hi }, other = tags;
	struct urx_pi_tuple tuple;
	struct urx_pi_report r;
	struct urx_pi_error e;

	start(guard, 1, 0);
	generate(&tags);
	for (unsigned n = 0; n < BLOCKS; n++) {
		CHECK_EQ(urx_pi_tuple_get(&pi, meta + n * f.meta_size, &tuple), 0);
		CHECK_EQ(tuple.ref, n ? n - 1 : ref);
		CHECK_EQ(tuple.ref_hi, n ? 0 : hi);
	}
	CHECK_EQ(verify(&tags, &e, &r), 0);
	other.ref = 7, other.ref_hi = 0;
	generate(&other);
	CHECK_EQ(verify(&tags, &e, &r), -EILSEQ);
	CHECK_EQ(r.failed, BLOCKS);
	CHECK_EQ(e.check, URX_CHECK_REF);
	CHECK_EQ(e.expected, ref);
	CHECK_EQ(e.expected_hi, hi);
	CHECK_EQ(e.actual, 7);
}

/* Reference tags are as wide as their field: no bit of it is cut off. */
static void wide(unsigned guard, uint64_t ref, uint16_t hi, uint64_t flip, uint16_t flip_hi)
{
	struct urx_tags tags = { .checks = 7, .app = 1, .ref = ref, .ref_hi = hi }, other = tags;
	struct urx_pi_report r;
	struct urx_pi_error e;

	start(guard, 1, 0);
	generate(&tags);
	CHECK_EQ(verify(&tags, &e, &r), 0);
	other.ref ^= flip, other.ref_hi ^= flip_hi;
	CHECK_EQ(verify(&other, &e, &r), -EILSEQ);
	CHECK_EQ(e.check, URX_CHECK_REF);
	CHECK_EQ(e.expected ^ e.actual, flip);
	CHECK_EQ(e.expected_hi ^ e.actual_hi, flip_hi);
}

/* The reference tag of type 3 is not checked: asking for it is refused, not ignored. */
static void type3(unsigned guard)
{
	struct urx_tags tags = { .app = 1, .ref = 5 };

	start(guard, 3, 0);
	generate(&tags);
	for (tags.checks = 1; tags.checks < 8; tags.checks++)
		CHECK_EQ(urx_pi_verify(&pi, &tags, data, meta, BLOCKS, NULL),
			 tags.checks & URX_CHECK_REF ? -EINVAL : 0);
	tags.checks = 0;
	CHECK_EQ(urx_pi_verify(&pi, &tags, data, meta, BLOCKS, NULL), -EINVAL);
}

/* Every width of a storage tag, both tags all ones and then neither: each bit is written over old ones. */
static void storage(unsigned guard, unsigned bits)
{
	unsigned ref_bits = space_bits(guard) - bits;
	struct urx_tags tags = { .app = 1 };
	struct urx_pi_report r;
	struct urx_pi_error e;

	start(guard, 1, bits);
	tags.checks = URX_CHECK_GUARD | URX_CHECK_APP | (bits ? URX_CHECK_STORAGE : 0) |
		      (ref_bits ? URX_CHECK_REF : 0);
	generate(&tags);
	tags.ref = UINT64_MAX, tags.ref_hi = 0xffff;
	tags.storage = bits == 64 ? UINT64_MAX : (UINT64_C(1) << bits) - 1;
	generate(&tags);
	CHECK_EQ(verify(&tags, &e, &r), 0);
	tags.ref = tags.ref_hi = 0;
	generate(&tags);
	CHECK_EQ(verify(&tags, &e, &r), 0);
	if (!bits)
		return;
	tags.storage ^= UINT64_C(1) << (bits - 1);
	CHECK_EQ(verify(&tags, &e, &r), -EILSEQ);
	CHECK_EQ(r.failed, BLOCKS);
	CHECK_EQ(e.check, URX_CHECK_STORAGE);
	CHECK_EQ(e.expected, tags.storage);
}

/* 32-bit guard: the storage tag begins right behind the application tag. */
static void storage_bytes(void)
{
	static const uint8_t all[] = { 1, 2, 3, 4, 5, 6, 7, 8 };
	struct urx_tags tags = { .app = 1, .storage = 0x0102030405060708 };

	start(URX_GUARD_CRC32C, 1, 64);
	generate(&tags);
	CHECK_BYTES(meta + 6, all, 8, "64 bits");
	start(URX_GUARD_CRC32C, 1, 16);
	tags.storage = 0x0102;
	generate(&tags);
	CHECK_BYTES(meta + 6, all, 2, "16 bits");
	start(URX_GUARD_CRC32C, 1, 0);
	tags.storage = 0;
	generate(&tags);
	CHECK_EQ(meta[6] | meta[7], 0); /* high bits of the reference tag */
}

int main(void)
{
	for (unsigned guard = URX_GUARD_T10DIF; guard <= URX_GUARD_CRC64; guard++) {
		unsigned widest = guard == URX_GUARD_CRC32C ? 64 : space_bits(guard);

		escapes(guard);
		type3(guard);
		for (unsigned bits = 0; bits <= (guard == URX_GUARD_IP ? 0 : widest); bits++)
			if (guard != URX_GUARD_CRC32C || bits == 0 || bits >= 16)
				storage(guard, bits);
	}
	all_ones(URX_GUARD_T10DIF, UINT32_MAX, 0);
	all_ones(URX_GUARD_IP, UINT32_MAX, 0);
	all_ones(URX_GUARD_CRC32C, UINT64_MAX, 0xffff);
	all_ones(URX_GUARD_CRC64, (UINT64_C(1) << 48) - 1, 0);
	wide(URX_GUARD_CRC64, 0x123456789abc, 0, UINT64_C(1) << 47, 0);
	wide(URX_GUARD_CRC64, UINT32_MAX - 1, 0, UINT64_C(1) << 32, 0);
	wide(URX_GUARD_CRC32C, 0x123456789abcdef0, 0x4321, UINT64_C(1) << 32, 0);
	wide(URX_GUARD_CRC32C, UINT64_MAX - 1, 0x4321, 0, 0x8000);
	storage_bytes();
	return 0;
}
