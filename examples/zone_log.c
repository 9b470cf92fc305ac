/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * An append-only log on a zoned device. Records go into one zone by URX_OP_APPEND, which tells where each went; a log
 * that was interrupted is recovered by reading on until a record is not one. Where the device keeps protection
 * information, records have it: the guard tells a torn or damaged block, the application tag that it is the log's.
 *
 *	cc -O2 examples/zone_log.c $(pkg-config --cflags --libs liburing-ext)
 *	./a.out DEVICE ZONE RECORDS     appends, after recovery; "-RECORDS" empties the zone first
 */
#include <liburing-ext.h>

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAGIC 0x6c6f67207a6f6e65u
#define TAG   0x106

struct header {
	uint64_t magic;
	uint64_t number; /* of the record, from 0 */
	uint32_t blocks;
	uint32_t crc;    /* CRC-32C of the rest, which protects what has no metadata */
};

struct log {
	struct urx_target *target;
	struct urx_queue *queue;
	struct urx_target_info info;
	struct urx_zone zone;
	uint8_t *data, *meta;
	uint64_t next;      /* number of the next record */
};

static void die(const char *what, int error)
{
	fprintf(stderr, "zone_log: %s: %s\n", what, strerror(-error));
	exit(1);
}

/* A request for `blocks` blocks at `offset`, with as much protection as there is. */
static struct urx_rw request(struct log *log, uint32_t op, uint64_t offset, uint32_t blocks)
{
	const struct urx_pi_format *f = &log->info.format;
	struct urx_rw rw = {
		.size = sizeof(rw),
		.op = op,
		.offset = offset,
		.data = log->data,
		.data_len = blocks * f->interval,
		.meta = f->meta_size ? log->meta : NULL,
		.meta_len = blocks * f->meta_size,
	};

	/* Devices differ in what reference tag an appended tuple has: guard and application tag do. */
	rw.tags.checks = f->checks & (URX_CHECK_GUARD | URX_CHECK_APP);
	rw.tags.app = TAG;
	rw.tags.ref = offset / f->interval;
	return rw;
}

static int log_append(struct log *log, const char *text, struct urx_result *result)
{
	const struct urx_pi_format *f = &log->info.format;
	struct header h = { .magic = MAGIC, .number = log->next };
	size_t len = strlen(text) + 1;
	struct urx_rw rw;
	struct urx_pi pi;
	int ret;

	h.blocks = (uint32_t)((sizeof(h) + len + f->interval - 1) / f->interval);
	memset(log->data, 0, (size_t)h.blocks * f->interval);
	memcpy(log->data + sizeof(h), text, len);
	h.crc = urx_crc32c(0, log->data + sizeof(h), (size_t)h.blocks * f->interval - sizeof(h));
	memcpy(log->data, &h, sizeof(h));

	rw = request(log, URX_OP_APPEND, log->zone.start, h.blocks);
	rw.flags = URX_RW_FUA;
	if (rw.tags.checks) {
		ret = urx_pi_init(&pi, f, NULL);
		if (!ret)
			ret = urx_pi_generate(&pi, &rw.tags, log->data, log->meta, h.blocks);
		if (ret)
			return ret;
	}
	ret = urx_run(log->queue, log->target, &rw, result);
	if (ret >= 0)
		log->next++;
	return ret;
}

/* Reads the record at `at`: its blocks, or 0 if there is none. */
static uint32_t record(struct log *log, uint64_t at)
{
	const struct urx_pi_format *f = &log->info.format;
	uint64_t room = (log->zone.wp - at) / f->interval;
	struct urx_result result = { .size = sizeof(result) };
	struct header h = { .blocks = 1 };

	for (uint32_t have = 0; have < h.blocks; have = h.blocks) {
		struct urx_rw rw;

		if (h.blocks > room || h.blocks * f->interval > log->info.max_append)
			return 0;
		rw = request(log, URX_OP_READ, at, h.blocks);
		/* A failed check: the record was being written when the power went. */
		if (urx_run(log->queue, log->target, &rw, &result) < 0)
			return 0;
		memcpy(&h, log->data, sizeof(h));
		if (h.magic != MAGIC || h.number != log->next || !h.blocks)
			return 0;
		if (have == 0 && h.blocks == 1)
			break;
	}
	if (urx_crc32c(0, log->data + sizeof(h), (size_t)h.blocks * f->interval - sizeof(h)) != h.crc)
		return 0;
	return h.blocks;
}

/* Finds the end. Returns the bytes behind it that belong to no record. */
static uint64_t recover(struct log *log)
{
	uint64_t at = log->zone.start;
	uint32_t one = 1, blocks;
	int ret = urx_zone_report(log->target, log->zone.start, &log->zone, &one);

	if (ret || !one)
		die("report", ret);
	for (log->next = 0; at < log->zone.wp && (blocks = record(log, at)); log->next++)
		at += (uint64_t)blocks * log->info.format.interval;
	return log->zone.wp - at;
}

int main(int argc, char **argv)
{
	struct urx_target_opts opts = { .size = sizeof(opts), .flags = URX_TARGET_WRITE };
	struct log log = { .info.size = sizeof(log.info) };
	struct urx_result result = { .size = sizeof(result) };
	long count = argc == 4 ? strtol(argv[3], NULL, 0) : 0;
	uint64_t lost;
	char text[6000];
	int ret;

	if (argc != 4) {
		fprintf(stderr, "usage: zone_log DEVICE ZONE [-]RECORDS\n");
		return 2;
	}
	ret = urx_target_open(&log.target, argv[1], &opts);
	if (!ret)
		ret = urx_queue_open(&log.queue, -1, 0, 0, NULL);
	if (ret)
		die(argv[1], ret);
	urx_target_query(log.target, &log.info);
	log.data = aligned_alloc(4096, (log.info.max_append + 4095) / 4096 * 4096);
	log.meta = aligned_alloc(4096, 1 << 20);
	if (!log.info.max_append || !log.data || !log.meta)
		die("no zones, or no memory", -EOPNOTSUPP);
	log.zone.start = strtoull(argv[2], NULL, 0) * log.info.zone_bytes;
	if (count < 0) {
		ret = urx_zone_manage(log.target, URX_OP_ZONE_RESET, log.zone.start);
		if (ret)
			die("reset", ret);
	}

	lost = recover(&log);
	printf("%" PRIu64 " records, %" PRIu64 " bytes of none\n", log.next, lost);
	if (lost && labs(count)) { /* what follows would never be found: a real log would go on in another zone */
		fprintf(stderr, "zone_log: the zone ends in a torn record\n");
		return 3;
	}
	for (long n = labs(count); n; n--) {
		int len = snprintf(text, sizeof(text), "record %" PRIu64, log.next);

		memset(text + len, '.', log.next % 5000); /* of one block, or of two */
		text[len + log.next % 5000] = 0;
		ret = log_append(&log, text, &result);
		if (ret < 0)
			die("append", ret);
		printf("at %" PRIu64 "\n", result.append_offset);
	}
	urx_queue_close(log.queue);
	urx_target_close(log.target);
	free(log.data);
	free(log.meta);
	return 0;
}
