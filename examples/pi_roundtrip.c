/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Writes protected blocks, reads them back, verifies them, and shows what a single wrong bit looks like.
 *
 *     pi_roundtrip FILE      data in FILE, tuples in FILE.pi, checked by software: any machine
 *     pi_roundtrip DEVICE    data and tuples in one request, checked by the device: kernel 6.14
 *                            and a block device with protection information; overwrites its first blocks
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <liburing.h>
#include <liburing-ext.h>

#define BLOCKS 16u
#define APP_TAG 0xcafe

static int failed(const char *what, int rc)
{
	fprintf(stderr, "%s: %s\n", what, strerror(-rc));
	return 1;
}

static void step(const char *what, const char *outcome)
{
	printf("  %-46s %s\n", what, outcome);
}

static void show_format(const struct urx_pi_format *f)
{
	printf("  %u + %u bytes a block, type %u, %s guard%s\n", f->interval, f->meta_size, f->pi_type,
	       urx_guard_str(f->guard), f->flags & URX_PI_INTERLEAVED ? ", interleaved" : "");
}

static void show_error(const struct urx_pi_error *e)
{
	printf("      block %llu: %s is %#llx, should be %#llx\n", (unsigned long long)e->block,
	       urx_check_str(e->check), (unsigned long long)e->actual,
	       (unsigned long long)e->expected);
}

/* Something to protect: every block different. */
static void fill(unsigned char *data, size_t len)
{
	for (size_t i = 0; i < len; i++)
		data[i] = (unsigned char)(i * 31 + i / 4096);
}

/* ---------------------------------------------------------------- on a device, natively */

/* One request through the ring: bytes, or -errno with *result filled. */
static int submit(struct io_uring *ring, struct urx_target *target, const struct urx_rw *rw,
		  struct urx_result *result)
{
	struct urx_attr_pi attr; /* read by io_uring_submit() */
	struct io_uring_sqe sqe = { 0 };
	struct io_uring_cqe *cqe;
	int rc = urx_prep_attr(&sqe, &attr, target, ring->flags, ring->features, rw);

	if (rc)
		return rc; /* nothing was submitted */
	*io_uring_get_sqe(ring) = sqe;
	io_uring_submit(ring);
	rc = io_uring_wait_cqe(ring, &cqe);
	if (rc)
		return rc;
	result->size = sizeof(*result);
	rc = urx_attr_result(target, rw, cqe, result);
	io_uring_cqe_seen(ring, cqe);
	return rc;
}

static int on_device(struct urx_target *target, const struct urx_target_info *info)
{
	const struct urx_pi_format *f = &info->format;
	struct urx_result result = { 0 };
	struct io_uring ring;
	struct urx_pi pi;
	const char *why;
	int rc;

	printf("  namespace %u, format told by %s\n", info->nsid,
	       urx_source_str(info->source[URX_FACT_FORMAT]));
	rc = io_uring_queue_init(4, &ring, 0);
	if (rc)
		return failed("io_uring_queue_init", rc);
	rc = urx_attr_check(target, ring.flags, ring.features, NULL, &why);
	printf("  native path: %s\n", why);
	if (rc)
		return 77;
	rc = urx_pi_init(&pi, f, &why);
	if (rc)
		return failed(why, rc);

	unsigned char *data = aligned_alloc(4096, BLOCKS * f->interval);
	unsigned char *meta = calloc(BLOCKS, f->meta_size);

	if (!data || !meta)
		return failed("memory", -ENOMEM);
	struct urx_rw rw = {
		.size = sizeof(rw),
		.op = URX_OP_WRITE,
		.data = data,
		.data_len = BLOCKS * f->interval,
		.meta = meta,
		.meta_len = BLOCKS * f->meta_size,
		.tags = { .checks = f->checks, .app = APP_TAG, .ref = 1000 },
	};
	fill(data, rw.data_len);
	rc = urx_pi_generate(&pi, &rw.tags, data, meta, BLOCKS);
	if (rc)
		return failed("urx_pi_generate", rc);
	step("tuples made in software, tags from 1000 on", "ok");

	rc = submit(&ring, target, &rw, &result);
	if (rc != (int)rw.data_len)
		return failed("write", rc);
	step("written; the device checked every tuple", "ok");

	memset(data, 0, rw.data_len);
	memset(meta, 0, rw.meta_len);
	rw.op = URX_OP_READ;
	rc = submit(&ring, target, &rw, &result);
	if (rc != (int)rw.data_len)
		return failed("read", rc);
	rc = urx_pi_verify(&pi, &rw.tags, data, meta, BLOCKS, NULL);
	if (rc)
		return failed("urx_pi_verify", rc);
	step("read back and verified in software", "ok");

	data[5 * f->interval + 100] ^= 0x10;
	rw.op = URX_OP_WRITE;
	rc = submit(&ring, target, &rw, &result);
	if (rc != -EILSEQ || result.pi.block != 5 || result.pi.check != URX_CHECK_GUARD)
		return failed("a wrong bit in block 5 was not named", rc);
	step("one bit flipped, written again", "-EILSEQ");
	show_error(&result.pi);

	free(data);
	free(meta);
	io_uring_queue_exit(&ring);
	return 0;
}

/* ---------------------------------------------------------------- on a file, in software */

/* Data and tuples, each to or from its own file, in one submission. */
static int transfer(struct io_uring *ring, int write, const int fd[2], void *const buf[2],
		    const unsigned len[2])
{
	int rc = 0;

	for (int i = 0; i < 2; i++) {
		struct io_uring_sqe *sqe = io_uring_get_sqe(ring);

		if (write)
			io_uring_prep_write(sqe, fd[i], buf[i], len[i], 0);
		else
			io_uring_prep_read(sqe, fd[i], buf[i], len[i], 0);
		io_uring_sqe_set_data64(sqe, len[i]);
	}
	io_uring_submit_and_wait(ring, 2);
	for (int i = 0; i < 2; i++) {
		struct io_uring_cqe *cqe;
		int waited = io_uring_wait_cqe(ring, &cqe);

		if (waited)
			return waited;
		if (cqe->res != (int)io_uring_cqe_get_data64(cqe))
			rc = cqe->res < 0 ? cqe->res : -EIO;
		io_uring_cqe_seen(ring, cqe);
	}
	return rc;
}

static int on_file(const char *path)
{
	const struct urx_pi_format f = {
		.size = sizeof(f),
		.interval = 4096,
		.meta_size = 8,
		.guard = URX_GUARD_T10DIF,
		.pi_type = 1,
	};
	const struct urx_tags tags = {
		.checks = URX_CHECK_GUARD | URX_CHECK_APP | URX_CHECK_REF,
		.app = APP_TAG,
		.ref = 1000,
	};
	static unsigned char data[BLOCKS * 4096], meta[BLOCKS * 8];
	const unsigned len[2] = { sizeof(data), sizeof(meta) };
	void *const buf[2] = { data, meta };
	struct urx_pi_error errors[4];
	struct urx_pi_report report = {
		.size = sizeof(report),
		.errors = errors,
		.capacity = 4,
	};
	struct io_uring ring;
	struct urx_pi pi;
	char side[4096];
	const char *why;
	int rc;

	show_format(&f);
	printf("  tuples beside it in %s.pi, checked in software\n", path);
	snprintf(side, sizeof(side), "%s.pi", path);
	const int fd[2] = { open(path, O_RDWR), open(side, O_RDWR | O_CREAT, 0600) };

	if (fd[0] < 0 || fd[1] < 0)
		return failed("open", -errno);
	rc = io_uring_queue_init(4, &ring, 0);
	if (rc)
		return failed("io_uring_queue_init", rc);
	rc = urx_pi_init(&pi, &f, &why);
	if (rc)
		return failed(why, rc);

	fill(data, sizeof(data));
	rc = urx_pi_generate(&pi, &tags, data, meta, BLOCKS);
	if (rc)
		return failed("urx_pi_generate", rc);
	step("tuples made in software, tags from 1000 on", "ok");

	rc = transfer(&ring, 1, fd, buf, len);
	if (rc)
		return failed("write", rc);
	step("data and tuples written", "ok");

	rc = transfer(&ring, 0, fd, buf, len);
	if (rc)
		return failed("read", rc);
	rc = urx_pi_verify(&pi, &tags, data, meta, BLOCKS, &report);
	if (rc)
		return failed("urx_pi_verify", rc);
	step("read back and verified", "ok");

	unsigned char byte = data[5 * 4096 + 100] ^ 0x10;

	if (pwrite(fd[0], &byte, 1, 5 * 4096 + 100) != 1)
		return failed("pwrite", -errno);
	step("one bit of the file flipped behind our back", "ok");
	rc = transfer(&ring, 0, fd, buf, len);
	if (rc)
		return failed("read", rc);
	rc = urx_pi_verify(&pi, &tags, data, meta, BLOCKS, &report);
	if (rc != -EILSEQ || report.stored != 1 || errors[0].block != 5)
		return failed("a wrong bit in block 5 was not named", rc);
	step("read back and verified again", "-EILSEQ");
	show_error(&errors[0]);

	io_uring_queue_exit(&ring);
	close(fd[0]);
	close(fd[1]);
	return 0;
}

int main(int argc, char **argv)
{
	const struct urx_target_opts opts = { .size = sizeof(opts), .flags = URX_TARGET_WRITE };
	struct urx_target_info info = { .size = sizeof(info) };
	struct urx_target *target;
	int rc;

	if (argc != 2) {
		fprintf(stderr, "usage: %s FILE|DEVICE\n", argv[0]);
		return 2;
	}
	rc = urx_target_open(&target, argv[1], &opts);
	if (rc)
		return failed(argv[1], rc);
	urx_target_query(target, &info);
	printf("%s: %s, %llu KiB\n", argv[1], urx_kind_str(info.kind),
	       (unsigned long long)info.bytes / 1024);
	if (info.kind == URX_KIND_FILE) {
		rc = on_file(argv[1]);
	} else if (info.format.guard == URX_GUARD_NONE) {
		fprintf(stderr, "%s: has no protection information\n", argv[1]);
		rc = 77;
	} else {
		show_format(&info.format);
		rc = on_device(target, &info);
	}
	urx_target_close(target);
	return rc;
}
