/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* What the CQE of a passthrough command means. */
#include <errno.h>
#include <liburing.h>
#include <liburing-ext.h>

#include "../show.h"

int main(void)
{
	static const int all[] = { 0,	  -EINTR, -EAGAIN, 0x001, 0x002, 0x080, 0x081, 0x083,
				   0x181, 0x281,  0x282,   0x283, 0x284, 0x285, 0x006, 0x4282 };

	for (size_t i = 0; i < sizeof(all) / sizeof(*all); i++) {
		uint64_t words[4] = { 7, (uint32_t)all[i], 0x1234, 0 };
		struct urx_result o = { .size = sizeof(o) };

		urx_nvme_result((struct io_uring_cqe *)words, &o);
		printf("%#x: %d, status %#x, value %#llx\n", (unsigned)all[i], o.res, o.status,
		       (unsigned long long)o.value);
	}
	return 0;
}
