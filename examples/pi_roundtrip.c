/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Writes protected blocks, reads them back, verifies them, and shows what a single wrong bit looks like: the
 * same code on whatever there is. Overwrites the first blocks.
 *
 *     pi_roundtrip FILE      any file: metadata beside it in FILE.pi, checked by software
 *     pi_roundtrip DEVICE    a device with protection information: by a PI attribute, an NVMe command in
 *                            the SQE, or NVMe ioctls, whichever this kernel has
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <liburing.h>
#include <liburing-ext.h>

#define BLOCKS 16u
#define APP_TAG 0xcafe

/* What a program keeps for one ring and one target. */
struct storage {
	struct io_uring ring;
	struct urx_queue *queue;
	struct urx_target *target;
	struct urx_target_info info;
};

static int failed(const char *what, int rc)
{
	fprintf(stderr, "%s: %s\n", what, strerror(-rc));
	return 1;
}

static void step(const char *what, const char *outcome, const char *by)
{
	printf("  %-46s %s%s%s\n", what, outcome, by ? ", by " : "", by ? by : "");
}

static void show_error(const struct urx_pi_error *e)
{
	printf("      block %llu: %s is %#llx, should be %#llx\n", (unsigned long long)e->block,
	       urx_check_str(e->check), (unsigned long long)e->actual,
	       (unsigned long long)e->expected);
}

/* With a ring for NVMe commands, where the kernel has one (5.19), and a side file where there is no device. */
static int storage_open(struct storage *s, const char *path)
{
	const struct urx_pi_format format = {
		.size = sizeof(format),
		.interval = 4096,
		.meta_size = 8,
		.guard = URX_GUARD_T10DIF,
		.pi_type = 1,
	};
	const char *why = "";
	struct urx_target_opts opts = { .size = sizeof(opts), .flags = URX_TARGET_WRITE, .why = &why };
	char side[4096];
	struct stat st;
	int rc;

	if (stat(path, &st) == 0 && S_ISREG(st.st_mode)) {
		snprintf(side, sizeof(side), "%s.pi", path);
		opts.flags |= URX_TARGET_CREATE_SIDE;
		opts.side_path = side;
		opts.side_format = &format;
	}
	rc = urx_target_open(&s->target, path, &opts);
	if (rc) {
		fprintf(stderr, "%s: %s\n", path, why);
		return rc;
	}
	s->info.size = sizeof(s->info);
	urx_target_query(s->target, &s->info);
	rc = io_uring_queue_init(4, &s->ring, IORING_SETUP_SQE128 | IORING_SETUP_CQE32);
	if (rc == -EINVAL)
		rc = io_uring_queue_init(4, &s->ring, 0);
	if (!rc)
		rc = urx_queue_open(&s->queue, URX_RING(&s->ring), NULL);
	return rc;
}

/* One request through the ring: bytes, or -errno; *result says more. */
static int submit(struct storage *s, const struct urx_rw *rw, struct urx_result *result)
{
	struct io_uring_cqe *cqe;
	struct urx_io io;
	int rc = urx_plan(s->queue, s->target, rw, &io);

	if (rc)
		return rc; /* nothing was submitted */
	urx_prep(io_uring_get_sqe(&s->ring), &io);
	io_uring_submit(&s->ring);
	while (io_uring_wait_cqe(&s->ring, &cqe))
		; /* a signal: io stays in use until its CQE has come */
	result->size = sizeof(*result);
	rc = urx_io_result(&io, cqe, result);
	io_uring_cqe_seen(&s->ring, cqe);
	return rc;
}

static int roundtrip(struct storage *s)
{
	const struct urx_pi_format *f = &s->info.format;
	struct urx_result result = { 0 };
	struct urx_pi pi;
	const char *why;
	int rc;

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
		.tags = { .checks = f->checks, .app = APP_TAG, .ref = s->info.start / f->interval },
	};
	for (size_t i = 0; i < rw.data_len; i++)
		data[i] = (unsigned char)(i * 31 + i / 4096); /* every block different */
	rc = urx_pi_generate(&pi, &rw.tags, data, meta, BLOCKS);
	if (rc)
		return failed("urx_pi_generate", rc);
	step("tuples made in software", "ok", NULL);

	rc = submit(s, &rw, &result);
	if (rc != (int)rw.data_len)
		return failed("write", rc);
	step("written, every tuple checked on arrival", "ok", urx_path_str(result.path));

	memset(data, 0, rw.data_len);
	memset(meta, 0, rw.meta_len);
	rw.op = URX_OP_READ;
	rc = submit(s, &rw, &result);
	if (rc != (int)rw.data_len)
		return failed("read", rc);
	step("read back, every tuple checked", "ok", urx_path_str(result.path));
	rc = urx_pi_verify(&pi, &rw.tags, data, meta, BLOCKS, NULL);
	if (rc)
		return failed("urx_pi_verify", rc);
	step("verified in software", "ok", NULL);

	data[5 * f->interval + 100] ^= 0x10;
	rw.op = URX_OP_WRITE;
	rc = submit(s, &rw, &result);
	if (rc != -EILSEQ || result.pi.block != 5 || result.pi.check != URX_CHECK_GUARD)
		return failed("a wrong bit in block 5 was not named", rc);
	step("one bit flipped, written", "refused", urx_path_str(result.path));
	show_error(&result.pi);

	rw.tags.checks = 0;
	rc = submit(s, &rw, &result);
	if (rc != (int)rw.data_len)
		return failed("write without checks", rc);
	step("written all the same, without checks", "ok", urx_path_str(result.path));
	rw.op = URX_OP_READ;
	rw.tags.checks = f->checks;
	rc = submit(s, &rw, &result);
	if (rc != -EILSEQ)
		return failed("a wrong bit was read", rc);
	step("read back", "refused", urx_path_str(result.path));
	rc = urx_diagnose(s->queue, s->target, &rw, &result);
	if (rc || result.pi.block != 5 || result.pi.check != URX_CHECK_GUARD)
		return failed("a wrong bit in block 5 was not found", rc);
	step("read again to find out", "found", NULL);
	show_error(&result.pi);

	data[5 * f->interval + 100] ^= 0x10;
	rw.op = URX_OP_WRITE;
	rc = submit(s, &rw, &result);
	if (rc != (int)rw.data_len)
		return failed("write of what was right", rc);
	step("made right again", "ok", urx_path_str(result.path));
	free(data);
	free(meta);
	return 0;
}

int main(int argc, char **argv)
{
	struct storage s = { 0 };
	const struct urx_pi_format *f = &s.info.format;
	int rc;

	if (argc != 2) {
		fprintf(stderr, "usage: %s FILE|DEVICE\n", argv[0]);
		return 2;
	}
	rc = storage_open(&s, argv[1]);
	if (rc)
		return failed(argv[1], rc);
	printf("%s: %s, %llu KiB\n", argv[1], urx_kind_str(s.info.kind),
	       (unsigned long long)s.info.bytes / 1024);
	if (f->guard == URX_GUARD_NONE || f->flags & URX_PI_INTERLEAVED) {
		fprintf(stderr, "%s: no protection information beside the data\n", argv[1]);
		rc = 77;
	} else {
		printf("  %u + %u bytes a block, type %u, %s guard, told by %s\n", f->interval, f->meta_size,
		       f->pi_type, urx_guard_str(f->guard), urx_source_str(s.info.source[URX_FACT_FORMAT]));
		rc = roundtrip(&s);
	}
	urx_queue_close(s.queue);
	urx_target_close(s.target);
	io_uring_queue_exit(&s.ring);
	return rc;
}
