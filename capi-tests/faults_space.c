/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* No space, a limit of size, files cut short under us: the errno, and every block old or new. */
#include <sys/mount.h>
#include <sys/resource.h>
#include "urx_ladder.h"

#define LEN 4096u
#define MAKE (URX_TARGET_WRITE | URX_TARGET_CREATE_SIDE | URX_TARGET_BUFFERED)

static void way_of(struct way *way, struct urx_target *target)
{
	*way = (struct way){ .path = URX_PATH_SOFTWARE };
	CHECK(kind_of_ring(&way->dev.ring, 16, 0));
	way->dev.target = target;
	way_query(way);
	CHECK_EQ(urx_queue_open(&way->queue, URX_RING(&way->dev.ring), NULL), 0);
}

static void fails(struct way *way, uint32_t op, uint64_t block, uint32_t count, int want)
{
	struct ask *ask = ask_new(way, op, block, count, 999);
	struct seen seen[2];

	ask->rw.flags |= URX_RW_LINKED;
	ask_push(way, ask, IOSQE_IO_LINK, 0);
	push_nop(way, 0, 1);
	submit(way, 2);
	reap_all(way, 2, seen, NULL);
	CHECK_EQ(result(ask, &seen[0]), want);
	CHECK_EQ(res_of(&seen[1]), -ECANCELED);
	ask_free(ask);
}

/* A data file that may not grow so far; the side file has taken its space when it was made. */
static void size_limit(void)
{
	char name[] = "/tmp/urx-space-XXXXXX";
	struct rlimit was, few;
	struct urx_target *target;
	struct way way;

	doing("RLIMIT_FSIZE");
	signal(SIGXFSZ, SIG_IGN);
	empty_file(name, SIDE_BYTES);
	CHECK_EQ(side_open(&target, name, MAKE), 0);
	way_of(&way, target);
	put(&way, 0, 16, 1);
	CHECK_EQ(getrlimit(RLIMIT_FSIZE, &was), 0);
	few = was;
	few.rlim_cur = 8 << 20;
	CHECK_EQ(setrlimit(RLIMIT_FSIZE, &few), 0);
	put(&way, 2040, 8, 2);
	fails(&way, URX_OP_WRITE, 2048, 1, -EFBIG);
	fails(&way, URX_OP_WRITE, 2044, 8, -EFBIG); /* four of its blocks fit */
	put(&way, 100, 4, 3);
	few.rlim_cur = 6000; /* not even a record */
	CHECK_EQ(setrlimit(RLIMIT_FSIZE, &few), 0);
	fails(&way, URX_OP_WRITE, 1500, 1, -EFBIG);
	CHECK_EQ(setrlimit(RLIMIT_FSIZE, &was), 0);
	put(&way, 2048, 1, 4);
	holds(&way, 2048, 1, 4);
	holds(&way, 100, 4, 3);
	holds(&way, 0, 16, 1);
	way_close(&way);
	remove_side(name);
}

/* A file system of 64 KiB: no side file, or no data. */
static void full_disk(void)
{
	char name[] = "/tmp/urx-small/data", elsewhere[] = "/tmp/urx-side-XXXXXX", side[64];
	struct urx_pi_format format = { .size = sizeof(format), .interval = 4096, .meta_size = 8,
					.guard = URX_GUARD_T10DIF, .pi_type = 1 };
	struct urx_target_opts opts = { .size = sizeof(opts), .flags = MAKE, .side_path = side,
					.side_format = &format };
	struct urx_target *target;
	struct ask *ask;
	struct way way;
	unsigned written = 0;
	int fd, ret;

	doing("a full disk");
	CHECK(mkdir("/tmp/urx-small", 0700) == 0 || errno == EEXIST);
	if (mount("urx", "/tmp/urx-small", "tmpfs", 0, "size=64k")) {
		CHECK(!getenv("URX_VM"));
		rmdir("/tmp/urx-small");
		puts("no mount(2) here: a full disk was not tried");
		return;
	}
	fd = open(name, O_RDWR | O_CREAT, 0600);
	CHECK(fd >= 0);
	CHECK_EQ(ftruncate(fd, 256 << 20), 0);
	close(fd);
	/* Its records would take 840 KiB, beside the data. */
	snprintf(side, sizeof(side), "%s.side", name);
	CHECK_EQ(urx_target_open(&target, name, &opts), -ENOSPC);
	CHECK_EQ(access(side, F_OK), -1);
	CHECK_EQ(entries_of("/tmp/urx-small", NULL), 1);

	fd = mkstemp(elsewhere);
	close(fd);
	unlink(elsewhere);
	snprintf(side, sizeof(side), "%s", elsewhere);
	CHECK_EQ(urx_target_open(&target, name, &opts), 0);
	way_of(&way, target);
	for (;; written++) {
		ask = ask_new(&way, URX_OP_WRITE, written * 3, 2, written);
		ret = ask_run(&way, ask);
		ask_free(ask);
		if (ret != 2 * (int)LEN)
			break;
		CHECK(written < 100);
	}
	CHECK_EQ(ret, -ENOSPC);
	CHECK(written > 3);
	fails(&way, URX_OP_WRITE, 5000, 1, -ENOSPC);
	/* What did not fit was never written: it reads as zeros that no check looks at. */
	ask = ask_new(&way, URX_OP_READ, 5000, 1, 7);
	CHECK_EQ(ask_run(&way, ask), LEN);
	for (unsigned n = 0; n < LEN; n++)
		CHECK_EQ(ask->b.data[n], 0);
	for (unsigned n = 0; n < 8; n++)
		CHECK_EQ(ask->b.meta[n], 0xff);
	ask_free(ask);
	for (unsigned n = 0; n < written; n++)
		holds(&way, n * 3, 2, n);
	put(&way, 0, 2, 77);
	holds(&way, 0, 2, 77);
	way_close(&way);
	unlink(side);
	CHECK_EQ(umount2("/tmp/urx-small", MNT_DETACH), 0);
	rmdir("/tmp/urx-small");
}

/* Somebody else cuts a file while it is in use. */
static void cut(bool side_file)
{
	char name[] = "/tmp/urx-cut-XXXXXX", side[64];
	struct urx_target *target;
	struct way way;

	doing(side_file ? "a short side file" : "a short data file");
	empty_file(name, SIDE_BYTES);
	snprintf(side, sizeof(side), "%s.side", name);
	CHECK_EQ(side_open(&target, name, MAKE), 0);
	way_of(&way, target);
	put(&way, 0, 4, 1);
	put(&way, 3000, 4, 2);
	CHECK_EQ(truncate(side_file ? side : name, side_file ? 8192 : 1000 * LEN), 0);
	holds(&way, 0, 4, 1);
	fails(&way, URX_OP_READ, 3000, 4, -EIO);
	fails(&way, URX_OP_READ, 3000, 1, -EIO);
	if (!side_file)
		fails(&way, URX_OP_READ, 998, 4, -EIO);
	fails(&way, URX_OP_WRITE, 3000, 4, -EIO);
	put(&way, 4, 2, 3);
	holds(&way, 4, 2, 3);
	way_close(&way);
	/* Nobody is given such a pair anew. */
	CHECK_EQ(side_open(&target, name, URX_TARGET_WRITE | URX_TARGET_BUFFERED), side_file ? -ENODATA : -ESTALE);
	remove_side(name);
}

int main(void)
{
	doing_where = "software";
	size_limit();
	full_disk();
	cut(false);
	cut(true);
	return 0;
}
