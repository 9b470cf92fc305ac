/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* A ublk read served from a file without a copy. */
#include <fcntl.h>
#include <liburing.h>
#include <liburing-ext.h>

#include "../show.h"

int main(void)
{
	const struct urx_ublk_desc descs[1] = { { .op_flags = URX_UBLK_OP_READ, .nr_sectors = 256,
						  .start_sector = 2048 } };
	const struct urx_ublk_opts opts = { .size = sizeof(opts), .allow = URX_FUSED_REGISTER, .q_id = 1, .depth = 1,
					    .char_fd = open("/dev/null", O_RDWR), .descs = descs,
					    .features = URX_UBLK_F_ZERO_COPY, .buf_base = 4, .buf_count = 1 };
	int file = open("/dev/zero", O_RDONLY);
	struct io_uring_sqe sqes[3], read;
	struct io_uring_sqe *all[3] = { &sqes[0], &sqes[1], &sqes[2] };
	struct urx_fused fused;
	struct urx_queue *queue;
	struct urx_ublk *ublk;

	memset(sqes, 0, sizeof(sqes));
	memset(&read, 0, sizeof(read));
	if (urx_queue_open(&queue, -1, 0, 0, NULL) || urx_ublk_open(&ublk, queue, &opts, NULL))
		return 1;
	if (urx_prep_ublk_fetch(&sqes[0], ublk, 0, NULL))
		return 1;
	show_sqe("fetch", &sqes[0], sizeof(sqes[0]));
	io_uring_prep_read(&read, file, NULL, 256 * 512, 2048 * 512); /* to byte 0 of the request's buffer */
	if (urx_fused_plan(ublk, &fused, 0, &read, 1, NULL) || fused.nr_sqes != 3 ||
	    io_uring_prep_fused_cmd(all, 3, &fused))
		return 1;
	show_sqe("register", &sqes[0], sizeof(sqes[0]));
	show_sqe("read", &sqes[1], sizeof(sqes[1]));
	show_sqe("unregister", &sqes[2], sizeof(sqes[2]));
	urx_fused_drop(&fused);
	memset(sqes, 0, sizeof(sqes));
	if (urx_prep_ublk_commit(&sqes[0], ublk, 0, 256 * 512))
		return 1;
	show_sqe("commit", &sqes[0], sizeof(sqes[0]));
	urx_ublk_close(ublk);
	urx_queue_close(queue);
	return 0;
}
