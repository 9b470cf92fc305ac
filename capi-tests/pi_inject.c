/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* An injected error flips the one bit that it names, and verification names it again. */
#include <sys/uio.h>
#include "urx_test.h"

enum { BLOCKS = 3, VICTIM = 1, INTERVAL = 32, META = 24, ROOM = BLOCKS * (INTERVAL + META) };

static struct urx_pi_format f;
static struct urx_pi pi;
static struct urx_tags tags;
static uint8_t data[ROOM], meta[BLOCKS * META];
static struct iovec diov[ROOM], miov[ROOM];
static struct urx_pi_vec v;

static bool interleaved(void)
{
	return f.flags & URX_PI_INTERLEAVED;
}

/* Pieces of 5 bytes: tuples are cut. */
static uint32_t cut(struct iovec *iov, uint8_t *bytes, size_t len)
{
	uint32_t count = 0;

	for (size_t at = 0; at < len; at += 5)
		iov[count++] = (struct iovec){ bytes + at, len - at < 5 ? len - at : 5 };
	return count;
}

/* The first bit of a field and its width, counted from the highest bit of the tuple. */
static unsigned field(uint32_t check, unsigned *first)
{
	unsigned guard = guard_bits(f.guard), space = space_bits(f.guard);

	*first = check == URX_CHECK_GUARD ? 0 : check == URX_CHECK_APP ? guard :
		 check == URX_CHECK_STORAGE ? guard + 16 : guard + 16 + f.storage_bits;
	return check == URX_CHECK_GUARD ? guard : check == URX_CHECK_APP ? 16 :
	       check == URX_CHECK_STORAGE ? f.storage_bits : space - f.storage_bits;
}

/* Flips a bit there and back; `byte` and `mask` are where it must be. */
static void flip(uint32_t where, uint64_t bit, uint8_t *byte, uint8_t mask)
{
	uint8_t before[2][ROOM];
	struct urx_pi_error e[2] = { 0 };
	struct urx_pi_report r = { .size = sizeof(r), .errors = e, .capacity = 2 };
	uint32_t check = where == URX_INJECT_DATA ? URX_CHECK_GUARD : where;
	bool visible = tags.checks & check;

	memcpy(before[0], data, sizeof(data));
	memcpy(before[1], meta, sizeof(meta));
	CHECK_EQ(urx_pi_injectv(&pi, &v, VICTIM, where, bit), 0);
	CHECK_EQ(urx_pi_verifyv(&pi, &tags, &v, &r), visible ? -EILSEQ : 0);
	CHECK_EQ(r.failed, visible);
	CHECK_EQ(e[0].check, visible ? check : 0);
	CHECK_EQ(e[0].block, visible ? VICTIM : 0);
	if (visible && where != URX_INJECT_DATA && bit < 64)
		CHECK_EQ(e[0].expected ^ e[0].actual, UINT64_C(1) << bit);
	else if (visible && where != URX_INJECT_DATA)
		CHECK_EQ(e[0].expected_hi ^ e[0].actual_hi, 1u << (bit - 64));
	*byte ^= mask;
	CHECK_BYTES(data, before[0], sizeof(data), "flipped");
	CHECK_BYTES(meta, before[1], sizeof(meta), "flipped");
	*byte ^= mask;
	CHECK_EQ(urx_pi_injectv(&pi, &v, VICTIM, where, bit), 0);
	CHECK_BYTES(data, before[0], sizeof(data), "flipped back");
	CHECK_BYTES(meta, before[1], sizeof(meta), "flipped back");
}

static void refused(int ret, uint64_t block, uint32_t where, uint64_t bit)
{
	uint8_t before[2][ROOM];

	memcpy(before[0], data, sizeof(data));
	memcpy(before[1], meta, sizeof(meta));
	CHECK_EQ(urx_pi_injectv(&pi, &v, block, where, bit), ret);
	CHECK_BYTES(data, before[0], sizeof(data), "refused");
	CHECK_BYTES(meta, before[1], sizeof(meta), "refused");
}

static void format(void)
{
	size_t step = interleaved() ? INTERVAL + META : INTERVAL;
	uint8_t *block = data + VICTIM * step;
	uint8_t *m = interleaved() ? block + INTERVAL : meta + VICTIM * META;

	pi = pi_of(&f);
	tags = (struct urx_tags){ .checks = URX_CHECK_GUARD | URX_CHECK_APP, .app = 0x5aa5 };
	tags.checks |= f.storage_bits ? URX_CHECK_STORAGE : 0;
	tags.checks |= f.pi_type != 3 && field(URX_CHECK_REF, &(unsigned){ 0 }) ? URX_CHECK_REF : 0;
	fill(data, sizeof(data), 1);
	fill(meta, sizeof(meta), 2);
	CHECK_EQ(urx_pi_generate(&pi, &tags, data, interleaved() ? NULL : meta, BLOCKS), 0);
	v = (struct urx_pi_vec){ .data = diov, .data_cnt = cut(diov, data, BLOCKS * step) };
	if (!interleaved())
		v.meta = miov, v.meta_cnt = cut(miov, meta, sizeof(meta));

	for (unsigned bit = 0; bit < INTERVAL * 8; bit++)
		flip(URX_INJECT_DATA, bit, block + bit / 8, (uint8_t)(1 << bit % 8));
	for (uint32_t where = 1; where <= URX_CHECK_STORAGE; where *= 2) {
		unsigned first, width = field(where, &first);

		for (unsigned bit = 0; bit < width; bit++) {
			unsigned at = first + width - 1 - bit;

			flip(where, bit, m + f.pi_offset + at / 8, (uint8_t)(0x80 >> at % 8));
		}
		refused(-ERANGE, VICTIM, where, width);
		refused(-ERANGE, VICTIM, where, UINT64_MAX);
		refused(-ERANGE, VICTIM, where, UINT64_C(1) << 32);
		refused(-ERANGE, BLOCKS, where, 0);
		refused(-ERANGE, UINT64_MAX, where, 0);
		refused(-ERANGE, UINT64_MAX / META + 2, where, 0);
	}
	refused(-ERANGE, VICTIM, URX_INJECT_DATA, INTERVAL * 8);
	refused(-ERANGE, VICTIM, URX_INJECT_DATA, UINT64_MAX);
	refused(-ERANGE, BLOCKS, URX_INJECT_DATA, 0);
	refused(-ERANGE, UINT64_MAX, URX_INJECT_DATA, 0);
	refused(-ERANGE, (UINT64_MAX - INTERVAL) / step + 2, URX_INJECT_DATA, 0);
}

/* After format(). */
static void not_one_place(void)
{
	refused(-EINVAL, VICTIM, 16, 0);
	refused(-EINVAL, VICTIM, URX_INJECT_DATA | URX_CHECK_GUARD, 0);
	refused(-EINVAL, VICTIM, URX_INJECT_DATA * 2, 0);
	refused(-EINVAL, VICTIM, 0, 0);
	for (uint32_t where = 3; where < 16; where++)
		if (where & (where - 1))
			refused(-EINVAL, VICTIM, where, 40);
	CHECK_EQ(urx_pi_injectv(NULL, &v, 0, 1, 0), -EINVAL);
	CHECK_EQ(urx_pi_injectv(&pi, NULL, 0, 1, 0), -EINVAL);
	v.data = v.meta = NULL;
	CHECK_EQ(urx_pi_injectv(&pi, &v, 0, 1, 0), -EINVAL);
}

int main(void)
{
	static const uint8_t storage[][3] = { [URX_GUARD_T10DIF] = { 0, 5, 32 },
					      [URX_GUARD_IP] = { 0, 0, 0 },
					      [URX_GUARD_CRC32C] = { 0, 16, 64 },
					      [URX_GUARD_CRC64] = { 0, 12, 48 } };

	for (unsigned guard = URX_GUARD_T10DIF; guard <= URX_GUARD_CRC64; guard++)
		for (unsigned n = 0; n < 8 * 3; n++) {
			f = format_of(guard, n & 1 ? 3 : 2, INTERVAL, META, n & 2);
			f.flags = n & 4 ? URX_PI_INTERLEAVED : 0;
			f.storage_bits = storage[guard][n / 8];
			format();
		}
	not_one_place();
	return 0;
}
