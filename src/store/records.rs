//! Where the metadata of a block lies in the side file, and whether it is all there.
//!
//! A record is the metadata of one block and a seal: CRC-32C over the store's id, the block's number and the
//! metadata. A seal of 0 says that the block was never written, so a hole says so too. As many
//! records as fit lie in a sector and none across its end, so that a crash leaves a record as it was or as
//! it became; of a record larger than a sector, or a sector that is torn, the seal tells that
//! it is neither.

use crate::error::{Error, Result};
use crate::geometry::{Format, Guard};
use crate::pi::crc;

/// Byte of the side file where the first sector of records starts.
pub(super) const START: u64 = 4096;

const SECTOR: usize = 512;
const SEAL: usize = 4;

/// How the records of one store lie.
#[derive(Debug, Clone, Copy)]
pub(super) struct Records {
    meta_size: usize,
    /// Sectors, in bytes, that records share or that one record takes.
    unit: usize,
    per_unit: usize,
    /// CRC-32C of the store's id.
    seed: u64,
}

/// What a record says of its block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    Unwritten,
    Written,
    /// Neither the old record nor the new one.
    Damaged,
}

impl Records {
    pub(super) fn new(format: &Format, id: &[u8; 16]) -> Self {
        let meta_size = usize::from(format.meta_size());
        let record = meta_size + SEAL;
        let (unit, per_unit) = match SECTOR / record {
            0 => (record.next_multiple_of(SECTOR), 1),
            n => (SECTOR, n),
        };
        let seed = crc::update(Guard::Crc32c, crc::start(Guard::Crc32c), id);
        Records { meta_size, unit, per_unit, seed }
    }

    /// Bytes of the file that holds so many.
    pub(super) fn file_bytes(&self, blocks: u64) -> Result<u64> {
        let units = blocks.div_ceil(self.per_unit as u64);
        let bytes = units.checked_mul(self.unit as u64).and_then(|all| all.checked_add(START));
        bytes.filter(|bytes| i64::try_from(*bytes).is_ok()).ok_or(Error::Os(libc::EFBIG))
    }

    /// Blocks whose records take no more than so many bytes, one at least.
    pub(super) fn blocks_in(&self, bytes: usize) -> usize {
        (bytes / self.unit * self.per_unit).max(1)
    }

    const fn record(&self) -> usize {
        self.meta_size + SEAL
    }

    /// Where the record of a block starts.
    pub(super) fn place(&self, block: u64) -> u64 {
        let (unit, within) = (block / self.per_unit as u64, block % self.per_unit as u64);
        START + unit * self.unit as u64 + within * self.record() as u64
    }

    /// Bytes from the start of a block's record to the end of the `count`-th.
    pub(super) fn span(&self, first: u64, count: usize) -> usize {
        match (count as u64).checked_sub(1) {
            None => 0,
            Some(more) => (self.place(first + more) - self.place(first)) as usize + self.record(),
        }
    }

    /// The records in the bytes from the start of that of block `first` on.
    pub(super) fn of<'s>(&self, first: u64, span: &'s [u8]) -> impl Iterator<Item = &'s [u8]> {
        let (head, rest) = span.split_at_checked(self.until_sector(first)).unwrap_or((span, &[]));
        let (unit, record) = (self.unit, self.record());
        let units = std::iter::once(head).chain(rest.chunks(unit));
        units.flat_map(move |unit| unit.chunks_exact(record))
    }

    /// The same to be changed.
    pub(super) fn of_mut<'s>(
        &self,
        first: u64,
        span: &'s mut [u8],
    ) -> impl Iterator<Item = &'s mut [u8]> {
        let at = self.until_sector(first).min(span.len());
        let (head, rest) = span.split_at_mut_checked(at).unwrap_or_default();
        let (unit, record) = (self.unit, self.record());
        let units = std::iter::once(head).chain(rest.chunks_mut(unit));
        units.flat_map(move |unit| unit.chunks_exact_mut(record))
    }

    /// Bytes from a record to the next sector, in which no further records start than those of its unit.
    fn until_sector(&self, block: u64) -> usize {
        self.unit - (block % self.per_unit as u64) as usize * self.record()
    }

    /// Metadata and seal of a record.
    fn parts<'r>(&self, record: &'r [u8]) -> (&'r [u8], [u8; SEAL]) {
        let (meta, seal) = record.split_last_chunk().unwrap_or((record, &[0; SEAL]));
        (meta, *seal)
    }

    pub(super) fn state(&self, block: u64, record: &[u8]) -> State {
        match self.parts(record) {
            (_, [0, 0, 0, 0]) => State::Unwritten,
            (meta, seal) if seal == self.seal(block, meta) => State::Written,
            _ => State::Damaged,
        }
    }

    pub(super) fn meta<'r>(&self, record: &'r [u8]) -> &'r [u8] {
        self.parts(record).0
    }

    pub(super) fn meta_mut<'r>(&self, record: &'r mut [u8]) -> &'r mut [u8] {
        record.split_last_chunk_mut::<SEAL>().map_or(&mut [], |(meta, _)| meta)
    }

    /// Seals a record whose metadata is complete.
    pub(super) fn close(&self, block: u64, record: &mut [u8]) {
        if let Some((meta, seal)) = record.split_last_chunk_mut() {
            *seal = self.seal(block, meta);
        }
    }

    fn seal(&self, block: u64, meta: &[u8]) -> [u8; SEAL] {
        let numbered = crc::update(Guard::Crc32c, self.seed, &block.to_le_bytes());
        match crc::update(Guard::Crc32c, numbered, meta) as u32 {
            0 => u32::MAX.to_le_bytes(), // 0 is for what was never written
            sum => sum.to_le_bytes(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::geometry::{PiType, Protection};

    fn records(meta_size: u16) -> Records {
        let p =
            Protection { guard: Guard::T10Dif, pi_type: PiType::Type1, offset: 0, storage_bits: 0 };
        let format = Format::new(512, meta_size, false, Some(p)).unwrap();
        Records::new(&format, &[7; 16])
    }

    #[test]
    fn no_record_crosses_a_sector_and_none_overlap() {
        for meta_size in [8, 9, 16, 64, 124, 252, 253, 255, 508, 509, 600, 4096, 65535] {
            let r = records(meta_size);
            let mut end = START;
            for block in 0..200 {
                let (start, size) = (r.place(block), u64::from(meta_size) + 4);
                assert!(start >= end, "{meta_size}: record {block} overlaps");
                assert!(start - end < 512, "{meta_size}: a gap before {block}");
                end = start + size;
                let sectors = start / 512..=(end - 1) / 512;
                let most = if size <= 512 { 1 } else { size.div_ceil(512) };
                assert_eq!(sectors.count() as u64, most, "{meta_size}: record {block}");
                assert!(end <= r.file_bytes(block + 1).unwrap());
            }
        }
    }

    #[test]
    fn spans_hold_the_records_of_their_blocks() {
        for meta_size in [8, 64, 255, 508, 509, 1000] {
            let r = records(meta_size);
            for (first, count) in [(0, 1), (0, 100), (41, 2), (42, 43), (5, 90), (6, 1), (7, 7)] {
                let mut span = vec![0; r.span(first, count)];
                let base = span.as_ptr().addr() as u64;
                let place = |record: &[u8]| record.as_ptr().addr() as u64 - base + r.place(first);
                let seen: Vec<u64> = r.of(first, &span).map(place).collect();
                let expected: Vec<u64> =
                    (first..first + count as u64).map(|block| r.place(block)).collect();
                assert_eq!(seen, expected, "{meta_size} {first} {count}");
                let seen: Vec<u64> =
                    r.of_mut(first, &mut span).map(|record| place(record)).collect();
                assert_eq!(seen, expected, "{meta_size} {first} {count}");
            }
            assert_eq!(r.span(3, 0), 0);
        }
    }

    #[test]
    fn a_seal_is_for_one_store_one_block_and_these_bytes() {
        let r = records(9);
        let mut record = *b"meta data....";
        r.close(77, &mut record);
        let sum = ::crc::Crc::<u32>::new(&::crc::CRC_32_ISCSI);
        let of: Vec<u8> = [&[7; 16][..], &77u64.to_le_bytes(), b"meta data"].concat();
        assert_eq!(record[9..], sum.checksum(&of).to_le_bytes());
        assert_eq!(r.state(77, &record), State::Written);
        assert_eq!(r.state(78, &record), State::Damaged);
        let other = Records { seed: r.seed ^ 1, ..r };
        assert_eq!(other.state(77, &record), State::Damaged);
        for bit in 0..record.len() * 8 {
            record[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(r.state(77, &record), State::Damaged, "bit {bit}");
            record[bit / 8] ^= 1 << (bit % 8);
        }
        record[9..].fill(0);
        assert_eq!(r.state(77, &record), State::Unwritten);
        assert_eq!(r.state(77, &[0; 13]), State::Unwritten);
    }

    #[test]
    fn a_checksum_of_zero_is_not_unwritten() {
        // A CRC is linear: what the bits of four bytes add to it spans all sums, 0 among them.
        let r = records(8);
        let sum = |n: u32| {
            let numbered = crc::update(Guard::Crc32c, r.seed, &5u64.to_le_bytes());
            crc::update(Guard::Crc32c, numbered, &u64::from(n).to_le_bytes()) as u32
        };
        let mut basis: Vec<(u32, u32)> = vec![];
        let reduce = |basis: &[(u32, u32)], mut of: (u32, u32)| {
            for (sum, n) in basis {
                if of.0 & (1 << sum.ilog2()) != 0 {
                    of = (of.0 ^ sum, of.1 ^ n);
                }
            }
            of
        };
        for bit in 0..32 {
            let next = reduce(&basis, (sum(1 << bit) ^ sum(0), 1 << bit));
            basis.push(next);
        }
        let (left, n) = reduce(&basis, (sum(0), 0));
        assert_eq!((left, sum(n)), (0, 0));
        let mut record = [0; 12];
        record[..8].copy_from_slice(&u64::from(n).to_le_bytes());
        r.close(5, &mut record);
        assert_eq!(record[8..], [0xff; 4]);
        assert_eq!(r.state(5, &record), State::Written);
    }
}
