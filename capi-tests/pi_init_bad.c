/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Each wrong member of a format is refused by name, and nothing is written; also an urx_pi never filled. */
#include "urx_test.h"

static void refused(struct urx_pi_format f, const char *member)
{
	struct urx_pi pi, before;
	const char *why = NULL;

	memset(&pi, 0xa5, sizeof(pi));
	before = pi;
	CHECK_EQ(urx_pi_init(&pi, &f, NULL), -EINVAL);
	CHECK_EQ(urx_pi_init(&pi, &f, &why), -EINVAL);
	if (!begins(why, member))
		FAIL("\"%s\" does not begin with %s", why, member);
	CHECK_BYTES(&pi, &before, sizeof(pi), member);
}

#define REFUSED(member, ...)                                                                         \
	do {                                                                                         \
		struct urx_pi_format f = good;                                                       \
		__VA_ARGS__;                                                                         \
		refused(f, member);                                                                  \
	} while (0)

int main(void)
{
	struct urx_pi_format good = format_of(URX_GUARD_T10DIF, 1, 512, 8, false);
	struct urx_tags tags = { .checks = URX_CHECK_GUARD };
	struct urx_pi_tuple tuple = { 0 };
	struct urx_pi pi = pi_of(&good);
	uint8_t data[512] = { 0 }, meta[8] = { 0 };
	const char *why = NULL;

	CHECK_EQ(urx_pi_init(&pi, &good, &why), 0);
	CHECK(why && *why);

	REFUSED("size", f.size = 0);
	REFUSED("size", f.size = sizeof(f) - 1);
	REFUSED("size", f.size = 4097);
	REFUSED("size", f.size = UINT32_MAX);
	REFUSED("flags", f.flags = 2);
	REFUSED("flags", f.flags = 1u << 31);
	REFUSED("interval", f.interval = 0);
	REFUSED("interval", f.interval = 4);
	REFUSED("interval", f.interval = 513);
	REFUSED("interval", f.interval = 65544);
	REFUSED("interval", f.interval = UINT32_MAX - 7);
	REFUSED("meta_size", f.meta_size = 0);
	REFUSED("meta_size", f.meta_size = 7);
	REFUSED("meta_size", f.guard = URX_GUARD_CRC64, f.meta_size = 15);
	REFUSED("meta_size", f.guard = URX_GUARD_CRC32C, f.meta_size = 8);
	REFUSED("pi_offset", f.pi_offset = 1);
	REFUSED("pi_offset", f.meta_size = 64, f.pi_offset = 8);
	REFUSED("pi_offset", f.meta_size = 64, f.pi_offset = 57);
	REFUSED("guard", f.guard = 5);
	REFUSED("guard", f.guard = 255);
	REFUSED("guard", f.guard = URX_GUARD_NONE, f.pi_type = 0);
	REFUSED("pi_type", f.guard = URX_GUARD_NONE);
	REFUSED("pi_type", f.pi_type = 0);
	REFUSED("pi_type", f.pi_type = 4);
	REFUSED("storage_bits", f.storage_bits = 33);
	REFUSED("storage_bits", f.guard = URX_GUARD_IP, f.storage_bits = 1);
	REFUSED("storage_bits", f.guard = URX_GUARD_CRC32C, f.meta_size = 16, f.storage_bits = 15);
	REFUSED("storage_bits", f.guard = URX_GUARD_CRC32C, f.meta_size = 16, f.storage_bits = 65);
	REFUSED("storage_bits", f.guard = URX_GUARD_CRC64, f.meta_size = 16, f.storage_bits = 49);
	for (size_t n = 0; n < COUNT(good.reserved); n++)
		REFUSED("reserved", f.reserved[n] = 1u << 31);
	REFUSED("reserved", f.reserved0 = 1);
	good.checks = good.pi_size = good.ref_bits = 0xff; /* the library's to write, not looked at */
	CHECK_EQ(urx_pi_init(&pi, &good, NULL), 0);

	/* Zeros, rubbish, and a single bit of a good one changed: never more than a refusal. */
	for (int byte = 0; byte < 256; byte += 0x55) {
		memset(&pi, byte, sizeof(pi));
		CHECK_EQ(urx_pi_generate(&pi, &tags, data, meta, 1), -EINVAL);
		CHECK_EQ(urx_pi_verify(&pi, &tags, data, meta, 1, NULL), -EINVAL);
		CHECK_EQ(urx_pi_tuple_get(&pi, meta, &tuple), -EINVAL);
		CHECK_EQ(urx_pi_tuple_set(&pi, meta, &tuple), -EINVAL);
	}
	return 0;
}
