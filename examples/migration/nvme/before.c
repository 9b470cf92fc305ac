/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* An NVMe write with metadata through the ring by hand: Identify, lengths, command dwords. */
#include <errno.h>
#include <fcntl.h>
#include <liburing.h>
#include <linux/nvme_ioctl.h>
#include <sys/ioctl.h>

#include "../show.h"

#define MY_URING_CMD_IO _IOWR('N', 0x80, struct my_uring_cmd)
#define MY_WRITE 0x01
#define MY_READ 0x02

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

struct my_ns {
	int fd;
	uint32_t nsid;
	uint32_t lba_size;
	uint16_t meta_size;
	uint8_t pi_type;
	int extended;
};

static int ns_open(struct my_ns *ns, const char *path)
{
	uint8_t *id = memory(4096);
	struct nvme_admin_cmd cmd = { .opcode = 0x06, .addr = (uintptr_t)id, .data_len = 4096 };
	unsigned format;
	int nsid;

	ns->fd = open(path, O_RDWR);
	if (ns->fd < 0)
		return -errno;
	nsid = ioctl(ns->fd, NVME_IOCTL_ID);
	if (nsid < 0)
		return -errno;
	cmd.nsid = ns->nsid = (uint32_t)nsid;
	if (ioctl(ns->fd, NVME_IOCTL_ADMIN_CMD, &cmd) != 0)
		return -EIO;
	format = (id[26] & 0xf) | (id[26] >> 5 & 0x3) << 4;
	ns->extended = id[26] >> 4 & 1;
	ns->meta_size = (uint16_t)(id[128 + 4 * format] | id[129 + 4 * format] << 8);
	ns->lba_size = 1u << id[130 + 4 * format];
	ns->pi_type = id[29] & 0x7;
	return 0;
}

static int prep_nvme(struct io_uring_sqe *sqe, const struct my_ns *ns, uint8_t opcode, void *data,
		     uint32_t len, uint64_t off, void *meta, uint32_t meta_len, uint16_t app)
{
	struct my_uring_cmd *cmd = (struct my_uring_cmd *)((uint8_t *)sqe + 48);
	uint32_t blocks = len / ns->lba_size;
	uint64_t slba = off / ns->lba_size;

	if (len % ns->lba_size || off % ns->lba_size || !blocks || blocks > 65536)
		return -EINVAL;
	if (!ns->extended && ns->meta_size && meta_len < blocks * ns->meta_size)
		return -EINVAL;
	memset(sqe, 0, 128);
	sqe->opcode = IORING_OP_URING_CMD;
	sqe->fd = ns->fd;
	*(uint32_t *)&sqe->off = MY_URING_CMD_IO; /* cmd_op */
	cmd->opcode = opcode;
	cmd->nsid = ns->nsid;
	cmd->addr = (uintptr_t)data;
	cmd->data_len = len;
	if (!ns->extended && ns->meta_size) {
		cmd->metadata = (uintptr_t)meta;
		cmd->metadata_len = blocks * ns->meta_size;
	}
	cmd->cdw10 = slba & 0xffffffff;
	cmd->cdw11 = slba >> 32;
	cmd->cdw12 = blocks - 1;
	if (ns->pi_type) {
		cmd->cdw12 |= 1 << 28 | 1 << 27; /* check guard and application tag */
		if (ns->pi_type != 3) {
			cmd->cdw12 |= 1 << 26; /* and reference tag */
			cmd->cdw14 = slba & 0xffffffff;
		}
		cmd->cdw15 = 0xffffu << 16 | app;
	}
	return 0;
}

int main(int argc, char **argv)
{
	void *data = memory(32768), *meta = memory(4096);
	uint64_t sqe[16];
	struct my_ns ns;

	if (argc != 2 || ns_open(&ns, argv[1]))
		return 1;
	if (prep_nvme((struct io_uring_sqe *)sqe, &ns, MY_WRITE, data, 32768, 65536, meta, 64, 0xcafe))
		return 1;
	show_sqe("write", sqe, sizeof(sqe));
	if (prep_nvme((struct io_uring_sqe *)sqe, &ns, MY_READ, data, 4096, 16777216, meta, 8, 0xcafe))
		return 1;
	printf("read beyond the end: prepared\n");
	return 0;
}
