//! NVMe commands in an SQE

use std::ffi::{c_int, c_uint, c_void};

use super::boundary::{guard, object, read, write, write_sized};
use super::prep::io_uring_sqe;
use super::rw::{URX_PATH_URING_CMD, io_uring_cqe, read_rw, urx_result, urx_rw};
use super::target::urx_target;
use crate::abi::Sqe;
use crate::completion::Outcome;
use crate::error::Result;
use crate::queue::passthrough;

/// Fills an SQE of 128 bytes with the NVMe command for a request, for a ring with
/// IORING_SETUP_SQE128 and CQE32 (or CQE_MIXED). Checks the request first: -ERANGE, -EINVAL, or -EOPNOTSUPP where
/// urx_explain() of URX_PATH_URING_CMD tells why; then nothing is written. Nobody remaps reference tags: those of
/// types 1 and 2 have to start at the LBA (-EINVAL).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn urx_prep_nvme(
    sqe128: *mut io_uring_sqe,
    target: *const urx_target,
    rw: *const urx_rw,
) -> c_int {
    // SAFETY: src/capi/mod.rs, as for every pointer of an exported function.
    guard(|| unsafe { prep(sqe128, target, rw, false) })
}

/// The same for two slots of a ring with IORING_SETUP_SQE_MIXED (io_uring_get_sqe128()).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn urx_prep_nvme_mixed(
    sqe128: *mut io_uring_sqe,
    target: *const urx_target,
    rw: *const urx_rw,
) -> c_int {
    // SAFETY: src/capi/mod.rs.
    guard(|| unsafe { prep(sqe128, target, rw, true) })
}

/// urx_prep_nvme() of URX_OP_APPEND, without metadata, to the zone that starts at byte `zone`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn urx_prep_zone_append(
    sqe128: *mut io_uring_sqe,
    target: *const urx_target,
    zone: u64,
    buf: *const c_void,
    nbytes: c_uint,
) -> c_int {
    let rw = urx_rw::append(zone, buf, nbytes);
    // SAFETY: src/capi/mod.rs.
    guard(|| unsafe { prep(sqe128, target, &rw, false) })
}

/// Decodes the CQE (all 32 bytes of it) of a command that one of the above prepared: 0, or -errno as the kernel's
/// own reads and writes end. result (may be NULL) has the status, the value and, of an append, append_lba.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn urx_nvme_result(
    cqe: *const io_uring_cqe,
    result: *mut urx_result,
) -> c_int {
    let mut res = 0;
    let failed = guard(|| {
        // SAFETY: src/capi/mod.rs: 32 bytes, the caller says.
        let words = unsafe { read(cqe.cast::<[u64; 4]>()) }?;
        let outcome = match (words[1] as u32).cast_signed() {
            errno if errno < 0 => Outcome::failed(-errno),
            status => Outcome::nvme(status as u32, words[2], 0),
        };
        res = outcome.res;
        if result.is_null() {
            return Ok(());
        }
        let mut value = urx_result::show(URX_PATH_URING_CMD, &outcome, 0);
        value.append_lba = if outcome.res == 0 { outcome.value } else { 0 };
        // SAFETY: src/capi/mod.rs.
        unsafe { write_sized(result, &value) }
    });
    if failed == 0 { res } else { failed }
}

/// # Safety
/// As of an exported function.
unsafe fn prep(
    sqe: *mut io_uring_sqe,
    target: *const urx_target,
    rw: *const urx_rw,
    mixed: bool,
) -> Result<()> {
    // SAFETY: the caller's.
    let (target, request) = unsafe { (&object(target)?.0, read_rw(rw)?.request) };
    // SAFETY: the caller's. Only user_data of it is used.
    let user_data = unsafe { read(sqe.cast::<Sqe>()) }?.user_data;
    let filled = passthrough(target, &request, mixed, user_data)?;
    // SAFETY: 128 bytes, the caller says.
    unsafe { write(sqe.cast(), filled) }
}

/// As urx_prep_nvme().
#[cfg(not(urx_no_liburing_names))]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn io_uring_prep_nvme(
    sqe128: *mut io_uring_sqe,
    target: *const urx_target,
    rw: *const urx_rw,
) -> c_int {
    // SAFETY: the caller's.
    unsafe { urx_prep_nvme(sqe128, target, rw) }
}
/// As urx_prep_nvme_mixed().
#[cfg(not(urx_no_liburing_names))]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn io_uring_prep_nvme_mixed(
    sqe128: *mut io_uring_sqe,
    target: *const urx_target,
    rw: *const urx_rw,
) -> c_int {
    // SAFETY: the caller's.
    unsafe { urx_prep_nvme_mixed(sqe128, target, rw) }
}
/// As urx_prep_zone_append().
#[cfg(not(urx_no_liburing_names))]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn io_uring_prep_zone_append(
    sqe128: *mut io_uring_sqe,
    target: *const urx_target,
    zone: u64,
    buf: *const c_void,
    nbytes: c_uint,
) -> c_int {
    // SAFETY: the caller's.
    unsafe { urx_prep_zone_append(sqe128, target, zone, buf, nbytes) }
}
