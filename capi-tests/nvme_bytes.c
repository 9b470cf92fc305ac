/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Commands in an SQE, byte by byte, as the NVM command set specification lays them out, and what their
 * completions mean.
 */
#include "urx_test.h"

/* Little-endian stores at an offset of the 128 bytes. */
static void put(uint8_t *sqe, unsigned at, unsigned bytes, uint64_t value)
{
	for (unsigned n = 0; n < bytes; n++)
		sqe[at + n] = (uint8_t)(value >> (8 * n));
}

/* The dwords of the 72 bytes of struct nvme_uring_cmd, which start at byte 48 of the SQE. */
enum { OPCODE = 48, NSID = 52, CDW2 = 56, CDW3 = 60, METADATA = 64, ADDR = 72, META_LEN = 80, DATA_LEN = 84,
       CDW10 = 88, CDW11 = 92, CDW12 = 96, CDW13 = 100, CDW14 = 104, CDW15 = 108, TIMEOUT = 112 };
enum { PRCHK_REF = 1 << 26, PRCHK_APP = 1 << 27, PRCHK_GUARD = 1 << 28, PRACT = 1 << 29, FUA = 1 << 30 };

typedef int prep(struct io_uring_sqe *sqe, const struct urx_target *target, const struct urx_rw *rw);

static struct dev dev;
static int char_fd;
static uint8_t data[8192] __attribute__((aligned(4096))), meta[256] __attribute__((aligned(8)));

/* The descriptor is the library's own: the number that its first command says must be this namespace's node. */
static void learn_fd(void)
{
	struct urx_rw rw = { .size = sizeof(rw), .op = URX_OP_FLUSH };
	uint64_t sqe[16] = { 0 };
	char link[64], name[128], expected[128];
	ssize_t len;

	CHECK_EQ(urx_prep_nvme((void *)sqe, dev.target, &rw), 0);
	char_fd = ((struct io_uring_sqe *)(void *)sqe)->fd;
	snprintf(link, sizeof(link), "/proc/self/fd/%d", char_fd);
	len = readlink(link, name, sizeof(name) - 1);
	CHECK(len > 0);
	name[len] = 0;
	CHECK(realpath(node("pi4k.ng"), expected) || errno == ENOENT);
	CHECK(begins(name, "/dev/ng"));
}

static void same(prep *p, const struct urx_rw *rw, const uint8_t *want, const char *context)
{
	uint8_t sqe[128 + 8] __attribute__((aligned(8)));

	memset(sqe, 0xee, sizeof(sqe));
	put(sqe, 32, 8, 0x1122334455667788);
	CHECK_EQ(p((void *)sqe, dev.target, rw), 0);
	CHECK_BYTES(sqe, want, 128, context);
	for (unsigned n = 128; n < sizeof(sqe); n++)
		CHECK_EQ(sqe[n], 0xee);
}

/* All but the command: IORING_OP_URING_CMD is 46, URING_CMD128 is 64; NVME_URING_CMD_IO. */
static void frame(uint8_t *sqe, bool mixed, bool vec, int buf_index)
{
	memset(sqe, 0, 128);
	put(sqe, 0, 1, mixed ? 64 : 46);
	put(sqe, 4, 4, (uint32_t)char_fd);
	put(sqe, 8, 4, vec ? 0xc0484e81 : 0xc0484e80);
	if (buf_index >= 0)
		put(sqe, 28, 4, 1), put(sqe, 40, 2, (uint64_t)buf_index);
	put(sqe, 32, 8, 0x1122334455667788);
}

static void command(uint8_t *sqe, unsigned opcode)
{
	put(sqe, OPCODE, 1, opcode);
	put(sqe, NSID, 4, dev.info.nsid);
}

static void buffers(uint8_t *sqe, const void *d, uint32_t data_len, const void *m, uint32_t meta_len)
{
	put(sqe, ADDR, 8, (uintptr_t)d), put(sqe, DATA_LEN, 4, data_len);
	put(sqe, METADATA, 8, (uintptr_t)m), put(sqe, META_LEN, 4, meta_len);
}

static void each(const struct urx_rw *rw, uint8_t *want, const char *context)
{
	same(urx_prep_nvme, rw, want, context);
	same(io_uring_prep_nvme, rw, want, context);
	put(want, 0, 1, 64);
	same(urx_prep_nvme_mixed, rw, want, context);
	same(io_uring_prep_nvme_mixed, rw, want, context);
}

/* Type 1, 16-bit guard, 4096 + 8. */
static void t10(void)
{
	struct urx_tags tags = { .checks = 7, .app = 0x1234, .ref = 5 };
	struct iovec iov[2] = { { data, 4096 }, { data + 4096, 4096 } };
	struct urx_rw rw;
	uint8_t want[128];

	dev_target(&dev, "pi4k");
	learn_fd();

	rw = rw_of(&dev, URX_OP_READ, 5, data, 2, meta, tags);
	rw.meta_len += 100; /* the command takes what the blocks have */
	frame(want, false, false, -1), command(want, 2), buffers(want, data, 8192, meta, 16);
	put(want, CDW10, 4, 5), put(want, CDW12, 4, 1 | PRCHK_REF | PRCHK_APP | PRCHK_GUARD);
	put(want, CDW14, 4, 5), put(want, CDW15, 4, 0xffff1234);
	each(&rw, want, "read");

	rw = rw_of(&dev, URX_OP_WRITE, 5, data, 1, meta, tags);
	rw.flags = URX_RW_FUA, rw.tags.checks = URX_CHECK_GUARD | URX_CHECK_APP, rw.tags.app_ignore = 0x00f0;
	frame(want, false, false, -1), command(want, 1), buffers(want, data, 4096, meta, 8);
	put(want, CDW10, 4, 5), put(want, CDW12, 4, FUA | PRCHK_APP | PRCHK_GUARD);
	put(want, CDW14, 4, 5), put(want, CDW15, 4, 0xff0f1234);
	each(&rw, want, "write");

	rw = rw_of(&dev, URX_OP_WRITE, 5, iov, 2, NULL, tags);
	rw.meta_len = 0, rw.data_len = 2, rw.flags = URX_RW_IOVEC | URX_RW_FIXED_BUF | URX_RW_PRACT, rw.buf_index = 9;
	frame(want, false, true, 9), command(want, 1), buffers(want, iov, 2, NULL, 0);
	put(want, CDW10, 4, 5), put(want, CDW12, 4, 1 | PRACT | PRCHK_REF | PRCHK_APP | PRCHK_GUARD);
	put(want, CDW14, 4, 5), put(want, CDW15, 4, 0xffff1234);
	each(&rw, want, "write, tuples inserted, pieces of a registered buffer");

	rw = rw_of(&dev, URX_OP_COMPARE, 5, data, 2, meta, (struct urx_tags){ .ref = 5 });
	frame(want, false, false, -1), command(want, 5), buffers(want, data, 8192, meta, 16);
	put(want, CDW10, 4, 5), put(want, CDW12, 4, 1), put(want, CDW14, 4, 5), put(want, CDW15, 4, 0xffff0000);
	each(&rw, want, "compare");

	rw = rw_of(&dev, URX_OP_WRITE_ZEROES, 5, NULL, 3, NULL, tags);
	rw.meta_len = 0;
	frame(want, false, false, -1), command(want, 8);
	put(want, CDW10, 4, 5), put(want, CDW12, 4, 2 | PRACT), put(want, CDW14, 4, 5), put(want, CDW15, 4, 0xffff1234);
	each(&rw, want, "write zeroes");

	rw = (struct urx_rw){ .size = sizeof(rw), .op = URX_OP_FLUSH };
	frame(want, false, false, -1), command(want, 0);
	each(&rw, want, "flush");
	urx_target_close(dev.target);
}

/* Type 1, 64-bit guard: the reference tag has 48 bits, in dwords 3 and 14. */
static void crc64(void)
{
	struct urx_rw rw;
	uint8_t want[128];

	dev_target(&dev, "pi64");
	learn_fd();
	rw = rw_of(&dev, URX_OP_READ, 7, data, 1, meta, (struct urx_tags){ .checks = 7, .app = 1, .ref = 7 });
	frame(want, false, false, -1), command(want, 2), buffers(want, data, 4096, meta, 16);
	put(want, CDW10, 4, 7), put(want, CDW12, 4, PRCHK_REF | PRCHK_APP | PRCHK_GUARD);
	put(want, CDW14, 4, 7), put(want, CDW15, 4, 0xffff0001);
	each(&rw, want, "read, 64-bit guard");
	urx_target_close(dev.target);

	/* Type 3: the tag is not the LBA, and all 48 bits of it are sent. */
	dev_target(&dev, "pi64t3");
	learn_fd();
	rw = rw_of(&dev, URX_OP_READ, 7, data, 1, meta,
		   (struct urx_tags){ .checks = 5, .app = 1, .ref = 0xabcd12345678 });
	frame(want, false, false, -1), command(want, 2), buffers(want, data, 4096, meta, 16);
	put(want, CDW10, 4, 7), put(want, CDW12, 4, PRCHK_APP | PRCHK_GUARD);
	put(want, CDW3, 4, 0xabcd), put(want, CDW14, 4, 0x12345678), put(want, CDW15, 4, 0xffff0001);
	each(&rw, want, "read, type 3, 64-bit guard");
	urx_target_close(dev.target);
}

/* Metadata in the data: the lengths are those of both. */
static void interleaved(void)
{
	struct urx_rw rw;
	uint8_t want[128];

	dev_target(&dev, "ext4k");
	learn_fd();
	rw = rw_of(&dev, URX_OP_WRITE, 3, data, 1, NULL, (struct urx_tags){ .checks = 1, .ref = 3 });
	rw.meta_len = 0, rw.data_len = 4104;
	frame(want, false, false, -1), command(want, 1), buffers(want, data, 4104, NULL, 0);
	put(want, CDW10, 4, 3), put(want, CDW12, 4, PRCHK_GUARD), put(want, CDW14, 4, 3),
		put(want, CDW15, 4, 0xffff0000);
	each(&rw, want, "write, interleaved");
	urx_target_close(dev.target);
}

/* A partition's blocks are the device's. */
static void partition(void)
{
	struct urx_rw rw;
	uint8_t want[128];

	dev_target(&dev, "part2");
	learn_fd();
	rw = rw_of(&dev, URX_OP_READ, 4, data, 1, meta, (struct urx_tags){ .checks = 2, .ref = 3005 });
	frame(want, false, false, -1), command(want, 2), buffers(want, data, 4096, meta, 8);
	put(want, CDW10, 4, 3005), put(want, CDW12, 4, PRCHK_REF), put(want, CDW14, 4, 3005);
	put(want, CDW15, 4, 0xffff0000);
	each(&rw, want, "read of a partition");
	urx_target_close(dev.target);
}

/* Zone Append 7dh; Zone Management Send 79h: close 1, finish 2, open 3, reset 4. */
static void zones(void)
{
	static const struct {
		uint32_t op, action;
	} sends[] = { { URX_OP_ZONE_CLOSE, 1 }, { URX_OP_ZONE_FINISH, 2 }, { URX_OP_ZONE_OPEN, 3 },
		      { URX_OP_ZONE_RESET, 4 } };
	uint64_t zone = 4 << 20;
	uint8_t want[128], sqe[128] __attribute__((aligned(8)));
	struct urx_rw rw;

	dev_target(&dev, "zns");
	learn_fd();
	CHECK_EQ(dev.info.zone_bytes, zone);
	for (unsigned n = 0; n < COUNT(sends); n++) {
		rw = (struct urx_rw){ .size = sizeof(rw), .op = sends[n].op, .offset = 2 * zone };
		frame(want, false, false, -1), command(want, 0x79);
		put(want, CDW10, 4, 2048), put(want, CDW13, 4, sends[n].action);
		each(&rw, want, "zone management");
	}
	for (int spelling = 0; spelling < 2; spelling++) {
		frame(want, false, false, -1), command(want, 0x7d), buffers(want, data, 8192, NULL, 0);
		put(want, CDW10, 4, 1024), put(want, CDW12, 4, 1);
		put(want, CDW15, 4, 0xffff0000);
		memset(sqe, 0xee, sizeof(sqe));
		put(sqe, 32, 8, 0x1122334455667788);
		CHECK_EQ((spelling ? io_uring_prep_zone_append : urx_prep_zone_append)(
				 (void *)sqe, dev.target, zone, data, 8192), 0);
		CHECK_BYTES(sqe, want, 128, "zone append");
	}
	memset(sqe, 0xee, sizeof(sqe));
	CHECK_EQ(urx_prep_zone_append((void *)sqe, dev.target, zone + 4096, data, 4096), -EINVAL);
	CHECK_EQ(urx_prep_zone_append((void *)sqe, dev.target, zone, data, 100), -EINVAL);
	CHECK_EQ(urx_prep_zone_append((void *)sqe, dev.target, zone, NULL, 4096), -EINVAL);
	CHECK_EQ(urx_prep_zone_append((void *)sqe, dev.target, 16 * zone, data, 4096), -ERANGE);
	for (unsigned n = 0; n < sizeof(sqe); n++)
		CHECK_EQ(sqe[n], 0xee);
	urx_target_close(dev.target);
}

static void refuse(const struct urx_rw *rw, int expected)
{
	uint8_t sqe[128] __attribute__((aligned(8)));

	memset(sqe, 0xee, sizeof(sqe));
	CHECK_EQ(urx_prep_nvme((void *)sqe, dev.target, rw), expected);
	CHECK_EQ(urx_prep_nvme_mixed((void *)sqe, dev.target, rw), expected);
	for (unsigned n = 0; n < sizeof(sqe); n++)
		CHECK_EQ(sqe[n], 0xee);
}

static void refusals(void)
{
	struct urx_tags tags = { .checks = 7, .ref = 5 };
	struct urx_rw rw;

	dev_target(&dev, "pi4k");
	rw = rw_of(&dev, URX_OP_READ, 5, data, 1, meta, tags), rw.tags.ref = 6, refuse(&rw, -EINVAL);
	rw = rw_of(&dev, URX_OP_READ, 5, data, 1, NULL, tags), refuse(&rw, -EINVAL);
	rw = rw_of(&dev, URX_OP_READ, 5, data, 1, meta, tags), rw.meta_len--, refuse(&rw, -EINVAL);
	rw = rw_of(&dev, URX_OP_READ, 1 << 20, data, 1, meta, tags), refuse(&rw, -ERANGE);
	rw = rw_of(&dev, URX_OP_READ, 5, data, 1, meta, tags), rw.flags = URX_RW_LINKED, refuse(&rw, -EOPNOTSUPP);
	rw = (struct urx_rw){ .size = sizeof(rw), .op = URX_OP_ZONE_RESET }, refuse(&rw, -EOPNOTSUPP);
	urx_target_close(dev.target);
	CHECK_EQ(urx_target_open(&dev.target, "/proc/self/exe", NULL), 0);
	rw = (struct urx_rw){ .size = sizeof(rw), .op = URX_OP_FLUSH }, refuse(&rw, -EOPNOTSUPP);
	urx_target_close(dev.target);
}

/* Status field without the phase bit: SC 7:0, SCT 10:8, CRD 12:11, M 13, DNR 14 (base specification). */
static void results(void)
{
	static const struct {
		int res, errno_, status;
	} known[] = {
		{ 0, 0, 0 },		       { 0x282, EILSEQ, 0x282 },      { 0x4282, EILSEQ, 0x282 },
		{ 0x7a82, EILSEQ, 0x282 },     { 0x283, EILSEQ, 0x283 },      { 0x284, EILSEQ, 0x284 },
		{ 0x4181, EILSEQ, 0x181 },     { 0x4080, EREMOTEIO, 0x80 },   { 0x2285, ENODATA, 0x285 },
		{ 0x281, ENODATA, 0x281 },     { 0x081, ENOSPC, 0x81 },       { 0x41bc, EIO, 0x1bc },
		{ 0x1bd, EOVERFLOW, 0x1bd },   { 0x1be, ETOOMANYREFS, 0x1be }, { 0x4002, EOPNOTSUPP, 2 },
		{ 0x001, EOPNOTSUPP, 1 },      { 0x083, EBADE, 0x83 },	      { 0x006, EIO, 6 },
		{ 0x370, ENOLINK, 0x370 },     { 0x3ff, EIO, 0x3ff },	      { -EINTR, EINTR, 0 },
		{ -ECANCELED, ECANCELED, 0 },  { -EINVAL, EINVAL, 0 },
	};

	for (unsigned n = 0; n < COUNT(known); n++) {
		struct urx_result result = { .size = sizeof(result) };
		uint64_t words[4] = { 1, (uint32_t)known[n].res, 0x123456789a, 0xffff };

		CHECK_EQ(urx_nvme_result((void *)words, &result), -known[n].errno_);
		CHECK_EQ(urx_nvme_result((void *)words, NULL), -known[n].errno_);
		CHECK_EQ(result.res, -known[n].errno_);
		CHECK_EQ(result.status, known[n].status);
		CHECK_EQ(result.path, URX_PATH_URING_CMD);
		CHECK_EQ(result.value, known[n].res < 0 ? 0 : 0x123456789a);
		CHECK_EQ(result.append_lba, known[n].res ? 0 : 0x123456789a);
		CHECK_EQ(result.pi.check, 0);
	}
}

int main(void)
{
	struct io_uring ring;

	results();
	need_vm();
	if (io_uring_queue_init(2, &ring, RING_BIG))
		skip("this kernel takes no commands in an SQE (results were decoded)");
	io_uring_queue_exit(&ring);
	t10();
	crc64();
	interleaved();
	partition();
	zones();
	refusals();
	return 0;
}
