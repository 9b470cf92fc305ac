/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Copies that protect and verify on the way, insert and strip: data, tuples, reports, refusals. */
#include <sys/uio.h>
#include "urx_test.h"

enum { BLOCKS = 40, INTERVAL = 16, META = 24, ROOM = BLOCKS * (INTERVAL + META), BARE = BLOCKS * INTERVAL };

static struct urx_pi_format f;
static struct urx_pi pi;
static struct urx_tags tags;
static uint8_t data[ROOM], meta[BLOCKS * META], bare[BARE];
static struct iovec diov[ROOM * 3], miov[ROOM * 3], biov[ROOM * 3];
static struct urx_pi_vec v;
static uint32_t bare_cnt;

/* Pieces of up to `longest` bytes, some empty. */
static uint32_t cut(struct iovec *iov, uint8_t *bytes, size_t len, uint32_t longest)
{
	uint32_t count = 0;

	while (len > 0) {
		size_t n = any(longest + 1);

		n = n < len ? n : len;
		iov[count++] = (struct iovec){ n ? bytes : NULL, n };
		bytes += n, len -= n;
	}
	return count;
}

static bool interleaved(void)
{
	return f.flags & URX_PI_INTERLEAVED;
}

static size_t step(void)
{
	return interleaved() ? INTERVAL + META : INTERVAL;
}

static uint8_t *meta_in(uint8_t *d, uint8_t *m, unsigned block)
{
	return interleaved() ? d + block * step() + INTERVAL : m + block * META;
}

static void cut_all(uint32_t longest)
{
	v = (struct urx_pi_vec){ .data = diov, .data_cnt = cut(diov, data, BLOCKS * step(), longest) };
	if (!interleaved())
		v.meta = miov, v.meta_cnt = cut(miov, meta, sizeof(meta), longest);
	bare_cnt = cut(biov, bare, sizeof(bare), longest);
}

static void copy_generate(uint32_t longest)
{
	uint8_t wanted_data[ROOM], wanted_meta[sizeof(meta)], before[BARE];

	fill(data, sizeof(data), 1);
	fill(meta, sizeof(meta), 2);
	fill(bare, sizeof(bare), 3);
	memcpy(before, bare, sizeof(bare));
	memcpy(wanted_data, data, sizeof(data));
	memcpy(wanted_meta, meta, sizeof(meta));
	for (unsigned n = 0; n < BLOCKS; n++) {
		uint8_t *m = meta_in(wanted_data, wanted_meta, n);

		memcpy(wanted_data + n * step(), bare + n * INTERVAL, INTERVAL);
		oracle_block(&f, &tags, n, bare + n * INTERVAL, m, m + f.pi_offset);
	}
	cut_all(longest);
	CHECK_EQ(urx_pi_copy_generatev(&pi, &tags, &v, biov, bare_cnt), 0);
	CHECK_BYTES(data, wanted_data, sizeof(data), "copied");
	CHECK_BYTES(meta, wanted_meta, sizeof(meta), "copied");
	CHECK_BYTES(bare, before, sizeof(bare), "source");
}

/* Verifies and copies into emptied memory: all of the data must come, whatever is found. */
static int copy_verify(uint32_t longest, struct urx_pi_report *report)
{
	int ret;

	cut_all(longest);
	memset(bare, 0, sizeof(bare));
	ret = urx_pi_copy_verifyv(&pi, &tags, &v, biov, bare_cnt, report);
	for (unsigned n = 0; n < BLOCKS; n++)
		CHECK_BYTES(bare + n * INTERVAL, data + n * step(), INTERVAL, "copied out");
	return ret;
}

static void verify(uint32_t longest)
{
	struct urx_pi_error e[3] = { 0 };
	struct urx_pi_report one = { .size = sizeof(one), .errors = e, .capacity = 1, .first_block = 9 };
	struct urx_pi_report all = { .size = sizeof(all), .flags = URX_REPORT_COUNT_ALL,
				     .errors = e + 1, .capacity = 2, .first_block = 9 };

	CHECK_EQ(copy_verify(longest, NULL), 0);
	data[2 * step() + 1] ^= 1;
	meta_in(data, meta, 30)[f.pi_offset + guard_bits(f.guard) / 8] ^= 2; /* application tag */
	CHECK_EQ(copy_verify(longest, NULL), -EILSEQ);
	CHECK_EQ(copy_verify(longest, &one), -EILSEQ);
	CHECK_EQ(one.failed, 1);
	CHECK_EQ(one.blocks, 3);
	CHECK_EQ(e[0].block, 11);
	CHECK_EQ(e[0].check, URX_CHECK_GUARD);
	CHECK_EQ(copy_verify(longest, &all), -EILSEQ);
	CHECK_EQ(all.failed, 2);
	CHECK_EQ(all.blocks, BLOCKS);
	CHECK_EQ(e[1].block, 11);
	CHECK_EQ(e[2].block, 39);
	CHECK_EQ(e[2].check, URX_CHECK_APP);
	CHECK_EQ(e[2].expected, 0x5aa5);
	CHECK_EQ(e[2].actual, 0x58a5);
}

/* Both directions refuse the same pieces and then write nothing. */
static void refused(struct iovec d, struct iovec m, const struct iovec *b, uint32_t count, bool both)
{
	struct urx_pi_vec bad = { .data = &d, .data_cnt = 1, .meta = &m, .meta_cnt = m.iov_len > 0 };
	uint8_t before[3][ROOM];

	memcpy(before[0], data, sizeof(data));
	memcpy(before[1], meta, sizeof(meta));
	memcpy(before[2], bare, sizeof(bare));
	CHECK_EQ(urx_pi_copy_generatev(&pi, &tags, &bad, b, count), -EINVAL);
	if (both)
		CHECK_EQ(urx_pi_copy_verifyv(&pi, &tags, &bad, b, count, NULL), -EINVAL);
	CHECK_BYTES(data, before[0], sizeof(data), "refused");
	CHECK_BYTES(meta, before[1], sizeof(meta), "refused");
	CHECK_BYTES(bare, before[2], sizeof(bare), "refused");
}

static void refusals(void)
{
	struct iovec d = { data, BLOCKS * step() }, m = { meta, interleaved() ? 0 : sizeof(meta) };
	struct iovec good = { bare, sizeof(bare) }, b = good, twice[] = { { bare, 320 }, { bare + 319, 320 } };
	struct urx_pi_vec w = { .data = &d, .data_cnt = 1, .meta = &m, .meta_cnt = m.iov_len > 0 };
	struct urx_pi_report r = { .size = sizeof(r), .capacity = 1, .errors = (void *)bare };

	refused(d, m, NULL, 0, true);
	refused(d, m, NULL, 1, true);
	refused(d, m, &(struct iovec){ NULL, sizeof(bare) }, 1, true);
	b.iov_len--;
	refused(d, m, &b, 1, true);
	b.iov_len += 2;
	refused(d, m, &b, 1, true);
	b = (struct iovec){ data, sizeof(bare) };
	refused(d, m, &b, 1, true);
	if (!interleaved()) {
		b.iov_base = meta;
		refused(d, m, &b, 1, true);
		refused(d, (struct iovec){ meta, 1 }, &good, 1, true);
		refused(d, (struct iovec){ data, sizeof(meta) }, &good, 1, false);
	} else {
		refused(d, (struct iovec){ meta, sizeof(meta) }, &good, 1, true);
	}
	d.iov_len--;
	refused(d, m, &good, 1, true);
	d.iov_len++;

	/* Pieces to be written may not overlap, pieces to be read may. */
	CHECK_EQ(urx_pi_copy_generatev(&pi, &tags, &w, twice, 2), 0);
	CHECK_EQ(urx_pi_copy_verifyv(&pi, &tags, &w, twice, 2, NULL), -EINVAL);
	CHECK_EQ(urx_pi_copy_verifyv(&pi, &tags, &w, &good, 1, &r), -EINVAL);
	CHECK_EQ(urx_pi_copy_verifyv(&pi, &tags, &w, &good, 1, NULL), 0);
	w.data = (struct iovec[]){ { data, d.iov_len / 2 }, { data + 1, d.iov_len / 2 } };
	w.data_cnt = 2;
	CHECK_EQ(urx_pi_copy_generatev(&pi, &tags, &w, &good, 1), -EINVAL);

	/* Nor may tuples go where the pieces of the data are told. */
	if (!interleaved()) {
		struct iovec room[sizeof(meta) / sizeof(struct iovec) + 1] = { d };
		struct iovec own = { room, sizeof(meta) };

		w = (struct urx_pi_vec){ .data = room, .data_cnt = 1, .meta = &own, .meta_cnt = 1 };
		CHECK_EQ(urx_pi_copy_generatev(&pi, &tags, &w, &good, 1), -EINVAL);
	}
	CHECK_EQ(urx_pi_copy_generatev(&pi, &tags, NULL, &good, 1), -EINVAL);
	CHECK_EQ(urx_pi_copy_verifyv(&pi, &tags, NULL, &good, 1, NULL), -EINVAL);
}

int main(void)
{
	static const uint32_t longest[] = { 1, 3, 60, ROOM };

	for (unsigned guard = URX_GUARD_T10DIF; guard <= URX_GUARD_CRC64; guard++)
		for (unsigned n = 0; n < 4 * COUNT(longest); n++) {
			f = format_of(guard, 1, INTERVAL, META, n & 1);
			f.flags = n & 2 ? URX_PI_INTERLEAVED : 0;
			pi = pi_of(&f);
			tags = (struct urx_tags){ .checks = 7, .app = 0x5aa5, .ref = UINT32_MAX - 3 };
			copy_generate(longest[n / 4]);
			verify(longest[n / 4]);
			refusals();
		}
	return 0;
}
