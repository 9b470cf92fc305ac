/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* An SQE without its attribute is what it was before, and a reused one carries nothing over. */
#include "urx_test.h"

int main(void)
{
	struct io_uring_sqe before, sqe[2];
	struct urx_attr_pi attr = { .flags = 1 };
	char data[8];

	memset(&before, 0, sizeof(before));
	io_uring_prep_write(&before, 3, data, sizeof(data), 4096);
	before.user_data = 77;
	memcpy(sqe, &before, sizeof(before));
	urx_prep_rw_attr_pi(sqe, &attr);
	CHECK(memcmp(sqe, &before, sizeof(before)));
	urx_sqe_clear_attr(sqe);
	CHECK_BYTES(sqe, &before, sizeof(before), "cleared");
	urx_sqe_clear_attr(sqe);
	CHECK_BYTES(sqe, &before, sizeof(before), "cleared twice");

	/* The 64 bytes and no more, and of them 48..63 only. */
	uint8_t want[128];
	memset(sqe, 0xa5, sizeof(sqe));
	memset(want, 0xa5, sizeof(want));
	memset(want + 48, 0, 16);
	urx_sqe_clear_attr(sqe);
	CHECK_BYTES(sqe, want, sizeof(want), "of an unknown SQE");

	urx_prep_rw_attr_pi_inline(sqe, &attr);
	urx_sqe_clear_attr(sqe);
	CHECK_BYTES(sqe, want, 64, "inline");
	return 0;
}
