//! formats, tags, failed checks

use super::boundary::{Plain, Sized, reserved};
use crate::error::{Error, Result};
use crate::geometry::{Checks, Format, Guard, PiType, Protection, Tags};
use crate::pi::Failure;

/// the C library's
pub struct iovec(());

/// Checks, and the fields that they concern: the guard, over data and metadata before the tuple. The
/// first three bits are the kernel's IO_INTEGRITY_CHK_.
pub const URX_CHECK_GUARD: u32 = 1;
/// The reference tag.
pub const URX_CHECK_REF: u32 = 2;
/// The application tag.
pub const URX_CHECK_APP: u32 = 4;
/// The storage tag.
pub const URX_CHECK_STORAGE: u32 = 8;

const _: () = assert!(
    URX_CHECK_GUARD == Checks::GUARD.bits()
        && URX_CHECK_REF == Checks::REF.bits()
        && URX_CHECK_APP == Checks::APP.bits()
        && URX_CHECK_STORAGE == Checks::STORAGE.bits()
);

/// Metadata without protection information.
pub const URX_GUARD_NONE: u32 = 0;
/// 16 bits, CRC-16/T10-DIF; a tuple of 8 bytes.
pub const URX_GUARD_T10DIF: u32 = 1;
/// 16 bits, IP checksum; 8 bytes.
pub const URX_GUARD_IP: u32 = 2;
/// 32 bits, CRC-32C; 16 bytes.
pub const URX_GUARD_CRC32C: u32 = 3;
/// 64 bits, CRC-64/NVME; 16 bytes.
pub const URX_GUARD_CRC64: u32 = 4;

/// urx_pi_format.flags: metadata follows the data of each block (DIF, extended LBA).
pub const URX_PI_INTERLEAVED: u32 = 1;

/// How blocks look: from urx_target_query(), or filled by hand.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct urx_pi_format {
    /// sizeof(struct urx_pi_format)
    pub size: u32,
    /// URX_PI_
    pub flags: u32,
    /// data bytes of a block: 8..65536, a multiple of 8
    pub interval: u32,
    /// metadata bytes of a block; 0: none
    pub meta_size: u16,
    /// where the tuple starts in them: 0, or meta_size less the tuple's size
    pub pi_offset: u16,
    /// URX_GUARD_
    pub guard: u8,
    /// 1, 2, 3; 0 with URX_GUARD_NONE
    pub pi_type: u8,
    /// width of the storage tag: T10DIF 0..32, CRC32C 0 or 16..64, CRC64 0..48, else 0
    pub storage_bits: u8,
    /// (out) URX_CHECK_ that such a format can make; not looked at
    pub checks: u8,
    /// (out) bytes of the tuple; not looked at
    pub pi_size: u8,
    /// (out) width of the reference tag; the application tag has 16 bits; not looked at
    pub ref_bits: u8,
    /// zero
    pub reserved0: u16,
    /// zero
    pub reserved: [u32; 4],
}
// SAFETY: integers, 40 bytes without padding; `size` comes first.
unsafe impl Plain for urx_pi_format {}
// SAFETY: as above.
unsafe impl Sized for urx_pi_format {
    const FIRST: usize = 40;
}
const _: () = assert!(size_of::<urx_pi_format>() == 40);

/// Tag values, in host byte order.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct urx_tags {
    /// URX_CHECK_ to make, never more than the format has; 0: none
    pub checks: u32,
    /// URX_CHECK_ whose fields are left as they are by what writes tuples
    pub keep: u32,
    /// application tag
    pub app: u16,
    /// bits of it that are not compared; 0: compare all
    pub app_ignore: u16,
    /// bits 64..79 of ref, 32-bit guard only
    pub ref_hi: u16,
    /// zero
    pub reserved0: u16,
    /// reference tag of the first block, +1 a block, as wide as the field is; type 3: the same in all
    pub r#ref: u64,
    /// storage tag
    pub storage: u64,
    /// zero
    pub reserved: u64,
}
// SAFETY: integers, 40 bytes without padding.
unsafe impl Plain for urx_tags {}
const _: () = assert!(size_of::<urx_tags>() == 40);

/// urx_pi_error.flags: block and lba are known.
pub const URX_ERROR_BLOCK: u32 = 1;
/// urx_pi_error.flags: expected and actual are known.
pub const URX_ERROR_VALUES: u32 = 2;
/// urx_pi_error.flags: what was written is right when looked at again: it was damaged on its way.
pub const URX_ERROR_IN_TRANSIT: u32 = 4;

/// One failed check.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct urx_pi_error {
    /// one URX_CHECK_ bit; 0: not known which
    pub check: u32,
    /// URX_ERROR_
    pub flags: u32,
    /// from the start of the request, or urx_pi_report.first_block on
    pub block: u64,
    /// on the device; requests only
    pub lba: u64,
    /// computed, or asked for
    pub expected: u64,
    /// found
    pub actual: u64,
    /// bits 64..79 of a reference tag
    pub expected_hi: u16,
    /// bits 64..79 of a reference tag
    pub actual_hi: u16,
    /// zero
    pub reserved: [u32; 3],
}
// SAFETY: integers, 56 bytes without padding.
unsafe impl Plain for urx_pi_error {}
const _: () = assert!(size_of::<urx_pi_error>() == 56);

impl urx_pi_format {
    /// What the caller filled in, validated.
    #[inline(always)] // without a detour through memory when a struct urx_pi is looked at
    pub(super) fn parse(&self) -> Result<Format> {
        let protection = match (u32::from(self.guard), self.pi_type) {
            (URX_GUARD_NONE, 0) => None,
            (URX_GUARD_NONE, _) => {
                return Err(Error::Invalid(c"pi_type: not 0, but guard is none"));
            }
            (guard, pi_type) => Some(Protection {
                guard: match guard {
                    URX_GUARD_T10DIF => Guard::T10Dif,
                    URX_GUARD_IP => Guard::Ip,
                    URX_GUARD_CRC32C => Guard::Crc32c,
                    URX_GUARD_CRC64 => Guard::Crc64,
                    _ => return Err(Error::Invalid(c"guard: no such guard")),
                },
                pi_type: match pi_type {
                    1 => PiType::Type1,
                    2 => PiType::Type2,
                    3 => PiType::Type3,
                    _ => return Err(Error::Invalid(c"pi_type: not 1, 2 or 3")),
                },
                offset: self.pi_offset,
                storage_bits: self.storage_bits,
            }),
        };
        if self.flags & !URX_PI_INTERLEAVED != 0 {
            return Err(Error::Invalid(c"flags: an unknown bit is set"));
        }
        if protection.is_none() && (self.pi_offset != 0 || self.storage_bits != 0) {
            return Err(Error::Invalid(c"guard: none, but pi_offset or storage_bits is set"));
        }
        reserved(&[self.reserved0.into()])?;
        reserved(&self.reserved.map(u64::from))?;
        let interleaved = self.flags & URX_PI_INTERLEAVED != 0;
        Format::new(self.interval, self.meta_size, interleaved, protection)
    }

    /// A format as C sees it; all zero but `size` for none.
    pub(super) fn show(format: Option<&Format>) -> Self {
        let p = format.and_then(Format::protection);
        let guard = p.map_or(URX_GUARD_NONE, |p| match p.guard {
            Guard::T10Dif => URX_GUARD_T10DIF,
            Guard::Ip => URX_GUARD_IP,
            Guard::Crc32c => URX_GUARD_CRC32C,
            Guard::Crc64 => URX_GUARD_CRC64,
        });
        urx_pi_format {
            size: size_of::<Self>() as u32,
            flags: if format.is_some_and(Format::interleaved) { URX_PI_INTERLEAVED } else { 0 },
            interval: format.map_or(0, Format::interval),
            meta_size: format.map_or(0, Format::meta_size),
            pi_offset: p.map_or(0, |p| p.offset),
            guard: guard as u8,
            pi_type: p.map_or(0, |p| match p.pi_type {
                PiType::Type1 => 1,
                PiType::Type2 => 2,
                PiType::Type3 => 3,
            }),
            storage_bits: p.map_or(0, |p| p.storage_bits),
            checks: format.map_or(0, |f| f.checks().bits()) as u8,
            pi_size: p.map_or(0, |p| p.guard.tuple_size()) as u8,
            ref_bits: p.map_or(0, |p| p.ref_bits()) as u8,
            reserved0: 0,
            reserved: [0; 4],
        }
    }
}

impl urx_tags {
    /// No checks, all values zero.
    pub(super) const NONE: Self = urx_tags {
        checks: 0,
        keep: 0,
        app: 0,
        app_ignore: 0,
        ref_hi: 0,
        reserved0: 0,
        r#ref: 0,
        storage: 0,
        reserved: 0,
    };

    /// The values, with unknown bits refused.
    #[inline(always)] // as above
    pub(super) fn parse(&self) -> Result<Tags> {
        reserved(&[self.reserved0.into(), self.reserved])?;
        let checks = |bits| {
            Checks::from_bits(bits).ok_or(Error::Invalid(c"tags: an unknown URX_CHECK_ bit is set"))
        };
        Ok(Tags {
            checks: checks(self.checks)?,
            keep: checks(self.keep)?,
            app: self.app,
            app_ignore: self.app_ignore,
            reference: u128::from(self.ref_hi) << 64 | u128::from(self.r#ref),
            storage: self.storage,
        })
    }
}

/// A field of up to 80 bits as C sees it: 64 low and 16 high ones.
pub(super) const fn split(value: u128) -> (u64, u16) {
    (value as u64, (value >> 64) as u16)
}

impl urx_pi_error {
    /// A failed check of which nothing more is known.
    pub(super) const UNKNOWN: Self = urx_pi_error {
        check: 0,
        flags: 0,
        block: 0,
        lba: 0,
        expected: 0,
        actual: 0,
        expected_hi: 0,
        actual_hi: 0,
        reserved: [0; 3],
    };

    /// A check that failed in software, with its block counted from `first_block`.
    pub(super) fn show(failure: &Failure, first_block: u64) -> Self {
        let (expected, expected_hi) = split(failure.expected);
        let (actual, actual_hi) = split(failure.actual);
        urx_pi_error {
            check: failure.check.bits(),
            flags: URX_ERROR_BLOCK | URX_ERROR_VALUES,
            block: first_block.wrapping_add(failure.block),
            expected,
            actual,
            expected_hi,
            actual_hi,
            ..Self::UNKNOWN
        }
    }
}
