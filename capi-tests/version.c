/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The library is the header's, and every value has its name. */
#include "urx_test.h"

int main(void)
{
	CHECK_EQ(urx_version(), URX_VERSION_NUMBER);
	CHECK_EQ(URX_VERSION_NUMBER,
		 URX_VERSION_MAJOR * 1000000 + URX_VERSION_MINOR * 1000 + URX_VERSION_PATCH);

	CHECK_STR(urx_check_str(URX_CHECK_GUARD), "guard");
	CHECK_STR(urx_check_str(URX_CHECK_REF), "reference tag");
	CHECK_STR(urx_check_str(URX_CHECK_APP), "application tag");
	CHECK_STR(urx_check_str(URX_CHECK_STORAGE), "storage tag");
	CHECK_STR(urx_check_str(0), "unknown");
	CHECK_STR(urx_check_str(URX_CHECK_GUARD | URX_CHECK_REF), "unknown");
	CHECK_STR(urx_check_str(16), "unknown");

	CHECK_STR(urx_guard_str(URX_GUARD_NONE), "none");
	CHECK_STR(urx_guard_str(URX_GUARD_T10DIF), "CRC-16/T10-DIF");
	CHECK_STR(urx_guard_str(URX_GUARD_IP), "IP checksum");
	CHECK_STR(urx_guard_str(URX_GUARD_CRC32C), "CRC-32C");
	CHECK_STR(urx_guard_str(URX_GUARD_CRC64), "CRC-64/NVME");
	CHECK_STR(urx_guard_str(5), "unknown");

	CHECK_STR(urx_kind_str(URX_KIND_FILE), "regular file");
	CHECK_STR(urx_kind_str(URX_KIND_BLOCK), "block device");
	CHECK_STR(urx_kind_str(URX_KIND_NVME_BLOCK), "NVMe block device");
	CHECK_STR(urx_kind_str(URX_KIND_NVME_CHAR), "NVMe character device");
	CHECK_STR(urx_kind_str(URX_KIND_ZONEFS), "zonefs file");
	CHECK_STR(urx_kind_str(0), "unknown");
	CHECK_STR(urx_kind_str(UINT32_MAX), "unknown");

	CHECK_STR(urx_source_str(URX_SOURCE_NONE), "nobody");
	CHECK_STR(urx_source_str(URX_SOURCE_LBMD), "FS_IOC_GETLBMD_CAP");
	CHECK_STR(urx_source_str(URX_SOURCE_SYSFS), "sysfs");
	CHECK_STR(urx_source_str(URX_SOURCE_IDENTIFY), "NVMe Identify");
	CHECK_STR(urx_source_str(URX_SOURCE_DRIVER), "driver");
	CHECK_STR(urx_source_str(URX_SOURCE_STAT), "stat");
	CHECK_STR(urx_source_str(URX_SOURCE_SIDEFILE), "side file");
	CHECK_STR(urx_source_str(7), "unknown");

	CHECK_STR(urx_path_str(URX_PATH_ATTR), "attr");
	CHECK_STR(urx_path_str(URX_PATH_URING_CMD), "uring_cmd");
	CHECK_STR(urx_path_str(URX_PATH_IOCTL), "ioctl");
	CHECK_STR(urx_path_str(URX_PATH_SOFTWARE), "software");
	CHECK_STR(urx_path_str(0), "unknown");
	CHECK_STR(urx_path_str(URX_PATH_ATTR | URX_PATH_IOCTL), "unknown");
	CHECK_STR(urx_path_str(URX_PATH_EMULATED), "emulated");
	CHECK_STR(urx_path_str(32), "unknown");

	CHECK_STR(urx_status_str(0), "success");
	CHECK_STR(urx_status_str(0x282), "guard check error");
	CHECK_STR(urx_status_str(0x283), "application tag check error");
	CHECK_STR(urx_status_str(0x284), "reference tag check error");
	CHECK_STR(urx_status_str(0x285), "compare failure");
	CHECK_STR(urx_status_str(0x080), "LBA out of range");
	CHECK_STR(urx_status_str(0x1bc), "zone invalid write");
	CHECK_STR(urx_status_str(0x4282), "unknown"); /* DNR is no part of it */
	CHECK_STR(urx_status_str(UINT32_MAX), "unknown");
	return 0;
}
