/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * What the ublk examples share: a device with one queue, served by one thread with one ring, and a second thread
 * that starts it and, at SIGINT or SIGTERM, stops it. A program brings serve() and done().
 */
#include <errno.h>
#include <fcntl.h>
#include <liburing.h>
#include <liburing-ext.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { DEPTH = 32, MOST = 512 << 10 }; /* requests at a time, bytes of one */

/* The low byte of user_data: which SQE of a fused command, or one of these. The tag is above. */
enum { FETCH = 255, OTHER = 254 };

struct request {
	struct urx_fused fused;
	int others; /* operations without the buffer that are under way */
	int32_t res;
};

struct server {
	struct io_uring ring;
	struct urx_queue *queue;
	struct urx_ublk *ublk;
	struct urx_ublk_device device;
	const struct urx_ublk_desc *descs;
	struct request requests[DEPTH];
	unsigned long ways[4]; /* requests by URX_FUSED_ bit */
	uint32_t copy_most; /* as in struct urx_ublk_opts */
	sigset_t signals;
	int fd; /* /dev/ublkcN */
	bool recover;
};

/* A request has come: lend() its buffer, begin other() operations, or commit() a result at once. */
static void serve(struct server *s, uint16_t tag, const struct urx_ublk_desc *desc);
/* The operations that were lent its buffer have ended, with res: what to commit. */
static int32_t done(struct server *s, uint16_t tag, const struct urx_ublk_desc *desc, int32_t res);

static void check(int ret, const char *what)
{
	if (ret < 0) {
		fprintf(stderr, "%s: %s\n", what, strerror(-ret));
		exit(1);
	}
}

/* The ring has room for all that can be under way. */
static struct io_uring_sqe *get_sqe(struct server *s, uint16_t tag, unsigned index)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(&s->ring);

	if (!sqe)
		abort();
	sqe->user_data = (uint64_t)tag << 8 | index;
	return sqe;
}

/* Ends a request, and asks for the next one. */
static void commit(struct server *s, uint16_t tag, int32_t res)
{
	check(urx_prep_ublk_commit(get_sqe(s, tag, FETCH), s->ublk, tag, res), "commit");
}

/* The SQEs of a fused command, at once. */
static void issue(struct server *s, uint16_t tag)
{
	struct urx_fused *fused = &s->requests[tag].fused;
	struct io_uring_sqe *sqes[URX_FUSED_MAX + 2];
	uint32_t nr = fused->nr_sqes;

	for (uint32_t n = 0; n < nr; n++)
		sqes[n] = get_sqe(s, tag, n);
	check(urx_prep_fused_cmd(sqes, nr, fused), "fused command");
}

/* Lends the buffer of a request to operations whose addresses are offsets in it. */
static void lend(struct server *s, uint16_t tag, struct io_uring_sqe *sqes, uint32_t nr)
{
	const char *why = "";
	int ret = urx_fused_plan(s->ublk, &s->requests[tag].fused, tag, sqes, nr, &why);

	if (ret) {
		fprintf(stderr, "request %u: %s\n", tag, why);
		commit(s, tag, ret);
		return;
	}
	s->ways[__builtin_ctz(s->requests[tag].fused.path)]++;
	issue(s, tag);
}

/* Starts an operation that a request waits for, without its buffer. */
static void other(struct server *s, uint16_t tag, void (*prep)(struct io_uring_sqe *, int), int fd)
{
	struct io_uring_sqe *sqe = get_sqe(s, tag, OTHER);
	uint64_t user_data = sqe->user_data;

	prep(sqe, fd);
	sqe->user_data = user_data;
	s->requests[tag].others++;
}

static void datasync(struct io_uring_sqe *sqe, int fd)
{
	io_uring_prep_fsync(sqe, fd, IORING_FSYNC_DATASYNC);
}

/* Whether the device goes on with this tag. */
static bool completed(struct server *s, const struct io_uring_cqe *cqe)
{
	uint16_t tag = (uint16_t)(cqe->user_data >> 8);
	unsigned index = cqe->user_data & 255;
	struct request *r = &s->requests[tag];

	if (index == FETCH) {
		if (cqe->res) /* -ENODEV: the device is being stopped */
			return false;
		r->res = 0;
		serve(s, tag, &s->descs[tag]);
	} else if (index == OTHER) {
		if (cqe->res < 0)
			r->res = cqe->res;
		if (!--r->others)
			commit(s, tag, r->res);
	} else {
		int left = urx_fused_result(&r->fused, index, cqe);

		check(left, "fused result");
		if (r->fused.nr_sqes)
			issue(s, tag);
		else if (!left)
			commit(s, tag, done(s, tag, &s->descs[tag], r->fused.res));
	}
	return true;
}

/* START and the end of a recovery wait until all is fetched, and STOP for requests: not for the serving thread. */
static void *keeper(void *arg)
{
	struct server *s = arg;
	uint32_t id = s->device.dev_id;
	int ret = s->recover ? urx_ublk_end_recovery(id) : urx_ublk_start(id), signal;

	if (ret) {
		fprintf(stderr, "start: %s\n", strerror(-ret));
	} else {
		printf("/dev/ublkb%u\n", id);
		fflush(stdout);
		sigwait(&s->signals, &signal);
	}
	urx_ublk_stop(id);
	return ret ? s : NULL;
}

/* Adds a device, or takes one over whose server has died; opens it and asks for requests. */
static void server_open(struct server *s, const struct urx_ublk_device *device, const struct urx_ublk_params *params)
{
	struct urx_ublk_opts opts = { .size = sizeof(opts), .depth = DEPTH, .copy_most = s->copy_most };
	const char *why = "";
	char path[32];
	int ret;

	s->device = *device;
	if (s->recover) {
		/* The kernel takes a moment to notice that the other is gone. */
		for (int n = 0; (ret = urx_ublk_begin_recovery(device->dev_id)) == -EBUSY && n < 1000; n++)
			usleep(10000);
		check(ret, "recovery");
		check(urx_ublk_info(device->dev_id, &s->device), "device");
	} else {
		ret = urx_ublk_add(&s->device, &why);
		check(ret, why);
		ret = urx_ublk_set_params(s->device.dev_id, params, &why);
		if (ret)
			urx_ublk_delete(s->device.dev_id);
		check(ret, why);
	}
	snprintf(path, sizeof(path), "/dev/ublkc%u", s->device.dev_id);
	s->fd = open(path, O_RDWR | O_CLOEXEC);
	check(s->fd < 0 ? -errno : 0, path);
	check(urx_ublk_map(s->fd, 0, DEPTH, &s->descs), "descriptors");

	check(io_uring_queue_init(DEPTH * (URX_FUSED_MAX + 2), &s->ring, 0), "ring");
	check(urx_queue_open(&s->queue, URX_RING(&s->ring), NULL), "queue");
	opts.char_fd = s->fd;
	opts.features = s->device.flags;
	opts.descs = s->descs;
	if (s->device.flags & (URX_UBLK_F_ZERO_COPY | URX_UBLK_F_AUTO_BUF_REG)) {
		opts.buf_count = 2 * DEPTH;
		check(io_uring_register_buffers_sparse(&s->ring, opts.buf_count), "buffer table");
	}
	ret = urx_ublk_open(&s->ublk, s->queue, &opts, &why);
	check(ret, why);
	for (uint16_t tag = 0; tag < DEPTH; tag++)
		check(urx_prep_ublk_fetch(get_sqe(s, tag, FETCH), s->ublk, tag, NULL), "fetch");
}

/* Serves until the device is stopped, and deletes it. The status of the program. */
static int server_run(struct server *s)
{
	unsigned fetching = DEPTH;
	pthread_t thread;
	void *failed;

	check(io_uring_submit(&s->ring), "submit");
	sigemptyset(&s->signals);
	sigaddset(&s->signals, SIGINT);
	sigaddset(&s->signals, SIGTERM);
	pthread_sigmask(SIG_BLOCK, &s->signals, NULL);
	check(-pthread_create(&thread, NULL, keeper, s), "thread");
	while (fetching) {
		struct io_uring_cqe *cqe;
		unsigned head, seen = 0;
		int ret = io_uring_submit_and_wait(&s->ring, 1);

		check(ret == -EINTR ? 0 : ret, "wait");
		io_uring_for_each_cqe(&s->ring, head, cqe) {
			fetching -= !completed(s, cqe);
			seen++;
		}
		io_uring_cq_advance(&s->ring, seen);
	}
	pthread_kill(thread, SIGTERM); /* somebody else may have stopped the device */
	pthread_join(thread, &failed);
	urx_ublk_close(s->ublk);
	urx_queue_close(s->queue);
	urx_ublk_unmap(s->descs, DEPTH);
	io_uring_queue_exit(&s->ring);
	close(s->fd);
	check(urx_ublk_delete(s->device.dev_id), "delete");
	printf("%lu requests lent with their fetch, %lu by themselves, %lu copied\n", s->ways[0], s->ways[1],
	       s->ways[2]);
	return failed != NULL;
}
