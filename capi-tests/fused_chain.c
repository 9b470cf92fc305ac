/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Buffers that are registered for a command: what happens when that cannot be done, when something of the chain is
 * cancelled, when the driver could not do it by itself; indices that are used again and again.
 */
#include "ublk.h"

#define LEN 8192u
#define BASE 3

static struct server s;
static uint8_t *file_data;
static int file;

static int plan_write(int tag, struct urx_fused *fused, const char **why)
{
	struct io_uring_sqe sqe = { 0 };

	io_uring_prep_write(&sqe, file, NULL, LEN, 0);
	return urx_fused_plan(s.ublk, fused, (uint16_t)tag, &sqe, 1, why);
}

/* Prepares a command and gives its SQEs, not submitted. */
static void prepare(struct urx_fused *fused, struct io_uring_sqe **sqes)
{
	for (uint32_t n = 0; n < fused->nr_sqes; n++)
		sqes[n] = server_sqe(&s, WORD_FUSED | n);
	CHECK_EQ(urx_prep_fused_cmd(sqes, fused->nr_sqes, fused), 0);
}

static int by_hand(void)
{
	struct io_uring_cqe cqe;

	CHECK_EQ(io_uring_submit(&s.ring), 1);
	CHECK(server_reap(&s, &cqe, NULL));
	CHECK_EQ(cqe.user_data, WORD_OTHER);
	return cqe.res;
}

static void up(uint64_t flags, uint32_t count)
{
	server_add(&s, flags, 0, (struct urx_ublk_opts){ .buf_base = BASE, .buf_count = count });
	server_start(&s);
}

/* The only index has another request's buffer. */
static void occupied(void)
{
	uint8_t *first = pages(LEN), *second = pages(LEN);
	struct io_uring_sqe *sqes[3];
	struct urx_fused fused;
	struct user u[2];
	const char *why;
	int tag[2];

	up(URX_UBLK_F_ZERO_COPY, 1);
	fill(first, LEN, 1);
	fill(second, LEN, 2);
	memset(file_data, 0, LEN);
	user_begin(&s, &u[0], true, first, LEN, 0);
	tag[0] = server_take(&s, NULL);
	user_begin(&s, &u[1], true, second, LEN, LEN);
	tag[1] = server_take(&s, NULL);
	CHECK_EQ(urx_prep_ublk_register(server_sqe(&s, WORD_OTHER), s.ublk, (uint16_t)tag[0], BASE), 0);
	CHECK_EQ(by_hand(), 0);

	/* What a hard link would have done: the first request's bytes where the second's were to be. */
	CHECK_EQ(plan_write(tag[1], &fused, &why), 0);
	CHECK_EQ(fused.path, URX_FUSED_REGISTER);
	prepare(&fused, sqes);
	CHECK_EQ(sqes[0]->flags, IOSQE_IO_LINK);
	CHECK_EQ(sqes[1]->flags, IOSQE_IO_HARDLINK);
	CHECK_EQ(sqes[2]->flags, 0);
	sqes[0]->flags = IOSQE_IO_HARDLINK;
	sqes[2]->flags = 0;
	io_uring_prep_nop(sqes[2]); /* which would unregister the other one's */
	CHECK_EQ(io_uring_submit(&s.ring), 3);
	for (int n = 0; n < 3; n++) {
		struct io_uring_cqe cqe;

		CHECK(server_reap(&s, &cqe, NULL));
		CHECK_EQ(cqe.res, cqe.user_data == WORD_FUSED ? -EBUSY : cqe.user_data == (WORD_FUSED | 1) ? (int)LEN : 0);
	}
	urx_fused_drop(&fused);
	CHECK_BYTES(file_data, first, LEN, "corrupted, as expected of a hard link");

	/* Dropped while it was under way, so its index is given up; the next device has it anew. */
	CHECK_EQ(plan_write(tag[1], &fused, &why), -EAGAIN);
	CHECK(begins(why, "buf_count: "));
	CHECK_EQ(urx_prep_ublk_unregister(server_sqe(&s, WORD_OTHER), s.ublk, (uint16_t)tag[0], BASE), 0);
	CHECK_EQ(by_hand(), 0);
	server_commit(&s, tag[0], LEN);
	server_commit(&s, tag[1], LEN);
	CHECK_EQ(user_end(&u[0]), LEN);
	CHECK_EQ(user_end(&u[1]), LEN);
	server_down(&s);

	/* The same with the library's own links. */
	up(URX_UBLK_F_ZERO_COPY, 2);
	memset(file_data, 0x77, LEN);
	user_begin(&s, &u[0], true, first, LEN, 0);
	tag[0] = server_take(&s, NULL);
	user_begin(&s, &u[1], true, second, LEN, LEN);
	tag[1] = server_take(&s, NULL);
	for (unsigned n = 0; n < 2; n++) { /* whichever it takes */
		CHECK_EQ(urx_prep_ublk_register(server_sqe(&s, WORD_OTHER), s.ublk, (uint16_t)tag[0],
						(uint16_t)(BASE + n)), 0);
		CHECK_EQ(by_hand(), 0);
	}
	CHECK_EQ(plan_write(tag[1], &fused, &why), 0);
	CHECK_EQ(server_finish(&s, &fused), -EBUSY);
	CHECK_EQ(fused.secondary_res[0], -ECANCELED);
	for (size_t n = 0; n < LEN; n++)
		CHECK_EQ(file_data[n], 0x77);
	/* An index that somebody else uses is not tried again; then there is none left. */
	CHECK_EQ(plan_write(tag[1], &fused, &why), 0);
	CHECK_EQ(server_finish(&s, &fused), -EBUSY);
	CHECK_EQ(plan_write(tag[1], &fused, &why), -EAGAIN);
	for (unsigned n = 0; n < 2; n++) {
		CHECK_EQ(urx_prep_ublk_unregister(server_sqe(&s, WORD_OTHER), s.ublk, (uint16_t)tag[0],
						  (uint16_t)(BASE + n)), 0);
		CHECK_EQ(by_hand(), 0);
	}
	server_commit(&s, tag[0], LEN);
	server_commit(&s, tag[1], -EIO);
	CHECK_EQ(user_end(&u[0]), LEN);
	CHECK_EQ(user_end(&u[1]), -EIO);
	server_down(&s);
	free(first);
	free(second);
}

/* With one index each of these has to give it back. */
static void cancelled(void)
{
	uint8_t *data = pages(LEN);
	struct io_uring_sqe *sqes[3], sqe = { 0 };
	struct io_uring_cqe cqe;
	struct urx_fused fused, other;
	struct user u;
	const char *why;
	int tag, pair[2];

	up(URX_UBLK_F_ZERO_COPY, 1);
	fill(data, LEN, 3);
	memset(file_data, 0x77, LEN);
	user_begin(&s, &u, true, data, LEN, 0);
	tag = server_take(&s, NULL);

	/* Never submitted. */
	for (int n = 0; n < 3; n++) {
		CHECK_EQ(plan_write(tag, &fused, &why), 0);
		CHECK_EQ(plan_write(tag, &other, &why), -EAGAIN);
		urx_fused_drop(&fused);
		CHECK_EQ(fused.pending | fused.nr_sqes, 0);
	}
	/* Linked behind something that fails: REGISTER is cancelled, and all with it. */
	CHECK_EQ(plan_write(tag, &fused, &why), 0);
	io_uring_prep_read(server_sqe(&s, WORD_OTHER), -1, NULL, 1, 0);
	s.ring.sq.sqes[(s.ring.sq.sqe_tail - 1) & (s.ring.sq.ring_entries - 1)].flags = IOSQE_IO_LINK;
	prepare(&fused, sqes);
	CHECK_EQ(io_uring_submit(&s.ring), 4);
	for (int n = 0; n < 4; n++) {
		CHECK(server_reap(&s, &cqe, NULL));
		if (cqe.user_data == WORD_OTHER)
			CHECK_EQ(cqe.res, -EBADF);
		else
			CHECK_EQ(urx_fused_result(&fused, (uint32_t)cqe.user_data, &cqe), 3 - n);
	}
	CHECK_EQ(fused.res, -ECANCELED);
	CHECK_EQ(fused.secondary_res[0], -ECANCELED);
	CHECK_EQ(file_data[0], 0x77);

	/* UNREGISTER is cancelled, which a soft link behind a secondary that fails does: it is asked for alone. */
	CHECK_EQ(plan_write(tag, &fused, &why), 0);
	prepare(&fused, sqes);
	sqes[1]->flags = IOSQE_IO_LINK;
	sqes[1]->fd = -1;
	CHECK_EQ(io_uring_submit(&s.ring), 3);
	for (int n = 0; n < 3; n++) {
		CHECK(server_reap(&s, &cqe, NULL));
		CHECK_EQ(urx_fused_result(&fused, (uint32_t)cqe.user_data, &cqe), n < 2 ? 2 - n : 1);
	}
	CHECK_EQ(fused.nr_sqes, 1);
	CHECK_EQ(fused.pending, 1);
	CHECK_EQ(plan_write(tag, &other, &why), -EAGAIN); /* the buffer is still there */
	CHECK_EQ(server_finish(&s, &fused), -EBADF);
	CHECK_EQ(fused.nr_sqes, 0);
	CHECK_EQ(urx_fused_result(&fused, 0, &cqe), -EINVAL);

	/* An operation that a kernel does not know cancels the chain before it starts: the cause is told. */
	CHECK_EQ(plan_write(tag, &fused, &why), 0);
	prepare(&fused, sqes);
	sqes[1]->opcode = 255;
	CHECK_EQ(io_uring_submit(&s.ring), 3);
	CHECK_EQ(fused.pending, 3);
	CHECK_EQ(server_finish(&s, &fused), -EINVAL);

	/* Then it works as ever. */
	CHECK_EQ(plan_write(tag, &fused, &why), 0);
	CHECK_EQ(server_finish(&s, &fused), LEN);
	CHECK_BYTES(file_data, data, LEN, "in the end");
	server_commit(&s, tag, fused.res);
	CHECK_EQ(user_end(&u), LEN);

	/* A secondary that waits, and is cancelled: READ from a pipe that nobody writes to. */
	CHECK_EQ(pipe(pair), 0);
	user_begin(&s, &u, false, data, LEN, 0);
	tag = server_take(&s, NULL);
	io_uring_prep_read(&sqe, pair[0], NULL, LEN, 0);
	CHECK_EQ(urx_fused_plan(s.ublk, &fused, (uint16_t)tag, &sqe, 1, &why), 0);
	server_issue(&s, &fused);
	CHECK(server_reap(&s, &cqe, NULL)); /* REGISTER */
	CHECK_EQ(cqe.user_data, WORD_FUSED);
	CHECK_EQ(urx_fused_result(&fused, 0, &cqe), 2);
	CHECK_EQ(urx_fused_result(&fused, 0, &cqe), -EINVAL); /* once */
	CHECK_EQ(urx_fused_result(&fused, 3, &cqe), -EINVAL);
	CHECK_EQ(urx_fused_result(&fused, 1, NULL), -EINVAL);
	CHECK_EQ(urx_prep_fused_cmd(sqes, 3, &fused), -EINVAL);
	io_uring_prep_cancel64(server_sqe(&s, WORD_OTHER), WORD_FUSED | 1, 0);
	CHECK_EQ(io_uring_submit(&s.ring), 1);
	for (int n = 0; n < 3; n++) {
		CHECK(server_reap(&s, &cqe, NULL));
		if (cqe.user_data != WORD_OTHER)
			CHECK(urx_fused_result(&fused, (uint32_t)cqe.user_data, &cqe) >= 0);
	}
	CHECK_EQ(fused.pending, 0);
	CHECK(fused.res == -ECANCELED || fused.res == -EINTR);
	server_commit(&s, tag, -EIO);
	CHECK_EQ(user_end(&u), -EIO);
	close(pair[0]);
	close(pair[1]);

	/* The device's queue is closed while a command is under way. */
	user_begin(&s, &u, true, data, LEN, 0);
	tag = server_take(&s, NULL);
	CHECK_EQ(plan_write(tag, &fused, &why), 0);
	server_issue(&s, &fused);
	CHECK_EQ(urx_prep_ublk_commit(&sqe, s.ublk, (uint16_t)tag, LEN), 0);
	urx_ublk_close(s.ublk);
	s.ublk = NULL;
	CHECK_EQ(server_finish(&s, &fused), LEN);
	sqe.user_data = WORD_FETCH | (unsigned)tag;
	memcpy(server_sqe(&s, 0), &sqe, sizeof(sqe));
	CHECK_EQ(io_uring_submit(&s.ring), 1);
	CHECK_EQ(user_end(&u), LEN);
	server_down(&s);
	free(data);
}

/* Two indices for a thousand commands, all on one request, two at a time. */
static void again(void)
{
	uint8_t *data = pages(MOST_BYTES), *got = malloc(MOST_BYTES);
	int big = memfd_create("big", 0), tag;
	struct urx_fused fused[2];
	struct io_uring_cqe cqe;
	struct user u;

	up(URX_UBLK_F_ZERO_COPY, 2);
	fill(data, MOST_BYTES, 4);
	user_begin(&s, &u, true, data, MOST_BYTES, 0);
	tag = server_take(&s, NULL);
	for (uint32_t n = 0; n < 1000; n += 2) {
		uint32_t left = 6;

		for (uint32_t m = 0; m < 2; m++) {
			struct io_uring_sqe sqe = { 0 }, *sqes[3];

			io_uring_prep_write(&sqe, big, (void *)(uintptr_t)((n + m) * 512), 512, (n + m) * 512);
			CHECK_EQ(urx_fused_plan(s.ublk, &fused[m], (uint16_t)tag, &sqe, 1, NULL), 0);
			for (uint32_t k = 0; k < 3; k++)
				sqes[k] = server_sqe(&s, WORD_FUSED | m << 8 | k);
			CHECK_EQ(urx_prep_fused_cmd(sqes, 3, &fused[m]), 0);
		}
		CHECK_EQ(io_uring_submit(&s.ring), 6);
		for (; left > 0; left--) {
			CHECK(server_reap(&s, &cqe, NULL));
			CHECK(urx_fused_result(&fused[cqe.user_data >> 8 & 1], cqe.user_data & 255, &cqe) >= 0);
		}
		CHECK_EQ(fused[0].pending | fused[1].pending, 0);
		CHECK_EQ(fused[0].res, 512);
		CHECK_EQ(fused[1].res, 512);
	}
	server_commit(&s, tag, MOST_BYTES);
	CHECK_EQ(user_end(&u), MOST_BYTES);
	CHECK_EQ(pread(big, got, MOST_BYTES, 0), 512000);
	CHECK_BYTES(got, data, 512000, "a thousand");
	close(big);

	/* The same by hand, for as long as the program likes. */
	for (uint16_t n = 0; n < 1000; n++) {
		uint16_t index[2], none;

		CHECK_EQ(urx_ublk_buf_get(s.ublk, &index[0]), 0);
		CHECK_EQ(urx_ublk_buf_get(s.ublk, &index[1]), 0);
		CHECK_EQ(index[0] + index[1], 2 * BASE + 1);
		CHECK_EQ(urx_ublk_buf_get(s.ublk, &none), -EAGAIN);
		CHECK_EQ(urx_ublk_buf_put(s.ublk, index[n % 2]), 0);
		CHECK_EQ(urx_ublk_buf_put(s.ublk, index[n % 2]), -EINVAL);
		CHECK_EQ(urx_ublk_buf_put(s.ublk, index[!(n % 2)]), 0);
	}
	CHECK_EQ(urx_ublk_buf_put(s.ublk, BASE - 1), -EINVAL);
	CHECK_EQ(urx_ublk_buf_put(s.ublk, BASE + 2), -EINVAL);
	server_down(&s);
	free(data);
	free(got);
}

/* The table is full where the driver would register: it says so, and the library does it elsewhere, or copies. */
static void automatic(uint64_t flags, uint32_t path)
{
	static uint8_t page[4096];
	struct iovec iov = { page, sizeof(page) };
	uint8_t *data = pages(LEN);
	struct urx_fused fused;
	const char *why = "";
	struct user u;
	int tag;

	server_add(&s, flags, 0, (struct urx_ublk_opts){ .buf_base = BASE, .buf_count = 6 });
	for (unsigned n = 0; n < s.dev.depth; n++)
		CHECK_EQ(io_uring_register_buffers_update_tag(&s.ring, BASE + n, &iov, &(__u64){ 0 }, 1), 1);
	server_start_empty(&s, path == 0);
	for (int round = 0; round < 50; round++) {
		fill(data, LEN, (uint64_t)round);
		user_begin(&s, &u, true, data, LEN, 0);
		tag = server_take(&s, NULL);
		CHECK(s.descs[tag].op_flags & URX_UBLK_IO_NEED_REG_BUF);
		if (!path) { /* nothing left: the driver registers by hand with ZERO_COPY only */
			CHECK_EQ(plan_write(tag, &fused, &why), -EBUSY);
			CHECK(begins(why, "tag: "));
			CHECK_EQ(urx_prep_ublk_register(server_sqe(&s, WORD_OTHER), s.ublk, (uint16_t)tag, BASE + 5), 0);
			CHECK_EQ(by_hand(), -EINVAL);
			server_commit(&s, tag, -EIO);
			CHECK_EQ(user_end(&u), -EIO);
			continue;
		}
		if (plan_write(tag, &fused, &why))
			FAIL("%s", why);
		CHECK_EQ(fused.path, path);
		CHECK_EQ(server_finish(&s, &fused), LEN);
		CHECK_BYTES(file_data, data, LEN, "by hand");
		server_commit(&s, tag, LEN);
		CHECK_EQ(user_end(&u), LEN);
	}
	server_down(&s);
	free(data);
}

int main(void)
{
	uint64_t features = ublk_features();

	if (!(features & URX_UBLK_F_AUTO_BUF_REG))
		skip("this kernel registers no buffers of ublk");
	file = memfd_create("file", 0);
	CHECK_EQ(ftruncate(file, LEN), 0);
	file_data = mmap(NULL, LEN, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
	CHECK(file_data != MAP_FAILED);
	occupied();
	cancelled();
	again();
	automatic(URX_UBLK_F_AUTO_BUF_REG | URX_UBLK_F_ZERO_COPY, URX_FUSED_REGISTER);
	automatic(URX_UBLK_F_AUTO_BUF_REG | URX_UBLK_F_USER_COPY, URX_FUSED_USER_COPY);
	automatic(URX_UBLK_F_AUTO_BUF_REG, 0);
	return 0;
}
