//! software protection information

use std::ffi::{c_char, c_int, c_void};

use super::boundary::{
    Plain, Segments, Sized, bytes, guard, guard_value, guard_why, read, read_sized, reserved,
    slice, slice_mut, write,
};
use super::format::*;
use super::report::Found;
use crate::error::{Error, Result};
use crate::geometry::{Guard, Tags};
use crate::pi::{Pi, Tuple, Wanted, crc};

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
    fn show(f: &urx_pi_format) -> Self {
        let shape =
            u64::from(f.interval) << 32 | u64::from(f.meta_size) << 16 | u64::from(f.pi_offset);
        let kind = u32::from_be_bytes([0, f.guard, f.pi_type, f.storage_bits]);
        Self::of_words(shape, u64::from(f.flags) << 32 | u64::from(kind))
    }

    /// From its second and third word.
    pub(super) fn of_words(shape: u64, kind: u64) -> Self {
        let mut lib = [0; 32];
        lib.iter_mut().zip([MAGIC, shape, kind]).for_each(|(to, from)| *to = from);
        urx_pi { lib }
    }

    /// The format again. It is validated again too: the memory is the caller's.
    pub(super) fn parse(&self) -> Result<Pi> {
        let [magic, shape, kind, ..] = self.lib;
        Self::parse_words([magic, shape, kind])
    }

    /// The same of the words that are in use.
    #[inline(always)] // likewise: a call for a single block spends its time here
    fn parse_words([magic, shape, kind]: [u64; 3]) -> Result<Pi> {
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

/// What [`urx_pi_init`] has validated.
///
/// # Safety
/// As [`read`].
#[inline(always)]
pub(super) unsafe fn parsed(pi: *const urx_pi) -> Result<Pi> {
    // SAFETY: the caller's; the words in use come first.
    urx_pi::parse_words(unsafe { read(pi.cast::<[u64; 3]>()) }?)
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
/// name of the wrong member, if it is one.
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
        let (pi, tags) = unsafe { (parsed(pi)?, read(tags)?.parse()?) };
        let (data, meta) = buffers(&pi, data, meta, blocks)?;
        // SAFETY: src/capi/mod.rs.
        unsafe { generate(&pi, &tags, &data, &meta, blocks as u64) }
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
        let (pi, tags) = unsafe { (parsed(pi)?, read(tags)?.parse()?) };
        let (data, meta) = buffers(&pi, data, meta, blocks)?;
        // SAFETY: src/capi/mod.rs.
        unsafe {
            verify(
                &pi,
                &Wanted::of(&tags),
                &[&data, &meta, &Segments::EMPTY],
                blocks as u64,
                report,
            )
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
        let pi = unsafe { parsed(pi) }?;
        // SAFETY: src/capi/mod.rs; the slice is gone before the tuple is written.
        let found = pi.tuple(unsafe { slice(meta.cast(), pi.meta_size()) }?)?;
        let (r#ref, ref_hi) = split(found.reference);
        let Tuple { guard, app, storage, .. } = found;
        // SAFETY: src/capi/mod.rs.
        unsafe { write(tuple, urx_pi_tuple { guard, r#ref, storage, ref_hi, app, reserved: 0 }) }
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
        let (pi, t) = unsafe { (parsed(pi)?, read(tuple)?) };
        reserved(&[t.reserved.into()])?;
        let reference = u128::from(t.ref_hi) << 64 | u128::from(t.r#ref);
        let tuple = Tuple { guard: t.guard, app: t.app, storage: t.storage, reference };
        // SAFETY: src/capi/mod.rs; pi and tuple were copied.
        pi.set_tuple(unsafe { slice_mut(meta.cast(), pi.meta_size()) }?, &tuple)
    })
}

/// CRC-16/T10-DIF. Start with 0; the result goes in again to go on.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn urx_crc16_t10dif(crc: u16, buf: *const c_void, len: usize) -> u16 {
    // SAFETY: src/capi/mod.rs.
    unsafe { checksum(Guard::T10Dif, crc.into(), buf, len) as u16 }
}

/// CRC-32C. Start with 0; the result goes in again to go on.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn urx_crc32c(crc: u32, buf: *const c_void, len: usize) -> u32 {
    // SAFETY: src/capi/mod.rs.
    unsafe { checksum(Guard::Crc32c, crc.into(), buf, len) as u32 }
}

/// CRC-64/NVME. Start with 0; the result goes in again to go on.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn urx_crc64_nvme(crc: u64, buf: *const c_void, len: usize) -> u64 {
    // SAFETY: src/capi/mod.rs.
    unsafe { checksum(Guard::Crc64, crc, buf, len) }
}

/// The Internet checksum (RFC 1071) as a number. Start with 0xffff; the result of an even number of bytes
/// goes in again to go on.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn urx_ip_checksum(sum: u16, buf: *const c_void, len: usize) -> u16 {
    // SAFETY: src/capi/mod.rs.
    unsafe { checksum(Guard::Ip, sum.into(), buf, len) as u16 }
}

/// A checksum gone on with; as it was where there is nothing to read.
///
/// # Safety
/// As [`slice`].
unsafe fn checksum(guard: Guard, start: u64, buf: *const c_void, len: usize) -> u64 {
    // SAFETY: the caller's.
    let bytes = unsafe { slice(buf.cast(), len) };
    guard_value(start, || bytes.map_or(start, |bytes| crc::update(guard, start, bytes)))
}

/// Contiguous buffers of a number of blocks.
fn buffers(
    pi: &Pi,
    data: *const c_void,
    meta: *const c_void,
    blocks: usize,
) -> Result<(Segments, Segments)> {
    let data = Segments::one(data, bytes(blocks, pi.stride())?)?;
    match pi.interleaved() {
        true if meta.is_null() => Ok((data, Segments::EMPTY)),
        true => Err(Error::Invalid(c"meta: not NULL, but the format is interleaved")),
        false => Ok((data, Segments::one(meta, bytes(blocks, pi.meta_size())?)?)),
    }
}

/// Generates, after a look at what overlaps.
///
/// # Safety
/// The segments are valid for `blocks` blocks, and where tuples go for writes.
pub(super) unsafe fn generate(
    pi: &Pi,
    tags: &Tags,
    data: &Segments,
    meta: &Segments,
    blocks: u64,
) -> Result<()> {
    if pi.interleaved() {
        data.apart()?;
        // SAFETY: the caller's, and no two overlap.
        pi.generate_interleaved(tags, blocks, unsafe { data.slices_mut() })
    } else {
        meta.apart()?;
        meta.not_overlapping(&[data])?;
        // SAFETY: the caller's, and what is written overlaps nothing.
        let (data, meta) = unsafe { (data.slices(), meta.slices_mut()) };
        pi.generate_separate(tags, blocks, data, meta)
    }
}

/// Verifies, after a look at what overlaps: data, metadata and the checks of each block.
///
/// # Safety
/// The segments are valid for `blocks` blocks, and `report` is NULL or valid.
pub(super) unsafe fn verify(
    pi: &Pi,
    wanted: &Wanted<'_>,
    looked_at: &[&Segments; 3],
    blocks: u64,
    report: *mut urx_pi_report,
) -> Result<()> {
    // SAFETY: the caller's.
    let mut found = unsafe { Found::new(report, looked_at) }?;
    let [data, meta, _] = looked_at;
    // SAFETY: the caller's; what `found` writes to overlaps neither.
    let (data, meta) = unsafe { (data.slices(), meta.slices()) };
    let counts = pi.verify_scattered(wanted, blocks, data, meta, |failure| found.put(&failure))?;
    found.finish(&counts)
}
