/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * What is written to a ublk device and read from it goes through fused commands, on each path that the kernel has; of
 * several the best is taken.
 */
#include "ublk.h"

static void path_of(struct server *s, uint32_t path)
{
	struct io_uring_sqe sqe = { 0 };
	struct urx_fused fused;
	struct user u;
	void *buf = pages(4096);
	int tag;

	user_begin(s, &u, false, buf, 4096, 0);
	tag = server_take(s, NULL);
	io_uring_prep_read(&sqe, s->backing, NULL, 4096, 0);
	CHECK_EQ(urx_fused_plan(s->ublk, &fused, (uint16_t)tag, &sqe, 1, NULL), 0);
	CHECK_EQ(fused.path, path);
	CHECK_EQ(fused.nr_sqes, path == URX_FUSED_REGISTER ? 3 : 1);
	CHECK_EQ(fused.pending, fused.nr_sqes);
	CHECK_EQ(server_finish(s, &fused), 4096);
	CHECK_EQ(fused.secondary_res[0], 4096);
	server_commit(s, tag, 4096);
	CHECK_EQ(user_end(&u), 4096);
	free(buf);
}

/* Without being told. */
static uint32_t chosen(struct server *s, uint32_t len)
{
	struct io_uring_sqe sqe = { 0 };
	struct urx_fused fused;
	struct user u;
	void *buf = pages(len);
	int tag;

	user_begin(s, &u, true, buf, len, 0);
	tag = server_take(s, NULL);
	io_uring_prep_write(&sqe, s->backing, NULL, len, 0);
	CHECK_EQ(urx_fused_plan(s->ublk, &fused, (uint16_t)tag, &sqe, 1, NULL), 0);
	server_commit(s, tag, server_finish(s, &fused));
	CHECK_EQ(user_end(&u), len);
	free(buf);
	return fused.path;
}

static void by_size(void)
{
	static const uint64_t both = URX_UBLK_F_ZERO_COPY | URX_UBLK_F_USER_COPY;
	struct server s;

	server_up(&s, both, 0, 0);
	CHECK_EQ(chosen(&s, 2048), URX_FUSED_USER_COPY);
	CHECK_EQ(chosen(&s, 4096), URX_FUSED_REGISTER);
	CHECK_EQ(chosen(&s, MOST_BYTES), URX_FUSED_REGISTER);
	server_down(&s);
	server_up(&s, both, 0, 65536);
	CHECK_EQ(chosen(&s, 65536), URX_FUSED_USER_COPY);
	CHECK_EQ(chosen(&s, 66048), URX_FUSED_REGISTER);
	server_down(&s);
	server_up(&s, both | URX_UBLK_F_AUTO_BUF_REG, 0, 65536);
	CHECK_EQ(chosen(&s, 512), URX_FUSED_AUTO_REG);
	server_down(&s);
}

/* Rings of other kinds; one that shares its SQPOLL thread would cut a chain, and is told so. */
static void rings(void)
{
	static const unsigned kinds[] = { RING_SQPOLL, RING_DEFER, RING_BIG, RING_BIG | RING_DEFER };
	struct urx_ublk_opts opts = { .buf_count = TABLE, .copy_most = 1 };
	uint64_t flags = URX_UBLK_F_ZERO_COPY | URX_UBLK_F_USER_COPY;
	uint8_t *out = pages(65536), *in = pages(65536);
	struct io_uring_sqe sqe = { 0 };
	struct urx_queue *shared;
	struct urx_fused fused;
	struct urx_ublk *other;
	struct server s;
	struct user u;
	const char *why;
	int tag;

	for (size_t n = 0; n < COUNT(kinds); n++) {
		server_add(&s, flags, kinds[n], opts);
		server_start(&s);
		fill(out, 65536, n);
		CHECK_EQ(user_plain(&s, true, out, 65536, 0), 65536);
		CHECK_BYTES(s.image, out, 65536, "written");
		CHECK_EQ(user_plain(&s, false, in, 65536, 0), 65536);
		CHECK_BYTES(in, out, 65536, "read");
		CHECK_EQ(chosen(&s, 65536), URX_FUSED_REGISTER);
		server_down(&s);
	}
	server_up(&s, flags, 0, 1);
	CHECK_EQ(urx_queue_open(&shared, 0, RING_SQPOLL | 1u << 5, 0, NULL), 0); /* ATTACH_WQ */
	opts.size = sizeof(opts), opts.char_fd = s.fd, opts.depth = s.dev.depth, opts.descs = s.descs;
	opts.features = s.dev.flags;
	user_begin(&s, &u, true, out, 4096, 0);
	tag = server_take(&s, NULL);
	io_uring_prep_write(&sqe, s.backing, NULL, 4096, 0);
	CHECK_EQ(urx_ublk_open(&other, shared, &opts, NULL), 0);
	CHECK_EQ(urx_fused_plan(other, &fused, (uint16_t)tag, &sqe, 1, NULL), 0);
	CHECK_EQ(fused.path, URX_FUSED_USER_COPY);
	urx_fused_drop(&fused);
	urx_ublk_close(other);
	opts.allow = URX_FUSED_REGISTER;
	CHECK_EQ(urx_ublk_open(&other, shared, &opts, NULL), 0);
	CHECK_EQ(urx_fused_plan(other, &fused, (uint16_t)tag, &sqe, 1, &why), -EOPNOTSUPP);
	CHECK(begins(why, "queue: "));
	urx_ublk_close(other);
	server_plain(&s, tag);
	CHECK_EQ(user_end(&u), 4096);
	urx_queue_close(shared);
	server_down(&s);
	free(out);
	free(in);
}

int main(void)
{
	uint64_t features = ublk_features();
	uint8_t *out = pages(MOST_BYTES), *in = pages(MOST_BYTES);

	for (size_t n = 0; n < COUNT(ublk_ways); n++) {
		struct server s;

		if (!ublk_has(features, n))
			continue;
		printf("flags %#llx, path %u\n", (unsigned long long)ublk_ways[n].flags, ublk_ways[n].path);
		fflush(stdout);
		server_up(&s, ublk_ways[n].flags, ublk_ways[n].allow, 0);
		path_of(&s, ublk_ways[n].path);
		for (uint32_t len = 512; len <= MOST_BYTES; len *= 2) {
			fill(out, len, len + n);
			CHECK_EQ(user_plain(&s, true, out, len, 512 * 7), len);
			CHECK_BYTES(s.image + 512 * 7, out, len, "written");
			fill(s.image + 4096, len, len + n + 1);
			CHECK_EQ(user_plain(&s, false, in, len, 4096), len);
			CHECK_BYTES(in, s.image + 4096, len, "read");
		}
		server_down(&s);
	}
	if (features & URX_UBLK_F_AUTO_BUF_REG) {
		by_size();
		rings();
	}
	return 0;
}
