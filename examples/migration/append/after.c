/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Two zone appends. */
#include <liburing.h>
#include <liburing-ext.h>

#include "../show.h"

int main(int argc, char **argv)
{
	const struct urx_target_opts opts = { .size = sizeof(opts), .flags = URX_TARGET_WRITE };
	struct urx_target_info info = { .size = sizeof(info) };
	struct urx_result result = { .size = sizeof(result) };
	void *data = memory(16384);
	struct urx_target *target;
	struct io_uring_cqe *cqe;
	struct io_uring ring;
	uint64_t zone;

	if (argc != 2 || urx_target_open(&target, argv[1], &opts) || urx_target_query(target, &info))
		return 1;
	zone = 3 * info.zone_bytes;
	if (io_uring_queue_init(4, &ring, IORING_SETUP_SQE128 | IORING_SETUP_CQE32) ||
	    urx_zone_manage(target, URX_OP_ZONE_RESET, zone))
		return 1;
	for (int i = 0; i < 2; i++) {
		struct io_uring_sqe *sqe = io_uring_get_sqe(&ring);
		int rc = io_uring_prep_zone_append(sqe, target, zone, data, 16384);

		if (rc)
			return 1;
		show_sqe("append", sqe, 128);
		io_uring_submit(&ring);
		if (io_uring_wait_cqe(&ring, &cqe))
			return 1;
		rc = urx_nvme_result(cqe, &result);
		printf("went to byte %lld\n",
		       rc ? rc : (long long)(result.append_lba * info.format.interval));
		io_uring_cqe_seen(&ring, cqe);
	}
	return urx_zone_manage(target, URX_OP_ZONE_RESET, zone) != 0;
}
