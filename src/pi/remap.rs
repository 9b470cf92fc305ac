//! Moving reference tags from the numbers of a request to those of a device, and back, as the kernel does
//! around a device's own check (block/t10-pi.c): by value alone, so a stranger's tag stays and fails there.

use super::crc::Sum;
use super::walk::Writer;
use super::{Pi, SHORT};
use crate::error::Result;
use crate::geometry::{PiType, mask};

impl Pi {
    /// In every tuple whose reference tag is `from` plus the number of its block, it becomes `to` plus that
    /// number, escape values or not. Type 3 has no such tags: nothing changes. Segments are of metadata,
    /// or of both when interleaved.
    pub(crate) fn remap_scattered<'a>(
        &self,
        from: u128,
        to: u128,
        count: u64,
        segments: impl Iterator<Item = &'a mut [u8]>,
    ) -> Result<()> {
        let ones = mask(self.protection.ref_bits());
        if self.protection.pi_type == PiType::Type3 || (from ^ to) & ones == 0 {
            return Ok(());
        }
        let mut meta = Writer::new(segments);
        for block in 0..u128::from(count) {
            let (from, to) = (from.wrapping_add(block) & ones, to.wrapping_add(block) & ones);
            let edit = |_, word: u128| if word & ones == from { word & !ones | to } else { word };
            if self.interleaved {
                meta.take(self.interval, |_| ()).ok_or(SHORT)?;
            }
            match meta.whole(self.meta_size, 1) {
                // The checksum is not looked at.
                0 => {
                    let sum = Sum::new(self.protection.guard);
                    self.edit_scattered_meta(sum, &mut meta, edit)
                }
                _ => meta.run(self.meta_size).and_then(|meta| self.edit_word(meta, edit)),
            }
            .ok_or(SHORT)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::geometry::{Format, Guard, Protection};
    use std::iter::{empty, once};

    fn pi(guard: Guard, pi_type: PiType, storage_bits: u8) -> Pi {
        let p = Protection { guard, pi_type, offset: 0, storage_bits };
        Pi::new(&Format::new(8, guard.tuple_size() as u16, false, Some(p)).unwrap()).unwrap()
    }

    #[test]
    fn bytes_of_32_bits() {
        let mut meta = [
            [0xaa, 0xaa, 0xbb, 0xbb, 0xff, 0xff, 0xff, 0xff],
            [0xaa, 0xaa, 0xff, 0xff, 0, 0, 0, 0],
            [0xaa, 0xaa, 0xbb, 0xbb, 0, 0, 0, 2],
            [0xaa, 0xaa, 0xbb, 0xbb, 0, 0, 0, 2],
        ];
        let was = meta;
        let type1 = pi(Guard::T10Dif, PiType::Type1, 0);
        // High bits of a number count no more than the field is wide.
        type1
            .remap_scattered(0x5_ffff_ffff, 0x7_1234_56ff, 4, once(meta.as_flattened_mut()))
            .unwrap();
        let is = [
            [0xaa, 0xaa, 0xbb, 0xbb, 0x12, 0x34, 0x56, 0xff],
            [0xaa, 0xaa, 0xff, 0xff, 0x12, 0x34, 0x57, 0x00],
            [0xaa, 0xaa, 0xbb, 0xbb, 0, 0, 0, 2],
            [0xaa, 0xaa, 0xbb, 0xbb, 0x12, 0x34, 0x57, 0x02],
        ];
        assert_eq!(meta, is);
        type1
            .remap_scattered(0x1234_56ff, u32::MAX.into(), 4, once(meta.as_flattened_mut()))
            .unwrap();
        assert_eq!(meta, was);
        let type3 = pi(Guard::T10Dif, PiType::Type3, 0);
        type3.remap_scattered(u32::MAX.into(), 9, 4, once(meta.as_flattened_mut())).unwrap();
        assert_eq!(meta, was);
    }

    #[test]
    fn storage_tags_beside_it_stay() {
        // 12 bits of storage tag, 36 of reference tag.
        let mut meta = [0x11; 16];
        meta[10..].copy_from_slice(&[0xab, 0xcf, 0xff, 0xff, 0xff, 0xff]);
        let crc64 = pi(Guard::Crc64, PiType::Type2, 12);
        crc64.remap_scattered(0xf_ffff_ffff, 0x1_2345_6789, 1, once(&mut meta[..])).unwrap();
        assert_eq!(meta[..10], [0x11; 10]);
        assert_eq!(meta[10..], [0xab, 0xc1, 0x23, 0x45, 0x67, 0x89]);
        // All 80 bits of the widest.
        let mut meta = [0xff; 16];
        let crc32c = pi(Guard::Crc32c, PiType::Type1, 0);
        crc32c
            .remap_scattered(u128::MAX, 0x0123_4567_89ab_cdef_0011, 1, once(&mut meta[..]))
            .unwrap();
        assert_eq!(meta[..6], [0xff; 6]);
        let low = [0x01, 0x23, 0x45, 0x67, 0x89, 0xab, 0xcd, 0xef, 0x00, 0x11];
        assert_eq!(meta[6..], low);
    }

    #[test]
    fn without_enough_memory_it_is_an_error() {
        let type1 = pi(Guard::Ip, PiType::Type1, 0);
        assert_eq!(type1.remap_scattered(0, 1, 1, empty()), Err(SHORT));
        assert_eq!(type1.remap_scattered(0, 1, 2, once(&mut [0; 15][..])), Err(SHORT));
    }
}
