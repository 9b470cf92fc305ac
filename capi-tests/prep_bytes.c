/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Every byte of the SQE that each prep function makes, and that liburing's spelling makes the same. */
#include <sys/uio.h>
#include "urx_test.h"

enum { READV = 1, WRITEV = 2, READ_FIXED = 4, WRITE_FIXED = 5, READ = 22, WRITE = 23,
       READV_FIXED = 60, WRITEV_FIXED = 61 };

static union {
	struct io_uring_sqe sqe;
	uint8_t bytes[128];
} sqe;
static uint8_t data[4096];
static struct iovec iov[3];
static const struct urx_attr_pi attr = { .flags = 7, .app_tag = 0x1234, .len = 8, .seed = 99 };

static void put(uint8_t *at, uint64_t value, int bytes)
{
	memcpy(at, &value, (size_t)bytes); /* little endian, as every machine that this runs on */
}

/* Bytes 0..63 as include/uapi/linux/io_uring.h places them; user_data is what was there before. */
static void expect(const char *what, uint8_t opcode, const void *addr, uint32_t len,
		   uint16_t buf_index, const void *pi)
{
	uint8_t want[128];

	memset(want, 0, 64);
	memset(want + 64, 0xa5, 64);
	want[0] = opcode;
	put(want + 4, 0x01020304, 4);
	put(want + 8, 0x1122334455667788, 8);
	put(want + 16, (uintptr_t)addr, 8);
	put(want + 24, len, 4);
	memset(want + 32, 0xa5, 8);
	put(want + 40, buf_index, 2);
	put(want + 48, (uintptr_t)pi, 8);
	put(want + 56, 1, 8);
	CHECK_BYTES(sqe.bytes, want, 128, what);
	memset(&sqe, 0xa5, sizeof(sqe));
}

#define BOTH(prep, opcode, addr, len, index, pi, ...)                                                \
	do {                                                                                         \
		urx_prep_##prep(&sqe.sqe, 0x01020304, addr, len, 0x1122334455667788, __VA_ARGS__);   \
		expect("urx_prep_" #prep, opcode, addr, len, index, pi);                             \
		io_uring_prep_##prep(&sqe.sqe, 0x01020304, addr, len, 0x1122334455667788,            \
				     __VA_ARGS__);                                                   \
		expect("io_uring_prep_" #prep, opcode, addr, len, index, pi);                        \
	} while (0)

static void all(const struct urx_attr_pi *pi)
{
	BOTH(read_meta, READ, data, 4096, 0, pi, pi);
	BOTH(write_meta, WRITE, data, UINT32_MAX, 0, pi, pi);
	BOTH(readv_meta, READV, iov, 3, 0, pi, pi);
	BOTH(writev_meta, WRITEV, iov, 1, 0, pi, pi);
	for (int index = 0; index < 0x10000; index += 0x5555) {
		BOTH(read_fixed_meta, READ_FIXED, data, 512, (uint16_t)index, pi, index, pi);
		BOTH(write_fixed_meta, WRITE_FIXED, data, 512, (uint16_t)index, pi, index, pi);
		BOTH(readv_fixed_meta, READV_FIXED, iov, 2, (uint16_t)index, pi, index, pi);
		BOTH(writev_fixed_meta, WRITEV_FIXED, iov, 2, (uint16_t)index, pi, index, pi);
	}
	/* An index that 16 bits cannot hold must not become another buffer's. */
	BOTH(read_fixed_meta, READ_FIXED, data, 512, 0xffff, pi, 0x10000, pi);
	BOTH(write_fixed_meta, WRITE_FIXED, data, 512, 0xffff, pi, -1, pi);
	BOTH(readv_fixed_meta, READV_FIXED, iov, 2, 0xffff, pi, INT32_MAX, pi);
	BOTH(writev_fixed_meta, WRITEV_FIXED, iov, 2, 0xffff, pi, INT32_MIN, pi);
}

/* Adding an attribute to an SQE changes its bytes 48..63 only, with the inline form 48..127. */
static void added(void (*add)(struct io_uring_sqe *, const struct urx_attr_pi *),
		  const struct urx_attr_pi *pi, bool is_inline)
{
	uint8_t want[128];
	const void *at = pi && is_inline ? sqe.bytes + 64 : (const void *)pi;

	memset(&sqe, 0xa5, sizeof(sqe));
	memset(want, 0xa5, sizeof(want));
	put(want + 48, (uintptr_t)at, 8);
	put(want + 56, 1, 8);
	if (is_inline) {
		memset(want + 64, 0, 64);
		if (pi)
			memcpy(want + 64, pi, 32);
	}
	add(&sqe.sqe, pi);
	CHECK_BYTES(sqe.bytes, want, 128, is_inline ? "inline" : "by pointer");
}

int main(void)
{
	memset(&sqe, 0xa5, sizeof(sqe));
	all(&attr);
	all(NULL);
	for (int n = 0; n < 2; n++) {
		const struct urx_attr_pi *pi = n ? NULL : &attr;

		added(urx_prep_rw_attr_pi, pi, false);
		added(io_uring_prep_rw_attr_pi, pi, false);
		added(urx_prep_rw_attr_pi_inline, pi, true);
		added(io_uring_prep_rw_attr_pi_inline, pi, true);
	}
	/* The kernel's and liburing's own idea of a read, to which the attribute is added. */
	memset(&sqe, 0, sizeof(sqe));
	io_uring_prep_read(&sqe.sqe, 0x01020304, data, 512, 0x1122334455667788);
	memset(sqe.bytes + 32, 0xa5, 8);
	memset(sqe.bytes + 64, 0xa5, 64);
	urx_prep_rw_attr_pi(&sqe.sqe, &attr);
	expect("liburing's read", READ, data, 512, 0, &attr);
	return 0;
}
