/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* What the library refuses before the kernel sees it, untouched SQE and all; and what the kernel says. */
#include "urx_test.h"

static struct dev dev;
static struct blocks b;
static struct urx_rw good;

/* By the library; the sentence begins with a word or has it in it. */
static void refused(const struct urx_target *target, struct urx_rw rw, int want, const char *word)
{
	struct urx_attr_pi attr, attr_before;
	struct io_uring_sqe sqe, sqe_before;
	const char *why = NULL;
	int is = urx_attr_check(target, 0, dev.ring.features, &rw, &why);

	if (is != want || !strstr(why, word))
		FAIL("%d \"%s\", not %d \"%s\"", is, why, want, word);
	memset(&sqe, 0xa5, sizeof(sqe));
	memset(&attr, 0xa5, sizeof(attr));
	sqe_before = sqe, attr_before = attr;
	CHECK_EQ(urx_prep_attr(&sqe, &attr, target, 0, dev.ring.features, &rw), want);
	CHECK_BYTES(&sqe, &sqe_before, sizeof(sqe), "SQE");
	CHECK_BYTES(&attr, &attr_before, sizeof(attr), "attribute");
}

static void target_refused(const char *label, uint32_t flags, const char *word)
{
	struct urx_target_opts opts = { .size = sizeof(opts), .flags = flags };
	struct urx_target *target;

	CHECK_EQ(urx_target_open(&target, node(label), &opts), 0);
	refused(target, good, -EOPNOTSUPP, word);
	urx_target_close(target);
}

#define REFUSED(want, word, ...)                                                                     \
	do {                                                                                         \
		struct urx_rw rw = good;                                                             \
		__VA_ARGS__;                                                                         \
		refused(dev.target, rw, want, word);                                                 \
	} while (0)

/* By the kernel: the raw prep functions ask nothing. */
static void answered(int fd, struct urx_attr_pi attr, unsigned blocks, uint64_t mask, int want)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(&dev.ring);
	uint64_t bytes[8];
	int is;

	CHECK(sqe);
	urx_prep_read_meta(sqe, fd, b.data, blocks * 4096, 8 * 4096, &attr);
	memcpy(bytes, sqe, sizeof(bytes));
	bytes[7] = mask;
	memcpy(sqe, bytes, sizeof(bytes));
	is = finish(&dev.ring, NULL);
	if (is != want)
		FAIL("flags %#x, length %u, %u blocks, mask %d: %d, not %d", attr.flags, attr.len, blocks,
		     (int)mask, is, want);
}

static void by_the_kernel(void)
{
	struct urx_attr_pi pi = { .flags = 0, .len = 16, .addr = (uintptr_t)b.meta, .seed = 8 }, bad;
	int buffered = open_node("pi4k", O_RDONLY), fd;

	answered(dev.info.fd, pi, 2, 1, 8192);
	answered(buffered, pi, 2, 1, -EOPNOTSUPP);
	bad = pi, bad.len = 15;
	answered(dev.info.fd, bad, 2, 1, -EINVAL);
	bad = pi, bad.len = 4096; /* more than needed is no mistake */
	answered(dev.info.fd, bad, 2, 1, 8192);
	bad = pi, bad.rsvd = 1;
	answered(dev.info.fd, bad, 2, 1, -EINVAL);
	bad = pi, bad.flags = 8;
	answered(dev.info.fd, bad, 2, 1, -EINVAL);
	answered(dev.info.fd, pi, 2, 2, -EINVAL);
	answered(dev.info.fd, pi, 2, 3, -EINVAL);
	answered(dev.info.fd, pi, 2, 0, 8192); /* no attribute */
	close(buffered);
	for (const char *const *label = (const char *const[]){ "plain", "ext4k", "zns", NULL }; *label; label++) {
		fd = open_node(*label, O_RDONLY | O_DIRECT);
		answered(fd, pi, 2, 1, -EINVAL);
		close(fd);
	}
	/* Without an attribute to read. */
	struct io_uring_sqe *sqe = io_uring_get_sqe(&dev.ring);
	urx_prep_read_meta(sqe, dev.info.fd, b.data, 8192, 8 * 4096, NULL);
	CHECK_EQ(finish(&dev.ring, NULL), -EFAULT);
}

int main(void)
{
	struct urx_target *file;

	need_attr();
	dev_open(&dev, "pi4k", 0);
	b = blocks_of(&dev, 2, 1);
	good = rw_of(&dev, URX_OP_READ, 8, b.data, 2, b.meta, tags_of(&dev, 0, 8));
	CHECK_EQ(urx_attr_check(dev.target, 0, dev.ring.features, &good, NULL), 0);

	target_refused("pi4k", URX_TARGET_BUFFERED, "O_DIRECT");
	target_refused("plain", 0, "no metadata");
	target_refused("zns", 0, "no metadata");
	target_refused("ext4k", 0, "no metadata");
	target_refused("extnopi", 0, "no metadata");
	target_refused("pi4k.ng", 0, "not a block device");
	CHECK_EQ(urx_target_open(&file, "/proc/self/exe", NULL), 0);
	refused(file, good, -EOPNOTSUPP, "not a block device");
	urx_target_close(file);

	REFUSED(-EINVAL, "meta_len", rw.meta_len = 15);
	REFUSED(-EINVAL, "meta_len", rw.meta_len = 0);
	REFUSED(-EINVAL, "meta", rw.meta = NULL);
	REFUSED(-EINVAL, "offset", rw.offset = 512);
	REFUSED(-EINVAL, "length", rw.data_len = 4096 + 512);
	REFUSED(-EINVAL, "length", rw.data_len = 0);
	REFUSED(-EINVAL, "data", rw.data = b.data + 2);
	REFUSED(-ERANGE, "offset", rw.offset = dev.info.bytes - 4096);
	REFUSED(-ERANGE, "offset", rw.offset = UINT64_MAX - 4095);
	REFUSED(-EINVAL, "tags", rw.tags.checks = URX_CHECK_STORAGE);
	REFUSED(-EOPNOTSUPP, "application tag", rw.tags.app_ignore = 1);
	urx_target_close(dev.target);
	CHECK_EQ(urx_target_open(&dev.target, node("type3"), NULL), 0);
	REFUSED(-EINVAL, "tags", rw.tags.checks = URX_CHECK_REF);
	REFUSED(-EINVAL, "op", rw.op = URX_OP_WRITE, rw.tags.checks = 0);
	urx_target_close(dev.target);

	dev_target(&dev, "pi4k");
	if (kernel() >= 7000)
		by_the_kernel();
	blocks_free(&b);
	dev_close(&dev);
	return 0;
}
