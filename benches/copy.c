/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Copies timed against each other, and a copy by hand with io_uring that knows nothing of protection information.
 *
 *     copy race WHAT ROUNDS COMMAND COMMAND COMMAND   the first against the others, run by the shell in turns:
 *                                                    what,ours_ms,dd_ms,dd_ratio,by_hand_ms,by_hand_ratio
 *     copy plain SOURCE DESTINATION [direct]          32 requests of 128 KiB in flight
 */
#include <fcntl.h>
#include <liburing.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { DEPTH = 32, CHUNK = 128 << 10, MOST_ROUNDS = 101, RACERS = 3 };

static void die(const char *what)
{
	perror(what);
	exit(1);
}

/* ------------------------------------------------------------------ by hand */

struct chunk {
	void *data;
	off_t offset;
	unsigned len;
	bool writing;
};

static void submit(struct io_uring *ring, struct chunk *c, int from, int to)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(ring);

	if (c->writing)
		io_uring_prep_write(sqe, to, c->data, c->len, (__u64)c->offset);
	else
		io_uring_prep_read(sqe, from, c->data, c->len, (__u64)c->offset);
	io_uring_sqe_set_data(sqe, c);
}

static int plain(const char *source, const char *destination, int flags)
{
	int from = open(source, O_RDONLY | flags), to = open(destination, O_WRONLY | O_CREAT | flags, 0600);
	struct chunk chunks[DEPTH] = { 0 };
	struct io_uring_cqe *cqe;
	struct io_uring ring;
	unsigned in_flight = 0;
	off_t next = 0, size;

	if (from < 0 || to < 0)
		die(from < 0 ? source : destination);
	size = lseek(from, 0, SEEK_END);
	if (io_uring_queue_init(DEPTH, &ring, 0))
		die("ring");
	for (int i = 0; i < DEPTH && next < size; i++) {
		struct chunk *c = &chunks[i];

		c->data = aligned_alloc(4096, CHUNK);
		c->offset = next;
		c->len = size - next < CHUNK ? (unsigned)(size - next) : CHUNK;
		next += c->len;
		submit(&ring, c, from, to);
		in_flight++;
	}
	while (in_flight) {
		io_uring_submit(&ring);
		if (io_uring_wait_cqe(&ring, &cqe))
			continue;
		do {
			struct chunk *c = io_uring_cqe_get_data(cqe);

			if (cqe->res != (int)c->len)
				die("request");
			io_uring_cqe_seen(&ring, cqe);
			c->writing = !c->writing;
			if (!c->writing) {
				c->offset = next;
				c->len = size - next < CHUNK ? (unsigned)(size - next) : CHUNK;
				next += c->len;
			}
			if (c->len)
				submit(&ring, c, from, to);
			else
				in_flight--;
		} while (!io_uring_peek_cqe(&ring, &cqe));
	}
	return 0;
}

/* ------------------------------------------------------------------ race */

static double run(const char *command)
{
	struct timespec then, now;
	int status;

	clock_gettime(CLOCK_MONOTONIC, &then);
	status = system(command);
	clock_gettime(CLOCK_MONOTONIC, &now);
	if (status) {
		fprintf(stderr, "%s: status %#x\n", command, (unsigned)status);
		exit(1);
	}
	return (double)(now.tv_sec - then.tv_sec) * 1e3 + (double)(now.tv_nsec - then.tv_nsec) / 1e6;
}

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static double median(double *values, int n)
{
	qsort(values, (size_t)n, sizeof(*values), by_value);
	return values[n / 2];
}

static int race(const char *what, int rounds, char **commands)
{
	static double times[RACERS][MOST_ROUNDS], ratios[RACERS][MOST_ROUNDS];

	for (int racer = 0; racer < RACERS; racer++)
		run(commands[racer]); /* files are there from here on */
	for (int round = 0; round < rounds; round++) {
		for (int n = 0; n < RACERS; n++) {
			int racer = (round + n) % RACERS;

			times[racer][round] = run(commands[racer]);
		}
		for (int racer = 1; racer < RACERS; racer++)
			ratios[racer][round] = times[racer][round] / times[0][round];
	}
	printf("%s,%.1f", what, median(times[0], rounds));
	for (int racer = 1; racer < RACERS; racer++)
		printf(",%.1f,%.2f", median(times[racer], rounds), median(ratios[racer], rounds));
	printf("\n");
	return 0;
}

int main(int argc, char **argv)
{
	if (argc == 4 + RACERS && !strcmp(argv[1], "race")) {
		int rounds = atoi(argv[3]);

		return race(argv[2], rounds < 1 ? 1 : rounds > MOST_ROUNDS ? MOST_ROUNDS : rounds, argv + 4);
	}
	if (argc >= 4 && !strcmp(argv[1], "plain"))
		return plain(argv[2], argv[3], argc > 4 ? O_DIRECT : 0);
	fprintf(stderr, "usage: copy race WHAT ROUNDS OURS DD BY-HAND | copy plain SOURCE DESTINATION [direct]\n");
	return 2;
}
