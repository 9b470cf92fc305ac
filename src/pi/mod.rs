//! Software protection information: generate, verify, copy and retag, for every format, on plain memory.
//!
//! Nothing here knows a ring, a file descriptor or a command.

pub mod crc;
mod generate;
mod remap;
mod report;
mod retag;
mod stream;
#[cfg(test)]
mod tests;
mod tuple;
mod verify;
mod walk;

use std::iter::once;

pub(crate) use crc::Sum;
pub use report::{Report, Room};
pub(crate) use stream::State;
pub use stream::Stream;
pub use tuple::Tuple;
pub(crate) use verify::Wanted;
pub use verify::{Counts, Failure};

use crate::error::{Error, Result};
use crate::geometry::{Checks, Format, Protection, Tags, mask};
use walk::{Reader, Writer};

/// A format with a tuple: what can be generated and verified.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pi {
    interval: usize,
    meta_size: usize,
    interleaved: bool,
    protection: Protection,
}

/// Protected blocks to be read.
#[derive(Debug, Clone, Copy)]
pub enum Blocks<'a> {
    /// Data and metadata apart (DIX).
    Separate {
        /// Whole blocks of data.
        data: &'a [u8],
        /// At least as many blocks of metadata.
        meta: &'a [u8],
    },
    /// Metadata behind the data of each block (DIF, extended LBA).
    Interleaved(&'a [u8]),
}

/// Blocks to be protected.
#[derive(Debug)]
pub enum BlocksMut<'a> {
    /// Data and metadata apart (DIX).
    Separate {
        /// Whole blocks of data.
        data: &'a [u8],
        /// At least as many blocks of metadata.
        meta: &'a mut [u8],
    },
    /// Metadata behind the data of each block (DIF, extended LBA).
    Interleaved(&'a mut [u8]),
}

/// Blocks whose checksums are computed at once.
const BATCH: usize = 32;

/// Lengths are checked before the first byte is taken.
const SHORT: Error = Error::Invalid(c"blocks: shorter than their number says");

impl Pi {
    /// Refuses a format without a tuple.
    #[inline]
    pub fn new(format: &Format) -> Result<Self> {
        let Some(&protection) = format.protection() else {
            return Err(Error::Invalid(c"guard: a format without protection information"));
        };
        Ok(Pi {
            interval: format.interval() as usize,
            meta_size: format.meta_size().into(),
            interleaved: format.interleaved(),
            protection,
        })
    }

    /// Data bytes of a block.
    pub const fn interval(&self) -> usize {
        self.interval
    }

    /// Metadata bytes of a block.
    pub const fn meta_size(&self) -> usize {
        self.meta_size
    }

    /// Whether metadata follows the data of each block.
    pub const fn interleaved(&self) -> bool {
        self.interleaved
    }

    /// Bytes from one block of a data buffer to the next.
    pub const fn stride(&self) -> usize {
        self.interval + if self.interleaved { self.meta_size } else { 0 }
    }

    /// Kind of guard.
    pub(crate) const fn guard(&self) -> crate::geometry::Guard {
        self.protection.guard
    }

    /// Byte of a block's metadata, and bit of it, where bit `bit` of a field lies.
    pub(crate) fn place(&self, field: Checks, bit: u64) -> Option<(usize, u32)> {
        let ones = Tuple::field_mask(&self.protection, field);
        let bit = u32::try_from(bit).ok().filter(|bit| *bit < ones.count_ones())?;
        let from_low = ones.trailing_zeros() + bit;
        let byte = self.tuple_size() - 1 - (from_low / 8) as usize;
        Some((self.offset() + byte, from_low % 8))
    }

    /// The checksum kernels for a request of so many blocks.
    fn cpu(&self, blocks: u64) -> crc::Cpu {
        crc::Cpu::get().over(blocks.saturating_mul(self.interval as u64))
    }

    /// Where the tuple starts in the metadata of a block.
    const fn offset(&self) -> usize {
        self.protection.offset as usize
    }

    const fn tuple_size(&self) -> usize {
        self.protection.guard.tuple_size()
    }

    /// The tuple in the metadata of one block.
    pub fn tuple(&self, meta: &[u8]) -> Result<Tuple> {
        let bytes = meta.get(self.offset()..self.offset() + self.tuple_size()).ok_or(SHORT)?;
        Ok(Tuple::from_word(&self.protection, tuple::load(bytes)))
    }

    /// Puts a tuple into the metadata of one block.
    pub fn set_tuple(&self, meta: &mut [u8], tuple: &Tuple) -> Result<()> {
        let p = &self.protection;
        let fits = |value: u128, bits: u32| value & !mask(bits) == 0;
        if !fits(tuple.guard.into(), p.guard.bits())
            || !fits(tuple.storage.into(), p.storage_bits.into())
            || !fits(tuple.reference, p.ref_bits())
        {
            return Err(Error::Invalid(c"tuple: a value too wide for its field"));
        }
        let place = self.offset()..self.offset() + self.tuple_size();
        tuple::store(meta.get_mut(place).ok_or(SHORT)?, tuple.word(p));
        Ok(())
    }

    /// Number of blocks in buffers of these lengths.
    pub(crate) fn count(&self, data: usize, meta: usize) -> Result<u64> {
        let count = data / self.stride();
        if !data.is_multiple_of(self.stride()) {
            return Err(Error::Invalid(c"data: not a whole number of blocks"));
        }
        if !self.interleaved && meta / self.meta_size < count {
            return Err(Error::Invalid(c"meta: less metadata than blocks"));
        }
        Ok(count as u64)
    }

    fn check_layout(&self, interleaved: bool) -> Result<()> {
        match self.interleaved == interleaved {
            true => Ok(()),
            false => {
                Err(Error::Invalid(c"blocks: separate for an interleaved format, or the reverse"))
            }
        }
    }

    fn check_storage(&self, tags: &Tags) -> Result<()> {
        match u128::from(tags.storage) & !mask(self.protection.storage_bits.into()) {
            0 => Ok(()),
            _ => Err(Error::Invalid(c"tags: storage tag wider than the format's")),
        }
    }

    fn check_asked(&self, checks: Checks) -> Result<()> {
        match self.protection.checks().contains(checks) {
            true => Ok(()),
            false => Err(Error::Invalid(c"tags: a check that this format cannot make")),
        }
    }

    /// The metadata of one block in one piece: its guard goes on from that of the data, then `edit` is
    /// shown guard and word, and returns the word that is to stand there.
    fn edit_meta(
        &self,
        guard: u64,
        meta: &mut [u8],
        edit: impl FnOnce(u64, u128) -> u128,
    ) -> Option<()> {
        let (before, rest) = meta.split_at_mut_checked(self.offset())?;
        let bytes = rest.get_mut(..self.tuple_size())?;
        let guard = crc::update(self.protection.guard, guard, before);
        tuple::store(bytes, edit(guard, tuple::load(bytes)));
        Some(())
    }

    /// The same, wherever segments end.
    fn edit_scattered_meta<'a>(
        &self,
        mut sum: Sum,
        meta: &mut Writer<'a, impl Iterator<Item = &'a mut [u8]>>,
        edit: impl FnOnce(u64, u128) -> u128,
    ) -> Option<()> {
        let size = self.tuple_size();
        meta.take(self.offset(), |piece| sum.update(piece))?;
        // A tuple of 16 bytes lies in 16 pieces at most, but for empty ones.
        let mut pieces: [&mut [u8]; tuple::MAX] = Default::default();
        let mut free = pieces.iter_mut();
        meta.take(size, |piece| {
            if let Some(place) = if piece.is_empty() { None } else { free.next() } {
                *place = piece;
            }
        })?;
        let mut bytes = [0; tuple::MAX];
        let bytes = bytes.get_mut(..size)?;
        let places = || pieces.iter().flat_map(|piece| piece.iter());
        bytes.iter_mut().zip(places()).for_each(|(to, from)| *to = *from);
        tuple::store(bytes, edit(sum.finish(), tuple::load(bytes)));
        let places = pieces.iter_mut().flat_map(|piece| piece.iter_mut());
        places.zip(bytes).for_each(|(to, from)| *to = *from);
        meta.take(self.meta_size - self.offset() - size, |_| ())
    }

    /// The metadata of one block in one piece, to be read: guard and word.
    fn read_meta(&self, guard: u64, meta: &[u8]) -> Option<(u64, u128)> {
        let (before, rest) = meta.split_at_checked(self.offset())?;
        let bytes = rest.get(..self.tuple_size())?;
        Some((crc::update(self.protection.guard, guard, before), tuple::load(bytes)))
    }

    /// The same, wherever segments end.
    fn read_scattered_meta<'a>(
        &self,
        mut sum: Sum,
        meta: &mut Reader<'a, impl Iterator<Item = &'a [u8]>>,
    ) -> Option<(u64, u128)> {
        let mut bytes = [0; tuple::MAX];
        let bytes = bytes.get_mut(..self.tuple_size())?;
        meta.take(self.offset(), |piece| sum.update(piece))?;
        meta.copy_to(bytes)?;
        meta.take(self.meta_size - self.offset() - self.tuple_size(), |_| ())?;
        Some((sum.finish(), tuple::load(bytes)))
    }
}

/// One segment.
fn one<T>(segment: T) -> impl Iterator<Item = T> {
    once(segment)
}
