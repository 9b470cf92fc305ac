/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Fused commands against the driver's own copies: ublk devices over files in memory, each served by a thread of this
 * process with the same loop, and the library's calls, on rings of the same kind. What differs is how a device was
 * added, and so how the bytes travel:
 *
 *   zero-copy  registered, READ_FIXED or WRITE_FIXED, unregistered
 *   auto-reg   the same, but the driver registers
 *   user-copy  pread() or pwrite() of the character device, READ or WRITE
 *   default    what the library takes on a device with zero copy and user copy
 *   classic    the driver copies, READ or WRITE
 *
 * One row: op,size,path,mib_s,peer,peer_mib_s,ratio. The peer is classic; medians of runs that take turns.
 */
#include <errno.h>
#include <fcntl.h>
#include <liburing.h>
#include <liburing-ext.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#define COUNT(array) (sizeof(array) / sizeof(*(array)))
#define MUST(cond) ((cond) ? (void)0 : (fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #cond), exit(1)))

#define DEV_BYTES (32u << 20)
#define MOST_BYTES (512u << 10)
#define DEPTH 8
#define RUNS 7

enum { FETCH = 1, FUSED };

struct side {
	const char *name;
	uint64_t flags;
	uint32_t allow;
	int backing, disk;
	uint8_t *image;
	struct urx_ublk_device dev;
	pthread_t thread;
	double mib_s[RUNS];
};

static struct side sides[] = {
	{ .name = "classic" },
	{ .name = "zero-copy", .flags = URX_UBLK_F_ZERO_COPY },
	{ .name = "user-copy", .flags = URX_UBLK_F_USER_COPY },
	{ .name = "auto-reg", .flags = URX_UBLK_F_ZERO_COPY | URX_UBLK_F_AUTO_BUF_REG },
	{ .name = "default", .flags = URX_UBLK_F_ZERO_COPY | URX_UBLK_F_USER_COPY },
};

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* -------------------------------------------------------------- the server */

static struct io_uring_sqe *sqe_for(struct io_uring *ring, unsigned what, unsigned tag, unsigned index)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(ring);

	MUST(sqe);
	sqe->user_data = (uint64_t)what << 32 | tag << 8 | index;
	return sqe;
}

static void begin(struct io_uring *ring, struct urx_ublk *ublk, const struct side *side, unsigned tag,
		  const struct urx_ublk_desc *desc, struct urx_fused *fused)
{
	struct io_uring_sqe sqe = { 0 }, *sqes[3];
	uint64_t at = desc->start_sector * 512;
	unsigned len = desc->nr_sectors * 512;

	if ((desc->op_flags & 255) == URX_UBLK_OP_WRITE)
		io_uring_prep_write(&sqe, side->backing, NULL, len, at);
	else
		io_uring_prep_read(&sqe, side->backing, NULL, len, at);
	MUST(!urx_fused_plan(ublk, fused, (uint16_t)tag, &sqe, 1, NULL));
	MUST(fused->nr_sqes <= COUNT(sqes));
	for (unsigned n = 0; n < fused->nr_sqes; n++)
		sqes[n] = sqe_for(ring, FUSED, tag, n);
	MUST(!urx_prep_fused_cmd(sqes, fused->nr_sqes, fused));
}

static void *serve(void *arg)
{
	struct side *side = arg;
	struct urx_ublk_opts opts = { .size = sizeof(opts), .depth = DEPTH, .features = side->dev.flags,
				      .allow = side->allow };
	struct urx_fused commands[DEPTH];
	const struct urx_ublk_desc *descs;
	struct urx_queue *queue;
	struct urx_ublk *ublk;
	struct io_uring ring;
	bool classic = !side->flags;
	int ended = 0;
	char path[32];

	snprintf(path, sizeof(path), "/dev/ublkc%u", side->dev.dev_id);
	while ((opts.char_fd = open(path, O_RDWR)) < 0)
		usleep(1000);
	MUST(!urx_ublk_map(opts.char_fd, 0, DEPTH, &descs));
	MUST(!io_uring_queue_init(64, &ring, IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN));
	MUST(!urx_queue_open(&queue, URX_RING(&ring), NULL));
	opts.descs = descs;
	if (side->flags & URX_UBLK_F_ZERO_COPY) {
		opts.buf_count = 2 * DEPTH;
		MUST(!io_uring_register_buffers_sparse(&ring, opts.buf_count));
	}
	MUST(!urx_ublk_open(&ublk, queue, &opts, NULL));
	for (unsigned tag = 0; tag < DEPTH; tag++) {
		void *buf = classic ? aligned_alloc(4096, MOST_BYTES) : NULL;

		MUST(!urx_prep_ublk_fetch(sqe_for(&ring, FETCH, tag, 0), ublk, (uint16_t)tag, buf));
	}
	while (ended < DEPTH) {
		struct io_uring_cqe *cqe;
		unsigned head, seen = 0;
		int ret = io_uring_submit_and_wait(&ring, 1);

		MUST(ret >= 0 || ret == -EINTR);
		io_uring_for_each_cqe(&ring, head, cqe) {
			unsigned tag = cqe->user_data >> 8 & 255;
			struct urx_fused *fused = &commands[tag];

			seen++;
			if (cqe->user_data >> 32 == FETCH) {
				if (cqe->res)
					ended++;
				else
					begin(&ring, ublk, side, tag, &descs[tag], fused);
			} else if (!urx_fused_result(fused, cqe->user_data & 255, cqe)) {
				MUST(!urx_prep_ublk_commit(sqe_for(&ring, FETCH, tag, 0), ublk, (uint16_t)tag,
							   fused->res));
			}
		}
		io_uring_cq_advance(&ring, seen);
	}
	urx_ublk_close(ublk);
	urx_queue_close(queue);
	io_uring_queue_exit(&ring);
	urx_ublk_unmap(descs, DEPTH);
	close(opts.char_fd);
	return NULL;
}

static void up(struct side *side)
{
	struct urx_ublk_params params = { .size = sizeof(params), .bytes = DEV_BYTES, .block = 4096,
					  .max_request = MOST_BYTES };
	char path[32];

	side->dev = (struct urx_ublk_device){ .size = sizeof(side->dev), .dev_id = URX_UBLK_ANY, .depth = DEPTH,
					      .max_request = MOST_BYTES, .flags = side->flags };
	side->backing = memfd_create("image", 0);
	MUST(!ftruncate(side->backing, DEV_BYTES));
	side->image = mmap(NULL, DEV_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, side->backing, 0);
	MUST(side->image != MAP_FAILED);
	MUST(!urx_ublk_add(&side->dev, NULL));
	MUST(!urx_ublk_set_params(side->dev.dev_id, &params, NULL));
	MUST(!pthread_create(&side->thread, NULL, serve, side));
	MUST(!urx_ublk_start(side->dev.dev_id));
	snprintf(path, sizeof(path), "/dev/ublkb%u", side->dev.dev_id);
	while ((side->disk = open(path, O_RDWR | O_DIRECT)) < 0)
		usleep(1000);
}

static void down(struct side *side)
{
	close(side->disk);
	MUST(!urx_ublk_stop(side->dev.dev_id));
	MUST(!pthread_join(side->thread, NULL));
	MUST(!urx_ublk_delete(side->dev.dev_id));
}

/* -------------------------------------------------------------- the device's user */

static void request(struct io_uring *ring, int fd, bool write, uint8_t *buf, unsigned slot, unsigned size, uint64_t at)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(ring);

	MUST(sqe);
	buf += slot * MOST_BYTES;
	if (write)
		io_uring_prep_write(sqe, fd, buf, size, at % DEV_BYTES);
	else
		io_uring_prep_read(sqe, fd, buf, size, at % DEV_BYTES);
	sqe->user_data = slot;
}

/* MiB/s of so many requests one after the other, DEPTH of them at a time. */
static double run(struct io_uring *ring, struct side *side, bool write, uint8_t *buf, unsigned size, unsigned requests)
{
	unsigned sent = 0, done = 0;
	double start = now();

	for (; sent < DEPTH; sent++)
		request(ring, side->disk, write, buf, sent, size, (uint64_t)sent * size);
	while (done < requests) {
		struct io_uring_cqe *cqe;
		unsigned head, seen = 0;
		int ret = io_uring_submit_and_wait(ring, 1);

		MUST(ret >= 0 || ret == -EINTR);
		io_uring_for_each_cqe(ring, head, cqe) {
			seen++;
			MUST(cqe->res == (int)size);
			if (sent < requests) {
				request(ring, side->disk, write, buf, cqe->user_data, size, (uint64_t)sent * size);
				sent++;
			}
		}
		io_uring_cq_advance(ring, seen);
		done += seen;
	}
	return (double)requests * size / (1 << 20) / (now() - start);
}

/* What the device has is what the file has. */
static void compare(struct io_uring *ring, struct side *side, uint8_t *buf, unsigned size)
{
	for (unsigned n = 0; n < DEPTH * MOST_BYTES; n++)
		buf[n] = (uint8_t)(n * 7 + n / 4096 + size);
	run(ring, side, true, buf, size, DEPTH);
	for (unsigned n = 0; n < DEPTH; n++)
		MUST(!memcmp(side->image + n * size, buf + n * MOST_BYTES, size));
	memset(buf, 0, DEPTH * MOST_BYTES);
	run(ring, side, false, buf, size, DEPTH);
	for (unsigned n = 0; n < DEPTH; n++)
		MUST(!memcmp(side->image + n * size, buf + n * MOST_BYTES, size));
}

static int ascending(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static double median(struct side *side)
{
	qsort(side->mib_s, RUNS, sizeof(double), ascending);
	return side->mib_s[RUNS / 2];
}

int main(int argc, char **argv)
{
	static const unsigned sizes[] = { 4 << 10, 64 << 10, 512 << 10 };
	unsigned budget = argc > 1 ? (unsigned)atoi(argv[1]) : 64; /* MiB of one run with the largest requests */
	uint8_t *buf = aligned_alloc(4096, DEPTH * MOST_BYTES);
	struct io_uring ring;
	uint64_t features = 0;

	MUST(buf && budget);
	if (system("urx-modprobe ublk_drv") || urx_ublk_features(&features, NULL) ||
	    !(features & URX_UBLK_F_AUTO_BUF_REG)) {
		fprintf(stderr, "no zero copy: this kernel has no ublk, or one before 6.16\n");
		return 0;
	}
	MUST(!io_uring_queue_init(DEPTH, &ring, 0));
	for (size_t n = 0; n < COUNT(sides); n++)
		up(&sides[n]);
	for (size_t s = 0; s < COUNT(sizes); s++) {
		/* Small requests are slow: fewer bytes take as long. */
		unsigned requests = (unsigned)(((uint64_t)budget << 20) / (sizes[s] + (64 << 10)));

		for (size_t n = 0; n < COUNT(sides); n++)
			compare(&ring, &sides[n], buf, sizes[s]);
		for (int write = 0; write < 2; write++) {
			double classic;

			for (int round = 0; round < RUNS; round++)
				for (size_t n = 0; n < COUNT(sides); n++)
					sides[n].mib_s[round] = run(&ring, &sides[n], write, buf, sizes[s], requests);
			classic = median(&sides[0]);
			for (size_t n = 0; n < COUNT(sides); n++)
				printf("%s,%u,%s,%.1f,classic,%.1f,%.2f\n", write ? "write" : "read", sizes[s],
				       sides[n].name, median(&sides[n]), classic, median(&sides[n]) / classic);
			fflush(stdout);
		}
	}
	for (size_t n = 0; n < COUNT(sides); n++)
		down(&sides[n]);
	return 0;
}
