/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * What urx_plan(), urx_prep() and urx_io_result() of a PI attribute and of an NVMe command do not do: allocate, lock,
 * make a system call, start a thread. Each instruction of them is looked at, in a child that is stepped through.
 */
#include "urx_test.h"

#include <dirent.h>
#include <stddef.h>
#include <sys/ptrace.h>
#include <sys/user.h>
#include <sys/wait.h>

static volatile unsigned long allocations;

/* All of these end in glibc's own; the library's calls come here too. */
void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *memory, size_t size);
void *__libc_memalign(size_t align, size_t size);

void *malloc(size_t size)
{
	allocations++;
	return __libc_malloc(size);
}

void *calloc(size_t count, size_t size)
{
	allocations++;
	return __libc_calloc(count, size);
}

void *realloc(void *memory, size_t size)
{
	allocations++;
	return __libc_realloc(memory, size);
}

int posix_memalign(void **memory, size_t align, size_t size)
{
	allocations++;
	*memory = __libc_memalign(align, size);
	return *memory ? 0 : ENOMEM;
}

void *aligned_alloc(size_t align, size_t size)
{
	allocations++;
	return __libc_memalign(align, size);
}

static int threads(void)
{
	DIR *dir = opendir("/proc/self/task");
	int count = 0;

	CHECK(dir);
	while (readdir(dir))
		count++;
	closedir(dir);
	return count - 2;
}

/* A request that no kernel sees. */
static void one(struct urx_queue *queue, struct urx_target *target, const struct urx_rw *rw, uint32_t path)
{
	static union {
		struct io_uring_sqe sqe;
		uint8_t bytes[128];
	} sqe;
	static union {
		struct io_uring_cqe cqe;
		uint8_t bytes[32];
	} cqe;
	static struct urx_io io;
	struct urx_result result = { .size = sizeof(result) };

	if (urx_plan(queue, target, rw, &io) || io.path != path)
		_exit(2);
	urx_prep(&sqe.sqe, &io);
	cqe.cqe.res = path == URX_PATH_ATTR ? (int)rw->data_len : 0;
	if (urx_io_result(&io, &cqe.cqe, &result) != (int)rw->data_len)
		_exit(3);
}

#ifdef __x86_64__
struct seen {
	unsigned long instructions, calls, locks;
};

/* Steps through `body` in a child, whose code is at the same addresses as here. */
static struct seen watch(void (*body)(void *), void *arg)
{
	struct seen seen = { 0 };
	pid_t child = fork();
	int status;

	CHECK(child >= 0);
	if (!child) {
		body(arg); /* Resolves what is resolved lazily. */
		if (ptrace(PTRACE_TRACEME, 0, NULL, NULL))
			_exit(4);
		__asm__ volatile("int3");
		body(arg);
		__asm__ volatile("int3");
		_exit(5);
	}
	CHECK_EQ(waitpid(child, &status, 0), child);
	for (CHECK(WIFSTOPPED(status)); WIFSTOPPED(status); waitpid(child, &status, 0)) {
		size_t at = offsetof(struct user_regs_struct, rip);
		const uint8_t *code = (void *)ptrace(PTRACE_PEEKUSER, child, (void *)at, NULL);

		CHECK_EQ(WSTOPSIG(status), SIGTRAP);
		if (*code == 0xcc) {
			kill(child, SIGKILL);
			waitpid(child, &status, 0);
			return seen;
		}
		seen.instructions++;
		seen.calls += code[0] == 0x0f && code[1] == 0x05;
		/* A LOCK prefix, or XCHG with memory, which needs none. */
		seen.locks += code[0] == 0xf0 || (code[0] == 0x66 && code[1] == 0xf0) ||
			      ((code[0] == 0x86 || code[0] == 0x87) && code[1] < 0xc0) ||
			      ((code[0] & 0xf0) == 0x40 && (code[1] == 0x86 || code[1] == 0x87) && code[2] < 0xc0);
		CHECK_EQ(ptrace(PTRACE_SINGLESTEP, child, NULL, NULL), 0);
	}
	FAIL("the child ended, status %#x", (unsigned)status);
}

static void a_call_and_a_lock(void *unused)
{
	static int word;

	(void)unused;
	__atomic_fetch_add(&word, 1, __ATOMIC_SEQ_CST);
	getppid();
}
#endif

struct asked {
	struct urx_queue *queue;
	struct urx_target *target;
	struct urx_rw rw;
	uint32_t path;
};

static void ask(void *arg)
{
	struct asked *a = arg;

	one(a->queue, a->target, &a->rw, a->path);
}

static void costs_nothing(const char *label, unsigned ring_flags, uint32_t path)
{
	struct dev dev;
	struct asked asked = { .path = path };
	struct urx_queue_opts opts = { .size = sizeof(opts), .allow = path };
	struct blocks b;
	const char *why = "";

	dev_open(&dev, label, ring_flags);
	CHECK_EQ(urx_queue_open(&asked.queue, URX_RING(&dev.ring), &opts), 0);
	asked.target = dev.target;
	b = blocks_of(&dev, 4, 1);
	for (uint32_t op = URX_OP_READ; op <= URX_OP_WRITE; op++) {
		unsigned long before;

		asked.rw = rw_of(&dev, op, 8, b.data, 4, b.meta,
				 tags_of(&dev, 0x1234, device_block(&dev, 8)));
		if (urx_explain(asked.queue, dev.target, &asked.rw, path, &why))
			FAIL("%s: %s", label, why);
		before = allocations;
		for (int n = 0; n < 1000; n++)
			ask(&asked);
		CHECK_EQ(allocations, before);
#ifdef __x86_64__
		struct seen seen = watch(ask, &asked);

		printf("%s %s %u: %lu instructions\n", label, urx_path_str(path), op, seen.instructions);
		CHECK_EQ(seen.calls, 0);
		CHECK_EQ(seen.locks, 0);
#endif
	}
	CHECK_EQ(threads(), 1);
	urx_queue_close(asked.queue);
	blocks_free(&b);
	dev_close(&dev);
}

int main(void)
{
	unsigned long before = allocations;
	struct urx_queue *queue;
	struct io_uring ring;
	bool attr;

	need_vm();
	ring_setup(&ring, 0);
	CHECK_EQ(urx_queue_open(&queue, URX_RING(&ring), NULL), 0);
	CHECK(allocations > before); /* The library's are counted. */
	urx_queue_close(queue);
#ifdef __x86_64__
	struct seen seen = watch(a_call_and_a_lock, NULL);

	CHECK_EQ(seen.calls, 1);
	CHECK_EQ(seen.locks, 1);
#endif
	attr = ring.features & URX_FEAT_RW_ATTR;
	io_uring_queue_exit(&ring);
	for (unsigned n = 0; n < COUNT(protected_labels); n++) {
		if (attr)
			costs_nothing(protected_labels[n], 0, URX_PATH_ATTR);
		if (kernel() >= 5019)
			costs_nothing(protected_labels[n], IORING_SETUP_SQE128 | IORING_SETUP_CQE32,
				      URX_PATH_URING_CMD);
	}
	return 0;
}
