/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* NULL, length 0, wrong sizes, reserved members, overlap and odd addresses, for every function. */
#include "urx_test.h"

static struct urx_pi pi;
static const struct urx_tags tags = { .checks = URX_CHECK_GUARD };
static uint8_t data[1024 + 16], meta[16];

static void null_pi(void)
{
	struct urx_pi_format f = format_of(URX_GUARD_T10DIF, 1, 512, 8, false);
	struct urx_pi_tuple tuple = { 0 };
	const char *why = NULL;

	CHECK_EQ(urx_pi_init(NULL, &f, &why), -EINVAL);
	CHECK(why && *why);
	CHECK_EQ(urx_pi_init(&pi, NULL, NULL), -EINVAL);
	CHECK_EQ(urx_pi_init(&pi, &f, NULL), 0);
	CHECK_EQ(urx_pi_generate(NULL, &tags, data, meta, 1), -EINVAL);
	CHECK_EQ(urx_pi_generate(&pi, NULL, data, meta, 1), -EINVAL);
	CHECK_EQ(urx_pi_generate(&pi, &tags, NULL, meta, 1), -EINVAL);
	CHECK_EQ(urx_pi_generate(&pi, &tags, data, NULL, 1), -EINVAL);
	CHECK_EQ(urx_pi_generate(&pi, &tags, NULL, NULL, 0), 0);
	CHECK_EQ(urx_pi_verify(NULL, &tags, data, meta, 1, NULL), -EINVAL);
	CHECK_EQ(urx_pi_verify(&pi, NULL, data, meta, 1, NULL), -EINVAL);
	CHECK_EQ(urx_pi_verify(&pi, &tags, NULL, meta, 1, NULL), -EINVAL);
	CHECK_EQ(urx_pi_verify(&pi, &tags, data, NULL, 1, NULL), -EINVAL);
	CHECK_EQ(urx_pi_verify(&pi, &tags, NULL, NULL, 0, NULL), 0);
	CHECK_EQ(urx_pi_tuple_get(NULL, meta, &tuple), -EINVAL);
	CHECK_EQ(urx_pi_tuple_get(&pi, NULL, &tuple), -EINVAL);
	CHECK_EQ(urx_pi_tuple_get(&pi, meta, NULL), -EINVAL);
	CHECK_EQ(urx_pi_tuple_set(NULL, meta, &tuple), -EINVAL);
	CHECK_EQ(urx_pi_tuple_set(&pi, NULL, &tuple), -EINVAL);
	CHECK_EQ(urx_pi_tuple_set(&pi, meta, NULL), -EINVAL);
	CHECK_EQ(urx_crc16_t10dif(7, NULL, 0), 7);
	CHECK_EQ(urx_crc32c(7, NULL, 0), 7);
	CHECK_EQ(urx_crc64_nvme(7, NULL, 0), 7);
	CHECK_EQ(urx_ip_checksum(7, NULL, 0), 7);
	/* More bytes than there can be: no overflow, no access. */
	CHECK_EQ(urx_pi_generate(&pi, &tags, data, meta, SIZE_MAX), -EINVAL);
	CHECK_EQ(urx_pi_generate(&pi, &tags, data, meta, SIZE_MAX / 512 + 2), -EINVAL);
	CHECK_EQ(urx_pi_verify(&pi, &tags, data, meta, SIZE_MAX / 8 + 2, NULL), -EINVAL);
}

static void overlap(void)
{
	struct urx_pi_format f = format_of(URX_GUARD_T10DIF, 1, 512, 8, false);
	struct urx_pi_report r = { .size = sizeof(r), .capacity = 1 };
	struct urx_pi inter;
	uint8_t before[sizeof(data)];

	memcpy(before, data, sizeof(data));
	CHECK_EQ(urx_pi_generate(&pi, &tags, data, data, 1), -EINVAL);
	CHECK_EQ(urx_pi_generate(&pi, &tags, data, data + 511, 1), -EINVAL);
	CHECK_EQ(urx_pi_generate(&pi, &tags, data + 7, data, 1), -EINVAL);
	CHECK_BYTES(data, before, sizeof(data), "refused");
	CHECK_EQ(urx_pi_generate(&pi, &tags, data, data + 512, 1), 0);
	CHECK_EQ(urx_pi_generate(&pi, &tags, data + 8, data, 1), 0);
	/* What is only read may overlap, unless errors are written into it. */
	CHECK_EQ(urx_pi_verify(&pi, &(struct urx_tags){ .checks = URX_CHECK_APP }, data, data, 1, NULL),
		 data[2] || data[3] ? -EILSEQ : 0);
	r.errors = (void *)data;
	CHECK_EQ(urx_pi_verify(&pi, &tags, data, meta, 1, &r), -EINVAL);
	r.errors = NULL;
	CHECK_EQ(urx_pi_verify(&pi, &tags, data, meta, 1, &r), -EINVAL);

	f.flags = URX_PI_INTERLEAVED;
	inter = pi_of(&f);
	CHECK_EQ(urx_pi_generate(&inter, &tags, data, meta, 1), -EINVAL);
	CHECK_EQ(urx_pi_verify(&inter, &tags, data, meta, 1, NULL), -EINVAL);
	CHECK_EQ(urx_pi_generate(&inter, &tags, data, NULL, 2), 0);
	CHECK_EQ(urx_pi_verify(&inter, &tags, data, NULL, 2, NULL), 0);
}

static void bad_tags(struct urx_tags bad)
{
	uint8_t before[sizeof(meta)];

	memcpy(before, meta, sizeof(meta));
	CHECK_EQ(urx_pi_generate(&pi, &bad, data, meta, 1), -EINVAL);
	CHECK_EQ(urx_pi_verify(&pi, &bad, data, meta, 1, NULL), -EINVAL);
	CHECK_BYTES(meta, before, sizeof(meta), "refused");
}

static void sizes(void)
{
	struct { struct urx_pi_format f; uint8_t tail[64]; } newer = {
		.f = format_of(URX_GUARD_T10DIF, 1, 512, 8, false),
	};
	struct urx_pi_report r = { .size = sizeof(r) }, bad;
	uint8_t odd[256 + 64 + 8];
	struct urx_tags local = tags;

	newer.f.size = sizeof(newer); /* from a newer header that is not used as such */
	CHECK_EQ(urx_pi_init(&pi, &newer.f, NULL), 0);
	newer.tail[63] = 1;
	CHECK_EQ(urx_pi_init(&pi, &newer.f, NULL), -E2BIG);

	bad_tags((struct urx_tags){ .checks = 16 });
	bad_tags((struct urx_tags){ .checks = 1, .keep = 16 });
	bad_tags((struct urx_tags){ .checks = 1, .reserved0 = 1 });
	bad_tags((struct urx_tags){ .checks = 1, .reserved = 1 });
	bad_tags((struct urx_tags){ .checks = 1, .storage = 1 });
	bad = r, bad.size = 0;
	CHECK_EQ(urx_pi_verify(&pi, &tags, data, meta, 1, &bad), -EINVAL);
	bad = r, bad.size = sizeof(r) - 1;
	CHECK_EQ(urx_pi_verify(&pi, &tags, data, meta, 1, &bad), -EINVAL);
	bad = r, bad.flags = 2;
	CHECK_EQ(urx_pi_verify(&pi, &tags, data, meta, 1, &bad), -EINVAL);
	bad = r, bad.reserved[1] = 1;
	CHECK_EQ(urx_pi_verify(&pi, &tags, data, meta, 1, &bad), -EINVAL);
	CHECK_EQ(bad.failed + bad.blocks, 0);

	/* Odd addresses for everything. */
	memcpy(odd + 1, &pi, sizeof(pi));
	memcpy(odd + 1 + sizeof(pi), &local, sizeof(local));
	CHECK_EQ(urx_pi_generate((void *)(odd + 1), (void *)(odd + 1 + sizeof(pi)), data + 1, meta + 3, 1), 0);
	CHECK_EQ(urx_pi_verify((void *)(odd + 1), (void *)(odd + 1 + sizeof(pi)), data + 1, meta + 3, 1,
			       NULL), 0);
}

static void null_requests(void)
{
	struct urx_attr_pi attr = { 0 };
	struct urx_target *target = (void *)1;
	struct urx_target_info info = { .size = sizeof(info) };
	struct urx_result result = { .size = sizeof(result) };
	struct urx_rw rw = { .size = sizeof(rw), .op = URX_OP_READ };
	struct io_uring_cqe cqe = { 0 };
	struct io_uring_sqe sqe;
	const char *why = NULL;

	urx_prep_rw_attr_pi(NULL, &attr);
	urx_prep_rw_attr_pi_inline(NULL, &attr);
	urx_sqe_clear_attr(NULL);
	urx_prep_read_meta(NULL, 0, data, 8, 0, &attr);
	urx_prep_write_meta(NULL, 0, data, 8, 0, &attr);
	urx_prep_readv_meta(NULL, 0, NULL, 8, 0, &attr);
	urx_prep_writev_meta(NULL, 0, NULL, 8, 0, &attr);
	urx_prep_read_fixed_meta(NULL, 0, data, 8, 0, 0, &attr);
	urx_prep_write_fixed_meta(NULL, 0, data, 8, 0, 0, &attr);
	urx_prep_readv_fixed_meta(NULL, 0, NULL, 8, 0, 0, &attr);
	urx_prep_writev_fixed_meta(NULL, 0, NULL, 8, 0, 0, &attr);

	CHECK_EQ(urx_target_open(NULL, "/proc/self/exe", NULL), -EINVAL);
	CHECK_EQ(urx_target_open(&target, NULL, NULL), -EINVAL);
	CHECK_EQ(urx_target_from_fd(NULL, 0, NULL), -EINVAL);
	CHECK_EQ(urx_target_query(NULL, &info), -EINVAL);
	urx_target_close(NULL);
	CHECK_EQ(urx_attr_check(NULL, 0, UINT32_MAX, NULL, &why), -EINVAL);
	CHECK(why && *why);
	CHECK_EQ(urx_attr_check(NULL, 0, UINT32_MAX, &rw, NULL), -EINVAL);
	CHECK_EQ(urx_prep_attr(&sqe, &attr, NULL, 0, UINT32_MAX, &rw), -EINVAL);
	CHECK_EQ(urx_attr_result(NULL, &rw, &cqe, &result), -EINVAL);

	CHECK_EQ(urx_target_open(&target, "/proc/self/exe", NULL), 0);
	CHECK_EQ(urx_target_query(target, NULL), -EINVAL);
	CHECK_EQ(urx_attr_result(target, NULL, &cqe, &result), -EINVAL);
	CHECK_EQ(urx_attr_result(target, &rw, NULL, &result), -EINVAL);
	cqe.res = 4096;
	CHECK_EQ(urx_attr_result(target, &rw, &cqe, NULL), 4096);
	CHECK_EQ(urx_attr_result(target, &rw, &cqe, &result), 4096);
	CHECK_EQ(result.res, 4096);
	CHECK_EQ(result.path, URX_PATH_ATTR);
	cqe.res = -EIO;
	CHECK_EQ(urx_attr_result(target, &rw, &cqe, &result), -EIO);
	CHECK_EQ(result.pi.check | result.pi.flags, 0);
	result.size = 1;
	CHECK_EQ(urx_attr_result(target, &rw, &cqe, &result), -EINVAL);
	urx_target_close(target);
}

static void null_ladder(void)
{
	struct urx_queue_opts opts = { .size = sizeof(opts) }, bad;
	struct urx_result result = { .size = sizeof(result) };
	struct urx_rw rw = { .size = sizeof(rw), .op = URX_OP_FLUSH }, broken;
	struct urx_target *target;
	struct urx_queue *queue = (void *)1, *own;
	uint64_t sqe_words[16], cqe_words[4] = { 0 };
	struct io_uring_sqe *sqe = (void *)sqe_words;
	struct io_uring_cqe *cqe = (void *)cqe_words;
	struct urx_io io;
	const char *why = NULL;

	memset(sqe_words, 0x5a, sizeof(sqe_words));
	CHECK_EQ(urx_target_open(&target, "/proc/self/exe", NULL), 0);

	CHECK_EQ(urx_queue_open(NULL, 0, 0, 0, NULL), -EINVAL);
	CHECK_EQ(urx_queue_open(&queue, -2, 0, 0, NULL), -EINVAL);
	CHECK(!queue);
	CHECK_EQ(urx_queue_open(&queue, -1, 1, 0, NULL), -EINVAL);
	bad = opts, bad.size = 1;
	CHECK_EQ(urx_queue_open(&queue, 0, 0, 0, &bad), -EINVAL);
	bad = opts, bad.allow = 32;
	CHECK_EQ(urx_queue_open(&queue, 0, 0, 0, &bad), -EINVAL);
	bad = opts, bad.reserved[5] = 1;
	CHECK_EQ(urx_queue_open(&queue, 0, 0, 0, &bad), -EINVAL);
	CHECK(!queue);
	CHECK_EQ(urx_queue_open(&queue, 0, 0, 0, &opts), 0);
	CHECK_EQ(urx_queue_open(&own, -1, 0, 0, NULL), 0);
	urx_queue_close(NULL);

	/* Memory that was never planned, whatever is in it. */
	memset(&io, 0, sizeof(io));
	for (int n = 0; n < 3; n++) {
		urx_io_drop(&io);
		CHECK_EQ(urx_io_result(&io, cqe, &result), -EINVAL);
		urx_prep(sqe, &io);
		fill(&io, sizeof(io), (uint64_t)n);
	}
	urx_io_drop(NULL);
	urx_prep(NULL, &io);
	urx_prep(NULL, NULL);
	sqe->user_data = 77;
	urx_prep(sqe, NULL);
	CHECK_EQ(sqe->user_data, 77);
	CHECK_EQ(urx_io_result(NULL, cqe, &result), -EINVAL);
	CHECK_EQ(urx_io_result(&io, NULL, &result), -EINVAL);

	CHECK_EQ(urx_plan(NULL, target, &rw, &io), -EINVAL);
	CHECK_EQ(urx_plan(queue, NULL, &rw, &io), -EINVAL);
	CHECK_EQ(urx_plan(queue, target, NULL, &io), -EINVAL);
	CHECK_EQ(urx_plan(queue, target, &rw, NULL), -EINVAL);
	CHECK_EQ(urx_plan(queue, target, &rw, (void *)((char *)&io + 1)), -EINVAL);
	CHECK_EQ(urx_plan(own, target, &rw, &io), -EINVAL); /* its ring is for urx_run() */
	CHECK_EQ(urx_plan(queue, target, &rw, &io), -EOPNOTSUPP); /* a bare file has no blocks */
	CHECK_EQ(urx_run(own, target, &rw, &result), -EOPNOTSUPP);
	broken = rw, broken.size = 1;
	CHECK_EQ(urx_plan(queue, target, &broken, &io), -EINVAL);
	broken = rw, broken.op = 11;
	CHECK_EQ(urx_plan(queue, target, &broken, &io), -EINVAL);
	broken = rw, broken.flags = 32;
	CHECK_EQ(urx_plan(queue, target, &broken, &io), -EINVAL);
	broken = rw, broken.allow = 32;
	CHECK_EQ(urx_plan(queue, target, &broken, &io), -EINVAL);
	broken = rw, broken.reserved1 = 1;
	CHECK_EQ(urx_plan(queue, target, &broken, &io), -EINVAL);
	broken = rw, broken.op = URX_OP_READ, broken.flags = URX_RW_IOVEC, broken.data_len = 1;
	CHECK_EQ(urx_plan(queue, target, &broken, &io), -EINVAL);
	broken.data = data, broken.data_len = 1025;
	CHECK_EQ(urx_plan(queue, target, &broken, &io), -EINVAL);

	CHECK_EQ(urx_run(NULL, target, &rw, &result), -EINVAL);
	CHECK_EQ(urx_run(own, NULL, &rw, &result), -EINVAL);
	CHECK_EQ(urx_run(own, target, NULL, &result), -EINVAL);
	CHECK_EQ(urx_run(queue, target, &rw, NULL), -EINVAL);
	CHECK_EQ(urx_diagnose(NULL, NULL, &rw, &result), -EINVAL);
	CHECK_EQ(urx_diagnose(NULL, target, NULL, &result), -EINVAL);
	CHECK_EQ(urx_diagnose(NULL, target, &rw, NULL), -EINVAL);

	CHECK_EQ(urx_explain(queue, NULL, &rw, URX_PATH_ATTR, &why), -EINVAL);
	CHECK(why && *why);
	for (uint32_t path = 0; path <= 32; path++) {
		int one = path == 1 || path == 2 || path == 4 || path == 8 || path == 16;

		why = NULL;
		CHECK_EQ(urx_explain(queue, target, NULL, path, &why), one ? -EOPNOTSUPP : -EINVAL);
		CHECK(why && *why);
		CHECK_EQ(urx_explain(NULL, target, NULL, path, NULL), one ? -EOPNOTSUPP : -EINVAL);
	}

	CHECK_EQ(urx_prep_nvme(NULL, target, &rw), -EINVAL);
	CHECK_EQ(urx_prep_nvme(sqe, NULL, &rw), -EINVAL);
	CHECK_EQ(urx_prep_nvme(sqe, target, NULL), -EINVAL);
	CHECK_EQ(urx_prep_nvme_mixed(NULL, target, &rw), -EINVAL);
	CHECK_EQ(urx_prep_nvme_mixed(sqe, NULL, &rw), -EINVAL);
	CHECK_EQ(urx_prep_zone_append(NULL, target, 0, data, 512), -EINVAL);
	CHECK_EQ(urx_prep_zone_append(sqe, NULL, 0, data, 512), -EINVAL);
	CHECK_EQ(urx_nvme_result(NULL, &result), -EINVAL);
	CHECK_EQ(urx_nvme_result(cqe, NULL), 0);
	result.size = 1;
	CHECK_EQ(urx_nvme_result(cqe, &result), -EINVAL);

	CHECK_EQ(urx_target_refresh(NULL), -EINVAL);
	CHECK_EQ(urx_target_refresh(target), 0);
	CHECK_EQ(urx_target_flush(NULL), -EINVAL);
	CHECK_EQ(urx_target_adopt(NULL, &tags), -EINVAL);
	CHECK_EQ(urx_target_adopt(target, NULL), -EINVAL);
	CHECK_EQ(urx_target_adopt(target, &tags), -EOPNOTSUPP);
	urx_queue_close(queue);
	urx_queue_close(own);
	urx_target_close(target);
}

int main(void)
{
	fill(data, sizeof(data), 1);
	null_ladder();
	null_pi();
	overlap();
	sizes();
	null_requests();
	return 0;
}
