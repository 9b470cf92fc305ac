/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * A request starts when the kernel issues its SQE, whatever carries it: behind links, drains and late
 * submissions. Each case has a ring of its own: a drain that is still on delays even cancelling.
 */
#include "urx_ladder.h"

#define BLOCK 40u
#define LEN 4096u

enum { OLD = 1, NEW, NEXT };

/* Makes a write of NEW whose data is to come from a pipe; until then it holds something else. */
static struct ask *from_pipe(struct way *way, int fds[2], uint8_t *sent)
{
	struct ask *ask = ask_new(way, URX_OP_WRITE, BLOCK, 1, NEW);

	put(way, BLOCK, 1, OLD);
	CHECK_EQ(pipe(fds), 0);
	memcpy(sent, ask->b.data, LEN);
	memset(ask->b.data, 0xee, LEN);
	return ask;
}

static void close_pipe(int fds[2])
{
	close(fds[0]);
	close(fds[1]);
}

/* Had the write started before its predecessor ended, the guard would have been wrong. */
static void behind(struct way *way, unsigned read_flags, unsigned write_flags)
{
	struct seen seen[2];
	uint64_t order[2];
	uint8_t sent[LEN];
	int fds[2];
	struct ask *ask = from_pipe(way, fds, sent);

	push_read(way, fds[0], ask->b.data, LEN, read_flags, 0);
	ask_push(way, ask, write_flags, 1);
	submit(way, 2);
	nap(20);
	CHECK(quiet(way));
	CHECK_EQ(write(fds[1], sent, LEN), LEN);
	reap_all(way, 2, seen, order);
	CHECK_EQ(order[0], 0);
	CHECK_EQ(res_of(&seen[0]), LEN);
	CHECK_EQ(result(ask, &seen[1]), LEN);
	close_pipe(fds);
	ask_free(ask);
}

static void behind_link(struct way *way)
{
	behind(way, IOSQE_IO_LINK, 0);
	holds(way, BLOCK, 1, NEW);
}

static void behind_hardlink(struct way *way)
{
	behind(way, IOSQE_IO_HARDLINK, IOSQE_ASYNC);
	holds(way, BLOCK, 1, NEW);
}

/* The case's last: the ring may still drain. */
static void behind_drain(struct way *way)
{
	behind(way, 0, IOSQE_IO_DRAIN);
}

/* A predecessor that fails takes the request with it: it never starts. */
static void behind_broken_link(struct way *way)
{
	struct seen seen[2];
	uint8_t sent[LEN];
	int fds[2];
	struct ask *ask = from_pipe(way, fds, sent);

	push_read(way, fds[0], ask->b.data, LEN, IOSQE_IO_LINK, 0);
	ask_push(way, ask, 0, 1);
	submit(way, 2);
	CHECK_EQ(write(fds[1], sent, 100), 100);
	reap_all(way, 2, seen, NULL);
	CHECK_EQ(res_of(&seen[0]), 100);
	CHECK_EQ(result(ask, &seen[1]), -ECANCELED);
	close_pipe(fds);
	ask_free(ask);
	holds(way, BLOCK, 1, OLD);
}

/* URING_CMD has nothing that breaks a link: a request that will have a successor does not go there. */
static bool linkable(struct way *way, struct ask *ask)
{
	struct urx_io io = { 0 };
	const char *why = "";

	ask->rw.flags |= URX_RW_LINKED;
	if (way->path != URX_PATH_URING_CMD)
		return true;
	CHECK_EQ(urx_plan(way->queue, way->dev.target, &ask->rw, &io), -EOPNOTSUPP);
	CHECK_EQ(urx_explain(way->queue, way->dev.target, &ask->rw, way->path, &why), -EOPNOTSUPP);
	CHECK(strstr(why, "link"));
	ask->rw.allow = 0;
	CHECK_EQ(urx_plan(way->queue, way->dev.target, &ask->rw, &io), 0);
	CHECK(io.path != URX_PATH_URING_CMD);
	urx_io_drop(&io);
	ask->rw.flags &= ~URX_RW_LINKED;
	CHECK_EQ(urx_plan(way->queue, way->dev.target, &ask->rw, &io), 0);
	urx_io_drop(&io);
	return false;
}

/* What is linked behind a write reads what was written. */
static void before_success(struct way *way)
{
	struct ask *first = ask_new(way, URX_OP_WRITE, BLOCK, 3, NEW), *second;
	struct seen seen[3];
	uint64_t order[3];

	put(way, BLOCK, 3, OLD);
	if (linkable(way, first)) {
		second = ask_new(way, URX_OP_READ, BLOCK, 3, 0);
		second->rw.flags |= URX_RW_LINKED;
		ask_push(way, first, IOSQE_IO_LINK, 0);
		ask_push(way, second, IOSQE_IO_LINK, 1);
		push_nop(way, 0, 2);
		submit(way, 3);
		reap_all(way, 3, seen, order);
		for (unsigned n = 0; n < 3; n++)
			CHECK_EQ(order[n], n);
		CHECK_EQ(result(first, &seen[0]), 3 * LEN);
		CHECK_EQ(result(second, &seen[1]), 3 * LEN);
		CHECK_EQ(res_of(&seen[2]), 0);
		same(way, second, NEW);
		ask_free(second);
	}
	ask_free(first);
}

/* A failed check breaks a soft link, and not a hard one. */
static void failed(struct way *way, uint32_t op, unsigned link, int then)
{
	struct ask *first = ask_new(way, op, BLOCK, 1, NEW), *second;
	struct seen seen[3];

	put(way, BLOCK, 2, OLD);
	if (op == URX_OP_WRITE)
		ask_spoil(first);
	else
		first->rw.tags.app ^= 1;
	if (linkable(way, first)) {
		second = ask_new(way, URX_OP_WRITE, BLOCK + 1, 1, NEXT);
		second->rw.flags |= URX_RW_LINKED;
		ask_push(way, first, link, 0);
		ask_push(way, second, link, 1);
		push_nop(way, 0, 2);
		submit(way, 3);
		reap_all(way, 3, seen, NULL);
		CHECK_EQ(result(first, &seen[0]), -EILSEQ);
		CHECK_EQ(result(second, &seen[1]), then ? then : (int)LEN);
		CHECK_EQ(res_of(&seen[2]), then);
		ask_free(second);
		if (!then)
			holds(way, BLOCK + 1, 1, NEXT);
	}
	ask_free(first);
}

static void before_failed_write(struct way *way)
{
	failed(way, URX_OP_WRITE, IOSQE_IO_LINK, -ECANCELED);
}

static void before_failed_read(struct way *way)
{
	failed(way, URX_OP_READ, IOSQE_IO_LINK, -ECANCELED);
}

static void before_failed_hardlink(struct way *way)
{
	failed(way, URX_OP_WRITE, IOSQE_IO_HARDLINK, 0);
}

/* What drains behind requests sees them done. */
static void drain_behind(struct way *way)
{
	struct ask *asks[3];
	struct seen seen[4];
	uint64_t order[4];

	for (unsigned n = 0; n < 3; n++) {
		asks[n] = ask_new(way, URX_OP_WRITE, BLOCK + n, 1, NEW);
		ask_push(way, asks[n], 0, n);
	}
	push_nop(way, IOSQE_IO_DRAIN, 3);
	submit(way, 4);
	reap_all(way, 4, seen, order);
	CHECK_EQ(order[3], 3);
	for (unsigned n = 0; n < 3; n++) {
		CHECK_EQ(result(asks[n], &seen[n]), LEN);
		ask_free(asks[n]);
	}
}

/* The buffers are filled when all is prepared, the SQE submitted later still. */
static void late_submission(struct way *way)
{
	struct ask *ask = ask_new(way, URX_OP_WRITE, BLOCK, 1, NEW);
	uint8_t data[LEN], meta[64];
	struct seen seen;

	put(way, BLOCK, 1, OLD);
	memcpy(data, ask->b.data, LEN);
	memcpy(meta, ask->b.meta, ask->b.meta_len);
	memset(ask->b.data, 0xee, LEN);
	memset(ask->b.meta, 0xee, ask->b.meta_len);
	ask_push(way, ask, 0, 0);
	nap(30); /* an SQPOLL thread has gone to sleep, too */
	CHECK(quiet(way));
	memcpy(ask->b.data, data, LEN);
	memcpy(ask->b.meta, meta, ask->b.meta_len);
	submit(way, 1);
	seen = reap(way);
	CHECK_EQ(result(ask, &seen), LEN);
	ask_free(ask);
	holds(way, BLOCK, 1, NEW);
}

/* Planned requests that are dropped do nothing and cost nothing. */
static void planned_and_dropped(struct way *way)
{
	struct ask *ask = ask_new(way, URX_OP_WRITE, BLOCK, 1, NEW);
	unsigned before;

	put(way, BLOCK, 1, OLD);
	before = descriptors();
	for (unsigned n = 0; n < 300; n++) {
		CHECK_EQ(urx_plan(way->queue, way->dev.target, &ask->rw, &ask->io), 0);
		urx_io_drop(&ask->io);
	}
	/* What is dropped without a word about its SQE leaves a few descriptors to be used again. */
	CHECK(descriptors() <= before + 2 * 64 + 2);
	ask_free(ask);
	holds(way, BLOCK, 1, OLD);
}

/* The case's last: the SQE stays in the ring. */
static void never_submitted(struct way *way)
{
	struct ask *ask = ask_new(way, URX_OP_WRITE, BLOCK, 1, NEW);
	uint8_t data[LEN], want[LEN];

	put(way, BLOCK, 1, OLD);
	ask_push(way, ask, 0, 0);
	nap(20);
	CHECK(quiet(way));
	urx_io_drop(&ask->io);
	urx_queue_close(way->queue);
	way->queue = NULL;
	ask_free(ask);
	fill(want, LEN, OLD);
	ask = ask_new(way, URX_OP_READ, BLOCK, 1, 0);
	CHECK_EQ(pread(way->dev.info.fd, ask->b.data, LEN, BLOCK * LEN), LEN);
	memcpy(data, ask->b.data, LEN);
	CHECK_BYTES(data, want, LEN, doing_what);
	ask_free(ask);
}

static void push_timeout(struct way *way, struct __kernel_timespec *time, uint64_t tag)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(&way->dev.ring);

	CHECK(sqe);
	io_uring_prep_link_timeout(sqe, time, 0);
	sqe->user_data = tag;
}

/* A time that is long enough. */
static void timeout_far(struct way *way)
{
	struct __kernel_timespec time = { .tv_sec = 20 };
	struct ask *ask = ask_new(way, URX_OP_WRITE, BLOCK, 1, NEW);
	struct seen seen[2];

	put(way, BLOCK, 1, OLD);
	ask_push(way, ask, IOSQE_IO_LINK, 0);
	push_timeout(way, &time, 1);
	submit(way, 2);
	reap_all(way, 2, seen, NULL);
	CHECK_EQ(result(ask, &seen[0]), LEN);
	/* The kernel's answer to a timeout that was not needed any more, or came when its request had ended. */
	CHECK(res_of(&seen[1]) == -ECANCELED || res_of(&seen[1]) == -ENOENT);
	ask_free(ask);
	holds(way, BLOCK, 1, NEW);
}

/* No time at all: the request ran or was cancelled, and its result says which. */
static void timeout_now(struct way *way)
{
	struct __kernel_timespec time = { .tv_nsec = 1 };
	unsigned cancelled = 0;

	put(way, BLOCK, 1, 100);
	for (uint64_t n = 1, now = 100; n <= 20; n++) {
		struct ask *ask = ask_new(way, URX_OP_WRITE, BLOCK, 1, 100 + n);
		struct seen seen[2];
		int ret;

		ask_push(way, ask, IOSQE_IO_LINK, 0);
		push_timeout(way, &time, 1);
		submit(way, 2);
		reap_all(way, 2, seen, NULL);
		ret = result(ask, &seen[0]);
		if (ret == LEN)
			now = 100 + n;
		else if (ret == -ECANCELED || ret == -EINTR)
			cancelled++;
		else
			FAIL("timeout: %d", ret);
		ask_free(ask);
		holds(way, BLOCK, 1, now);
	}
	printf("%s: %u of 20 cancelled by a timeout\n", doing_where, cancelled);
}

static const struct {
	const char *name;
	void (*run)(struct way *way);
} cases[] = {
	{ "behind a link", behind_link },
	{ "behind a hard link", behind_hardlink },
	{ "behind a drain", behind_drain },
	{ "behind a broken link", behind_broken_link },
	{ "before a successor", before_success },
	{ "before a successor, a failed write", before_failed_write },
	{ "before a successor, a failed read", before_failed_read },
	{ "before a hard successor, failed", before_failed_hardlink },
	{ "a drain behind", drain_behind },
	{ "submitted late", late_submission },
	{ "planned and dropped", planned_and_dropped },
	{ "never submitted", never_submitted },
	{ "a timeout far away", timeout_far },
	{ "a timeout at once", timeout_now },
};

int main(void)
{
	for (unsigned p = 0; p < COUNT(all_paths); p++)
		for (unsigned s = 0; s < COUNT(all_setups); s++)
			for (unsigned n = 0; n < COUNT(cases); n++) {
				struct way way;

				doing(cases[n].name);
				if (!way_open(&way, all_paths[p], 16, all_setups[s], NULL))
					break;
				cases[n].run(&way);
				way_close(&way);
			}
	return 0;
}
