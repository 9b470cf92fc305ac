/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Mixed load: reads and writes of random size, whole or scattered, at depth 128 over each path, and a few that have
 * to fail. A model in memory says what each block holds; every read is compared with it, data and tuples.
 * URX_LOAD is the number of requests a path: 100000, 4000 in a guest, which takes 1 ms for each.
 */
#include <sys/uio.h>
#include "urx_ladder.h"

#define LEN 4096u
#define APP 0x1234
enum { DEPTH = 128, MOST = 16, POOL = 256, BLOCKS = 2048, AREAS = 4, AREA = BLOCKS / AREAS, PIECES = 3 };

/* What blocks may hold, and their guards, by the oracle. */
static uint8_t *contents;
static uint16_t guards[POOL];

/* What the target's blocks hold, as a number of `contents`. */
static uint16_t model[BLOCKS];
/* Requests in flight on a block: reads, or -1 for a write. */
static int busy[BLOCKS];

struct flight {
	struct urx_io io;
	struct urx_rw rw;
	struct iovec pieces[PIECES];
	uint8_t *data, *meta;
	unsigned first, count;
	uint16_t now[MOST];
	bool spoilt, flying;
};
static struct flight flights[DEPTH];

/* Areas lie apart, and not at block 0, of which qemu 7.2 takes any guard for good. */
static uint64_t place_of(unsigned block)
{
	return 1 + (uint64_t)(block / AREA) * 1000 + block % AREA;
}

static void tuple(const struct way *way, uint64_t ref, uint64_t guard, uint8_t *bytes)
{
	struct urx_tags tags = { .app = APP, .ref = ref };

	oracle_tuple(&way->dev.info.format, &tags, 0, guard, bytes);
}

/* A range on which nothing is in flight that it could meet; false: none found. */
static bool choose(struct flight *f, bool write)
{
	for (unsigned tries = 0; tries < 20; tries++) {
		unsigned first = any(BLOCKS), n;

		f->count = f->spoilt ? 1 : 1 + any(MOST);
		if (first % AREA + f->count > AREA)
			continue;
		for (n = 0; n < f->count && (write ? !busy[first + n] : busy[first + n] >= 0); n++)
			;
		if (n < f->count)
			continue;
		f->first = first;
		return true;
	}
	return false;
}

static bool make(struct way *way, struct flight *f, bool write, bool quiet_model)
{
	bool pieces = any(4) == 0;
	uint64_t place;

	f->spoilt = write && !quiet_model && any(50) == 0;
	if (!choose(f, write))
		return false;
	place = place_of(f->first);
	f->rw = (struct urx_rw){ .size = sizeof(f->rw), .op = write ? URX_OP_WRITE : URX_OP_READ,
				 .data = f->data, .data_len = f->count * LEN, .offset = place * LEN,
				 .meta = f->meta, .meta_len = f->count * 8, .allow = way->path,
				 .tags = { .checks = way->dev.info.format.checks, .app = APP } };
	/* URING_CMD has nobody who would remap a write. */
	f->rw.tags.ref = way->path == URX_PATH_URING_CMD && write ? place : any(1u << 30);
	if (pieces && f->count > PIECES) {
		f->pieces[0] = (struct iovec){ f->data, LEN };
		f->pieces[1] = (struct iovec){ f->data + LEN, LEN * (f->count - 2) };
		f->pieces[2] = (struct iovec){ f->data + LEN * (f->count - 1), LEN };
		f->rw.flags = URX_RW_IOVEC;
		f->rw.data = f->pieces;
		f->rw.data_len = PIECES;
	}
	for (unsigned n = 0; n < f->count; n++) {
		f->now[n] = (uint16_t)any(POOL);
		if (write) {
			memcpy(f->data + n * LEN, contents + f->now[n] * LEN, LEN);
			tuple(way, f->rw.tags.ref + n, guards[f->now[n]], f->meta + n * 8);
			busy[f->first + n] = -1;
		} else {
			busy[f->first + n]++;
		}
	}
	if (!write) {
		memset(f->data, 0xcc, f->count * LEN);
		memset(f->meta, 0xcc, f->count * 8);
	}
	if (f->spoilt)
		f->data[any(LEN)] ^= 0x20;
	return true;
}

static void land(struct way *way, struct flight *f, struct seen *seen)
{
	bool write = f->rw.op == URX_OP_WRITE;
	int want = f->spoilt ? -EILSEQ : (int)(f->count * LEN);
	struct urx_result got = { .size = sizeof(got) };

	CHECK(f->flying);
	f->flying = false;
	CHECK_EQ(urx_io_result(&f->io, cqe_of(seen), &got), want);
	if (f->spoilt) {
		CHECK_EQ(got.pi.check, URX_CHECK_GUARD);
		CHECK_EQ(got.pi.block, 0);
	}
	for (unsigned n = 0; n < f->count; n++) {
		unsigned block = f->first + n;
		uint8_t is[8];

		if (write) {
			busy[block] = 0;
			if (!f->spoilt)
				model[block] = f->now[n];
			continue;
		}
		busy[block]--;
		CHECK_BYTES(f->data + n * LEN, contents + model[block] * LEN, LEN, doing_where);
		tuple(way, f->rw.tags.ref + n, guards[model[block]], is);
		CHECK_BYTES(f->meta + n * 8, is, 8, doing_where);
	}
}

static void land_one(struct way *way)
{
	struct seen seen;

	CHECK(io_uring_submit(&way->dev.ring) >= 0);
	seen = reap(way);
	CHECK(seen.words[0] < DEPTH);
	land(way, &flights[seen.words[0]], &seen);
}

static void take_off(struct way *way, struct flight *f)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(&way->dev.ring);
	int ret = urx_plan(way->queue, way->dev.target, &f->rw, &f->io);

	CHECK(sqe);
	CHECK_EQ(ret, 0);
	urx_prep(sqe, &f->io);
	sqe->user_data = (uint64_t)(f - flights);
	f->flying = true;
}

/* Fills the model's blocks for the first time. */
static void start(struct way *way)
{
	struct flight *f = &flights[0];

	for (unsigned block = 0; block < BLOCKS; block += MOST) {
		struct seen seen;

		CHECK(make(way, f, true, true));
		for (unsigned n = 0; n < f->count; n++)
			busy[f->first + n] = 0;
		f->first = block, f->count = MOST;
		f->rw.offset = place_of(block) * LEN;
		f->rw.data = f->data, f->rw.flags = 0;
		f->rw.data_len = MOST * LEN, f->rw.meta_len = MOST * 8;
		f->rw.tags.ref = place_of(block);
		for (unsigned n = 0; n < MOST; n++) {
			f->now[n] = (uint16_t)any(POOL);
			memcpy(f->data + n * LEN, contents + f->now[n] * LEN, LEN);
			tuple(way, place_of(block) + n, guards[f->now[n]], f->meta + n * 8);
		}
		take_off(way, f);
		submit(way, 1);
		seen = reap(way);
		land(way, f, &seen);
	}
}

static void load(uint32_t path, unsigned requests)
{
	struct urx_queue_opts opts = { .size = sizeof(opts), .max_waiting = DEPTH };
	unsigned writes = 0, in_flight = 0;
	struct timespec from, to;
	struct way way;

	doing("load");
	alarm(requests > 10000 ? 3000 : 600);
	if (!way_open(&way, path, DEPTH, 0, &opts))
		return;
	memset(busy, 0, sizeof(busy));
	start(&way);
	clock_gettime(CLOCK_MONOTONIC, &from);
	for (unsigned done = 0; done < requests; done++) {
		bool write = any(2);
		unsigned n = 0;

		while (in_flight == DEPTH) {
			land_one(&way);
			in_flight--;
		}
		while (flights[n].flying)
			n++;
		while (!make(&way, &flights[n], write, false)) {
			if (in_flight == 0)
				continue;
			land_one(&way);
			in_flight--;
		}
		take_off(&way, &flights[n]);
		in_flight++;
		writes += write;
		if (any(4) == 0) /* in batches, as programs do */
			CHECK(io_uring_submit(&way.dev.ring) >= 0);
	}
	for (; in_flight; in_flight--)
		land_one(&way);
	clock_gettime(CLOCK_MONOTONIC, &to);
	for (unsigned block = 0; block < BLOCKS; block++)
		CHECK_EQ(busy[block], 0);
	way_close(&way);
	printf("%s: %u requests, %u of them writes, %.1f s\n", doing_where, requests, writes,
	       (double)(to.tv_sec - from.tv_sec) + (double)(to.tv_nsec - from.tv_nsec) / 1e9);
}

int main(void)
{
	const char *text = getenv("URX_LOAD");
	unsigned requests = text ? (unsigned)strtoul(text, NULL, 0) : getenv("URX_VM") ? 4000 : 100000;

	contents = pages((size_t)POOL * LEN);
	fill(contents, (size_t)POOL * LEN, 4);
	for (unsigned n = 0; n < POOL; n++)
		guards[n] = (uint16_t)oracle_guard(URX_GUARD_T10DIF, contents + n * LEN, LEN);
	for (unsigned n = 0; n < DEPTH; n++) {
		flights[n].data = pages(MOST * LEN);
		flights[n].meta = pages(MOST * 8);
	}
	for (unsigned p = 0; p < COUNT(all_paths); p++)
		load(all_paths[p], requests);
	for (unsigned n = 0; n < DEPTH; n++) {
		free(flights[n].data);
		free(flights[n].meta);
	}
	free(contents);
	return 0;
}
