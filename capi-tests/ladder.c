/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * One script of requests, over every path and on every kernel: what is promised to be the same is one line of
 * text, written down here beside the request. A path that cannot carry a request says why and is left out, and
 * which ones those are is written down, too.
 */
#include "urx_test.h"

enum { A = URX_PATH_ATTR, U = URX_PATH_URING_CMD, I = URX_PATH_IOCTL, S = URX_PATH_SOFTWARE };
enum { AT = 72, APP_TAG = 0x1234, MOST_PIECES = 1024 };
enum { GUARD = URX_CHECK_GUARD, REF = URX_CHECK_REF, APP = URX_CHECK_APP };

/* What the namespaces of vm/namespaces are, whoever is asked. */
static const struct format {
	const char *label;
	unsigned guard, type, interval, meta, last;
	unsigned start; /* blocks of the device before the target */
	unsigned paths;
	bool interleaved;
} formats[] = {
	{ "pi512", URX_GUARD_T10DIF, 1, 512, 8, 0, 0, A | U | I | S, false },
	{ "pi4k", URX_GUARD_T10DIF, 1, 4096, 8, 0, 0, A | U | I | S, false },
	{ "type2", URX_GUARD_T10DIF, 2, 4096, 8, 0, 0, A | U | I | S, false },
	{ "type3", URX_GUARD_T10DIF, 3, 4096, 8, 0, 0, A | U | I | S, false },
	{ "pi64", URX_GUARD_CRC64, 1, 4096, 16, 0, 0, A | U | I | S, false },
	{ "ms64first", URX_GUARD_T10DIF, 1, 4096, 64, 0, 0, A | U | I | S, false },
	{ "ms64last", URX_GUARD_T10DIF, 1, 4096, 64, 1, 0, A | U | I | S, false },
	{ "ext4k", URX_GUARD_T10DIF, 1, 4096, 8, 0, 0, U | I | S, true },
	{ "ms8nopi", URX_GUARD_NONE, 0, 4096, 8, 0, 0, A | U | I, false },
	{ "part1", URX_GUARD_T10DIF, 1, 4096, 8, 0, 17, A | U | I, false },
	{ "part2", URX_GUARD_T10DIF, 1, 4096, 8, 0, 3001, A | U | I, false },
};

/* What is wrong with one block of what is stored, or about to be. */
enum wrong { NOTHING, DATA, TUPLE_GUARD, TUPLE_APP, TUPLE_REF, ESCAPE, HALF_ESCAPE };

/* Reference tags count from the device's number, from another, or from just before the field ends. */
enum ref { LBA, OTHER, WRAP };

/* How the buffers lie, and what else is asked for. */
enum { VEC = 1, INTER = 2, PRACT = 4, FUA = 8, LONG_META = 16, DIFFERS = 32, PAGES = 64 };

struct request {
	const char *name, *on; /* labels, each followed by a space */
	const char *expect;
	unsigned paths, op, blocks, checks;
	enum ref ref;
	struct {
		enum wrong what;
		unsigned block;
	} wrong[2];
	unsigned how;
	uint16_t app, ignore;
	void (*bend)(struct urx_rw *rw, uint64_t bytes);
};

static void beyond_by_two(struct urx_rw *rw, uint64_t bytes)
{
	rw->offset = bytes - rw->data_len / 2;
}

static void behind_the_end(struct urx_rw *rw, uint64_t bytes)
{
	rw->offset = bytes;
}

static void far_away(struct urx_rw *rw, uint64_t bytes)
{
	(void)bytes;
	rw->offset = UINT64_MAX - 65535;
}

static void offset_in_block(struct urx_rw *rw, uint64_t bytes)
{
	(void)bytes;
	rw->offset += 256;
}

static void length_in_block(struct urx_rw *rw, uint64_t bytes)
{
	(void)bytes;
	rw->data_len -= 256;
}

static void no_length(struct urx_rw *rw, uint64_t bytes)
{
	(void)bytes;
	rw->data_len = 0;
}

static void no_data(struct urx_rw *rw, uint64_t bytes)
{
	(void)bytes;
	rw->data = NULL;
}

static void no_meta(struct urx_rw *rw, uint64_t bytes)
{
	(void)bytes;
	rw->meta = NULL;
}

static void short_meta(struct urx_rw *rw, uint64_t bytes)
{
	(void)bytes;
	rw->meta_len--;
}

static void odd_data(struct urx_rw *rw, uint64_t bytes)
{
	(void)bytes;
	rw->data = (char *)rw->data + 1;
}

static void overlapping(struct urx_rw *rw, uint64_t bytes)
{
	(void)bytes;
	rw->meta = rw->data;
}

static void reference_of_type3(struct urx_rw *rw, uint64_t bytes)
{
	(void)bytes;
	rw->tags.checks |= URX_CHECK_REF;
}

static void storage_check(struct urx_rw *rw, uint64_t bytes)
{
	(void)bytes;
	rw->tags.checks |= URX_CHECK_STORAGE;
}

static void storage_value(struct urx_rw *rw, uint64_t bytes)
{
	(void)bytes;
	rw->tags.storage = 1;
}

static void flush_of_something(struct urx_rw *rw, uint64_t bytes)
{
	(void)bytes;
	rw->data_len = 4096;
}

static void zeroes_from_somewhere(struct urx_rw *rw, uint64_t bytes)
{
	(void)bytes;
	rw->data = &rw->data;
}

#define ONCE "pi4k "
#define COUNTED "pi512 pi4k type2 pi64 ms64first ms64last ext4k part1 part2 "
#define PROTECTED COUNTED "type3 "
#define LARGE "pi512 pi4k type3 pi64 ms64last ext4k "
#define ALL 15

/*
 * "ok A": data and tuples as they were stored before. "ok stored B": as in the buffers of the write, but with
 * the device's reference tags. "ok" of something else: all of it.
 */
static const struct request script[] = {
	{ "read", PROTECTED "ms8nopi ", "ok A", A | U | I | S, URX_OP_READ, 4, ALL, .ref = LBA },
	{ "read, one block", PROTECTED, "ok A", A | U | I | S, URX_OP_READ, 1, ALL, .ref = LBA },
	{ "read, counted from elsewhere", COUNTED, "ok A", A | U | I | S, URX_OP_READ, 4, ALL, .ref = OTHER },
	{ "read, count wraps", COUNTED, "ok A", A | U | I | S, URX_OP_READ, 4, ALL, .ref = WRAP },
	{ "read, bad data", PROTECTED, "EILSEQ", A | U | I | S, URX_OP_READ, 4, ALL, .ref = LBA, .wrong = { { DATA, 2 } } },
	{ "read, bad guard", PROTECTED, "EILSEQ", A | U | I | S, URX_OP_READ, 4, ALL, .ref = OTHER,
	  .wrong = { { TUPLE_GUARD, 0 } } },
	{ "read, bad app", PROTECTED, "EILSEQ", A | U | I | S, URX_OP_READ, 4, ALL, .ref = LBA, .wrong = { { TUPLE_APP, 1 } } },
	{ "read, bad ref", COUNTED, "EILSEQ", A | U | I | S, URX_OP_READ, 4, ALL, .ref = OTHER, .wrong = { { TUPLE_REF, 3 } } },
	{ "read, another app asked for", PROTECTED, "EILSEQ", A | U | I | S, URX_OP_READ, 4, ALL, .ref = LBA,
	  .app = 0x4321 },
	{ "read, bad but not checked", PROTECTED, "ok A", A | U | I | S, URX_OP_READ, 4, 0, .ref = OTHER,
	  .wrong = { { DATA, 2 }, { TUPLE_REF, 3 } } },
	{ "read, app not checked", PROTECTED, "ok A", A | U | I | S, URX_OP_READ, 4, GUARD | REF, .ref = LBA,
	  .wrong = { { TUPLE_APP, 1 } } },
	{ "read, ref not checked", COUNTED, "ok A", A | U | I | S, URX_OP_READ, 4, GUARD | APP, .ref = OTHER,
	  .wrong = { { TUPLE_REF, 1 } } },
	{ "read, guard not checked", COUNTED, "ok A", A | U | I | S, URX_OP_READ, 4, REF | APP, .ref = LBA,
	  .wrong = { { TUPLE_GUARD, 1 } } },
	{ "read, app in part", PROTECTED, "ok A", U | I | S, URX_OP_READ, 4, ALL, .ref = LBA, .app = 0x12ff,
	  .ignore = 0x00ff },
	{ "read, app in part wrong", PROTECTED, "EILSEQ", U | I | S, URX_OP_READ, 4, ALL, .ref = LBA, .app = 0x13ff,
	  .ignore = 0x00ff },
	{ "read, escape", PROTECTED, "ok A", A | U | I | S, URX_OP_READ, 4, ALL, .ref = OTHER, .wrong = { { ESCAPE, 1 } } },
	{ "read, half an escape", "type3 ", "EILSEQ", A | U | I | S, URX_OP_READ, 4, ALL, .ref = LBA,
	  .wrong = { { HALF_ESCAPE, 1 } } },
	{ "read, several commands", LARGE, "ok A", A | I | S, URX_OP_READ, 0, ALL, .ref = OTHER },
	{ "read, several commands, the last bad", LARGE, "EILSEQ", A | I | S, URX_OP_READ, 0, ALL, .ref = LBA,
	  .wrong = { { DATA, 257 } } },
	{ "read, scattered", PROTECTED, "ok A", A | I | S, URX_OP_READ, 8, ALL, .ref = OTHER, .how = VEC },
	{ "read, scattered, bad", PROTECTED, "EILSEQ", A | I | S, URX_OP_READ, 8, ALL, .ref = LBA, .wrong = { { DATA, 5 } },
	  .how = VEC },
	{ "read, scattered over pages", PROTECTED, "ok A", A | U | I | S, URX_OP_READ, 24, ALL, .ref = OTHER,
	  .how = PAGES },
	{ "read, interleaved, scattered", "ext4k ", "ok A", U | I, URX_OP_READ, 8, ALL, .ref = OTHER,
	  .how = INTER | VEC },
	{ "read, interleaved", "ext4k ", "ok A", U | I, URX_OP_READ, 4, ALL, .ref = LBA, .how = INTER },
	{ "read, interleaved, counted from elsewhere", "ext4k ", "ok A", U | I, URX_OP_READ, 4, ALL, .ref = OTHER,
	  .how = INTER },
	{ "read, tuples stripped", "pi512 pi4k type2 pi64 part1 ", "ok A", U | I, URX_OP_READ, 4, ALL, .ref = LBA,
	  .how = PRACT },
	{ "read, more room than tuples", PROTECTED, "ok A", A | U | I | S, URX_OP_READ, 4, ALL, .ref = LBA,
	  .how = LONG_META },

	{ "write", PROTECTED "ms8nopi ", "ok stored B", A | U | I | S, URX_OP_WRITE, 4, ALL, .ref = LBA },
	{ "write, one block", PROTECTED, "ok stored B", A | U | I | S, URX_OP_WRITE, 1, ALL, .ref = LBA },
	{ "write, counted from elsewhere", COUNTED, "ok stored B", A | I | S, URX_OP_WRITE, 4, ALL, .ref = OTHER },
	{ "write, count wraps", COUNTED, "ok stored B", A | I | S, URX_OP_WRITE, 4, ALL, .ref = WRAP },
	{ "write, bad data", PROTECTED, "EILSEQ guard block 2 lba +2", A | U | I | S, URX_OP_WRITE, 4, ALL, .ref = LBA,
	  .wrong = { { DATA, 2 } } },
	{ "write, bad guard", PROTECTED, "EILSEQ guard block 0 lba +0", A | U | I | S, URX_OP_WRITE, 4, ALL, .ref = LBA,
	  .wrong = { { TUPLE_GUARD, 0 } } },
	{ "write, bad app", PROTECTED, "EILSEQ application tag block 1 lba +1", A | U | I | S, URX_OP_WRITE, 4,
	  ALL, .ref = LBA, .wrong = { { TUPLE_APP, 1 } } },
	{ "write, bad ref", COUNTED, "EILSEQ reference tag block 3 lba +3", A | U | I | S, URX_OP_WRITE, 4, ALL,
	  .ref = LBA, .wrong = { { TUPLE_REF, 3 } } },
	{ "write, counted from elsewhere, bad ref", COUNTED, "EILSEQ reference tag block 3 lba +3", A | I | S,
	  URX_OP_WRITE, 4, ALL, .ref = OTHER, .wrong = { { TUPLE_REF, 3 } } },
	{ "write, two bad blocks", PROTECTED, "EILSEQ application tag block 1 lba +1", A | U | I | S,
	  URX_OP_WRITE, 4, ALL, .ref = LBA, .wrong = { { DATA, 3 }, { TUPLE_APP, 1 } } },
	{ "write, bad but not checked", PROTECTED, "ok stored B", A | U | I | S, URX_OP_WRITE, 4, 0, .ref = LBA,
	  .wrong = { { DATA, 2 }, { TUPLE_APP, 3 } } },
	{ "write, app in part", PROTECTED, "ok stored B", U | I | S, URX_OP_WRITE, 4, ALL, .ref = LBA, .app = 0x1200,
	  .ignore = 0x00ff },
	{ "write, escape", PROTECTED, "ok stored B", A | U | I | S, URX_OP_WRITE, 4, ALL, .ref = LBA, .wrong = { { ESCAPE, 1 } } },
	{ "write, escape, counted from elsewhere", COUNTED, "ok stored B", A | I | S, URX_OP_WRITE, 4, ALL, .ref = OTHER,
	  .wrong = { { ESCAPE, 1 } } },
	{ "write, several commands", LARGE, "ok stored B", A | I | S, URX_OP_WRITE, 0, ALL, .ref = OTHER },
	{ "write, several commands, a late one bad", LARGE, "EILSEQ guard block 257 lba +257", A | I | S,
	  URX_OP_WRITE, 0, ALL, .ref = OTHER, .wrong = { { DATA, 257 } } },
	{ "write, scattered", PROTECTED, "ok stored B", A | I | S, URX_OP_WRITE, 8, ALL, .ref = LBA, .how = VEC },
	{ "write, scattered, bad", PROTECTED, "EILSEQ guard block 5 lba +5", A | I | S, URX_OP_WRITE, 8, ALL,
	  .ref = LBA, .wrong = { { DATA, 5 } }, .how = VEC },
	{ "write, scattered over pages", PROTECTED, "ok stored B", A | U | I | S, URX_OP_WRITE, 24, ALL, .ref = LBA,
	  .how = PAGES },
	{ "write, scattered over pages, bad", PROTECTED, "EILSEQ guard block 17 lba +17", A | U | I | S,
	  URX_OP_WRITE, 24, ALL, .ref = LBA, .wrong = { { DATA, 17 } }, .how = PAGES },
	{ "write, interleaved, scattered", "ext4k ", "ok stored B", U | I, URX_OP_WRITE, 8, ALL, .ref = LBA,
	  .how = INTER | VEC },
	{ "write, interleaved", "ext4k ", "ok stored B", U | I, URX_OP_WRITE, 4, ALL, .ref = LBA, .how = INTER },
	{ "write, interleaved, counted from elsewhere", "ext4k ", "ok stored B", I, URX_OP_WRITE, 4, ALL, .ref = OTHER,
	  .how = INTER },
	{ "write, interleaved, bad", "ext4k ", "EILSEQ guard block 2 lba +2", U | I, URX_OP_WRITE, 4, ALL, .ref = LBA,
	  .wrong = { { DATA, 2 } }, .how = INTER },
	{ "write, durable", PROTECTED, "ok stored B", A | U | I | S, URX_OP_WRITE, 4, ALL, .ref = LBA, .how = FUA },
	{ "write, tuples inserted", "pi512 pi4k type2 pi64 part1 ", "ok stored B", U | I, URX_OP_WRITE, 4, ALL, .ref = LBA,
	  .how = PRACT },
	{ "write, more room than tuples", PROTECTED, "ok stored B", A | U | I | S, URX_OP_WRITE, 4, ALL, .ref = LBA,
	  .how = LONG_META },

	{ "compare", "pi512 pi4k type2 pi64 part1 ", "ok", U | I, URX_OP_COMPARE, 4, ALL, .ref = LBA },
	{ "compare, other data", "pi512 pi4k type2 pi64 part1 ", "ENODATA", U | I, URX_OP_COMPARE, 4, ALL, .ref = LBA,
	  .how = DIFFERS },
	{ "write zeroes", "pi512 pi4k type2 type3 pi64 part2 ", "ok zeroes", U | I | S, URX_OP_WRITE_ZEROES, 4, ALL,
	  .ref = LBA },
	{ "flush", PROTECTED "ms8nopi ", "ok", A | U | I | S, URX_OP_FLUSH, 0, 0, .ref = LBA, .how = 0 },

	{ "read beyond the end", PROTECTED, "ERANGE planned", A | U | I | S, URX_OP_READ, 4, ALL, .ref = LBA,
	  .bend = beyond_by_two },
	{ "write beyond the end", PROTECTED, "ERANGE planned", A | U | I | S, URX_OP_WRITE, 4, ALL, .ref = LBA,
	  .bend = beyond_by_two },
	{ "read behind the end", ONCE, "ERANGE planned", A | U | I | S, URX_OP_READ, 4, ALL, .ref = LBA,
	  .bend = behind_the_end },
	{ "read far away", ONCE, "ERANGE planned", A | U | I | S, URX_OP_READ, 4, ALL, .ref = LBA, .bend = far_away },
	{ "zeroes beyond the end", ONCE, "ERANGE planned", A | U | I | S, URX_OP_WRITE_ZEROES, 4, ALL, .ref = LBA,
	  .bend = beyond_by_two },
	{ "read inside a block", PROTECTED, "EINVAL planned", A | U | I | S, URX_OP_READ, 4, ALL, .ref = LBA,
	  .bend = offset_in_block },
	{ "read less than a block", PROTECTED, "EINVAL planned", A | U | I | S, URX_OP_READ, 1, ALL, .ref = LBA,
	  .bend = length_in_block },
	{ "read nothing", ONCE, "EINVAL planned", A | U | I | S, URX_OP_READ, 1, ALL, .ref = LBA, .bend = no_length },
	{ "read to NULL", ONCE, "EINVAL planned", A | U | I | S, URX_OP_READ, 1, ALL, .ref = LBA, .bend = no_data },
	{ "read without metadata", PROTECTED, "EINVAL planned", A | U | I | S, URX_OP_READ, 4, ALL, .ref = LBA,
	  .bend = no_meta },
	{ "read with short metadata", PROTECTED, "EINVAL planned", A | U | I | S, URX_OP_READ, 4, ALL, .ref = LBA,
	  .bend = short_meta },
	{ "read to an odd address", ONCE, "EINVAL planned", A | U | I, URX_OP_READ, 4, ALL, .ref = LBA, .bend = odd_data },
	{ "read data and metadata to one place", ONCE, "EINVAL planned", A | U | I | S, URX_OP_READ, 4, ALL, .ref = LBA,
	  .bend = overlapping },
	{ "read, a check that type 3 lacks", "type3 ", "EINVAL planned", A | U | I | S, URX_OP_READ, 4, ALL, .ref = LBA,
	  .bend = reference_of_type3 },
	{ "read, a check without its tag", PROTECTED, "EINVAL planned", A | U | I | S, URX_OP_READ, 4, ALL, .ref = LBA,
	  .bend = storage_check },
	{ "read, a value without its tag", PROTECTED, "EINVAL planned", A | U | I | S, URX_OP_READ, 4, ALL, .ref = LBA,
	  .bend = storage_value },
	{ "flush of something", ONCE, "EINVAL planned", A | U | I | S, URX_OP_FLUSH, 0, 0, .ref = LBA,
	  .bend = flush_of_something },
	{ "zeroes from somewhere", ONCE, "EINVAL planned", A | U | I | S, URX_OP_WRITE_ZEROES, 4, 0, .ref = LBA,
	  .bend = zeroes_from_somewhere },
	{ "append without zones", ONCE, "EOPNOTSUPP planned", A | U | I | S, URX_OP_APPEND, 4, ALL, .ref = LBA },
};

/* ------------------------------------------------------------------ contents */

/* Blocks with tuples, made by the oracle. */
struct content {
	unsigned blocks;
	uint8_t *data, *meta;
	uint64_t *guards;
};

static const struct format *now; /* the format at work */
static struct content contents[2]; /* A and B, of which requests take as many blocks as they want */
static struct urx_pi_format layout; /* the same as the library has it, separate metadata */

static struct content content(unsigned blocks, uint64_t seed)
{
	size_t covered = now->interval + layout.pi_offset;
	uint8_t *one = malloc(covered);
	struct content c = { blocks, pages((size_t)blocks * now->interval), pages((size_t)blocks * now->meta),
			     calloc(blocks + 1, sizeof(uint64_t)) };

	CHECK(one && c.guards);
	fill(c.data, (size_t)blocks * now->interval, seed);
	fill(c.meta, (size_t)blocks * now->meta, seed + 1);
	for (unsigned n = 0; n < blocks && now->guard; n++) {
		memcpy(one, c.data + (size_t)n * now->interval, now->interval);
		memcpy(one + now->interval, c.meta + (size_t)n * now->meta, layout.pi_offset);
		c.guards[n] = oracle_guard(now->guard, one, covered);
	}
	free(one);
	return c;
}

static void content_free(struct content *c)
{
	free(c->data);
	free(c->meta);
	free(c->guards);
}

/* The metadata of a content with these tags, and with what is wrong with it, into `meta`. */
static void tuples(const struct content *c, const struct request *r, uint64_t ref, uint8_t *meta)
{
	struct urx_tags tags = { .app = APP_TAG, .ref = ref };

	memcpy(meta, c->meta, (size_t)c->blocks * now->meta);
	for (unsigned n = 0; n < c->blocks && now->guard; n++) {
		uint8_t *tuple = meta + (size_t)n * now->meta + layout.pi_offset;
		unsigned guard = guard_bits(now->guard) / 8;

		oracle_tuple(&layout, &tags, n, c->guards[n], tuple);
		for (unsigned w = 0; w < 2; w++) {
			if (r->wrong[w].block != n)
				continue;
			switch (r->wrong[w].what) {
			case NOTHING:
			case DATA:
				break;
			case TUPLE_GUARD:
				tuple[guard - 1] ^= 1;
				break;
			case TUPLE_APP:
				tuple[guard] ^= 0x80;
				break;
			case TUPLE_REF: /* a number that nobody counts through */
				memset(tuple + guard + 2, 0x77, tuple_bytes(now->guard) - guard - 2);
				break;
			case ESCAPE: /* of a block whose guard is wrong; type 3 wants all tags so */
				tuple[0] ^= 1;
				memset(tuple + guard, 0xff, now->type == 3 ? tuple_bytes(now->guard) - guard : 2);
				break;
			case HALF_ESCAPE:
				memset(tuple + guard, 0xff, 2);
				break;
			}
		}
	}
}

/* The data of a content with what is wrong with it, into `data`. */
static void damaged_data(const struct content *c, const struct request *r, uint8_t *data)
{
	memcpy(data, c->data, (size_t)c->blocks * now->interval);
	for (unsigned w = 0; w < 2; w++)
		if (r->wrong[w].what == DATA && r->wrong[w].block < c->blocks)
			data[(size_t)r->wrong[w].block * now->interval + 100] ^= 4;
}

static void interleave(uint8_t *all, const uint8_t *data, unsigned blocks, const uint8_t *meta)
{
	for (unsigned n = blocks; n-- > 0;) {
		uint8_t *block = all + (size_t)n * (now->interval + now->meta);

		memmove(block, data + (size_t)n * now->interval, now->interval);
		memcpy(block + now->interval, meta + (size_t)n * now->meta, now->meta);
	}
}

static void separate(uint8_t *all, unsigned blocks, uint8_t *meta)
{
	for (unsigned n = 0; n < blocks; n++) {
		const uint8_t *block = all + (size_t)n * (now->interval + now->meta);

		memcpy(meta + (size_t)n * now->meta, block + now->interval, now->meta);
		memmove(all + (size_t)n * now->interval, block, now->interval);
	}
}

/* ------------------------------------------------------------------ one request */

static struct ladder ladder;
static unsigned asked, carried, failures;

/* One target and what it is. */
struct place {
	struct urx_target *target;
	struct urx_target_info info;
	const char *name;
	unsigned start; /* blocks of the device before it */
	uint32_t setup; /* the path by which the test stores and looks */
};

static const char *errno_name(int ret)
{
	static char other[16];

	switch (-ret) {
	case EILSEQ:
		return "EILSEQ";
	case EINVAL:
		return "EINVAL";
	case ERANGE:
		return "ERANGE";
	case ENODATA:
		return "ENODATA";
	case EOPNOTSUPP:
		return "EOPNOTSUPP";
	default:
		snprintf(other, sizeof(other), "%d", ret);
		return other;
	}
}

static unsigned blocks_of_request(const struct request *r)
{
	return r->blocks || r->op == URX_OP_FLUSH ? r->blocks : (1u << 20) / now->interval + 3;
}

/* Stores or looks, without any check, tags as the device has them. */
static void raw(struct place *p, uint32_t op, unsigned blocks, uint8_t *data, uint8_t *meta)
{
	struct urx_rw rw = { .size = sizeof(rw), .op = op, .data = data, .meta = meta, .allow = p->setup,
			     .data_len = blocks * now->interval, .meta_len = blocks * now->meta,
			     .offset = (uint64_t)AT * now->interval, .tags.ref = p->start + AT };
	int ret = ladder_run(&ladder, p->target, &rw, NULL);

	if (ret != (int)rw.data_len)
		FAIL("%s: raw %s: %d", p->name, op == URX_OP_READ ? "read" : "write", ret);
}

/* Pieces of 512 bytes and multiples, which end inside blocks of 4096, with room between. */
static unsigned pieces(struct iovec *iov, uint8_t *memory, size_t len, bool whole_pages, size_t align)
{
	static const unsigned cut[] = { 512, 1536, 4096, 2560, 3584, 512, 7680 };
	static const unsigned page[] = { 4096, 8192, 4096, 4096, 4096, 4096, 4096 };
	const unsigned *sizes = whole_pages ? page : cut;
	unsigned count = 0;

	for (size_t done = 0; done < len; count++) {
		size_t n = sizes[count % COUNT(cut)];

		n = n < len - done ? n : len - done;
		CHECK(count < MOST_PIECES);
		iov[count] = (struct iovec){ memory, n };
		memory += (n + align - 1) / align * align + align * (1 + count % 3);
		done += n;
	}
	return count;
}

static void copy_pieces(const struct iovec *iov, unsigned count, uint8_t *flat, bool out)
{
	for (unsigned n = 0; n < count; n++) {
		memcpy(out ? flat : iov[n].iov_base, out ? iov[n].iov_base : flat, iov[n].iov_len);
		flat += iov[n].iov_len;
	}
}

/* The line that a request over one path gives; `before` and `after` are contents A and B. */
static const char *line(struct place *p, const struct request *r, uint32_t path, const struct content *before,
			const struct content *after, uint64_t ref, char text[128])
{
	unsigned blocks = blocks_of_request(r);
	size_t data_len = (size_t)blocks * now->interval, meta_len = (size_t)blocks * now->meta, all_len = data_len;
	uint8_t *data = pages((r->how & (VEC | PAGES) ? 12 : 2) * data_len + 4096), *meta = pages(meta_len + 64), *flat = pages(data_len + meta_len + 64);
	uint8_t *want = pages(meta_len + 64), *want_data = pages(data_len + 64);
	static struct iovec iov[MOST_PIECES];
	const struct request fine = { .name = "" };
	uint32_t checks = layout.checks & r->checks;
	struct urx_rw rw = { .size = sizeof(rw), .op = r->op, .data = data, .meta = meta, .allow = path,
			     .data_len = (uint32_t)data_len, .meta_len = (uint32_t)meta_len,
			     .offset = (uint64_t)AT * now->interval };
	bool has_data = r->op == URX_OP_READ || r->op == URX_OP_WRITE || r->op == URX_OP_COMPARE ||
			r->op == URX_OP_APPEND;
	bool reads = r->op == URX_OP_READ;
	int expected = (int)data_len, explained, ret;
	const char *why = NULL;
	struct urx_result result;
	unsigned count = 0;

	rw.tags = (struct urx_tags){ .checks = checks, .app = r->app ? r->app : APP_TAG, .app_ignore = r->ignore,
				     .ref = ref };
	/* What is stored: A, as the device numbers it, and its faults if it is to be read. */
	if (blocks) {
		damaged_data(before, reads ? r : &fine, want_data);
		tuples(before, reads ? r : &fine, now->type == 3 ? ref : p->start + AT, want);
		memcpy(flat, want_data, data_len);
		memcpy(meta, want, meta_len);
		raw(p, URX_OP_WRITE, blocks, flat, meta);
	}
	/* The buffers: B, as the request numbers it, to be written; something else to be read into. */
	if (reads || !has_data) {
		memset(meta, 0xcc, meta_len);
		memset(flat, 0xdd, data_len);
		if (reads)
			tuples(before, r, ref, want);
	} else {
		const struct content *c = r->op == URX_OP_COMPARE ? before : after;

		damaged_data(c, r, flat);
		tuples(c, r, ref, meta);
		if (r->how & DIFFERS) {
			damaged_data(after, r, flat);
			tuples(after, r, ref, meta);
		}
		memcpy(want_data, flat, data_len);
		tuples(c, r, now->type == 3 ? ref : p->start + AT, want);
	}
	if (r->how & INTER) {
		interleave(flat, flat, blocks, meta);
		all_len = data_len + meta_len;
		expected = (int)all_len;
		rw.data_len = (uint32_t)all_len, rw.meta = NULL, rw.meta_len = 0;
	}
	if (r->how & (VEC | PAGES)) {
		size_t align = r->how & PAGES ? 4096 : 512;

		align = p->info.data_align > align ? p->info.data_align : align;
		count = pieces(iov, data, all_len, r->how & PAGES, align);
		copy_pieces(iov, count, flat, false);
		rw.data = iov, rw.data_len = count, rw.flags |= URX_RW_IOVEC;
	} else {
		memcpy(data, flat, all_len);
	}
	if (r->how & PRACT)
		rw.flags |= URX_RW_PRACT, rw.meta = NULL, rw.meta_len = 0;
	if (r->how & FUA)
		rw.flags |= URX_RW_FUA;
	if (r->how & LONG_META)
		rw.meta_len += 8;
	if (!has_data)
		rw.data = rw.meta = NULL, rw.meta_len = 0;
	if (r->op == URX_OP_FLUSH)
		rw.offset = 0, expected = 0;
	if (r->bend)
		r->bend(&rw, p->info.bytes);

	explained = urx_explain(ladder.queue, p->target, &rw, path, &why);
	CHECK(why && *why);
	ret = ladder_run(&ladder, p->target, &rw, &result);
	CHECK_EQ(explained, result.path ? 0 : ret);
	if (!result.path) {
		snprintf(text, 128, "%s planned", errno_name(ret));
	} else if (ret == -EILSEQ && r->op == URX_OP_WRITE) {
		const struct urx_pi_error *pi = &result.pi;

		if (pi->check && pi->flags == (URX_ERROR_BLOCK | URX_ERROR_VALUES))
			snprintf(text, 128, "EILSEQ %s block %d lba +%d", urx_check_str(pi->check), (int)pi->block,
				 (int)(pi->lba - p->start - AT));
		else
			snprintf(text, 128, "EILSEQ check %u flags %u", pi->check, pi->flags);
	} else if (ret < 0) {
		snprintf(text, 128, "%s", errno_name(ret));
	} else if (ret != expected) {
		snprintf(text, 128, "%d of %d bytes", ret, expected);
	} else if (reads) {
		const char *what = "ok A";

		if (r->how & (VEC | PAGES))
			copy_pieces(iov, count, flat, true);
		else
			memcpy(flat, data, all_len);
		if (r->how & INTER)
			separate(flat, blocks, meta);
		if (memcmp(flat, want_data, data_len))
			what = "ok other data";
		else if (!(r->how & PRACT) && memcmp(meta, want, meta_len))
			what = "ok other tuples";
		snprintf(text, 128, "%s", what);
	} else if (r->op == URX_OP_WRITE) {
		const char *what = "ok stored B";

		raw(p, URX_OP_READ, blocks, flat, meta);
		if (memcmp(flat, want_data, data_len))
			what = "ok stored other data";
		else if (memcmp(meta, want, meta_len))
			what = "ok stored other tuples";
		snprintf(text, 128, "%s", what);
	} else if (r->op == URX_OP_WRITE_ZEROES) {
		/* Which tuples those blocks have is the device's choice, but they must pass. */
		struct urx_rw again = { .size = sizeof(again), .op = URX_OP_READ, .data = flat, .meta = meta,
					.allow = p->setup, .offset = rw.offset, .data_len = (uint32_t)data_len,
					.meta_len = (uint32_t)meta_len, .tags = rw.tags };
		int read = ladder_run(&ladder, p->target, &again, NULL);

		memset(want_data, 0, data_len);
		snprintf(text, 128, "%s", read != (int)data_len ? errno_name(read)
				       : memcmp(flat, want_data, data_len) ? "ok not zeroes" : "ok zeroes");
	} else {
		snprintf(text, 128, "ok");
	}
	free(data);
	free(meta);
	free(flat);
	free(want);
	free(want_data);
	return text;
}

static bool named(const char *list, const char *label)
{
	char word[32];

	snprintf(word, sizeof(word), "%s ", label);
	for (const char *at = list; (at = strstr(at, word)); at++)
		if (at == list || at[-1] == ' ')
			return true;
	return false;
}

/* A request over each path that this kernel and this target have. */
static void request(struct place *p, const struct request *r, unsigned available)
{
	/* A format that interleaves wants a worker to copy what the caller has apart. */
	bool copied = now->interleaved && r->op != URX_OP_FLUSH && !(r->how & INTER) && !r->bend;
	/* Not every kernel takes pieces of blocks, which its alignment tells, or remaps beyond 48 bits. */
	bool cut = r->how & VEC && p->info.data_align > 512;
	bool wraps = r->ref == WRAP && r->op == URX_OP_WRITE && now->guard == URX_GUARD_CRC64;
	unsigned paths = r->paths & ~(copied ? U : 0u) & ~(cut || wraps ? A : 0u);
	unsigned blocks = blocks_of_request(r), bits = space_bits(now->guard ? now->guard : URX_GUARD_T10DIF);
	uint64_t ref = r->ref == LBA ? p->start + AT : r->ref == OTHER ? 1000 : (UINT64_C(1) << bits) - 2;
	struct content before = contents[0], after = contents[1];
	char text[128];

	before.blocks = after.blocks = blocks;
	if (now->type == 3)
		ref = 0xabcdef;
	for (unsigned n = 0; n < COUNT(all_paths); n++) {
		uint32_t path = all_paths[n];
		bool wanted = paths & path;

		if (!(available & path))
			continue;
		asked++;
		line(p, r, path, &before, &after, ref, text);
		if (!wanted && !strcmp(text, "EOPNOTSUPP planned"))
			continue;
		carried++;
		printf("%s, %s, %s: %s\n", p->name, r->name, urx_path_str(path), text);
		if (!wanted || strcmp(text, r->expect)) {
			fprintf(stderr, "%s, %s, %s: %s, not %s\n", p->name, r->name, urx_path_str(path),
				text, wanted ? r->expect : "refused");
			failures++;
		}
	}
}

/* What a side file has other rules for, or none. */
static bool of_devices(const struct request *r)
{
	return r->how & INTER || r->bend == odd_data;
}

static void run_script(struct place *p, unsigned available)
{
	p->info = (struct urx_target_info){ .size = sizeof(p->info) };
	CHECK_EQ(urx_target_query(p->target, &p->info), 0);
	CHECK_EQ(p->info.format.interval, now->interval);
	CHECK_EQ(p->info.format.meta_size, now->meta);
	CHECK_EQ(p->info.format.guard, now->guard);
	CHECK_EQ(p->info.format.pi_type, now->type);
	CHECK_EQ(p->info.format.pi_offset, layout.pi_offset);
	CHECK_EQ(p->info.start, (uint64_t)p->start * now->interval);
	for (unsigned n = 0; n < COUNT(script); n++)
		if (named(script[n].on, now->label) && !(p->setup == S && of_devices(&script[n])))
			request(p, &script[n], available);
	urx_target_close(p->target);
}

int main(void)
{
	bool vm = getenv("URX_VM");
	unsigned kernel_paths = I | S;

	ladder_best(&ladder);
	if (ladder.ring.features & URX_FEAT_RW_ATTR)
		kernel_paths |= A;
	if (ladder.ring.flags & IORING_SETUP_SQE128)
		kernel_paths |= U;
	for (unsigned n = 0; n < COUNT(formats); n++) {
		now = &formats[n];
		layout = format_of(now->guard, now->type, now->interval, now->meta, now->last);
		layout.checks = !now->guard ? 0 : now->type == 3 ? GUARD | APP : GUARD | REF | APP;
		if (now->guard == URX_GUARD_NONE)
			layout.pi_offset = 0;
		for (unsigned c = 0; c < 2; c++)
			contents[c] = content(named(LARGE, now->label) ? (1u << 20) / now->interval + 3 : 24, 10 * c);
		if (vm) {
			struct place p = { .name = now->label, .start = now->start, .setup = I };
			struct urx_target_opts opts = { .size = sizeof(opts), .flags = URX_TARGET_WRITE };

			CHECK_EQ(urx_target_open(&p.target, node(now->label), &opts), 0);
			run_script(&p, kernel_paths & now->paths & ~(unsigned)S);
		}
		if (now->paths & S) {
			struct place p = { .name = "file", .setup = S };
			char name[64];

			p.target = side_target(NULL, (uint64_t)(AT + 4096) * now->interval, &layout);
			run_script(&p, S);
			if (vm) {
				snprintf(name, sizeof(name), "%s on plain", now->label);
				p = (struct place){ .name = name, .setup = S };
				p.target = side_target(node("plain"), 0, &layout);
				run_script(&p, S);
			}
		}
		content_free(&contents[0]);
		content_free(&contents[1]);
	}
	ladder_close(&ladder);
	printf("%u requests, %u carried, %u not as written down\n", asked, carried, failures);
	return failures != 0;
}
