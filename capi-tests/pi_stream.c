/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Streams: pieces that end anywhere give the tuples and reports of one call; a refused one changes nothing. */
#include <sys/uio.h>
#include "urx_test.h"

enum { BLOCKS = 40, INTERVAL = 16, META = 24, ROOM = BLOCKS * (INTERVAL + META) };

static struct urx_pi_format f;
static struct urx_pi pi;
static struct urx_tags tags;
static uint8_t data[ROOM], meta[BLOCKS * META];

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

/* Bytes `at` to `end` of the data, with the metadata of the blocks that end there; each in two iovecs. */
static struct urx_pi_vec piece(struct iovec iov[4], size_t at, size_t end)
{
	size_t first = at / step() * META, last = end / step() * META;
	size_t cut = at + any((uint32_t)(end - at + 1));
	size_t meta_cut = first + any((uint32_t)(last - first + 1));

	iov[0] = (struct iovec){ data + at, cut - at };
	iov[1] = (struct iovec){ data + cut, end - cut };
	iov[2] = (struct iovec){ meta + first, meta_cut - first };
	iov[3] = (struct iovec){ meta + meta_cut, last - meta_cut };
	return (struct urx_pi_vec){ .data = iov, .data_cnt = 2, .meta = interleaved() ? NULL : iov + 2,
				    .meta_cnt = interleaved() ? 0 : 2 };
}

/* The whole stream in pieces of up to `longest` bytes. A report verifies. Returns the number of failures. */
static unsigned pass(uint32_t longest, struct urx_pi_report *report, bool verify)
{
	struct urx_pi_stream stream;
	struct iovec iov[4];
	unsigned failed = 0;
	int ret;

	memset(&stream, 0xa5, sizeof(stream));
	CHECK_EQ(urx_pi_stream_init(&stream, &pi, &tags), 0);
	CHECK_EQ(urx_pi_stream_end(&stream), 0);
	for (size_t at = 0, end; at < BLOCKS * step(); at = end) {
		struct urx_pi_vec v;
		size_t ending;

		end = at + any(longest + 1);
		end = end < BLOCKS * step() ? end : BLOCKS * step();
		CHECK_EQ(urx_pi_stream_blocks(&stream, end - at, &ending), 0);
		CHECK_EQ(ending, end / step() - at / step());
		v = piece(iov, at, end);
		ret = verify ? urx_pi_stream_verify(&stream, &v, report) :
			       urx_pi_stream_generate(&stream, &v);
		failed += ret == -EILSEQ;
		CHECK(ret == 0 || (verify && ret == -EILSEQ));
		CHECK_EQ(urx_pi_stream_end(&stream), end % step() ? -EMSGSIZE : 0);
	}
	return failed;
}

static void format(uint32_t longest)
{
	uint8_t wanted[2][ROOM];
	struct urx_pi_error errors[2][8] = { 0 };
	struct urx_pi_report r[2];

	pi = pi_of(&f);
	tags = (struct urx_tags){ .checks = 7, .app = 0x5aa5, .ref = UINT32_MAX - 3 };
	fill(data, sizeof(data), longest);
	fill(meta, sizeof(meta), longest + 1);
	memcpy(wanted[0], data, sizeof(data));
	memcpy(wanted[1], meta, sizeof(meta));
	for (unsigned n = 0; n < BLOCKS; n++) {
		uint8_t *m = interleaved() ? wanted[0] + n * step() + INTERVAL : wanted[1] + n * META;

		oracle_block(&f, &tags, n, data + n * step(), m, m + f.pi_offset);
	}
	pass(longest, NULL, false);
	CHECK_BYTES(data, wanted[0], sizeof(data), "generated");
	CHECK_BYTES(meta, wanted[1], sizeof(meta), "generated");
	CHECK_EQ(pass(longest, NULL, true), 0);

	/* Some fields stay as one call leaves them. */
	tags.keep = URX_CHECK_REF | URX_CHECK_GUARD, tags.app = 0x1111, tags.ref = 3;
	CHECK_EQ(urx_pi_generate(&pi, &tags, data, interleaved() ? NULL : meta, BLOCKS), 0);
	memcpy(wanted[0], data, sizeof(data));
	memcpy(wanted[1], meta, sizeof(meta));
	for (unsigned n = 0; n < BLOCKS; n++)
		memset(meta_at(n) + f.pi_offset + guard_bits(f.guard) / 8, 0x77, 2);
	pass(longest, NULL, false);
	CHECK_BYTES(data, wanted[0], sizeof(data), "fields kept");
	CHECK_BYTES(meta, wanted[1], sizeof(meta), "fields kept");

	/* Failures of all pieces, in one report, as one call finds them. */
	tags.ref = UINT32_MAX - 3;
	data[3 * step() + 5] ^= 0x10;
	data[35 * step()] ^= 1;
	for (unsigned byte = 0; byte < tuple_bytes(f.guard); byte += 3)
		meta_at(9 + byte)[f.pi_offset + byte] ^= 0x80;
	for (unsigned n = 0; n < 2; n++)
		r[n] = (struct urx_pi_report){ .size = sizeof(r[n]), .errors = errors[n], .capacity = 8,
					       .flags = URX_REPORT_COUNT_ALL, .first_block = 50 };
	CHECK_EQ(urx_pi_verify(&pi, &tags, data, interleaved() ? NULL : meta, BLOCKS, &r[0]), -EILSEQ);
	CHECK(pass(longest, &r[1], true) >= 1);
	r[1].errors = errors[0];
	CHECK_BYTES(&r[1], &r[0], sizeof(r[0]), "report");
	CHECK_BYTES(errors[1], errors[0], sizeof(errors[0]), "errors");
	CHECK_EQ(r[0].failed, 2 + (tuple_bytes(f.guard) + 2) / 3);
	/* Without one each piece stops at its first failure, and the next is right all the same. */
	if (longest <= step())
		CHECK_EQ(pass(longest, NULL, true), r[0].failed);
}

/* Verification that ends early passes over the rest of its piece: what begins there is right. */
static void passed_over(void)
{
	size_t end = (BLOCKS - 1) * step() + 7;
	struct urx_pi_stream stream;
	struct iovec iov[4];
	struct urx_pi_vec v;

	pi = pi_of(&f);
	tags = (struct urx_tags){ .checks = 7, .app = 1, .ref = 5 };
	CHECK_EQ(urx_pi_generate(&pi, &tags, data, interleaved() ? NULL : meta, BLOCKS), 0);
	data[0] ^= 1;
	for (unsigned n = 0; n < 100; n++) {
		CHECK_EQ(urx_pi_stream_init(&stream, &pi, &tags), 0);
		v = piece(iov, 0, end);
		CHECK_EQ(urx_pi_stream_verify(&stream, &v, NULL), -EILSEQ);
		CHECK_EQ(urx_pi_stream_end(&stream), -EMSGSIZE);
		v = piece(iov, end, BLOCKS * step());
		CHECK_EQ(urx_pi_stream_verify(&stream, &v, NULL), 0);
		CHECK_EQ(urx_pi_stream_end(&stream), 0);
	}
}

/* Every value of the tags lasts from call to call. */
static void all_tags(void)
{
	struct urx_pi_stream stream;
	struct iovec iov[4];
	struct urx_pi_vec v;
	uint8_t once[sizeof(meta)];

	f = format_of(URX_GUARD_CRC32C, 1, INTERVAL, META, true);
	f.storage_bits = 64;
	pi = pi_of(&f);
	tags = (struct urx_tags){ .checks = 15, .app = 0x1234, .ref = 0xfffe, .storage = 0x0123456789abcdef };
	for (unsigned n = 0; n < 2; n++) {
		CHECK_EQ(urx_pi_generate(&pi, &tags, data, meta, BLOCKS), 0);
		memcpy(once, meta, sizeof(meta));
		memset(meta + 3 * META + f.pi_offset, 0, 16);
		CHECK_EQ(urx_pi_stream_init(&stream, &pi, &tags), 0);
		for (size_t at = 0; at < BLOCKS * INTERVAL; at += 40) {
			v = piece(iov, at, at + 40);
			CHECK_EQ(urx_pi_stream_generate(&stream, &v), 0);
		}
		CHECK_BYTES(meta, once, sizeof(meta), "all tags");
		f.storage_bits = 0; /* then the reference tag has its high bits */
		pi = pi_of(&f);
		tags.checks = 7, tags.storage = 0, tags.ref = UINT64_MAX - 5, tags.ref_hi = 0x4321;
	}
	tags.app = 0x1233, tags.app_ignore = 7;
	CHECK_EQ(pass(40, NULL, true), 0);
	tags.app_ignore = 6;
	CHECK(pass(40, NULL, true) > 0);
}

/* One more piece, which is refused: nothing has changed. */
static void refused(struct urx_pi_stream *stream, const struct urx_pi_vec *v)
{
	struct urx_pi_stream before = *stream;
	struct urx_pi_report r = { .size = sizeof(r) };
	uint8_t was[2][ROOM];

	memcpy(was[0], data, sizeof(data));
	memcpy(was[1], meta, sizeof(meta));
	CHECK_EQ(urx_pi_stream_generate(stream, v), -EINVAL);
	CHECK_EQ(urx_pi_stream_verify(stream, v, &r), -EINVAL);
	CHECK_EQ(r.blocks, 0);
	CHECK_BYTES(stream, &before, sizeof(before), "refused");
	CHECK_BYTES(data, was[0], sizeof(data), "refused");
	CHECK_BYTES(meta, was[1], sizeof(meta), "refused");
}

static void separate(void)
{
	struct iovec d = { data, 2 * INTERVAL + 3 }, m = { meta, 2 * META };
	struct iovec huge = { data, (size_t)1 << 62 };
	struct iovec twice[] = { { meta, META + 1 }, { meta + META, META - 1 } };
	struct urx_pi_vec v = { .data = &d, .data_cnt = 1, .meta = &m, .meta_cnt = 1 };
	struct urx_pi_vec none = { 0 }, bad;
	struct urx_pi_stream stream;
	struct urx_pi_report r = { .size = sizeof(r), .capacity = 1, .errors = (void *)(data + 5) };
	struct urx_tags wide = { .storage = 1 };
	uint8_t checks[2] = { 0 };

	f = format_of(URX_GUARD_IP, 1, INTERVAL, META, false);
	pi = pi_of(&f);
	tags = (struct urx_tags){ .checks = 7, .app = 1, .ref = 5 };
	CHECK_EQ(urx_pi_stream_init(&stream, &pi, &tags), 0);
	for (m.iov_len = 0; m.iov_len <= 4 * META; m.iov_len++)
		if (m.iov_len != 2 * META)
			refused(&stream, &v);
	m.iov_len = 2 * META;
	refused(&stream, NULL);
	bad = v, bad.data = NULL;
	refused(&stream, &bad);
	bad = v, bad.meta = NULL;
	refused(&stream, &bad);
	bad = v, bad.checks = checks;
	refused(&stream, &bad);
	bad = v, bad.meta = twice, bad.meta_cnt = 2; /* overlap: only generation minds */
	CHECK_EQ(urx_pi_stream_generate(&stream, &bad), -EINVAL);
	m.iov_base = data;
	CHECK_EQ(urx_pi_stream_generate(&stream, &v), -EINVAL);
	m.iov_base = meta;
	CHECK_EQ(urx_pi_stream_verify(&stream, &v, &r), -EINVAL);

	/* The right piece goes on as if nothing had been; an empty one may come at any time. */
	CHECK_EQ(urx_pi_stream_generate(&stream, &none), 0);
	CHECK_EQ(urx_pi_stream_generate(&stream, &v), 0);
	CHECK_EQ(urx_pi_stream_generate(&stream, &none), 0);
	CHECK_EQ(urx_pi_stream_end(&stream), -EMSGSIZE);
	m = (struct iovec){ meta + 2 * META, META };
	d = (struct iovec){ data + 2 * INTERVAL + 3, INTERVAL - 4 };
	refused(&stream, &v);
	d.iov_len++;
	CHECK_EQ(urx_pi_stream_generate(&stream, &v), 0);
	CHECK_EQ(urx_pi_stream_end(&stream), 0);
	CHECK_EQ(urx_pi_verify(&pi, &tags, data, meta, 3, NULL), 0);

	CHECK_EQ(urx_pi_stream_init(NULL, &pi, &tags), -EINVAL);
	CHECK_EQ(urx_pi_stream_init(&stream, NULL, &tags), -EINVAL);
	CHECK_EQ(urx_pi_stream_init(&stream, &pi, NULL), -EINVAL);
	CHECK_EQ(urx_pi_stream_init(&stream, &pi, &wide), -EINVAL);

	/* The metadata of so many blocks has no length at all: 2^58 * 2^6 bytes. */
	f = format_of(URX_GUARD_IP, 1, 16, 64, false);
	pi = pi_of(&f);
	CHECK_EQ(urx_pi_stream_init(&stream, &pi, &tags), 0);
	v.data = &huge, v.meta = NULL, v.meta_cnt = 0;
	refused(&stream, &v);
}

static void uninitialised(void)
{
	struct urx_pi_stream streams[3];
	struct urx_pi_vec v = { 0 };

	memset(&streams[0], 0, sizeof(streams[0]));
	memset(&streams[1], 0xa5, sizeof(streams[1]));
	f = format_of(URX_GUARD_CRC32C, 1, INTERVAL, META, false);
	pi = pi_of(&f);
	CHECK_EQ(urx_pi_stream_init(&streams[2], &pi, &tags), 0);
	streams[2].lib[0]++; /* by another version of the library */
	for (unsigned n = 0; n < COUNT(streams); n++) {
		refused(&streams[n], &v);
		CHECK_EQ(urx_pi_stream_end(&streams[n]), -EINVAL);
	}
	CHECK_EQ(urx_pi_stream_generate(NULL, &v), -EINVAL);
	CHECK_EQ(urx_pi_stream_verify(NULL, &v, NULL), -EINVAL);
	CHECK_EQ(urx_pi_stream_end(NULL), -EINVAL);
}

/* A copy of a stream is a stream: plain data. */
static void copied(void)
{
	struct urx_pi_stream stream, copy;
	struct iovec iov[4];
	struct urx_pi_vec v;
	uint8_t once[sizeof(meta)];

	f = format_of(URX_GUARD_CRC32C, 2, INTERVAL, META, true);
	pi = pi_of(&f);
	tags = (struct urx_tags){ .app = 1, .ref = 5 };
	CHECK_EQ(urx_pi_stream_init(&stream, &pi, &tags), 0);
	v = piece(iov, 0, 3 * INTERVAL + 7);
	CHECK_EQ(urx_pi_stream_generate(&stream, &v), 0);
	copy = stream;
	memset(&pi, 0, sizeof(pi)); /* nor does it need the format any longer */
	v = piece(iov, 3 * INTERVAL + 7, 5 * INTERVAL);
	CHECK_EQ(urx_pi_stream_generate(&stream, &v), 0);
	memcpy(once, meta, sizeof(meta));
	memset(meta + 3 * META + f.pi_offset, 0, 16);
	CHECK_EQ(urx_pi_stream_generate(&copy, &v), 0);
	CHECK_BYTES(meta, once, sizeof(meta), "copied stream");
}

int main(void)
{
	static const uint32_t longest[] = { 1, 5, 39, 200, ROOM * 2 };

	for (unsigned guard = URX_GUARD_T10DIF; guard <= URX_GUARD_CRC64; guard++)
		for (unsigned n = 0; n < 4 * COUNT(longest); n++) {
			f = format_of(guard, 1, INTERVAL, META, n & 1);
			f.flags = n & 2 ? URX_PI_INTERLEAVED : 0;
			format(longest[n / 4]);
			passed_over();
		}
	all_tags();
	uninitialised();
	copied();
	separate();
	return 0;
}
