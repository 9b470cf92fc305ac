/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* See progress.h. */
#include <stdbool.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "progress.h"

#define WIDTH 30 /* of the bar */
#define PATIENCE 0.5 /* seconds before the first one */
#define PAUSE 0.1 /* between two */

static struct {
	const char *what;
	uint64_t total;
	double started, next;
	bool on, shown;
} bar;

static double now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

void progress_start(const char *what, uint64_t total)
{
	bar.what = what;
	bar.total = total;
	bar.on = isatty(STDERR_FILENO);
	if (!bar.on)
		return;
	bar.started = now();
	bar.next = bar.started + PATIENCE;
}

static void draw(uint64_t done, double seconds)
{
	double mib = (double)done / 1048576, rate = seconds > 0 ? mib / seconds : 0;

	fprintf(stderr, "\r%s ", bar.what);
	if (bar.total) {
		double part = (double)done / (double)bar.total;
		int full = (int)(part * WIDTH);

		fputc('[', stderr);
		for (int n = 0; n < WIDTH; n++)
			fputc(n < full ? '#' : '.', stderr);
		fprintf(stderr, "] %3.0f %%, ", part * 100);
	}
	fprintf(stderr, "%.0f MiB, %.0f MiB/s", mib, rate);
	if (bar.total && done)
		fprintf(stderr, ", %.0f s left", seconds * (double)(bar.total - done) / (double)done);
	fputs("\33[K", stderr);
}

void progress_at(uint64_t done)
{
	double time;

	if (!bar.on)
		return;
	time = now();
	if (time < bar.next)
		return;
	bar.next = time + PAUSE;
	fflush(stdout);
	draw(done, time - bar.started);
	bar.shown = true;
}

void progress_hide(void)
{
	if (!bar.shown)
		return;
	fputs("\r\33[K", stderr);
	bar.shown = false;
}
