//! Software protection information: generate and verify, for every format, on plain memory.
//!
//! Nothing here knows a ring, a file descriptor or a command.

pub mod crc;
mod tuple;
mod walk;

use std::iter::once;
use std::ops::ControlFlow;

pub use tuple::Tuple;

use crate::error::{Error, Result};
use crate::geometry::{Checks, Format, PiType, Protection, Tags, mask};
use crc::Sum;
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

/// One failed check.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Failure {
    /// Which, a single one.
    pub check: Checks,
    /// Block, counted from the first of the call.
    pub block: u64,
    /// What the field should hold: computed, or asked for.
    pub expected: u128,
    /// What it holds.
    pub actual: u128,
}

/// What a verification looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// Blocks.
    pub blocks: u64,
    /// Of those, blocks whose escape value switches the checks off.
    pub escaped: u64,
    /// Failed checks.
    pub failed: u64,
}

/// The values that a verification compares with.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Wanted {
    pub(crate) tags: Tags,
    /// A second first reference tag that counts as right too.
    pub(crate) or_reference: Option<u128>,
}

impl Pi {
    /// Refuses a format without a tuple.
    pub fn new(format: &Format) -> Result<Self> {
        let Some(&protection) = format.protection() else {
            return Err(Error::Invalid(
                c"guard: a format without protection information",
            ));
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

    /// Writes the tuple of every block, but for the fields in `tags.keep`. Metadata beside the tuple
    /// is input: what lies before it is under the guard.
    pub fn generate(&self, tags: &Tags, blocks: BlocksMut<'_>) -> Result<()> {
        self.check_storage(tags)?;
        match blocks {
            BlocksMut::Separate { data, meta } => {
                let count = self.count(false, data.len(), meta.len())?;
                let mut data = Reader::new(once(data));
                let mut meta = Writer::new(once(meta));
                for block in 0..count {
                    let mut sum = Sum::new(self.protection.guard);
                    data.take(self.interval, |piece| sum.update(piece))
                        .ok_or(SHORT)?;
                    self.generate_meta(tags, block, sum, &mut meta)?;
                }
            }
            BlocksMut::Interleaved(both) => {
                let count = self.count(true, both.len(), 0)?;
                let mut both = Writer::new(once(both));
                for block in 0..count {
                    let mut sum = Sum::new(self.protection.guard);
                    both.take(self.interval, |piece| sum.update(piece))
                        .ok_or(SHORT)?;
                    self.generate_meta(tags, block, sum, &mut both)?;
                }
            }
        }
        Ok(())
    }

    /// Verifies blocks and tells `found` of each failed check, by block, then guard, application,
    /// storage, reference tag. `found` may end it early.
    pub fn verify(
        &self,
        tags: &Tags,
        blocks: Blocks<'_>,
        found: impl FnMut(Failure) -> ControlFlow<()>,
    ) -> Result<Counts> {
        let wanted = Wanted {
            tags: *tags,
            or_reference: None,
        };
        match blocks {
            Blocks::Separate { data, meta } => {
                let count = self.count(false, data.len(), meta.len())?;
                self.verify_scattered(&wanted, count, once(data), once(meta), found)
            }
            Blocks::Interleaved(both) => {
                let count = self.count(true, both.len(), 0)?;
                self.verify_scattered(&wanted, count, once(both), std::iter::empty(), found)
            }
        }
    }

    /// Verifies `count` blocks whose bytes lie scattered; without metadata segments when interleaved.
    pub(crate) fn verify_scattered<'a>(
        &self,
        wanted: &Wanted,
        count: u64,
        data: impl Iterator<Item = &'a [u8]>,
        meta: impl Iterator<Item = &'a [u8]>,
        mut found: impl FnMut(Failure) -> ControlFlow<()>,
    ) -> Result<Counts> {
        self.check_asked(&wanted.tags)?;
        let mut data = Reader::new(data);
        let mut meta = Reader::new(meta);
        let mut counts = Counts::default();
        for block in 0..count {
            let mut sum = Sum::new(self.protection.guard);
            data.take(self.interval, |piece| sum.update(piece))
                .ok_or(SHORT)?;
            let (sum, tuple) = match self.interleaved {
                true => self.read_meta(sum, &mut data)?,
                false => self.read_meta(sum, &mut meta)?,
            };
            counts.blocks += 1;
            if tuple.is_escape(&self.protection) {
                counts.escaped += 1;
                continue;
            }
            for failure in self
                .compare(wanted, block, sum, &tuple)
                .into_iter()
                .flatten()
            {
                counts.failed += 1;
                if found(failure).is_break() {
                    return Ok(counts);
                }
            }
        }
        Ok(counts)
    }

    /// The tuple in the metadata of one block.
    pub fn tuple(&self, meta: &[u8]) -> Result<Tuple> {
        let sum = Sum::new(self.protection.guard);
        Ok(self.read_meta(sum, &mut Reader::new(once(meta)))?.1)
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
        let mut meta = Writer::new(once(meta));
        meta.take(p.offset.into(), |_| ()).ok_or(SHORT)?;
        self.put_tuple(tuple, Checks::all(), &mut meta)
    }

    /// Number of blocks in buffers of these lengths.
    fn count(&self, interleaved: bool, data: usize, meta: usize) -> Result<u64> {
        if self.interleaved != interleaved {
            return Err(Error::Invalid(
                c"blocks: separate buffers for an interleaved format, or the other way round",
            ));
        }
        let block = self.interval + if interleaved { self.meta_size } else { 0 };
        let count = data / block;
        if !data.is_multiple_of(block) {
            return Err(Error::Invalid(c"data: not a whole number of blocks"));
        }
        if !interleaved && meta / self.meta_size < count {
            return Err(Error::Invalid(c"meta: less metadata than blocks"));
        }
        Ok(count as u64)
    }

    fn check_storage(&self, tags: &Tags) -> Result<()> {
        match u128::from(tags.storage) & !mask(self.protection.storage_bits.into()) {
            0 => Ok(()),
            _ => Err(Error::Invalid(c"tags: storage tag wider than the format's")),
        }
    }

    fn check_asked(&self, tags: &Tags) -> Result<()> {
        if tags.checks.is_empty() {
            return Err(Error::Invalid(c"tags: no check asked for"));
        }
        if !self.protection.checks().contains(tags.checks) {
            return Err(Error::Invalid(
                c"tags: a check that this format cannot make",
            ));
        }
        self.check_storage(tags)
    }

    /// The reference tag of a block when that of the first is `first`.
    fn reference(&self, first: u128, block: u64) -> u128 {
        let step = match self.protection.pi_type {
            PiType::Type3 => 0,
            PiType::Type1 | PiType::Type2 => block.into(),
        };
        first.wrapping_add(step) & mask(self.protection.ref_bits())
    }

    fn compare(&self, wanted: &Wanted, block: u64, guard: u64, is: &Tuple) -> [Option<Failure>; 4] {
        let tags = &wanted.tags;
        let reference = self.reference(tags.reference, block);
        let other = wanted
            .or_reference
            .map_or(reference, |first| self.reference(first, block));
        let failed = |check, right: bool, expected: u128, actual: u128| {
            let failed = tags.checks.contains(check) && !right;
            failed.then_some(Failure {
                check,
                block,
                expected,
                actual,
            })
        };
        let same_app = (is.app ^ tags.app) & !tags.app_ignore == 0;
        let same_ref = is.reference == reference || is.reference == other;
        [
            failed(
                Checks::GUARD,
                is.guard == guard,
                guard.into(),
                is.guard.into(),
            ),
            failed(Checks::APP, same_app, tags.app.into(), is.app.into()),
            failed(
                Checks::STORAGE,
                is.storage == tags.storage,
                tags.storage.into(),
                is.storage.into(),
            ),
            failed(Checks::REF, same_ref, reference, is.reference),
        ]
    }

    /// Takes one block's metadata: the finished guard and the tuple found.
    fn read_meta<'a>(
        &self,
        mut sum: Sum,
        meta: &mut Reader<'a, impl Iterator<Item = &'a [u8]>>,
    ) -> Result<(u64, Tuple)> {
        let size = self.protection.guard.tuple_size();
        let before = usize::from(self.protection.offset);
        let mut bytes = [0; tuple::MAX];
        let mut place = bytes.iter_mut();
        meta.take(before, |piece| sum.update(piece)).ok_or(SHORT)?;
        meta.take(size, |piece| {
            piece
                .iter()
                .zip(&mut place)
                .for_each(|(from, to)| *to = *from)
        })
        .ok_or(SHORT)?;
        meta.take(self.meta_size - before - size, |_| ())
            .ok_or(SHORT)?;
        Ok((sum.finish(), Tuple::decode(&self.protection, &bytes)))
    }

    /// Takes one block's metadata: its guard goes on over what lies before the tuple, which is made.
    fn generate_meta<'a>(
        &self,
        tags: &Tags,
        block: u64,
        mut sum: Sum,
        meta: &mut Writer<'a, impl Iterator<Item = &'a mut [u8]>>,
    ) -> Result<()> {
        meta.take(self.protection.offset.into(), |piece| sum.update(piece))
            .ok_or(SHORT)?;
        let tuple = Tuple {
            guard: sum.finish(),
            app: tags.app,
            storage: tags.storage,
            reference: self.reference(tags.reference, block),
        };
        self.put_tuple(&tuple, !tags.keep, meta)
    }

    /// Writes some fields of a tuple and goes on to the end of the block's metadata.
    fn put_tuple<'a>(
        &self,
        tuple: &Tuple,
        fields: Checks,
        meta: &mut Writer<'a, impl Iterator<Item = &'a mut [u8]>>,
    ) -> Result<()> {
        let p = &self.protection;
        let size = p.guard.tuple_size();
        let (bytes, ones) = (tuple.encode(p), Tuple::field_mask(p, fields));
        let mut new = bytes.iter().zip(ones);
        let merge = |piece: &mut [u8]| {
            for (old, (new, ones)) in piece.iter_mut().zip(new.by_ref()) {
                *old = (*old & !ones) | (new & ones);
            }
        };
        meta.take(size, merge).ok_or(SHORT)?;
        let after = self.meta_size - usize::from(p.offset) - size;
        meta.take(after, |_| ()).ok_or(SHORT)
    }
}

/// Lengths are checked before the first byte is taken.
const SHORT: Error = Error::Invalid(c"blocks: shorter than their number says");
