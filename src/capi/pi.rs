//! software protection information

use std::ffi::{c_char, c_int, c_void};
use std::ops::ControlFlow;

use super::boundary::{
    Plain, Sized, bytes, disjoint, guard, guard_value, guard_why, read, read_sized, reserved,
    slice, slice_mut, write, write_sized,
};
use super::format::*;
use crate::error::{Error, Result};
use crate::pi::{Blocks, BlocksMut, Pi, Tuple, crc};

/// A validated format. Caller's memory, plain data: copy it, share it between threads, just drop it.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct urx_pi {
    /// the library's
    pub lib: [u64; 32],
}
// SAFETY: integers.
unsafe impl Plain for urx_pi {}

/// First word of a `urx_pi` that [`urx_pi_init`] has filled.
const MAGIC: u64 = u64::from_be_bytes(*b"urx_pi 1");

impl urx_pi {
    fn show(format: &urx_pi_format) -> Self {
        let f = format;
        let mut lib = [0; 32];
        let words = [
            MAGIC,
            u64::from(f.interval) << 32 | u64::from(f.meta_size) << 16 | u64::from(f.pi_offset),
            u64::from(f.flags) << 32
                | u64::from(u32::from_be_bytes([0, f.guard, f.pi_type, f.storage_bits])),
        ];
        lib.iter_mut().zip(words).for_each(|(to, from)| *to = from);
        urx_pi { lib }
    }

    /// The format again. It is validated again too: the memory is the caller's.
    fn parse(&self) -> Result<Pi> {
        let [magic, shape, kind, ..] = self.lib;
        if magic != MAGIC {
            return Err(Error::Invalid(c"pi: not initialised by urx_pi_init"));
        }
        let [_, guard, pi_type, storage_bits] = (kind as u32).to_be_bytes();
        let format = urx_pi_format {
            flags: (kind >> 32) as u32,
            interval: (shape >> 32) as u32,
            meta_size: (shape >> 16) as u16,
            pi_offset: shape as u16,
            guard,
            pi_type,
            storage_bits,
            ..urx_pi_format::show(None)
        };
        Pi::new(&format.parse()?)
    }
}

/// urx_pi_report.flags: go on counting when the array is full; else stop there.
pub const URX_REPORT_COUNT_ALL: u32 = 1;

/// Where verification puts what it finds. Its counters only grow, so one report serves many calls.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct urx_pi_report {
    /// sizeof(struct urx_pi_report)
    pub size: u32,
    /// URX_REPORT_
    pub flags: u32,
    /// number of the call's first block
    pub first_block: u64,
    /// by block, then guard, application, storage, reference tag; NULL if capacity is 0
    pub errors: *mut urx_pi_error,
    /// room in errors
    pub capacity: u32,
    /// (out) failed checks in errors
    pub stored: u32,
    /// (out) failed checks
    pub failed: u64,
    /// (out) blocks looked at
    pub blocks: u64,
    /// (out) of those, blocks that an escape value exempts from checks
    pub escaped: u64,
    /// zero
    pub reserved: [u64; 2],
}
// SAFETY: integers and a raw pointer, 72 bytes without padding; `size` comes first.
unsafe impl Plain for urx_pi_report {}
// SAFETY: as above.
unsafe impl Sized for urx_pi_report {
    const FIRST: usize = 72;
}
const _: () = assert!(size_of::<urx_pi_report>() == 72);

/// One tuple, decoded.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct urx_pi_tuple {
    /// checksum
    pub guard: u64,
    /// reference tag
    pub r#ref: u64,
    /// storage tag
    pub storage: u64,
    /// bits 64..79 of the reference tag
    pub ref_hi: u16,
    /// application tag
    pub app: u16,
    /// zero
    pub reserved: u32,
}
// SAFETY: integers, 32 bytes without padding.
unsafe impl Plain for urx_pi_tuple {}
const _: () = assert!(size_of::<urx_pi_tuple>() == 32);

/// Validates a format with a tuple. -EINVAL, and *why (may be NULL) is a sentence that begins with the
/// name of the wrong member.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn urx_pi_init(
    pi: *mut urx_pi,
    format: *const urx_pi_format,
    why: *mut *const c_char,
) -> c_int {
    let body = || {
        // SAFETY: src/capi/mod.rs, as for every pointer of an exported function.
        let format = unsafe { read_sized(format) }?;
        Pi::new(&format.parse()?)?;
        // SAFETY: as above.
        unsafe { write(pi, urx_pi::show(&format)) }
    };
    // SAFETY: as above.
    unsafe { guard_why(why, body, c"a sound format") }
}

/// Writes the tuples of `blocks` blocks. data: blocks * interval bytes; meta: blocks * meta_size, but NULL
/// when interleaved, where data holds both. No alignment needed. Metadata beside the tuple stays.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn urx_pi_generate(
    pi: *const urx_pi,
    tags: *const urx_tags,
    data: *mut c_void,
    meta: *mut c_void,
    blocks: usize,
) -> c_int {
    guard(|| {
        // SAFETY: src/capi/mod.rs.
        let (pi, tags) = unsafe { (read(pi)?.parse()?, read(tags)?.parse()?) };
        let areas = Areas::new(&pi, data.cast(), meta.cast(), blocks)?;
        disjoint(&[areas.data(), areas.meta()])?;
        let blocks = match pi.interleaved() {
            // SAFETY: src/capi/mod.rs; nothing else points there.
            true => BlocksMut::Interleaved(unsafe { slice_mut(data.cast(), areas.data_len) }?),
            // SAFETY: src/capi/mod.rs; the two do not overlap.
            false => unsafe {
                BlocksMut::Separate {
                    data: slice(data.cast(), areas.data_len)?,
                    meta: slice_mut(meta.cast(), areas.meta_len)?,
                }
            },
        };
        pi.generate(&tags, blocks)
    })
}

/// Verifies `blocks` blocks: 0, or -EILSEQ when a check failed. Stops at the first failure, or as report
/// (may be NULL) says. -EINVAL if tags->checks is 0 or asks for more than the format has.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn urx_pi_verify(
    pi: *const urx_pi,
    tags: *const urx_tags,
    data: *const c_void,
    meta: *const c_void,
    blocks: usize,
    report: *mut urx_pi_report,
) -> c_int {
    guard(|| {
        // SAFETY: src/capi/mod.rs.
        let (pi, tags) = unsafe { (read(pi)?.parse()?, read(tags)?.parse()?) };
        let areas = Areas::new(&pi, data.cast(), meta.cast(), blocks)?;
        // SAFETY: src/capi/mod.rs.
        let mut found = unsafe { Found::new(report, &areas) }?;
        // SAFETY: src/capi/mod.rs; what `found` writes to overlaps neither.
        let blocks = unsafe {
            let data = slice(data.cast(), areas.data_len)?;
            match pi.interleaved() {
                true => Blocks::Interleaved(data),
                false => Blocks::Separate {
                    data,
                    meta: slice(meta.cast(), areas.meta_len)?,
                },
            }
        };
        let counts = pi.verify(&tags, blocks, |failure| found.put(&failure))?;
        found.finish(report, &counts)?;
        if counts.failed == 0 {
            Ok(())
        } else {
            Err(Error::Check)
        }
    })
}

/// Decodes the tuple in the metadata (meta_size bytes) of one block.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn urx_pi_tuple_get(
    pi: *const urx_pi,
    meta: *const c_void,
    tuple: *mut urx_pi_tuple,
) -> c_int {
    guard(|| {
        // SAFETY: src/capi/mod.rs.
        let pi = unsafe { read(pi) }?.parse()?;
        // SAFETY: src/capi/mod.rs; the slice is gone before the tuple is written.
        let found = pi.tuple(unsafe { slice(meta.cast(), pi.meta_size()) }?)?;
        let (r#ref, ref_hi) = split(found.reference);
        let Tuple {
            guard,
            app,
            storage,
            ..
        } = found;
        // SAFETY: src/capi/mod.rs.
        unsafe {
            write(
                tuple,
                urx_pi_tuple {
                    guard,
                    r#ref,
                    storage,
                    ref_hi,
                    app,
                    reserved: 0,
                },
            )
        }
    })
}

/// Encodes a tuple into the metadata (meta_size bytes) of one block. -EINVAL for a value too wide for
/// its field.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn urx_pi_tuple_set(
    pi: *const urx_pi,
    meta: *mut c_void,
    tuple: *const urx_pi_tuple,
) -> c_int {
    guard(|| {
        // SAFETY: src/capi/mod.rs.
        let (pi, t) = unsafe { (read(pi)?.parse()?, read(tuple)?) };
        reserved(&[t.reserved.into()])?;
        let reference = u128::from(t.ref_hi) << 64 | u128::from(t.r#ref);
        let tuple = Tuple {
            guard: t.guard,
            app: t.app,
            storage: t.storage,
            reference,
        };
        // SAFETY: src/capi/mod.rs; pi and tuple were copied.
        pi.set_tuple(unsafe { slice_mut(meta.cast(), pi.meta_size()) }?, &tuple)
    })
}

/// CRC-16/T10-DIF. Start with 0; the result goes in again to go on.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn urx_crc16_t10dif(crc: u16, buf: *const c_void, len: usize) -> u16 {
    // SAFETY: src/capi/mod.rs.
    unsafe { checksum(crc, buf, len, crc::crc16_t10dif::update) }
}

/// CRC-32C. Start with 0; the result goes in again to go on.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn urx_crc32c(crc: u32, buf: *const c_void, len: usize) -> u32 {
    // SAFETY: src/capi/mod.rs.
    unsafe { checksum(crc, buf, len, crc::crc32c::update) }
}

/// CRC-64/NVME. Start with 0; the result goes in again to go on.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn urx_crc64_nvme(crc: u64, buf: *const c_void, len: usize) -> u64 {
    // SAFETY: src/capi/mod.rs.
    unsafe { checksum(crc, buf, len, crc::crc64_nvme::update) }
}

/// The Internet checksum (RFC 1071) as a number. Start with 0xffff; the result of an even number of bytes
/// goes in again to go on.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn urx_ip_checksum(sum: u16, buf: *const c_void, len: usize) -> u16 {
    // SAFETY: src/capi/mod.rs.
    unsafe { checksum(sum, buf, len, crc::ip::update) }
}

/// A checksum gone on with; as it was where there is nothing to read.
///
/// # Safety
/// As [`slice`].
unsafe fn checksum<T: Copy>(
    start: T,
    buf: *const c_void,
    len: usize,
    update: fn(T, &[u8]) -> T,
) -> T {
    // SAFETY: the caller's.
    let bytes = unsafe { slice(buf.cast(), len) };
    guard_value(start, || bytes.map_or(start, |bytes| update(start, bytes)))
}

/// The caller's buffers for a number of blocks.
struct Areas {
    data: *const u8,
    data_len: usize,
    meta: *const u8,
    meta_len: usize,
}

impl Areas {
    fn new(pi: &Pi, data: *const u8, meta: *const u8, blocks: usize) -> Result<Self> {
        let both = pi.interval() + pi.meta_size();
        let (data_len, meta_len) = match pi.interleaved() {
            true if meta.is_null() => (bytes(blocks, both)?, 0),
            true => {
                return Err(Error::Invalid(
                    c"meta: not NULL, but the format is interleaved",
                ));
            }
            false => (
                bytes(blocks, pi.interval())?,
                bytes(blocks, pi.meta_size())?,
            ),
        };
        Ok(Areas {
            data,
            data_len,
            meta,
            meta_len,
        })
    }

    fn data(&self) -> (*const u8, usize) {
        (self.data, self.data_len)
    }

    fn meta(&self) -> (*const u8, usize) {
        (self.meta, self.meta_len)
    }
}

/// The report of a verification under way.
struct Found {
    report: Option<urx_pi_report>,
}

impl Found {
    /// Without a report the first failure ends it.
    ///
    /// # Safety
    /// `report` is NULL or valid, and so is the array in it.
    unsafe fn new(report: *mut urx_pi_report, areas: &Areas) -> Result<Self> {
        if report.is_null() {
            return Ok(Found { report: None });
        }
        // SAFETY: the caller's.
        let r = unsafe { read_sized(report) }?;
        if r.flags & !URX_REPORT_COUNT_ALL != 0 {
            return Err(Error::Invalid(c"report: an unknown flag is set"));
        }
        if r.stored > r.capacity || (r.errors.is_null() && r.capacity != 0) {
            return Err(Error::Invalid(
                c"report: stored is more than capacity, or errors is NULL",
            ));
        }
        reserved(&r.reserved)?;
        let errors = bytes(r.capacity as usize, size_of::<urx_pi_error>())?;
        let (errors, own) = (
            (r.errors.cast_const().cast(), errors),
            (report.cast_const().cast(), r.size as usize),
        );
        disjoint(&[areas.data(), errors, own])?;
        disjoint(&[areas.meta(), errors, own])?;
        Ok(Found { report: Some(r) })
    }

    fn put(&mut self, failure: &crate::pi::Failure) -> ControlFlow<()> {
        let Some(r) = &mut self.report else {
            return ControlFlow::Break(());
        };
        if r.stored < r.capacity {
            let error = urx_pi_error::show(failure, r.first_block);
            // SAFETY: `stored` is below the capacity of the array, which overlaps nothing that is read.
            unsafe { r.errors.add(r.stored as usize).write_unaligned(error) };
            r.stored += 1;
        }
        match r.stored < r.capacity || r.flags & URX_REPORT_COUNT_ALL != 0 {
            true => ControlFlow::Continue(()),
            false => ControlFlow::Break(()),
        }
    }

    fn finish(mut self, report: *mut urx_pi_report, counts: &crate::pi::Counts) -> Result<()> {
        let Some(r) = &mut self.report else {
            return Ok(());
        };
        r.failed = r.failed.wrapping_add(counts.failed);
        r.blocks = r.blocks.wrapping_add(counts.blocks);
        r.escaped = r.escaped.wrapping_add(counts.escaped);
        // SAFETY: `new` has read from it; src/capi/mod.rs.
        unsafe { write_sized(report, r) }
    }
}
