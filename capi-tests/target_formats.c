/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* What is learnt of every namespace of the test machine, as block and character device, and who told. */
#include "urx_test.h"

struct expected {
	const char *label;
	uint64_t bytes, start;
	uint32_t nsid, interval, meta_size, pi_offset, guard, pi_type, zones;
	bool interleaved, hole; /* hole: no capacity as the kernel sees it */
};

enum { T10 = URX_GUARD_T10DIF, C64 = URX_GUARD_CRC64 };

/* In the order of vm/namespaces. Where sectors are odd, metadata takes the rest of the backing file. */
static const struct expected table[] = {
	{ "pi512", 32263 * 512, 0, 1, 512, 8, 0, T10, 1, 0, false, false },
	{ "pi4k", 4088 * 4096, 0, 2, 4096, 8, 0, T10, 1, 0, false, false },
	{ "pi8last", 4088 * 4096, 0, 3, 4096, 8, 0, T10, 1, 0, false, false },
	{ "type2", 4088 * 4096, 0, 4, 4096, 8, 0, T10, 2, 0, false, false },
	{ "type3", 4088 * 4096, 0, 5, 4096, 8, 0, T10, 3, 0, false, false },
	{ "pi64", 4080 * 4096, 0, 6, 4096, 16, 0, C64, 1, 0, false, false },
	{ "pi64t3", 4080 * 4096, 0, 7, 4096, 16, 0, C64, 3, 0, false, false },
	{ "ms64first", 4032 * 4096, 0, 8, 4096, 64, 0, T10, 1, 0, false, false },
	{ "ms64last", 4032 * 4096, 0, 9, 4096, 64, 56, T10, 1, 0, false, false },
	{ "ms8nopi", 4088 * 4096, 0, 10, 4096, 8, 0, 0, 0, 0, false, false },
	{ "ms64nopi", 4032 * 4096, 0, 11, 4096, 64, 0, 0, 0, 0, false, false },
	{ "ext4k", 4088 * 4096, 0, 12, 4096, 8, 0, T10, 1, 0, true, false },
	{ "extnopi", 4080 * 4096, 0, 13, 4096, 16, 0, 0, 0, 0, true, true },
	{ "zns", 64 << 20, 0, 14, 4096, 0, 0, 0, 0, 16, false, false },
	{ "znspi", 60 << 20, 0, 15, 4096, 8, 0, T10, 1, 15, false, false },
	{ "plain", 16 << 20, 0, 16, 512, 0, 0, 0, 0, 0, false, false },
	{ "part", 8176 * 4096, 0, 17, 4096, 8, 0, T10, 1, 0, false, false },
	{ "part1", 2000 * 4096, 17 * 4096, 17, 4096, 8, 0, T10, 1, 0, false, false },
	{ "part2", 4000 * 4096, 3001 * 4096, 17, 4096, 8, 0, T10, 1, 0, false, false },
};

#define SAME(a, b)                                                                                   \
	do {                                                                                         \
		if ((uint64_t)(a) != (uint64_t)(b))                                                  \
			FAIL("%s: %s is %" PRIu64 ", not %" PRIu64, path, #a, (uint64_t)(a),         \
			     (uint64_t)(b));                                                         \
	} while (0)

static void expect(const struct expected *e, const char *path, bool block)
{
	struct urx_target *target;
	struct urx_target_info i = { .size = sizeof(i) };
	bool lbmd = kernel() >= 6017 && block && e->meta_size && !e->interleaved;
	/* sysfs has no place of the tuple: it must fill the metadata. */
	bool sysfs = kernel() >= 6010 && e->guard && !e->interleaved &&
		     e->meta_size == tuple_bytes(e->guard);
	unsigned tags = URX_CHECK_GUARD | URX_CHECK_APP | (e->pi_type != 3 ? URX_CHECK_REF : 0);
	int ret = urx_target_open(&target, path, NULL);

	if (ret)
		FAIL("%s: %s", path, strerror(-ret));
	CHECK_EQ(urx_target_query(target, &i), 0);
	SAME(i.kind, block ? URX_KIND_NVME_BLOCK : URX_KIND_NVME_CHAR);
	SAME(i.flags, (lbmd ? URX_INFO_ATTR : 0) | (block ? URX_INFO_DIRECT : 0));
	SAME(i.nsid, e->nsid);
	SAME(i.bytes, e->bytes);
	SAME(i.start, e->start);
	SAME(i.format.size, sizeof(i.format));
	SAME(i.format.flags, e->interleaved ? URX_PI_INTERLEAVED : 0);
	SAME(i.format.interval, e->interval);
	SAME(i.format.meta_size, e->meta_size);
	SAME(i.format.pi_offset, e->pi_offset);
	SAME(i.format.guard, e->guard);
	SAME(i.format.pi_type, e->pi_type);
	SAME(i.format.storage_bits, 0);
	SAME(i.format.checks, e->guard ? tags : 0);
	SAME(i.format.pi_size, !e->guard ? 0 : e->guard == URX_GUARD_CRC64 ? 16 : 8);
	SAME(i.format.ref_bits, !e->guard ? 0 : e->guard == URX_GUARD_CRC64 ? 48 : 32);
	SAME(i.source[URX_FACT_FORMAT], lbmd && e->guard ? URX_SOURCE_LBMD :
					sysfs		 ? URX_SOURCE_SYSFS : URX_SOURCE_IDENTIFY);
	SAME(i.source[URX_FACT_TYPE], e->guard ? URX_SOURCE_IDENTIFY : URX_SOURCE_NONE);
	SAME(i.source[URX_FACT_NSID], URX_SOURCE_DRIVER);
	SAME(i.source[URX_FACT_BYTES], e->hole ? URX_SOURCE_IDENTIFY :
				       block   ? URX_SOURCE_DRIVER : URX_SOURCE_SYSFS);
	SAME(i.source[URX_FACT_START], URX_SOURCE_SYSFS);
	SAME(i.source[URX_FACT_LIMITS], URX_SOURCE_SYSFS);
	SAME(i.source[URX_FACT_ZONES], e->zones ? URX_SOURCE_SYSFS : URX_SOURCE_NONE);
	SAME(i.max_command, 524288);
	SAME(i.max_append, e->zones ? 524288 : 0);
	SAME(i.nr_zones, e->zones);
	SAME(i.zone_bytes, e->zones ? 4 << 20 : 0);
	CHECK(i.data_align >= 4 && i.data_align <= e->interval && !(i.data_align & (i.data_align - 1)));
	if (e->guard)
		pi_of(&i.format);
	urx_target_close(target);
}

int main(void)
{
	need_vm();
	for (size_t n = 0; n < COUNT(table); n++) {
		char name[32], path[64];

		snprintf(path, sizeof(path), "%s", node(table[n].label));
		expect(&table[n], path, true);
		snprintf(name, sizeof(name), "%s.ng", table[n].label);
		snprintf(path, sizeof(path), "%s", node(name));
		if (kernel() >= 6001 && !table[n].start)
			expect(&table[n], path, false);
	}
	return 0;
}
