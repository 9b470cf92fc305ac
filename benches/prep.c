/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * What a prep call through the shared library costs, against the same bytes poked by hand.
 *
 *     prep                         CALL,OURS_NS,BY_HAND_NS a call: medians
 *     prep CALL ours|by-hand N     N times, for whoever counts instructions
 */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <time.h>

#include <linux/io_uring.h>

#include <liburing-ext.h>

#define COUNT(array) (sizeof(array) / sizeof(*(array)))
#define ROUNDS 101

enum { SQES = 64, FD = 5, OFFSET = 8192, INDEX = 3 };
static union {
	struct io_uring_sqe sqe;
	uint8_t bytes[64];
} ring[SQES];
static struct urx_attr_pi attr = { .flags = URX_CHECK_GUARD | URX_CHECK_REF, .len = 8 };
static uint8_t block[512];
static struct iovec iov = { block, sizeof(block) };

static void put(uint8_t *at, uint64_t value, size_t bytes)
{
	memcpy(at, &value, bytes);
}

/* Where include/uapi/linux/io_uring.h places an attribute. */
static void poke_attr(uint8_t *sqe)
{
	put(sqe + 48, (uintptr_t)&attr, 8);
	put(sqe + 56, 1, 8);
}

/* A whole SQE but for user_data. */
static void poke(uint8_t *sqe, uint8_t opcode, const void *addr, uint32_t len, uint16_t index)
{
	put(sqe, opcode, 4);
	put(sqe + 4, FD, 4);
	put(sqe + 8, OFFSET, 8);
	put(sqe + 16, (uintptr_t)addr, 8);
	put(sqe + 24, len, 8);
	put(sqe + 40, index, 8);
	poke_attr(sqe);
}

/* Each pair in a loop that the compiler can neither shorten nor look through. */
#define LOOP(name, statement)                                                                        \
	static void name(size_t times)                                                               \
	{                                                                                            \
		for (size_t i = 0; i < times; i++) {                                                 \
			struct io_uring_sqe *sqe = &ring[i % SQES].sqe;                              \
			uint8_t *bytes = (uint8_t *)sqe;                                             \
                                                                                                     \
			(void)bytes;                                                                 \
			statement;                                                                   \
			__asm__ volatile("" : : "r"(sqe) : "memory");                                \
		}                                                                                    \
	}
LOOP(write_ours, urx_prep_write_meta(sqe, FD, block, sizeof(block), OFFSET, &attr))
LOOP(write_hand, poke(bytes, IORING_OP_WRITE, block, sizeof(block), 0))
LOOP(read_ours, urx_prep_read_meta(sqe, FD, block, sizeof(block), OFFSET, &attr))
LOOP(read_hand, poke(bytes, IORING_OP_READ, block, sizeof(block), 0))
LOOP(writev_ours, urx_prep_writev_meta(sqe, FD, &iov, 1, OFFSET, &attr))
LOOP(writev_hand, poke(bytes, IORING_OP_WRITEV, &iov, 1, 0))
LOOP(fixed_ours, urx_prep_write_fixed_meta(sqe, FD, block, sizeof(block), OFFSET, INDEX, &attr))
LOOP(fixed_hand, poke(bytes, IORING_OP_WRITE_FIXED, block, sizeof(block), INDEX))
LOOP(attr_ours, urx_prep_rw_attr_pi(sqe, &attr))
LOOP(attr_hand, poke_attr(bytes))

static const struct call {
	const char *name;
	void (*way[2])(size_t times); /* ours, by hand */
} calls[] = {
	{ "urx_prep_write_meta", { write_ours, write_hand } },
	{ "urx_prep_read_meta", { read_ours, read_hand } },
	{ "urx_prep_writev_meta", { writev_ours, writev_hand } },
	{ "urx_prep_write_fixed_meta", { fixed_ours, fixed_hand } },
	{ "urx_prep_rw_attr_pi", { attr_ours, attr_hand } },
};

static double thread_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static int ascending(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static void same_bytes(const struct call *call)
{
	uint8_t mine[sizeof(ring[0])];

	memset(&ring[0], 0xa5, sizeof(ring[0]));
	call->way[0](1);
	memcpy(mine, &ring[0], sizeof(mine));
	memset(&ring[0], 0xa5, sizeof(ring[0]));
	call->way[1](1);
	if (memcmp(mine, &ring[0], sizeof(mine))) {
		fprintf(stderr, "benches/prep: %s: by hand makes another SQE\n", call->name);
		exit(1);
	}
}

static void measure(const struct call *call)
{
	static double ns[2][ROUNDS];
	const size_t times = 100000;

	for (int round = -1; round < ROUNDS; round++) {
		for (int k = 0; k < 2; k++) {
			int way = (round & 1) ^ k;
			double start;

			call->way[way](times / 8);
			start = thread_ns();
			call->way[way](times);
			if (round >= 0)
				ns[way][round] = (thread_ns() - start) / (double)times;
		}
	}
	for (int way = 0; way < 2; way++)
		qsort(ns[way], ROUNDS, sizeof(ns[way][0]), ascending);
	printf("%s,%.3f,%.3f\n", call->name, ns[0][ROUNDS / 2], ns[1][ROUNDS / 2]);
}

int main(int argc, char **argv)
{
	for (size_t i = 0; i < COUNT(calls); i++) {
		if (argc == 1) {
			same_bytes(&calls[i]);
			measure(&calls[i]);
		} else if (argc == 4 && !strcmp(argv[1], calls[i].name)) {
			calls[i].way[!strcmp(argv[2], "by-hand")](strtoul(argv[3], NULL, 0));
			return 0;
		}
	}
	return argc != 1;
}
