/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* What requests take: slots, descriptors and threads on the paths with workers, nothing on the others. */
#include <sys/resource.h>
#include <sys/wait.h>
#include "urx_ladder.h"

#define LEN 4096u

static struct urx_queue_opts limits(uint32_t max_workers, uint32_t max_waiting)
{
	return (struct urx_queue_opts){ .size = sizeof(struct urx_queue_opts), .max_workers = max_workers,
					.max_waiting = max_waiting };
}

/* No slot: -EAGAIN, and nothing of the request was touched. */
static void refused(struct way *way, struct ask *ask)
{
	unsigned before = descriptors();
	struct urx_io io;

	memset(&io, 0xa5, sizeof(io));
	CHECK_EQ(urx_plan(way->queue, way->dev.target, &ask->rw, &io), -EAGAIN);
	for (size_t n = 0; n < sizeof(io); n++)
		CHECK_EQ(((uint8_t *)&io)[n], 0xa5);
	for (unsigned tries = 0; descriptors() > before; tries++) {
		CHECK(tries < 2000); /* a worker beside us may have a file open for a moment */
		nap(1);
	}
}

/* `fit` writes at a time, and no more; again after one was reaped, another dropped. */
static void as_many_as_fit(struct way *way, unsigned fit)
{
	struct ask *asks[64], *more = ask_new(way, URX_OP_WRITE, 500, 1, 99);
	struct seen seen;

	CHECK(fit <= COUNT(asks));
	for (unsigned round = 0; round < 3; round++) {
		for (unsigned n = 0; n < fit; n++) {
			asks[n] = ask_new(way, URX_OP_WRITE, 400 + n, 1, round * 100 + n);
			ask_push(way, asks[n], 0, n);
		}
		refused(way, more);
		submit(way, fit);
		for (unsigned n = 0; n < fit; n++) {
			seen = reap(way);
			if (n == 0)
				refused(way, more); /* the CQE was seen, the result not asked for yet */
			CHECK(seen.words[0] < fit);
			CHECK_EQ(result(asks[seen.words[0]], &seen), LEN);
			CHECK_EQ(urx_plan(way->queue, way->dev.target, &more->rw, &more->io), 0);
			if (n == 0)
				refused(way, more);
			urx_io_drop(&more->io);
		}
		for (unsigned n = 0; n < fit; n++) {
			holds(way, 400 + n, 1, round * 100 + n);
			ask_free(asks[n]);
		}
	}
	ask_free(more);
}

static void max_waiting(void)
{
	for (unsigned p = 0; p < COUNT(worker_paths); p++)
		for (uint32_t most = 1; most <= 9; most += most < 3 ? 1 : 3) {
			struct urx_queue_opts opts = limits(0, most);
			struct way way;

			doing("max_waiting");
			if (!way_open(&way, worker_paths[p], 64, 0, &opts))
				break;
			as_many_as_fit(&way, most);
			way_close(&way);
		}
}

/* Few descriptors: a quarter of them for requests, two each; all given back in the end. */
static void few_descriptors(void)
{
	struct rlimit was, few;

	CHECK_EQ(getrlimit(RLIMIT_NOFILE, &was), 0);
	few = was;
	few.rlim_cur = 64;
	CHECK_EQ(setrlimit(RLIMIT_NOFILE, &few), 0);
	for (unsigned p = 0; p < COUNT(worker_paths); p++) {
		unsigned before = descriptors();
		struct way way;

		doing("RLIMIT_NOFILE 64");
		if (!way_open(&way, worker_paths[p], 64, 0, NULL))
			continue;
		as_many_as_fit(&way, 64 / 4 / 2);
		CHECK(descriptors() <= before + 5 + 2 + 64 / 4); /* target, ring; gate; pairs */
		way_close(&way);
		CHECK_EQ(descriptors(), before);
	}
	CHECK_EQ(setrlimit(RLIMIT_NOFILE, &was), 0);
}

/* So many requests of so many blocks take that many threads at the end, none more on the way. */
static void taking_threads(struct way *way, unsigned wanted, uint32_t blocks)
{
	struct ask *asks[12];
	struct seen seen;

	for (unsigned n = 0; n < COUNT(asks); n++) {
		asks[n] = ask_new(way, URX_OP_WRITE, n * blocks, blocks, blocks + n);
		ask_push(way, asks[n], 0, n);
		CHECK(workers() <= wanted);
	}
	for (unsigned tries = 0; workers() < wanted && tries < 2000; tries++)
		nap(1); /* a thread names itself when it runs */
	CHECK_EQ(workers(), wanted);
	submit(way, COUNT(asks));
	for (unsigned n = 0; n < COUNT(asks); n++) {
		seen = reap(way);
		CHECK_EQ(result(asks[seen.words[0]], &seen), blocks * LEN);
	}
	CHECK_EQ(workers(), wanted);
	for (unsigned n = 0; n < COUNT(asks); n++) {
		holds(way, n * blocks, blocks, blocks + n);
		ask_free(asks[n]);
	}
}

/*
 * No thread before a request wants one, and no more than asked for; none after the end. Where the kernel has NVMe commands
 * in SQEs, all requests that are one command share a thread, and what takes two needs ioctls.
 */
static void threads_when_needed(void)
{
	for (unsigned p = 0; p < COUNT(worker_paths); p++) {
		bool share = worker_paths[p] == URX_PATH_IOCTL && kernel() >= 5019;
		struct urx_queue_opts opts = limits(3, 0);
		unsigned before;
		struct ask *ask;
		struct way way;

		doing("threads when needed");
		if (!way_open(&way, worker_paths[p], 64, 0, &opts))
			continue;
		before = descriptors();
		CHECK_EQ(workers(), 0);
		CHECK_EQ(urx_explain(way.queue, way.dev.target, NULL, way.path, NULL), 0);
		ask = ask_new(&way, URX_OP_WRITE, 1, 1, 1);
		ask->rw.offset = ~(uint64_t)0 << 12;
		CHECK_EQ(urx_plan(way.queue, way.dev.target, &ask->rw, &ask->io), -ERANGE);
		CHECK_EQ(workers(), 0);
		CHECK_EQ(descriptors(), before);
		ask_free(ask);
		taking_threads(&way, share ? 1 : 3, 1);
		if (share) {
			uint32_t most = way.dev.info.max_command / LEN;

			CHECK(most && most < 1024);
			taking_threads(&way, 4, most + 1);
		}
		way_close(&way);
		no_workers();
	}
}

/* Thousands in flight where the kernel does the work: no slot, no descriptor, no thread of ours. */
static void thousands(uint32_t path)
{
	enum { MANY = 3000 };
	static struct ask *asks[MANY];
	struct urx_queue_opts opts = limits(1, 1);
	unsigned before;
	struct seen seen;
	struct way way;

	doing("thousands in flight");
	if (!way_open(&way, path, 4096, 0, &opts))
		return;
	for (unsigned n = 0; n < MANY; n++)
		asks[n] = ask_new(&way, URX_OP_WRITE, n, 1, n);
	before = descriptors();
	for (unsigned n = 0; n < MANY; n++)
		ask_push(&way, asks[n], 0, n);
	CHECK_EQ(descriptors(), before);
	CHECK_EQ(workers(), 0);
	submit(&way, MANY);
	CHECK_EQ(descriptors(), before);
	CHECK_EQ(workers(), 0);
	for (unsigned n = 0; n < MANY; n++) {
		seen = reap(&way);
		CHECK(seen.words[0] < MANY);
		CHECK_EQ(result(asks[seen.words[0]], &seen), LEN);
	}
	CHECK_EQ(descriptors(), before);
	for (unsigned n = 0; n < MANY; n++) {
		if (n % 37 == 0)
			holds(&way, n, 1, n);
		ask_free(asks[n]);
	}
	CHECK_EQ(workers(), 0);
	way_close(&way);
}

struct one_of_many {
	struct way way;
	pthread_t thread;
	unsigned number;
};

static void *many_requests(void *arg)
{
	enum { DEPTH = 8, ROUNDS = 12 };
	struct one_of_many *one = arg;
	struct way *way = &one->way;
	struct ask *asks[DEPTH];
	struct seen seen;

	for (unsigned round = 0; round < ROUNDS; round++) {
		for (unsigned n = 0; n < DEPTH; n++) {
			uint64_t block = one->number * 100 + n * 3, what = one->number * 1000 + n;

			asks[n] = ask_new(way, round % 2 ? URX_OP_READ : URX_OP_WRITE, block, 3, what + round);
			ask_push(way, asks[n], 0, n);
		}
		submit(way, DEPTH);
		for (unsigned n = 0; n < DEPTH; n++) {
			seen = reap(way);
			CHECK_EQ(result(asks[seen.words[0]], &seen), 3 * LEN);
		}
		for (unsigned n = 0; n < DEPTH; n++) {
			if (round % 2)
				same(way, asks[n], one->number * 1000 + n + round - 1);
			ask_free(asks[n]);
		}
	}
	return NULL;
}

/* Eight threads with a queue each, and one target. */
static void many_queues(uint32_t path)
{
	struct one_of_many all[8];
	struct urx_queue *own;
	bool here = false;

	doing("many queues");
	for (unsigned n = 0; n < COUNT(all); n++) {
		all[n].number = n;
		here = way_open(&all[n].way, path, 16, 0, NULL);
		if (!here)
			return;
		if (n) {
			urx_target_close(all[n].way.dev.target);
			all[n].way.dev.target = all[0].way.dev.target;
			way_query(&all[n].way);
		}
	}
	for (unsigned n = 0; n < COUNT(all); n++)
		CHECK_EQ(pthread_create(&all[n].thread, NULL, many_requests, &all[n]), 0);
	for (unsigned n = 0; n < COUNT(all); n++)
		CHECK_EQ(pthread_join(all[n].thread, NULL), 0);
	CHECK_EQ(urx_queue_open(&own, -1, 0, 0, NULL), 0);
	urx_queue_close(own);
	for (unsigned n = 0; n < COUNT(all); n++) {
		urx_queue_close(all[n].way.queue);
		io_uring_queue_exit(&all[n].way.dev.ring);
	}
	urx_target_close(all[0].way.dev.target);
	no_workers();
}

/* One request in the midst of its work, one issued, one not submitted. */
struct three {
	struct trap trap;
	struct ask *begun, *issued, *planned;
	pthread_t thread;
};

static void *let_go(void *arg)
{
	struct three *three = arg;

	nap(50);
	trap_release(&three->trap, three->begun->b.data);
	return NULL;
}

static bool three_ways(struct way *way, struct three *three)
{
	if (!trap_open(&three->trap, LEN))
		return false;
	for (unsigned n = 0; n < 3; n++)
		put(way, 10 + n, 1, 1);
	three->begun = ask_new(way, URX_OP_WRITE, 10, 1, 2);
	three->issued = ask_new(way, URX_OP_WRITE, 11, 1, 2);
	three->planned = ask_new(way, URX_OP_WRITE, 12, 1, 2);
	three->begun->rw.data = three->trap.memory;
	ask_push(way, three->begun, 0, 0);
	submit(way, 1);
	trap_caught(&three->trap);
	ask_push(way, three->issued, 0, 1);
	submit(way, 1);
	CHECK_EQ(urx_plan(way->queue, way->dev.target, &three->planned->rw, &three->planned->io), 0);
	CHECK_EQ(pthread_create(&three->thread, NULL, let_go, three), 0);
	return true;
}

static void three_end(struct three *three)
{
	CHECK_EQ(pthread_join(three->thread, NULL), 0);
	trap_close(&three->trap);
	ask_free(three->begun);
	ask_free(three->issued);
	ask_free(three->planned);
}

/* On a queue of its own: with that one closed, the way's is used to look. */
static void looks_like(struct way *way, uint64_t first, uint64_t second, uint64_t third)
{
	uint64_t is[] = { first, second, third };

	CHECK_EQ(urx_queue_open(&way->queue, URX_RING(&way->dev.ring), NULL), 0);
	for (unsigned n = 0; n < 3; n++)
		holds(way, 10 + n, 1, is[n]);
}

/* Closing waits for the one that has begun and drops the others, whose CQEs come all the same. */
static void closed_in_flight(uint32_t path)
{
	struct urx_queue_opts opts = limits(1, 0);
	struct three three;
	struct seen seen[2];
	struct way way;

	doing("closed with requests in flight");
	if (!way_open(&way, path, 16, 0, &opts))
		return;
	if (three_ways(&way, &three)) {
		urx_queue_close(way.queue);
		no_workers();
		reap_all(&way, 2, seen, NULL);
		CHECK_EQ(result(three.begun, &seen[0]), LEN);
		CHECK_EQ(result(three.issued, &seen[1]), -ECANCELED);
		urx_io_drop(&three.planned->io);
		three_end(&three);
		looks_like(&way, 2, 1, 1);
	}
	way_close(&way);
}

/* A ring that goes first takes CQEs with it, and nothing else. */
static void ring_first(uint32_t path)
{
	struct urx_queue_opts opts = limits(1, 0);
	struct three three;
	struct way way;

	doing("the ring closed first");
	if (!way_open(&way, path, 16, 0, &opts))
		return;
	if (three_ways(&way, &three)) {
		io_uring_queue_exit(&way.dev.ring);
		urx_io_drop(&three.planned->io);
		urx_io_drop(&three.issued->io);
		urx_io_drop(&three.begun->io);
		urx_queue_close(way.queue);
		no_workers();
		CHECK(kind_of_ring(&way.dev.ring, 16, 0));
		three_end(&three);
		/* The one that was issued may have been begun when the first had ended. */
		CHECK_EQ(urx_queue_open(&way.queue, URX_RING(&way.dev.ring), NULL), 0);
		holds(&way, 10, 1, 2);
		holds(&way, 12, 1, 1);
	}
	way_close(&way);
}

/* A child that only exits disturbs nobody, whichever way it exits. */
static void forked(uint32_t path)
{
	doing("a child that exits");
	for (unsigned how = 0; how < 3; how++) {
		struct urx_queue_opts opts = limits(1, 0);
		struct three three;
		struct seen seen[2];
		struct way way;
		int status;
		pid_t child;

		if (!way_open(&way, path, 16, 0, &opts))
			return;
		if (three_ways(&way, &three)) {
			fflush(stdout);
			child = fork();
			CHECK(child >= 0);
			if (!child && how == 0)
				_exit(0);
			if (!child && how == 1)
				exit(0);
			if (!child) {
				urx_queue_close(way.queue); /* does nothing here */
				_exit(0);
			}
			CHECK_EQ(waitpid(child, &status, 0), child);
			CHECK_EQ(status, 0);
			reap_all(&way, 2, seen, NULL);
			CHECK_EQ(result(three.begun, &seen[0]), LEN);
			CHECK_EQ(result(three.issued, &seen[1]), LEN);
			urx_io_drop(&three.planned->io);
			three_end(&three);
			for (unsigned n = 0; n < 2; n++)
				holds(&way, 10 + n, 1, 2);
			holds(&way, 12, 1, 1);
		}
		way_close(&way);
	}
}

int main(void)
{
	few_descriptors();
	max_waiting();
	threads_when_needed();
	thousands(URX_PATH_URING_CMD);
	thousands(URX_PATH_ATTR);
	for (unsigned p = 0; p < COUNT(all_paths); p++)
		many_queues(all_paths[p]);
	for (unsigned p = 0; p < COUNT(worker_paths); p++) {
		closed_in_flight(worker_paths[p]);
		ring_first(worker_paths[p]);
		forked(worker_paths[p]);
	}
	return 0;
}
