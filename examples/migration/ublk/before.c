/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* A ublk read served from a file without a copy, by hand: the buffer registered, used, unregistered, in one chain. */
#include <fcntl.h>
#include <liburing.h>

#include "../show.h"

/* linux/ublk_cmd.h of 6.15; older ones lack the last two. */
#define MY_FETCH 0xc0107520u
#define MY_COMMIT_AND_FETCH 0xc0107521u
#define MY_REGISTER 0xc0107523u
#define MY_UNREGISTER 0xc0107524u

struct my_desc {
	uint32_t op_flags;
	uint32_t nr_sectors;
	uint64_t start_sector;
	uint64_t addr;
};

struct my_io_cmd {
	uint16_t q_id;
	uint16_t tag;
	int32_t result;
	uint64_t addr;
};

static void prep_cmd(struct io_uring_sqe *sqe, int dev, uint32_t op, uint16_t q_id, uint16_t tag, int32_t result,
		     uint64_t addr)
{
	struct my_io_cmd *cmd = (struct my_io_cmd *)((uint8_t *)sqe + 48);

	memset(sqe, 0, sizeof(*sqe));
	sqe->opcode = IORING_OP_URING_CMD;
	sqe->fd = dev;
	*(uint32_t *)&sqe->off = op; /* cmd_op, where old headers have only the offset */
	cmd->q_id = q_id;
	cmd->tag = tag;
	cmd->result = result;
	cmd->addr = addr;
}

static void prep_buf_register(struct io_uring_sqe *sqe, int dev, uint16_t q_id, uint16_t tag, uint16_t index)
{
	prep_cmd(sqe, dev, MY_REGISTER, q_id, tag, 0, index);
	sqe->flags |= IOSQE_IO_LINK;
}

static void prep_buf_unregister(struct io_uring_sqe *sqe, int dev, uint16_t q_id, uint16_t tag, uint16_t index)
{
	prep_cmd(sqe, dev, MY_UNREGISTER, q_id, tag, 0, index);
}

/* Three SQEs of one submit. */
static void serve_read(struct io_uring_sqe *sqes, int dev, int file, const struct my_desc *desc, uint16_t q_id,
		       uint16_t tag, uint16_t index)
{
	prep_buf_register(&sqes[0], dev, q_id, tag, index);
	memset(&sqes[1], 0, sizeof(sqes[1]));
	io_uring_prep_read_fixed(&sqes[1], file, NULL, desc->nr_sectors * 512, desc->start_sector * 512, index);
	sqes[1].flags |= IOSQE_IO_LINK;
	prep_buf_unregister(&sqes[2], dev, q_id, tag, index);
}

int main(void)
{
	const struct my_desc desc = { .op_flags = 0, .nr_sectors = 256, .start_sector = 2048 };
	int dev = open("/dev/null", O_RDWR), file = open("/dev/zero", O_RDONLY);
	struct io_uring_sqe sqes[3];

	prep_cmd(&sqes[0], dev, MY_FETCH, 1, 0, 0, 0);
	show_sqe("fetch", &sqes[0], sizeof(sqes[0]));
	serve_read(sqes, dev, file, &desc, 1, 0, 4);
	show_sqe("register", &sqes[0], sizeof(sqes[0]));
	show_sqe("read", &sqes[1], sizeof(sqes[1]));
	show_sqe("unregister", &sqes[2], sizeof(sqes[2]));
	prep_cmd(&sqes[0], dev, MY_COMMIT_AND_FETCH, 1, 0, 131072, 0);
	show_sqe("commit", &sqes[0], sizeof(sqes[0]));
	return 0;
}
