/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Tuples go in and out unchanged, lie where the oracle has them, and too wide values are refused. */
#include "urx_test.h"

static void too_wide(const struct urx_pi *pi, uint8_t *meta, size_t len, struct urx_pi_tuple tuple)
{
	uint8_t before[64];

	memcpy(before, meta, len);
	CHECK_EQ(urx_pi_tuple_set(pi, meta, &tuple), -EINVAL);
	CHECK_BYTES(meta, before, len, "refused");
}

static uint64_t low(unsigned bits)
{
	return bits >= 64 ? UINT64_MAX : (UINT64_C(1) << bits) - 1;
}

static void format(const struct urx_pi_format *f)
{
	struct urx_pi pi = pi_of(f);
	unsigned ref_bits = space_bits(f->guard) - f->storage_bits;
	unsigned hi_bits = ref_bits > 64 ? ref_bits - 64 : 0;
	struct urx_pi_tuple max = { .guard = low(guard_bits(f->guard)), .app = 0xffff,
				    .ref = low(ref_bits), .ref_hi = (uint16_t)low(hi_bits),
				    .storage = low(f->storage_bits) };
	struct urx_pi_tuple t = { .guard = 0x1122334455667788 & max.guard, .app = 0x99aa,
				  .ref = 0xbbccddeeff001122 & max.ref, .ref_hi = 0x3344 & max.ref_hi,
				  .storage = 0x5566778899aabbcc & max.storage }, out;
	struct urx_tags tags = { .app = t.app, .ref = t.ref, .ref_hi = t.ref_hi, .storage = t.storage };
	uint8_t meta[64], want[64];

	fill(meta, sizeof(meta), 1);
	memcpy(want, meta, sizeof(want));
	oracle_tuple(f, &tags, 0, t.guard, want + f->pi_offset);
	CHECK_EQ(urx_pi_tuple_set(&pi, meta, &t), 0);
	CHECK_BYTES(meta, want, f->meta_size, "set");
	memset(&out, 0xa5, sizeof(out));
	CHECK_EQ(urx_pi_tuple_get(&pi, meta, &out), 0);
	CHECK_BYTES(&out, &t, sizeof(t), "got");
	CHECK_EQ(urx_pi_tuple_set(&pi, meta, &max), 0);
	CHECK_EQ(urx_pi_tuple_get(&pi, meta, &out), 0);
	CHECK_BYTES(&out, &max, sizeof(max), "got the largest");

	struct urx_pi_tuple wide = t;
	wide.reserved = 1;
	too_wide(&pi, meta, f->meta_size, wide);
	if (max.guard != UINT64_MAX) {
		wide = t, wide.guard = max.guard + 1;
		too_wide(&pi, meta, f->meta_size, wide);
	}
	if (max.ref != UINT64_MAX) {
		wide = t, wide.ref = max.ref + 1;
		too_wide(&pi, meta, f->meta_size, wide);
	}
	if (max.ref_hi != UINT16_MAX) {
		wide = t, wide.ref_hi = (uint16_t)(max.ref_hi + 1);
		too_wide(&pi, meta, f->meta_size, wide);
	}
	if (max.storage != UINT64_MAX) {
		wide = t, wide.storage = max.storage + 1;
		too_wide(&pi, meta, f->meta_size, wide);
	}
}

int main(void)
{
	static const uint8_t storage[][4] = { [URX_GUARD_T10DIF] = { 0, 1, 31, 32 },
					      [URX_GUARD_IP] = { 0, 0, 0, 0 },
					      [URX_GUARD_CRC32C] = { 0, 16, 17, 64 },
					      [URX_GUARD_CRC64] = { 0, 7, 47, 48 } };

	for (unsigned guard = URX_GUARD_T10DIF; guard <= URX_GUARD_CRC64; guard++)
		for (unsigned n = 0; n < 16; n++) {
			struct urx_pi_format f = format_of(guard, 1, 512, n & 1 ? 64 : 16, n & 2);

			f.storage_bits = storage[guard][n / 4];
			format(&f);
		}
	return 0;
}
