/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Every single bit flipped in a block is caught and named, with the values, or lies behind the tuple. */
#include "urx_test.h"

enum { BLOCKS = 3, VICTIM = 1, META = 32 };

static uint8_t data[BLOCKS * 64], meta[BLOCKS * META];

/* Which field a bit of the tuple belongs to, the highest bit of its first byte being 0. */
static uint32_t field(const struct urx_pi_format *f, unsigned bit)
{
	unsigned app = guard_bits(f->guard), storage = app + 16, ref = storage + f->storage_bits;

	return bit < app ? URX_CHECK_GUARD : bit < storage ? URX_CHECK_APP :
	       bit < ref ? URX_CHECK_STORAGE : URX_CHECK_REF;
}

static uint64_t value(const struct urx_pi *pi, uint32_t check, uint16_t *hi)
{
	struct urx_pi_tuple tuple;

	CHECK_EQ(urx_pi_tuple_get(pi, meta + VICTIM * META, &tuple), 0);
	*hi = check == URX_CHECK_REF ? tuple.ref_hi : 0;
	return check == URX_CHECK_GUARD ? tuple.guard : check == URX_CHECK_APP ? tuple.app :
	       check == URX_CHECK_STORAGE ? tuple.storage : tuple.ref;
}

static void flip(const struct urx_pi_format *f, const struct urx_tags *tags, uint8_t *byte, int bit,
		 uint32_t check)
{
	struct urx_pi pi = pi_of(f);
	struct urx_pi_error e[4];
	struct urx_pi_report r = { .size = sizeof(r), .flags = URX_REPORT_COUNT_ALL, .first_block = 1000,
				   .errors = e, .capacity = 4 };
	bool in_tuple = byte >= meta && check != 0;
	uint16_t expected_hi, actual_hi;
	uint64_t expected = value(&pi, check, &expected_hi), actual;
	int want = check ? -EILSEQ : 0;

	*byte ^= (uint8_t)(1 << bit);
	actual = value(&pi, check, &actual_hi);
	if (!in_tuple || (check == URX_CHECK_GUARD && expected == actual)) {
		/* Data or metadata before the tuple: it is the computed guard that changes. */
		uint8_t tuple[16];
		struct urx_tags none = { 0 };

		oracle_block(f, &none, 0, data + VICTIM * f->interval, meta + VICTIM * META, tuple);
		expected = 0;
		for (unsigned n = 0; n < guard_bits(f->guard) / 8; n++)
			expected = expected << 8 | tuple[n];
	}
	CHECK_EQ(urx_pi_verify(&pi, tags, data, meta, BLOCKS, &r), want);
	*byte ^= (uint8_t)(1 << bit);
	CHECK_EQ(r.blocks, BLOCKS);
	CHECK_EQ(r.failed, check != 0);
	CHECK_EQ(r.stored, check != 0);
	if (!check)
		return;
	CHECK_EQ(e[0].check, check);
	CHECK_EQ(e[0].flags, URX_ERROR_BLOCK | URX_ERROR_VALUES);
	CHECK_EQ(e[0].block, 1000 + VICTIM);
	CHECK_EQ(e[0].lba, 0);
	CHECK_EQ(e[0].expected, expected);
	CHECK_EQ(e[0].actual, actual);
	CHECK_EQ(e[0].expected_hi, expected_hi);
	CHECK_EQ(e[0].actual_hi, actual_hi);
}

static void all_of(const struct urx_pi_format *f)
{
	struct urx_pi pi = pi_of(f);
	struct urx_tags tags = { .checks = 7, .app = 0x5aa5, .ref = 0x12345678,
				 .storage = f->storage_bits ? 3 : 0 };
	uint8_t *block = data + VICTIM * f->interval, *m = meta + VICTIM * META;

	tags.checks |= f->storage_bits ? URX_CHECK_STORAGE : 0;
	if (f->storage_bits)
		tags.ref = 0x5678;
	fill(data, sizeof(data), f->guard);
	fill(meta, sizeof(meta), f->guard);
	CHECK_EQ(urx_pi_generate(&pi, &tags, data, meta, BLOCKS), 0);
	for (unsigned n = 0; n < f->interval * 8; n++)
		flip(f, &tags, block + n / 8, n % 8, URX_CHECK_GUARD);
	for (unsigned n = 0; n < META; n++)
		for (unsigned bit = 0; bit < 8; bit++) {
			bool before = n < f->pi_offset, behind = n >= f->pi_offset + tuple_bytes(f->guard);
			unsigned at = (n - f->pi_offset) * 8 + 7 - bit;

			flip(f, &tags, m + n, (int)bit,
			     before ? URX_CHECK_GUARD : behind ? 0 : field(f, at));
		}
}

int main(void)
{
	for (unsigned guard = URX_GUARD_T10DIF; guard <= URX_GUARD_CRC64; guard++)
		for (unsigned n = 0; n < 4; n++) {
			struct urx_pi_format f = format_of(guard, 1 + (n & 1), 64, META, n & 1);

			f.storage_bits = n & 2 && guard != URX_GUARD_IP ? 16 : 0;
			all_of(&f);
		}
	return 0;
}
