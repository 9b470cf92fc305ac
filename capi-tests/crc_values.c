/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Published check values, any cut into pieces, and the oracle itself against the same values. */
#include "urx_test.h"

int main(void)
{
	static const char digits[] = "123456789";
	static uint8_t zeros[4096], ones[4096], data[3001];
	static const size_t lengths[] = { 0, 1, 2, 3, 7, 8, 9, 15, 16, 31, 33, 63, 64, 65, 127, 129,
					  255, 256, 257, 1000, 2048, 3000 };

	memset(ones, 0xff, sizeof(ones));
	fill(data, sizeof(data), 1);

	/* CRC catalogues' check values; CRC-64 also over the 4 KiB of the NVM command set specification. */
	CHECK_EQ(urx_crc16_t10dif(0, digits, 9), 0xd0db);
	CHECK_EQ(urx_crc32c(0, digits, 9), 0xe3069283);
	CHECK_EQ(urx_crc64_nvme(0, digits, 9), 0xae8b14860a799888);
	CHECK_EQ(urx_crc64_nvme(0, zeros, 4096), 0x6482d367eb22b64e);
	CHECK_EQ(urx_crc64_nvme(0, ones, 4096), 0xc0ddba7302eca3ac);
	CHECK_EQ(urx_crc32c(0, zeros, 32), 0x8a9136aa); /* RFC 3720, B.4 */
	CHECK_EQ(urx_crc32c(0, ones, 32), 0x62a8ab43);
	CHECK_EQ(urx_ip_checksum(0xffff, "\0\1\xf2\3\xf4\xf5\xf6\xf7", 8), 0x220d); /* RFC 1071, 3 */

	CHECK_EQ(oracle_guard(URX_GUARD_T10DIF, digits, 9), 0xd0db);
	CHECK_EQ(oracle_guard(URX_GUARD_CRC32C, digits, 9), 0xe3069283);
	CHECK_EQ(oracle_guard(URX_GUARD_CRC64, digits, 9), 0xae8b14860a799888);
	CHECK_EQ(oracle_guard(URX_GUARD_IP, "\0\1\xf2\3\xf4\xf5\xf6\xf7", 8), 0x220d);

	for (size_t n = 0; n < COUNT(lengths); n++) {
		const uint8_t *at = data + n % 2; /* aligned or not */
		size_t len = lengths[n];

		CHECK_EQ(urx_crc16_t10dif(0, at, len), oracle_guard(URX_GUARD_T10DIF, at, len));
		CHECK_EQ(urx_crc32c(0, at, len), oracle_guard(URX_GUARD_CRC32C, at, len));
		CHECK_EQ(urx_crc64_nvme(0, at, len), oracle_guard(URX_GUARD_CRC64, at, len));
		CHECK_EQ(urx_ip_checksum(0xffff, at, len), oracle_guard(URX_GUARD_IP, at, len));
	}
	for (size_t cut = 0; cut <= 600; cut++) {
		const uint8_t *rest = data + cut;
		size_t left = 600 - cut;

		CHECK_EQ(urx_crc16_t10dif(urx_crc16_t10dif(0, data, cut), rest, left),
			 oracle_guard(URX_GUARD_T10DIF, data, 600));
		CHECK_EQ(urx_crc32c(urx_crc32c(0, data, cut), rest, left),
			 oracle_guard(URX_GUARD_CRC32C, data, 600));
		CHECK_EQ(urx_crc64_nvme(urx_crc64_nvme(0, data, cut), rest, left),
			 oracle_guard(URX_GUARD_CRC64, data, 600));
		if (cut % 2 == 0)
			CHECK_EQ(urx_ip_checksum(urx_ip_checksum(0xffff, data, cut), rest, left),
				 oracle_guard(URX_GUARD_IP, data, 600));
	}
	return 0;
}
