/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* A write with protection information. */
#include <fcntl.h>
#include <liburing.h>
#include <liburing-ext.h>

#include "../show.h"

/* Sets what a read has, and takes off what it has not. */
static void prep_plain(struct io_uring_sqe *sqe, int fd, void *buf, unsigned len, uint64_t off)
{
	sqe->opcode = IORING_OP_READ;
	sqe->fd = fd;
	sqe->addr = (uintptr_t)buf;
	sqe->len = len;
	sqe->off = off;
	urx_sqe_clear_attr(sqe);
}

int main(void)
{
	struct urx_attr_pi *attr = memory(4096);
	void *data = memory(32768), *meta = memory(4096);
	struct io_uring_sqe sqe;
	int fd = open("/dev/null", O_RDWR);

	memset(&sqe, 0, sizeof(sqe));
	*attr = (struct urx_attr_pi){ .flags = URX_CHECK_GUARD | URX_CHECK_REF | URX_CHECK_APP,
				      .app_tag = 0xcafe, .len = 64, .addr = (uintptr_t)meta,
				      .seed = 8192 / 4096 };
	io_uring_prep_write_meta(&sqe, fd, data, 32768, 8192, attr);
	show_sqe("write", &sqe, sizeof(sqe));
	show_bytes("attribute", attr, sizeof(*attr));

	prep_plain(&sqe, fd, data, 4096, 0);
	show_sqe("plain read", &sqe, sizeof(sqe));
	return 0;
}
