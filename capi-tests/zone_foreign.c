/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Somebody else writes to the zone: a write off the pointer, one at the pointer, a reset. The next append answers for
 * what happened, the one after it succeeds, and nothing is lost.
 */
#include "zones.h"

enum { LEN = 8192 };

/* A write that is refused; on newer kernels so are all others until somebody reports the zone. */
static void stray(const struct zone_ref *zone, const void *data, uint64_t at)
{
	int fd = open_plain(zone, O_WRONLY);

	CHECK(pwrite(fd, data, LEN, (off_t)at) < 0);
	close(fd);
}

/* zonefs of 6.1 fails a synchronous write that has landed: a ring writes. */
static void intrude(const struct zone_ref *zone, const void *data, uint64_t at)
{
	struct io_uring ring;
	struct io_uring_sqe *sqe;
	int fd = open_plain(zone, O_WRONLY);

	ring_setup(&ring, 0);
	sqe = io_uring_get_sqe(&ring);
	io_uring_prep_write(sqe, fd, data, LEN, at);
	CHECK_EQ(finish(&ring, NULL), LEN);
	io_uring_queue_exit(&ring);
	close(fd);
}

static void empty(const struct zone_ref *zone)
{
	int fd = open_plain(zone, O_RDWR);
	struct blk_zone_range range = { .sector = zone->start / 512, .nr_sectors = 4 << 11 };
	struct stat st;

	CHECK_EQ(fstat(fd, &st), 0);
	if (S_ISREG(st.st_mode))
		CHECK_EQ(ftruncate(fd, 0), 0);
	else
		CHECK_EQ(ioctl(fd, BLKRESETZONE, &range), 0);
	close(fd);
}

static void holds(const struct zone_ref *zone, uint64_t at, const void *data)
{
	uint8_t *found = pages(LEN);
	int fd = open_plain(zone, O_RDONLY);

	CHECK_EQ(pread(fd, found, LEN, (off_t)at), LEN);
	CHECK_BYTES(found, data, LEN, zone->path);
	close(fd);
	free(found);
}

static void native(struct carrier *c, const struct zone_ref *zone, uint8_t *const *data)
{
	static const uint32_t paths[] = { URX_PATH_URING_CMD, URX_PATH_IOCTL };
	struct urx_rw rw = append_of(zone, data[0], LEN, 0);
	uint64_t at;

	for (size_t n = 0; n < COUNT(paths); n++) {
		if (!carries(c, zone, &rw, paths[n]))
			continue;
		reset(zone);
		intrude(zone, data[0], zone->start);
		CHECK_EQ(append(c, zone, data[1], LEN, paths[n], &at), LEN);
		CHECK_EQ(at, zone->start + LEN);
		/*
		 * The emulation hears of it. Kernels with a write pointer of their own (6.10) do not, and then
		 * refuse writes, though not the device's appends, until the zone is reset.
		 */
		for (uint32_t k = 2; k < 6; k += 2) {
			int ret = append(c, zone, data[k], LEN, URX_PATH_EMULATED, &at);

			if (ret == -EIO && kernel() >= 6010)
				CHECK_EQ(append(c, zone, data[k], LEN, paths[n], &at), LEN);
			else
				CHECK_EQ(ret, LEN);
			CHECK_EQ(at, zone->start + k * LEN);
			CHECK_EQ(append(c, zone, data[k + 1], LEN, paths[n], &at), LEN);
			CHECK_EQ(at, zone->start + (k + 1) * LEN);
		}
		for (uint32_t k = 0; k < 6; k++)
			holds(zone, zone->start + k * LEN, data[k]);
		reset(zone);
		CHECK_EQ(append(c, zone, data[0], LEN, URX_PATH_EMULATED, &at), LEN);
		CHECK_EQ(at, zone->start);
	}
}

static void test(struct place *place)
{
	const struct zone_ref *zone = &place->zones[1];
	struct carrier c;
	uint8_t *data[8];
	struct urx_rw rw;
	uint64_t at, start = zone->start;

	for (size_t n = 0; n < COUNT(data); n++) {
		data[n] = pages(LEN);
		fill(data[n], LEN, n + 1);
	}
	carrier_open(&c, 8);
	rw = append_of(zone, data[0], LEN, 0);
	if (!place->meta_size && carries(&c, zone, &rw, URX_PATH_EMULATED)) {
		reset(zone);
		CHECK_EQ(append(&c, zone, data[0], LEN, URX_PATH_EMULATED, &at), LEN);
		CHECK_EQ(at, start);
		stray(zone, data[7], start + 16 * LEN);
		stray(zone, data[7], start);
		CHECK_EQ(append(&c, zone, data[1], LEN, URX_PATH_EMULATED, &at), LEN);
		CHECK_EQ(at, start + LEN);

		intrude(zone, data[2], start + 2 * LEN);
		CHECK_EQ(append(&c, zone, data[3], LEN, URX_PATH_EMULATED, &at), -ESTALE);
		CHECK_EQ(look(zone).wp, start + 3 * LEN);
		CHECK_EQ(append(&c, zone, data[3], LEN, URX_PATH_EMULATED, &at), LEN);
		CHECK_EQ(at, start + 3 * LEN);
		for (uint32_t n = 0; n < 4; n++)
			holds(zone, start + n * LEN, data[n]);

		/* The very bytes that were to be written are taken for written: where they are is what counts. */
		intrude(zone, data[4], start + 4 * LEN);
		CHECK_EQ(append(&c, zone, data[4], LEN, URX_PATH_EMULATED, &at), LEN);
		CHECK_EQ(at, start + 4 * LEN);

		empty(zone);
		CHECK_EQ(append(&c, zone, data[5], LEN, URX_PATH_EMULATED, &at), -ESTALE);
		CHECK_EQ(look(zone).wp, start);
		CHECK_EQ(append(&c, zone, data[5], LEN, URX_PATH_EMULATED, &at), LEN);
		CHECK_EQ(at, start);
		holds(zone, start, data[5]);

		/* Through this target nothing is foreign. */
		CHECK_EQ(urx_zone_manage(zone->target, URX_OP_ZONE_RESET, start), 0);
		CHECK_EQ(append(&c, zone, data[6], LEN, URX_PATH_EMULATED, &at), LEN);
		CHECK_EQ(at, start);
		native(&c, zone, data);
		printf("%s\n", place->name);
	}
	carrier_close(&c);
	for (size_t n = 0; n < COUNT(data); n++)
		free(data[n]);
}

int main(void)
{
	need_vm();
	each_place(test);
	return 0;
}
