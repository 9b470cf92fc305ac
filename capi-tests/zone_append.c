/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * A thousand appends at depth 32 over four zones, on every path of every place: each record is where it was said to be,
 * without gap or overlap; then the zones are filled to the last block, and not beyond.
 */
#include "zones.h"

enum { RECORDS = 1000, DEPTH = 32, LONGEST = 3 };

static struct record {
	struct urx_io io;
	uint8_t *data, *meta;
	uint32_t zone, len, state;
	uint64_t offset;
} records[RECORDS];

enum { FREE, FLYING, LANDED };

static struct urx_tags tags_for(const struct place *place, const struct zone_ref *zone, uint32_t path)
{
	struct urx_tags tags = { .app = 0x55aa, .ref = zone->start / place->block };

	/* The emulated controller checks what was sent against the tag it would have stored. */
	tags.checks = URX_CHECK_GUARD | URX_CHECK_APP;
	if (path == URX_PATH_EMULATED)
		tags.checks |= URX_CHECK_REF;
	return tags;
}

static void protect(const struct place *place, const struct zone_ref *zone, struct record *r, struct urx_rw *rw,
		    bool pract)
{
	struct urx_target_info info = { .size = sizeof(info) };
	struct urx_pi pi;

	if (!place->meta_size)
		return;
	if (pract) {
		rw->flags |= URX_RW_PRACT;
		return;
	}
	CHECK_EQ(urx_target_query(zone->target, &info), 0);
	pi = pi_of(&info.format);
	rw->tags = tags_for(place, zone, rw->allow);
	rw->meta = r->meta;
	rw->meta_len = r->len / place->block * place->meta_size;
	CHECK_EQ(urx_pi_generate(&pi, &rw->tags, r->data, r->meta, r->len / place->block), 0);
}

static int by_place(const void *a, const void *b)
{
	const struct record *const *x = a, *const *y = b;

	if ((*x)->zone != (*y)->zone)
		return (*x)->zone < (*y)->zone ? -1 : 1;
	return (*x)->offset < (*y)->offset ? -1 : 1;
}

static void plan(struct carrier *c, struct place *place, uint32_t n, uint32_t path, bool pract)
{
	struct record *r = &records[n];
	struct zone_ref *zone;
	struct urx_rw rw;
	struct io_uring_sqe *sqe;

	r->zone = n % ZONES;
	r->len = place->block * (1 + any(LONGEST));
	zone = &place->zones[r->zone];
	fill(r->data, r->len, n + 1);
	rw = append_of(zone, r->data, r->len, path);
	protect(place, zone, r, &rw, pract);
	CHECK_EQ(urx_plan(c->queue, zone->target, &rw, &r->io), 0);
	CHECK_EQ(r->io.path, path);
	sqe = io_uring_get_sqe(&c->ring);
	CHECK(sqe);
	urx_prep(sqe, &r->io);
	io_uring_sqe_set_data64(sqe, n);
	r->state = FLYING;
}

static void reap(struct carrier *c, struct place *place)
{
	struct urx_result result = { .size = sizeof(result) };
	struct io_uring_cqe *cqe;
	struct record *r;
	int ret;

	CHECK_EQ(io_uring_submit_and_wait(&c->ring, 1) >= 0, 1);
	while (!io_uring_peek_cqe(&c->ring, &cqe)) {
		CHECK(cqe->user_data < RECORDS);
		r = &records[cqe->user_data];
		CHECK_EQ(r->state, FLYING);
		ret = urx_io_result(&r->io, cqe, &result);
		io_uring_cqe_seen(&c->ring, cqe);
		if (ret != (int)r->len)
			FAIL("%s: append %d status %#x %s", place->name, ret, result.status,
			     urx_path_str(result.path));
		r->offset = result.append_offset;
		CHECK_EQ(result.append_lba, r->offset / place->block);
		r->state = LANDED;
	}
}

/* Where records say they are, there they are, one behind the other. */
static void judge(struct place *place, bool plain)
{
	static struct record *order[RECORDS];
	uint64_t end[ZONES];
	uint8_t *found = pages(LONGEST * 4096);
	int fds[ZONES];

	for (int n = 0; n < ZONES; n++) {
		end[n] = place->zones[n].start;
		fds[n] = open_plain(&place->zones[n], O_RDONLY);
	}
	for (int n = 0; n < RECORDS; n++) {
		CHECK_EQ(records[n].state, LANDED);
		order[n] = &records[n];
	}
	qsort(order, RECORDS, sizeof(*order), by_place);
	for (int n = 0; n < RECORDS; n++) {
		struct record *r = order[n];
		struct zone_ref *zone = &place->zones[r->zone];

		CHECK_EQ(r->offset, end[r->zone]);
		end[r->zone] += r->len;
		if (plain) {
			CHECK_EQ(pread(fds[r->zone], found, r->len, (off_t)r->offset), r->len);
		} else {
			uint8_t meta[LONGEST * 64];
			struct urx_result result = { .size = sizeof(result) };
			struct urx_queue *own;
			struct urx_rw rw = append_of(zone, found, r->len, URX_PATH_IOCTL);

			rw.op = URX_OP_READ;
			rw.offset = r->offset;
			rw.meta = meta;
			rw.meta_len = r->len / place->block * place->meta_size;
			rw.tags = tags_for(place, zone, URX_PATH_IOCTL);
			CHECK_EQ(urx_queue_open(&own, -1, 0, 0, NULL), 0);
			CHECK_EQ(urx_run(own, zone->target, &rw, &result), r->len);
			urx_queue_close(own);
		}
		CHECK_BYTES(found, r->data, r->len, place->name);
	}
	for (int n = 0; n < ZONES; n++) {
		CHECK_EQ(look(&place->zones[n]).wp, end[n]);
		close(fds[n]);
	}
	free(found);
}

/* One block at a time to the end, and one more. */
static void fill_up(struct carrier *c, struct place *place, uint32_t path, bool pract)
{
	struct zone_ref *zone = &place->zones[0];
	uint64_t wp = look(zone).wp, end = zone->start + zone->capacity;
	struct record *r = &records[0];
	struct urx_result result;
	struct urx_rw rw;
	int ret;

	r->len = place->block * 2;
	while (wp + r->len <= end) {
		rw = append_of(zone, r->data, r->len, path);
		protect(place, zone, r, &rw, pract);
		CHECK_EQ(carry(c, zone->target, &rw, &result), r->len);
		CHECK_EQ(result.append_offset, wp);
		wp += r->len;
	}
	if (wp < end) { /* a record that does not fit is not split, one that does fills the zone */
		rw = append_of(zone, r->data, r->len, path);
		protect(place, zone, r, &rw, pract);
		CHECK_EQ(carry(c, zone->target, &rw, &result), -ENOSPC);
		r->len = place->block;
		rw = append_of(zone, r->data, r->len, path);
		protect(place, zone, r, &rw, pract);
		CHECK_EQ(carry(c, zone->target, &rw, &result), r->len);
		CHECK_EQ(result.append_offset, wp);
	}
	CHECK_EQ(look(zone).state, URX_ZONE_FULL);
	rw = append_of(zone, r->data, r->len, path);
	protect(place, zone, r, &rw, pract);
	ret = carry(c, zone->target, &rw, &result);
	CHECK_EQ(ret, -ENOSPC);
	CHECK_EQ(result.append_offset, 0);
}

static void run(struct place *place, uint32_t path, bool pract)
{
	struct carrier c;
	struct urx_rw rw;
	uint32_t planned = 0, landed = 0;

	carrier_open(&c, DEPTH);
	for (int n = 0; n < RECORDS; n++) {
		records[n].state = FREE;
		records[n].len = place->block;
	}
	rw = append_of(&place->zones[0], records[0].data, place->block, path);
	protect(place, &place->zones[0], &records[0], &rw, pract);
	if (carries(&c, &place->zones[0], &rw, path)) {
		for (int n = 0; n < ZONES; n++)
			reset(&place->zones[n]);
		while (landed < RECORDS) {
			while (planned < RECORDS && planned - landed < DEPTH)
				plan(&c, place, planned++, path, pract);
			reap(&c, place);
			for (landed = 0; landed < planned && records[landed].state == LANDED;)
				landed++;
		}
		judge(place, !place->meta_size || pract || path == URX_PATH_EMULATED);
		fill_up(&c, place, path, pract);
		for (int n = 0; n < ZONES; n++)
			reset(&place->zones[n]);
		printf("%s: %s%s\n", place->name, urx_path_str(path), pract ? " PRACT" : "");
	}
	carrier_close(&c);
}

static void test(struct place *place)
{
	for (uint32_t path = 1; path <= URX_PATH_EMULATED; path *= 2) {
		run(place, path, false);
		if (place->meta_size)
			run(place, path, true);
	}
}

int main(void)
{
	need_vm();
	for (int n = 0; n < RECORDS; n++) {
		records[n].data = pages(LONGEST * 4096);
		records[n].meta = pages(LONGEST * 64);
	}
	each_place(test);
	return 0;
}
