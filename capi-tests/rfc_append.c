/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Where appends landed as the series of 2020 told it: units of 512 bytes from the zone's start. */
#include "urx_test.h"

int main(void)
{
	static const struct {
		uint64_t zone, offset;
		uint32_t units;
	} same[] = {
		{ 0, 0, 0 },
		{ 0, 512, 1 },
		{ 4 << 20, (4 << 20) + 4096, 8 },
		{ 1ull << 40, (1ull << 40) + 3 * 512, 3 },
		{ 0, 0xffffffffull * 512, 0xffffffff },
		{ UINT64_MAX - 1023, UINT64_MAX - 511, 1 },
	};
	uint32_t units = 77;

	for (size_t n = 0; n < COUNT(same); n++) {
		CHECK_EQ(urx_rfc_append_offset(same[n].zone, same[n].units), same[n].offset);
		CHECK_EQ(urx_rfc_append_units(same[n].zone, same[n].offset, &units), 0);
		CHECK_EQ(units, same[n].units);
	}
	units = 77;
	CHECK_EQ(urx_rfc_append_units(0, 511, &units), -EINVAL);
	CHECK_EQ(urx_rfc_append_units(512, 0, &units), -EINVAL);
	CHECK_EQ(urx_rfc_append_units(0, 0x100000000ull * 512, &units), -ERANGE);
	CHECK_EQ(units, 77);
	CHECK_EQ(urx_rfc_append_units(0, 512, NULL), -EINVAL);
	CHECK_EQ(urx_rfc_append_offset(UINT64_MAX - 511, 2), UINT64_MAX);
	return 0;
}
