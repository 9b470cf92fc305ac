//! The first sector of a side file: whose tuples follow, and how they look. Integers are little-endian.

use crate::error::{Error, Result};
use crate::geometry::{Format, Guard, PiType, Protection};
use crate::pi::crc;

/// Bytes of the header. The rest of [`super::records::START`] is zero.
pub(super) const SIZE: usize = 512;

const MAGIC: [u8; 8] = *b"URXside\n";
const VERSION: u32 = 1;
/// Where the checksum of all before it lies, in every version.
const SUM: usize = SIZE - 8;

const FOREIGN: Error = Error::Because(libc::EMEDIUMTYPE, c"side file: this is none");
const DAMAGED: Error = Error::Because(libc::EBADMSG, c"side file: its header is damaged");
const NEWER: Error =
    Error::Because(libc::EPROTONOSUPPORT, c"side file: of a newer version than this library knows");

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) format: Format,
    /// Whole blocks of the data file.
    pub(super) blocks: u64,
    /// Random: tells the records of one side file from those of another.
    pub(super) id: [u8; 16],
}

impl Header {
    pub(super) fn bytes(&self) -> [u8; SIZE] {
        let protection = self.format.protection();
        let guard = protection.map_or(0, |p| match p.guard {
            Guard::T10Dif => 1,
            Guard::Ip => 2,
            Guard::Crc32c => 3,
            Guard::Crc64 => 4,
        });
        let pi_type = protection.map_or(0, |p| match p.pi_type {
            PiType::Type1 => 1,
            PiType::Type2 => 2,
            PiType::Type3 => 3,
        });
        let fields: [&[u8]; 10] = [
            &MAGIC,
            &VERSION.to_le_bytes(),
            &self.format.interval().to_le_bytes(),
            &self.blocks.to_le_bytes(),
            &self.id,
            &self.format.meta_size().to_le_bytes(),
            &protection.map_or(0, |p| p.offset).to_le_bytes(),
            &[guard, pi_type, protection.map_or(0, |p| p.storage_bits)],
            &[0; SUM - 47],
            &[0; 8],
        ];
        let mut bytes = [0; SIZE];
        bytes.iter_mut().zip(fields.iter().copied().flatten()).for_each(|(to, from)| *to = *from);
        let sum = checksum(&bytes).to_le_bytes();
        bytes.iter_mut().skip(SUM).zip(sum).for_each(|(to, from)| *to = from);
        bytes
    }

    pub(super) fn parse(bytes: &[u8; SIZE]) -> Result<Self> {
        let mut reader = bytes.as_slice();
        if take(&mut reader) != Some(MAGIC) {
            return Err(FOREIGN);
        }
        if bytes.last_chunk() != Some(&checksum(bytes).to_le_bytes()) {
            return Err(DAMAGED);
        }
        let mut number = |size: usize| {
            let (field, rest) = reader.split_at_checked(size)?;
            reader = rest;
            Some(field.iter().rev().fold(0u64, |all, byte| all << 8 | u64::from(*byte)))
        };
        if number(4).ok_or(DAMAGED)? != VERSION.into() {
            return Err(NEWER);
        }
        let mut next = |size| number(size).ok_or(DAMAGED);
        let (interval, blocks) = (next(4)?, next(8)?);
        let id = u128::from(next(8)?) | u128::from(next(8)?) << 64;
        let (meta_size, offset) = (next(2)?, next(2)?);
        let guard = match next(1)? {
            1 => Guard::T10Dif,
            2 => Guard::Ip,
            3 => Guard::Crc32c,
            4 => Guard::Crc64,
            _ => return Err(DAMAGED),
        };
        let pi_type = match next(1)? {
            1 => PiType::Type1,
            2 => PiType::Type2,
            3 => PiType::Type3,
            _ => return Err(DAMAGED),
        };
        let (offset, storage_bits) = (offset as u16, next(1)? as u8);
        let protection = Protection { guard, pi_type, offset, storage_bits };
        let format = Format::new(interval as u32, meta_size as u16, false, Some(protection));
        Ok(Header { format: format.map_err(|_| DAMAGED)?, blocks, id: id.to_le_bytes() })
    }
}

/// CRC-64/NVME of all before the checksum.
fn checksum(bytes: &[u8; SIZE]) -> u64 {
    crc::update(Guard::Crc64, crc::start(Guard::Crc64), bytes.get(..SUM).unwrap_or_default())
}

fn take<const N: usize>(reader: &mut &[u8]) -> Option<[u8; N]> {
    let (field, rest) = reader.split_first_chunk()?;
    *reader = rest;
    Some(*field)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header() -> Header {
        let p = Protection {
            guard: Guard::Crc64,
            pi_type: PiType::Type2,
            offset: 0x0130,
            storage_bits: 48,
        };
        let format = Format::new(4104, 0x0140, false, Some(p)).unwrap();
        let id = *b"0123456789abcdef";
        Header { format, blocks: 0x0102_0304_0506_0708, id }
    }

    /// With a checksum that is right again.
    fn sealed(mut bytes: [u8; SIZE]) -> [u8; SIZE] {
        let sum = checksum(&bytes).to_le_bytes();
        bytes[SUM..].copy_from_slice(&sum);
        bytes
    }

    #[test]
    fn bytes_of_version_1() {
        let bytes = header().bytes();
        let expected = *b"URXside\n\x01\0\0\0\x08\x10\0\0\x08\x07\x06\x05\x04\x03\x02\x01\
            0123456789abcdef\x40\x01\x30\x01\x04\x02\x30";
        assert_eq!(bytes[..47], expected);
        assert!(bytes[47..SUM].iter().all(|byte| *byte == 0));
        // The published CRC-64/NVME, by another implementation.
        let crc = ::crc::Crc::<u64>::new(&::crc::CRC_64_NVME).checksum(&bytes[..SUM]);
        assert_eq!(bytes[SUM..], crc.to_le_bytes());
        assert_eq!(Header::parse(&bytes), Ok(header()));
    }

    #[test]
    fn any_damaged_bit_is_seen() {
        for bit in 0..SIZE * 8 {
            let mut bytes = header().bytes();
            bytes[bit / 8] ^= 1 << (bit % 8);
            let expected = if bit < 64 { FOREIGN } else { DAMAGED };
            assert_eq!(Header::parse(&bytes), Err(expected), "bit {bit}");
        }
        assert_eq!(Header::parse(&[0; SIZE]), Err(FOREIGN));
    }

    #[test]
    fn newer_versions_and_impossible_formats() {
        let with = |at: usize, value: u8| {
            let mut bytes = header().bytes();
            bytes[at] = value;
            Header::parse(&sealed(bytes))
        };
        assert_eq!(with(8, 2), Err(NEWER));
        assert_eq!(with(11, 1), Err(NEWER));
        for (at, value) in [(12, 9), (42, 1), (44, 0), (44, 5), (45, 0), (45, 4), (46, 49)] {
            assert_eq!(with(at, value), Err(DAMAGED), "byte {at}");
        }
        // What the format of a later version may mean does not matter.
        let mut bytes = header().bytes();
        (bytes[8], bytes[44]) = (2, 9);
        assert_eq!(Header::parse(&sealed(bytes)), Err(NEWER));
    }
}
