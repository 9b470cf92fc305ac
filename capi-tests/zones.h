/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Everything in the test machine that has zones: NVMe namespaces, null_blk (in memory, made through configfs),
 * scsi_debug as a host-managed disk, and zonefs on the first two, whose super block is written here.
 */
#ifndef ZONES_H
#define ZONES_H

#include "urx_test.h"

#include <linux/blkzoned.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>

#define ZONES 4 /* that tests use of each place */

struct zone_ref {
	struct urx_target *target;
	uint64_t start;
	char path[80]; /* what to open for plain I/O */
	uint64_t capacity;
};

struct place {
	const char *name;
	struct zone_ref zones[ZONES];
	uint32_t targets; /* 1: all zones are of one; else each its own */
	uint32_t block;
	uint32_t max_append;
	uint32_t meta_size;
};

static inline int shell(const char *command)
{
	int status = system(command);

	return status < 0 || !WIFEXITED(status) ? 127 : WEXITSTATUS(status);
}

/* ------------------------------------------------------------------ devices */

static inline void put_text(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY);

	if (fd < 0 || write(fd, text, strlen(text)) != (ssize_t)strlen(text))
		FAIL("%s: %s", path, strerror(errno));
	close(fd);
}

static bool null_loaded;

/* A null_blk disk of 64 MB in zones of 4, 3 of them usable; `more` is "attribute=value ...". The path of its node. */
static inline const char *null_make(const char *more)
{
	static const char dir[] = "/sys/kernel/config/nullb/urxz";
	static char path[32];
	char text[512], *save, *word;
	FILE *index;
	int n = -1;

	if (access("/sys/module/null_blk", F_OK)) {
		if (shell("modprobe null_blk nr_devices=0"))
			return NULL;
		null_loaded = true;
	}
	shell("modprobe configfs 2>/dev/null; mount -t configfs configfs /sys/kernel/config 2>/dev/null");
	if (mkdir(dir, 0755))
		FAIL("%s: %s", dir, strerror(errno));
	snprintf(text, sizeof(text), "size=64 memory_backed=1 zoned=1 zone_size=4 zone_capacity=3 blocksize=4096 %s power=1",
		 more);
	for (word = strtok_r(text, " ", &save); word; word = strtok_r(NULL, " ", &save)) {
		char attribute[128], *value = strchr(word, '=');

		*value = 0;
		snprintf(attribute, sizeof(attribute), "%s/%s", dir, word);
		if (!access(attribute, F_OK))
			put_text(attribute, value + 1);
	}
	snprintf(path, sizeof(path), "/dev/urxz");
	snprintf(text, sizeof(text), "%s/index", dir);
	if (access("/sys/block/urxz", F_OK)) {
		index = fopen(text, "r");
		CHECK(index && fscanf(index, "%d", &n) == 1);
		fclose(index);
		snprintf(path, sizeof(path), "/dev/nullb%d", n);
	}
	for (n = 0; n < 100 && access(path, F_OK); n++)
		usleep(20000);
	CHECK_EQ(access(path, F_OK), 0);
	return path;
}

static inline void null_end(void)
{
	CHECK_EQ(rmdir("/sys/kernel/config/nullb/urxz"), 0);
	if (null_loaded)
		shell("modprobe -r null_blk");
	null_loaded = false;
}

/* NULL where scsi_debug cannot be a zoned disk, or is in use as another. */
static inline const char *scsi_make(void)
{
	if (!access("/sys/module/scsi_debug", F_OK) && shell("modprobe -r scsi_debug 2>/dev/null"))
		return NULL;
	if (shell("urx-modprobe scsi dif=0 dix=0 dev_size_mb=64 sector_size=4096 zbc=host-managed zone_size_mb=4 "
		  "zone_nr_conv=1 zone_max_open=0 2>/dev/null"))
		return NULL;
	return "/dev/urx/scsi";
}

static inline void scsi_end(void)
{
	unlink("/dev/urx/scsi");
	for (int n = 0; n < 50 && shell("modprobe -r scsi_debug 2>/dev/null"); n++)
		usleep(100000);
}

/* ------------------------------------------------------------------ zonefs */

static const char zonefs_dir[] = "/tmp/urx-zonefs";

static inline void reset_all(const char *device)
{
	int fd = open(device, O_RDWR);
	uint64_t bytes;
	struct blk_zone_range range = { 0 };

	CHECK(fd >= 0);
	CHECK_EQ(ioctl(fd, _IOR(0x12, 114, size_t), &bytes), 0); /* BLKGETSIZE64 */
	range.nr_sectors = bytes / 512;
	CHECK_EQ(ioctl(fd, BLKRESETZONE, &range), 0);
	close(fd);
}

/* Makes and mounts a zonefs: its super block is 4 KiB at the start of the first zone (fs/zonefs/zonefs.h). */
static inline bool zonefs_make(const char *device)
{
	uint8_t *super = pages(4096);
	uint32_t crc = ~0u;
	int fd;

	reset_all(device);
	memcpy(super, "SFOZ", 4);
	fill(super + 72, 16, 5); /* UUID */
	for (int n = 0; n < 4096; n++) {
		crc ^= super[n];
		for (int bit = 0; bit < 8; bit++)
			crc = crc & 1 ? crc >> 1 ^ 0xedb88320 : crc >> 1;
	}
	memcpy(super + 4, &crc, 4);
	fd = open(device, O_WRONLY | O_DIRECT);
	CHECK(fd >= 0);
	CHECK_EQ(pwrite(fd, super, 4096, 0), 4096);
	close(fd);
	free(super);
	mkdir(zonefs_dir, 0755);
	shell("modprobe zonefs 2>/dev/null");
	if (!mount(device, zonefs_dir, "zonefs", 0, ""))
		return true;
	if (errno != ENODEV)
		FAIL("zonefs on %s: %s", device, strerror(errno));
	return false;
}

static inline void zonefs_end(void)
{
	CHECK_EQ(umount(zonefs_dir), 0);
}

/* ------------------------------------------------------------------ places */

static inline struct urx_target *target_at(const char *path)
{
	struct urx_target_opts opts = { .size = sizeof(opts), .flags = URX_TARGET_WRITE };
	struct urx_target *target;
	int ret = urx_target_open(&target, path, &opts);

	if (ret)
		FAIL("%s: %s", path, strerror(-ret));
	return target;
}

/* Zones `first` and the following; their conditions are whatever they are. */
static inline struct place place_of(const char *name, const char *device, uint32_t first)
{
	struct place place = { .name = name, .targets = 1 };
	struct urx_target_info info = { .size = sizeof(info) };
	struct urx_target *target = target_at(device);

	CHECK_EQ(urx_target_query(target, &info), 0);
	CHECK(info.nr_zones >= first + ZONES);
	place.block = info.format.interval;
	place.meta_size = info.format.meta_size;
	place.max_append = info.max_append;
	for (uint32_t n = 0; n < ZONES; n++) {
		struct zone_ref *zone = &place.zones[n];
		struct urx_zone report;
		uint32_t one = 1;

		zone->target = target;
		zone->start = (first + n) * info.zone_bytes;
		snprintf(zone->path, sizeof(zone->path), "%s", device);
		CHECK_EQ(urx_zone_report(target, zone->start, &report, &one), 0);
		CHECK_EQ(one, 1);
		CHECK_EQ(report.start, zone->start);
		zone->capacity = report.capacity;
	}
	return place;
}

static inline struct place place_zonefs(const char *name)
{
	struct place place = { .name = name, .targets = ZONES };
	struct urx_target_info info = { .size = sizeof(info) };

	for (uint32_t n = 0; n < ZONES; n++) {
		struct zone_ref *zone = &place.zones[n];

		snprintf(zone->path, sizeof(zone->path), "%s/seq/%u", zonefs_dir, n);
		zone->target = target_at(zone->path);
		CHECK_EQ(urx_target_query(zone->target, &info), 0);
		CHECK_EQ(info.kind, URX_KIND_ZONEFS);
		zone->capacity = info.bytes;
	}
	place.block = info.format.interval;
	place.max_append = info.max_append;
	return place;
}

static inline void place_close(struct place *place)
{
	for (uint32_t n = 0; n < place->targets; n++)
		urx_target_close(place->zones[n].target);
}

/* Each place there is, to a test. */
static inline void each_place(void (*test)(struct place *))
{
	static const char *const labels[] = { "zns", "znspi", "zns.ng" };
	struct place place;
	const char *device;
	int count = 0;

	for (size_t n = 0; n < COUNT(labels); n++) {
		if (access(node(labels[n]), F_OK)) /* no character devices on 5.10 */
			continue;
		place = place_of(labels[n], node(labels[n]), 1);
		test(&place);
		place_close(&place);
		count++;
	}
	device = null_make("zone_nr_conv=2");
	if (device) {
		place = place_of("null_blk", device, 2);
		test(&place);
		place_close(&place);
		if (zonefs_make(device)) {
			place = place_zonefs("zonefs on null_blk");
			test(&place);
			place_close(&place);
			zonefs_end();
			count++;
		}
		null_end();
		count++;
	}
	if (zonefs_make(node("zns"))) {
		place = place_zonefs("zonefs on zns");
		test(&place);
		place_close(&place);
		zonefs_end();
		count++;
	}
	reset_all(node("zns"));
	device = scsi_make();
	if (device) {
		place = place_of("scsi_debug", device, 1);
		test(&place);
		place_close(&place);
		scsi_end();
		count++;
	}
	printf("%d places\n", count);
	CHECK(count >= 4);
}

/* ------------------------------------------------------------------ requests */

struct carrier {
	struct io_uring ring;
	struct urx_queue *queue;
};

/* With large entries where the kernel has them. */
static inline void carrier_open(struct carrier *c, unsigned entries)
{
	int ret = io_uring_queue_init(entries, &c->ring, IORING_SETUP_SQE128 | IORING_SETUP_CQE32);

	if (ret == -EINVAL)
		ret = io_uring_queue_init(entries, &c->ring, 0);
	CHECK_EQ(ret, 0);
	CHECK_EQ(urx_queue_open(&c->queue, URX_RING(&c->ring), NULL), 0);
}

static inline void carrier_close(struct carrier *c)
{
	urx_queue_close(c->queue);
	io_uring_queue_exit(&c->ring);
}

static inline struct urx_rw append_of(const struct zone_ref *zone, void *data, uint32_t len, uint32_t path)
{
	return (struct urx_rw){ .size = sizeof(struct urx_rw), .op = URX_OP_APPEND, .data_len = len,
				.offset = zone->start, .data = data, .allow = path };
}

/* One request from start to end. */
static inline int carry(struct carrier *c, struct urx_target *target, const struct urx_rw *rw,
			struct urx_result *result)
{
	struct urx_io io;
	struct io_uring_cqe *cqe;
	int ret = urx_plan(c->queue, target, rw, &io);

	*result = (struct urx_result){ .size = sizeof(*result) };
	if (ret)
		return ret;
	urx_prep(io_uring_get_sqe(&c->ring), &io);
	CHECK_EQ(io_uring_submit(&c->ring), 1);
	CHECK_EQ(io_uring_wait_cqe(&c->ring, &cqe), 0);
	ret = urx_io_result(&io, cqe, result);
	io_uring_cqe_seen(&c->ring, cqe);
	return ret;
}

static inline int append(struct carrier *c, const struct zone_ref *zone, void *data, uint32_t len, uint32_t path,
			 uint64_t *offset)
{
	struct urx_rw rw = append_of(zone, data, len, path);
	struct urx_result result;
	int ret = carry(c, zone->target, &rw, &result);

	if (offset)
		*offset = result.append_offset;
	return ret;
}

static inline bool carries(struct carrier *c, const struct zone_ref *zone, const struct urx_rw *rw, uint32_t path)
{
	const char *why = NULL;
	int ret = urx_explain(c->queue, zone->target, rw, path, &why);

	CHECK(why);
	if (ret)
		CHECK_EQ(ret, -EOPNOTSUPP);
	return !ret;
}

static inline struct urx_zone look(const struct zone_ref *zone)
{
	struct urx_zone report;
	uint32_t one = 1;

	CHECK_EQ(urx_zone_report(zone->target, zone->start, &report, &one), 0);
	CHECK_EQ(one, 1);
	return report;
}

static inline void reset(const struct zone_ref *zone)
{
	CHECK_EQ(urx_zone_manage(zone->target, URX_OP_ZONE_RESET, zone->start), 0);
	CHECK_EQ(look(zone).state, URX_ZONE_EMPTY);
	CHECK_EQ(look(zone).wp, zone->start);
}

/* Plain I/O past the library: a character device has its block device read. */
static inline int open_plain(const struct zone_ref *zone, int flags)
{
	char path[80];
	size_t len = (size_t)snprintf(path, sizeof(path), "%s", zone->path);
	int fd;

	if (len > 3 && !strcmp(path + len - 3, ".ng"))
		path[len - 3] = 0;
	fd = open(path, flags | O_DIRECT);
	if (fd < 0)
		FAIL("%s: %s", path, strerror(errno));
	return fd;
}

#endif
