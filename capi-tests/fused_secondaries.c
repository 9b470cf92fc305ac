/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Every operation that can borrow a request's buffer, on each path: ranges inside, at the edge and beyond, the wrong
 * direction, failed and short ones beside others, fixed files, links.
 */
#include <netinet/in.h>
#include "ublk.h"

#define LEN 65536u
#define OP_SEND_ZC 47 /* headers of 2022 may lack it */

enum kind { READ, WRITE, READV, WRITEV, SEND, SEND_ZC, RECV, KINDS };
static const char *const names[] = { "READ", "WRITE", "READV", "WRITEV", "SEND", "SEND_ZC", "RECV" };

static struct server s;
static uint8_t *data, *file_data;
static int file, pair[2], tcp[2];
static bool can_copy;
static bool old_sockets; /* no SEND and RECV with registered buffers */

static bool fills(enum kind kind)
{
	return kind == READ || kind == READV || kind == RECV;
}

static void connect_tcp(void)
{
	struct sockaddr_in at = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(at);
	int listener = socket(AF_INET, SOCK_STREAM, 0);

	CHECK_EQ(bind(listener, (void *)&at, sizeof(at)), 0);
	CHECK_EQ(listen(listener, 1), 0);
	CHECK_EQ(getsockname(listener, (void *)&at, &len), 0);
	tcp[0] = socket(AF_INET, SOCK_STREAM, 0);
	CHECK_EQ(connect(tcp[0], (void *)&at, sizeof(at)), 0);
	tcp[1] = accept(listener, NULL, NULL);
	CHECK(tcp[1] >= 0);
	close(listener);
}

/* An operation on bytes at..at+len of the buffer; a vectored one cuts them into three. */
static struct io_uring_sqe prepared(enum kind kind, uint64_t at, uint32_t len, struct iovec iov[3])
{
	struct io_uring_sqe sqe = { 0 };
	void *addr = (void *)(uintptr_t)at;
	size_t third = len / 3;

	iov[0] = (struct iovec){ addr, third };
	iov[1] = (struct iovec){ (void *)(uintptr_t)(at + third), third };
	iov[2] = (struct iovec){ (void *)(uintptr_t)(at + 2 * third), len - 2 * third };
	switch (kind) {
	case READ:
		io_uring_prep_read(&sqe, file, addr, len, at & 0xffff);
		break;
	case WRITE:
		io_uring_prep_write(&sqe, file, addr, len, at & 0xffff);
		break;
	case READV:
		io_uring_prep_readv(&sqe, file, iov, 3, at & 0xffff);
		break;
	case WRITEV:
		io_uring_prep_writev(&sqe, file, iov, 3, at & 0xffff);
		break;
	case SEND:
		io_uring_prep_send(&sqe, pair[0], addr, len, 0);
		break;
	case SEND_ZC:
		io_uring_prep_send(&sqe, tcp[0], addr, len, MSG_WAITALL);
		sqe.opcode = OP_SEND_ZC;
		break;
	default:
		io_uring_prep_recv(&sqe, pair[0], addr, len, MSG_WAITALL);
	}
	return sqe;
}

static void receive(int fd, uint8_t *into, uint32_t len)
{
	while (len > 0) {
		ssize_t got = recv(fd, into, len, 0);

		CHECK(got > 0);
		into += got;
		len -= (uint32_t)got;
	}
}

/* Begins a read or write of the device that has LEN bytes, up to the point where it is to be served. */
static int taken(struct user *u, bool write)
{
	user_begin(&s, u, write, data, LEN, 0);
	return server_take(&s, NULL);
}

static int plan(int tag, const struct io_uring_sqe *sqes, uint32_t nr, struct urx_fused *fused)
{
	const char *why = NULL;
	int ret = urx_fused_plan(s.ublk, fused, (uint16_t)tag, sqes, nr, &why);

	CHECK(why && *why);
	if (ret == -EOPNOTSUPP && begins(why, "secondaries: this kernel"))
		old_sockets = true;
	return ret;
}

static void moves(enum kind kind, uint32_t at, uint32_t len)
{
	struct iovec iov[3];
	struct io_uring_sqe sqe = prepared(kind, at, len, iov);
	uint8_t *other = malloc(LEN), *want = malloc(LEN);
	struct urx_fused fused;
	struct user u;
	int tag, ret;

	fill(data, LEN, at + len);
	memcpy(want, data, LEN);
	tag = taken(&u, !fills(kind));
	if (kind == RECV) {
		fill(other, len, at + len + 1);
		CHECK_EQ(send(pair[1], other, len, 0), len);
	} else if (fills(kind)) {
		fill(file_data, LEN, at + len + 2);
		memcpy(other, file_data + at, len);
	} else {
		memset(file_data, 0, LEN);
	}
	ret = plan(tag, &sqe, 1, &fused);
	memset(iov, 0xff, sizeof(iov)); /* were copied */
	if (ret == -EOPNOTSUPP && (kind == SEND || kind == RECV)) {
		CHECK(kernel() < 7002 && !can_copy);
		if (kind == RECV)
			receive(pair[0], other, len);
		server_commit(&s, tag, -EIO);
		CHECK_EQ(user_end(&u), -EIO);
	} else {
		CHECK_EQ(ret, 0);
		CHECK_EQ(server_finish(&s, &fused), len);
		CHECK_EQ(fused.secondary_res[0], len);
		if (kind == WRITE || kind == WRITEV)
			CHECK_BYTES(file_data + at, want + at, len, names[kind]);
		if (kind == SEND || kind == SEND_ZC) {
			receive(kind == SEND ? pair[1] : tcp[1], other, len);
			CHECK_BYTES(other, want + at, len, names[kind]);
		}
		server_commit(&s, tag, LEN);
		CHECK_EQ(user_end(&u), LEN);
		if (fills(kind))
			CHECK_BYTES(data + at, other, len, names[kind]);
	}
	free(other);
	free(want);
}

/* Refused, and nothing runs. */
static void refused(enum kind kind, bool write, uint64_t at, uint32_t len, int want)
{
	struct iovec iov[3];
	struct io_uring_sqe sqes[2] = { prepared(write ? WRITE : READ, 0, 512, iov), prepared(kind, at, len, iov) };
	struct urx_fused fused;
	struct user u;
	int tag = taken(&u, write);

	memset(&fused, 0x5a, sizeof(fused));
	CHECK_EQ(plan(tag, sqes, 2, &fused), want);
	CHECK_EQ(fused.nr_sqes, 0x5a5a5a5a);
	server_plain(&s, tag);
	CHECK_EQ(user_end(&u), LEN);
}

static void ranges(void)
{
	for (int kind = 0; kind < KINDS; kind++) {
		bool write = !fills(kind);

		moves(kind, 1536, 6000);
		moves(kind, 0, LEN);
		moves(kind, LEN - 777, 777);
		moves(kind, 1, 3);
		refused(kind, write, LEN - 777, 778, -EFAULT);
		refused(kind, write, LEN, 3, -EFAULT);
		refused(kind, write, 0, LEN + 1, -EFAULT);
		refused(kind, write, UINT64_MAX - 1, 3, -EFAULT);
		refused(kind, write, 1ull << 32, 3, -EFAULT);
		refused(kind, write, 0, 0, -EINVAL);
		refused(kind, !write, 0, 512, -EFAULT);
	}
}

/* Two halves of the buffer, and what is asked of each. */
static void beside(void)
{
	struct iovec iov[3];
	struct io_uring_sqe sqes[3];
	struct urx_fused fused;
	struct user u;
	uint8_t *want = malloc(LEN);
	int tag, closed = open("/dev/null", O_RDONLY), small = memfd_create("small", 0);

	/* The second fails: the others land, and the next command finds all as it was. */
	for (int n = 0; n < 3; n++)
		sqes[n] = prepared(WRITE, (uint64_t)n * 4096, 4096, iov);
	sqes[1].fd = closed;
	fill(data, LEN, 1);
	memset(file_data, 0, LEN);
	tag = taken(&u, true);
	CHECK_EQ(plan(tag, sqes, 3, &fused), 0);
	CHECK_EQ(server_finish(&s, &fused), -EBADF);
	CHECK_EQ(fused.secondary_res[0], 4096);
	CHECK_EQ(fused.secondary_res[1], -EBADF);
	CHECK_EQ(fused.secondary_res[2], 4096);
	CHECK_BYTES(file_data, data, 4096, "first");
	CHECK_BYTES(file_data + 8192, data + 8192, 4096, "third");
	CHECK(file_data[4096] == 0 && file_data[8191] == 0);
	sqes[1].fd = 9999; /* no file at all */
	CHECK_EQ(plan(tag, sqes, 3, &fused), 0);
	CHECK_EQ(server_finish(&s, &fused), -EBADF);
	CHECK_EQ(fused.secondary_res[2], 4096);
	sqes[1].fd = file;
	CHECK_EQ(plan(tag, sqes, 3, &fused), 0);
	CHECK_EQ(server_finish(&s, &fused), 3 * 4096);
	CHECK_BYTES(file_data, data, 3 * 4096, "all");
	server_commit(&s, tag, LEN);
	CHECK_EQ(user_end(&u), LEN);

	/* The first half falls short: what counts ends there, and no byte that did not come gets to the reader. */
	CHECK_EQ(ftruncate(small, 1024), 0);
	fill(file_data, LEN, 2);
	CHECK_EQ(pwrite(small, file_data + 5, 1024, 0), 1024);
	sqes[0] = prepared(READ, 0, LEN / 2, iov);
	sqes[0].fd = small;
	sqes[1] = prepared(READ, LEN / 2, LEN / 2, iov);
	memset(data, 0, LEN);
	tag = taken(&u, false);
	CHECK_EQ(plan(tag, sqes, 2, &fused), 0);
	CHECK_EQ(server_finish(&s, &fused), 1024);
	CHECK_EQ(fused.secondary_res[0], 1024);
	CHECK_EQ(fused.secondary_res[1], LEN / 2);
	server_commit(&s, tag, 1024); /* the driver asks for the rest again */
	tag = server_take(&s, NULL);
	CHECK_EQ(bytes_of(&s, tag), LEN - 1024);
	CHECK_EQ(s.descs[tag].start_sector, 2);
	sqes[0] = prepared(READ, 0, LEN - 1024, iov);
	sqes[0].off = 1024;
	CHECK_EQ(plan(tag, sqes, 1, &fused), 0);
	CHECK_EQ(server_finish(&s, &fused), LEN - 1024);
	server_commit(&s, tag, fused.res);
	CHECK_EQ(user_end(&u), LEN);
	memcpy(want, file_data + 5, 1024);
	memcpy(want + 1024, file_data + 1024, LEN - 1024);
	CHECK_BYTES(data, want, LEN, "two requests");

	/* Of a bounce only what came: a server that commits more than there is shows the reader his own memory. */
	if (s.dev.flags & (URX_UBLK_F_ZERO_COPY | URX_UBLK_F_USER_COPY | URX_UBLK_F_AUTO_BUF_REG)) {
		CHECK_EQ(ftruncate(small, 1024), 0);
		sqes[0] = prepared(READ, 0, LEN, iov);
		sqes[0].fd = small;
		memset(data, 0x33, LEN);
		tag = taken(&u, false);
		CHECK_EQ(plan(tag, sqes, 1, &fused), 0);
		CHECK_EQ(server_finish(&s, &fused), 1024);
		server_commit(&s, tag, LEN);
		CHECK_EQ(user_end(&u), LEN);
		CHECK_BYTES(data, want, 1024, "came");
		for (size_t n = 1024; n < LEN; n++)
			CHECK_EQ(data[n], 0x33);
	}

	/* A RECV that gets less than it has room for. */
	sqes[0] = prepared(RECV, 4096, 4096, iov);
	sqes[0].msg_flags = 0;
	CHECK_EQ(send(pair[1], want, 100, 0), 100);
	tag = taken(&u, false);
	if (!plan(tag, sqes, 1, &fused))
		CHECK_EQ(server_finish(&s, &fused), 100);
	else
		receive(pair[0], want, 100);
	server_commit(&s, tag, LEN);
	CHECK_EQ(user_end(&u), LEN);

	/* Mirrored: both have all, which is the buffer once. */
	sqes[0] = sqes[1] = prepared(WRITE, 0, LEN, iov);
	sqes[1].fd = small;
	fill(data, LEN, 3);
	tag = taken(&u, true);
	CHECK_EQ(plan(tag, sqes, 2, &fused), 0);
	CHECK_EQ(server_finish(&s, &fused), LEN);
	server_commit(&s, tag, fused.res);
	CHECK_EQ(user_end(&u), LEN);
	CHECK_BYTES(file_data, data, LEN, "one");
	CHECK_EQ(pread(small, want, LEN, 0), LEN);
	CHECK_BYTES(want, data, LEN, "other");
	close(closed);
	close(small);
	free(want);
}

/* What may be set beside the operation. */
static void members(void)
{
	struct iovec iov[3];
	struct io_uring_sqe good = prepared(WRITE, 0, 4096, iov), sqes[URX_FUSED_MAX + 1];
	struct urx_fused fused;
	struct user u;
	int tag, files[2] = { -1, file };

	CHECK_EQ(io_uring_register_files(&s.ring, files, 2), 0);
	fill(data, LEN, 4);
	memset(file_data, 0, LEN);
	tag = taken(&u, true);
	for (unsigned bit = 0; bit < 8; bit++) {
		sqes[0] = good;
		sqes[0].flags = (uint8_t)(1 << bit);
		if (1 << bit != IOSQE_FIXED_FILE && 1 << bit != IOSQE_ASYNC)
			CHECK_EQ(plan(tag, sqes, 1, &fused), -EINVAL);
	}
	/* Bytes of an SQE that must be zero in a WRITE: of buf_index, write_stream, and all behind it. */
	for (unsigned at = 40; at < 64; at++) {
		if (at == 42 || at == 43) /* personality */
			continue;
		sqes[0] = good;
		((uint8_t *)sqes)[at] = 1;
		CHECK_EQ(plan(tag, sqes, 1, &fused), -EINVAL);
	}
	sqes[0] = good;
	sqes[0].rw_flags = 0x200;
	CHECK_EQ(plan(tag, sqes, 1, &fused), -EINVAL);
	sqes[0] = prepared(SEND, 0, 512, iov);
	for (unsigned bit = 1; bit < 16; bit++) {
		sqes[0].ioprio = (uint16_t)(1 << bit);
		CHECK_EQ(plan(tag, sqes, 1, &fused), -EINVAL);
	}
	for (unsigned opcode = 0; opcode < 256; opcode++) {
		sqes[0] = good;
		sqes[0].opcode = (uint8_t)opcode;
		if (opcode == IORING_OP_WRITE || opcode == IORING_OP_WRITEV || opcode == IORING_OP_SEND ||
		    opcode == OP_SEND_ZC)
			continue;
		sqes[0].addr = opcode == IORING_OP_READV ? (uintptr_t)iov : 0;
		sqes[0].len = 1;
		CHECK_EQ(plan(tag, sqes, 1, &fused), opcode == IORING_OP_READ || opcode == IORING_OP_READV ||
			 opcode == IORING_OP_RECV ? -EFAULT : -EINVAL);
	}
	for (unsigned n = 0; n <= URX_FUSED_MAX; n++) {
		sqes[n] = prepared(WRITE, n * 512, 512, iov);
		sqes[n].fd = 1;
		sqes[n].flags = IOSQE_FIXED_FILE | (n % 2 ? IOSQE_ASYNC : 0);
	}
	CHECK_EQ(plan(tag, sqes, 0, &fused), -EINVAL);
	CHECK_EQ(plan(tag, sqes, URX_FUSED_MAX + 1, &fused), -EINVAL);
	CHECK_EQ(plan(tag, NULL, 1, &fused), -EINVAL);
	CHECK_EQ(plan(s.dev.depth, &good, 1, &fused), -EINVAL);
	CHECK_EQ(plan(tag, sqes, URX_FUSED_MAX, &fused), 0);
	CHECK_EQ(plan(tag, sqes, 1, &fused), -EBUSY);
	CHECK_EQ(server_finish(&s, &fused), URX_FUSED_MAX * 512);
	CHECK_BYTES(file_data, data, URX_FUSED_MAX * 512, "sixteen");
	server_commit(&s, tag, LEN);
	CHECK_EQ(user_end(&u), LEN);
	CHECK_EQ(io_uring_unregister_files(&s.ring), 0);
}

int main(void)
{
	uint64_t features = ublk_features();

	data = pages(LEN);
	file = memfd_create("file", 0);
	CHECK_EQ(ftruncate(file, LEN), 0);
	file_data = mmap(NULL, LEN, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
	CHECK(file_data != MAP_FAILED);
	CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	connect_tcp();
	for (size_t n = 0; n < COUNT(ublk_ways); n++) {
		if (!ublk_has(features, n))
			continue;
		printf("flags %#llx, path %u\n", (unsigned long long)ublk_ways[n].flags, ublk_ways[n].path);
		fflush(stdout);
		server_up(&s, ublk_ways[n].flags, ublk_ways[n].allow, 0);
		can_copy = ublk_ways[n].path >= URX_FUSED_USER_COPY;
		ranges();
		beside();
		members();
		server_down(&s);
	}
	printf("SEND and RECV with registered buffers: %s\n", old_sockets ? "no" : "yes");
	return 0;
}
