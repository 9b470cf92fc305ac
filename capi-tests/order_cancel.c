/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Cancelling: before the issue, before a worker came, in the worker's midst. The result tells what became of the
 * request, and whoever uses its slot next gets nothing of it.
 */
#include "urx_ladder.h"

#define BLOCK 60u
#define LEN 4096u

enum { OLD = 1, NEW, FIRST };

/* One slot, so that it is that slot which is used again; one worker, so that it can be kept busy. */
static struct urx_queue_opts narrow(uint32_t waiting)
{
	return (struct urx_queue_opts){ .size = sizeof(struct urx_queue_opts), .max_workers = 1,
					.max_waiting = waiting };
}

/* A guest is slow. */
static unsigned reuses(bool main_case)
{
	return main_case || !getenv("URX_VM") ? 1000 : 200;
}

/* Every result is right and its data what was asked for: nobody else's end is taken for these requests'. */
static void use_again(struct way *way, unsigned times)
{
	struct ask *write = ask_new(way, URX_OP_WRITE, BLOCK, 2, FIRST), *other, *read;

	other = ask_new(way, URX_OP_WRITE, BLOCK, 2, FIRST + 1);
	read = ask_new(way, URX_OP_READ, BLOCK, 2, 0);
	for (unsigned n = 0; n < times / 2; n++) {
		struct ask *now = n % 2 ? other : write;

		/* A write may have remapped nothing: reference tags are the device's here. */
		CHECK_EQ(ask_run(way, now), 2 * LEN);
		memset(read->b.data, 0x55, read->b.data_len);
		memset(read->b.meta, 0x55, read->b.meta_len);
		CHECK_EQ(ask_run(way, read), 2 * LEN);
		CHECK_BYTES(read->b.data, now->b.data, now->b.data_len, doing_what);
		CHECK_BYTES(read->b.meta, now->b.meta, now->b.meta_len, doing_what);
	}
	ask_free(write);
	ask_free(other);
	ask_free(read);
}

/* The chain's head is cancelled, so that the request never starts. */
static void before_issue(struct way *way)
{
	struct ask *ask = ask_new(way, URX_OP_WRITE, BLOCK, 1, NEW);
	struct seen seen[3];
	uint8_t byte;
	int fds[2];

	put(way, BLOCK, 1, OLD);
	CHECK_EQ(pipe(fds), 0);
	push_read(way, fds[0], &byte, 1, IOSQE_IO_LINK, 0);
	ask_push(way, ask, 0, 1);
	submit(way, 2);
	nap(10);
	CHECK(quiet(way));
	push_cancel(way, 0, 2);
	submit(way, 1);
	reap_all(way, 3, seen, NULL);
	CHECK(res_of(&seen[0]) == -ECANCELED || res_of(&seen[0]) == -EINTR);
	CHECK_EQ(result(ask, &seen[1]), -ECANCELED);
	close(fds[0]);
	close(fds[1]);
	ask_free(ask);
	holds(way, BLOCK, 1, OLD);
}

/* Submits and cancels at once: who was faster, the result knows. */
static void race(struct way *way)
{
	unsigned rounds = reuses(false) / 10, cancelled = 0, done = 0;
	uint64_t now = OLD;

	put(way, BLOCK, 1, OLD);
	for (unsigned n = 0; n < rounds; n++) {
		struct ask *ask = ask_new(way, URX_OP_WRITE, BLOCK, 1, 1000 + n);
		struct seen seen[2];
		int ret;

		ask_push(way, ask, n % 3 ? 0 : IOSQE_ASYNC, 0);
		if (n % 2)
			submit(way, 1);
		push_cancel(way, 0, 1);
		submit(way, n % 2 ? 1 : 2);
		reap_all(way, 2, seen, NULL);
		ret = result(ask, &seen[0]);
		if (ret == (int)LEN) {
			now = 1000 + n;
			done++;
		} else {
			/* An SQE of the kernel's own may be interrupted. */
			CHECK(ret == -ECANCELED || (ret == -EINTR && way->path < URX_PATH_IOCTL));
			cancelled++;
		}
		ask_free(ask);
		holds(way, BLOCK, 1, now);
	}
	printf("%s: %u cancelled, %u done\n", doing_where, cancelled, done);
}

/* A write whose first page nobody can read yet. */
static struct ask *trapped(struct way *way, struct trap *trap, uint64_t block, uint64_t seed)
{
	struct ask *ask = ask_new(way, URX_OP_WRITE, block, 1, seed);

	ask->rw.data = trap->memory;
	return ask;
}

struct later {
	struct trap *trap;
	const void *contents;
};

static void *release_later(void *arg)
{
	struct later *later = arg;

	nap(50);
	trap_release(later->trap, later->contents);
	return NULL;
}

/* The kernel says cancelled, the worker is in the midst of it: its word counts, and is waited for. */
static void begun(struct way *way, bool spoilt)
{
	struct trap trap;
	struct ask *ask;
	struct seen seen[2];
	struct later later;
	pthread_t thread;

	if (!trap_open(&trap, LEN))
		return;
	put(way, BLOCK, 1, OLD);
	ask = trapped(way, &trap, BLOCK, NEW);
	if (spoilt)
		ask_spoil(ask);
	ask_push(way, ask, 0, 0);
	submit(way, 1);
	trap_caught(&trap);
	push_cancel(way, 0, 1);
	submit(way, 1);
	reap_all(way, 2, seen, NULL);
	CHECK(res_of(&seen[0]) < 8); /* the RECV's own end: an errno, or the bytes that it had got, not all */
	later = (struct later){ &trap, ask->b.data };
	CHECK_EQ(pthread_create(&thread, NULL, release_later, &later), 0);
	CHECK_EQ(result(ask, &seen[0]), spoilt ? -EILSEQ : (int)LEN);
	CHECK_EQ(pthread_join(thread, NULL), 0);
	ask_free(ask);
	trap_close(&trap);
	holds(way, BLOCK, 1, spoilt ? OLD : NEW);
}

static void when_begun(struct way *way)
{
	begun(way, false);
}

static void when_begun_and_failed(struct way *way)
{
	begun(way, true);
}

/* The kernel has issued it, but the only worker is elsewhere. */
static void before_a_worker(struct way *way)
{
	struct ask *ask = ask_new(way, URX_OP_WRITE, BLOCK, 1, NEW), *busy;
	struct trap trap;
	struct seen seen[3] = { { { 0 } } };

	put(way, BLOCK, 2, OLD);
	if (trap_open(&trap, LEN)) {
		busy = trapped(way, &trap, BLOCK + 1, NEW);
		ask_push(way, busy, 0, 0);
		submit(way, 1);
		trap_caught(&trap);
		ask_push(way, ask, 0, 1);
		submit(way, 1);
		nap(10);
		push_cancel(way, 1, 2);
		submit(way, 1);
		for (unsigned n = 0; n < 2; n++) {
			struct seen one = reap(way);

			CHECK(one.words[0] == 1 || one.words[0] == 2);
			seen[one.words[0]] = one;
		}
		CHECK_EQ(result(ask, &seen[1]), -ECANCELED);
		trap_release(&trap, busy->b.data);
		seen[0] = reap(way);
		CHECK_EQ(result(busy, &seen[0]), LEN);
		trap_close(&trap);
		ask_free(busy);
		holds(way, BLOCK + 1, 1, NEW);
	}
	ask_free(ask);
	nap(10);
	holds(way, BLOCK, 1, OLD);
}

/* Dropped in the worker's midst: waits, and what the worker did is done. */
static void dropped(struct way *way)
{
	struct trap trap;
	struct ask *ask;
	struct later later;
	pthread_t thread;

	if (!trap_open(&trap, LEN))
		return;
	put(way, BLOCK, 1, OLD);
	ask = trapped(way, &trap, BLOCK, NEW);
	ask_push(way, ask, 0, 0);
	submit(way, 1);
	trap_caught(&trap);
	later = (struct later){ &trap, ask->b.data };
	CHECK_EQ(pthread_create(&thread, NULL, release_later, &later), 0);
	urx_io_drop(&ask->io);
	CHECK_EQ(pthread_join(thread, NULL), 0);
	reap(way); /* whatever the RECV ended with is of no interest */
	ask_free(ask);
	trap_close(&trap);
	holds(way, BLOCK, 1, NEW);
}

static const struct {
	const char *name;
	void (*run)(struct way *way);
	uint32_t waiting;
	bool workers_only;
	bool main_case;
} cases[] = {
	{ "cancelled before the issue", before_issue, 1, false, true },
	{ "cancelled at once", race, 1, false, false },
	{ "cancelled when begun", when_begun, 1, true, true },
	{ "cancelled when begun, and failed", when_begun_and_failed, 1, true, false },
	{ "cancelled before a worker came", before_a_worker, 2, true, false },
	{ "dropped when begun", dropped, 1, true, false },
};

int main(void)
{
	for (unsigned p = 0; p < COUNT(all_paths); p++)
		for (unsigned n = 0; n < COUNT(cases); n++) {
			struct urx_queue_opts opts = narrow(cases[n].waiting);
			bool waits = all_paths[p] == URX_PATH_IOCTL || all_paths[p] == URX_PATH_SOFTWARE;
			struct way way;

			doing(cases[n].name);
			if ((cases[n].workers_only && !waits) || !way_open(&way, all_paths[p], 16, 0, &opts))
				continue;
			cases[n].run(&way);
			use_again(&way, reuses(cases[n].main_case));
			way_close(&way);
		}
	return 0;
}
