/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * What the C tests share: checks that end the process, data, an oracle for protection information that
 * shares nothing with the library, and I/O on the namespaces of the test machine (vm/namespaces).
 * A test exits with 0: passed, 1: failed, 77: skipped, the reason being the last line printed.
 */
#ifndef URX_TEST_H
#define URX_TEST_H

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <liburing.h>
#include <liburing-ext.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#define COUNT(array) (sizeof(array) / sizeof(*(array)))

#define FAIL(...) (printf("%s:%d: ", __FILE__, __LINE__), printf(__VA_ARGS__), puts(""), exit(1))
#define CHECK(cond) ((cond) ? (void)0 : FAIL("not so: %s", #cond))
#define CHECK_EQ(a, b)                                                                               \
	do {                                                                                         \
		long long a_ = (long long)(a), b_ = (long long)(b);                                  \
		if (a_ != b_)                                                                        \
			FAIL("%s is %lld (%#llx), not %s = %lld (%#llx)", #a, a_, a_, #b, b_, b_);   \
	} while (0)
#define CHECK_STR(a, b)                                                                              \
	do {                                                                                         \
		const char *a_ = (a), *b_ = (b);                                                     \
		if (strcmp(a_, b_))                                                                  \
			FAIL("%s is \"%s\", not \"%s\"", #a, a_, b_);                                \
	} while (0)
/* `context` says which case of a table it was. */
#define CHECK_BYTES(a, b, len, context)                                                              \
	do {                                                                                         \
		const uint8_t *a_ = (const void *)(a), *b_ = (const void *)(b);                      \
		for (size_t n_ = 0; n_ < (size_t)(len); n_++)                                        \
			if (a_[n_] != b_[n_])                                                        \
				FAIL("%s: byte %zu of %s is %02x, not %02x", context, n_, #a, a_[n_], b_[n_]); \
	} while (0)

static inline void skip(const char *reason)
{
	puts(reason);
	exit(77);
}

/* Whether a sentence begins with a word. */
static inline bool begins(const char *text, const char *word)
{
	return text && !strncmp(text, word, strlen(word));
}

/* ------------------------------------------------------------------ data */

static inline void fill(void *buf, size_t len, uint64_t seed)
{
	uint8_t *bytes = buf;
	uint64_t x = seed * 0x9e3779b97f4a7c15u + 1;

	for (size_t n = 0; n < len; n++) {
		x ^= x << 13, x ^= x >> 7, x ^= x << 17;
		bytes[n] = (uint8_t)(x >> 32);
	}
}

/* Zeroed memory, aligned for direct I/O. */
static inline void *pages(size_t len)
{
	size_t whole = (len + 4095) / 4096 * 4096;
	void *memory = aligned_alloc(4096, whole);

	CHECK(memory);
	return memset(memory, 0, whole);
}

/* ------------------------------------------------------------------ oracle, one bit at a time */

static inline uint64_t oracle_reflected(const void *buf, size_t len, uint64_t poly, uint64_t ones)
{
	uint64_t crc = ones;

	for (const uint8_t *p = buf, *end = p + len; p < end; p++) {
		crc ^= *p;
		for (int bit = 0; bit < 8; bit++)
			crc = crc & 1 ? crc >> 1 ^ poly : crc >> 1;
	}
	return crc ^ ones;
}

static inline uint64_t oracle_guard(unsigned guard, const void *buf, size_t len)
{
	const uint8_t *p = buf;
	uint32_t sum = 0;

	switch (guard) {
	case URX_GUARD_T10DIF:
		for (size_t n = 0; n < len * 8; n++) {
			unsigned top = (sum >> 15 ^ p[n / 8] >> (7 - n % 8)) & 1;
			sum = (sum << 1 ^ (top ? 0x8bb7 : 0)) & 0xffff;
		}
		return sum;
	case URX_GUARD_IP:
		for (size_t n = 0; n < len; n++) {
			sum += n % 2 ? p[n] : p[n] << 8;
			sum = (sum & 0xffff) + (sum >> 16);
		}
		return ~sum & 0xffff;
	case URX_GUARD_CRC32C:
		return oracle_reflected(buf, len, 0x82f63b78, UINT32_MAX);
	default:
		return oracle_reflected(buf, len, 0x9a6c9329ac4bc9b5, UINT64_MAX);
	}
}

static inline unsigned guard_bits(unsigned guard)
{
	return guard == URX_GUARD_CRC64 ? 64 : guard == URX_GUARD_CRC32C ? 32 : 16;
}

static inline unsigned tuple_bytes(unsigned guard)
{
	return guard >= URX_GUARD_CRC32C ? 16 : 8;
}

/* Bits that reference and storage tag share. */
static inline unsigned space_bits(unsigned guard)
{
	return tuple_bytes(guard) * 8 - guard_bits(guard) - 16;
}

/* Appends the low `width` bits of a value, the highest first. */
static inline void put_bits(uint8_t *bytes, unsigned *at, uint64_t value, unsigned width)
{
	while (width-- > 0) {
		uint8_t bit = (uint8_t)(0x80 >> *at % 8);
		if (value >> width & 1)
			bytes[*at / 8] |= bit;
		else
			bytes[*at / 8] &= (uint8_t)~bit;
		++*at;
	}
}

/* The tuple of block number `block` whose guard is given, into tuple_bytes() bytes. */
static inline void oracle_tuple(const struct urx_pi_format *f, const struct urx_tags *tags,
				uint64_t block, uint64_t guard, uint8_t *bytes)
{
	uint64_t low = tags->ref, high = tags->ref_hi;
	unsigned ref_bits = space_bits(f->guard) - f->storage_bits, at = 0;

	if (f->pi_type != 3) {
		low += block;
		high += low < block;
	}
	put_bits(bytes, &at, guard, guard_bits(f->guard));
	put_bits(bytes, &at, tags->app, 16);
	put_bits(bytes, &at, tags->storage, f->storage_bits);
	if (ref_bits > 64)
		put_bits(bytes, &at, high, ref_bits - 64);
	put_bits(bytes, &at, low, ref_bits < 64 ? ref_bits : 64);
}

/* The tuple that a block should have; `meta` is its metadata. */
static inline void oracle_block(const struct urx_pi_format *f, const struct urx_tags *tags,
				uint64_t block, const void *data, const void *meta, uint8_t *bytes)
{
	size_t len = f->interval + f->pi_offset;
	uint8_t *all = malloc(len);

	CHECK(all);
	memcpy(all, data, f->interval);
	memcpy(all + f->interval, meta, f->pi_offset);
	oracle_tuple(f, tags, block, oracle_guard(f->guard, all, len), bytes);
	free(all);
}

static inline struct urx_pi_format format_of(unsigned guard, unsigned type, unsigned interval,
					     unsigned meta_size, bool last)
{
	return (struct urx_pi_format){
		.size = sizeof(struct urx_pi_format),
		.interval = interval,
		.meta_size = (uint16_t)meta_size,
		.pi_offset = (uint16_t)(last ? meta_size - tuple_bytes(guard) : 0),
		.guard = (uint8_t)guard,
		.pi_type = (uint8_t)type,
	};
}

static inline struct urx_pi pi_of(const struct urx_pi_format *f)
{
	struct urx_pi pi;
	const char *why = "";

	if (urx_pi_init(&pi, f, &why))
		FAIL("urx_pi_init: %s", why);
	return pi;
}

/* ------------------------------------------------------------------ the test machine */

static inline void need_vm(void)
{
	if (!getenv("URX_VM"))
		skip("needs the test VM");
}

/* 6012 for Linux 6.12. */
static inline int kernel(void)
{
	struct utsname name;
	int major, minor;

	CHECK_EQ(uname(&name), 0);
	CHECK_EQ(sscanf(name.release, "%d.%d", &major, &minor), 2);
	return major * 1000 + minor;
}

/* The node of a namespace. The text is static: one at a time. */
static inline const char *node(const char *label)
{
	static char path[64];

	snprintf(path, sizeof(path), "/dev/urx/%s", label);
	return path;
}

static inline int open_node(const char *label, int flags)
{
	int fd = open(node(label), flags);

	if (fd < 0)
		FAIL("%s: %s", node(label), strerror(errno));
	return fd;
}

/* A ring, a target and what is known of it. */
struct dev {
	struct io_uring ring;
	struct urx_target *target;
	struct urx_target_info info;
};

static inline void ring_setup(struct io_uring *ring, unsigned flags)
{
	int ret = io_uring_queue_init(8, ring, flags);

	if (ret)
		FAIL("io_uring_queue_init: %s", strerror(-ret));
}

/* For tests of the PI attribute: skips where there is none, on the host and on old kernels. */
static inline void need_attr(void)
{
	struct io_uring ring;
	unsigned features;

	need_vm();
	ring_setup(&ring, 0);
	features = ring.features;
	io_uring_queue_exit(&ring);
	if (!(features & URX_FEAT_RW_ATTR))
		skip("this kernel has no PI attribute");
}

/*
 * Whether the namespaces are devices of examples/ublk_pi.c (tests/ublk). Its server checks guard and reference tag of
 * every write; what a request asks for, the driver does not tell it, nor an application tag.
 */
static inline bool on_ublk(void)
{
	return getenv("URX_UBLK") != NULL;
}

static inline void dev_target(struct dev *dev, const char *label)
{
	struct urx_target_opts opts = { .size = sizeof(opts), .flags = URX_TARGET_WRITE };
	int ret = urx_target_open(&dev->target, node(label), &opts);

	if (ret)
		FAIL("%s: %s", label, strerror(-ret));
	dev->info = (struct urx_target_info){ .size = sizeof(dev->info) };
	CHECK_EQ(urx_target_query(dev->target, &dev->info), 0);
}

static inline void dev_open(struct dev *dev, const char *label, unsigned ring_flags)
{
	ring_setup(&dev->ring, ring_flags);
	dev_target(dev, label);
}

static inline void dev_close(struct dev *dev)
{
	urx_target_close(dev->target);
	io_uring_queue_exit(&dev->ring);
}

/* Submits what is queued, which is one SQE, and waits for its CQE. */
static inline int finish(struct io_uring *ring, struct io_uring_cqe *copy)
{
	struct io_uring_cqe *cqe;
	int res;

	CHECK_EQ(io_uring_submit(ring), 1);
	CHECK_EQ(io_uring_wait_cqe(ring, &cqe), 0);
	res = cqe->res;
	if (copy)
		memcpy(copy, cqe, 16);
	io_uring_cqe_seen(ring, cqe);
	return res;
}

/* All checks of a format that a PI attribute can carry. */
static inline struct urx_tags tags_of(const struct dev *dev, uint16_t app, uint64_t ref)
{
	return (struct urx_tags){ .checks = dev->info.format.checks, .app = app, .ref = ref };
}

/* The block of the whole device at which a block of a target, perhaps a partition, lies. */
static inline uint64_t device_block(const struct dev *dev, uint64_t block)
{
	return dev->info.start / dev->info.format.interval + block;
}

static inline struct urx_rw rw_of(const struct dev *dev, uint32_t op, uint64_t block, void *data,
				  uint32_t blocks, void *meta, struct urx_tags tags)
{
	return (struct urx_rw){
		.size = sizeof(struct urx_rw),
		.op = op,
		.data_len = blocks * dev->info.format.interval,
		.offset = block * dev->info.format.interval,
		.data = data,
		.meta = meta,
		.meta_len = blocks * dev->info.format.meta_size,
		.tags = tags,
	};
}

/* Prepares a request; `attr` must live until it was submitted. */
static inline struct io_uring_sqe *dev_prep(struct dev *dev, const struct urx_rw *rw,
					    struct urx_attr_pi *attr)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(&dev->ring);
	unsigned flags = dev->ring.flags, features = dev->ring.features;
	const char *why = "";

	CHECK(sqe);
	sqe->user_data = 0x5eed;
	if (urx_attr_check(dev->target, flags, features, rw, &why))
		FAIL("urx_attr_check: %s", why);
	CHECK_EQ(urx_prep_attr(sqe, attr, dev->target, flags, features, rw), 0);
	return sqe;
}

/* Prepares, submits and decodes one request. */
static inline int dev_run(struct dev *dev, const struct urx_rw *rw, struct urx_result *result)
{
	struct io_uring_cqe cqe;
	struct urx_attr_pi attr;

	dev_prep(dev, rw, &attr);
	finish(&dev->ring, &cqe);
	CHECK_EQ(cqe.user_data, 0x5eed);
	if (result)
		*result = (struct urx_result){ .size = sizeof(*result) };
	return urx_attr_result(dev->target, rw, &cqe, result);
}

/* Data and metadata of a number of blocks, filled by a seed. */
struct blocks {
	uint32_t count;
	size_t data_len, meta_len;
	uint8_t *data, *meta;
};

static inline struct blocks blocks_of(const struct dev *dev, uint32_t count, uint64_t seed)
{
	struct blocks b = { .count = count, .data_len = (size_t)count * dev->info.format.interval,
			    .meta_len = (size_t)count * dev->info.format.meta_size };

	b.data = pages(b.data_len);
	b.meta = pages(b.meta_len);
	fill(b.data, b.data_len, seed);
	fill(b.meta, b.meta_len, seed + 1);
	return b;
}

static inline void blocks_free(struct blocks *b)
{
	free(b->data);
	free(b->meta);
}

/* The same with tuples of the library's. */
static inline struct blocks blocks_with(const struct dev *dev, uint32_t count, uint64_t seed,
					const struct urx_tags *tags)
{
	struct blocks b = blocks_of(dev, count, seed);
	struct urx_pi pi = pi_of(&dev->info.format);

	CHECK_EQ(urx_pi_generate(&pi, tags, b.data, b.meta, count), 0);
	return b;
}

/* Puts back blocks that anyone can read: zeros, with the kernel's own protection information. */
static inline void rewrite(const char *label, uint64_t block, uint32_t blocks, uint32_t interval)
{
	size_t len = (size_t)blocks * interval;
	void *zeros = pages(len);
	int fd = open_node(label, O_WRONLY | O_DIRECT);

	CHECK_EQ(pwrite(fd, zeros, len, (off_t)(block * interval)), (ssize_t)len);
	close(fd);
	free(zeros);
}

/* ------------------------------------------------------------------ the ladder */

/* By number: headers of 2022 lack some. */
#define RING_IOPOLL (1u << 0)
#define RING_SQPOLL (1u << 1)
#define RING_BIG (1u << 10 | 1u << 11) /* SQE128, CQE32 */
#define RING_DEFER (1u << 12 | 1u << 13) /* SINGLE_ISSUER, DEFER_TASKRUN */
#define RING_MIXED (1u << 18 | 1u << 19) /* CQE_MIXED, SQE_MIXED */
#define CQE_IS_32 (1u << 15)
#define CQE_IS_SKIP (1u << 5)

static const uint32_t all_paths[] __attribute__((unused)) = { URX_PATH_ATTR, URX_PATH_URING_CMD,
							      URX_PATH_IOCTL, URX_PATH_SOFTWARE };

/* A ring and its queue; false where this kernel has no such ring. */
struct ladder {
	struct io_uring ring;
	struct urx_queue *queue;
};

static inline bool ladder_open(struct ladder *l, unsigned ring_flags)
{
	int ret = io_uring_queue_init(16, &l->ring, ring_flags);

	if (ret == -EINVAL)
		return false;
	CHECK_EQ(ret, 0);
	CHECK_EQ(urx_queue_open(&l->queue, URX_RING(&l->ring), NULL), 0);
	return true;
}

/* The largest entries that this kernel's rings have. */
static inline void ladder_best(struct ladder *l)
{
	if (!ladder_open(l, RING_BIG))
		CHECK(ladder_open(l, 0));
}

static inline void ladder_close(struct ladder *l)
{
	urx_queue_close(l->queue);
	io_uring_queue_exit(&l->ring);
}

/*
 * An SQE of so many bytes. On a ring with both sizes a large one takes two slots that lie together, as
 * io_uring_get_sqe128() gets them: a NOP fills the last slot where they would not.
 */
static inline struct io_uring_sqe *ladder_sqe(struct ladder *l, uint32_t size)
{
	struct io_uring *ring = &l->ring;
	struct io_uring_sqe *sqe = io_uring_get_sqe(ring);

	CHECK(sqe);
	if (size == 64 || ring->flags & IORING_SETUP_SQE128)
		return sqe;
	CHECK_EQ(size, 128);
	CHECK(ring->flags & 1u << 19);
	if (sqe == ring->sq.sqes + ring->sq.ring_entries - 1) {
		io_uring_prep_nop(sqe);
		sqe->flags |= IOSQE_CQE_SKIP_SUCCESS;
		sqe = io_uring_get_sqe(ring);
		CHECK(sqe);
	}
	CHECK(io_uring_get_sqe(ring) == sqe + 1);
	return sqe;
}

/* The next CQE, into 32 bytes, as words: user_data, res and flags, the rest. */
static inline void ladder_reap(struct ladder *l, uint64_t copy[4])
{
	unsigned flags = l->ring.flags;
	struct io_uring_cqe *cqe;
	bool large;

	CHECK_EQ(io_uring_wait_cqe(&l->ring, &cqe), 0);
	while (cqe->flags & CQE_IS_SKIP && flags & 1u << 18) {
		io_uring_cqe_seen(&l->ring, cqe);
		CHECK_EQ(io_uring_wait_cqe(&l->ring, &cqe), 0);
	}
	large = flags & IORING_SETUP_CQE32 || (flags & 1u << 18 && cqe->flags & CQE_IS_32);
	memset(copy, 0xa5, 32);
	memcpy(copy, cqe, large ? 32 : 16);
	io_uring_cq_advance(&l->ring, flags & 1u << 18 && large ? 2 : 1);
}

/* One request from plan to result. */
static inline int ladder_run(struct ladder *l, struct urx_target *target, const struct urx_rw *rw,
			     struct urx_result *result)
{
	struct urx_result mine = { .size = sizeof(mine) };
	struct io_uring_sqe *sqe;
	struct urx_io io;
	uint64_t cqe[4];
	int ret;

	memset(&io, 0x5a, sizeof(io));
	ret = urx_plan(l->queue, target, rw, &io);
	if (!ret) {
		CHECK(!rw->allow || rw->allow & io.path);
		sqe = ladder_sqe(l, io.sqe_size);
		sqe->user_data = 0x5eed;
		urx_prep(sqe, &io);
		CHECK_EQ(sqe->user_data, 0x5eed);
		CHECK(io_uring_submit(&l->ring) > 0);
		ladder_reap(l, cqe);
		CHECK_EQ(cqe[0], 0x5eed);
		ret = urx_io_result(&io, (void *)cqe, &mine);
		CHECK_EQ(mine.res, ret);
		CHECK_EQ(mine.path, io.path);
	}
	if (result)
		*result = mine;
	return ret;
}

/* Whether a path would carry a request; asks for a sentence either way. */
static inline bool ladder_carries(struct ladder *l, struct urx_target *target, const struct urx_rw *rw,
				  uint32_t path, const char **why)
{
	struct urx_rw only = *rw;
	int ret;

	*why = NULL;
	only.allow = path;
	ret = urx_explain(l->queue, target, &only, path, why);
	CHECK(*why && **why);
	return !ret;
}

/* A file beside the test that nobody else has; the text is static: one at a time. */
static inline const char *scratch(const char *name)
{
	static char path[128];

	snprintf(path, sizeof(path), "%s/urx-%d-%s", getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp",
		 (int)getpid(), name);
	return path;
}

/* A target whose metadata a side file keeps, on `path`, or on a new file of so many bytes. */
static inline struct urx_target *side_target(const char *path, uint64_t bytes,
					     const struct urx_pi_format *format)
{
	char data[160], side[160];
	const char *why = "";
	struct urx_target_opts opts = { .size = sizeof(opts), .side_path = side, .side_format = format,
					.flags = URX_TARGET_WRITE | URX_TARGET_CREATE_SIDE, .why = &why };
	struct urx_target *target;
	int ret;

	snprintf(side, sizeof(side), "%s", scratch("side"));
	snprintf(data, sizeof(data), "%s", path ? path : scratch("data"));
	if (!path) {
		int fd = open(data, O_RDWR | O_CREAT | O_TRUNC, 0600);

		CHECK(fd >= 0);
		CHECK_EQ(ftruncate(fd, (off_t)bytes), 0);
		close(fd);
	}
	unlink(side);
	ret = urx_target_open(&target, data, &opts);
	if (ret)
		FAIL("%s with a side file: %s: %s", data, strerror(-ret), why);
	unlink(side);
	if (!path)
		unlink(data);
	return target;
}

/* Every namespace with protection information that takes writes anywhere. */
static const char *const protected_labels[] __attribute__((unused)) = {
	"pi512", "pi4k", "pi8last", "type2", "type3", "pi64", "pi64t3", "ms64first", "ms64last", "part",
	"part1", "part2",
};

/* A number below `below` that looks random and is the same every time. */
static inline uint32_t any(uint32_t below)
{
	static uint32_t x = 1;

	x ^= x << 13, x ^= x >> 17, x ^= x << 5;
	return x % below;
}

#endif
