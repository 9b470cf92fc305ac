/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Not one byte beyond a buffer is touched: every buffer ends where a forbidden page begins. */
#include <sys/mman.h>
#include "urx_test.h"

enum { ROOM = 64 * 1024 };

/* The first byte of a forbidden page that ROOM bytes lie before. */
static uint8_t *edge(void)
{
	uint8_t *memory = mmap(NULL, ROOM + 4096, PROT_READ | PROT_WRITE,
			       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	CHECK(memory != MAP_FAILED);
	CHECK_EQ(mprotect(memory + ROOM, 4096, PROT_NONE), 0);
	fill(memory, ROOM, 1);
	return memory + ROOM;
}

int main(void)
{
	uint8_t *data = edge(), *meta = edge();
	struct urx_tags *tags = (void *)(edge() - sizeof(*tags));
	struct urx_pi *pi = (void *)(edge() - sizeof(*pi));
	struct urx_pi_format *f = (void *)(edge() - sizeof(*f));
	struct urx_pi_report *report = (void *)(edge() - sizeof(*report));
	struct urx_pi_error *errors = (void *)(edge() - 2 * sizeof(*errors));
	struct urx_pi_tuple *tuple = (void *)(edge() - sizeof(*tuple));

	for (size_t len = 0; len < 300; len++) {
		urx_crc16_t10dif(0, data - len, len);
		urx_crc32c(0, data - len, len);
		urx_crc64_nvme(0, data - len, len);
		urx_ip_checksum(0xffff, data - len, len);
	}
	for (unsigned guard = URX_GUARD_T10DIF; guard <= URX_GUARD_CRC64; guard++)
		for (unsigned n = 0; n < 32; n++) {
			size_t blocks = 1 + n / 8, interval = n & 1 ? 4096 : 8, size = n & 2 ? 19 : 16;
			bool interleaved = n & 4;
			uint8_t *d, *m = interleaved ? NULL : meta - blocks * size;

			*f = format_of(guard, 1, (unsigned)interval, (unsigned)size, n & 1);
			f->flags = interleaved ? URX_PI_INTERLEAVED : 0;
			*tags = (struct urx_tags){ .checks = 7 };
			d = data - blocks * (interval + (interleaved ? size : 0));
			CHECK_EQ(urx_pi_init(pi, f, NULL), 0);
			CHECK_EQ(urx_pi_generate(pi, tags, d, m, blocks), 0);
			CHECK_EQ(urx_pi_verify(pi, tags, d, m, blocks, NULL), 0);
			CHECK_EQ(urx_pi_tuple_get(pi, (m ? m : d + interval), tuple), 0);
			CHECK_EQ(urx_pi_tuple_get(pi, meta - size, tuple), 0);
			CHECK_EQ(urx_pi_tuple_set(pi, meta - size, tuple), 0);
			d[0] ^= 1;
			*report = (struct urx_pi_report){ .size = sizeof(*report), .errors = errors,
							  .capacity = 2, .flags = URX_REPORT_COUNT_ALL };
			CHECK_EQ(urx_pi_verify(pi, tags, d, m, blocks, report), -EILSEQ);
			CHECK(report->stored >= 1);
		}
	return 0;
}
