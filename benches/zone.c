/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Emulated zone appends against writes serialised by hand, in one run: the same records from one thread, DEPTH in
 * flight over ZONES zones of a zoned block device. By hand: one write in flight a zone, at a pointer that the program
 * keeps, the next one when it has completed; what a program does that has no append. Rounds alternate.
 *
 *	zone DEVICE FIRST-ZONE     prints: record bytes, MB/s emulated, MB/s by hand, the ratio; medians
 */
#include <liburing.h>
#include <liburing-ext.h>

#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { ZONES = 4, DEPTH = 32, ROUNDS = 7 };

#define MUST(cond) ((cond) ? (void)0 : (fprintf(stderr, "zone.c:%d: %s\n", __LINE__, #cond), exit(1)))

static struct urx_target *target;
static struct urx_target_info info = { .size = sizeof(info) };
static struct urx_queue *queue;
static struct io_uring ring;
static uint64_t first, capacity;
static void *data;

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void reset(void)
{
	for (unsigned n = 0; n < ZONES; n++)
		MUST(!urx_zone_manage(target, URX_OP_ZONE_RESET, first + n * info.zone_bytes));
}

/* Fills the zones; MB/s. */
static double emulated(uint32_t len)
{
	static struct urx_io ios[DEPTH];
	uint32_t idle[DEPTH], free_ios = DEPTH, each = (uint32_t)(capacity / len), total = each * ZONES;
	uint32_t planned = 0, done = 0;
	double start;

	for (uint32_t n = 0; n < DEPTH; n++)
		idle[n] = n;
	reset();
	start = now();
	while (done < total) {
		struct io_uring_cqe *cqe;

		while (planned < total && free_ios) {
			uint32_t slot = idle[--free_ios];
			struct urx_rw rw = { .size = sizeof(rw), .op = URX_OP_APPEND, .data = data, .data_len = len,
					     .allow = URX_PATH_EMULATED,
					     .offset = first + planned++ % ZONES * info.zone_bytes };
			struct io_uring_sqe *sqe = io_uring_get_sqe(&ring);

			MUST(!urx_plan(queue, target, &rw, &ios[slot]));
			urx_prep(sqe, &ios[slot]);
			io_uring_sqe_set_data64(sqe, slot);
		}
		MUST(io_uring_submit_and_wait(&ring, 1) >= 0);
		while (!io_uring_peek_cqe(&ring, &cqe)) {
			uint32_t slot = (uint32_t)cqe->user_data;

			MUST(urx_io_result(&ios[slot], cqe, NULL) == (int)len);
			io_uring_cqe_seen(&ring, cqe);
			idle[free_ios++] = slot;
			done++;
		}
	}
	return (double)total * len / (now() - start) / 1e6;
}

static double by_hand(uint32_t len)
{
	uint64_t wp[ZONES];
	uint32_t left[ZONES], total = (uint32_t)(capacity / len) * ZONES, done = 0;
	bool busy[ZONES] = { false };
	double start;

	reset();
	for (unsigned n = 0; n < ZONES; n++) {
		wp[n] = first + n * info.zone_bytes;
		left[n] = total / ZONES;
	}
	start = now();
	while (done < total) {
		struct io_uring_cqe *cqe;

		for (unsigned n = 0; n < ZONES; n++) {
			struct io_uring_sqe *sqe;

			if (busy[n] || !left[n])
				continue;
			sqe = io_uring_get_sqe(&ring);
			io_uring_prep_write(sqe, info.fd, data, len, wp[n]);
			io_uring_sqe_set_data64(sqe, n);
			busy[n] = true;
		}
		MUST(io_uring_submit_and_wait(&ring, 1) >= 0);
		while (!io_uring_peek_cqe(&ring, &cqe)) {
			unsigned n = (unsigned)cqe->user_data;

			MUST(cqe->res == (int)len);
			io_uring_cqe_seen(&ring, cqe);
			wp[n] += len;
			left[n]--;
			busy[n] = false;
			done++;
		}
	}
	return (double)total * len / (now() - start) / 1e6;
}

static int ascending(const void *a, const void *b)
{
	return *(const double *)a < *(const double *)b ? -1 : 1;
}

int main(int argc, char **argv)
{
	static const uint32_t lengths[] = { 4096, 16384, 65536 };
	struct urx_target_opts opts = { .size = sizeof(opts), .flags = URX_TARGET_WRITE };
	struct urx_zone zone;
	uint32_t one = 1;

	MUST(argc == 3);
	MUST(!urx_target_open(&target, argv[1], &opts));
	MUST(!urx_target_query(target, &info) && info.zone_bytes);
	first = strtoull(argv[2], NULL, 0) * info.zone_bytes;
	MUST(!urx_zone_report(target, first, &zone, &one) && one);
	capacity = zone.capacity;
	MUST(!io_uring_queue_init(DEPTH, &ring, 0));
	MUST(!urx_queue_open(&queue, URX_RING(&ring), NULL));
	data = aligned_alloc(4096, 65536);
	MUST(data);
	memset(data, 0x5a, 65536);
	puts("record,emulated_mb_s,by_hand_mb_s,ratio");
	for (size_t k = 0; k < sizeof(lengths) / sizeof(*lengths); k++) {
		double ours[ROUNDS], theirs[ROUNDS], ratio[ROUNDS];

		for (int n = 0; n < ROUNDS; n++) {
			ours[n] = emulated(lengths[k]);
			theirs[n] = by_hand(lengths[k]);
			ratio[n] = ours[n] / theirs[n];
		}
		qsort(ours, ROUNDS, sizeof(*ours), ascending);
		qsort(theirs, ROUNDS, sizeof(*theirs), ascending);
		qsort(ratio, ROUNDS, sizeof(*ratio), ascending);
		printf("%u,%.1f,%.1f,%.2f\n", lengths[k], ours[ROUNDS / 2], theirs[ROUNDS / 2], ratio[ROUNDS / 2]);
	}
	urx_queue_close(queue);
	urx_target_close(target);
	io_uring_queue_exit(&ring);
	free(data);
	return 0;
}
