/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Fused commands given NULL, wrong sizes, unknown bits, memory that was never planned. A character device that is
 * none of ublk's stands for one: nothing is submitted.
 */
#include "urx_test.h"

static struct urx_queue *queue;
static struct urx_ublk_desc descs[4];
static struct urx_ublk *ublk;
static int zero;

static struct urx_ublk_opts good(void)
{
	return (struct urx_ublk_opts){ .size = sizeof(struct urx_ublk_opts), .char_fd = zero, .depth = 4,
				       .features = URX_UBLK_F_ZERO_COPY, .descs = descs, .buf_base = 8,
				       .buf_count = 2 };
}

static void refused(struct urx_ublk_opts opts, int want, const char *word)
{
	struct urx_ublk *made = (void *)1;
	const char *why = NULL;

	CHECK_EQ(urx_ublk_open(&made, queue, &opts, &why), want);
	CHECK(!made);
	if (!begins(why, word))
		FAIL("%s", why);
}

#define WITH(member, value, want, word)                                                              \
	do {                                                                                         \
		struct urx_ublk_opts opts_ = good();                                                 \
		opts_.member = (value);                                                              \
		refused(opts_, want, word);                                                          \
	} while (0)

static void opening(void)
{
	struct urx_ublk_opts opts = good();
	struct urx_queue *iopoll;
	const char *why = NULL;
	struct urx_ublk *made;

	CHECK_EQ(urx_ublk_open(NULL, queue, &opts, NULL), -EINVAL);
	CHECK_EQ(urx_ublk_open(&made, NULL, &opts, NULL), -EINVAL);
	CHECK_EQ(urx_ublk_open(&made, queue, NULL, NULL), -EINVAL);
	WITH(size, 63, -EINVAL, "size: ");
	WITH(allow, 16, -EINVAL, "allow: ");
	WITH(allow, URX_FUSED_USER_COPY, -EOPNOTSUPP, "allow: ");
	WITH(char_fd, -1, -EBADF, "");
	WITH(char_fd, 9999, -EBADF, "");
	WITH(depth, 0, -EINVAL, "depth: ");
	WITH(depth, 4097, -EINVAL, "depth: ");
	WITH(features, 1ull << 15, -EOPNOTSUPP, "features: ");
	WITH(features, 1ull << 2, -EOPNOTSUPP, "features: ");
	WITH(features, URX_UBLK_F_AUTO_BUF_REG, -EINVAL, "buf_count: ");
	WITH(descs, NULL, -EINVAL, "descs: ");
	WITH(descs, (void *)((char *)descs + 4), -EINVAL, "descs: ");
	WITH(buf_count, 0, -EINVAL, "buf_count: ");
	WITH(buf_base, 65535, -EINVAL, "buf_count: ");
	WITH(reserved0, 1, -EINVAL, "reserved: ");
	WITH(reserved[1], 1, -EINVAL, "reserved: ");
	opts.char_fd = open("/proc/self/exe", O_RDONLY);
	refused(opts, -EINVAL, "char_fd: ");
	close(opts.char_fd);
	CHECK_EQ(urx_queue_open(&iopoll, 0, RING_IOPOLL, 0, NULL), 0);
	opts = good();
	CHECK_EQ(urx_ublk_open(&made, iopoll, &opts, &why), -EOPNOTSUPP);
	CHECK(begins(why, "queue: "));
	urx_queue_close(iopoll);
	urx_ublk_close(NULL);
}

static void preparing(void)
{
	uint8_t bytes[64], before[64];
	struct io_uring_sqe *sqe = (void *)bytes;
	uint16_t index;

	memset(bytes, 0x5a, sizeof(bytes));
	memcpy(before, bytes, sizeof(bytes));
	CHECK_EQ(urx_prep_ublk_fetch(NULL, ublk, 0, NULL), -EINVAL);
	CHECK_EQ(urx_prep_ublk_fetch(sqe, NULL, 0, NULL), -EINVAL);
	CHECK_EQ(urx_prep_ublk_fetch(sqe, ublk, 4, NULL), -EINVAL);
	CHECK_EQ(urx_prep_ublk_fetch(sqe, ublk, 0, bytes), -EINVAL);
	CHECK_EQ(urx_prep_ublk_commit(NULL, ublk, 0, 0), -EINVAL);
	CHECK_EQ(urx_prep_ublk_commit(sqe, NULL, 0, 0), -EINVAL);
	CHECK_EQ(urx_prep_ublk_commit(sqe, ublk, 4, 0), -EINVAL);
	CHECK_EQ(urx_prep_ublk_register(NULL, ublk, 0, 8), -EINVAL);
	CHECK_EQ(urx_prep_ublk_register(sqe, NULL, 0, 8), -EINVAL);
	CHECK_EQ(urx_prep_ublk_register(sqe, ublk, 4, 8), -EINVAL);
	CHECK_EQ(urx_prep_ublk_unregister(NULL, ublk, 0, 8), -EINVAL);
	CHECK_EQ(urx_prep_ublk_unregister(sqe, NULL, 0, 8), -EINVAL);
	CHECK_EQ(urx_prep_ublk_unregister(sqe, ublk, 4, 8), -EINVAL);
	CHECK_BYTES(bytes, before, sizeof(bytes), "refused");
	CHECK_EQ(urx_ublk_buf_get(NULL, &index), -EINVAL);
	CHECK_EQ(urx_ublk_buf_get(ublk, NULL), -EINVAL);
	CHECK_EQ(urx_ublk_buf_put(NULL, 8), -EINVAL);
	CHECK_EQ(urx_ublk_buf_put(ublk, 8), -EINVAL);
	/* NULL took none of the two. */
	CHECK_EQ(urx_ublk_buf_get(ublk, &index), 0);
	CHECK_EQ(urx_ublk_buf_get(ublk, &index), 0);
	CHECK_EQ(urx_ublk_buf_get(ublk, &index), -EAGAIN);
	CHECK_EQ(urx_ublk_buf_put(ublk, 8), 0);
	CHECK_EQ(urx_ublk_buf_put(ublk, 9), 0);
	/* At odd addresses. */
	CHECK_EQ(urx_prep_ublk_fetch((void *)(bytes + 0), ublk, 3, NULL), 0);
	CHECK_EQ(sqe->user_data, 0x5a5a5a5a5a5a5a5a);
	CHECK_EQ(sqe->fd, zero);
}

static void commands(void)
{
	struct io_uring_sqe sqe = { 0 }, filled[3], before[3], *sqes[3] = { &filled[0], &filled[1], &filled[2] };
	struct io_uring_cqe cqe = { 0 };
	struct urx_fused fused;
	const char *why;

	io_uring_prep_write(&sqe, 1, NULL, 512, 0);
	descs[0].nr_sectors = 1;
	descs[1] = (struct urx_ublk_desc){ .op_flags = URX_UBLK_OP_WRITE, .nr_sectors = 1 };

	/* Memory that was never planned, whatever is in it. */
	memset(filled, 0x5a, sizeof(filled));
	memcpy(before, filled, sizeof(filled));
	memset(&fused, 0, sizeof(fused));
	for (int n = 0; n < 3; n++) {
		urx_fused_drop(&fused);
		CHECK_EQ(urx_fused_result(&fused, 0, &cqe), -EINVAL);
		CHECK_EQ(urx_prep_fused_cmd(sqes, 3, &fused), -EINVAL);
		fill(&fused, sizeof(fused), (uint64_t)n);
	}
	urx_fused_drop(NULL);
	CHECK_EQ(urx_fused_result(NULL, 0, &cqe), -EINVAL);
	CHECK_EQ(urx_prep_fused_cmd(sqes, 3, NULL), -EINVAL);

	CHECK_EQ(urx_fused_plan(NULL, &fused, 1, &sqe, 1, &why), -EINVAL);
	CHECK(why && *why);
	CHECK_EQ(urx_fused_plan(ublk, NULL, 1, &sqe, 1, NULL), -EINVAL);
	CHECK_EQ(urx_fused_plan(ublk, (void *)((char *)&fused + 1), 1, &sqe, 1, NULL), -EINVAL);
	CHECK_EQ(urx_fused_plan(ublk, &fused, 1, NULL, 1, NULL), -EINVAL);
	CHECK_EQ(urx_fused_plan(ublk, &fused, 1, &sqe, 0, NULL), -EINVAL);
	CHECK_EQ(urx_fused_plan(ublk, &fused, 1, &sqe, UINT32_MAX, NULL), -EINVAL);
	CHECK_EQ(urx_fused_plan(ublk, &fused, 4, &sqe, 1, NULL), -EINVAL);
	CHECK_EQ(urx_fused_plan(ublk, &fused, 0, &sqe, 1, NULL), -EFAULT); /* that one is a read */
	io_uring_prep_writev(&sqe, 1, NULL, 1, 0);
	CHECK_EQ(urx_fused_plan(ublk, &fused, 1, &sqe, 1, &why), -EINVAL);
	CHECK(begins(why, "secondaries: addr: "));
	sqe.addr = 4096, sqe.len = 1025;
	CHECK_EQ(urx_fused_plan(ublk, &fused, 1, &sqe, 1, &why), -EINVAL);
	CHECK(begins(why, "secondaries: len: "));
	sqe.len = 0;
	CHECK_EQ(urx_fused_plan(ublk, &fused, 1, &sqe, 1, &why), -EINVAL);

	io_uring_prep_write(&sqe, 1, NULL, 512, 0);
	for (int n = 0; n < 3; n++) {
		CHECK_EQ(urx_fused_plan(ublk, &fused, 1, &sqe, 1, &why), 0);
		CHECK(why && *why);
		CHECK_EQ(urx_fused_plan(ublk, &fused, 1, &sqe, 1, NULL), -EBUSY);
		CHECK_EQ(urx_prep_fused_cmd(NULL, 3, &fused), -EINVAL);
		CHECK_EQ(urx_prep_fused_cmd(sqes, 0, &fused), -EINVAL);
		CHECK_EQ(urx_prep_fused_cmd(sqes, 2, &fused), -EINVAL);
		CHECK_EQ(urx_prep_fused_cmd(sqes, UINT32_MAX, &fused), -EINVAL);
		sqes[2] = NULL;
		CHECK_EQ(urx_prep_fused_cmd(sqes, 3, &fused), -EINVAL);
		sqes[2] = &filled[2];
		CHECK_BYTES(filled, before, sizeof(filled), "refused");
		CHECK_EQ(urx_fused_result(&fused, 0, &cqe), -EINVAL); /* not prepared yet */
		CHECK_EQ(urx_ublk_buf_put(ublk, (uint16_t)(8 + n % 2)), -EINVAL); /* the command's */
		urx_fused_drop(&fused);
		urx_fused_drop(&fused);
		CHECK_EQ(urx_fused_result(&fused, 0, &cqe), -EINVAL);
	}
	CHECK_EQ(urx_fused_plan(ublk, &fused, 1, &sqe, 1, NULL), 0);
	CHECK_EQ(urx_prep_fused_cmd(sqes, 3, &fused), 0);
	for (int n = 0; n < 3; n++)
		CHECK_EQ(filled[n].user_data, 0x5a5a5a5a5a5a5a5a);
	CHECK_EQ(urx_fused_result(&fused, 3, &cqe), -EINVAL);
	CHECK_EQ(urx_fused_result(&fused, UINT32_MAX, &cqe), -EINVAL);
	CHECK_EQ(urx_fused_result(&fused, 0, NULL), -EINVAL);
	CHECK_EQ(fused.pending, 3);
	CHECK_EQ(urx_fused_result(&fused, 2, &cqe), 2);
	CHECK_EQ(urx_fused_result(&fused, 2, &cqe), -EINVAL);
	CHECK_EQ(urx_fused_result(&fused, 0, &cqe), 1);
	cqe.res = INT32_MAX;
	CHECK_EQ(urx_fused_result(&fused, 1, &cqe), 0);
	CHECK_EQ(fused.res, 512);
	CHECK_EQ(fused.secondary_res[0], INT32_MAX);
	/* A copy is no command. */
	CHECK_EQ(urx_fused_plan(ublk, &fused, 1, &sqe, 1, NULL), 0);
	struct urx_fused copy = fused;
	CHECK_EQ(urx_prep_fused_cmd(sqes, 3, &copy), -EINVAL);
	urx_fused_drop(&copy);
	urx_fused_drop(&fused);
}

int main(void)
{
	struct urx_ublk_opts opts;

	zero = open("/dev/zero", O_RDWR);
	CHECK_EQ(urx_queue_open(&queue, 0, 0, 0, NULL), 0);
	opening();
	opts = good();
	CHECK_EQ(urx_ublk_open(&ublk, queue, &opts, NULL), 0);
	preparing();
	commands();
	urx_ublk_close(ublk);
	urx_queue_close(queue);
	return 0;
}
