/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * The device goes away under requests on every path: each of them ends, right or with an errno, and nothing hangs.
 * The controller is nobody else's (vm/lib/disks.sh).
 */
#include <stdatomic.h>
#include <sys/sysmacros.h>
#include "urx_ladder.h"

#define LEN 4096u
enum { DEPTH = 16 };

static atomic_int gone;

struct flyer {
	struct way way;
	pthread_t thread;
	atomic_uint good;
	unsigned bad;
	int errnos[8];
	unsigned counts[8];
};

static void count(struct flyer *f, int errno_)
{
	unsigned n = 0;

	while (f->errnos[n] && f->errnos[n] != errno_)
		CHECK(++n < COUNT(f->errnos));
	f->errnos[n] = errno_;
	f->counts[n]++;
}

/* Flies on until some requests have failed after the end. */
static void *fly(void *arg)
{
	struct flyer *f = arg;
	struct ask *asks[DEPTH];
	unsigned in_flight = DEPTH, failed_after = 0;

	for (unsigned n = 0; n < DEPTH; n++) {
		asks[n] = ask_new(&f->way, n % 2 ? URX_OP_READ : URX_OP_WRITE, 100 + n * 8, 8, n);
		if (n % 2)
			asks[n]->rw.tags.checks = 0;
		ask_push(&f->way, asks[n], 0, n);
	}
	submit(&f->way, DEPTH);
	while (in_flight) {
		struct seen seen = reap(&f->way);
		bool after = atomic_load(&gone);
		struct ask *ask;
		int ret;

		CHECK(seen.words[0] < DEPTH);
		ask = asks[seen.words[0]];
		in_flight--;
		ret = result(ask, &seen);
		if (ret < 0) {
			f->bad++;
			failed_after += after;
			count(f, -ret);
		} else {
			CHECK_EQ(ret, 8 * LEN);
			f->good++;
		}
		if (failed_after >= 2 * DEPTH)
			continue;
		ask_push(&f->way, ask, 0, seen.words[0]);
		submit(&f->way, 1);
		in_flight++;
		if (ret < 0)
			nap(1);
	}
	for (unsigned n = 0; n < DEPTH; n++)
		ask_free(asks[n]);
	return NULL;
}

/* Takes the PCI device of a namespace out. */
static void take_away(int fd)
{
	char path[128];
	struct stat st;
	int file;

	CHECK_EQ(fstat(fd, &st), 0);
	snprintf(path, sizeof(path), "/sys/dev/block/%u:%u/device/device/remove", major(st.st_rdev), minor(st.st_rdev));
	file = open(path, O_WRONLY);
	if (file < 0)
		FAIL("%s: %s", path, strerror(errno));
	CHECK_EQ(write(file, "1", 1), 1);
	close(file);
}

int main(void)
{
	static struct flyer flyers[3];
	unsigned n = 0;

	need_vm();
	doing("removed");
	way_node = "spare";
	if (access(node(way_node), F_OK))
		skip("the device was removed before");
	for (unsigned p = 0; p < COUNT(all_paths); p++)
		n += all_paths[p] != URX_PATH_SOFTWARE && way_open(&flyers[n].way, all_paths[p], 32, 0, NULL);
	doing_where = "all paths";
	CHECK(n >= 1);
	for (unsigned f = 0; f < n; f++)
		CHECK_EQ(pthread_create(&flyers[f].thread, NULL, fly, &flyers[f]), 0);
	for (unsigned f = 0; f < n; f++)
		while (atomic_load(&flyers[f].good) < 50)
			nap(1);
	take_away(flyers[0].way.dev.info.fd);
	atomic_store(&gone, 1);
	for (unsigned f = 0; f < n; f++) {
		struct flyer *one = &flyers[f];

		CHECK_EQ(pthread_join(one->thread, NULL), 0);
		printf("%s: %u good, %u failed:", urx_path_str(one->way.path),
		       atomic_load(&one->good), one->bad);
		for (unsigned e = 0; e < COUNT(one->errnos) && one->errnos[e]; e++) {
			printf(" %u times %s", one->counts[e], strerror(one->errnos[e]));
			/* 5.10 says so of an ioctl on a namespace that is half gone. */
			if (one->errnos[e] == EINVAL && kernel() < 6001 && one->way.path == URX_PATH_IOCTL)
				continue;
			/* A device without blocks, to a write by the block layer. */
			if (one->errnos[e] == ENOSPC && one->way.path == URX_PATH_ATTR)
				continue;
			CHECK(one->errnos[e] == EIO || one->errnos[e] == ENODEV || one->errnos[e] == ENXIO);
		}
		puts("");
		CHECK(one->bad);
	}
	for (unsigned f = 0; f < n; f++) {
		struct ask *ask = ask_new(&flyers[f].way, URX_OP_READ, 100, 8, 0);
		struct urx_target *target = flyers[f].way.dev.target;

		CHECK(ask_run(&flyers[f].way, ask) < 0);
		CHECK(urx_target_flush(target) <= 0);
		/* Learning it anew fails, or finds nothing that a request could be for. */
		if (!urx_target_refresh(target))
			CHECK(urx_plan(flyers[f].way.queue, target, &ask->rw, &ask->io) < 0);
		ask_free(ask);
	}
	for (unsigned f = 0; f < n; f++)
		way_close(&flyers[f].way);
	return 0;
}
