/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * What the tests of order, ownership, faults and load share: a way (one path of the ladder on a ring of its
 * own), requests with buffers and an oracle's tuples, and a page that makes whoever touches it wait.
 */
#ifndef URX_LADDER_H
#define URX_LADDER_H

#include <linux/userfaultfd.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <dirent.h>
#include "urx_test.h"

/* ------------------------------------------------------------------ what is going on */

static const char *doing_what = "start";
static const char *doing_where = "";

static inline void too_late(int sig)
{
	char text[160];
	int len = snprintf(text, sizeof(text), "hangs: %s, %s\n", doing_what, doing_where);
	pid_t teller;

	(void)sig;
	if (write(1, text, (size_t)len) < 0)
		_exit(1);
	teller = getenv("URX_VM") ? fork() : -1;
	if (teller > 0)
		waitpid(teller, NULL, 0);
	if (!teller) /* where in the kernel each thread of a program is */
		execl("/bin/sh", "sh", "-c",
		      "for t in /proc/[0-9]*/task/[0-9]*; do [ \"$(tr -d '\\0' <${t%/task/*}/cmdline)\" ] && "
		      "echo \"$(cat $t/comm): $(cat $t/syscall)\" && cat $t/stack; done", (char *)NULL);
	_exit(1);
}

/*
 * Names the case that runs; one that takes too long ends the test with its name. That is longer than the NVMe
 * driver waits for a command (30 s) before it looks whether the emulated controller has lost an interrupt.
 */
static inline void doing(const char *what)
{
	doing_what = what;
	signal(SIGALRM, too_late);
	alarm(70);
}

static inline void nap(unsigned ms)
{
	struct timespec time = { .tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000 };

	while (nanosleep(&time, &time) && errno == EINTR)
		;
}

/* Entries of a directory of /proc/self. */
static inline unsigned entries_of(const char *path, const char *comm)
{
	char name[300], text[64];
	struct dirent *entry;
	DIR *dir = opendir(path);
	unsigned count = 0;

	CHECK(dir);
	while ((entry = readdir(dir))) {
		FILE *file;

		if (entry->d_name[0] == '.')
			continue;
		if (!comm) {
			count++;
			continue;
		}
		snprintf(name, sizeof(name), "%s/%s/comm", path, entry->d_name);
		file = fopen(name, "r");
		if (file && fgets(text, sizeof(text), file) && begins(text, comm))
			count++;
		if (file)
			fclose(file);
	}
	closedir(dir);
	return count;
}

static inline unsigned descriptors(void)
{
	return entries_of("/proc/self/fd", NULL) - 1; /* the directory's own */
}

static inline unsigned workers(void)
{
	return entries_of("/proc/self/task", "urx-worker");
}

/* None is left: a thread that was joined is listed a moment longer. */
static inline void no_workers(void)
{
	for (unsigned tries = 0; workers(); tries++) {
		CHECK(tries < 2000);
		nap(1);
	}
}

/* ------------------------------------------------------------------ ways */

struct way {
	struct dev dev;
	struct urx_queue *queue;
	uint32_t path;
	unsigned setup;
};

static const uint32_t worker_paths[] __attribute__((unused)) = { URX_PATH_SOFTWARE, URX_PATH_IOCTL };

static const unsigned all_setups[] __attribute__((unused)) = {
	0, IORING_SETUP_SQPOLL, IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN
};

/* The namespace for the paths that want one. */
static const char *way_node = "pi4k";

#define SIDE_BYTES (16u << 20)

/* A file of 16 MiB with a side file of T10-DIF over 4 KiB, whose names are `path` and `path`.side. */
static inline int side_open(struct urx_target **target, const char *path, uint32_t flags)
{
	static const struct urx_pi_format format = { .size = sizeof(format), .interval = 4096, .meta_size = 8,
						     .guard = URX_GUARD_T10DIF, .pi_type = 1 };
	char side[300];
	struct urx_target_opts opts = { .size = sizeof(opts), .flags = flags, .side_path = side,
					.side_format = &format };

	snprintf(side, sizeof(side), "%s.side", path);
	return urx_target_open(target, path, &opts);
}

static inline void remove_side(const char *path)
{
	char side[300];

	snprintf(side, sizeof(side), "%s.side", path);
	unlink(path);
	unlink(side);
}

static inline void empty_file(char *template, off_t bytes)
{
	int fd = mkstemp(template);

	CHECK(fd >= 0);
	CHECK_EQ(ftruncate(fd, bytes), 0);
	close(fd);
}

static inline struct urx_target *path_target(uint32_t path)
{
	struct urx_target_opts opts = { .size = sizeof(opts), .flags = URX_TARGET_WRITE };
	struct urx_target *target;

	if (path == URX_PATH_SOFTWARE) {
		char name[] = "/tmp/urx-ladder-XXXXXX";
		uint32_t flags = URX_TARGET_WRITE | URX_TARGET_CREATE_SIDE | URX_TARGET_BUFFERED;

		empty_file(name, SIDE_BYTES);
		CHECK_EQ(side_open(&target, name, flags), 0);
		remove_side(name);
	} else {
		CHECK_EQ(urx_target_open(&target, node(way_node), &opts), 0);
	}
	return target;
}

/* Whether this machine has a path at all, which its kernel's version tells. */
static inline bool path_here(uint32_t path)
{
	if (path == URX_PATH_SOFTWARE)
		return true;
	if (!getenv("URX_VM"))
		return false;
	return path == URX_PATH_IOCTL || kernel() >= (path == URX_PATH_URING_CMD ? 5019 : 6014);
}

/* A ring; false: this kernel has none of this kind. */
static inline bool kind_of_ring(struct io_uring *ring, unsigned entries, unsigned setup)
{
	struct io_uring_params params = { .flags = setup, .sq_thread_idle = 20 };
	int ret = io_uring_queue_init_params(entries, ring, &params);

	if (ret == -EINVAL && (setup & IORING_SETUP_DEFER_TASKRUN) && kernel() < 6001)
		return false;
	if (ret)
		FAIL("ring %#x: %s", setup, strerror(-ret));
	if ((setup & IORING_SETUP_SQPOLL) && !(ring->features & IORING_FEAT_SQPOLL_NONFIXED)) {
		io_uring_queue_exit(ring); /* 5.10: registered files only */
		return false;
	}
	return true;
}

static inline void way_query(struct way *way)
{
	way->dev.info = (struct urx_target_info){ .size = sizeof(way->dev.info) };
	CHECK_EQ(urx_target_query(way->dev.target, &way->dev.info), 0);
}

/* Opens one path; false: not on this machine, or not on such a ring of it. */
static inline bool way_open(struct way *way, uint32_t path, unsigned entries, unsigned setup,
			    const struct urx_queue_opts *opts)
{
	static char where[64];
	const char *why = "";

	if (!path_here(path))
		return false;
	if (path == URX_PATH_URING_CMD)
		setup |= IORING_SETUP_SQE128 | IORING_SETUP_CQE32;
	snprintf(where, sizeof(where), "%s, ring %#x", urx_path_str(path), setup);
	doing_where = where;
	if (!kind_of_ring(&way->dev.ring, entries, setup))
		return false;
	way->path = path;
	way->setup = setup;
	way->dev.target = path_target(path);
	way_query(way);
	CHECK_EQ(urx_queue_open(&way->queue, URX_RING(&way->dev.ring), opts), 0);
	if (urx_explain(way->queue, way->dev.target, NULL, path, &why))
		FAIL("%s: %s", where, why);
	return true;
}

static inline void way_close(struct way *way)
{
	urx_queue_close(way->queue);
	dev_close(&way->dev);
}

/* ------------------------------------------------------------------ requests */

/* A request and its buffers. Data of a write is fill(seed), its tuples the oracle's. */
struct ask {
	struct urx_io io;
	struct urx_rw rw;
	struct blocks b;
	uint64_t block;
};

static inline void oracle_tuples(const struct way *way, uint64_t first, struct blocks *b)
{
	const struct urx_pi_format *f = &way->dev.info.format;
	struct urx_tags tags = tags_of(&way->dev, 0x1234, device_block(&way->dev, first));

	for (uint32_t n = 0; n < b->count; n++) {
		uint8_t *meta = b->meta + n * f->meta_size;

		oracle_block(f, &tags, n, b->data + n * f->interval, meta, meta + f->pi_offset);
	}
}

static inline struct ask *ask_new(struct way *way, uint32_t op, uint64_t block, uint32_t count, uint64_t seed)
{
	struct ask *ask = calloc(1, sizeof(*ask));
	struct urx_tags tags = tags_of(&way->dev, 0x1234, device_block(&way->dev, block));

	CHECK(ask);
	ask->b = blocks_of(&way->dev, count, seed);
	ask->block = block;
	if (op == URX_OP_WRITE)
		oracle_tuples(way, block, &ask->b);
	ask->rw = rw_of(&way->dev, op, block, ask->b.data, count, ask->b.meta, tags);
	ask->rw.allow = way->path;
	return ask;
}

static inline void ask_free(struct ask *ask)
{
	blocks_free(&ask->b);
	free(ask);
}

/* Makes the guard of its first block wrong. */
static inline void ask_spoil(struct ask *ask)
{
	ask->b.meta[0] ^= 0x40;
}

/* Plans it and fills an SQE. */
static inline struct io_uring_sqe *ask_push(struct way *way, struct ask *ask, unsigned flags, uint64_t tag)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(&way->dev.ring);
	int ret = urx_plan(way->queue, way->dev.target, &ask->rw, &ask->io);

	CHECK(sqe);
	if (ret)
		FAIL("%s: urx_plan: %s", doing_what, strerror(-ret));
	CHECK_EQ(ask->io.path, way->path);
	urx_prep(sqe, &ask->io);
	sqe->flags |= (uint8_t)flags;
	sqe->user_data = tag;
	return sqe;
}

static inline void push_nop(struct way *way, unsigned flags, uint64_t tag)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(&way->dev.ring);

	CHECK(sqe);
	io_uring_prep_nop(sqe);
	sqe->flags |= (uint8_t)flags;
	sqe->user_data = tag;
}

static inline void push_read(struct way *way, int fd, void *buf, unsigned len, unsigned flags, uint64_t tag)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(&way->dev.ring);

	CHECK(sqe);
	io_uring_prep_read(sqe, fd, buf, len, 0);
	sqe->flags |= (uint8_t)flags;
	sqe->user_data = tag;
}

static inline void push_cancel(struct way *way, uint64_t of, uint64_t tag)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(&way->dev.ring);

	CHECK(sqe);
	io_uring_prep_cancel64(sqe, of, 0);
	sqe->user_data = tag;
}

/* A CQE that was seen, all 32 bytes of it where there are so many. */
struct seen {
	uint64_t words[4];
};

static inline int res_of(const struct seen *seen)
{
	return (int32_t)(uint32_t)seen->words[1];
}

static inline struct io_uring_cqe *cqe_of(struct seen *seen)
{
	return (struct io_uring_cqe *)(void *)seen;
}

static inline void submit(struct way *way, unsigned count)
{
	int ret = io_uring_submit(&way->dev.ring);

	/* An SQPOLL thread may have taken some already. */
	if (way->setup & IORING_SETUP_SQPOLL)
		CHECK(ret >= 0);
	else
		CHECK_EQ(ret, count);
}

/* Whether nothing has completed. */
static inline bool quiet(struct way *way)
{
	struct io_uring_cqe *cqe;

	if (way->setup & IORING_SETUP_DEFER_TASKRUN)
		io_uring_get_events(&way->dev.ring);
	return io_uring_peek_cqe(&way->dev.ring, &cqe) == -EAGAIN;
}

/* The next CQE. */
static inline struct seen reap(struct way *way)
{
	struct seen seen = { 0 };
	struct io_uring_cqe *cqe;
	struct pollfd ready = { .fd = way->dev.ring.ring_fd, .events = POLLIN };
	int ret;

	/* valgrind lets no other thread run while one is in io_uring_enter(2). */
	while (getenv("URX_POLL") && quiet(way))
		poll(&ready, 1, -1);
	do
		ret = io_uring_wait_cqe(&way->dev.ring, &cqe);
	while (ret == -EINTR);
	CHECK_EQ(ret, 0);
	memcpy(&seen, cqe, way->setup & IORING_SETUP_CQE32 ? 32 : 16);
	io_uring_cqe_seen(&way->dev.ring, cqe);
	return seen;
}

/* The next `count` CQEs, whose tags are 0 to count - 1, by tag; `order` is that in which they came. */
static inline void reap_all(struct way *way, unsigned count, struct seen *by_tag, uint64_t *order)
{
	for (unsigned n = 0; n < count; n++) {
		struct seen seen = reap(way);

		CHECK(seen.words[0] < count);
		by_tag[seen.words[0]] = seen;
		if (order)
			order[n] = seen.words[0];
	}
}

static inline int result(struct ask *ask, struct seen *seen)
{
	struct urx_result result = { .size = sizeof(result) };
	int ret = urx_io_result(&ask->io, cqe_of(seen), &result);

	CHECK_EQ(result.res, ret);
	return ret;
}

/* One request from plan to result. */
static inline int ask_run(struct way *way, struct ask *ask)
{
	struct seen seen;

	ask_push(way, ask, 0, 77);
	submit(way, 1);
	seen = reap(way);
	CHECK_EQ(seen.words[0], 77);
	return result(ask, &seen);
}

/* Writes blocks of fill(seed). */
static inline void put(struct way *way, uint64_t block, uint32_t count, uint64_t seed)
{
	struct ask *ask = ask_new(way, URX_OP_WRITE, block, count, seed);

	CHECK_EQ(ask_run(way, ask), ask->rw.data_len);
	ask_free(ask);
}

/* What a read gave is fill(seed), with the oracle's tuples. */
static inline void same(struct way *way, const struct ask *read, uint64_t seed)
{
	struct ask *want = ask_new(way, URX_OP_WRITE, read->block, read->b.count, seed);

	CHECK_BYTES(read->b.data, want->b.data, want->b.data_len, doing_what);
	CHECK_BYTES(read->b.meta, want->b.meta, want->b.meta_len, doing_what);
	ask_free(want);
}

/* The target holds fill(seed): once past the library, once through it, with all checks. */
static inline void holds(struct way *way, uint64_t block, uint32_t count, uint64_t seed)
{
	struct ask *ask = ask_new(way, URX_OP_READ, block, count, 0);
	uint8_t *want = malloc(ask->b.data_len);

	CHECK(want);
	fill(want, ask->b.data_len, seed);
	CHECK_EQ(pread(way->dev.info.fd, ask->b.data, ask->b.data_len, (off_t)ask->rw.offset), ask->b.data_len);
	CHECK_BYTES(ask->b.data, want, ask->b.data_len, doing_what);
	memset(ask->b.data, 0, ask->b.data_len);
	CHECK_EQ(ask_run(way, ask), ask->rw.data_len);
	same(way, ask, seed);
	free(want);
	ask_free(ask);
}

/* ------------------------------------------------------------------ a page that makes wait */

/* Memory whose first page nobody can touch, the kernel included, before trap_release() fills it. */
struct trap {
	int fd;
	void *memory;
	size_t len;
};

/* False: not allowed here. In the test machine it is. */
static inline bool trap_open(struct trap *trap, size_t len)
{
	struct uffdio_api api = { .api = UFFD_API };
	struct uffdio_register range = { .mode = UFFDIO_REGISTER_MODE_MISSING };

	trap->fd = (int)syscall(SYS_userfaultfd, O_CLOEXEC);
	if (trap->fd < 0) {
		CHECK(!getenv("URX_VM"));
		printf("%s: without a page that makes wait, as userfaultfd(2) is not allowed here\n", doing_what);
		return false;
	}
	CHECK_EQ(ioctl(trap->fd, UFFDIO_API, &api), 0);
	trap->len = len;
	trap->memory = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	CHECK(trap->memory != MAP_FAILED);
	range.range.start = (uintptr_t)trap->memory;
	range.range.len = len;
	CHECK_EQ(ioctl(trap->fd, UFFDIO_REGISTER, &range), 0);
	return true;
}

/* Waits until somebody is caught. */
static inline void trap_caught(struct trap *trap)
{
	struct uffd_msg message;

	CHECK_EQ(read(trap->fd, &message, sizeof(message)), sizeof(message));
	CHECK_EQ(message.event, UFFD_EVENT_PAGEFAULT);
}

static inline void trap_release(struct trap *trap, const void *contents)
{
	struct uffdio_copy copy = { .dst = (uintptr_t)trap->memory, .src = (uintptr_t)contents, .len = trap->len };

	CHECK_EQ(ioctl(trap->fd, UFFDIO_COPY, &copy), 0);
}

static inline void trap_close(struct trap *trap)
{
	close(trap->fd);
	munmap(trap->memory, trap->len);
}

#endif
