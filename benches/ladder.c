/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Requests end to end, through the shared library and as a program would do them by hand.
 *
 *     ladder DEVICE [N]                          N requests a sample: path,ring,depth,op,ours_ns,peer,peer_ns,ratio,
 *                                              ours_cpu_ns,peer_cpu_ns,cpu_ratio
 *     ladder DEVICE count                        path,op,ours,by_hand: instructions of one request
 *     ladder DEVICE run PATH OP ours|by-hand N   N requests at depth 1, for whoever counts instructions
 *
 * DEVICE: a namespace of blocks with PI of type 1 as a block device, with DEVICE.ng its character device; or a
 * name for two files to be made, which are used with a side file. Overwrites the first blocks of it.
 */
#include <errno.h>
#include <fcntl.h>
#include <liburing.h>
#include <linux/nvme_ioctl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/ptrace.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <liburing-ext.h>

#define COUNT(array) (sizeof(array) / sizeof(*(array)))

enum {
	ROUNDS = 61,
	MOST = 128, /* requests in flight */
	WORKERS = 16, /* what the library starts if nobody asks for another number */
	APP_TAG = 0x1234,
	SPACE = 1 << 20, /* bytes of the target for each request in flight, of files */
	OWN_SETUP_CQE32 = 1 << 11,
	OWN_SETUP_SQE128 = 1 << 10,
};

struct request {
	struct urx_io io;
	struct urx_rw rw;
	/* By hand. */
	struct urx_attr_pi attr;
	int result;
	struct request *next;
};

/* One path, ring, operation and depth. */
struct bench {
	const struct path *path;
	uint32_t depth;
	struct io_uring ring;
	struct urx_queue *queue;
	struct request *requests;
};

struct path {
	const char *name, *ring;
	uint32_t bit;
	unsigned ring_flags;
	const char *peer;
	/* Makes one request: an SQE, or something else that ends in a CQE with its number. */
	void (*by_hand)(struct bench *b, struct request *r, struct io_uring_sqe *sqe);
	/* What it came to. */
	int (*result)(struct request *r, struct io_uring_cqe *cqe);
	/* By hand, in a thread. */
	int (*job)(struct request *r);
};

static struct urx_target *target;
static struct urx_target_info info = { .size = sizeof(info) };
static struct urx_pi pi;
static int block_fd, char_fd = -1, side_fd = -1;
static uint32_t request_bytes;

static _Noreturn void die(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	fputs("benches/ladder: ", stderr);
	vfprintf(stderr, format, args);
	fputc('\n', stderr);
	exit(1);
}

static void *must(void *memory)
{
	return memory ? memory : (die("no memory"), NULL);
}

/* ------------------------------------------------------------------ by hand, in the ring */

static uint64_t lba(const struct request *r)
{
	return (info.start + r->rw.offset) / info.format.interval;
}

static void attr_by_hand(struct bench *b, struct request *r, struct io_uring_sqe *sqe)
{
	uint8_t *bytes = (uint8_t *)sqe;
	uint64_t attr = (uintptr_t)&r->attr, mask = 1;

	(void)b;
	io_uring_prep_rw(r->rw.op == URX_OP_READ ? IORING_OP_READ : IORING_OP_WRITE, sqe, block_fd, r->rw.data,
			 r->rw.data_len, r->rw.offset);
	r->attr = (struct urx_attr_pi){
		.flags = URX_CHECK_GUARD | URX_CHECK_REF | URX_CHECK_APP,
		.app_tag = r->rw.tags.app,
		.len = r->rw.meta_len,
		.addr = (uintptr_t)r->rw.meta,
		.seed = r->rw.tags.ref,
	};
	memcpy(bytes + 48, &attr, 8);
	memcpy(bytes + 56, &mask, 8);
}

static int attr_result(struct request *r, struct io_uring_cqe *cqe)
{
	return cqe->res >= 0 && (uint32_t)cqe->res != r->rw.data_len ? -EIO : cqe->res;
}

/* struct nvme_uring_cmd and struct nvme_passthru_cmd64 share these names. */
#define FILL(command, r)                                                                             \
	do {                                                                                         \
		(command)->opcode = (r)->rw.op == URX_OP_READ ? 2 : 1;                               \
		(command)->nsid = info.nsid;                                                         \
		(command)->metadata = (uintptr_t)(r)->rw.meta;                                       \
		(command)->addr = (uintptr_t)(r)->rw.data;                                           \
		(command)->metadata_len = (r)->rw.meta_len;                                          \
		(command)->data_len = (r)->rw.data_len;                                              \
		(command)->cdw10 = (uint32_t)lba(r);                                                 \
		(command)->cdw11 = (uint32_t)(lba(r) >> 32);                                         \
		(command)->cdw12 = ((r)->rw.data_len / info.format.interval - 1) | 7u << 26;         \
		(command)->cdw14 = (uint32_t)(r)->rw.tags.ref;                                       \
		(command)->cdw15 = 0xffff0000u | (r)->rw.tags.app;                                   \
	} while (0)

static void uring_cmd_by_hand(struct bench *b, struct request *r, struct io_uring_sqe *sqe)
{
	struct nvme_uring_cmd *command = (void *)((uint8_t *)sqe + 48);

	(void)b;
	memset(sqe, 0, 128);
	sqe->opcode = IORING_OP_URING_CMD;
	sqe->fd = char_fd;
	sqe->off = (uint32_t)NVME_URING_CMD_IO;
	FILL(command, r);
}

static int uring_cmd_result(struct request *r, struct io_uring_cqe *cqe)
{
	return cqe->res ? -EIO : (int)r->rw.data_len;
}

/* ------------------------------------------------------------------ by hand, in threads */

/*
 * A list under a mutex and a condition; whoever has done the job posts a CQE to the application's ring by MSG_RING
 * from a ring of its own, which is the one system call that a completion takes.
 */
static struct pool {
	pthread_mutex_t lock;
	pthread_cond_t more;
	struct request *head, **tail;
	struct bench *bench;
	bool over;
	pthread_t threads[WORKERS];
} pool = { .lock = PTHREAD_MUTEX_INITIALIZER, .more = PTHREAD_COND_INITIALIZER };

static void *pool_thread(void *unused)
{
	struct bench *b = pool.bench;
	struct io_uring ring;
	int rc = io_uring_queue_init(2, &ring, 0);

	(void)unused;
	if (rc)
		die("a worker's ring: %s", strerror(-rc));
	for (;;) {
		struct io_uring_sqe *sqe;
		struct request *r;

		pthread_mutex_lock(&pool.lock);
		while (!pool.head && !pool.over)
			pthread_cond_wait(&pool.more, &pool.lock);
		r = pool.head;
		if (r && !(pool.head = r->next))
			pool.tail = &pool.head;
		pthread_mutex_unlock(&pool.lock);
		if (!r)
			break;
		r->result = b->path->job(r);
		sqe = io_uring_get_sqe(&ring);
		io_uring_prep_msg_ring(sqe, b->ring.ring_fd, 0, (uint64_t)(r - b->requests), 0);
		sqe->flags |= IOSQE_CQE_SKIP_SUCCESS;
		rc = io_uring_submit(&ring);
		if (rc != 1)
			die("MSG_RING: %s", strerror(-rc));
	}
	io_uring_queue_exit(&ring);
	return NULL;
}

static void pool_start(struct bench *b)
{
	unsigned count = b->depth < WORKERS ? b->depth : WORKERS;

	if (!b->path->job)
		return;
	pool.bench = b, pool.over = false, pool.head = NULL, pool.tail = &pool.head;
	for (unsigned n = 0; n < count; n++)
		if (pthread_create(&pool.threads[n], NULL, pool_thread, NULL))
			die("no thread");
}

static void pool_stop(struct bench *b)
{
	unsigned count = b->depth < WORKERS ? b->depth : WORKERS;

	if (!b->path->job)
		return;
	pthread_mutex_lock(&pool.lock);
	pool.over = true;
	pthread_cond_broadcast(&pool.more);
	pthread_mutex_unlock(&pool.lock);
	for (unsigned n = 0; n < count; n++)
		pthread_join(pool.threads[n], NULL);
}

static void pool_by_hand(struct bench *b, struct request *r, struct io_uring_sqe *unused)
{
	(void)b, (void)unused;
	r->next = NULL;
	pthread_mutex_lock(&pool.lock);
	*pool.tail = r;
	pool.tail = &r->next;
	pthread_cond_signal(&pool.more);
	pthread_mutex_unlock(&pool.lock);
}

static int pool_result(struct request *r, struct io_uring_cqe *cqe)
{
	(void)cqe;
	return r->result;
}

static int ioctl_job(struct request *r)
{
	struct nvme_passthru_cmd64 command = { 0 };
	int status;

	FILL(&command, r);
	status = ioctl(block_fd, NVME_IOCTL_IO64_CMD, &command);
	return status < 0 ? -errno : status ? -EIO : (int)r->rw.data_len;
}

/*
 * The least that a program with tuples in a second file would do: no record of what was written, no order, no seal, no
 * lock of the blocks.
 */
static int files_job(struct request *r)
{
	size_t blocks = r->rw.data_len / info.format.interval, len = r->rw.data_len, meta = r->rw.meta_len;
	off_t at = (off_t)r->rw.offset, meta_at = at / info.format.interval * info.format.meta_size;
	bool good;

	switch (r->rw.op) {
	case URX_OP_FLUSH:
		return fdatasync(side_fd) || fdatasync(block_fd) ? -errno : 0;
	case URX_OP_READ:
		good = pread(side_fd, r->rw.meta, meta, meta_at) == (ssize_t)meta &&
		       pread(block_fd, r->rw.data, len, at) == (ssize_t)len &&
		       !urx_pi_verify(&pi, &r->rw.tags, r->rw.data, r->rw.meta, blocks, NULL);
		break;
	default:
		good = !urx_pi_verify(&pi, &r->rw.tags, r->rw.data, r->rw.meta, blocks, NULL) &&
		       pwrite(side_fd, r->rw.meta, meta, meta_at) == (ssize_t)meta &&
		       pwrite(block_fd, r->rw.data, len, at) == (ssize_t)len;
	}
	return good ? (int)len : -EIO;
}

/* ------------------------------------------------------------------ through the library */

static void ours(struct bench *b, struct request *r, struct io_uring_sqe *sqe)
{
	int rc = urx_plan(b->queue, target, &r->rw, &r->io);

	if (rc)
		die("%s: urx_plan: %s", b->path->name, strerror(-rc));
	urx_prep(sqe, &r->io);
}

static int ours_result(struct request *r, struct io_uring_cqe *cqe)
{
	return urx_io_result(&r->io, cqe, NULL);
}

/* ------------------------------------------------------------------ all paths */

static const struct path paths[] = {
	{ "attr", "plain", URX_PATH_ATTR, 0, "sqe", attr_by_hand, attr_result, NULL },
	{ "attr", "defer", URX_PATH_ATTR, IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN, "sqe",
	  attr_by_hand, attr_result, NULL },
	{ "uring_cmd", "big", URX_PATH_URING_CMD, OWN_SETUP_SQE128 | OWN_SETUP_CQE32, "sqe", uring_cmd_by_hand,
	  uring_cmd_result, NULL },
	{ "ioctl", "plain", URX_PATH_IOCTL, 0, "pool", pool_by_hand, pool_result, ioctl_job },
	{ "software", "plain", URX_PATH_SOFTWARE, 0, "pool", pool_by_hand, pool_result, files_job },
};
static const struct op {
	const char *name;
	uint32_t op, bytes;
} ops[] = {
	{ "flush", URX_OP_FLUSH, 0 },
	{ "read-4k", URX_OP_READ, 4096 },
	{ "write-4k", URX_OP_WRITE, 4096 },
	{ "read-64k", URX_OP_READ, 65536 },
	{ "write-64k", URX_OP_WRITE, 65536 },
};
static const unsigned depths[] = { 1, 32, MOST };

/* On a device a flush says more about the device than about who asked for it. */
static bool offers(const struct path *path, const struct op *op)
{
	if (side_fd >= 0)
		return path->bit == URX_PATH_SOFTWARE;
	return path->bit != URX_PATH_SOFTWARE && op->bytes == 4096;
}

static void open_device(const char *name)
{
	struct urx_target_opts opts = { .size = sizeof(opts), .flags = URX_TARGET_WRITE };
	struct urx_pi_format format = { .size = sizeof(format), .interval = 4096, .meta_size = 8,
					.guard = URX_GUARD_T10DIF, .pi_type = 1 };
	const char *why = "cannot be opened";
	struct stat stat_buf;
	char other[512];
	int rc;

	opts.why = &why;
	if (!stat(name, &stat_buf) && S_ISBLK(stat_buf.st_mode)) {
		snprintf(other, sizeof(other), "%s.ng", name);
		block_fd = open(name, O_RDWR | O_DIRECT);
		char_fd = open(other, O_RDWR);
	} else {
		char hand[512];

		snprintf(other, sizeof(other), "%s.side", name);
		snprintf(hand, sizeof(hand), "%s.tuples", name);
		unlink(other);
		block_fd = open(name, O_RDWR | O_CREAT | O_TRUNC, 0600);
		side_fd = open(hand, O_RDWR | O_CREAT | O_TRUNC, 0600);
		if (block_fd < 0 || side_fd < 0 || ftruncate(block_fd, (off_t)SPACE * MOST))
			die("%s: %s", name, strerror(errno));
		opts.flags |= URX_TARGET_BUFFERED | URX_TARGET_CREATE_SIDE;
		opts.side_path = other;
		opts.side_format = &format;
	}
	rc = urx_target_open(&target, name, &opts);
	if (rc || block_fd < 0)
		die("%s: %s", name, why);
	urx_target_query(target, &info);
	rc = urx_pi_init(&pi, &info.format, &why);
	if (rc)
		die("%s: %s", name, why);
}

static void bench_open(struct bench *b, const struct path *path, const struct op *op, unsigned depth)
{
	struct urx_queue_opts opts = { .size = sizeof(opts), .allow = path->bit, .max_workers = WORKERS };
	uint32_t blocks = op->bytes / info.format.interval;
	const char *why;
	int rc;

	*b = (struct bench){ .path = path, .depth = depth };
	request_bytes = op->bytes;
	rc = io_uring_queue_init(MOST, &b->ring, path->ring_flags);
	if (rc)
		die("%s: a ring: %s", path->name, strerror(-rc));
	rc = urx_queue_open(&b->queue, URX_RING(&b->ring), &opts);
	if (rc)
		die("%s: urx_queue_open: %s", path->name, strerror(-rc));
	b->requests = must(calloc(depth, sizeof(*b->requests)));
	for (unsigned n = 0; n < depth; n++) {
		struct urx_rw *rw = &b->requests[n].rw;

		*rw = (struct urx_rw){ .size = sizeof(*rw), .op = op->op };
		if (!blocks)
			continue;
		rw->offset = (uint64_t)n * op->bytes;
		rw->data_len = op->bytes;
		rw->data = must(aligned_alloc(4096, op->bytes));
		rw->meta_len = blocks * info.format.meta_size;
		rw->meta = must(aligned_alloc(64, (rw->meta_len + 63) / 64 * 64));
		rw->tags.checks = URX_CHECK_GUARD | URX_CHECK_REF | URX_CHECK_APP;
		rw->tags.app = APP_TAG;
		rw->tags.ref = lba(&b->requests[n]);
		memset(rw->data, (int)n, op->bytes);
		urx_pi_generate(&pi, &rw->tags, rw->data, rw->meta, blocks);
	}
	if (urx_explain(b->queue, target, &b->requests[0].rw, path->bit, &why))
		die("%s: %s", path->name, why);
}

static void bench_close(struct bench *b)
{
	urx_queue_close(b->queue);
	io_uring_queue_exit(&b->ring);
	for (unsigned n = 0; n < b->depth; n++) {
		free(b->requests[n].rw.data);
		free(b->requests[n].rw.meta);
	}
	free(b->requests);
}

/* ------------------------------------------------------------------ requests in flight */

enum way { OURS, BY_HAND };

static void begin(struct bench *b, enum way way, struct request *r)
{
	struct io_uring_sqe *sqe = NULL;

	if (way == OURS || !b->path->job) {
		sqe = io_uring_get_sqe(&b->ring);
		if (!sqe)
			die("%s: no room in the ring", b->path->name);
	}
	way == OURS ? ours(b, r, sqe) : b->path->by_hand(b, r, sqe);
	if (sqe)
		sqe->user_data = (uint64_t)(r - b->requests);
}

/* `times` requests, `depth` of them in flight; each that ends makes room for another. */
static void run(struct bench *b, enum way way, unsigned times)
{
	unsigned begun = 0, ended = 0;

	while (begun < times && begun < b->depth)
		begin(b, way, &b->requests[begun++]);
	while (ended < times) {
		struct request *again[2 * MOST];
		struct io_uring_cqe *cqe;
		unsigned head, seen = 0, rc;

		rc = (unsigned)io_uring_submit_and_wait(&b->ring, 1);
		if ((int)rc < 0 && (int)rc != -EINTR)
			die("%s: submit: %s", b->path->name, strerror(-(int)rc));
		io_uring_for_each_cqe(&b->ring, head, cqe) {
			struct request *r = &b->requests[cqe->user_data];
			int result = way == OURS ? ours_result(r, cqe) : b->path->result(r, cqe);

			/* -EINTR: a starved test machine missed the driver's timeout, which resets the device. */
			if (result != (int)request_bytes && result != -EINTR)
				die("%s by %s: %d", b->path->name, way == OURS ? "the library" : "hand", result);
			again[seen++] = r;
		}
		io_uring_cq_advance(&b->ring, seen);
		ended += seen;
		for (unsigned n = 0; n < seen && begun < times; n++, begun++)
			begin(b, way, again[n]);
	}
}

/* What is to be read is written, by each. */
static void write_first(struct bench *b, const struct op *op)
{
	if (op->op != URX_OP_READ)
		return;
	for (unsigned n = 0; n < b->depth; n++)
		b->requests[n].rw.op = URX_OP_WRITE;
	run(b, OURS, b->depth);
	run(b, BY_HAND, b->depth);
	for (unsigned n = 0; n < b->depth; n++)
		b->requests[n].rw.op = URX_OP_READ;
}

static double now(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

/* Time that passes, and time that all threads use. */
static struct cost {
	double ns, cpu_ns;
} sample(struct bench *b, enum way way, unsigned times)
{
	struct cost cost;

	run(b, way, times / 8 + b->depth);
	cost = (struct cost){ now(CLOCK_MONOTONIC), now(CLOCK_PROCESS_CPUTIME_ID) };
	run(b, way, times);
	cost.ns = (now(CLOCK_MONOTONIC) - cost.ns) / times;
	cost.cpu_ns = (now(CLOCK_PROCESS_CPUTIME_ID) - cost.cpu_ns) / times;
	return cost;
}

static int ascending(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static double median(double *values)
{
	qsort(values, ROUNDS, sizeof(*values), ascending);
	return values[ROUNDS / 2];
}

static void measure(const struct path *path, const struct op *op, unsigned depth, unsigned times)
{
	static double ns[2][ROUNDS], cpu[2][ROUNDS], ratio[ROUNDS], cpu_ratio[ROUNDS];
	struct bench b;

	bench_open(&b, path, op, depth);
	pool_start(&b);
	write_first(&b, op);
	for (int round = 0; round < ROUNDS; round++) {
		for (int k = 0; k < 2; k++) {
			enum way way = (round & 1) ^ k ? BY_HAND : OURS;
			struct cost cost = sample(&b, way, times);

			ns[way][round] = cost.ns;
			cpu[way][round] = cost.cpu_ns;
		}
		ratio[round] = ns[BY_HAND][round] / ns[OURS][round];
		cpu_ratio[round] = cpu[BY_HAND][round] / cpu[OURS][round];
	}
	pool_stop(&b);
	bench_close(&b);
	printf("%s,%s,%u,%s,%.0f,%s,%.0f,%.3f,%.0f,%.0f,%.3f\n", path->name, path->ring, depth, op->name,
	       median(ns[OURS]), path->peer, median(ns[BY_HAND]), median(ratio), median(cpu[OURS]),
	       median(cpu[BY_HAND]), median(cpu_ratio));
	fflush(stdout);
}

/* ------------------------------------------------------------------ instructions */

/* A request that nobody submits: prepared, and completed as the kernel would. */
static void alone(struct bench *b, enum way way, unsigned times)
{
	static union {
		struct io_uring_sqe sqe;
		uint8_t bytes[128];
	} sqe;
	static union {
		struct io_uring_cqe cqe;
		uint8_t bytes[32];
	} cqe;

	cqe.cqe.res = b->path->bit == URX_PATH_ATTR ? (int)request_bytes : 0;
	for (unsigned n = 0; n < times; n++) {
		struct request *r = &b->requests[n % b->depth];

		way == OURS ? ours(b, r, &sqe.sqe) : b->path->by_hand(b, r, &sqe.sqe);
		__asm__ volatile("" : : "r"(&sqe), "r"(&cqe) : "memory");
		if ((way == OURS ? ours_result : b->path->result)(r, &cqe.cqe) != (int)request_bytes)
			die("%s: alone", b->path->name);
	}
}

/* Instructions from a stop to the end of a child, each a step. */
static unsigned long steps(struct bench *b, enum way way, unsigned times)
{
	unsigned long count = 0;
	int status;
	pid_t child = fork();

	if (child < 0)
		die("fork: %s", strerror(errno));
	if (!child) {
		alone(b, way, 2);
		if (ptrace(PTRACE_TRACEME, 0, NULL, NULL))
			_exit(1);
		raise(SIGSTOP);
		alone(b, way, times);
		_exit(0);
	}
	for (waitpid(child, &status, 0); WIFSTOPPED(status); waitpid(child, &status, 0), count++)
		if (ptrace(PTRACE_SINGLESTEP, child, NULL, NULL))
			die("ptrace: %s", strerror(errno));
	if (status)
		die("%s: the traced child failed", b->path->name);
	return count;
}

static void count(const struct path *path, const struct op *op)
{
	double instructions[2];
	struct bench b;

	if (path->job)
		return; /* What a worker does is not in one thread. */
	bench_open(&b, path, op, 1);
	for (int way = 0; way < 2; way++)
		instructions[way] = (double)(steps(&b, way, 10) - steps(&b, way, 2)) / 8;
	printf("%s,%s,%.1f,%.1f\n", path->name, op->name, instructions[OURS], instructions[BY_HAND]);
	bench_close(&b);
}

int main(int argc, char **argv)
{
	bool counts = argc == 3 && !strcmp(argv[2], "count"), once = argc == 7;
	unsigned times = argc == 3 && !counts ? (unsigned)strtoul(argv[2], NULL, 0) : 1000;

	if (argc < 2 || argc > 7 || (argc > 3 && !once))
		die("usage: see the source");
	open_device(argv[1]);
	for (size_t o = 0; o < COUNT(ops); o++) {
		for (size_t p = 0; p < COUNT(paths); p++) {
			if (!offers(&paths[p], &ops[o]))
				continue;
			if (once) {
				struct bench b;

				if (strcmp(argv[3], paths[p].name) || strcmp(argv[4], ops[o].name))
					continue;
				bench_open(&b, &paths[p], &ops[o], 1);
				pool_start(&b);
				write_first(&b, &ops[o]);
				run(&b, strcmp(argv[5], "ours") ? BY_HAND : OURS,
				    (unsigned)strtoul(argv[6], NULL, 0));
				pool_stop(&b);
				bench_close(&b);
				return 0;
			}
			if (counts && (p == 0 || paths[p].bit != paths[p - 1].bit))
				count(&paths[p], &ops[o]);
			for (size_t d = 0; !counts && d < COUNT(depths); d++)
				measure(&paths[p], &ops[o], depths[d], times);
		}
	}
	return once;
}
