/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Signals at any time: no request fails of them, and no worker gets one. */
#include <sys/time.h>
#include "urx_ladder.h"

#define LEN 4096u

static volatile sig_atomic_t signals, elsewhere;
static pthread_t here;

static void note(int sig)
{
	(void)sig;
	signals++;
	if (!pthread_equal(pthread_self(), here))
		elsewhere++;
}

static void through(uint32_t path, unsigned setup)
{
	struct way way;
	unsigned before = (unsigned)signals;

	doing("signals");
	if (!way_open(&way, path, 16, setup, NULL))
		return;
	for (unsigned n = 0; n < 100 || (unsigned)signals - before < 50; n++) {
		struct ask *write = ask_new(&way, URX_OP_WRITE, 70, 4, n), *read;

		read = ask_new(&way, URX_OP_READ, 70, 4, 0);
		CHECK_EQ(ask_run(&way, write), 4 * LEN);
		CHECK_EQ(ask_run(&way, read), 4 * LEN);
		same(&way, read, n);
		ask_free(write);
		ask_free(read);
	}
	way_close(&way);
}

/* The library's own ring, and calls that wait. */
static void at_once(uint32_t path)
{
	struct urx_queue *queue;
	unsigned before = (unsigned)signals;
	struct way way;

	doing("signals during urx_run()");
	if (!way_open(&way, path, 16, 0, NULL))
		return;
	CHECK_EQ(urx_queue_open(&queue, -1, 0, 0, NULL), 0);
	for (unsigned n = 0; n < 50 || (unsigned)signals - before < 50; n++) {
		struct ask *write = ask_new(&way, URX_OP_WRITE, 70, 4, n), *read;

		read = ask_new(&way, URX_OP_READ, 70, 4, 0);
		CHECK_EQ(urx_run(queue, way.dev.target, &write->rw, NULL), 4 * LEN);
		CHECK_EQ(urx_run(queue, way.dev.target, &read->rw, NULL), 4 * LEN);
		same(&way, read, n);
		CHECK_EQ(urx_target_flush(way.dev.target), 0);
		ask_free(write);
		ask_free(read);
	}
	urx_queue_close(queue);
	way_close(&way);
}

int main(void)
{
	struct sigaction action = { .sa_handler = note }; /* without SA_RESTART */
	struct itimerval often = { { 0, 700 }, { 0, 700 } };

	here = pthread_self();
	CHECK_EQ(sigaction(SIGPROF, &action, NULL), 0);
	CHECK_EQ(sigaction(SIGUSR1, &action, NULL), 0);
	CHECK_EQ(sigaction(SIGVTALRM, &action, NULL), 0);
	/* ITIMER_REAL is the watchdog's; a POSIX timer to the process takes its place. */
	{
		struct sigevent event = { .sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR1 };
		struct itimerspec time = { { 0, 700000 }, { 0, 700000 } };
		timer_t timer;

		CHECK_EQ(timer_create(CLOCK_MONOTONIC, &event, &timer), 0);
		CHECK_EQ(timer_settime(timer, 0, &time, NULL), 0);
	}
	CHECK_EQ(setitimer(ITIMER_PROF, &often, NULL), 0);
	for (unsigned p = 0; p < COUNT(all_paths); p++) {
		for (unsigned s = 0; s < COUNT(all_setups); s++)
			through(all_paths[p], all_setups[s]);
		at_once(all_paths[p]);
	}
	CHECK_EQ(elsewhere, 0);
	printf("%d signals\n", (int)signals);
	return 0;
}
