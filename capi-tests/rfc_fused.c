/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The SQEs of the fused command series of 2023, byte by byte, and all that is refused. */
#include "urx_test.h"

/* A READ of 4096 bytes at 0x1122334455667788 of fixed file 9 to byte 0x200 of the buffer; user_data a0..a7. */
#define READ_BYTES                                                                                     \
	0x16, 0x01, 0x00, 0x00, 0x09, 0x00, 0x00, 0x00, 0x88, 0x77, 0x66, 0x55, 0x44, 0x33, 0x22, 0x11, \
	0x00, 0x02, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x10, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, \
	0xa0, 0xa1, 0xa2, 0xa3, 0xa4, 0xa5, 0xa6, 0xa7, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, \
	0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00

/* Opcode 0xc9, file 7, cmd_op 0x12345678; the application's word is kept. */
#define PRIMARY_BYTES(flags, nr)                                                                       \
	0xc9, 0x00, 0x00, 0x00, 0x07, 0x00, 0x00, 0x00, 0x78, 0x56, 0x34, 0x12, 0x00, 0x00, 0x00, 0x00, \
	0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, flags, 0x00, 0x00, 0x00, \
	0x5a, 0x5a, 0x5a, 0x5a, 0x5a, 0x5a, 0x5a, 0x5a, nr, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, \
	0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x07, 0x08, 0x09, 0x0a, 0x0b, 0x0c, 0x0d, 0x0e, 0x0f, 0x10

static const uint8_t halves[128] = { PRIMARY_BYTES(0, 0), READ_BYTES };
static const uint8_t pair[128] = { PRIMARY_BYTES(2, 1), READ_BYTES };
static const uint8_t payload[16] = { 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16 };

static uint8_t sqes[130];

static int prep(uint32_t layout, uint32_t flags, uint8_t opcode, const void *secondary)
{
	memset(sqes, 0x5a, sizeof(sqes));
	return urx_rfc_prep_fused((void *)(sqes + 1), layout, flags, opcode, 7, 0x12345678, payload, secondary);
}

static void refused(uint32_t layout, uint32_t flags, uint8_t opcode, const void *secondary)
{
	CHECK_EQ(prep(layout, flags, opcode, secondary), -EINVAL);
	for (size_t n = 0; n < sizeof(sqes); n++)
		CHECK_EQ(sqes[n], 0x5a);
}

int main(void)
{
	static const uint8_t given[64] = { READ_BYTES };
	uint8_t bad[64];

	CHECK_EQ(prep(URX_RFC_FUSED_HALVES, URX_RFC_KERNEL_HAS_IT, 0xc9, given), 0);
	CHECK_BYTES(sqes + 1, halves, 128, "halves");
	CHECK_EQ(prep(URX_RFC_FUSED_PAIR, URX_RFC_KERNEL_HAS_IT, 0xc9, given), 0);
	CHECK_BYTES(sqes + 1, pair, 128, "pair");
	CHECK(sqes[0] == 0x5a && sqes[129] == 0x5a);
	CHECK_EQ(urx_rfc_prep_fused((void *)(sqes + 1), URX_RFC_FUSED_PAIR, URX_RFC_KERNEL_HAS_IT, 0xc9, 7, 0, NULL,
				    (const void *)given), 0);
	for (size_t n = 49; n < 65; n++)
		CHECK_EQ(sqes[n], 0);

	/* Every operation of Linux, the series' own number 49 too: it is READ_MULTISHOT now. */
	for (unsigned opcode = 0; opcode < 65; opcode++) {
		refused(URX_RFC_FUSED_HALVES, URX_RFC_KERNEL_HAS_IT, (uint8_t)opcode, given);
		refused(URX_RFC_FUSED_PAIR, URX_RFC_KERNEL_HAS_IT, (uint8_t)opcode, given);
	}
	refused(URX_RFC_FUSED_PAIR, URX_RFC_KERNEL_HAS_IT, 255, given);
	refused(URX_RFC_FUSED_PAIR, 0, 0xc9, given);
	refused(URX_RFC_FUSED_PAIR, 2, 0xc9, given);
	refused(URX_RFC_FUSED_PAIR, URX_RFC_KERNEL_HAS_IT | 2, 0xc9, given);
	refused(0, URX_RFC_KERNEL_HAS_IT, 0xc9, given);
	refused(3, URX_RFC_KERNEL_HAS_IT, 0xc9, given);
	refused(URX_RFC_FUSED_PAIR, URX_RFC_KERNEL_HAS_IT, 0xc9, NULL);
	CHECK_EQ(urx_rfc_prep_fused(NULL, URX_RFC_FUSED_PAIR, URX_RFC_KERNEL_HAS_IT, 0xc9, 7, 0, payload,
				    (const void *)given), -EINVAL);

	/* Secondaries: what the series has (READ, WRITE, SEND, RECV, SEND_ZC), and no command in a command. */
	for (unsigned opcode = 0; opcode < 256; opcode++) {
		memcpy(bad, given, sizeof(bad));
		bad[0] = (uint8_t)opcode;
		memset(bad + 8, 0, 8);
		if (opcode == 22 || opcode == 23 || opcode == 26 || opcode == 27 || opcode == 47)
			CHECK_EQ(prep(URX_RFC_FUSED_PAIR, URX_RFC_KERNEL_HAS_IT, 0xc9, bad), 0);
		else
			refused(URX_RFC_FUSED_PAIR, URX_RFC_KERNEL_HAS_IT, 0xc9, bad);
	}
	for (unsigned bit = 1; bit < 8; bit++) {
		memcpy(bad, given, sizeof(bad));
		bad[1] = (uint8_t)(1 << bit);
		if (bit != 4) /* IOSQE_ASYNC */
			refused(URX_RFC_FUSED_PAIR, URX_RFC_KERNEL_HAS_IT, 0xc9, bad);
	}
	return 0;
}
