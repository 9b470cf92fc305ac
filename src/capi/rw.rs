//! requests

use std::ffi::c_void;

use super::boundary::{Plain, Segments, Sized, read_sized, reserved};
use super::format::{URX_ERROR_IN_TRANSIT, urx_pi_error, urx_tags};
use crate::command::{Flags, Op, Request};
use crate::completion::{Diagnosis, Outcome};
use crate::error::{Error, Result};
use crate::memory::Lent;
use crate::path::Paths;

/// the kernel's
pub struct io_uring_cqe(());

/// urx_rw.op: from the target.
pub const URX_OP_READ: u32 = 1;
/// To the target.
pub const URX_OP_WRITE: u32 = 2;
/// Whether the target holds what data and meta do; -ENODATA if not.
pub const URX_OP_COMPARE: u32 = 3;
/// Zeros to the target; data and meta are NULL, the metadata is the device's choice.
pub const URX_OP_WRITE_ZEROES: u32 = 4;
/// What was completed becomes durable; no data, no offset.
pub const URX_OP_FLUSH: u32 = 5;
/// To wherever the zone at offset goes on; urx_result tells where that was.
pub const URX_OP_APPEND: u32 = 6;
/// Empties the zone at offset.
pub const URX_OP_ZONE_RESET: u32 = 7;
/// Opens it.
pub const URX_OP_ZONE_OPEN: u32 = 8;
/// Closes it.
pub const URX_OP_ZONE_CLOSE: u32 = 9;
/// Fills it: nothing more can be written there.
pub const URX_OP_ZONE_FINISH: u32 = 10;

/// urx_rw.flags: data is struct iovec[], data_len their number; the array must live until the CQE.
pub const URX_RW_IOVEC: u32 = 1;
/// urx_rw.flags: data lies in registered buffer buf_index. Never one that the kernel lends (ublk).
pub const URX_RW_FIXED_BUF: u32 = 2;
/// Durable once completed.
pub const URX_RW_FUA: u32 = 4;
/// The device makes and strips the tuples; meta is NULL, unless there is more in it than the tuple.
pub const URX_RW_PRACT: u32 = 8;
/// A successor will be linked to the request: only paths on which its failure breaks the link.
pub const URX_RW_LINKED: u32 = 16;

/// A path, and one bit of a mask of paths; the best first: READ or WRITE with a PI attribute.
pub const URX_PATH_ATTR: u32 = 1;
/// An NVMe command in the SQE.
pub const URX_PATH_URING_CMD: u32 = 2;
/// NVMe commands from a worker thread, by ioctl or in a ring of its own.
pub const URX_PATH_IOCTL: u32 = 4;
/// Plain I/O, a side file and software PI, from a worker thread.
pub const URX_PATH_SOFTWARE: u32 = 8;
/// An append as a write where its zone goes on, zones managed by ioctl, from a worker thread.
pub const URX_PATH_EMULATED: u32 = 16;

const _: () = assert!(
    URX_PATH_ATTR == Paths::ATTR.bits()
        && URX_PATH_URING_CMD == Paths::URING_CMD.bits()
        && URX_PATH_IOCTL == Paths::IOCTL.bits()
        && URX_PATH_SOFTWARE == Paths::SOFTWARE.bits()
        && URX_PATH_EMULATED == Paths::EMULATED.bits()
);

/// A request. Looked at during a call only.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct urx_rw {
    /// sizeof(struct urx_rw)
    pub size: u32,
    /// URX_OP_
    pub op: u32,
    /// URX_RW_
    pub flags: u32,
    /// bytes of data, a multiple of the interval, at most 1 GiB; or number of iovecs. An interleaved format
    /// may have its metadata in data, too, if meta is NULL: then a multiple of both
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
    /// URX_PATH_ that may be taken; 0: whatever queue and target allow
    pub allow: u32,
    /// zero
    pub reserved1: u32,
    /// zero
    pub reserved: [u64; 4],
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
    /// (out) NVMe status, its type and code: 11 bits; 0: none
    pub status: u32,
    /// (out) for -EILSEQ; else zero
    pub pi: urx_pi_error,
    /// (out) NVMe completion dwords 0 and 1
    pub value: u64,
    /// (out) where an append went: byte of the target
    pub append_offset: u64,
    /// (out) where an append went: block of the device
    pub append_lba: u64,
    /// zero
    pub reserved: [u64; 4],
}
// SAFETY: integers, 128 bytes without padding; `size` comes first.
unsafe impl Plain for urx_result {}
// SAFETY: as above.
unsafe impl Sized for urx_result {
    const FIRST: usize = 128;
}
const _: () = assert!(size_of::<urx_result>() == 128);

impl urx_rw {
    /// A zone append without metadata.
    pub(super) fn append(zone: u64, buf: *const c_void, nbytes: u32) -> Self {
        urx_rw {
            size: size_of::<urx_rw>() as u32,
            op: URX_OP_APPEND,
            flags: 0,
            data_len: nbytes,
            offset: zone,
            data: buf.cast_mut(),
            meta: std::ptr::null_mut(),
            meta_len: 0,
            buf_index: 0,
            reserved0: 0,
            tags: urx_tags::NONE,
            allow: 0,
            reserved1: 0,
            reserved: [0; 4],
        }
    }
}

impl urx_result {
    /// As far as every path tells it.
    pub(super) fn show(path: u32, outcome: &Outcome, lba: u64) -> Self {
        let pi = match outcome.diagnosis {
            Diagnosis::Unknown => urx_pi_error::UNKNOWN,
            Diagnosis::InTransit => {
                urx_pi_error { flags: URX_ERROR_IN_TRANSIT, ..urx_pi_error::UNKNOWN }
            }
            Diagnosis::Wrong(failure) => {
                let lba = lba.wrapping_add(failure.block);
                urx_pi_error { lba, ..urx_pi_error::show(&failure, 0) }
            }
        };
        urx_result {
            size: size_of::<urx_result>() as u32,
            path,
            res: outcome.res,
            status: outcome.status.into(),
            pi,
            value: outcome.value,
            append_offset: 0,
            append_lba: 0,
            reserved: [0; 4],
        }
    }
}

/// Operations in the order of their numbers, which leave none out.
const OPS: [(u32, Op); 10] = [
    (URX_OP_READ, Op::Read),
    (URX_OP_WRITE, Op::Write),
    (URX_OP_COMPARE, Op::Compare),
    (URX_OP_WRITE_ZEROES, Op::WriteZeroes),
    (URX_OP_FLUSH, Op::Flush),
    (URX_OP_APPEND, Op::Append),
    (URX_OP_ZONE_RESET, Op::ZoneReset),
    (URX_OP_ZONE_OPEN, Op::ZoneOpen),
    (URX_OP_ZONE_CLOSE, Op::ZoneClose),
    (URX_OP_ZONE_FINISH, Op::ZoneFinish),
];
const _: () = assert!(leave_none_out(&OPS));

const fn leave_none_out(ops: &[(u32, Op)]) -> bool {
    let [(one, _), rest @ ..] = ops else {
        return true;
    };
    let [(next, _), ..] = rest else {
        return true;
    };
    *next == *one + 1 && leave_none_out(rest)
}

/// The kernel's UIO_MAXIOV.
const MAX_IOVECS: u32 = 1024;

/// A request as the caller gave it.
pub(super) struct Call {
    pub(super) request: Request,
    /// Paths that this request may take.
    pub(super) allow: Paths,
}

/// # Safety
/// `rw` is NULL or valid, and so is an array of iovecs in it. Its buffers are the request's until that
/// has ended.
pub(super) unsafe fn read_rw(rw: *const urx_rw) -> Result<Call> {
    // SAFETY: the caller's.
    let rw = unsafe { read_sized(rw) }?;
    // SAFETY: the caller's.
    unsafe { parse(&rw) }
}

/// # Safety
/// As [`read_rw`].
#[inline(never)] // what `rw` holds stays in memory until it is looked at
unsafe fn parse(rw: &urx_rw) -> Result<Call> {
    reserved(&rw.reserved)?;
    reserved(&[rw.reserved0.into(), rw.reserved1.into()])?;
    let known = URX_RW_IOVEC | URX_RW_FIXED_BUF | URX_RW_FUA | URX_RW_PRACT | URX_RW_LINKED;
    if rw.flags & !known != 0 {
        return Err(Error::Invalid(c"flags: an unknown bit is set"));
    }
    let flag = |bit, flag| if rw.flags & bit != 0 { flag } else { Flags::empty() };
    let op = OPS.get(rw.op.wrapping_sub(URX_OP_READ) as usize);
    let op = op.ok_or(Error::Invalid(c"op: no such operation"))?.1;
    let data = match rw.flags & URX_RW_IOVEC {
        _ if !op.has_data() && (!rw.data.is_null() || rw.flags & URX_RW_IOVEC != 0) => {
            return Err(Error::Invalid(c"data: not NULL, but the operation has none"));
        }
        _ if !op.has_data() => Segments::EMPTY,
        0 => Segments::one(rw.data, rw.data_len as usize)?,
        _ if rw.data_len > MAX_IOVECS => {
            return Err(Error::Invalid(c"data_len: more than 1024 iovecs"));
        }
        // SAFETY: the caller's.
        _ => unsafe { Segments::of(rw.data.cast(), rw.data_len) }?,
    };
    if rw.meta.is_null() && rw.meta_len != 0 {
        return Err(Error::Invalid(c"meta: NULL"));
    }
    let meta = Segments::one(rw.meta, rw.meta_len as usize)?;
    if op == Op::Read {
        data.apart()?;
    }
    meta.not_overlapping(&[&data])?;
    let request = Request {
        op,
        flags: flag(URX_RW_FUA, Flags::FUA)
            | flag(URX_RW_PRACT, Flags::PRACT)
            | flag(URX_RW_LINKED, Flags::LINKED),
        offset: rw.offset,
        length: if rw.flags & URX_RW_IOVEC != 0 { data.bytes } else { rw.data_len.into() },
        // SAFETY: the caller's; what is read into lies apart, as was just looked at.
        data: unsafe { Lent::new(data) },
        // SAFETY: as above.
        meta: unsafe { Lent::new(meta) },
        buffer: (rw.flags & URX_RW_FIXED_BUF != 0).then_some(rw.buf_index),
        tags: rw.tags.parse()?,
    };
    Ok(Call { request, allow: paths(rw.allow)? })
}

/// A mask of paths, 0 for all.
pub(super) fn paths(mask: u32) -> Result<Paths> {
    match Paths::from_bits(mask) {
        Some(paths) if paths.is_empty() => Ok(Paths::all()),
        Some(paths) => Ok(paths),
        None => Err(Error::Invalid(c"allow: an unknown path")),
    }
}
