//! The shape of protected blocks, validated once: plain values and pure range checks.

use crate::error::{Error, Result};

bitflags::bitflags! {
    /// Checks of a tuple, and the fields that they concern. The first three are the kernel's
    /// `IO_INTEGRITY_CHK_*`.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
    pub struct Checks: u32 {
        /// The guard: checksum of data and of metadata before the tuple.
        const GUARD = 1;
        /// The reference tag.
        const REF = 2;
        /// The application tag.
        const APP = 4;
        /// The storage tag.
        const STORAGE = 8;
    }
}

impl Checks {
    /// What one check is called.
    pub(crate) const fn title(self) -> Option<&'static std::ffi::CStr> {
        Some(match self {
            Checks::GUARD => c"guard",
            Checks::REF => c"reference tag",
            Checks::APP => c"application tag",
            Checks::STORAGE => c"storage tag",
            _ => return None,
        })
    }

    /// The same for Rust, "unknown" for none and for several.
    pub fn name(self) -> &'static str {
        self.title().and_then(|title| title.to_str().ok()).unwrap_or("unknown")
    }
}

/// What the guard field holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Guard {
    /// CRC-16/T10-DIF.
    T10Dif,
    /// The Internet checksum of RFC 1071 (SCSI host adapters).
    Ip,
    /// CRC-32C.
    Crc32c,
    /// CRC-64/NVME.
    Crc64,
}

impl Guard {
    /// Bits of the guard field.
    pub const fn bits(self) -> u32 {
        match self {
            Guard::T10Dif | Guard::Ip => 16,
            Guard::Crc32c => 32,
            Guard::Crc64 => 64,
        }
    }

    /// Bytes of the whole tuple.
    pub const fn tuple_size(self) -> usize {
        match self {
            Guard::T10Dif | Guard::Ip => 8,
            Guard::Crc32c | Guard::Crc64 => 16,
        }
    }

    /// Bits of the storage and reference space: the tuple less guard and application tag.
    pub const fn space_bits(self) -> u32 {
        match self {
            Guard::T10Dif | Guard::Ip => 32,
            Guard::Crc32c => 80,
            Guard::Crc64 => 48,
        }
    }

    /// Whether a storage tag may be this wide (NVM command set specification, ELBAF.STS).
    const fn allows_storage_bits(self, bits: u8) -> bool {
        match self {
            Guard::T10Dif => bits <= 32,
            Guard::Ip => bits == 0,
            Guard::Crc32c => bits == 0 || (bits >= 16 && bits <= 64),
            Guard::Crc64 => bits <= 48,
        }
    }
}

/// Protection type: what a reference tag means and which value switches the checks off.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PiType {
    /// The reference tag is the low bits of the LBA.
    Type1,
    /// The reference tag counts from a value of the command's.
    Type2,
    /// The reference tag is opaque and never checked.
    Type3,
}

/// The tuple of a format that has one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Protection {
    /// Kind of guard.
    pub guard: Guard,
    /// Protection type.
    pub pi_type: PiType,
    /// Where the tuple starts in the metadata of a block.
    pub offset: u16,
    /// Width of the storage tag.
    pub storage_bits: u8,
}

impl Protection {
    /// Width of the reference tag: what the storage tag leaves of their common space.
    pub const fn ref_bits(&self) -> u32 {
        self.guard.space_bits() - self.storage_bits as u32
    }

    /// Checks that such a tuple can make.
    pub fn checks(&self) -> Checks {
        let mut checks = Checks::GUARD | Checks::APP;
        if self.pi_type != PiType::Type3 && self.ref_bits() > 0 {
            checks |= Checks::REF;
        }
        if self.storage_bits > 0 {
            checks |= Checks::STORAGE;
        }
        checks
    }
}

/// How the blocks of a target look. Only [`Format::new`] makes one, so it is always sound.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Format {
    interval: u32,
    meta_size: u16,
    interleaved: bool,
    protection: Option<Protection>,
    /// Those of `protection`.
    checks: Checks,
}

impl Format {
    /// Data bytes of the largest block.
    pub const MAX_INTERVAL: u32 = 65536;

    /// `interval` data bytes and `meta_size` metadata bytes a block, the latter right behind the
    /// former if `interleaved`, with a tuple in them or not.
    #[inline]
    pub fn new(
        interval: u32,
        meta_size: u16,
        interleaved: bool,
        protection: Option<Protection>,
    ) -> Result<Self> {
        if !(8..=Self::MAX_INTERVAL).contains(&interval) || !interval.is_multiple_of(8) {
            return Err(Error::Invalid(c"interval: not a multiple of 8 in 8..65536"));
        }
        if interleaved && meta_size == 0 {
            return Err(Error::Invalid(c"flags: interleaved, but there is no metadata"));
        }
        if let Some(p) = &protection {
            let tuple = p.guard.tuple_size() as u16;
            if meta_size < tuple {
                return Err(Error::Invalid(c"meta_size: too small for the tuple of this guard"));
            }
            if p.offset != 0 && p.offset != meta_size - tuple {
                return Err(Error::Invalid(c"pi_offset: the tuple is neither first nor last"));
            }
            if !p.guard.allows_storage_bits(p.storage_bits) {
                return Err(Error::Invalid(c"storage_bits: not a width that this guard allows"));
            }
        }
        let checks = protection.as_ref().map_or(Checks::empty(), Protection::checks);
        Ok(Format { interval, meta_size, interleaved, protection, checks })
    }

    /// Data bytes of a block.
    pub const fn interval(&self) -> u32 {
        self.interval
    }

    /// Metadata bytes of a block.
    pub const fn meta_size(&self) -> u16 {
        self.meta_size
    }

    /// Whether metadata follows the data of each block.
    pub const fn interleaved(&self) -> bool {
        self.interleaved
    }

    /// The tuple, if there is one.
    pub const fn protection(&self) -> Option<&Protection> {
        self.protection.as_ref()
    }

    /// Checks that can be made of such blocks.
    pub const fn checks(&self) -> Checks {
        self.checks
    }

    /// Width of the reference tag; 0: there is none.
    pub(crate) fn ref_bits(&self) -> u32 {
        self.protection.as_ref().map_or(0, Protection::ref_bits)
    }

    /// The same blocks with their metadata in a buffer of its own.
    pub(crate) const fn apart(self) -> Self {
        Format { interleaved: false, ..self }
    }

    /// The same with another protection type, where the source of the format could not tell.
    pub(crate) fn with_type(mut self, pi_type: PiType) -> Self {
        if let Some(p) = &mut self.protection {
            p.pi_type = pi_type;
            self.checks = p.checks();
        }
        self
    }

    /// Number of blocks in `len` data bytes at `offset`, both of which must be whole blocks.
    #[inline]
    pub fn blocks(&self, offset: u64, len: u64) -> Result<u64> {
        let interval = u64::from(self.interval);
        if !offset.is_multiple_of(interval) {
            return Err(Error::Invalid(c"offset: not a multiple of the block size"));
        }
        let blocks = len / interval;
        match len != 0 && blocks * interval == len {
            true => Ok(blocks),
            false => Err(Error::Invalid(c"length: 0, or not a multiple of the block size")),
        }
    }
}

/// Tag values of a request, of generation or of verification.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Tags {
    /// Checks to make.
    pub checks: Checks,
    /// Fields that generation leaves as they are.
    pub keep: Checks,
    /// Application tag.
    pub app: u16,
    /// Bits of it that are not compared.
    pub app_ignore: u16,
    /// Reference tag of the first block, counted up by block (type 3: constant).
    pub reference: u128,
    /// Storage tag.
    pub storage: u64,
}

impl Tags {
    /// No checks, all values zero.
    pub const NONE: Self = Tags {
        checks: Checks::empty(),
        keep: Checks::empty(),
        app: 0,
        app_ignore: 0,
        reference: 0,
        storage: 0,
    };
}

/// The low `bits` of a word set.
pub(crate) const fn mask(bits: u32) -> u128 {
    if bits >= 128 { u128::MAX } else { (1 << bits) - 1 }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pi(guard: Guard, offset: u16, storage_bits: u8) -> Option<Protection> {
        Some(Protection { guard, pi_type: PiType::Type1, offset, storage_bits })
    }

    #[test]
    fn formats_that_can_be() {
        assert!(Format::new(512, 0, false, None).is_ok());
        assert!(Format::new(8, 8, false, pi(Guard::T10Dif, 0, 32)).is_ok());
        assert!(Format::new(65536, 64, true, pi(Guard::Crc64, 48, 48)).is_ok());
        assert!(Format::new(4096, 16, false, pi(Guard::Crc32c, 0, 64)).is_ok());
    }

    #[test]
    fn formats_that_cannot() {
        let refused = |f: Result<Format>, field: &str| {
            let why = f.expect_err(field).to_string();
            assert!(why.starts_with(field), "{why} does not name {field}");
        };
        refused(Format::new(0, 8, false, None), "interval");
        refused(Format::new(12, 8, false, None), "interval");
        refused(Format::new(65544, 8, false, None), "interval");
        refused(Format::new(512, 0, true, None), "flags");
        refused(Format::new(512, 7, false, pi(Guard::Ip, 0, 0)), "meta_size");
        refused(Format::new(512, 15, false, pi(Guard::Crc64, 0, 0)), "meta_size");
        refused(Format::new(512, 64, false, pi(Guard::T10Dif, 8, 0)), "pi_offset");
        refused(Format::new(512, 8, false, pi(Guard::T10Dif, 0, 33)), "storage_bits");
        refused(Format::new(512, 8, false, pi(Guard::Ip, 0, 1)), "storage_bits");
        refused(Format::new(512, 16, false, pi(Guard::Crc32c, 0, 15)), "storage_bits");
        refused(Format::new(512, 16, false, pi(Guard::Crc32c, 0, 65)), "storage_bits");
        refused(Format::new(512, 16, false, pi(Guard::Crc64, 0, 49)), "storage_bits");
    }

    #[test]
    fn checks_follow_type_and_widths() {
        let checks = |pi_type, guard, storage_bits| {
            Protection { guard, pi_type, offset: 0, storage_bits }.checks()
        };
        let (guard_app, all) = (Checks::GUARD | Checks::APP, Checks::all());
        assert_eq!(checks(PiType::Type1, Guard::T10Dif, 0), guard_app | Checks::REF);
        assert_eq!(checks(PiType::Type3, Guard::T10Dif, 0), guard_app);
        assert_eq!(checks(PiType::Type2, Guard::Crc32c, 16), all);
        assert_eq!(checks(PiType::Type1, Guard::T10Dif, 32), guard_app | Checks::STORAGE);
    }
}
