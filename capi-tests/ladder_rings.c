/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Each kind of ring: the path that a request takes there, or why none; what others would have carried on it. A
 * ring that polls never gets a PI attribute, and where entries have two sizes each request has its own.
 */
#include "urx_test.h"

#include <sys/mman.h>

enum { AT = 500, BLOCKS = 3, ROUNDS = 40, FEAT_RECVSEND_BUNDLE = 1 << 14 /* 6.10 */ };
enum { A = URX_PATH_ATTR, U = URX_PATH_URING_CMD, I = URX_PATH_IOCTL, S = URX_PATH_SOFTWARE };

static const struct kind {
	const char *name;
	unsigned flags;
	int since; /* kernel that has such rings: 6001 is 6.1 */
	uint32_t paths; /* what such a ring can carry, on some kernel */
} kinds[] = {
	{ "plain", 0, 0, A | I | S },
	{ "SQPOLL", RING_SQPOLL, 0, A | I | S },
	{ "SINGLE_ISSUER, DEFER_TASKRUN", RING_DEFER, 6001, A | I | S },
	{ "SQE128", 1u << 10, 5019, A | I | S },
	{ "CQE32", 1u << 11, 5019, A | I | S },
	{ "SQE128, CQE32", RING_BIG, 5019, A | U | I | S },
	{ "SQE128, CQE32, SQPOLL", RING_BIG | RING_SQPOLL, 5019, A | U | I | S },
	{ "SQE128, CQE32, DEFER_TASKRUN", RING_BIG | RING_DEFER, 6001, A | U | I | S },
	{ "SQE_MIXED, CQE_MIXED", RING_MIXED, 6019, A | U | I | S },
	{ "SQE_MIXED, CQE_MIXED, DEFER_TASKRUN", RING_MIXED | RING_DEFER, 6019, A | U | I | S },
	{ "IOPOLL", RING_IOPOLL, 0, 0 },
	{ "IOPOLL, SQE128, CQE32", RING_IOPOLL | RING_BIG, 6001, U },
	{ "IOPOLL, SQE_MIXED, CQE_MIXED", RING_IOPOLL | RING_MIXED, 6019, U },
};

static const struct urx_pi_format layout = { .size = sizeof(layout), .interval = 4096, .meta_size = 8,
					     .guard = URX_GUARD_T10DIF, .pi_type = 1 };
static uint8_t *data, *meta, *want_data, *want_meta;
static unsigned done;

/* A sentence for each path that is not in the set, none of which is taken. */
static void refused(struct ladder *l, struct urx_target *target, const struct urx_rw *rw, uint32_t paths,
		    const char *kind)
{
	for (unsigned n = 0; n < COUNT(all_paths); n++) {
		struct urx_rw only = *rw;
		const char *why;
		bool wanted = paths & all_paths[n];

		if (ladder_carries(l, target, rw, all_paths[n], &why) != wanted)
			FAIL("%s: %s: \"%s\"", kind, urx_path_str(all_paths[n]), why);
		only.allow = all_paths[n];
		if (!wanted)
			CHECK_EQ(ladder_run(l, target, &only, NULL), -EOPNOTSUPP);
	}
}

/* Writes and reads, over one path, or the best if `path` is 0; `expected` is which one that is. */
static void both(struct ladder *l, struct urx_target *target, uint32_t path, uint32_t expected, unsigned round)
{
	struct urx_tags tags = { .checks = 7, .app = (uint16_t)round, .ref = AT };
	struct urx_rw rw = { .size = sizeof(rw), .op = URX_OP_WRITE, .data = data, .meta = meta, .allow = path,
			     .data_len = BLOCKS * 4096, .meta_len = BLOCKS * 8, .offset = AT * 4096, .tags = tags };
	struct urx_result result;

	fill(data, BLOCKS * 4096, round);
	for (unsigned n = 0; n < BLOCKS; n++)
		oracle_block(&layout, &tags, n, data + n * 4096, meta + n * 8, meta + n * 8);
	memcpy(want_data, data, BLOCKS * 4096);
	memcpy(want_meta, meta, BLOCKS * 8);
	CHECK_EQ(ladder_run(l, target, &rw, &result), BLOCKS * 4096);
	CHECK_EQ(result.path, expected);
	memset(data, 1, BLOCKS * 4096);
	memset(meta, 1, BLOCKS * 8);
	rw.op = URX_OP_READ;
	CHECK_EQ(ladder_run(l, target, &rw, &result), BLOCKS * 4096);
	CHECK_EQ(result.path, expected);
	CHECK_BYTES(data, want_data, BLOCKS * 4096, "data");
	CHECK_BYTES(meta, want_meta, BLOCKS * 8, "metadata");
	rw.tags.app ^= 1;
	CHECK_EQ(ladder_run(l, target, &rw, &result), -EILSEQ);
	done++;
}

/* Something of 64 bytes, so that large entries begin anywhere in the ring, also in its last slot. */
static void small(struct ladder *l)
{
	uint64_t cqe[4];
	struct io_uring_sqe *sqe = ladder_sqe(l, 64);

	io_uring_prep_nop(sqe);
	sqe->user_data = 7;
	CHECK(io_uring_submit(&l->ring) > 0);
	ladder_reap(l, cqe);
	CHECK_EQ(cqe[0], 7);
	CHECK_EQ((int)cqe[1], 0);
}

/* A command that the kernel refuses before its driver sees it has a CQE of 16 bytes, also on a ring of both sizes. */
static void refused_early(struct ladder *l, struct urx_target *target, const struct urx_rw *read)
{
	uint8_t *page = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct io_uring_cqe *cqe = (struct io_uring_cqe *)(page + 4096 - 16);
	struct urx_result result = { .size = sizeof(result) };
	struct urx_rw rw = *read;
	struct urx_io io;

	CHECK(page != MAP_FAILED);
	CHECK_EQ(mprotect(page + 4096, 4096, PROT_NONE), 0);
	rw.allow = U;
	CHECK_EQ(urx_plan(l->queue, target, &rw, &io), 0);
	cqe->res = -EINVAL;
	CHECK_EQ(urx_io_result(&io, cqe, &result), -EINVAL);
	CHECK_EQ(result.path, U);
	munmap(page, 8192);
}

static void ring(const struct kind *kind, struct urx_target *target, uint32_t target_paths)
{
	struct urx_rw rw = { .size = sizeof(rw), .op = URX_OP_READ, .data = data, .meta = meta,
			     .data_len = BLOCKS * 4096, .meta_len = BLOCKS * 8, .offset = AT * 4096,
			     .tags = { .checks = 7, .ref = AT } };
	struct urx_rw flush = { .size = sizeof(flush), .op = URX_OP_FLUSH };
	uint32_t paths = target_paths & kind->paths, best;
	struct ladder l;
	bool exists = ladder_open(&l, kind->flags);

	if (getenv("URX_VM"))
		CHECK_EQ(exists, kernel() >= kind->since);
	if (!exists)
		return;
	if (!(l.ring.features & URX_FEAT_RW_ATTR))
		paths &= ~(uint32_t)A;
	best = paths & -paths;
	refused(&l, target, &rw, paths, kind->name);
	printf("%s: %s\n", kind->name, best ? urx_path_str(best) : "no path");
	if (!best) {
		CHECK_EQ(ladder_run(&l, target, &rw, NULL), -EOPNOTSUPP);
	} else {
		struct urx_result result;

		both(&l, target, 0, best, 1);
		if (paths & U)
			refused_early(&l, target, &rw);
		/* Kernels before 6.5 crash now and then when they poll for what has no data. */
		if (kind->flags & RING_IOPOLL && !(l.ring.features & FEAT_RECVSEND_BUNDLE)) {
			CHECK_EQ(ladder_run(&l, target, &flush, &result), -EOPNOTSUPP);
		} else {
			CHECK_EQ(ladder_run(&l, target, &flush, &result), 0);
			CHECK_EQ(result.path, best);
		}
		for (unsigned round = 2; round < ROUNDS; round++) {
			uint32_t path = all_paths[round % 4];

			if (paths & path)
				both(&l, target, path, path, round);
			if (!(kind->flags & RING_IOPOLL) && round % 3 == 0)
				small(&l);
		}
	}
	ladder_close(&l);
}

int main(void)
{
	struct urx_target_opts opts = { .size = sizeof(opts), .flags = URX_TARGET_WRITE };
	struct urx_target *target, *file = side_target(NULL, 1024 * 4096, &layout);

	data = pages(BLOCKS * 4096), want_data = pages(BLOCKS * 4096);
	meta = pages(BLOCKS * 8), want_meta = pages(BLOCKS * 8);
	for (unsigned n = 0; n < COUNT(kinds); n++)
		ring(&kinds[n], file, S);
	urx_target_close(file);
	if (getenv("URX_VM")) {
		FILE *queues = fopen("/sys/module/nvme/parameters/poll_queues", "r");
		int number = 0;

		CHECK(queues && fscanf(queues, "%d", &number) == 1 && number > 0); /* rings can poll */
		fclose(queues);
		CHECK_EQ(urx_target_open(&target, node("pi4k"), &opts), 0);
		for (unsigned n = 0; n < COUNT(kinds); n++)
			ring(&kinds[n], target, A | U | I);
		urx_target_close(target);
	}
	printf("%u writes and reads\n", done);
	return 0;
}
