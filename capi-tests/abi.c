/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Sizes, offsets and numbers never change: every public struct, and those that are the kernel's. */
#include <linux/fs.h>
#include "urx_test.h"

#define SIZE(type, bytes) _Static_assert(sizeof(struct type) == (bytes), #type)
#define AT(type, member, offset, bytes)                                                              \
	_Static_assert(offsetof(struct type, member) == (offset) &&                                  \
			       sizeof(((struct type *)0)->member) == (bytes),                        \
		       #type "." #member)

SIZE(urx_pi_format, 40);
AT(urx_pi_format, size, 0, 4);
AT(urx_pi_format, flags, 4, 4);
AT(urx_pi_format, interval, 8, 4);
AT(urx_pi_format, meta_size, 12, 2);
AT(urx_pi_format, pi_offset, 14, 2);
AT(urx_pi_format, guard, 16, 1);
AT(urx_pi_format, pi_type, 17, 1);
AT(urx_pi_format, storage_bits, 18, 1);
AT(urx_pi_format, checks, 19, 1);
AT(urx_pi_format, pi_size, 20, 1);
AT(urx_pi_format, ref_bits, 21, 1);
AT(urx_pi_format, reserved0, 22, 2);
AT(urx_pi_format, reserved, 24, 16);

SIZE(urx_tags, 40);
AT(urx_tags, checks, 0, 4);
AT(urx_tags, keep, 4, 4);
AT(urx_tags, app, 8, 2);
AT(urx_tags, app_ignore, 10, 2);
AT(urx_tags, ref_hi, 12, 2);
AT(urx_tags, reserved0, 14, 2);
AT(urx_tags, ref, 16, 8);
AT(urx_tags, storage, 24, 8);
AT(urx_tags, reserved, 32, 8);

SIZE(urx_pi_error, 56);
AT(urx_pi_error, check, 0, 4);
AT(urx_pi_error, flags, 4, 4);
AT(urx_pi_error, block, 8, 8);
AT(urx_pi_error, lba, 16, 8);
AT(urx_pi_error, expected, 24, 8);
AT(urx_pi_error, actual, 32, 8);
AT(urx_pi_error, expected_hi, 40, 2);
AT(urx_pi_error, actual_hi, 42, 2);
AT(urx_pi_error, reserved, 44, 12);

SIZE(urx_pi, 256);
AT(urx_pi, lib, 0, 256);

SIZE(urx_pi_report, 72);
AT(urx_pi_report, size, 0, 4);
AT(urx_pi_report, flags, 4, 4);
AT(urx_pi_report, first_block, 8, 8);
AT(urx_pi_report, errors, 16, 8);
AT(urx_pi_report, capacity, 24, 4);
AT(urx_pi_report, stored, 28, 4);
AT(urx_pi_report, failed, 32, 8);
AT(urx_pi_report, blocks, 40, 8);
AT(urx_pi_report, escaped, 48, 8);
AT(urx_pi_report, reserved, 56, 16);

SIZE(urx_pi_tuple, 32);
AT(urx_pi_tuple, guard, 0, 8);
AT(urx_pi_tuple, ref, 8, 8);
AT(urx_pi_tuple, storage, 16, 8);
AT(urx_pi_tuple, ref_hi, 24, 2);
AT(urx_pi_tuple, app, 26, 2);
AT(urx_pi_tuple, reserved, 28, 4);

/* The kernel's struct io_uring_attr_pi. */
SIZE(urx_attr_pi, 32);
AT(urx_attr_pi, flags, 0, 2);
AT(urx_attr_pi, app_tag, 2, 2);
AT(urx_attr_pi, len, 4, 4);
AT(urx_attr_pi, addr, 8, 8);
AT(urx_attr_pi, seed, 16, 8);
AT(urx_attr_pi, rsvd, 24, 8);

SIZE(urx_target_opts, 64);
AT(urx_target_opts, size, 0, 4);
AT(urx_target_opts, flags, 4, 4);
AT(urx_target_opts, side_path, 8, 8);
AT(urx_target_opts, side_format, 16, 8);
AT(urx_target_opts, why, 24, 8);
AT(urx_target_opts, reserved, 32, 32);

SIZE(urx_target_info, 176);
AT(urx_target_info, size, 0, 4);
AT(urx_target_info, kind, 4, 4);
AT(urx_target_info, flags, 8, 4);
AT(urx_target_info, fd, 12, 4);
AT(urx_target_info, source, 16, 8);
AT(urx_target_info, nsid, 24, 4);
AT(urx_target_info, data_align, 28, 4);
AT(urx_target_info, bytes, 32, 8);
AT(urx_target_info, start, 40, 8);
AT(urx_target_info, format, 48, 40);
AT(urx_target_info, max_command, 88, 4);
AT(urx_target_info, max_append, 92, 4);
AT(urx_target_info, nr_zones, 96, 4);
AT(urx_target_info, reserved0, 100, 4);
AT(urx_target_info, zone_bytes, 104, 8);
AT(urx_target_info, reserved, 112, 64);

SIZE(urx_rw, 128);
AT(urx_rw, size, 0, 4);
AT(urx_rw, op, 4, 4);
AT(urx_rw, flags, 8, 4);
AT(urx_rw, data_len, 12, 4);
AT(urx_rw, offset, 16, 8);
AT(urx_rw, data, 24, 8);
AT(urx_rw, meta, 32, 8);
AT(urx_rw, meta_len, 40, 4);
AT(urx_rw, buf_index, 44, 2);
AT(urx_rw, reserved0, 46, 2);
AT(urx_rw, tags, 48, 40);
AT(urx_rw, allow, 88, 4);
AT(urx_rw, reserved1, 92, 4);
AT(urx_rw, reserved, 96, 32);

SIZE(urx_result, 128);
AT(urx_result, size, 0, 4);
AT(urx_result, path, 4, 4);
AT(urx_result, res, 8, 4);
AT(urx_result, status, 12, 4);
AT(urx_result, pi, 16, 56);
AT(urx_result, value, 72, 8);
AT(urx_result, append_offset, 80, 8);
AT(urx_result, append_lba, 88, 8);
AT(urx_result, reserved, 96, 32);

SIZE(urx_queue_opts, 64);
AT(urx_queue_opts, size, 0, 4);
AT(urx_queue_opts, allow, 4, 4);
AT(urx_queue_opts, max_workers, 8, 4);
AT(urx_queue_opts, max_waiting, 12, 4);
AT(urx_queue_opts, reserved, 16, 48);

SIZE(urx_io, 512);
AT(urx_io, path, 0, 4);
AT(urx_io, sqe_size, 4, 4);
AT(urx_io, lib, 8, 504);

/* IO_INTEGRITY_CHK_GUARD, _REFTAG, _APPTAG and IORING_FEAT_RW_ATTR of the kernel. */
_Static_assert(URX_CHECK_GUARD == 1 && URX_CHECK_REF == 2 && URX_CHECK_APP == 4, "checks");
_Static_assert(URX_CHECK_STORAGE == 8 && URX_FEAT_RW_ATTR == 1u << 16, "bits");
#ifdef IO_INTEGRITY_CHK_GUARD
_Static_assert(URX_CHECK_GUARD == IO_INTEGRITY_CHK_GUARD, "guard");
_Static_assert(URX_CHECK_REF == IO_INTEGRITY_CHK_REFTAG, "reference tag");
_Static_assert(URX_CHECK_APP == IO_INTEGRITY_CHK_APPTAG, "application tag");
#endif
#ifdef IORING_FEAT_RW_ATTR
_Static_assert(URX_FEAT_RW_ATTR == IORING_FEAT_RW_ATTR, "feature");
SIZE(io_uring_attr_pi, sizeof(struct urx_attr_pi));
#endif

int main(void)
{
	static const uint32_t guards[] = { URX_GUARD_NONE, URX_GUARD_T10DIF, URX_GUARD_IP,
					   URX_GUARD_CRC32C, URX_GUARD_CRC64 };
	static const uint32_t kinds[] = { URX_KIND_FILE, URX_KIND_BLOCK, URX_KIND_NVME_BLOCK,
					  URX_KIND_NVME_CHAR, URX_KIND_ZONEFS };
	static const uint32_t sources[] = { URX_SOURCE_NONE, URX_SOURCE_LBMD, URX_SOURCE_SYSFS,
					    URX_SOURCE_IDENTIFY, URX_SOURCE_DRIVER, URX_SOURCE_STAT,
					    URX_SOURCE_SIDEFILE };
	static const uint32_t ops[] = { URX_OP_READ, URX_OP_WRITE, URX_OP_COMPARE, URX_OP_WRITE_ZEROES,
					URX_OP_FLUSH, URX_OP_APPEND, URX_OP_ZONE_RESET, URX_OP_ZONE_OPEN,
					URX_OP_ZONE_CLOSE, URX_OP_ZONE_FINISH };
	static const uint32_t flags[] = { URX_RW_IOVEC, URX_RW_FIXED_BUF, URX_RW_FUA, URX_RW_PRACT,
					  URX_RW_LINKED };
	static const uint32_t paths[] = { URX_PATH_ATTR, URX_PATH_URING_CMD, URX_PATH_IOCTL,
					  URX_PATH_SOFTWARE };
	static const uint32_t facts[] = { URX_FACT_FORMAT, URX_FACT_TYPE, URX_FACT_NSID,
					  URX_FACT_BYTES, URX_FACT_START, URX_FACT_LIMITS,
					  URX_FACT_ZONES };

	for (uint32_t n = 0; n < COUNT(guards); n++)
		CHECK_EQ(guards[n], n);
	for (uint32_t n = 0; n < COUNT(kinds); n++)
		CHECK_EQ(kinds[n], n + 1);
	for (uint32_t n = 0; n < COUNT(sources); n++)
		CHECK_EQ(sources[n], n);
	for (uint32_t n = 0; n < COUNT(ops); n++)
		CHECK_EQ(ops[n], n + 1);
	for (uint32_t n = 0; n < COUNT(flags); n++)
		CHECK_EQ(flags[n], 1u << n);
	for (uint32_t n = 0; n < COUNT(paths); n++)
		CHECK_EQ(paths[n], 1u << n);
	for (uint32_t n = 0; n < COUNT(facts); n++)
		CHECK_EQ(facts[n], n);
	CHECK_EQ(URX_INFO_WRITABLE | URX_INFO_DIRECT << 4 | URX_INFO_ATTR << 8 | URX_INFO_HIDDEN << 12,
		 0x8421);
	CHECK_EQ(URX_ERROR_BLOCK | URX_ERROR_VALUES << 4 | URX_ERROR_IN_TRANSIT << 8, 0x421);
	CHECK_EQ(URX_TARGET_WRITE | URX_TARGET_BUFFERED << 4 | URX_TARGET_CREATE_SIDE << 8, 0x421);
	CHECK_EQ(URX_REPORT_COUNT_ALL | URX_PI_INTERLEAVED << 4, 0x11);
	return 0;
}
