//! requests with a PI attribute

use std::ffi::{c_char, c_int};
use std::os::fd::AsRawFd;

use super::boundary::{Segments, guard, guard_why, object, read, write, write_sized};
use super::prep::{io_uring_sqe, urx_attr_pi};
use super::rw::{URX_PATH_ATTR, io_uring_cqe, read_rw, urx_result, urx_rw};
use super::target::urx_target;
use crate::command::Op;
use crate::completion::{Diagnosis, Outcome};
use crate::path::Ring;
use crate::queue::diagnose;
use crate::sqe;

/// Whether the kernel would honour a PI attribute on this target and ring (ring->flags,
/// ring->features), and this request, unless rw is NULL: 0, or -EOPNOTSUPP, -EINVAL, -ERANGE and *why (may
/// be NULL) a sentence. Submits nothing; no system call.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn urx_attr_check(
    target: *const urx_target,
    ring_flags: u32,
    ring_features: u32,
    rw: *const urx_rw,
    why: *mut *const c_char,
) -> c_int {
    let ring = Ring::new(ring_flags, ring_features);
    let body = || {
        // SAFETY: src/capi/mod.rs, as for every pointer of an exported function.
        let target = &unsafe { object(target) }?.0;
        if rw.is_null() {
            return target.offer().attribute(&ring).map(drop);
        }
        // SAFETY: src/capi/mod.rs.
        let request = unsafe { read_rw(rw) }?.request;
        target.offer().attribute_request(&ring, &request).map(drop)
    };
    // SAFETY: src/capi/mod.rs.
    unsafe { guard_why(why, body, c"the kernel honours the PI attribute") }
}

/// Checks a request as urx_attr_check() does, then fills the SQE and the attribute that it points to,
/// which must live as urx_attr_pi says. On failure nothing is written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn urx_prep_attr(
    sqe: *mut io_uring_sqe,
    attr: *mut urx_attr_pi,
    target: *const urx_target,
    ring_flags: u32,
    ring_features: u32,
    rw: *const urx_rw,
) -> c_int {
    let ring = Ring::new(ring_flags, ring_features);
    guard(|| {
        // SAFETY: src/capi/mod.rs.
        let (target, request) = unsafe { (&object(target)?.0, read_rw(rw)?.request) };
        target.offer().attribute_request(&ring, &request)?;
        let (sqe, attr) = (sqe.cast::<crate::abi::Sqe>(), attr.cast::<crate::abi::AttrPi>());
        // SAFETY: src/capi/mod.rs. Only user_data of it is used.
        let user_data = unsafe { read(sqe) }?.user_data;
        Segments::one(sqe.cast(), 64)?.not_overlapping(&[&Segments::one(attr.cast(), 32)?])?;
        let native = sqe::native(&request, target.as_raw_fd(), attr.addr() as u64, user_data);
        // SAFETY: src/capi/mod.rs.
        unsafe {
            write(attr, sqe::attr_pi(&request))?;
            write(sqe, native)
        }
    })
}

/// Decodes the CQE of a request: bytes, or -errno. On -EILSEQ of a write, data and metadata are verified
/// again and result->pi (result may be NULL) says what is wrong where, or URX_ERROR_IN_TRANSIT; of a read it stays
/// unknown. A reference tag is right as rw has it and as the device has it: the kernel may have remapped it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn urx_attr_result(
    target: *const urx_target,
    rw: *const urx_rw,
    cqe: *const io_uring_cqe,
    result: *mut urx_result,
) -> c_int {
    let mut res = 0;
    let failed = guard(|| {
        // SAFETY: src/capi/mod.rs.
        let (target, request) = unsafe { (&object(target)?.0, read_rw(rw)?.request) };
        // SAFETY: a CQE is at least 16 bytes: user_data, then res; src/capi/mod.rs.
        res = unsafe { read(cqe.cast::<[u32; 4]>()) }?[2] as c_int;
        if result.is_null() {
            return Ok(());
        }
        let offer = target.offer();
        let lba = offer.lba(request.offset);
        let refused = res == -libc::EILSEQ && request.op == Op::Write;
        let diagnosis = match offer.facts.layout.attribute.filter(|_| refused) {
            Some(format) => diagnose(&request, &offer.check(&request)?, &format, lba),
            None => Diagnosis::Unknown,
        };
        let outcome = Outcome { res, diagnosis, ..Outcome::default() };
        let value = urx_result::show(URX_PATH_ATTR, &outcome, lba);
        // SAFETY: src/capi/mod.rs.
        unsafe { write_sized(result, &value) }
    });
    if failed == 0 { res } else { failed }
}
