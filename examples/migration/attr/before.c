/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* A write with protection information by poking: the attribute's layout and the SQE's unnamed words. */
#include <fcntl.h>
#include <liburing.h>

#include "../show.h"

/* Headers older than 6.14 lack these; newer ones have them under the same names. */
#define MY_ATTR_FLAG_PI (1u << 0)
#define MY_CHK_GUARD (1u << 0)
#define MY_CHK_REFTAG (1u << 1)
#define MY_CHK_APPTAG (1u << 2)

struct my_attr_pi {
	uint16_t flags;
	uint16_t app_tag;
	uint32_t len;
	uint64_t addr;
	uint64_t seed;
	uint64_t rsvd;
};

static void prep_pi(struct io_uring_sqe *sqe, struct my_attr_pi *attr, int write, int fd, void *buf,
		    unsigned len, uint64_t off, void *meta, unsigned meta_len, uint16_t app,
		    unsigned interval)
{
	uint64_t *words = (uint64_t *)sqe;

	if (write)
		io_uring_prep_write(sqe, fd, buf, len, off);
	else
		io_uring_prep_read(sqe, fd, buf, len, off);
	memset(attr, 0, sizeof(*attr));
	attr->flags = MY_CHK_GUARD | MY_CHK_REFTAG | MY_CHK_APPTAG;
	attr->app_tag = app;
	attr->len = meta_len;
	attr->addr = (uintptr_t)meta;
	attr->seed = off / interval;
	words[6] = (uintptr_t)attr; /* attr_ptr, where addr3 is */
	words[7] = MY_ATTR_FLAG_PI; /* attr_type_mask, where __pad2 is */
}

/* Sets what a read has, as programs do that keep their SQEs. */
static void prep_plain(struct io_uring_sqe *sqe, int fd, void *buf, unsigned len, uint64_t off)
{
	sqe->opcode = IORING_OP_READ;
	sqe->fd = fd;
	sqe->addr = (uintptr_t)buf;
	sqe->len = len;
	sqe->off = off;
}

int main(void)
{
	struct my_attr_pi *attr = memory(4096);
	void *data = memory(32768), *meta = memory(4096);
	struct io_uring_sqe sqe;
	int fd = open("/dev/null", O_RDWR);

	memset(&sqe, 0, sizeof(sqe));
	prep_pi(&sqe, attr, 1, fd, data, 32768, 8192, meta, 64, 0xcafe, 4096);
	show_sqe("write", &sqe, sizeof(sqe));
	show_bytes("attribute", attr, sizeof(*attr));

	/* The same SQE again, from an array of the program's own: now a plain read. */
	prep_plain(&sqe, fd, data, 4096, 0);
	show_sqe("plain read", &sqe, sizeof(sqe));
	return 0;
}
