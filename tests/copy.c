/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * For tests/copy: makes, checks and spoils what is copied, with tuples that the library has no part in. It carries the
 * bytes, without checks.
 *
 *     copy-oracle make TARGET SIDE|- GUARD APP MIB     a file with a side file, GUARD as in liburing-ext.h; of a device so much
 *     copy-oracle check TARGET SIDE|- APP [BYTES]      all bytes and tuples, or so many
 *     copy-oracle spoil TARGET SIDE|- BLOCK            the lowest bit of a byte of its data
 */
#include <sys/stat.h>
#include "../capi-tests/urx_test.h"

static struct dev_file {
	struct urx_target *target;
	struct urx_target_info info;
	struct urx_queue *queue;
	uint64_t blocks, first_ref;
} t;

static unsigned char *data, *meta;

static void open_it(const char *path, const char *side, const struct urx_pi_format *format)
{
	struct urx_target_opts opts = { .size = sizeof(opts), .flags = URX_TARGET_WRITE };
	int rc;

	if (strcmp(side, "-"))
		opts.side_path = side;
	if (format)
		opts.flags |= URX_TARGET_CREATE_SIDE, opts.side_format = format;
	rc = urx_target_open(&t.target, path, &opts);
	CHECK_EQ(rc, 0);
	t.info.size = sizeof(t.info);
	CHECK_EQ(urx_target_query(t.target, &t.info), 0);
	CHECK_EQ(urx_queue_open(&t.queue, -1, 0, 0, NULL), 0);
	CHECK(t.info.format.interval);
	t.blocks = t.info.bytes / t.info.format.interval;
	t.first_ref = t.info.start / t.info.format.interval;
	data = pages(t.info.format.interval);
	meta = pages(t.info.format.meta_size);
}

static void io(uint32_t op, uint64_t block)
{
	const struct urx_pi_format *f = &t.info.format;
	struct urx_rw rw = { .size = sizeof(rw), .op = op, .data = data, .data_len = f->interval, .meta = meta,
			     .meta_len = f->meta_size, .offset = block * f->interval,
			     .tags = { .ref = t.first_ref + (f->pi_type == 3 ? 0 : block) } };

	CHECK_EQ(urx_run(t.queue, t.target, &rw, NULL), f->interval);
}

/* The bytes that belong at a block, whatever the size of blocks. */
static void pattern(unsigned char *to, uint64_t block)
{
	uint32_t interval = t.info.format.interval;

	for (uint32_t n = 0; n < interval; n += 512)
		fill(to + n, 512, block * (interval / 512) + n / 512);
}

static void tuple(uint64_t block, uint16_t app, unsigned char *bytes)
{
	struct urx_pi_format f = t.info.format;
	const struct urx_tags tags = { .app = app, .ref = t.first_ref };

	f.flags = 0;
	oracle_block(&f, &tags, block, data, meta, bytes);
}

static void make(const char *path, const char *side, unsigned guard, uint16_t app, uint64_t mib)
{
	struct urx_pi_format f = format_of(guard, 1, guard == URX_GUARD_IP ? 512 : 4096, tuple_bytes(guard), false);
	struct stat st;

	if (stat(path, &st) || S_ISREG(st.st_mode)) {
		int fd = open(path, O_RDWR | O_CREAT, 0600);

		CHECK(fd >= 0);
		CHECK_EQ(ftruncate(fd, (off_t)(mib << 20)), 0);
		close(fd);
		open_it(path, side, &f);
	} else {
		open_it(path, side, NULL);
	}
	for (uint64_t block = 0; block < t.blocks && block < (mib << 20) / t.info.format.interval; block++) {
		pattern(data, block);
		memset(meta, (int)block, t.info.format.meta_size); /* what is beside the tuple */
		tuple(block, app, meta + t.info.format.pi_offset);
		io(URX_OP_WRITE, block);
	}
}

static void check(uint16_t app, uint64_t size)
{
	const struct urx_pi_format *f = &t.info.format;
	unsigned char want[65536], bytes[16];

	for (uint64_t block = 0; block < t.blocks && block < size / f->interval; block++) {
		char context[64];

		snprintf(context, sizeof(context), "block %llu", (unsigned long long)block);
		io(URX_OP_READ, block);
		pattern(want, block);
		CHECK_BYTES(data, want, f->interval, context);
		tuple(block, app, bytes);
		CHECK_BYTES(meta + f->pi_offset, bytes, tuple_bytes(f->guard), context);
	}
}

int main(int argc, char **argv)
{
	CHECK(argc >= 5);
	if (!strcmp(argv[1], "make")) {
		make(argv[2], argv[3], (unsigned)atoi(argv[4]), (uint16_t)strtoul(argv[5], NULL, 0),
		     strtoull(argv[6], NULL, 0));
	} else if (!strcmp(argv[1], "check")) {
		open_it(argv[2], argv[3], NULL);
		check((uint16_t)strtoul(argv[4], NULL, 0), argc > 5 ? strtoull(argv[5], NULL, 0) : UINT64_MAX);
	} else {
		uint64_t block = strtoull(argv[4], NULL, 0);

		open_it(argv[2], argv[3], NULL);
		io(URX_OP_READ, block);
		data[77] ^= 1;
		io(URX_OP_WRITE, block);
	}
	urx_queue_close(t.queue);
	urx_target_close(t.target);
	return 0;
}
