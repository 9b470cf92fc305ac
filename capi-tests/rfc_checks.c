/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The check bits of the 2024 READ_META series: two of them change places, the others stay. */
#include "urx_test.h"

int main(void)
{
	CHECK_EQ(urx_rfc_checks(0), 0);
	CHECK_EQ(urx_rfc_checks(1), URX_CHECK_GUARD);
	CHECK_EQ(urx_rfc_checks(2), URX_CHECK_APP);
	CHECK_EQ(urx_rfc_checks(4), URX_CHECK_REF);
	CHECK_EQ(urx_rfc_checks(7), URX_CHECK_GUARD | URX_CHECK_REF | URX_CHECK_APP);
	for (uint32_t flags = 0; flags <= UINT16_MAX; flags++) {
		uint32_t want = (flags & 0xfff9) | (flags & 2) << 1 | (flags & 4) >> 1;
		CHECK_EQ(urx_rfc_checks((uint16_t)flags), want);
	}
	return 0;
}
