/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Blocks made by the oracle verify; each wrong field is named with its values; ignored bits are ignored. */
#include "urx_test.h"

enum { BLOCKS = 3 };

static struct urx_pi_format f;
static struct urx_pi pi;
static struct urx_tags tags;
static uint8_t data[BLOCKS * (520 + 64)], meta[BLOCKS * 64];

static uint8_t *meta_at(unsigned block)
{
	return f.flags & URX_PI_INTERLEAVED ? data + block * (f.interval + f.meta_size) + f.interval
					    : meta + block * f.meta_size;
}

static void make(void)
{
	size_t step = f.interval + (f.flags & URX_PI_INTERLEAVED ? f.meta_size : 0);

	fill(data, sizeof(data), f.guard);
	fill(meta, sizeof(meta), f.guard + 1);
	for (unsigned n = 0; n < BLOCKS; n++)
		oracle_block(&f, &tags, n, data + n * step, meta_at(n), meta_at(n) + f.pi_offset);
}

static int verify(const struct urx_tags *asked, struct urx_pi_error *error)
{
	struct urx_pi_report report = { .size = sizeof(report), .errors = error, .capacity = 1 };
	int ret = urx_pi_verify(&pi, asked, data, f.flags ? NULL : meta, BLOCKS, &report);

	CHECK_EQ(urx_pi_verify(&pi, asked, data, f.flags ? NULL : meta, BLOCKS, NULL), ret);
	CHECK_EQ(report.stored, ret == -EILSEQ);
	return ret;
}

/* Asks for other tags than those in the blocks. */
static void wrong(uint32_t check, struct urx_tags asked, uint64_t expected, uint64_t actual, uint16_t hi)
{
	struct urx_pi_error error;

	CHECK_EQ(verify(&asked, &error), -EILSEQ);
	CHECK_EQ(error.check, check);
	CHECK_EQ(error.flags, URX_ERROR_BLOCK | URX_ERROR_VALUES);
	CHECK_EQ(error.block, 0);
	CHECK_EQ(error.expected, expected);
	CHECK_EQ(error.actual, actual);
	CHECK_EQ(error.expected_hi, hi);
	CHECK_EQ(error.actual_hi, hi);
	/* The same is not looked at when not asked for. */
	asked.checks &= ~check;
	CHECK_EQ(verify(&asked, &error), 0);
}

static void format(void)
{
	unsigned ref_bits = space_bits(f.guard) - f.storage_bits;
	uint64_t ref_max = ref_bits < 64 ? (UINT64_C(1) << ref_bits) - 1 : UINT64_MAX;
	uint16_t hi = (uint16_t)(ref_bits > 64 ? 0x4321 & ((1u << (ref_bits - 64)) - 1) : 0);
	struct urx_tags other;

	pi = pi_of(&f);
	tags = (struct urx_tags){ .app = 0x1234, .ref = 0xfeedfacecafe & ref_max, .ref_hi = hi,
				  .storage = f.storage_bits ? 1 : 0 };
	tags.checks = URX_CHECK_GUARD | URX_CHECK_APP;
	tags.checks |= f.pi_type != 3 && ref_bits ? URX_CHECK_REF : 0;
	tags.checks |= f.storage_bits ? URX_CHECK_STORAGE : 0;
	make();
	CHECK_EQ(verify(&tags, &(struct urx_pi_error){ 0 }), 0);

	other = tags;
	other.app = 0x1233;
	wrong(URX_CHECK_APP, other, 0x1233, 0x1234, 0);
	other.app_ignore = 0x0006; /* not the bits that differ */
	CHECK_EQ(urx_pi_verify(&pi, &other, data, f.flags ? NULL : meta, BLOCKS, NULL), -EILSEQ);
	other.app_ignore = 0x0007;
	CHECK_EQ(urx_pi_verify(&pi, &other, data, f.flags ? NULL : meta, BLOCKS, NULL), 0);

	other = tags;
	other.ref ^= 1;
	if (tags.checks & URX_CHECK_REF)
		wrong(URX_CHECK_REF, other, tags.ref ^ 1, tags.ref, hi);
	other = tags;
	other.storage = 0;
	if (tags.checks & URX_CHECK_STORAGE)
		wrong(URX_CHECK_STORAGE, other, 0, 1, 0);

	/* More than the format has, and none at all. */
	for (uint32_t checks = 0; checks < 32; checks++) {
		other = tags;
		other.checks = checks;
		CHECK_EQ(urx_pi_verify(&pi, &other, data, f.flags ? NULL : meta, BLOCKS, NULL),
			 checks && !(checks & ~tags.checks) ? 0 : -EINVAL);
	}
}

int main(void)
{
	static const uint8_t storage[][3] = { [URX_GUARD_T10DIF] = { 0, 16, 32 },
					      [URX_GUARD_IP] = { 0, 0, 0 },
					      [URX_GUARD_CRC32C] = { 0, 16, 64 },
					      [URX_GUARD_CRC64] = { 0, 12, 48 } };

	for (unsigned guard = URX_GUARD_T10DIF; guard <= URX_GUARD_CRC64; guard++)
		for (unsigned type = 1; type <= 3; type++)
			for (unsigned n = 0; n < 3 * 2 * 2 * 2; n++) {
				f = format_of(guard, type, n & 1 ? 512 : 520, 64, n & 2);
				f.flags = n & 4 ? URX_PI_INTERLEAVED : 0;
				f.storage_bits = storage[guard][n / 8];
				format();
			}
	return 0;
}
