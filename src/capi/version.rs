//! version and names

use std::ffi::{CStr, c_char};

use super::format::*;
use super::target::*;

/// First part of the version of this header.
pub const URX_VERSION_MAJOR: u32 = 0;
/// Second part: before 1.0 a new one may break programs.
pub const URX_VERSION_MINOR: u32 = 1;
/// Third part.
pub const URX_VERSION_PATCH: u32 = 0;
/// major * 1000000 + minor * 1000 + patch.
pub const URX_VERSION_NUMBER: u32 = 1000;

const _: () = {
    const fn is(part: u32, text: &str) -> bool {
        matches!(u32::from_str_radix(text, 10), Ok(number) if number == part)
    }
    assert!(is(URX_VERSION_MAJOR, env!("CARGO_PKG_VERSION_MAJOR")));
    assert!(is(URX_VERSION_MINOR, env!("CARGO_PKG_VERSION_MINOR")));
    assert!(is(URX_VERSION_PATCH, env!("CARGO_PKG_VERSION_PATCH")));
    let number = URX_VERSION_MAJOR * 1_000_000 + URX_VERSION_MINOR * 1_000 + URX_VERSION_PATCH;
    assert!(URX_VERSION_NUMBER == number);
};

/// URX_VERSION_NUMBER of the library that runs.
#[unsafe(no_mangle)]
pub extern "C" fn urx_version() -> u32 {
    URX_VERSION_NUMBER
}

/// Name of one URX_CHECK_ bit. This and the other names: static text, "unknown" for other values.
#[unsafe(no_mangle)]
pub extern "C" fn urx_check_str(check: u32) -> *const c_char {
    name(match check {
        URX_CHECK_GUARD => c"guard",
        URX_CHECK_REF => c"reference tag",
        URX_CHECK_APP => c"application tag",
        URX_CHECK_STORAGE => c"storage tag",
        _ => UNKNOWN,
    })
}

/// Name of a URX_GUARD_ value.
#[unsafe(no_mangle)]
pub extern "C" fn urx_guard_str(guard: u32) -> *const c_char {
    name(match guard {
        URX_GUARD_NONE => c"none",
        URX_GUARD_T10DIF => c"CRC-16/T10-DIF",
        URX_GUARD_IP => c"IP checksum",
        URX_GUARD_CRC32C => c"CRC-32C",
        URX_GUARD_CRC64 => c"CRC-64/NVME",
        _ => UNKNOWN,
    })
}

/// Name of a URX_KIND_ value.
#[unsafe(no_mangle)]
pub extern "C" fn urx_kind_str(kind: u32) -> *const c_char {
    name(match kind {
        URX_KIND_FILE => c"regular file",
        URX_KIND_BLOCK => c"block device",
        URX_KIND_NVME_BLOCK => c"NVMe block device",
        URX_KIND_NVME_CHAR => c"NVMe character device",
        URX_KIND_ZONEFS => c"zonefs file",
        _ => UNKNOWN,
    })
}

/// Name of a URX_SOURCE_ value.
#[unsafe(no_mangle)]
pub extern "C" fn urx_source_str(source: u32) -> *const c_char {
    name(match source {
        URX_SOURCE_NONE => c"nobody",
        URX_SOURCE_LBMD => c"FS_IOC_GETLBMD_CAP",
        URX_SOURCE_SYSFS => c"sysfs",
        URX_SOURCE_IDENTIFY => c"NVMe Identify",
        URX_SOURCE_DRIVER => c"driver",
        URX_SOURCE_STAT => c"stat",
        URX_SOURCE_SIDEFILE => c"side file",
        _ => UNKNOWN,
    })
}

const UNKNOWN: &CStr = c"unknown";

const fn name(text: &'static CStr) -> *const c_char {
    text.as_ptr()
}
