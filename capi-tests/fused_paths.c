/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* What is written to a ublk device and read from it goes through fused commands, on each path that the kernel has. */
#include "ublk.h"

static const struct {
	uint64_t flags;
	uint32_t allow, path;
} ways[] = {
	{ 0, 0, URX_FUSED_BUFFER },
	{ URX_UBLK_F_USER_COPY, 0, URX_FUSED_USER_COPY },
	{ URX_UBLK_F_ZERO_COPY, 0, URX_FUSED_REGISTER },
	{ URX_UBLK_F_ZERO_COPY | URX_UBLK_F_AUTO_BUF_REG, 0, URX_FUSED_AUTO_REG },
	{ URX_UBLK_F_AUTO_BUF_REG, 0, URX_FUSED_AUTO_REG },
	{ URX_UBLK_F_ZERO_COPY | URX_UBLK_F_USER_COPY, URX_FUSED_REGISTER, URX_FUSED_REGISTER },
	{ URX_UBLK_F_ZERO_COPY | URX_UBLK_F_USER_COPY, URX_FUSED_USER_COPY, URX_FUSED_USER_COPY },
	{ URX_UBLK_F_ZERO_COPY | URX_UBLK_F_AUTO_BUF_REG, URX_FUSED_REGISTER, URX_FUSED_REGISTER },
};

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

int main(void)
{
	uint64_t features = ublk_features();
	uint8_t *out = pages(MOST_BYTES), *in = pages(MOST_BYTES);
	bool zero_copy = features & URX_UBLK_F_AUTO_BUF_REG; /* the bit of zero copy is older than the thing */

	for (size_t n = 0; n < COUNT(ways); n++) {
		struct server s;

		if (ways[n].flags & ~features || (ways[n].flags & URX_UBLK_F_ZERO_COPY && !zero_copy))
			continue;
		printf("flags %#llx, path %u\n", (unsigned long long)ways[n].flags, ways[n].path);
		fflush(stdout);
		server_up(&s, ways[n].flags, ways[n].allow, 0);
		path_of(&s, ways[n].path);
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
	return 0;
}
