/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Protection information of separate metadata. */
#include <liburing-ext.h>

#include "../show.h"

#define INTERVAL 4096u
#define META 64u
#define BLOCKS 16u

static const struct urx_pi_format format = { .size = sizeof(format), .interval = INTERVAL,
					     .meta_size = META, .pi_offset = META - 8,
					     .guard = URX_GUARD_T10DIF, .pi_type = 1 };
static const struct urx_tags tags = { .checks = URX_CHECK_GUARD | URX_CHECK_APP | URX_CHECK_REF,
				      .app = 0xcafe, .ref = 1000 };

static int verify(const struct urx_pi *pi, const void *data, const void *meta)
{
	struct urx_pi_error e;
	struct urx_pi_report report = { .size = sizeof(report), .errors = &e, .capacity = 1 };
	int rc = urx_pi_verify(pi, &tags, data, meta, BLOCKS, &report);

	if (report.stored)
		printf("block %llu: %s is %#llx, should be %#llx\n", (unsigned long long)e.block,
		       urx_check_str(e.check), (unsigned long long)e.actual,
		       (unsigned long long)e.expected);
	return rc;
}

int main(void)
{
	uint8_t *data = memory(BLOCKS * INTERVAL), *meta = memory(BLOCKS * META);
	struct urx_pi pi;

	for (unsigned i = 0; i < BLOCKS * INTERVAL; i++)
		data[i] = (uint8_t)(i * 31 + i / INTERVAL);
	if (urx_pi_init(&pi, &format, NULL) || urx_pi_generate(&pi, &tags, data, meta, BLOCKS))
		return 1;
	show_bytes("metadata", meta, BLOCKS * META);
	printf("as made: %s\n", verify(&pi, data, meta) ? "wrong" : "right");
	data[9 * INTERVAL + 5] ^= 1;
	printf("a bit of block 9: %s\n", verify(&pi, data, meta) ? "wrong" : "right");
	meta[3 * META + META - 6] = meta[3 * META + META - 5] = 0xff;
	printf("behind an escape: %s\n", verify(&pi, data, meta) ? "wrong" : "right");
	return 0;
}
