/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Protection information of separate metadata by loops: a table, a tuple of one's own, first error out. */
#include <arpa/inet.h>

#include "../show.h"

#define INTERVAL 4096u
#define META 64u /* the tuple in its last 8 bytes: the guard covers the 56 before it */
#define BLOCKS 16u
#define ESCAPE 0xffff

struct my_tuple {
	uint16_t guard;
	uint16_t app;
	uint32_t ref;
} __attribute__((packed));

static uint16_t table[256];

static void crc_init(void)
{
	for (unsigned i = 0; i < 256; i++) {
		uint16_t crc = (uint16_t)(i << 8);

		for (int bit = 0; bit < 8; bit++)
			crc = (uint16_t)(crc & 0x8000 ? crc << 1 ^ 0x8bb7 : crc << 1);
		table[i] = crc;
	}
}

static uint16_t crc16(uint16_t crc, const uint8_t *buf, size_t len)
{
	while (len--)
		crc = (uint16_t)(crc << 8 ^ table[crc >> 8 ^ *buf++]);
	return crc;
}

static uint16_t guard_of(const uint8_t *data, const uint8_t *meta)
{
	uint16_t crc = crc16(0, data, INTERVAL);

	return crc16(crc, meta, META - sizeof(struct my_tuple));
}

static void generate(uint8_t *data, uint8_t *meta, unsigned blocks, uint16_t app, uint32_t ref)
{
	for (unsigned i = 0; i < blocks; i++, data += INTERVAL, meta += META) {
		struct my_tuple *t = (struct my_tuple *)(meta + META - sizeof(*t));

		t->guard = htons(guard_of(data, meta));
		t->app = htons(app);
		t->ref = htonl(ref + i);
	}
}

/* 0, or -1 and the story on stdout. */
static int verify(const uint8_t *data, const uint8_t *meta, unsigned blocks, uint16_t app,
		  uint32_t ref)
{
	for (unsigned i = 0; i < blocks; i++, data += INTERVAL, meta += META) {
		const struct my_tuple *t = (const struct my_tuple *)(meta + META - sizeof(*t));
		uint16_t guard = guard_of(data, meta);

		if (ntohs(t->app) == ESCAPE)
			return 0;
		if (ntohs(t->guard) != guard) {
			printf("block %u: guard is %#x, should be %#x\n", i, ntohs(t->guard), guard);
			return -1;
		}
		if (ntohs(t->app) != app) {
			printf("block %u: application tag is %#x, should be %#x\n", i, ntohs(t->app), app);
			return -1;
		}
		if (ntohl(t->ref) != ref + i) {
			printf("block %u: reference tag is %#x, should be %#x\n", i, ntohl(t->ref), ref + i);
			return -1;
		}
	}
	return 0;
}

int main(void)
{
	uint8_t *data = memory(BLOCKS * INTERVAL), *meta = memory(BLOCKS * META);

	crc_init();
	for (unsigned i = 0; i < BLOCKS * INTERVAL; i++)
		data[i] = (uint8_t)(i * 31 + i / INTERVAL);
	generate(data, meta, BLOCKS, 0xcafe, 1000);
	show_bytes("metadata", meta, BLOCKS * META);
	printf("as made: %s\n", verify(data, meta, BLOCKS, 0xcafe, 1000) ? "wrong" : "right");
	data[9 * INTERVAL + 5] ^= 1;
	printf("a bit of block 9: %s\n", verify(data, meta, BLOCKS, 0xcafe, 1000) ? "wrong" : "right");
	meta[3 * META + META - 6] = meta[3 * META + META - 5] = 0xff; /* block 3 is not checked */
	printf("behind an escape: %s\n", verify(data, meta, BLOCKS, 0xcafe, 1000) ? "wrong" : "right");
	return 0;
}
