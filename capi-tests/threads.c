/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* One struct urx_pi and one target serve many threads at once. */
#include <pthread.h>
#include "urx_test.h"

enum { THREADS = 8, ROUNDS = 30, BLOCKS = 16 };

static struct urx_pi pi;
static struct urx_target *target;

static void *work(void *number)
{
	uintptr_t id = (uintptr_t)number;
	struct urx_tags tags = { .checks = 7, .app = (uint16_t)id, .ref = id * 1000 };
	struct urx_pi_report all = { .size = sizeof(all), .flags = URX_REPORT_COUNT_ALL };
	struct urx_target_info info = { .size = sizeof(info) };
	uint8_t *data = malloc(BLOCKS * 512), *meta = malloc(BLOCKS * 16);

	CHECK(data && meta);
	for (int round = 0; round < ROUNDS; round++) {
		fill(data, BLOCKS * 512, id * ROUNDS + (unsigned)round);
		CHECK_EQ(urx_pi_generate(&pi, &tags, data, meta, BLOCKS), 0);
		CHECK_EQ(urx_pi_verify(&pi, &tags, data, meta, BLOCKS, NULL), 0);
		data[round] ^= 1;
		CHECK_EQ(urx_pi_verify(&pi, &tags, data, meta, BLOCKS, &all), -EILSEQ);
		CHECK_EQ(all.failed, round + 1);
		CHECK_EQ(urx_target_query(target, &info), 0);
		CHECK_EQ(info.kind, URX_KIND_FILE);
	}
	free(data);
	free(meta);
	return NULL;
}

int main(void)
{
	struct urx_pi_format f = format_of(URX_GUARD_CRC64, 1, 512, 16, false);
	pthread_t threads[THREADS];

	pi = pi_of(&f);
	CHECK_EQ(urx_target_open(&target, "/proc/self/exe", NULL), 0);
	for (uintptr_t n = 0; n < THREADS; n++)
		CHECK_EQ(pthread_create(&threads[n], NULL, work, (void *)n), 0);
	for (int n = 0; n < THREADS; n++)
		CHECK_EQ(pthread_join(threads[n], NULL), 0);
	urx_target_close(target);
	return 0;
}
