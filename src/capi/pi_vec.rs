//! scattered blocks

use std::ffi::{c_int, c_void};

use super::boundary::{Plain, Segments, bytes, guard, read, slice};
use super::format::{iovec, urx_tags};
use super::pi::{generate, parsed, urx_pi, urx_pi_report, verify};
use super::report::Found;
use crate::error::{Error, Result};
use crate::geometry::{Checks, Tags};
use crate::pi::{Pi, Wanted};

/// Protected blocks in pieces. A piece may end anywhere, also inside a tuple. No two pieces that are
/// written may overlap, nor one that is written and one that is read.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct urx_pi_vec {
    /// whole blocks in all; both data and metadata when interleaved
    pub data: *const iovec,
    /// meta_size a block at least; NULL and 0 when interleaved
    pub meta: *const iovec,
    /// pieces of data
    pub data_cnt: u32,
    /// pieces of metadata
    pub meta_cnt: u32,
    /// for each block, which of the checks asked for to make; NULL: all
    pub checks: *const u8,
}
// SAFETY: integers and raw pointers, 32 bytes without padding.
unsafe impl Plain for urx_pi_vec {}
const _: () = assert!(size_of::<urx_pi_vec>() == 32);

/// urx_pi_injectv(): a bit of the block's data.
pub const URX_INJECT_DATA: u32 = 256;

/// urx_pi_generate() for scattered blocks.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn urx_pi_generatev(
    pi: *const urx_pi,
    tags: *const urx_tags,
    v: *const urx_pi_vec,
) -> c_int {
    guard(|| {
        // SAFETY: src/capi/mod.rs, as for every pointer of an exported function.
        let (pi, tags, v) = unsafe { (parsed(pi)?, read(tags)?.parse()?, Vec::read(v)?) };
        let blocks = v.blocks(&pi)?;
        // SAFETY: src/capi/mod.rs.
        unsafe { generate(&pi, &tags, &v.data, &v.meta, blocks) }
    })
}

/// urx_pi_verify() for scattered blocks.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn urx_pi_verifyv(
    pi: *const urx_pi,
    tags: *const urx_tags,
    v: *const urx_pi_vec,
    report: *mut urx_pi_report,
) -> c_int {
    guard(|| {
        // SAFETY: src/capi/mod.rs.
        let (pi, tags, v) = unsafe { (parsed(pi)?, read(tags)?.parse()?, Vec::read(v)?) };
        let blocks = v.blocks(&pi)?;
        // SAFETY: src/capi/mod.rs.
        unsafe {
            let wanted = v.wanted(&tags, blocks)?;
            verify(&pi, &wanted, &[&v.data, &v.meta, &v.masks(blocks)?], blocks, report)
        }
    })
}

/// Copies bare data (interval bytes a block) into v and protects it in the same pass; inserts the
/// metadata when interleaved.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn urx_pi_copy_generatev(
    pi: *const urx_pi,
    tags: *const urx_tags,
    v: *const urx_pi_vec,
    bare: *const iovec,
    bare_cnt: u32,
) -> c_int {
    guard(|| {
        // SAFETY: src/capi/mod.rs.
        let (pi, tags, v) = unsafe { (parsed(pi)?, read(tags)?.parse()?, Vec::read(v)?) };
        let blocks = v.blocks(&pi)?;
        // SAFETY: src/capi/mod.rs.
        let bare = unsafe { bare_data(&pi, bare, bare_cnt, blocks) }?;
        v.data.apart()?;
        v.meta.apart()?;
        v.data.not_overlapping(&[&bare, &v.meta])?;
        v.meta.not_overlapping(&[&bare, &v.data])?;
        // SAFETY: src/capi/mod.rs, and what is written overlaps nothing.
        let (bare, data, meta) =
            unsafe { (bare.slices(), v.data.slices_mut(), v.meta.slices_mut()) };
        match pi.interleaved() {
            true => pi.copy_generate_interleaved(&tags, blocks, bare, data),
            false => pi.copy_generate_separate(&tags, blocks, bare, data, meta),
        }
    })
}

/// Verifies v and copies its data out bare in the same pass; strips the metadata when interleaved. All of it
/// is copied, bad blocks too, whatever the report says.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn urx_pi_copy_verifyv(
    pi: *const urx_pi,
    tags: *const urx_tags,
    v: *const urx_pi_vec,
    bare: *const iovec,
    bare_cnt: u32,
    report: *mut urx_pi_report,
) -> c_int {
    guard(|| {
        // SAFETY: src/capi/mod.rs.
        let (pi, tags, v) = unsafe { (parsed(pi)?, read(tags)?.parse()?, Vec::read(v)?) };
        let blocks = v.blocks(&pi)?;
        // SAFETY: src/capi/mod.rs.
        let bare = unsafe { bare_data(&pi, bare, bare_cnt, blocks) }?;
        bare.apart()?;
        bare.not_overlapping(&[&v.data, &v.meta, &v.masks(blocks)?])?;
        // SAFETY: src/capi/mod.rs.
        let mut found =
            unsafe { Found::new(report, &[&v.data, &v.meta, &bare, &v.masks(blocks)?]) }?;
        // SAFETY: src/capi/mod.rs, and what is written overlaps nothing.
        let (wanted, data, meta, bare) = unsafe {
            (v.wanted(&tags, blocks)?, v.data.slices(), v.meta.slices(), bare.slices_mut())
        };
        let put = |failure| found.put(&failure);
        let counts = pi.copy_verify(&wanted, blocks, data, meta, bare, put)?;
        found.finish(&counts)
    })
}

/// Replaces tags: in every tuple that passes from->checks (0: any; never the guard), the fields not in
/// to->keep get the values of `to`. Guards stay, and tuples with an escape value; those that do not pass stay and
/// are reported, -EILSEQ. v->data may be NULL and 0 unless interleaved.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn urx_pi_retagv(
    pi: *const urx_pi,
    from: *const urx_tags,
    to: *const urx_tags,
    v: *const urx_pi_vec,
    report: *mut urx_pi_report,
) -> c_int {
    guard(|| {
        // SAFETY: src/capi/mod.rs.
        let (pi, v) = unsafe { (parsed(pi)?, Vec::read(v)?) };
        // SAFETY: src/capi/mod.rs.
        let (from, to) = unsafe { (read(from)?.parse()?, read(to)?.parse()?) };
        let (blocks, changed) = match pi.interleaved() {
            true => (v.blocks(&pi)?, v.data),
            false if v.data.bytes != 0 => (v.blocks(&pi)?, v.meta),
            false => (v.meta.bytes / pi.meta_size() as u64, v.meta),
        };
        if !pi.interleaved()
            && v.data.bytes == 0
            && !v.meta.bytes.is_multiple_of(pi.meta_size() as u64)
        {
            return Err(Error::Invalid(c"meta: not a whole number of blocks"));
        }
        changed.apart()?;
        changed.not_overlapping(&[&v.masks(blocks)?])?;
        // SAFETY: src/capi/mod.rs.
        let mut found = unsafe { Found::new(report, &[&changed, &v.masks(blocks)?]) }?;
        // SAFETY: src/capi/mod.rs, and no two segments overlap.
        let (wanted, segments) = unsafe { (v.wanted(&from, blocks)?, changed.slices_mut()) };
        let put = |failure| found.put(&failure);
        let counts = pi.retag_scattered(&wanted, &to, blocks, segments, put)?;
        found.finish(&counts)
    })
}

/// For tests of your own handling: flips one bit of a block. where: one URX_CHECK_, a bit of that field (0:
/// the lowest), or URX_INJECT_DATA, bit n % 8 of data byte n / 8. -ERANGE for a block or bit that is not there.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn urx_pi_injectv(
    pi: *const urx_pi,
    v: *const urx_pi_vec,
    block: u64,
    r#where: u32,
    bit: u64,
) -> c_int {
    const BEYOND: Error = Error::Range(c"block or bit: not there");
    guard(|| {
        // SAFETY: src/capi/mod.rs.
        let (pi, v) = unsafe { (parsed(pi)?, Vec::read(v)?) };
        let (in_data, byte, bit) = match r#where {
            URX_INJECT_DATA => (true, bit / 8, bit % 8),
            field => {
                let field = Checks::from_bits(field).filter(|f| f.bits().is_power_of_two());
                let field = field.ok_or(Error::Invalid(c"where: not one of its values"))?;
                let (byte, bit) = pi.place(field, bit).ok_or(BEYOND)?;
                (false, byte as u64, u64::from(bit))
            }
        };
        if in_data && byte >= pi.interval() as u64 {
            return Err(BEYOND);
        }
        let (segments, start) = match (pi.interleaved(), in_data) {
            (true, true) => (v.data, 0),
            (true, false) => (v.data, pi.interval() as u64),
            (false, true) => (v.data, 0),
            (false, false) => (v.meta, 0),
        };
        let step = match (pi.interleaved(), in_data) {
            (false, false) => pi.meta_size(),
            _ => pi.stride(),
        };
        let position = block.checked_mul(step as u64).and_then(|at| at.checked_add(start + byte));
        let mut left = position.filter(|at| *at < segments.bytes).ok_or(BEYOND)?;
        // SAFETY: src/capi/mod.rs; one segment at a time is written.
        for segment in unsafe { segments.slices_mut() } {
            let at = usize::try_from(left).unwrap_or(usize::MAX);
            if let Some(byte) = segment.get_mut(at) {
                *byte ^= 1 << bit;
                return Ok(());
            }
            left -= segment.len() as u64;
        }
        Err(BEYOND)
    })
}

/// Blocks as the caller gave them.
pub(super) struct Vec {
    pub(super) data: Segments,
    pub(super) meta: Segments,
    pub(super) checks: *const u8,
}

impl Vec {
    /// # Safety
    /// `v` is NULL or valid, and so are its arrays.
    pub(super) unsafe fn read(v: *const urx_pi_vec) -> Result<Self> {
        // SAFETY: the caller's.
        let v = unsafe { read(v) }?;
        // SAFETY: the caller's.
        let (data, meta) = unsafe {
            (Segments::of(v.data.cast(), v.data_cnt)?, Segments::of(v.meta.cast(), v.meta_cnt)?)
        };
        Ok(Vec { data, meta, checks: v.checks })
    }

    /// How many there are.
    fn blocks(&self, pi: &Pi) -> Result<u64> {
        let size = |bytes: u64| {
            usize::try_from(bytes).map_err(|_| Error::Invalid(c"blocks: more than memory can hold"))
        };
        if pi.interleaved() && self.meta.bytes != 0 {
            return Err(Error::Invalid(c"meta: given, but the format is interleaved"));
        }
        pi.count(size(self.data.bytes)?, size(self.meta.bytes)?)
    }

    /// The memory of `checks`.
    fn masks(&self, blocks: u64) -> Result<Segments> {
        let count = if self.checks.is_null() { 0 } else { bytes(blocks as usize, 1)? };
        Segments::one(self.checks.cast(), count)
    }

    /// # Safety
    /// `checks` is NULL or valid for `blocks` bytes.
    unsafe fn wanted(&self, tags: &Tags, blocks: u64) -> Result<Wanted<'static>> {
        let block_checks = match self.checks.is_null() {
            true => None,
            // SAFETY: the caller's; used during the call only.
            false => Some(unsafe { slice(self.checks, bytes(blocks as usize, 1)?) }?),
        };
        Ok(Wanted { block_checks, ..Wanted::of(tags) })
    }
}

/// # Safety
/// `bare` is NULL or valid for `count` entries.
unsafe fn bare_data(pi: &Pi, bare: *const iovec, count: u32, blocks: u64) -> Result<Segments> {
    // SAFETY: the caller's.
    let bare = unsafe { Segments::of(bare.cast::<c_void>().cast(), count) }?;
    match blocks.checked_mul(pi.interval() as u64) == Some(bare.bytes) {
        true => Ok(bare),
        false => Err(Error::Invalid(c"bare: not interval bytes a block")),
    }
}
