/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Reports agree with the kernel's, and reset, open, close and finish do what they say, at once and in a ring. */
#include "zones.h"

static void same(const struct zone_ref *zone, const struct urx_zone *z)
{
	union {
		struct blk_zone_report head;
		uint8_t bytes[sizeof(struct blk_zone_report) + sizeof(struct blk_zone)];
	} report = { .head = { .sector = z->start / 512, .nr_zones = 1 } };
	const struct blk_zone *told = report.head.zones;
	int fd = open_plain(zone, O_RDONLY);
	struct stat st;

	CHECK_EQ(fstat(fd, &st), 0);
	if (S_ISREG(st.st_mode)) {
		CHECK_EQ(z->start, 0);
		CHECK_EQ(z->capacity, st.st_blocks * 512);
		CHECK_EQ(z->wp, st.st_size);
		CHECK_EQ(z->type, URX_ZONE_SEQ_REQUIRED);
	} else {
		CHECK_EQ(ioctl(fd, BLKREPORTZONE, &report), 0);
		CHECK_EQ(report.head.nr_zones, 1);
		CHECK_EQ(z->start, told->start * 512);
		CHECK_EQ(z->len, told->len * 512);
		CHECK_EQ(z->capacity, report.head.flags & BLK_ZONE_REP_CAPACITY ? told->capacity * 512 : z->len);
		CHECK_EQ(z->type, told->type);
		CHECK_EQ(z->state, told->cond);
		if (z->state >= URX_ZONE_IMP_OPEN && z->state <= URX_ZONE_CLOSED)
			CHECK_EQ(z->wp, told->wp * 512);
		else
			CHECK_EQ(z->wp, z->start + (z->state == URX_ZONE_FULL ? z->capacity : 0));
	}
	close(fd);
}

/* All zones, however many at a time. */
static void reports(const struct place *place)
{
	const struct zone_ref *zone = &place->zones[0];
	struct urx_target_info info = { .size = sizeof(info) };
	struct urx_zone zones[100];

	CHECK_EQ(urx_target_query(zone->target, &info), 0);
	CHECK(info.nr_zones < COUNT(zones));
	for (uint32_t room = 1; room <= COUNT(zones); room = room * 3 + 1) {
		uint32_t count, seen = 0;
		uint64_t at = 0;

		for (;;) {
			count = room;
			CHECK_EQ(urx_zone_report(zone->target, at, zones, &count), 0);
			CHECK(count <= room);
			if (!count)
				break;
			for (uint32_t n = 0; n < count; n++) {
				CHECK_EQ(zones[n].start, (uint64_t)seen++ * info.zone_bytes);
				CHECK_EQ(zones[n].reserved, 0);
				same(zone, &zones[n]);
				at = zones[n].start + zones[n].len;
			}
		}
		CHECK_EQ(seen, info.nr_zones);
		CHECK_EQ(at, place->targets == 1 ? info.bytes : zone->capacity);
	}
	if (info.nr_zones > 1) {
		uint32_t one = 1;

		CHECK_EQ(urx_zone_report(zone->target, info.zone_bytes * 2 - 1, zones, &one), 0);
		CHECK_EQ(zones[0].start, info.zone_bytes);
	}
}

static int manage(struct carrier *c, const struct zone_ref *zone, uint32_t op, uint32_t path)
{
	struct urx_rw rw = { .size = sizeof(rw), .op = op, .offset = zone->start, .allow = path };
	struct urx_result result;
	int ret;

	if (!path)
		return urx_zone_manage(zone->target, op, zone->start);
	ret = carry(c, zone->target, &rw, &result);
	if (!ret)
		CHECK_EQ(result.path, path);
	return ret;
}

static void manages(struct place *place, struct carrier *c, uint32_t path)
{
	const struct zone_ref *zone = &place->zones[0];
	uint8_t *data = pages(8192);
	struct urx_zone z;
	bool file = place->targets > 1;

	CHECK_EQ(manage(c, zone, URX_OP_ZONE_RESET, path), 0);
	z = look(zone);
	CHECK_EQ(z.state, URX_ZONE_EMPTY);
	same(zone, &z);
	CHECK_EQ(manage(c, zone, URX_OP_ZONE_OPEN, path), file ? -EOPNOTSUPP : 0);
	CHECK_EQ(look(zone).state, file ? URX_ZONE_EMPTY : URX_ZONE_EXP_OPEN);
	CHECK_EQ(manage(c, zone, URX_OP_ZONE_CLOSE, path), file ? -EOPNOTSUPP : 0);
	z = look(zone);
	CHECK(z.state == URX_ZONE_EMPTY || (!file && z.state == URX_ZONE_CLOSED)); /* as the device likes */
	same(zone, &z);
	if (!place->meta_size) {
		CHECK_EQ(append(c, zone, data, 8192, 0, NULL), 8192);
		z = look(zone);
		CHECK_EQ(z.state, URX_ZONE_IMP_OPEN);
		CHECK_EQ(z.wp, zone->start + 8192);
		same(zone, &z);
		if (!file) {
			CHECK_EQ(manage(c, zone, URX_OP_ZONE_CLOSE, path), 0);
			CHECK_EQ(look(zone).state, URX_ZONE_CLOSED);
		}
	}
	CHECK_EQ(manage(c, zone, URX_OP_ZONE_FINISH, path), 0);
	z = look(zone);
	CHECK_EQ(z.state, URX_ZONE_FULL);
	CHECK_EQ(z.wp, zone->start + zone->capacity);
	same(zone, &z);
	if (!place->meta_size)
		CHECK_EQ(append(c, zone, data, 8192, 0, NULL), -ENOSPC);
	CHECK_EQ(manage(c, zone, URX_OP_ZONE_RESET, path), 0);
	CHECK_EQ(look(zone).state, URX_ZONE_EMPTY);
	CHECK_EQ(manage(c, &(struct zone_ref){ .target = zone->target, .start = zone->start + place->block },
			URX_OP_ZONE_RESET, path), -EINVAL);
	free(data);
}

static void test(struct place *place)
{
	struct urx_rw rw = { .size = sizeof(rw), .op = URX_OP_ZONE_RESET, .offset = place->zones[0].start };
	struct carrier c;

	carrier_open(&c, 8);
	for (int n = 0; n < ZONES; n++)
		CHECK_EQ(urx_zone_manage(place->zones[n].target, URX_OP_ZONE_RESET, place->zones[n].start), 0);
	reports(place);
	manages(place, &c, 0);
	printf("%s:", place->name);
	for (uint32_t path = 1; path <= URX_PATH_EMULATED; path *= 2) {
		if (!carries(&c, &place->zones[0], &rw, path))
			continue;
		manages(place, &c, path);
		printf(" %s", urx_path_str(path));
	}
	printf("\n");
	carrier_close(&c);
}

int main(void)
{
	struct urx_zone zone;
	uint32_t count = 1;

	need_vm();
	each_place(test);
	CHECK_EQ(urx_zone_report(NULL, 0, &zone, &count), -EINVAL);
	CHECK_EQ(urx_zone_manage(NULL, URX_OP_ZONE_RESET, 0), -EINVAL);
	return 0;
}
