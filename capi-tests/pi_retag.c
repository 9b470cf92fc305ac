/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Other tags for tuples that are there: remapped references, fields kept, what does not pass stays. */
#include <sys/uio.h>
#include "urx_test.h"

enum { BLOCKS = 40, INTERVAL = 16, META = 24, ROOM = BLOCKS * (INTERVAL + META), PIECES = ROOM * 3 };
enum { TAGS = URX_CHECK_REF | URX_CHECK_APP | URX_CHECK_STORAGE };

static struct urx_pi_format f;
static struct urx_pi pi;
static uint8_t data[ROOM], meta[BLOCKS * META];
static struct iovec iov[PIECES];

static bool interleaved(void)
{
	return f.flags & URX_PI_INTERLEAVED;
}

static uint8_t *tuple_at(unsigned block)
{
	uint8_t *m = interleaved() ? data + block * (INTERVAL + META) + INTERVAL : meta + block * META;

	return m + f.pi_offset;
}

/* The tuples, in pieces that may end anywhere; separate metadata comes without the data. */
static struct urx_pi_vec cut(uint32_t longest)
{
	uint8_t *bytes = interleaved() ? data : meta;
	size_t left = interleaved() ? ROOM : sizeof(meta);
	uint32_t count = 0;

	while (left > 0) {
		size_t n = any(longest + 1);

		n = n < left ? n : left;
		iov[count++] = (struct iovec){ n ? bytes : NULL, n };
		bytes += n, left -= n;
	}
	return interleaved() ? (struct urx_pi_vec){ .data = iov, .data_cnt = count } :
			       (struct urx_pi_vec){ .meta = iov, .meta_cnt = count };
}

static uint64_t low_bits(uint64_t value, unsigned bits)
{
	return bits < 64 ? value & ((UINT64_C(1) << bits) - 1) : value;
}

static void make(const struct urx_tags *tags)
{
	fill(data, sizeof(data), 5);
	fill(meta, sizeof(meta), 6);
	CHECK_EQ(urx_pi_generate(&pi, tags, data, interleaved() ? NULL : meta, BLOCKS), 0);
}

/* Retags all blocks and compares every byte; the guards stay. */
static void retag(const struct urx_tags *from, const struct urx_tags *to, const struct urx_tags *wanted,
		  uint32_t longest)
{
	uint8_t before[2][ROOM];
	struct urx_pi_report r = { .size = sizeof(r) };
	struct urx_pi_vec v = cut(longest);

	memcpy(before[0], data, sizeof(data));
	memcpy(before[1], meta, sizeof(meta));
	CHECK_EQ(urx_pi_retagv(&pi, from, to, &v, &r), 0);
	CHECK_EQ(r.blocks, BLOCKS);
	CHECK_EQ(r.failed + r.escaped, 0);
	for (unsigned n = 0; n < BLOCKS; n++) {
		size_t at = (size_t)(tuple_at(n) - (interleaved() ? data : meta));
		uint8_t *tuple = before[!interleaved()] + at;
		uint64_t guard = 0;

		for (unsigned byte = 0; byte < guard_bits(f.guard) / 8; byte++)
			guard = guard << 8 | tuple[byte];
		oracle_tuple(&f, wanted, n, guard, tuple);
	}
	CHECK_BYTES(data, before[0], sizeof(data), "retagged");
	CHECK_BYTES(meta, before[1], sizeof(meta), "retagged");
}

static void format(uint32_t longest)
{
	unsigned ref_bits = space_bits(f.guard) - f.storage_bits;
	uint32_t checks = URX_CHECK_APP | (f.storage_bits ? URX_CHECK_STORAGE : 0) |
			  (f.pi_type != 3 ? URX_CHECK_REF : 0);
	uint8_t before[2][ROOM];
	struct urx_tags from = { .checks = checks, .app = 0x1234, .ref = 1000,
				 .storage = low_bits(0xabcdef0123456789, f.storage_bits) };
	/* Its reference tags go through 0. */
	struct urx_tags to = { .checks = checks, .app = 0x4321, .ref = low_bits(UINT64_MAX - 9, ref_bits),
			       .ref_hi = (uint16_t)(ref_bits > 64 ? (1u << (ref_bits - 64)) - 1 : 0),
			       .storage = low_bits(~from.storage, f.storage_bits) };
	struct urx_tags mixed = to, part = to, none = from;

	pi = pi_of(&f);
	make(&from);
	memcpy(before[0], data, sizeof(data));
	memcpy(before[1], meta, sizeof(meta));
	retag(&from, &to, &to, longest);
	retag(&to, &from, &from, longest);
	CHECK_BYTES(data, before[0], sizeof(data), "there and back");
	CHECK_BYTES(meta, before[1], sizeof(meta), "there and back");

	/* Any tuple, and only some of its fields. */
	none.checks = 0, none.app = 0x9999, none.ref = 5;
	mixed.app = from.app, mixed.storage = from.storage;
	part.keep = URX_CHECK_APP | URX_CHECK_STORAGE;
	retag(&none, &part, &mixed, longest);
	part.keep = TAGS | URX_CHECK_GUARD;
	retag(&none, &part, &mixed, longest);
	mixed = to;
	part.keep = URX_CHECK_REF;
	retag(&none, &part, &mixed, longest);
	from.checks |= URX_CHECK_GUARD;
	from.app = to.app, from.ref = to.ref, from.ref_hi = to.ref_hi, from.storage = to.storage;
	CHECK_EQ(urx_pi_verify(&pi, &from, data, interleaved() ? NULL : meta, BLOCKS, NULL), 0);
}

/* Tuples that do not pass and those with an escape value stay, all others are changed. */
static void left_alone(uint32_t flags, uint32_t capacity)
{
	struct urx_tags from = { .checks = URX_CHECK_REF, .app = 1, .ref = 10 };
	struct urx_tags to = { .app = 2, .ref = UINT32_MAX };
	struct urx_pi_error e[4] = { 0 };
	struct urx_pi_report r = { .size = sizeof(r), .flags = flags, .errors = capacity ? e : NULL,
				   .capacity = capacity, .first_block = 100 };
	struct urx_pi_vec v;
	uint8_t old[BLOCKS][8];

	f = format_of(URX_GUARD_T10DIF, 1, INTERVAL, META, true);
	pi = pi_of(&f);
	make(&from);
	tuple_at(3)[7] ^= 0x40;
	tuple_at(7)[4] ^= 0x01;
	memset(tuple_at(5) + 2, 0xff, 2); /* escaped, and its reference tag is right */
	memset(tuple_at(6) + 2, 0xff, 6); /* escaped, and it is wrong */
	for (unsigned n = 0; n < BLOCKS; n++)
		memcpy(old[n], tuple_at(n), 8);
	v = cut(30);
	CHECK_EQ(urx_pi_retagv(&pi, &from, &to, &v, flags || capacity ? &r : NULL), -EILSEQ);
	for (unsigned n = 0; n < BLOCKS; n++) {
		if (n != 3 && (n < 5 || n > 7))
			oracle_tuple(&f, &to, n, (uint64_t)old[n][0] << 8 | old[n][1], old[n]);
		CHECK_BYTES(tuple_at(n), old[n], 8, "tuples");
	}
	if (!flags && !capacity)
		return;
	CHECK_EQ(r.blocks, BLOCKS);
	CHECK_EQ(r.escaped, 2);
	CHECK_EQ(r.failed, 2);
	CHECK_EQ(r.stored, capacity < 2 ? capacity : 2);
	if (capacity) {
		CHECK_EQ(e[0].block, 103);
		CHECK_EQ(e[0].check, URX_CHECK_REF);
		CHECK_EQ(e[0].expected, 13);
		CHECK_EQ(e[0].actual, 13 ^ 0x40);
	}
	if (capacity > 1) {
		CHECK_EQ(e[1].block, 107);
		CHECK_EQ(e[1].actual, 17 ^ 0x01000000);
	}
}

static void refusals(void)
{
	struct urx_tags from = { .checks = URX_CHECK_APP, .app = 1, .ref = 10 }, to = { .app = 2 }, bad;
	struct urx_pi_vec v;
	struct iovec twice[] = { { meta, 2 * META }, { meta + META, META } }, d = { data, ROOM };
	uint8_t before[sizeof(meta)];
	struct urx_pi_report r = { .size = sizeof(r), .capacity = 1, .errors = (void *)meta };

	f = format_of(URX_GUARD_T10DIF, 1, INTERVAL, META, true);
	pi = pi_of(&f);
	make(&from);
	memcpy(before, meta, sizeof(meta));
	v = cut(30);
	bad = from, bad.checks |= URX_CHECK_GUARD;
	CHECK_EQ(urx_pi_retagv(&pi, &bad, &to, &v, NULL), -EINVAL);
	bad.checks = URX_CHECK_STORAGE;
	CHECK_EQ(urx_pi_retagv(&pi, &bad, &to, &v, NULL), -EINVAL);
	bad = to, bad.storage = 1;
	CHECK_EQ(urx_pi_retagv(&pi, &from, &bad, &v, NULL), -EINVAL);
	bad = to, bad.keep = 16;
	CHECK_EQ(urx_pi_retagv(&pi, &from, &bad, &v, NULL), -EINVAL);
	CHECK_EQ(urx_pi_retagv(NULL, &from, &to, &v, NULL), -EINVAL);
	CHECK_EQ(urx_pi_retagv(&pi, NULL, &to, &v, NULL), -EINVAL);
	CHECK_EQ(urx_pi_retagv(&pi, &from, NULL, &v, NULL), -EINVAL);
	CHECK_EQ(urx_pi_retagv(&pi, &from, &to, NULL, NULL), -EINVAL);
	CHECK_EQ(urx_pi_retagv(&pi, &from, &to, &v, &r), -EINVAL); /* errors lies in the metadata */
	v = (struct urx_pi_vec){ .meta = twice, .meta_cnt = 2 };
	CHECK_EQ(urx_pi_retagv(&pi, &from, &to, &v, NULL), -EINVAL);
	twice[1] = (struct iovec){ meta + 2 * META, META - 1 };
	CHECK_EQ(urx_pi_retagv(&pi, &from, &to, &v, NULL), -EINVAL);
	CHECK_BYTES(meta, before, sizeof(meta), "refused");
	twice[1].iov_len++;
	CHECK_EQ(urx_pi_retagv(&pi, &from, &to, &v, NULL), 0);
	CHECK(memcmp(meta, before, 3 * META));
	CHECK_BYTES(meta + 3 * META, before + 3 * META, sizeof(meta) - 3 * META, "behind");

	f.flags = URX_PI_INTERLEAVED;
	pi = pi_of(&f);
	CHECK_EQ(urx_pi_retagv(&pi, &from, &to, &v, NULL), -EINVAL);
	v.data = &d, v.data_cnt = 1;
	CHECK_EQ(urx_pi_retagv(&pi, &from, &to, &v, NULL), -EINVAL);
	v.meta_cnt = 0, d.iov_len--;
	CHECK_EQ(urx_pi_retagv(&pi, &from, &to, &v, NULL), -EINVAL);
}

/* More metadata than the data has blocks: as elsewhere, what is too much is not looked at. */
static void surplus(void)
{
	struct iovec d = { data, 2 * INTERVAL }, m = { meta, 3 * META + 1 };
	uint8_t checks[3] = { 0, URX_CHECK_REF, URX_CHECK_REF }, before[sizeof(meta)];
	struct urx_pi_vec v = { .data = &d, .data_cnt = 1, .meta = &m, .meta_cnt = 1, .checks = checks };
	struct urx_tags from = { .checks = URX_CHECK_REF, .ref = 7 }, to = { .ref = 9 };
	struct urx_pi_report r = { .size = sizeof(r) };

	f = format_of(URX_GUARD_T10DIF, 1, INTERVAL, META, false);
	pi = pi_of(&f);
	memset(meta, 0x11, sizeof(meta));
	memcpy(before, meta, sizeof(meta));
	CHECK_EQ(urx_pi_retagv(&pi, &from, &to, &v, &r), -EILSEQ);
	CHECK_EQ(r.blocks, 2);
	CHECK(memcmp(meta, before, META) != 0); /* asked for no check */
	CHECK_BYTES(meta + META, before + META, sizeof(meta) - META, "strangers and surplus");
}

int main(void)
{
	static const uint32_t longest[] = { 1, 9, ROOM };
	static const uint8_t storage[][2] = { [URX_GUARD_T10DIF] = { 0, 7 }, [URX_GUARD_IP] = { 0, 0 },
					      [URX_GUARD_CRC32C] = { 0, 16 }, [URX_GUARD_CRC64] = { 0, 9 } };

	for (unsigned guard = URX_GUARD_T10DIF; guard <= URX_GUARD_CRC64; guard++)
		for (unsigned type = 1; type <= 3; type++)
			for (unsigned n = 0; n < 8 * COUNT(longest); n++) {
				f = format_of(guard, type, INTERVAL, META, n & 1);
				f.flags = n & 2 ? URX_PI_INTERLEAVED : 0;
				f.storage_bits = storage[guard][n / 4 % 2];
				format(longest[n / 8]);
			}
	left_alone(0, 0);
	left_alone(0, 1);
	left_alone(0, 4);
	left_alone(URX_REPORT_COUNT_ALL, 0);
	refusals();
	surplus();
	return 0;
}
