/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Scattered blocks: wherever the pieces lie and end, tuples and reports are those of one piece. */
#include <sys/uio.h>
#include "urx_test.h"

enum { BLOCKS = 34, INTERVAL = 16, META = 24, ROOM = BLOCKS * (INTERVAL + META), PIECES = ROOM * 3 };

/* Memory in pieces: the later a piece, the lower it lies, with a gap before each. */
struct scattered {
	uint8_t arena[ROOM * 6];
	bool used[ROOM * 6];
	struct iovec iov[PIECES];
	uint32_t count;
};

static struct urx_pi_format f;
static struct urx_pi pi;
static struct urx_tags tags;
static uint8_t data[ROOM], meta[BLOCKS * META], out[ROOM];
static struct scattered sdata, smeta;

static void scatter(struct scattered *s, const uint8_t *bytes, size_t len, uint32_t longest)
{
	uint8_t *low = s->arena + sizeof(s->arena);

	memset(s->arena, 0xa5, sizeof(s->arena));
	memset(s->used, 0, sizeof(s->used));
	for (s->count = 0; len > 0; s->count++) {
		size_t n = any(longest + 1);

		n = n < len ? n : len;
		low -= n + any(3);
		CHECK(low >= s->arena && s->count < PIECES);
		memcpy(low, bytes, n);
		memset(s->used + (low - s->arena), 1, n);
		s->iov[s->count] = (struct iovec){ n ? low : NULL, n };
		bytes += n, len -= n;
	}
}

/* Also checks that nothing between the pieces was written. */
static const uint8_t *gather(const struct scattered *s)
{
	size_t at = 0;

	for (size_t n = 0; n < sizeof(s->arena); n++)
		CHECK(s->used[n] || s->arena[n] == 0xa5);
	for (uint32_t n = 0; n < s->count; at += s->iov[n++].iov_len)
		if (s->iov[n].iov_len)
			memcpy(out + at, s->iov[n].iov_base, s->iov[n].iov_len);
	return out;
}

static bool interleaved(void)
{
	return f.flags & URX_PI_INTERLEAVED;
}

static size_t step(void)
{
	return interleaved() ? INTERVAL + META : INTERVAL;
}

static uint8_t *meta_at(unsigned block)
{
	return interleaved() ? data + block * step() + INTERVAL : meta + block * META;
}

static struct urx_pi_vec scatter_all(uint32_t longest)
{
	scatter(&sdata, data, BLOCKS * step(), longest);
	scatter(&smeta, meta, interleaved() ? 0 : sizeof(meta), longest);
	return (struct urx_pi_vec){ .data = sdata.iov, .data_cnt = sdata.count,
				    .meta = interleaved() ? NULL : smeta.iov, .meta_cnt = smeta.count };
}

/* Pieces and contiguous buffers hold the same. */
static void same(const char *context)
{
	CHECK_BYTES(gather(&sdata), data, BLOCKS * step(), context);
	CHECK_BYTES(gather(&smeta), meta, interleaved() ? 0 : sizeof(meta), context);
}

static void format(uint32_t longest)
{
	struct urx_pi_error errors[2][8] = { 0 };
	struct urx_pi_report r[2];
	struct urx_pi_vec v;
	void *m = interleaved() ? NULL : meta;

	pi = pi_of(&f);
	tags = (struct urx_tags){ .checks = 7, .app = 0x5aa5, .ref = UINT32_MAX - 3 };
	fill(data, sizeof(data), longest);
	fill(meta, sizeof(meta), longest + 1);
	v = scatter_all(longest);
	CHECK_EQ(urx_pi_generatev(&pi, &tags, &v), 0);
	for (unsigned n = 0; n < BLOCKS; n++)
		oracle_block(&f, &tags, n, data + n * step(), meta_at(n), meta_at(n) + f.pi_offset);
	same("generated");
	CHECK_EQ(urx_pi_verifyv(&pi, &tags, &v, NULL), 0);

	/* Some fields stay; what stays is what was in the pieces. */
	tags.app = 0x1111, tags.ref = 77, tags.keep = URX_CHECK_APP | URX_CHECK_GUARD;
	data[0] ^= 1;
	v = scatter_all(longest);
	CHECK_EQ(urx_pi_generatev(&pi, &tags, &v), 0);
	CHECK_EQ(urx_pi_generate(&pi, &tags, data, m, BLOCKS), 0);
	same("fields kept");
	tags.app = 0x5aa5;
	CHECK_EQ(urx_pi_verifyv(&pi, &tags, &v, NULL), -EILSEQ); /* the guard of block 0 was kept */
	data[0] ^= 1;
	v = scatter_all(longest);
	CHECK_EQ(urx_pi_verifyv(&pi, &tags, &v, NULL), 0);

	/* The same failures are found in the same order. */
	data[3 * step() + 5] ^= 0x10;
	for (unsigned byte = 0; byte < tuple_bytes(f.guard); byte += 2)
		meta_at(9 + byte)[f.pi_offset + byte] ^= 0x80;
	v = scatter_all(longest);
	for (unsigned n = 0; n < 2; n++)
		r[n] = (struct urx_pi_report){ .size = sizeof(r[n]), .errors = errors[n], .capacity = 8,
					       .flags = URX_REPORT_COUNT_ALL, .first_block = 50 };
	CHECK_EQ(urx_pi_verify(&pi, &tags, data, m, BLOCKS, &r[0]), -EILSEQ);
	CHECK_EQ(urx_pi_verifyv(&pi, &tags, &v, &r[1]), -EILSEQ);
	CHECK(r[0].failed >= 5 && errors[0][0].block == 53);
	r[1].errors = errors[0];
	CHECK_BYTES(&r[1], &r[0], sizeof(r[0]), "report");
	CHECK_BYTES(errors[1], errors[0], sizeof(errors[0]), "errors");
	same("verified");
}

/* For each block, which checks to make. */
static void block_checks(void)
{
	uint8_t checks[BLOCKS] = { 0 };
	struct urx_pi_error errors[BLOCKS];
	struct urx_pi_report r = { .size = sizeof(r), .errors = errors, .capacity = BLOCKS };
	struct urx_pi_vec v;
	unsigned next = 0;

	f = format_of(URX_GUARD_CRC64, 1, INTERVAL, META, false);
	pi = pi_of(&f);
	tags = (struct urx_tags){ .checks = URX_CHECK_GUARD | URX_CHECK_APP, .app = 1, .ref = 1 };
	CHECK_EQ(urx_pi_generate(&pi, &tags, data, meta, BLOCKS), 0);
	v = scatter_all(100);
	v.checks = checks;
	tags.app = 2, tags.ref = 2; /* both are wrong in every block */
	CHECK_EQ(urx_pi_verifyv(&pi, &tags, &v, &r), 0);
	CHECK_EQ(r.blocks, BLOCKS);
	for (unsigned n = 0; n < BLOCKS; n++)
		checks[n] = (uint8_t)(n % 16);
	CHECK_EQ(urx_pi_verifyv(&pi, &tags, &v, &r), -EILSEQ);
	for (unsigned n = 0; n < BLOCKS; n++)
		if (checks[n] & URX_CHECK_APP) { /* the reference tag was not asked for at all */
			CHECK_EQ(errors[next].block, n);
			CHECK_EQ(errors[next++].check, URX_CHECK_APP);
		}
	CHECK_EQ(r.failed, next);
	v.checks = NULL;
	r = (struct urx_pi_report){ .size = sizeof(r), .flags = URX_REPORT_COUNT_ALL };
	CHECK_EQ(urx_pi_verifyv(&pi, &tags, &v, &r), -EILSEQ);
	CHECK_EQ(r.failed, BLOCKS);
}

/* Generates four blocks in pieces of data and meta. A refused call writes nothing. */
static void expect(int ret, struct iovec *d, uint32_t data_cnt, struct iovec *m, uint32_t meta_cnt)
{
	static uint8_t before[2][ROOM];
	struct urx_pi_vec v = { .data = d, .data_cnt = data_cnt, .meta = m, .meta_cnt = meta_cnt };

	fill(data, sizeof(data), 7);
	fill(meta, sizeof(meta), 8);
	memcpy(before[0], data, sizeof(data));
	memcpy(before[1], meta, sizeof(meta));
	CHECK_EQ(urx_pi_generatev(&pi, &tags, &v), ret);
	if (ret) {
		CHECK_BYTES(data, before[0], sizeof(data), "refused");
		CHECK_BYTES(meta, before[1], sizeof(meta), "refused");
	}
}

static void refusals(void)
{
	struct iovec d = { data, 4 * INTERVAL }, m = { meta, 4 * META };
	struct iovec d2[] = { { data, 48 }, { data, 16 } }, far[] = { d, { NULL, 0 }, { NULL, 1 } };
	struct iovec m2[] = { { meta, 48 }, { meta + 48, 48 } }, huge[4];
	struct iovec both = { data, 4 * (INTERVAL + META) };
	struct urx_pi_report r = { .size = sizeof(r), .capacity = 1, .errors = (void *)(data + 8) };
	struct urx_pi_vec v = { .data = &d, .data_cnt = 1, .meta = &m, .meta_cnt = 1 };

	f = format_of(URX_GUARD_T10DIF, 1, INTERVAL, META, false);
	pi = pi_of(&f);
	tags = (struct urx_tags){ .checks = 7 };
	expect(0, &d, 1, &m, 1);
	expect(0, &d, 1, m2, 2);
	expect(0, NULL, 0, NULL, 0);
	expect(-EINVAL, NULL, 1, &m, 1);
	expect(-EINVAL, &d, 1, NULL, 1);
	expect(-EINVAL, &d, 1, NULL, 0);
	expect(0, far, 2, &m, 1); /* an empty piece has no address */
	expect(-EINVAL, far, 3, &m, 1);
	expect(-EINVAL, &d, 1, far, 3);
	d.iov_len--;
	expect(-EINVAL, &d, 1, &m, 1);
	d.iov_len += 2;
	expect(-EINVAL, &d, 1, &m, 1);
	d.iov_len--;
	m.iov_len--;
	expect(-EINVAL, &d, 1, &m, 1);
	m.iov_len += 2; /* more metadata than needed */
	expect(0, &d, 1, &m, 1);
	m.iov_len--;

	/* Overlap of what is written; data is only read and may come twice. */
	expect(0, d2, 2, &m, 1);
	m2[1].iov_base = meta + 47;
	expect(-EINVAL, &d, 1, m2, 2);
	m2[1].iov_base = meta;
	expect(-EINVAL, &d, 1, m2, 2);
	m2[1].iov_base = data + 63;
	expect(-EINVAL, &d, 1, m2, 2);
	m2[1].iov_base = data + 64;
	expect(0, &d, 1, m2, 2);
	d2[1].iov_base = meta + 95;
	expect(-EINVAL, d2, 2, &m, 1);

	/* More bytes than there can be. */
	for (unsigned n = 0; n < COUNT(huge); n++)
		huge[n] = (struct iovec){ data, (size_t)1 << 62 };
	expect(-EINVAL, huge, 1, &m, 1);
	expect(-EINVAL, huge, COUNT(huge), &m, 1);
	expect(-EINVAL, &d, 1, huge, COUNT(huge));
	huge[0].iov_len = SIZE_MAX;
	expect(-EINVAL, huge, 1, &m, 1);

	/* Nor may the array that tells the pieces lie where a tuple would change it. */
	memcpy(meta + 8, &d, sizeof(d));
	v.data = (const struct iovec *)(void *)(meta + 8);
	CHECK_EQ(urx_pi_generatev(&pi, &tags, &v), -EINVAL);
	v.data = &d;

	CHECK_EQ(urx_pi_generatev(&pi, &tags, NULL), -EINVAL);
	CHECK_EQ(urx_pi_verifyv(&pi, &tags, NULL, NULL), -EINVAL);
	CHECK_EQ(urx_pi_generatev(NULL, &tags, &v), -EINVAL);
	CHECK_EQ(urx_pi_generatev(&pi, NULL, &v), -EINVAL);
	CHECK_EQ(urx_pi_generatev(&pi, &tags, &v), 0);
	CHECK_EQ(urx_pi_verifyv(&pi, &tags, &v, NULL), 0);

	/* Errors may not be put where the checks of each block are looked up. */
	struct urx_pi_error errors[1] = { 0 };
	struct urx_pi_report on_checks = { .size = sizeof(r), .capacity = 1, .errors = errors };

	v.checks = (const uint8_t *)errors;
	CHECK_EQ(urx_pi_verifyv(&pi, &tags, &v, &on_checks), -EINVAL);
	v.checks = NULL;
	CHECK_EQ(urx_pi_verifyv(&pi, &tags, &v, &r), -EINVAL); /* errors lies in the data */
	r.errors = (void *)(meta + 8);
	CHECK_EQ(urx_pi_verifyv(&pi, &tags, &v, &r), -EINVAL);
	tags.checks = 0;
	CHECK_EQ(urx_pi_verifyv(&pi, &tags, &v, NULL), -EINVAL);
	tags.checks = URX_CHECK_STORAGE;
	CHECK_EQ(urx_pi_verifyv(&pi, &tags, &v, NULL), -EINVAL);

	f.flags = URX_PI_INTERLEAVED;
	pi = pi_of(&f);
	d2[0] = (struct iovec){ data + 80, 80 }, d2[1] = (struct iovec){ data, 80 };
	expect(0, &both, 1, NULL, 0);
	expect(0, d2, 2, NULL, 0);
	expect(-EINVAL, &both, 1, &m, 1);
	expect(-EINVAL, &d, 1, NULL, 0);
	d2[1].iov_base = data + 1;
	expect(-EINVAL, d2, 2, NULL, 0);
}

int main(void)
{
	static const uint32_t longest[] = { 3, 20, 90, ROOM };

	for (unsigned guard = URX_GUARD_T10DIF; guard <= URX_GUARD_CRC64; guard++)
		for (unsigned n = 0; n < 4 * COUNT(longest); n++) {
			f = format_of(guard, 1, INTERVAL, META, n & 1);
			f.flags = n & 2 ? URX_PI_INTERLEAVED : 0;
			format(longest[n / 4]);
		}
	block_checks();
	refusals();
	return 0;
}
