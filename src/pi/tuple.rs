//! One protection information tuple: its fields and its big-endian bytes.
//!
//! From the first byte on: guard, 16 bits of application tag, then the storage and reference space
//! with the storage tag in its high and the reference tag in its low bits (NVM command set
//! specification, protection information formats). In a word, the last byte is the lowest.

use crate::geometry::{Checks, Guard, PiType, Protection, Tags, mask};

/// The fields of a tuple.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Tuple {
    /// Checksum.
    pub guard: u64,
    /// Application tag.
    pub app: u16,
    /// Storage tag.
    pub storage: u64,
    /// Reference tag.
    pub reference: u128,
}

/// Bytes of the largest tuple.
pub(crate) const MAX: usize = 16;

impl Tuple {
    /// The fields of a word.
    pub(super) fn from_word(p: &Protection, word: u128) -> Self {
        let space = p.guard.space_bits();
        let low64 = |value: u128| (value & mask(64)) as u64;
        Tuple {
            guard: low64(word >> (space + 16)),
            app: low64((word >> space) & mask(16)) as u16,
            storage: low64((word & mask(space)) >> p.ref_bits()),
            reference: word & mask(p.ref_bits()),
        }
    }

    /// The word of the fields; those wider than their place lose their high bits.
    pub(super) fn word(&self, p: &Protection) -> u128 {
        let space = p.guard.space_bits();
        (u128::from(self.guard) & mask(p.guard.bits())) << (space + 16)
            | u128::from(self.app) << space
            | (u128::from(self.storage) & mask(p.storage_bits.into())) << p.ref_bits()
            | self.reference & mask(p.ref_bits())
    }

    /// Ones where `fields` lie.
    pub(super) fn field_mask(p: &Protection, fields: Checks) -> u128 {
        if fields.is_empty() {
            return 0; // the usual case of what is kept
        }
        let ones = |field: Checks| if fields.contains(field) { u128::MAX } else { 0 };
        Tuple {
            guard: ones(Checks::GUARD) as u64,
            app: ones(Checks::APP) as u16,
            storage: ones(Checks::STORAGE) as u64,
            reference: ones(Checks::REF),
        }
        .word(p)
    }

    /// Whether the tuple switches its own checks off: application tag ffffh, and for type 3 all
    /// bits of the reference tag set too.
    pub(super) fn is_escape(&self, p: &Protection) -> bool {
        self.app == 0xffff && (p.pi_type != PiType::Type3 || self.reference == mask(p.ref_bits()))
    }
}

/// The word in the bytes of a tuple, which are 8 or 16.
#[inline]
pub(super) fn load(bytes: &[u8]) -> u128 {
    if let Ok(bytes) = bytes.try_into() {
        u64::from_be_bytes(bytes).into()
    } else {
        bytes.try_into().map_or(0, u128::from_be_bytes)
    }
}

/// Puts a word into the bytes of a tuple.
#[inline]
pub(super) fn store(bytes: &mut [u8], word: u128) {
    if let Ok(bytes) = <&mut [u8; 8]>::try_from(&mut *bytes) {
        *bytes = ((word & mask(64)) as u64).to_be_bytes();
    } else if let Ok(bytes) = <&mut [u8; 16]>::try_from(bytes) {
        *bytes = word.to_be_bytes();
    }
}

/// The words of consecutive blocks with given tags.
#[derive(Debug, Clone, Copy)]
pub(super) struct Words {
    guard: Guard,
    /// Application and storage tag.
    fixed: u128,
    first: u128,
    /// Bits of a block's number that count: all, or none.
    counted: u64,
    ref_mask: u128,
}

impl Words {
    #[inline]
    pub(super) fn new(p: &Protection, tags: &Tags) -> Self {
        let fixed = Tuple { app: tags.app, storage: tags.storage, ..Tuple::default() };
        Words {
            guard: p.guard,
            fixed: fixed.word(p),
            first: tags.reference,
            // The reference tag of type 3 is opaque.
            counted: if p.pi_type == PiType::Type3 { 0 } else { u64::MAX },
            ref_mask: mask(p.ref_bits()),
        }
    }

    /// The reference tag of a block.
    #[inline]
    pub(super) fn reference(&self, block: u64) -> u128 {
        self.first.wrapping_add(u128::from(block & self.counted)) & self.ref_mask
    }

    /// Tuples of `N` bytes for these guards into consecutive places, in fewer steps than word by word. `None`: the
    /// reference tags reach their end, or a half of their words.
    #[inline]
    pub(super) fn fill<const N: usize>(
        &self,
        block: u64,
        guards: &[u64],
        places: &mut [[u8; N]],
    ) -> Option<()> {
        let straight = self.straight(block, guards.len())?;
        for (i, (place, guard)) in places.iter_mut().zip(guards).enumerate() {
            let [high, low] = straight.halves::<N>(*guard, i);
            if N == 8
                && let Some(place) = place.first_chunk_mut()
            {
                *place = low.to_be_bytes();
            } else if let ([first, second], []) = place.as_chunks_mut::<8>() {
                *first = high.to_be_bytes();
                *second = low.to_be_bytes();
            }
        }
        Some(())
    }

    /// Whether consecutive tuples are those of these guards where `care` has ones, and none has all of `escape`, in
    /// fewer steps than one by one. False also where [`fill`](Self::fill) does nothing.
    #[inline]
    pub(super) fn all_same<const N: usize>(
        &self,
        block: u64,
        guards: &[u64],
        places: &[[u8; N]],
        [care, escape]: [u128; 2],
    ) -> bool {
        let Some(straight) = self.straight(block, guards.len()) else {
            return false;
        };
        let split = |word: u128| [(word >> 64) as u64, (word & mask(64)) as u64];
        let ([care_high, care_low], [escape_high, escape_low]) = (split(care), split(escape));
        let (mut different, mut escapes) = (0, false);
        for (i, (place, guard)) in places.iter().zip(guards).enumerate() {
            let [high, low] = straight.halves::<N>(*guard, i);
            let [is_high, is_low] = split(load(place));
            different |= (is_high ^ high) & care_high | (is_low ^ low) & care_low;
            escapes |= is_high & escape_high == escape_high && is_low & escape_low == escape_low;
        }
        different == 0 && !escapes
    }

    /// The words of consecutive blocks, if they differ in guards and low halves only.
    #[inline]
    fn straight(&self, block: u64, count: usize) -> Option<Straight> {
        let first = self.reference(block);
        let step = self.counted & (self.ref_mask & 1) as u64; // not where there is no reference tag
        let behind = first + u128::from(step) * count as u128;
        if behind & !self.ref_mask != 0 || behind >> 64 != first >> 64 {
            return None;
        }
        let word = self.fixed | first;
        Some(Straight {
            high: (word >> 64) as u64,
            low: (word & mask(64)) as u64,
            step,
            shift: if self.guard == Guard::Crc32c { 32 } else { 0 },
        })
    }

    /// The word of a block with this guard.
    #[inline]
    pub(super) fn word(&self, guard: u64, block: u64) -> u128 {
        let guard = match self.guard {
            Guard::T10Dif | Guard::Ip => u128::from(guard << 48),
            Guard::Crc32c => u128::from(guard) << 96,
            Guard::Crc64 => u128::from(guard) << 64,
        };
        guard | self.fixed | self.reference(block)
    }
}

/// Words whose low halves count up.
struct Straight {
    high: u64,
    low: u64,
    step: u64,
    /// Where the guard of a tuple of 16 bytes starts in the high half.
    shift: u32,
}

impl Straight {
    /// High and low half of the word of a block, counted from the first; of 8 bytes in all: the low one.
    #[inline(always)]
    fn halves<const N: usize>(&self, guard: u64, i: usize) -> [u64; 2] {
        let low = self.low.wrapping_add(self.step.wrapping_mul(i as u64));
        match N {
            8 => [0, low | guard << 48],
            _ => [self.high | guard << self.shift, low],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn p(guard: Guard, storage_bits: u8) -> Protection {
        Protection { guard, pi_type: PiType::Type1, offset: 0, storage_bits }
    }

    fn bytes<const N: usize>(p: &Protection, t: &Tuple) -> [u8; N] {
        let mut bytes = [0; N];
        store(&mut bytes, t.word(p));
        assert_eq!(Tuple::from_word(p, load(&bytes)), *t);
        bytes
    }

    #[test]
    fn fields_lie_where_the_specification_puts_them() {
        let t = Tuple { guard: 0x1122, app: 0x3344, storage: 0, reference: 0x5566_7788 };
        let expected = [0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77, 0x88];
        assert_eq!(bytes::<8>(&p(Guard::T10Dif, 0), &t), expected);

        let t = Tuple { guard: 0x1122_3344, app: 0x5566, storage: 0xabcd, reference: 0x77 };
        let expected = [0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0xab, 0xcd, 0, 0, 0, 0, 0, 0, 0, 0x77];
        assert_eq!(bytes::<16>(&p(Guard::Crc32c, 16), &t), expected);

        let guard = 0x1122_3344_5566_7788;
        let t = Tuple { guard, app: 0x99aa, storage: 0x5, reference: 0xbbb_ccdd_eeff };
        let expected = [
            0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77, 0x88, 0x99, 0xaa, 0x5b, 0xbb, 0xcc, 0xdd,
            0xee, 0xff,
        ];
        assert_eq!(bytes::<16>(&p(Guard::Crc64, 4), &t), expected);
    }

    #[test]
    fn words_of_blocks_are_those_of_their_fields() {
        for (guard, widths) in [
            (Guard::T10Dif, 0..=32),
            (Guard::Ip, 0..=0),
            (Guard::Crc32c, 0..=0),
            (Guard::Crc32c, 16..=64),
            (Guard::Crc64, 0..=48),
        ] {
            for storage_bits in widths {
                let p = p(guard, storage_bits);
                let t = Tuple {
                    guard: (mask(guard.bits()) & 0xa5a5_5a5a_1234_5678) as u64,
                    app: 0xfffe,
                    storage: (mask(storage_bits.into()) & 0xc3c3_c3c3_c3c3_c3c3) as u64,
                    reference: mask(p.ref_bits()) & 0x5a5a_1111_2222_3333_4444,
                };
                assert_eq!(Tuple::from_word(&p, t.word(&p)), t, "{p:?}");
                let tags = Tags {
                    app: t.app,
                    storage: t.storage,
                    reference: t.reference.wrapping_sub(3),
                    ..Tags::default()
                };
                let words = Words::new(&p, &tags);
                assert_eq!(words.word(t.guard, 3), t.word(&p), "{p:?}");
                match guard.tuple_size() {
                    8 => filled_is_word_by_word::<8>(&words),
                    _ => filled_is_word_by_word::<16>(&words),
                }
            }
        }
    }

    fn filled_is_word_by_word<const N: usize>(words: &Words) {
        let guards = [0x1234, 0xffff, 0, 7];
        let last = words.ref_mask;
        for first in [0, 3, 1 << 20, last.wrapping_sub(7), last, (1 << 64) - 7] {
            for counted in [0, u64::MAX] {
                let words = Words { first, counted, ..*words };
                let mut places = [[0x5a; N]; 4];
                let done = words.fill(5, &guards, &mut places);
                let tags: Vec<u128> = (5..=9).map(|block| words.reference(block)).collect();
                let straight = tags.windows(2).all(|t| t[0] <= t[1] && t[0] >> 64 == t[1] >> 64);
                assert_eq!(done.is_some(), straight, "{words:?}");
                for (i, place) in places.iter().enumerate().take(if done.is_some() { 4 } else { 0 })
                {
                    let mut word = [0; N];
                    store(&mut word, words.word(guards[i], 5 + i as u64));
                    assert_eq!(*place, word, "{words:?} {i}");
                }
                let all = mask(8 * N as u32);
                let same = |places: &[[u8; N]; 4], care, escape| {
                    words.all_same(5, &guards, places, [care, escape])
                };
                assert_eq!(same(&places, all, all), straight, "{words:?}");
                for n in 0..8 * N {
                    let mut other = places;
                    other[n % 4][n / 8] ^= 0x80 >> (n % 8);
                    let bit = 1 << (8 * N - 1 - n);
                    assert!(!same(&other, all, all), "{words:?} {bit:#x}");
                    assert_eq!(same(&other, all ^ bit, all), straight, "{words:?} {bit:#x}");
                    assert!(!same(&other, 0, load(&other[n % 4])), "{words:?} {bit:#x}");
                }
            }
        }
    }
}
