//! One protection information tuple: its fields and its big-endian bytes.
//!
//! From the first byte on: guard, 16 bits of application tag, then the storage and reference space
//! with the storage tag in its high and the reference tag in its low bits (NVM command set
//! specification, protection information formats).

use crate::geometry::{Checks, PiType, Protection, mask};

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
    /// Reads the tuple at the start of `bytes`, which hold at least `guard.tuple_size()`.
    pub(crate) fn decode(p: &Protection, bytes: &[u8; MAX]) -> Self {
        let word = u128::from_be_bytes(*bytes) >> unused_bits(p);
        let space = p.guard.space_bits();
        let low64 = |value: u128| (value & mask(64)) as u64;
        Tuple {
            guard: low64(word >> (space + 16)),
            app: low64((word >> space) & mask(16)) as u16,
            storage: low64((word & mask(space)) >> p.ref_bits()),
            reference: word & mask(p.ref_bits()),
        }
    }

    /// The bytes of the tuple, left aligned; fields wider than their place lose their high bits.
    pub(crate) fn encode(&self, p: &Protection) -> [u8; MAX] {
        let space = p.guard.space_bits();
        let fields = (u128::from(self.guard) & mask(p.guard.bits())) << (space + 16)
            | u128::from(self.app) << space
            | (u128::from(self.storage) & mask(p.storage_bits.into())) << p.ref_bits()
            | self.reference & mask(p.ref_bits());
        (fields << unused_bits(p)).to_be_bytes()
    }

    /// Whether the tuple switches its own checks off: application tag ffffh, and for type 3 all
    /// bits of the reference tag set too.
    pub(crate) fn is_escape(&self, p: &Protection) -> bool {
        self.app == 0xffff && (p.pi_type != PiType::Type3 || self.reference == mask(p.ref_bits()))
    }

    /// The bytes in which `fields` lie, as ones.
    pub(crate) fn field_mask(p: &Protection, fields: Checks) -> [u8; MAX] {
        let ones = |field: Checks| if fields.contains(field) { u128::MAX } else { 0 };
        Tuple {
            guard: ones(Checks::GUARD) as u64,
            app: ones(Checks::APP) as u16,
            storage: ones(Checks::STORAGE) as u64,
            reference: ones(Checks::REF),
        }
        .encode(p)
    }
}

/// Bits by which a tuple is smaller than [`MAX`] bytes.
fn unused_bits(p: &Protection) -> u32 {
    128 - p.guard.space_bits() - 16 - p.guard.bits()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::geometry::Guard;

    fn p(guard: Guard, storage_bits: u8) -> Protection {
        Protection {
            guard,
            pi_type: PiType::Type1,
            offset: 0,
            storage_bits,
        }
    }

    #[test]
    fn fields_lie_where_the_specification_puts_them() {
        let t = Tuple {
            guard: 0x1122,
            app: 0x3344,
            storage: 0,
            reference: 0x5566_7788,
        };
        let bytes = t.encode(&p(Guard::T10Dif, 0));
        assert_eq!(bytes[..8], [0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77, 0x88]);

        let t = Tuple {
            guard: 0x1122_3344,
            app: 0x5566,
            storage: 0xabcd,
            reference: 0x77,
        };
        let bytes = t.encode(&p(Guard::Crc32c, 16));
        let expected = [
            0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0xab, 0xcd, 0, 0, 0, 0, 0, 0, 0, 0x77,
        ];
        assert_eq!(bytes, expected);

        let guard = 0x1122_3344_5566_7788;
        let t = Tuple {
            guard,
            app: 0x99aa,
            storage: 0x5,
            reference: 0xbbb_ccdd_eeff,
        };
        let bytes = t.encode(&p(Guard::Crc64, 4));
        let expected = [
            0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77, 0x88, 0x99, 0xaa, 0x5b, 0xbb, 0xcc, 0xdd,
            0xee, 0xff,
        ];
        assert_eq!(bytes, expected);
    }

    #[test]
    fn decode_is_the_inverse_of_encode() {
        for (guard, widths) in [
            (Guard::T10Dif, 0..=32),
            (Guard::Ip, 0..=0),
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
                assert_eq!(Tuple::decode(&p, &t.encode(&p)), t, "{p:?}");
            }
        }
    }
}
