/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* What the CQE of a passthrough command means, by a table of one's own. */
#include <errno.h>
#include <liburing.h>

#include "../show.h"

struct outcome {
	int res;
	unsigned status;
	uint64_t value;
};

static struct outcome decode(const struct io_uring_cqe *cqe)
{
	struct outcome o = { .res = cqe->res };

	if (cqe->res < 0)
		return o;
	o.value = cqe->big_cqe[0];
	o.status = (unsigned)cqe->res & 0x7ff;
	switch (cqe->res) {
	case 0:
		break;
	case 0x181: /* invalid protection information */
	case 0x282: /* guard */
	case 0x283: /* application tag */
	case 0x284: /* reference tag */
		o.res = -EILSEQ;
		break;
	case 0x080: /* LBA out of range */
	case 0x082: /* namespace not ready */
	case 0x021: /* command interrupted */
		o.res = -EREMOTEIO;
		break;
	case 0x001: /* invalid opcode */
	case 0x002: /* invalid field */
	case 0x00b: /* invalid namespace */
	case 0x180: /* conflicting attributes */
		o.res = -EOPNOTSUPP;
		break;
	case 0x182: /* write to read only range */
	case 0x280: /* write fault */
	case 0x281: /* unrecovered read */
	case 0x285: /* compare failure */
	case 0x286: /* access denied */
	case 0x287: /* unwritten block */
		o.res = -ENODATA;
		break;
	case 0x081: /* capacity exceeded */
		o.res = -ENOSPC;
		break;
	case 0x083: /* reservation conflict */
		o.res = -EBADE;
		break;
	default:
		o.res = -EIO;
		break;
	}
	return o;
}

int main(void)
{
	static const int all[] = { 0,	  -EINTR, -EAGAIN, 0x001, 0x002, 0x080, 0x081, 0x083,
				   0x181, 0x281,  0x282,   0x283, 0x284, 0x285, 0x006, 0x4282 };

	for (size_t i = 0; i < sizeof(all) / sizeof(*all); i++) {
		uint64_t words[4] = { 7, (uint32_t)all[i], 0x1234, 0 };
		struct outcome o = decode((struct io_uring_cqe *)words);

		printf("%#x: %d, status %#x, value %#llx\n", (unsigned)all[i], o.res, o.status,
		       (unsigned long long)o.value);
	}
	return 0;
}
