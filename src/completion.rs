//! What a completion means: the one result of every path, the errno of an NVMe status, and a failed check
//! of a write found in the caller's own buffers.

use std::ops::ControlFlow;

use crate::error::Result;
use crate::geometry::{Checks, Format, PiType, Tags, mask};
use crate::pi::{Failure, Pi, Wanted};

/// What became of a request, whichever path it took.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Outcome {
    /// Bytes of data, or the negated errno.
    pub res: i32,
    /// NVMe status: type and code, 11 bits; 0: none.
    pub status: u16,
    /// NVMe completion dwords 0 and 1.
    pub value: u64,
    /// What is known of a failed check.
    pub diagnosis: Diagnosis,
}

impl Outcome {
    /// It went well.
    pub const fn done(bytes: u32) -> Self {
        Outcome { res: bytes as i32, status: 0, value: 0, diagnosis: Diagnosis::Unknown }
    }

    /// It did not.
    pub const fn failed(errno: i32) -> Self {
        Outcome { res: -errno, status: 0, value: 0, diagnosis: Diagnosis::Unknown }
    }

    /// What an NVMe command answered: 0 or its status field, and its result.
    pub const fn nvme(status: u32, value: u64, bytes: u32) -> Self {
        match status & STATUS_CODE {
            0 => Outcome { value, ..Self::done(bytes) },
            code => Outcome { status: code as u16, value, ..Self::failed(status_errno(code)) },
        }
    }

    /// The same of an append, or of what manages a zone: why a zone refuses has an errno of its own.
    pub const fn in_zone(self) -> Self {
        let errno = match self.status {
            0x1b8 | 0x1b9 => libc::ENOSPC,
            0x1ba => libc::EROFS,
            0x1bb => libc::ENODEV,
            0x1bc => libc::ESTALE,
            _ => return self,
        };
        Outcome { res: -errno, ..self }
    }
}

/// Status code type and status code: what is left of a status without CRD, M and DNR.
const STATUS_CODE: u32 = 0x7ff;

/// The errno that the kernel's own reads and writes end with (drivers/nvme/host/core.c
/// `nvme_error_status`, block/blk-core.c `blk_errors`).
const fn status_errno(code: u32) -> i32 {
    match code {
        0x282..=0x284 | 0x181 => libc::EILSEQ,
        0x080 | 0x082 | 0x021 => libc::EREMOTEIO,
        0x001 | 0x002 | 0x00b | 0x180 => libc::EOPNOTSUPP,
        0x280 | 0x281 | 0x285..=0x287 | 0x182 => libc::ENODATA,
        0x081 => libc::ENOSPC,
        0x083 => libc::EBADE,
        0x370 => libc::ENOLINK,
        0x1bd => libc::EOVERFLOW,
        0x1be => libc::ETOOMANYREFS,
        _ => libc::EIO,
    }
}

/// Which check of the protection information failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Diagnosis {
    /// None, or not known: of a read, or without a tuple.
    #[default]
    Unknown,
    /// This one.
    Wrong(Failure),
    /// What was written is right when verified: bytes were damaged on their way to the device.
    InTransit,
}

/// Verifies in software what was to be written from device block `lba` on. The kernel may have remapped
/// reference tags from `tags.reference` to the LBA in place, of all blocks or of some: both forms
/// are right. Checks that were not asked for come second, since SCSI devices make them unasked.
pub fn diagnose_write<'a>(
    format: &Format,
    tags: &Tags,
    lba: u64,
    blocks: u64,
    data: impl Iterator<Item = &'a [u8]> + Clone,
    meta: &'a [u8],
) -> Result<Diagnosis> {
    let Some(protection) = format.protection() else {
        return Ok(Diagnosis::Unknown);
    };
    let pi = Pi::new(format)?;
    let remapped = protection.pi_type != PiType::Type3;
    let or_reference = remapped.then_some(u128::from(lba) & mask(protection.ref_bits()));
    let unasked = (Checks::GUARD | Checks::REF) & protection.checks();
    for checks in [tags.checks & protection.checks(), unasked] {
        if checks.is_empty() {
            continue;
        }
        let tags = Tags { checks, storage: 0, ..*tags };
        let wanted = Wanted { or_reference, ..Wanted::of(&tags) };
        let mut first = None;
        let found = |failure| {
            first = Some(failure);
            ControlFlow::Break(())
        };
        pi.verify_scattered(&wanted, blocks, data.clone(), std::iter::once(meta), found)?;
        if let Some(failure) = first {
            return Ok(Diagnosis::Wrong(failure));
        }
    }
    Ok(Diagnosis::InTransit)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::geometry::{Guard, Protection};
    use crate::pi::BlocksMut;
    use std::iter::once;

    const TAGS: Tags = Tags {
        checks: Checks::GUARD.union(Checks::REF).union(Checks::APP),
        keep: Checks::empty(),
        app: 0x1234,
        app_ignore: 0,
        reference: 1000,
        storage: 0,
    };

    fn format() -> Format {
        let (guard, pi_type) = (Guard::T10Dif, PiType::Type1);
        let p = Protection { guard, pi_type, offset: 0, storage_bits: 0 };
        Format::new(512, 8, false, Some(p)).unwrap()
    }

    /// Four protected blocks whose tags start at 1000, to be written at LBA 8.
    fn written() -> (Vec<u8>, Vec<u8>) {
        let data: Vec<u8> = (0..2048u32).map(|i| (i * 7) as u8).collect();
        let mut meta = vec![0; 32];
        let blocks = BlocksMut::Separate { data: &data, meta: &mut meta };
        Pi::new(&format()).unwrap().generate(&TAGS, blocks).unwrap();
        (data, meta)
    }

    fn diagnose(tags: &Tags, data: &[u8], meta: &[u8]) -> Diagnosis {
        diagnose_write(&format(), tags, 8, 4, once(data), meta).unwrap()
    }

    #[test]
    fn status_becomes_the_errno_of_the_block_layer() {
        let of = |status| {
            let outcome = Outcome::nvme(status, 9, 512);
            (outcome.res, outcome.status, outcome.value)
        };
        assert_eq!(of(0), (512, 0, 9));
        assert_eq!(of(0x4181), (-libc::EILSEQ, 0x181, 9), "DNR is no part of the code");
        assert_eq!(of(0x6284), (-libc::EILSEQ, 0x284, 9));
        assert_eq!(of(0x4080), (-libc::EREMOTEIO, 0x80, 9));
        assert_eq!(of(0x41bc), (-libc::EIO, 0x1bc, 9));
        assert_eq!(of(0x4285), (-libc::ENODATA, 0x285, 9));
    }

    #[test]
    fn a_zone_that_refuses_says_why() {
        let of = |status| Outcome::nvme(status, 0, 512).in_zone().res;
        let refused = [0x41b8, 0x1b9, 0x41ba, 0x41bb, 0x41bc, 0x41bd, 0x41be, 0x4281, 0].map(of);
        let errnos = [
            -libc::ENOSPC,
            -libc::ENOSPC,
            -libc::EROFS,
            -libc::ENODEV,
            -libc::ESTALE,
            -libc::EOVERFLOW,
            -libc::ETOOMANYREFS,
            -libc::ENODATA,
            512,
        ];
        assert_eq!(refused, errnos);
    }

    #[test]
    fn both_forms_of_a_reference_tag_are_right() {
        let (data, mut meta) = written();
        assert_eq!(diagnose(&TAGS, &data, &meta), Diagnosis::InTransit);
        // The kernel got as far as the second block.
        meta[4..8].copy_from_slice(&8u32.to_be_bytes());
        meta[12..16].copy_from_slice(&9u32.to_be_bytes());
        assert_eq!(diagnose(&TAGS, &data, &meta), Diagnosis::InTransit);
        meta[20..24].copy_from_slice(&9u32.to_be_bytes());
        let (check, block) = (Checks::REF, 2);
        let wrong = Failure { check, block, expected: 1002, actual: 9 };
        assert_eq!(diagnose(&TAGS, &data, &meta), Diagnosis::Wrong(wrong));
    }

    #[test]
    fn a_check_not_asked_for_is_named_after_those_asked_for() {
        let (mut data, mut meta) = written();
        data[0] ^= 1;
        meta[27] ^= 1;
        let Diagnosis::Wrong(failure) = diagnose(&TAGS, &data, &meta) else { panic!() };
        assert_eq!((failure.check, failure.block), (Checks::GUARD, 0));
        let app_only = Tags { checks: Checks::APP, ..TAGS };
        let Diagnosis::Wrong(failure) = diagnose(&app_only, &data, &meta) else { panic!() };
        assert_eq!((failure.check, failure.block), (Checks::APP, 3));
        meta[27] ^= 1;
        let Diagnosis::Wrong(failure) = diagnose(&app_only, &data, &meta) else { panic!() };
        assert_eq!((failure.check, failure.block), (Checks::GUARD, 0));
    }

    #[test]
    fn without_a_tuple_nothing_can_be_said() {
        let opaque = Format::new(512, 8, false, None).unwrap();
        let answer = diagnose_write(&opaque, &TAGS, 8, 1, once(&[0; 512][..]), &[0; 8]);
        assert_eq!(answer, Ok(Diagnosis::Unknown));
    }
}
