/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Two zone appends by hand: the command, the ring for it, and where the data went. */
#include <errno.h>
#include <fcntl.h>
#include <liburing.h>
#include <linux/blkzoned.h>
#include <linux/fs.h>
#include <linux/nvme_ioctl.h>
#include <sys/ioctl.h>

#include "../show.h"

#define MY_URING_CMD_IO _IOWR('N', 0x80, struct my_uring_cmd)
#define MY_APPEND 0x7d

struct my_uring_cmd {
	uint8_t opcode;
	uint8_t flags;
	uint16_t rsvd1;
	uint32_t nsid;
	uint32_t cdw2;
	uint32_t cdw3;
	uint64_t metadata;
	uint64_t addr;
	uint32_t metadata_len;
	uint32_t data_len;
	uint32_t cdw10;
	uint32_t cdw11;
	uint32_t cdw12;
	uint32_t cdw13;
	uint32_t cdw14;
	uint32_t cdw15;
	uint32_t timeout_ms;
	uint32_t rsvd2;
};

struct my_zones {
	int fd, char_fd;
	uint32_t nsid;
	uint32_t lba_size;
	uint32_t zone_sectors;
};

static int zones_open(struct my_zones *z, const char *path)
{
	char node[256];
	int size, nsid;

	snprintf(node, sizeof(node), "%s.ng", path); /* the character device of that namespace */
	z->fd = open(path, O_RDWR);
	z->char_fd = open(node, O_RDWR);
	if (z->fd < 0 || z->char_fd < 0)
		return -errno;
	nsid = ioctl(z->char_fd, NVME_IOCTL_ID);
	if (nsid < 0 || ioctl(z->fd, BLKSSZGET, &size) || ioctl(z->fd, BLKGETZONESZ, &z->zone_sectors))
		return -errno;
	z->nsid = (uint32_t)nsid;
	z->lba_size = (uint32_t)size;
	return 0;
}

static void prep_append(struct io_uring_sqe *sqe, const struct my_zones *z, uint64_t zone,
			const void *data, uint32_t len)
{
	struct my_uring_cmd *cmd = (struct my_uring_cmd *)((uint8_t *)sqe + 48);
	uint64_t zslba = zone / z->lba_size;

	memset(sqe, 0, 128);
	sqe->opcode = IORING_OP_URING_CMD;
	sqe->fd = z->char_fd;
	*(uint32_t *)&sqe->off = MY_URING_CMD_IO;
	cmd->opcode = MY_APPEND;
	cmd->nsid = z->nsid;
	cmd->addr = (uintptr_t)data;
	cmd->data_len = len;
	cmd->cdw10 = zslba & 0xffffffff;
	cmd->cdw11 = zslba >> 32;
	cmd->cdw12 = len / z->lba_size - 1;
	cmd->cdw15 = 0xffffu << 16; /* application tag mask, of no use without PI */
}

/* Byte of the device where it went, or -errno. */
static int64_t append_result(const struct io_uring_cqe *cqe, const struct my_zones *z)
{
	if (cqe->res < 0)
		return cqe->res;
	switch (cqe->res & 0x7ff) {
	case 0:
		return (int64_t)(cqe->big_cqe[0] * z->lba_size);
	case 0x1b8: /* boundary */
	case 0x1b9: /* full */
		return -ENOSPC;
	case 0x1ba:
		return -EROFS;
	case 0x1bb:
		return -ENODEV;
	default:
		return -EIO;
	}
}

static int reset(const struct my_zones *z, uint64_t zone)
{
	struct blk_zone_range range = { .sector = zone / 512, .nr_sectors = z->zone_sectors };

	return ioctl(z->fd, BLKRESETZONE, &range) ? -errno : 0;
}

int main(int argc, char **argv)
{
	void *data = memory(16384);
	struct io_uring_cqe *cqe;
	struct io_uring ring;
	struct my_zones z;
	uint64_t zone;

	if (argc != 2 || zones_open(&z, argv[1]))
		return 1;
	zone = 3ull * z.zone_sectors * 512;
	if (io_uring_queue_init(4, &ring, IORING_SETUP_SQE128 | IORING_SETUP_CQE32) || reset(&z, zone))
		return 1;
	for (int i = 0; i < 2; i++) {
		struct io_uring_sqe *sqe = io_uring_get_sqe(&ring);

		prep_append(sqe, &z, zone, data, 16384);
		show_sqe("append", sqe, 128);
		io_uring_submit(&ring);
		if (io_uring_wait_cqe(&ring, &cqe))
			return 1;
		printf("went to byte %lld\n", (long long)append_result(cqe, &z));
		io_uring_cqe_seen(&ring, cqe);
	}
	return reset(&z, zone) != 0;
}
