/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* What was wrong with a refused read: read again, over every path, block, LBA, check and both values told. */
#include "urx_test.h"

enum { BLOCKS = 6, AT = 40, BAD = 4, APP = 0x1234, OTHER_APP = 0x9876 };

static const struct format {
	const char *label;
	unsigned guard, type, interval, meta, last, start, paths;
} formats[] = {
	{ "pi512", URX_GUARD_T10DIF, 1, 512, 8, 0, 0, 15 },
	{ "type2", URX_GUARD_T10DIF, 2, 4096, 8, 0, 0, 15 },
	{ "type3", URX_GUARD_T10DIF, 3, 4096, 8, 0, 0, 15 },
	{ "pi64", URX_GUARD_CRC64, 1, 4096, 16, 0, 0, 15 },
	{ "ms64last", URX_GUARD_T10DIF, 1, 4096, 64, 1, 0, 15 },
	{ "ext4k", URX_GUARD_T10DIF, 1, 4096, 8, 0, 0, URX_PATH_IOCTL | URX_PATH_SOFTWARE },
	{ "part1", URX_GUARD_T10DIF, 1, 4096, 8, 0, 17, 7 },
};

static const struct format *now;
static struct urx_pi_format layout;
static struct ladder ladder;
static uint8_t data[BLOCKS * 4096] __attribute__((aligned(4096))), again[sizeof(data)] __attribute__((aligned(4096)));
static uint8_t meta[BLOCKS * 64] __attribute__((aligned(4096))), kept[sizeof(meta)];
static unsigned diagnosed;

static uint8_t *tuple(unsigned block)
{
	return meta + block * now->meta + layout.pi_offset;
}

/* Blocks with right tuples that count from `ref`. */
static void make(uint64_t ref)
{
	struct urx_tags tags = { .app = APP, .ref = ref };

	fill(data, BLOCKS * now->interval, 7);
	fill(meta, BLOCKS * now->meta, 8);
	for (unsigned n = 0; n < BLOCKS; n++)
		oracle_block(&layout, &tags, n, data + n * now->interval, meta + n * now->meta, tuple(n));
}

static struct urx_rw request(uint32_t op, uint32_t path, uint64_t ref)
{
	return (struct urx_rw){ .size = sizeof(struct urx_rw), .op = op, .data = data, .meta = meta, .allow = path,
				.data_len = BLOCKS * now->interval, .meta_len = BLOCKS * now->meta,
				.offset = (uint64_t)AT * now->interval,
				.tags = { .app = APP, .ref = ref, .checks = op == URX_OP_READ ? layout.checks : 0 } };
}

/* One kind of damage on one path: `queue` may be NULL, `ref` is what the request counts from. */
static void one(struct urx_target *target, uint32_t setup, uint32_t path, const struct urx_queue *queue, uint32_t check,
		uint64_t ref)
{
	struct urx_rw write = request(URX_OP_WRITE, setup, now->type == 3 ? ref : now->start + AT);
	struct urx_rw read = request(URX_OP_READ, path, ref);
	struct urx_result result = { .size = sizeof(result) };
	unsigned guard = guard_bits(now->guard) / 8;
	uint64_t expected, actual;

	make(write.tags.ref);
	if (check == URX_CHECK_GUARD) {
		actual = 0;
		for (unsigned n = 0; n < guard; n++)
			actual = actual << 8 | tuple(BAD)[n];
		data[BAD * now->interval + 9] ^= 0x40;
		memcpy(again, data + BAD * now->interval, now->interval);
		memcpy(again + now->interval, meta + BAD * now->meta, layout.pi_offset);
		expected = oracle_guard(now->guard, again, now->interval + layout.pi_offset);
	} else if (check == URX_CHECK_APP) {
		expected = APP, actual = OTHER_APP;
		tuple(BAD)[guard] = OTHER_APP >> 8, tuple(BAD)[guard + 1] = OTHER_APP & 0xff;
	} else {
		expected = ref + BAD, actual = 0;
		for (unsigned n = guard + 2; n < tuple_bytes(now->guard); n++)
			tuple(BAD)[n] = 0x77, actual = actual << 8 | 0x77;
	}
	/* A later block is wrong, too; the first counts. */
	data[(BAD + 1) * now->interval] ^= 1;
	CHECK_EQ(ladder_run(&ladder, target, &write, NULL), write.data_len);
	CHECK_EQ(ladder_run(&ladder, target, &read, NULL), -EILSEQ);

	fill(data, sizeof(data), 70), fill(meta, sizeof(meta), 71);
	memcpy(again, data, sizeof(data)), memcpy(kept, meta, sizeof(meta));
	CHECK_EQ(urx_diagnose(queue, target, &read, &result), 0);
	CHECK_EQ(result.res, -EILSEQ);
	CHECK_EQ(result.path, path);
	CHECK_EQ(result.pi.check, check);
	CHECK_EQ(result.pi.flags, URX_ERROR_BLOCK | URX_ERROR_VALUES);
	CHECK_EQ(result.pi.block, BAD);
	CHECK_EQ(result.pi.lba, now->start + AT + BAD);
	CHECK_EQ(result.pi.expected, expected);
	CHECK_EQ(result.pi.actual, actual);
	/* In memory of its own. */
	CHECK_BYTES(data, again, sizeof(data), "data");
	CHECK_BYTES(meta, kept, sizeof(meta), "metadata");

	/* What is right again is not found. */
	make(write.tags.ref);
	CHECK_EQ(ladder_run(&ladder, target, &write, NULL), write.data_len);
	CHECK_EQ(urx_diagnose(queue, target, &read, &result), -EAGAIN);
	CHECK_EQ(ladder_run(&ladder, target, &read, NULL), read.data_len);
	diagnosed++;
}

static void all(struct urx_target *target, uint32_t setup, uint32_t paths)
{
	struct urx_result result = { .size = sizeof(result) };
	struct urx_rw rw;

	for (unsigned n = 0; n < COUNT(all_paths); n++) {
		uint32_t path = all_paths[n];
		uint64_t lba = now->start + AT, ref = now->type == 3 ? 0x55 : lba;

		if (!(paths & path))
			continue;
		one(target, setup, path, NULL, URX_CHECK_GUARD, ref);
		one(target, setup, path, ladder.queue, URX_CHECK_APP, ref);
		if (now->type == 3)
			continue;
		one(target, setup, path, NULL, URX_CHECK_REF, lba);
		one(target, setup, path, NULL, URX_CHECK_REF, 1000000);
		one(target, setup, path, ladder.queue, URX_CHECK_GUARD, 1000000);
	}
	rw = request(URX_OP_WRITE, setup, 0);
	CHECK_EQ(urx_diagnose(NULL, target, &rw, &result), -EINVAL);
	rw = request(URX_OP_READ, setup, 0), rw.offset = UINT64_MAX / 65536 * 65536;
	CHECK_EQ(urx_diagnose(NULL, target, &rw, &result), -ERANGE);
	rw = request(URX_OP_READ, setup == URX_PATH_SOFTWARE ? URX_PATH_ATTR : URX_PATH_SOFTWARE, 0);
	CHECK_EQ(urx_diagnose(NULL, target, &rw, &result), -EOPNOTSUPP);
	urx_target_close(target);
}

int main(void)
{
	uint32_t kernel_paths = URX_PATH_IOCTL;

	ladder_best(&ladder);
	if (ladder.ring.features & URX_FEAT_RW_ATTR)
		kernel_paths |= URX_PATH_ATTR;
	if (ladder.ring.flags & IORING_SETUP_SQE128)
		kernel_paths |= URX_PATH_URING_CMD;
	for (unsigned n = 0; n < COUNT(formats); n++) {
		struct urx_target_opts opts = { .size = sizeof(opts), .flags = URX_TARGET_WRITE };
		struct urx_target *target;

		now = &formats[n];
		layout = format_of(now->guard, now->type, now->interval, now->meta, now->last);
		layout.checks = now->type == 3 ? URX_CHECK_GUARD | URX_CHECK_APP
					       : URX_CHECK_GUARD | URX_CHECK_REF | URX_CHECK_APP;
		if (getenv("URX_VM")) {
			CHECK_EQ(urx_target_open(&target, node(now->label), &opts), 0);
			all(target, URX_PATH_IOCTL, kernel_paths & now->paths);
		}
		if (now->paths & URX_PATH_SOFTWARE)
			all(side_target(NULL, (uint64_t)256 * now->interval, &layout), URX_PATH_SOFTWARE,
			    URX_PATH_SOFTWARE);
	}
	ladder_close(&ladder);
	printf("%u failed checks found\n", diagnosed);
	return 0;
}
