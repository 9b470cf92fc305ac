/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* An NVMe write with metadata through the ring. */
#include <errno.h>
#include <liburing.h>
#include <liburing-ext.h>

#include "../show.h"

int main(int argc, char **argv)
{
	const struct urx_target_opts opts = { .size = sizeof(opts), .flags = URX_TARGET_WRITE };
	struct urx_target_info info = { .size = sizeof(info) };
	void *data = memory(32768), *meta = memory(4096);
	struct urx_rw rw = { .size = sizeof(rw), .op = URX_OP_WRITE, .data = data, .data_len = 32768,
			     .offset = 65536, .meta = meta, .meta_len = 64,
			     .tags = { .app = 0xcafe, .ref = 65536 / 4096 } };
	struct urx_target *target;
	uint64_t sqe[16];

	if (argc != 2 || urx_target_open(&target, argv[1], &opts) || urx_target_query(target, &info))
		return 1;
	rw.tags.checks = info.format.checks;
	if (io_uring_prep_nvme((struct io_uring_sqe *)sqe, target, &rw))
		return 1;
	((struct io_uring_sqe *)sqe)->user_data = 0;
	show_sqe("write", sqe, sizeof(sqe));
	rw.op = URX_OP_READ;
	rw.offset = info.bytes;
	rw.data_len = 4096;
	if (io_uring_prep_nvme((struct io_uring_sqe *)sqe, target, &rw) == -ERANGE)
		printf("read beyond the end: refused\n");
	urx_target_close(target);
	return 0;
}
