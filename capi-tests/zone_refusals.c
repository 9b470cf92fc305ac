/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* What takes no appends says so and stays as it is; a zone that refuses has one errno for each reason. */
#include "zones.h"

static uint8_t *data;

static void untouched(const char *path, size_t at, const uint8_t *before)
{
	uint8_t *after = pages(8192);
	int fd = open(path, O_RDONLY | O_DIRECT);

	CHECK(fd >= 0);
	CHECK_EQ(pread(fd, after, 8192, (off_t)at), 8192);
	CHECK_BYTES(after, before, 8192, path);
	close(fd);
	free(after);
}

/* On every path and by the library's choice: one errno, and a sentence. */
static void refuses(const char *path, uint64_t zone_start, int planned, int done)
{
	struct zone_ref zone = { .target = target_at(path), .start = zone_start };
	uint8_t *before = pages(8192);
	struct urx_zone report;
	struct carrier c;
	uint32_t one = 1;
	int fd = open(path, O_RDWR | O_DIRECT);

	CHECK(fd >= 0);
	fill(before, 8192, 99);
	CHECK_EQ(pwrite(fd, before, 8192, (off_t)zone_start), 8192);
	close(fd);
	carrier_open(&c, 8);
	for (uint32_t allow = 0; allow <= URX_PATH_EMULATED; allow = allow ? allow * 2 : 1) {
		struct urx_rw rw = append_of(&zone, data, 8192, allow);
		struct urx_result result;
		const char *why = NULL;
		int ret = carry(&c, zone.target, &rw, &result);

		if (allow) {
			int can = urx_explain(c.queue, zone.target, &rw, allow, &why);

			CHECK(why && *why);
			CHECK_EQ(ret, can ? can : done);
			if (planned)
				CHECK_EQ(can, planned);
		} else {
			CHECK_EQ(ret, planned ? planned : done);
		}
		CHECK_EQ(result.append_offset, 0);
	}
	if (planned) {
		CHECK_EQ(urx_zone_report(zone.target, 0, &report, &one), -EOPNOTSUPP);
		CHECK_EQ(urx_zone_manage(zone.target, URX_OP_ZONE_RESET, 0), -EOPNOTSUPP);
	}
	carrier_close(&c);
	urx_target_close(zone.target);
	untouched(path, zone_start, before);
	free(before);
}

static void file(void)
{
	char path[] = "/var/tmp/urx-zone-XXXXXX";
	uint8_t *zeros = pages(8192);
	struct zone_ref zone = { 0 };
	struct carrier c;
	int fd;

	mkdir("/var", 0755);
	mkdir("/var/tmp", 0755);
	fd = mkstemp(path);
	CHECK(fd >= 0);
	CHECK_EQ(ftruncate(fd, 1 << 20), 0);
	zone.target = target_at(path);
	carrier_open(&c, 8);
	CHECK_EQ(append(&c, &zone, data, 8192, 0, NULL), -EOPNOTSUPP);
	carrier_close(&c);
	urx_target_close(zone.target);
	CHECK_EQ(pread(fd, data + 8192, 8192, 0), 8192);
	CHECK_BYTES(data + 8192, zeros, 8192, "file");
	close(fd);
	unlink(path);
	free(zeros);
}

/* Requests that are wrong by themselves. */
static void wrong(struct place *place)
{
	struct zone_ref zone = place->zones[1], off = zone, far = zone;
	uint64_t wp = look(&zone).wp;
	struct carrier c;
	struct urx_result result;
	struct urx_rw rw = append_of(&zone, data, (place->max_append / place->block + 1) * place->block, 0);

	if (place->meta_size)
		return;
	carrier_open(&c, 8);
	CHECK_EQ(carry(&c, zone.target, &rw, &result), -E2BIG);
	off.start += place->block;
	CHECK_EQ(append(&c, &off, data, place->block, 0, NULL), -EINVAL);
	far.start += 1ull << 40;
	CHECK_EQ(append(&c, &far, data, place->block, 0, NULL), -ERANGE);
	CHECK_EQ(append(&c, &zone, data, place->block + 1, 0, NULL), -EINVAL);
	CHECK_EQ(append(&c, &zone, data, 0, 0, NULL), -EINVAL);
	CHECK_EQ(append(&c, &zone, data + 1, place->block, 0, NULL), -EINVAL);
	CHECK_EQ(look(&zone).wp, wp);
	carrier_close(&c);
}

static void null_put(const char *attribute, uint64_t value)
{
	char path[96], text[32];

	snprintf(path, sizeof(path), "/sys/kernel/config/nullb/urxz/%s", attribute);
	snprintf(text, sizeof(text), "%llu", (unsigned long long)value);
	put_text(path, text);
}

/* Of zones of which two can be open and three active, the same on every device and path. */
static void too_many(struct carrier *c, struct zone_ref *zones, uint32_t path)
{
	CHECK_EQ(urx_zone_manage(zones[0].target, URX_OP_ZONE_OPEN, zones[0].start), 0);
	CHECK_EQ(urx_zone_manage(zones[0].target, URX_OP_ZONE_OPEN, zones[1].start), 0);
	CHECK_EQ(append(c, &zones[2], data, 4096, path, NULL), -ETOOMANYREFS);
	CHECK_EQ(urx_zone_manage(zones[0].target, URX_OP_ZONE_OPEN, zones[2].start), -ETOOMANYREFS);
	CHECK_EQ(look(&zones[2]).wp, zones[2].start);
	for (int n = 0; n < 2; n++) {
		CHECK_EQ(append(c, &zones[n], data, 4096, path, NULL), 4096);
		CHECK_EQ(urx_zone_manage(zones[n].target, URX_OP_ZONE_CLOSE, zones[n].start), 0);
	}
	CHECK_EQ(append(c, &zones[2], data, 4096, path, NULL), 4096);
	CHECK_EQ(append(c, &zones[3], data, 4096, path, NULL), -EOVERFLOW);
	CHECK_EQ(look(&zones[3]).wp, zones[3].start);
	CHECK_EQ(urx_zone_manage(zones[0].target, URX_OP_ZONE_RESET, zones[0].start), 0);
	CHECK_EQ(append(c, &zones[3], data, 4096, path, NULL), 4096);
}

static void too_many_natively(void)
{
	static const uint32_t paths[] = { URX_PATH_URING_CMD, URX_PATH_IOCTL, URX_PATH_EMULATED };

	for (size_t n = 0; n < COUNT(paths); n++) {
		struct place place = place_of("znsfew", node("znsfew"), 0);
		struct urx_rw rw = append_of(&place.zones[0], data, 4096, paths[n]);
		struct carrier c;

		carrier_open(&c, 8);
		if (carries(&c, &place.zones[0], &rw, paths[n])) {
			too_many(&c, place.zones, paths[n]);
			printf("too many: %s\n", urx_path_str(paths[n]));
		}
		for (int k = 0; k < ZONES; k++)
			reset(&place.zones[k]);
		carrier_close(&c);
		place_close(&place);
	}
}

/* Conditions that null_blk can be told to be in. */
static void conditions(void)
{
	const char *device = null_make("zone_nr_conv=2 zone_max_open=2 zone_max_active=3");
	struct place place;
	struct zone_ref *zones;
	struct carrier c;

	if (!device)
		return;
	place = place_of("null_blk", device, 3);
	zones = place.zones;
	refuses(device, 0, 0, -EOPNOTSUPP); /* a conventional zone */
	carrier_open(&c, 8);
	too_many(&c, zones, 0);
	if (!access("/sys/kernel/config/nullb/urxz/zone_readonly", F_OK)) {
		null_put("zone_readonly", zones[1].start / 512);
		null_put("zone_offline", zones[2].start / 512);
		CHECK_EQ(append(&c, &zones[1], data, 4096, 0, NULL), -EROFS);
		CHECK_EQ(append(&c, &zones[2], data, 4096, 0, NULL), -ENODEV);
		CHECK_EQ(look(&zones[1]).state, URX_ZONE_READONLY);
		CHECK_EQ(look(&zones[2]).state, URX_ZONE_OFFLINE);
		CHECK_EQ(urx_zone_manage(zones[1].target, URX_OP_ZONE_RESET, zones[1].start), -EROFS);
		CHECK_EQ(urx_zone_manage(zones[2].target, URX_OP_ZONE_FINISH, zones[2].start), -ENODEV);
		CHECK_EQ(append(&c, &zones[3], data, 4096, 0, NULL), 4096);
		puts("read-only and offline too");
	}
	carrier_close(&c);
	place_close(&place);
	null_end();
}

/* The conventional zones of a zonefs are ordinary files in all but size. */
static void zonefs(void)
{
	const char *device = null_make("zone_nr_conv=2");
	char path[80];

	if (!device)
		return;
	if (zonefs_make(device)) {
		snprintf(path, sizeof(path), "%s/cnv/0", zonefs_dir);
		refuses(path, 0, 0, -EOPNOTSUPP);
		zonefs_end();
	}
	null_end();
}

int main(void)
{
	need_vm();
	data = pages(4 << 20);
	fill(data, 4 << 20, 7);
	refuses(node("plain"), 0, -EOPNOTSUPP, 0);
	file();
	too_many_natively();
	conditions();
	zonefs();
	each_place(wrong);
	return 0;
}
