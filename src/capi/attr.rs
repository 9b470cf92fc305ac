//! requests with a PI attribute

use std::ffi::{c_char, c_int, c_uint, c_void};

use super::boundary::Segments;
use super::boundary::{
    Plain, Sized, guard, guard_why, object, read, read_sized, reserved, slice, write, write_sized,
};
use super::format::{URX_ERROR_IN_TRANSIT, urx_pi_error, urx_tags};
use super::prep::{io_uring_sqe, urx_attr_pi};
use super::target::urx_target;
use crate::command::{Direction, Request};
use crate::completion::{Diagnosis, diagnose_write};
use crate::error::{Error, Result};
use crate::path::{self, Ring};
use crate::sqe::{self, Op, Rw};

/// the kernel's
pub struct io_uring_cqe(());

/// urx_rw.op: from the target.
pub const URX_OP_READ: u32 = 1;
/// urx_rw.op: to the target.
pub const URX_OP_WRITE: u32 = 2;

/// urx_rw.flags: data is struct iovec[], data_len their number; the array must live until the CQE.
pub const URX_RW_IOVEC: u32 = 1;
/// urx_rw.flags: data lies in registered buffer buf_index. Never one that the kernel lends (ublk).
pub const URX_RW_FIXED_BUF: u32 = 2;

/// urx_result.path: READ or WRITE with a PI attribute.
pub const URX_PATH_ATTR: u32 = 1;

/// A read or write with metadata. Looked at during a call only.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct urx_rw {
    /// sizeof(struct urx_rw)
    pub size: u32,
    /// URX_OP_
    pub op: u32,
    /// URX_RW_
    pub flags: u32,
    /// bytes of data, a multiple of the interval, at most 1 GiB; or number of iovecs
    pub data_len: u32,
    /// byte of the target, a multiple of the interval
    pub offset: u64,
    /// data, aligned to data_align; or the iovecs
    pub data: *mut c_void,
    /// metadata, one buffer; a write may change it: its reference tags become the device's
    pub meta: *mut c_void,
    /// bytes of metadata, at least meta_size a block
    pub meta_len: u32,
    /// registered buffer
    pub buf_index: u16,
    /// zero
    pub reserved0: u16,
    /// what to check, and the tags of the first block
    pub tags: urx_tags,
    /// zero
    pub reserved: [u64; 5],
}
// SAFETY: integers and raw pointers, 128 bytes without padding; `size` comes first.
unsafe impl Plain for urx_rw {}
// SAFETY: as above.
unsafe impl Sized for urx_rw {
    const FIRST: usize = 128;
}
const _: () = assert!(size_of::<urx_rw>() == 128);

/// What became of a request.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct urx_result {
    /// sizeof(struct urx_result)
    pub size: u32,
    /// (out) URX_PATH_ by which it went
    pub path: u32,
    /// (out) as returned
    pub res: i32,
    /// zero
    pub reserved0: u32,
    /// (out) for -EILSEQ; else zero
    pub pi: urx_pi_error,
    /// zero
    pub reserved: [u64; 7],
}
// SAFETY: integers, 128 bytes without padding; `size` comes first.
unsafe impl Plain for urx_result {}
// SAFETY: as above.
unsafe impl Sized for urx_result {
    const FIRST: usize = 128;
}
const _: () = assert!(size_of::<urx_result>() == 128);

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
    let ring = Ring { flags: ring_flags, features: ring_features };
    let body = || {
        // SAFETY: src/capi/mod.rs, as for every pointer of an exported function.
        let target = &unsafe { object(target) }?.0;
        if rw.is_null() {
            return path::attribute(&ring, target.facts(), &target.mode()).map(drop);
        }
        // SAFETY: src/capi/mod.rs.
        let call = unsafe { Call::read(rw) }?;
        path::attribute_request(&ring, target.facts(), &target.mode(), &call.request).map(drop)
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
    let ring = Ring { flags: ring_flags, features: ring_features };
    guard(|| {
        // SAFETY: src/capi/mod.rs.
        let (target, call) = unsafe { (&object(target)?.0, Call::read(rw)?) };
        path::attribute_request(&ring, target.facts(), &target.mode(), &call.request)?;
        let (sqe, attr) = (sqe.cast::<crate::abi::Sqe>(), attr.cast::<crate::abi::AttrPi>());
        // SAFETY: src/capi/mod.rs. Only user_data of it is used.
        let user_data = unsafe { read(sqe) }?.user_data;
        Segments::one(sqe.cast(), 64)?.not_overlapping(&[&Segments::one(attr.cast(), 32)?])?;
        let rw = call.native(std::os::fd::AsRawFd::as_raw_fd(target));
        // SAFETY: src/capi/mod.rs.
        unsafe {
            write(attr, call.attr())?;
            write(sqe, sqe::rw_meta(&rw, attr.addr() as u64, user_data))
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
        let (target, call) = unsafe { (&object(target)?.0, Call::read(rw)?) };
        // SAFETY: a CQE is at least 16 bytes: user_data, then res; src/capi/mod.rs.
        res = unsafe { read(cqe.cast::<[u32; 4]>()) }?[2] as c_int;
        if result.is_null() {
            return Ok(());
        }
        let pi = match res == -libc::EILSEQ && call.request.direction == Direction::Write {
            // SAFETY: src/capi/mod.rs: the buffers are the request's until now.
            true => unsafe { call.diagnose(target) }?,
            false => urx_pi_error::UNKNOWN,
        };
        let value = urx_result {
            size: size_of::<urx_result>() as u32,
            path: URX_PATH_ATTR,
            res,
            reserved0: 0,
            pi,
            reserved: [0; 7],
        };
        // SAFETY: src/capi/mod.rs.
        unsafe { write_sized(result, &value) }
    });
    if failed == 0 { res } else { failed }
}

/// The kernel's UIO_MAXIOV.
const MAX_IOVECS: u32 = 1024;

/// A request as the caller gave it.
struct Call {
    rw: urx_rw,
    request: Request,
    data: Segments,
}

impl Call {
    /// # Safety
    /// `rw` is NULL or valid, and so is an array of iovecs in it.
    unsafe fn read(rw: *const urx_rw) -> Result<Self> {
        // SAFETY: the caller's.
        let rw = unsafe { read_sized(rw) }?;
        reserved(&rw.reserved)?;
        reserved(&[rw.reserved0.into()])?;
        if rw.flags & !(URX_RW_IOVEC | URX_RW_FIXED_BUF) != 0 {
            return Err(Error::Invalid(c"flags: an unknown bit is set"));
        }
        let direction = match rw.op {
            URX_OP_READ => Direction::Read,
            URX_OP_WRITE => Direction::Write,
            _ => return Err(Error::Invalid(c"op: no such operation on this path")),
        };
        let data = match rw.flags & URX_RW_IOVEC {
            0 => Segments::one(rw.data, rw.data_len as usize)?,
            _ if rw.data_len > MAX_IOVECS => {
                return Err(Error::Invalid(c"data_len: more than 1024 iovecs"));
            }
            // SAFETY: the caller's.
            _ => unsafe { Segments::of(rw.data.cast(), rw.data_len) }?,
        };
        let request = Request {
            direction,
            offset: rw.offset,
            data_len: data.bytes,
            data_addr: data.addresses,
            meta_addr: rw.meta.addr() as u64,
            meta_len: rw.meta_len,
            tags: rw.tags.parse()?,
        };
        Ok(Call { rw, request, data })
    }

    fn native(&self, fd: c_int) -> Rw {
        let vector = self.rw.flags & URX_RW_IOVEC != 0;
        let fixed = self.rw.flags & URX_RW_FIXED_BUF != 0;
        let op = match (self.request.direction, vector, fixed) {
            (Direction::Read, false, false) => Op::Read,
            (Direction::Read, true, false) => Op::Readv,
            (Direction::Read, false, true) => Op::ReadFixed,
            (Direction::Read, true, true) => Op::ReadvFixed,
            (Direction::Write, false, false) => Op::Write,
            (Direction::Write, true, false) => Op::Writev,
            (Direction::Write, false, true) => Op::WriteFixed,
            (Direction::Write, true, true) => Op::WritevFixed,
        };
        Rw {
            op,
            fd,
            addr: self.rw.data.addr() as u64,
            len: self.rw.data_len as c_uint,
            offset: self.request.offset,
            buf_index: if fixed { self.rw.buf_index } else { 0 },
        }
    }

    fn attr(&self) -> crate::abi::AttrPi {
        let tags = &self.request.tags;
        let (meta, len) = (self.request.meta_addr, self.request.meta_len);
        sqe::attr_pi(tags.checks.bits() as u16, tags.app, meta, len, tags.reference as u64)
    }

    /// # Safety
    /// Data and metadata are valid for reads.
    unsafe fn diagnose(&self, target: &crate::target::Target) -> Result<urx_pi_error> {
        let facts = target.facts();
        let Some(format) = facts.layout.attribute else {
            return Ok(urx_pi_error::UNKNOWN);
        };
        let interval = u64::from(format.interval());
        let blocks = format.blocks(self.request.offset, self.request.data_len)?;
        let lba = facts.start.value.saturating_add(self.request.offset) / interval;
        let tags = &self.request.tags;
        // SAFETY: the caller's.
        let (data, meta) = unsafe {
            (
                self.data.slices(),
                slice(self.rw.meta.cast_const().cast(), self.rw.meta_len as usize)?,
            )
        };
        Ok(match diagnose_write(&format, tags, lba, blocks, data, meta)? {
            Diagnosis::Unknown => urx_pi_error::UNKNOWN,
            Diagnosis::InTransit => {
                urx_pi_error { flags: URX_ERROR_IN_TRANSIT, ..urx_pi_error::UNKNOWN }
            }
            Diagnosis::Wrong(failure) => {
                let lba = lba.wrapping_add(failure.block);
                urx_pi_error { lba, ..urx_pi_error::show(&failure, 0) }
            }
        })
    }
}
