/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * A ublk device whose server is the test itself: the main thread serves, another one is the device's user. A request
 * is taken, worked on step by step, and committed: the test says when.
 */
#ifndef UBLK_H
#define UBLK_H

#include <linux/fs.h>
#include <poll.h>
#include <pthread.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include "urx_test.h"

#define DEV_BYTES (8u << 20)
#define MOST_BYTES (512u << 10)
#define TABLE 32 /* entries of the ring's table of registered buffers */

/* user_data: what it is, and a number. */
#define WORD_FETCH 0x100000000u
#define WORD_FUSED 0x200000000u
#define WORD_OTHER 0x300000000u

struct server {
	struct io_uring ring;
	struct urx_queue *queue;
	struct urx_ublk *ublk;
	struct urx_ublk_device dev;
	int fd, disk; /* the character device, and the block device with O_DIRECT */
	const struct urx_ublk_desc *descs;
	uint8_t *buffers[8]; /* a device without features copies to them */
	int backing; /* an image of the device */
	uint8_t *image;
	uint32_t arrived; /* tags that are to be served */
	uint32_t gone;    /* tags whose fetch has ended with an error */
};

/* The driver's features; skips, or checks the clear error, where there is no driver. */
static inline uint64_t ublk_features(void)
{
	const char *slot = getenv("URX_KERNEL"), *why = NULL;
	static uint64_t features;
	int ret;

	if (features)
		return features;
	need_vm();
	if (slot && (!strcmp(slot, "5.10") || !strcmp(slot, "6.1"))) {
		struct urx_ublk_device device = { .size = sizeof(device), .dev_id = URX_UBLK_ANY };

		CHECK_EQ(urx_ublk_features(&features, &why), -EOPNOTSUPP);
		CHECK_EQ(urx_ublk_add(&device, &why), -EOPNOTSUPP);
		CHECK(begins(why, "driver: "));
		exit(0);
	}
	CHECK_EQ(system("urx-modprobe ublk_drv"), 0);
	ret = urx_ublk_features(&features, &why);
	if (ret)
		FAIL("urx_ublk_features: %s", why);
	return features;
}

/* -------------------------------------------------------------- what there is */

static const struct {
	uint64_t flags;
	uint32_t allow, path;
} ublk_ways[] __attribute__((unused)) = {
	{ 0, 0, URX_FUSED_BUFFER },
	{ URX_UBLK_F_USER_COPY, 0, URX_FUSED_USER_COPY },
	{ URX_UBLK_F_ZERO_COPY, 0, URX_FUSED_REGISTER },
	{ URX_UBLK_F_ZERO_COPY | URX_UBLK_F_AUTO_BUF_REG, 0, URX_FUSED_AUTO_REG },
	{ URX_UBLK_F_AUTO_BUF_REG, 0, URX_FUSED_AUTO_REG },
	{ URX_UBLK_F_ZERO_COPY | URX_UBLK_F_USER_COPY, URX_FUSED_REGISTER, URX_FUSED_REGISTER },
	{ URX_UBLK_F_ZERO_COPY | URX_UBLK_F_USER_COPY, URX_FUSED_USER_COPY, URX_FUSED_USER_COPY },
	{ URX_UBLK_F_ZERO_COPY | URX_UBLK_F_AUTO_BUF_REG, URX_FUSED_REGISTER, URX_FUSED_REGISTER },
};

/* Whether this kernel has a way. The bit of zero copy is older than zero copy. */
static inline bool ublk_has(uint64_t features, size_t n)
{
	uint64_t flags = ublk_ways[n].flags;

	return !(flags & ~features) && (!(flags & URX_UBLK_F_ZERO_COPY) || features & URX_UBLK_F_AUTO_BUF_REG);
}

/* -------------------------------------------------------------- the ring */

static inline struct io_uring_sqe *server_sqe(struct server *s, uint64_t user_data)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(&s->ring);

	CHECK(sqe);
	sqe->user_data = user_data;
	return sqe;
}

/* The next CQE that is no fetch's, or none if `flag` gets set first. Fetches are kept in mind. */
static inline bool server_reap(struct server *s, struct io_uring_cqe *copy, const volatile bool *flag)
{
	struct __kernel_timespec tick = { .tv_nsec = 10000000 };
	struct io_uring_cqe *cqe;

	for (;;) {
		int ret = io_uring_wait_cqe_timeout(&s->ring, &cqe, &tick);

		if (ret == -ETIME || ret == -EINTR) {
			if (flag && *flag)
				return false;
			continue;
		}
		CHECK_EQ(ret, 0);
		memcpy(copy, cqe, 16);
		io_uring_cqe_seen(&s->ring, cqe);
		if (copy->user_data >> 32 != WORD_FETCH >> 32)
			return true;
		if (copy->res == 0)
			s->arrived |= 1u << (copy->user_data & 31);
		else
			s->gone |= 1u << (copy->user_data & 31);
		if (flag)
			return false;
	}
}

/* The SQEs of a command that are to be prepared now: submitted in one go. */
static inline void server_issue(struct server *s, struct urx_fused *fused)
{
	struct io_uring_sqe *sqes[URX_FUSED_MAX + 2];
	uint32_t nr = fused->nr_sqes;

	for (uint32_t n = 0; n < nr; n++)
		sqes[n] = server_sqe(s, WORD_FUSED | n);
	CHECK_EQ(io_uring_prep_fused_cmd(sqes, nr, fused), 0);
	CHECK_EQ(fused->nr_sqes, 0);
	CHECK_EQ(fused->pending, nr);
	CHECK_EQ(io_uring_submit(&s->ring), nr);
}

/* All of its CQEs. What to commit. */
static inline int server_finish(struct server *s, struct urx_fused *fused)
{
	struct io_uring_cqe cqe;

	while (fused->pending) {
		if (fused->nr_sqes)
			server_issue(s, fused);
		CHECK(server_reap(s, &cqe, NULL));
		CHECK_EQ(cqe.user_data >> 32, WORD_FUSED >> 32);
		CHECK_EQ(urx_fused_result(fused, (uint32_t)cqe.user_data, &cqe), fused->pending);
	}
	return fused->res;
}

static inline void server_commit(struct server *s, int tag, int res)
{
	CHECK_EQ(urx_prep_ublk_commit(server_sqe(s, WORD_FETCH | (unsigned)tag), s->ublk, (uint16_t)tag, res), 0);
	CHECK_EQ(io_uring_submit(&s->ring), 1);
}

/* A tag that is to be served; -1 if `flag` gets set before there is one. */
static inline int server_take(struct server *s, const volatile bool *flag)
{
	struct io_uring_cqe cqe;
	bool always = false;
	int tag;

	while (!s->arrived) {
		CHECK(!server_reap(s, &cqe, flag ? flag : &always));
		CHECK(!s->gone);
		if (!s->arrived && flag && *flag)
			return -1;
	}
	tag = __builtin_ctz(s->arrived);
	s->arrived &= s->arrived - 1;
	return tag;
}

static inline bool writes(const struct server *s, int tag)
{
	return (s->descs[tag].op_flags & 255) == URX_UBLK_OP_WRITE;
}

static inline uint32_t bytes_of(const struct server *s, int tag)
{
	return s->descs[tag].nr_sectors * 512;
}

/* Serves one request from the image. */
static inline void server_plain(struct server *s, int tag)
{
	uint64_t at = s->descs[tag].start_sector * 512;
	struct io_uring_sqe sqe = { 0 };
	struct urx_fused fused;
	const char *why = "";

	if ((s->descs[tag].op_flags & 255) > URX_UBLK_OP_WRITE) {
		server_commit(s, tag, 0);
		return;
	}
	if (writes(s, tag))
		io_uring_prep_write(&sqe, s->backing, NULL, bytes_of(s, tag), at);
	else
		io_uring_prep_read(&sqe, s->backing, NULL, bytes_of(s, tag), at);
	if (urx_fused_plan(s->ublk, &fused, (uint16_t)tag, &sqe, 1, &why))
		FAIL("urx_fused_plan: %s", why);
	server_commit(s, tag, server_finish(s, &fused));
}

/* Serves until all fetches have ended. There may be requests that nobody made: the kernel looks for partitions. */
static inline void server_rest(struct server *s)
{
	struct io_uring_cqe cqe;

	while (s->gone != (1u << s->dev.depth) - 1) {
		int tag = s->arrived ? __builtin_ctz(s->arrived) : -1;

		if (tag < 0) {
			CHECK(!server_reap(s, &cqe, &(bool){ false }));
			continue;
		}
		s->arrived &= s->arrived - 1;
		server_plain(s, tag);
	}
}

/* -------------------------------------------------------------- the device's user */

struct user {
	pthread_t thread;
	int fd;
	bool write;
	void *buf;
	uint32_t len;
	uint64_t at;
	int res; /* bytes or -errno */
	volatile bool done;
};

static inline void *user_main(void *arg)
{
	struct user *u = arg;
	ssize_t ret = u->write ? pwrite(u->fd, u->buf, u->len, (off_t)u->at) :
				 pread(u->fd, u->buf, u->len, (off_t)u->at);

	u->res = ret < 0 ? -errno : (int)ret;
	u->done = true;
	return NULL;
}

/* Begins a read or write of the device. */
static inline void user_begin(struct server *s, struct user *u, bool write, void *buf, uint32_t len, uint64_t at)
{
	*u = (struct user){ .fd = s->disk, .write = write, .buf = buf, .len = len, .at = at };
	CHECK_EQ(pthread_create(&u->thread, NULL, user_main, u), 0);
}

static inline int user_end(struct user *u)
{
	CHECK_EQ(pthread_join(u->thread, NULL), 0);
	return u->res;
}

/* The same, served from the image. */
static inline int user_plain(struct server *s, bool write, void *buf, uint32_t len, uint64_t at)
{
	struct user u;
	int tag;

	user_begin(s, &u, write, buf, len, at);
	while ((tag = server_take(s, &u.done)) >= 0)
		server_plain(s, tag);
	return user_end(&u);
}

/* -------------------------------------------------------------- up and down */

struct starter {
	uint32_t dev_id;
	int ret, disk;
	volatile bool done;
};

static inline void *start_main(void *arg)
{
	struct starter *s = arg;
	char path[32];

	s->ret = urx_ublk_start(s->dev_id);
	snprintf(path, sizeof(path), "/dev/ublkb%u", s->dev_id);
	for (int n = 0; (s->disk = open(path, O_RDWR | O_DIRECT | O_CLOEXEC)) < 0 && n < 100; n++)
		usleep(10000);
	/*
	 * Newer kernels look for partitions some time after START. A test must not take that for its own requests; and
	 * one that ended meanwhile would hang, since its exit closes this descriptor first, which waits for the look. Until
	 * that has begun, BLKRRPART is refused; then it is the next.
	 */
	for (int n = 0; ioctl(s->disk, BLKRRPART) && errno == EINVAL && n < 1000; n++)
		usleep(10000);
	s->done = true;
	return NULL;
}

static struct server *serving;

/* A process ends when its threads have, and one that uses the device waits for the server for ever. */
static inline void server_abandon(void)
{
	if (!serving)
		return;
	io_uring_queue_exit(&serving->ring);
	urx_ublk_unmap(serving->descs, serving->dev.depth);
	close(serving->fd);
	urx_ublk_delete(serving->dev.dev_id);
}

/* A device with these features, up to the point where it is served. `opts` has allow, copy_most and the table. */
static inline void server_add(struct server *s, uint64_t flags, unsigned ring_flags, struct urx_ublk_opts opts)
{
	struct urx_ublk_params params = { .size = sizeof(params), .bytes = DEV_BYTES, .block = 512,
					  .max_request = MOST_BYTES };
	static bool ever;
	const char *why = "";
	char path[32];
	int ret;

	/* Else requests that no test made may come at any time, from a worker of the kernel's. */
	flags |= ublk_features() & URX_UBLK_F_NO_PARTITIONS;
	*s = (struct server){ .dev = { .size = sizeof(s->dev), .dev_id = URX_UBLK_ANY, .depth = 4,
				       .max_request = MOST_BYTES, .flags = flags } };
	s->backing = memfd_create("image", 0);
	CHECK(s->backing >= 0);
	CHECK_EQ(ftruncate(s->backing, DEV_BYTES), 0);
	s->image = mmap(NULL, DEV_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, s->backing, 0);
	CHECK(s->image != MAP_FAILED);
	if (urx_ublk_add(&s->dev, &why))
		FAIL("urx_ublk_add: %s", why);
	if (urx_ublk_set_params(s->dev.dev_id, &params, &why))
		FAIL("urx_ublk_set_params: %s", why);
	if (!ever)
		atexit(server_abandon);
	ever = true;
	serving = s;
	snprintf(path, sizeof(path), "/dev/ublkc%u", s->dev.dev_id);
	for (int n = 0; (s->fd = open(path, O_RDWR | O_CLOEXEC)) < 0 && n < 100; n++)
		usleep(10000);
	CHECK(s->fd >= 0);
	CHECK_EQ(urx_ublk_map(s->fd, 0, s->dev.depth, &s->descs), 0);
	CHECK_EQ(io_uring_queue_init(64, &s->ring, ring_flags), 0);
	if (flags & (URX_UBLK_F_ZERO_COPY | URX_UBLK_F_AUTO_BUF_REG))
		CHECK_EQ(io_uring_register_buffers_sparse(&s->ring, TABLE), 0);
	CHECK_EQ(urx_queue_open(&s->queue, URX_RING(&s->ring), NULL), 0);
	opts.size = sizeof(opts);
	opts.char_fd = s->fd;
	opts.depth = s->dev.depth;
	opts.features = s->dev.flags;
	opts.descs = s->descs;
	ret = urx_ublk_open(&s->ublk, s->queue, &opts, &why);
	if (ret)
		FAIL("urx_ublk_open: %s", why);
	for (int tag = 0; tag < s->dev.depth; tag++) {
		bool copies = !(flags & (URX_UBLK_F_ZERO_COPY | URX_UBLK_F_AUTO_BUF_REG | URX_UBLK_F_USER_COPY));

		s->buffers[tag] = copies ? pages(MOST_BYTES) : NULL;
		CHECK_EQ(urx_prep_ublk_fetch(server_sqe(s, WORD_FETCH | (unsigned)tag), s->ublk, (uint16_t)tag,
					     s->buffers[tag]), 0);
	}
	CHECK_EQ(io_uring_submit(&s->ring), s->dev.depth);
}

/* The block device is there, and quiet. `refuse`: no request can be served, which keeps no device from starting. */
static inline void server_start_empty(struct server *s, bool refuse)
{
	struct starter starter = { .dev_id = s->dev.dev_id };
	pthread_t thread;
	int tag;

	CHECK_EQ(pthread_create(&thread, NULL, start_main, &starter), 0);
	/* What the kernel reads ahead in its look for partitions comes later than that ends: five quiet ticks. */
	for (int quiet = 0; quiet < 5; quiet++) {
		while ((tag = server_take(s, &starter.done)) >= 0) {
			if (refuse)
				server_commit(s, tag, -EIO);
			else
				server_plain(s, tag);
			quiet = 0;
		}
	}
	CHECK_EQ(pthread_join(thread, NULL), 0);
	CHECK_EQ(starter.ret, 0);
	s->disk = starter.disk;
	CHECK(s->disk >= 0);
}

static inline void server_start(struct server *s)
{
	server_start_empty(s, false);
}

static inline void server_up(struct server *s, uint64_t flags, uint32_t allow, uint32_t copy_most)
{
	bool table = flags & (URX_UBLK_F_ZERO_COPY | URX_UBLK_F_AUTO_BUF_REG);

	server_add(s, flags, 0, (struct urx_ublk_opts){ .allow = allow, .copy_most = copy_most,
							.buf_count = table ? TABLE : 0 });
	server_start(s);
}

static inline void *stop_main(void *arg)
{
	struct starter *s = arg;

	s->ret = urx_ublk_stop(s->dev_id);
	s->done = true;
	return NULL;
}

/* Stops and deletes: what was taken must have been committed. */
static inline void server_down(struct server *s)
{
	struct starter stopper = { .dev_id = s->dev.dev_id };
	pthread_t thread;

	close(s->disk);
	CHECK_EQ(pthread_create(&thread, NULL, stop_main, &stopper), 0);
	server_rest(s);
	CHECK_EQ(pthread_join(thread, NULL), 0);
	CHECK_EQ(stopper.ret, 0);
	serving = NULL;
	urx_ublk_close(s->ublk);
	urx_queue_close(s->queue);
	io_uring_queue_exit(&s->ring);
	urx_ublk_unmap(s->descs, s->dev.depth);
	close(s->fd);
	CHECK_EQ(urx_ublk_delete(s->dev.dev_id), 0);
	munmap(s->image, DEV_BYTES);
	close(s->backing);
	for (size_t n = 0; n < COUNT(s->buffers); n++)
		free(s->buffers[n]);
}

#endif
