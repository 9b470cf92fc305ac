/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* A process that ends while its requests run, in each way to end: it ends, and does not hang. */
#include <sys/wait.h>
#include "urx_ladder.h"

#define LEN 4096u
enum { DEPTH = 32 };

static void *fly(void *arg)
{
	struct way *way = arg;
	struct ask *asks[DEPTH];
	struct seen seen;

	for (unsigned n = 0; n < DEPTH; n++) {
		asks[n] = ask_new(way, n % 2 ? URX_OP_READ : URX_OP_WRITE, 100 + n * 8, 8, n);
		if (n % 2)
			asks[n]->rw.tags.checks = 0; /* perhaps never written */
		ask_push(way, asks[n], 0, n);
	}
	submit(way, DEPTH);
	for (;;) {
		seen = reap(way);
		urx_io_result(&asks[seen.words[0]]->io, cqe_of(&seen), NULL);
		ask_push(way, asks[seen.words[0]], 0, seen.words[0]);
		submit(way, 1);
	}
	return NULL;
}

enum { EXIT, EXIT_AT_ONCE, ABORT, KILLED, TRAPPED, WAYS };

/* Sets requests off and ends. */
static void end(uint32_t path, unsigned how)
{
	struct way *way = calloc(1, sizeof(*way));
	struct trap trap;
	struct ask *ask;
	pthread_t thread;

	CHECK(way_open(way, path, DEPTH, 0, NULL));
	if (how == TRAPPED && trap_open(&trap, LEN)) {
		ask = ask_new(way, URX_OP_WRITE, 90, 1, 1);
		ask->rw.data = trap.memory;
		ask_push(way, ask, 0, 0);
		submit(way, 1);
		trap_caught(&trap);
		exit(0);
	}
	CHECK_EQ(pthread_create(&thread, NULL, fly, way), 0);
	nap(5 + any(20));
	if (how == EXIT)
		exit(0);
	if (how == EXIT_AT_ONCE)
		_exit(0);
	if (how == ABORT)
		raise(SIGTERM);
	for (;;)
		pause();
}

int main(void)
{
	for (unsigned p = 0; p < COUNT(all_paths); p++) {
		struct way way;

		if (!path_here(all_paths[p]))
			continue;
		for (unsigned n = 0; n < 4 * WAYS; n++) {
			unsigned how = n % WAYS;
			int status;
			pid_t child;

			doing(urx_path_str(all_paths[p]));
			any(2 + n);
			if (how == TRAPPED && (all_paths[p] == URX_PATH_ATTR || all_paths[p] == URX_PATH_URING_CMD))
				continue;
			fflush(stdout);
			child = fork();
			CHECK(child >= 0);
			if (!child)
				end(all_paths[p], how);
			if (how == KILLED) {
				nap(30 + any(30));
				CHECK_EQ(kill(child, SIGKILL), 0);
			}
			CHECK_EQ(waitpid(child, &status, 0), child);
			if (how == KILLED)
				CHECK_EQ(WTERMSIG(status), SIGKILL);
			else if (how == ABORT)
				CHECK_EQ(WTERMSIG(status), SIGTERM);
			else
				CHECK_EQ(status, 0);
		}
		/* And the target is as good as before. */
		CHECK(way_open(&way, all_paths[p], 16, 0, NULL));
		put(&way, 100, 8, 5);
		holds(&way, 100, 8, 5);
		way_close(&way);
	}
	return 0;
}
