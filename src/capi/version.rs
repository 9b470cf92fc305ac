//! version and names

use std::ffi::{CStr, c_char};

use super::format::*;
use super::target::*;
use crate::geometry::Checks;
use crate::path::Paths;

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
    name(Checks::from_bits_retain(check).title().unwrap_or(UNKNOWN))
}

/// Name of one URX_PATH_ bit.
#[unsafe(no_mangle)]
pub extern "C" fn urx_path_str(path: u32) -> *const c_char {
    name(Paths::from_bits_retain(path).title().unwrap_or(UNKNOWN))
}

/// Name of an NVMe status (urx_result.status), as far as reads, writes and zones end with it.
#[unsafe(no_mangle)]
pub extern "C" fn urx_status_str(status: u32) -> *const c_char {
    name(match status {
        0x000 => c"success",
        0x001 => c"invalid opcode",
        0x002 => c"invalid field",
        0x004 => c"data transfer error",
        0x006 => c"internal error",
        0x007 => c"aborted by request",
        0x00b => c"invalid namespace or format",
        0x020 => c"namespace is write protected",
        0x021 => c"command interrupted",
        0x080 => c"LBA out of range",
        0x081 => c"capacity exceeded",
        0x082 => c"namespace not ready",
        0x083 => c"reservation conflict",
        0x180 => c"conflicting attributes",
        0x181 => c"invalid protection information",
        0x182 => c"attempted write to read only range",
        0x183 => c"command size limit exceeded",
        0x1b8 => c"zone boundary error",
        0x1b9 => c"zone is full",
        0x1ba => c"zone is read only",
        0x1bb => c"zone is offline",
        0x1bc => c"zone invalid write",
        0x1bd => c"too many active zones",
        0x1be => c"too many open zones",
        0x1bf => c"invalid zone state transition",
        0x280 => c"write fault",
        0x281 => c"unrecovered read error",
        0x282 => c"guard check error",
        0x283 => c"application tag check error",
        0x284 => c"reference tag check error",
        0x285 => c"compare failure",
        0x286 => c"access denied",
        0x287 => c"deallocated or unwritten block",
        0x370 => c"host path error",
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
