/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Tuples of every guard, type, place, storage tag and buffer layout are the oracle's, bit by bit. */
#include "urx_test.h"

static const unsigned intervals[] = { 8, 104, 4096 };
static const unsigned storage[][5] = {
	[URX_GUARD_T10DIF] = { 0, 1, 8, 31, 32 },
	[URX_GUARD_IP] = { 0 },
	[URX_GUARD_CRC32C] = { 0, 16, 33, 63, 64 },
	[URX_GUARD_CRC64] = { 0, 4, 13, 47, 48 },
};
enum { BLOCKS = 3 };
static unsigned formats;

static void compare(const struct urx_pi_format *f, uint32_t keep)
{
	bool interleaved = f->flags & URX_PI_INTERLEAVED;
	size_t step = f->interval + (interleaved ? f->meta_size : 0);
	size_t data_len = BLOCKS * step, meta_len = interleaved ? 0 : BLOCKS * f->meta_size;
	uint8_t *memory = malloc(2 * (data_len + meta_len) + 1), *buf = memory + 1, *want;
	struct urx_pi pi = pi_of(f);
	uint64_t storage_max = f->storage_bits < 64 ? (UINT64_C(1) << f->storage_bits) - 1 : UINT64_MAX;
	/* The reference tag overflows its field, whatever its width is. buf is not aligned. */
	struct urx_tags tags = { .keep = keep, .app = 0xa1b2, .ref = UINT64_MAX - 1, .ref_hi = 0x8001,
				 .storage = 0x0123456789abcdef & storage_max };
	char what[99];

	CHECK(memory);
	want = buf + data_len + meta_len;
	fill(buf, data_len + meta_len, f->interval + f->guard);
	memcpy(want, buf, data_len + meta_len);
	snprintf(what, sizeof(what), "guard %d type %d interval %u meta %d@%d storage %d flags %u keep %u",
		 f->guard, f->pi_type, f->interval, f->meta_size, f->pi_offset, f->storage_bits,
		 f->flags, keep);
	for (size_t n = 0; n < BLOCKS; n++) {
		uint8_t *data = want + n * step;
		uint8_t *meta = interleaved ? data + f->interval : want + data_len + n * f->meta_size;
		uint8_t new[16] = { 0 }, kept[16] = { 0 };
		struct urx_tags ones = { .app = keep & URX_CHECK_APP ? 0xffff : 0,
					 .storage = keep & URX_CHECK_STORAGE ? UINT64_MAX : 0,
					 .ref = keep & URX_CHECK_REF ? UINT64_MAX : 0,
					 .ref_hi = keep & URX_CHECK_REF ? 0xffff : 0 };

		oracle_block(f, &tags, n, data, meta, new);
		oracle_tuple(f, &ones, 0, keep & URX_CHECK_GUARD ? UINT64_MAX : 0, kept);
		for (unsigned i = 0; i < tuple_bytes(f->guard); i++) {
			uint8_t *old = &meta[f->pi_offset + i];
			*old = (uint8_t)((*old & kept[i]) | (new[i] & ~kept[i]));
		}
	}
	CHECK_EQ(urx_pi_generate(&pi, &tags, buf, interleaved ? NULL : buf + data_len, BLOCKS), 0);
	CHECK_BYTES(buf, want, data_len + meta_len, what);
	free(memory);
	formats++;
}

static void keeps(const struct urx_pi_format *f)
{
	compare(f, 0);
	if (f->interval == 8)
		for (uint32_t keep = 1; keep < 16; keep++)
			compare(f, keep);
}

int main(void)
{
	for (unsigned guard = URX_GUARD_T10DIF; guard <= URX_GUARD_CRC64; guard++)
		for (unsigned type = 1; type <= 3; type++)
			for (size_t i = 0; i < COUNT(intervals); i++)
				for (size_t s = 0; s < COUNT(storage[guard]); s++) {
					unsigned sizes[] = { tuple_bytes(guard), 19, 64, 256 };

					/* Large blocks are slow, bit by bit: one of a kind. */
					for (size_t m = 0; m < (intervals[i] < 4096 || !s ? 2 * COUNT(sizes) : 0); m++) {
						struct urx_pi_format f = format_of(
							guard, type, intervals[i], sizes[m / 2], m % 2);

						f.storage_bits = (uint8_t)storage[guard][s];
						keeps(&f);
						f.flags = URX_PI_INTERLEAVED;
						keeps(&f);
					}
				}
	CHECK(formats > 5000);
	return 0;
}
