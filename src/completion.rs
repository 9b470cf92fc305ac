//! What a completion means: a failed check of a write is looked for in the caller's own buffers.

use std::ops::ControlFlow;

use crate::error::Result;
use crate::geometry::{Checks, Format, PiType, Tags, mask};
use crate::pi::{Failure, Pi, Wanted};

/// Why a write was refused by a check of its protection information.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Diagnosis {
    /// The format has no tuple to verify.
    Unknown,
    /// A tuple in the caller's buffers was wrong.
    Wrong(Failure),
    /// All are right: bytes were damaged on their way to the device.
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
