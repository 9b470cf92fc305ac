/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * What one path wrote all others read, with every check; so do and can the kernel's plain reads and writes, which
 * make and check protection information by themselves. What a side file keeps is there after opening again.
 */
#include "urx_test.h"

enum { BLOCKS = 12, APP = 0x4711 };

static const struct format {
	const char *label;
	unsigned guard, type, interval, meta, last, start, paths;
	bool plain; /* every kernel makes and checks its tuples, or has the device do it */
} formats[] = {
	{ "pi512", URX_GUARD_T10DIF, 1, 512, 8, 0, 0, 7, true },
	{ "pi4k", URX_GUARD_T10DIF, 1, 4096, 8, 0, 0, 7, true },
	{ "type2", URX_GUARD_T10DIF, 2, 4096, 8, 0, 0, 7, true },
	{ "type3", URX_GUARD_T10DIF, 3, 4096, 8, 0, 0, 7, true },
	{ "pi64", URX_GUARD_CRC64, 1, 4096, 16, 0, 0, 7, false },
	{ "ms64first", URX_GUARD_T10DIF, 1, 4096, 64, 0, 0, 7, false },
	{ "ms64last", URX_GUARD_T10DIF, 1, 4096, 64, 1, 0, 7, false },
	{ "ext4k", URX_GUARD_T10DIF, 1, 4096, 8, 0, 0, 6, true },
	{ "part1", URX_GUARD_T10DIF, 1, 4096, 8, 0, 17, 7, true },
};

static const struct format *now;
static struct urx_pi_format layout;
static struct ladder ladder;
static uint8_t *data, *meta, *want_data, *want_meta;
static unsigned pairs;

/* What is to be written at a block, and what is to be read there: blocks that count from `ref`. */
static void make(uint8_t *d, uint8_t *m, uint64_t seed, uint16_t app, uint64_t ref)
{
	struct urx_tags tags = { .app = app, .ref = ref };

	fill(d, (size_t)BLOCKS * now->interval, seed);
	fill(m, (size_t)BLOCKS * now->meta, seed + 1);
	for (unsigned n = 0; n < BLOCKS; n++)
		oracle_block(&layout, &tags, n, d + n * now->interval, m + n * now->meta,
			     m + n * now->meta + layout.pi_offset);
}

/* A request of all blocks at `at`. On URING_CMD a format that interleaves has both in `data`. */
static struct urx_rw request(uint32_t op, uint32_t path, unsigned at, uint16_t app, uint64_t ref)
{
	struct urx_rw rw = { .size = sizeof(rw), .op = op, .allow = path, .data = data, .meta = meta,
			     .data_len = BLOCKS * now->interval, .meta_len = BLOCKS * now->meta,
			     .offset = (uint64_t)at * now->interval,
			     .tags = { .checks = layout.checks, .app = app, .ref = ref } };

	if (path == URX_PATH_URING_CMD && !strcmp(now->label, "ext4k"))
		rw.meta = NULL, rw.meta_len = 0, rw.data_len += BLOCKS * now->meta;
	return rw;
}

static void write_by(struct urx_target *target, uint32_t path, unsigned at, uint64_t seed, uint16_t app, uint64_t ref)
{
	struct urx_rw rw = request(URX_OP_WRITE, path, at, app, ref);

	make(data, meta, seed, app, ref);
	for (unsigned n = BLOCKS; n-- > 0 && !rw.meta;) {
		uint8_t *block = data + n * (now->interval + now->meta);

		memmove(block, data + n * now->interval, now->interval);
		memcpy(block + now->interval, meta + n * now->meta, now->meta);
	}
	CHECK_EQ(ladder_run(&ladder, target, &rw, NULL), rw.data_len);
}

/* Reads and compares what `want_data` and `want_meta` hold. */
static void read_by(struct urx_target *target, uint32_t path, unsigned at, uint16_t app, uint64_t ref, bool opaque)
{
	struct urx_rw rw = request(URX_OP_READ, path, at, app, ref);
	char context[64];
	int ret;

	snprintf(context, sizeof(context), "%s by %s", now->label, urx_path_str(path));
	memset(data, 0xdd, (size_t)BLOCKS * (now->interval + now->meta));
	memset(meta, 0xcc, (size_t)BLOCKS * now->meta);
	ret = ladder_run(&ladder, target, &rw, NULL);
	if (ret != (int)rw.data_len)
		FAIL("%s: %d", context, ret);
	for (unsigned n = 0; n < BLOCKS && !rw.meta; n++) {
		const uint8_t *block = data + n * (now->interval + now->meta);

		memcpy(meta + n * now->meta, block + now->interval, now->meta);
		memmove(data + n * now->interval, block, now->interval);
	}
	CHECK_BYTES(data, want_data, BLOCKS * now->interval, context);
	if (!opaque)
		CHECK_BYTES(meta, want_meta, BLOCKS * now->meta, context);
	pairs++;
}

/* By the kernel alone. */
static void plain(uint32_t op, unsigned at)
{
	size_t len = (size_t)BLOCKS * now->interval;
	int fd = open_node(now->label, O_RDWR | O_DIRECT);
	ssize_t done = op == URX_OP_READ ? pread(fd, data, len, (off_t)at * now->interval)
					 : pwrite(fd, data, len, (off_t)at * now->interval);

	CHECK_EQ(done, len);
	close(fd);
	pairs++;
}

static void devices(uint32_t paths)
{
	struct urx_target_opts opts = { .size = sizeof(opts), .flags = URX_TARGET_WRITE };
	struct urx_target *target;
	uint64_t at = 100, seed = 5;

	CHECK_EQ(urx_target_open(&target, node(now->label), &opts), 0);
	for (unsigned w = 0; w < 4; w++, at += BLOCKS, seed += 10) {
		uint32_t writer = w < 3 ? all_paths[w] : 0;
		uint64_t lba = now->start + at;

		if (writer && !(paths & writer))
			continue;
		if (!writer && !now->plain)
			continue;
		/* The kernel's own application tag is 0; of type 3 it leaves the reference tag alone. */
		if (writer) {
			write_by(target, writer, (unsigned)at, seed, APP, lba);
		} else {
			fill(data, (size_t)BLOCKS * now->interval, seed);
			plain(URX_OP_WRITE, (unsigned)at);
		}
		for (unsigned r = 0; r < 3; r++) {
			/* Tags as the device has them, and as somebody else counts them. */
			if (!(paths & all_paths[r]))
				continue;
			make(want_data, want_meta, seed, writer ? APP : 0, lba);
			read_by(target, all_paths[r], (unsigned)at, writer ? APP : 0, lba,
				!writer && now->type == 3);
			if (now->type == 3)
				continue;
			make(want_data, want_meta, seed, writer ? APP : 0, 77);
			read_by(target, all_paths[r], (unsigned)at, writer ? APP : 0, 77, false);
		}
		if (!now->plain)
			continue;
		fill(want_data, (size_t)BLOCKS * now->interval, seed);
		plain(URX_OP_READ, (unsigned)at);
		CHECK_BYTES(data, want_data, BLOCKS * now->interval, "plain read");
	}
	urx_target_close(target);
}

/* A data file and its side file, opened anew for each step. */
static void side_files(void)
{
	char file[160], side[160];
	struct urx_target_opts opts = { .size = sizeof(opts), .side_path = side, .side_format = &layout,
					.flags = URX_TARGET_WRITE | URX_TARGET_CREATE_SIDE };
	struct urx_target *target;
	struct urx_tags tags = { .app = APP };
	int fd;

	snprintf(file, sizeof(file), "%s", scratch("data"));
	snprintf(side, sizeof(side), "%s", scratch("side"));
	fd = open(file, O_RDWR | O_CREAT | O_TRUNC, 0600);
	CHECK(fd >= 0);
	CHECK_EQ(ftruncate(fd, 64 * now->interval), 0);

	CHECK_EQ(urx_target_open(&target, file, &opts), 0);
	write_by(target, URX_PATH_SOFTWARE, 7, 1, APP, 1000);
	write_by(target, URX_PATH_SOFTWARE, 30, 2, APP, 30);
	urx_target_close(target);

	CHECK_EQ(pread(fd, data, BLOCKS * now->interval, 7 * now->interval), BLOCKS * now->interval);
	fill(want_data, (size_t)BLOCKS * now->interval, 1);
	CHECK_BYTES(data, want_data, BLOCKS * now->interval, "data file");

	opts.flags = 0, opts.side_format = NULL;
	CHECK_EQ(urx_target_open(&target, file, &opts), 0);
	make(want_data, want_meta, 1, APP, now->type == 3 ? 1000 : 5);
	read_by(target, URX_PATH_SOFTWARE, 7, APP, now->type == 3 ? 1000 : 5, false);
	make(want_data, want_meta, 2, APP, 30);
	read_by(target, URX_PATH_SOFTWARE, 30, APP, 30, false);
	urx_target_close(target);

	/* Changed behind its back: found; adopted: right. */
	fill(data, (size_t)BLOCKS * now->interval, 3);
	CHECK_EQ(pwrite(fd, data, BLOCKS * now->interval, 7 * now->interval), BLOCKS * now->interval);
	opts.flags = URX_TARGET_WRITE;
	CHECK_EQ(urx_target_open(&target, file, &opts), 0);
	{
		struct urx_rw rw = request(URX_OP_READ, URX_PATH_SOFTWARE, 7, APP, 5);

		CHECK_EQ(ladder_run(&ladder, target, &rw, NULL), -EILSEQ);
	}
	CHECK_EQ(urx_target_adopt(target, &tags), 0);
	urx_target_close(target);
	CHECK_EQ(urx_target_open(&target, file, &opts), 0);
	make(want_data, want_meta, 3, APP, now->type == 3 ? 0 : 5);
	read_by(target, URX_PATH_SOFTWARE, 7, APP, 5, layout.meta_size > layout.pi_size || now->type == 3);
	urx_target_close(target);
	close(fd);
	unlink(file);
	unlink(side);
}

int main(void)
{
	uint32_t kernel_paths = URX_PATH_IOCTL;

	ladder_best(&ladder);
	if (ladder.ring.features & URX_FEAT_RW_ATTR)
		kernel_paths |= URX_PATH_ATTR;
	if (ladder.ring.flags & IORING_SETUP_SQE128)
		kernel_paths |= URX_PATH_URING_CMD;
	data = pages((size_t)BLOCKS * (4096 + 64)), want_data = pages((size_t)BLOCKS * 4096);
	meta = pages(BLOCKS * 64), want_meta = pages(BLOCKS * 64);
	for (unsigned n = 0; n < COUNT(formats); n++) {
		now = &formats[n];
		layout = format_of(now->guard, now->type, now->interval, now->meta, now->last);
		layout.pi_size = (uint8_t)tuple_bytes(now->guard);
		layout.checks = now->type == 3 ? URX_CHECK_GUARD | URX_CHECK_APP
					       : URX_CHECK_GUARD | URX_CHECK_REF | URX_CHECK_APP;
		if (getenv("URX_VM"))
			devices(kernel_paths & now->paths);
		if (!now->last)
			side_files();
	}
	ladder_close(&ladder);
	printf("%u reads of what others wrote\n", pairs);
	return 0;
}
