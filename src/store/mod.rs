//! Protection information for what has none: the tuples of a plain file or block device in a file at its side.
//!
//! The store answers as a device would: a write is checked before anything changes, a read before it
//! succeeds, tuples hold the numbers of blocks as reference tags, and a block that was never
//! written reads as zeros with all metadata ones, which no check looks at.
//!
//! # What a crash leaves
//!
//! Of each block the old data, the new data, or a guard error; and what was completed before the last flush is
//! there. It holds for any order in which the kernel writes back sectors of both files, because a read
//! believes nothing but a whole record, and data only with it:
//!
//! * A record is in one sector, or its seal tells that it is torn: the side file has the old record,
//!   the new one, or one that fails. A block written several times since the last flush has that many
//!   new ones; any of them counts.
//! * With the new record, all sectors of the data must be new, or the guard fails: with probability
//!   2^-bits it does not, as on a device. So must they all be old with the old record.
//! * Where the old record says "never written", the block still reads as zeros, whatever the data holds.
//! * Zeroing a block empties its record: with the new record it reads as zeros at once, with the old one
//!   the guard fails as soon as a sector of data is gone.
//! * Adopting changes no data: the old record or the new, both for this data.
//! * A flush makes durable what both files had when it began. Tuples go first, so that a failure between
//!   the two leaves guard errors and never data without a tuple.
//!
//! A tuple with an escape value is not checked, so nothing tells that such a block is torn.
//!
//! The same order, record first, makes a failed write harmless: until the record is complete no data is
//! touched, and a record whose data then cannot be written is put back.

mod header;
mod lock;
mod medium;
mod open;
mod pieces;
mod records;
#[cfg(test)]
mod tests;
mod transfer;

use std::fs::File;
use std::path::Path;
use std::sync::atomic::AtomicI32;

use crate::error::{Error, Result};
use crate::geometry::{Format, Tags};
use crate::pi::{Failure, Pi};
use crate::sys::file::{self, Direct};
use header::Header;
use lock::Ranges;
use medium::Medium;
use records::Records;

/// A side file in use. Threads may share it.
#[derive(Debug)]
pub struct Store {
    side: Box<dyn Medium>,
    format: Format,
    pi: Pi,
    records: Records,
    blocks: u64,
    writable: bool,
    /// What the data file asks for, if it is open with `O_DIRECT`.
    direct: Option<Direct>,
    ranges: Ranges,
    /// The errno of the first flush that failed, or 0.
    lost: AtomicI32,
}

/// Why a read or write was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refused {
    /// A check failed, the first of the lowest block that failed one. The block is counted from the start of
    /// the request, values are those that the request would see.
    Check(Failure),
    /// Anything else.
    Error(Error),
}

/// Bytes of a request that succeeded, or why it did not.
pub type Outcome = std::result::Result<u64, Refused>;

impl From<Error> for Refused {
    fn from(error: Error) -> Self {
        Refused::Error(error)
    }
}

impl Refused {
    /// The error alone.
    #[cfg(test)]
    pub const fn error(&self) -> Error {
        match self {
            Refused::Check(_) => Error::Check,
            Refused::Error(error) => *error,
        }
    }
}

/// How to open a store.
#[derive(Debug, Clone, Copy)]
pub struct Side<'p> {
    /// The side file.
    pub path: &'p Path,
    /// Make it, if there is none.
    pub create: bool,
    /// The format that it must have; without one, any. Needed to make it.
    pub format: Option<&'p Format>,
}

/// How the data file is open.
#[derive(Debug, Clone, Copy)]
pub struct DataFile<'f> {
    /// The file or block device, open for reading at least.
    pub file: &'f File,
    /// Its size.
    pub bytes: u64,
    /// With `O_DIRECT`.
    pub direct: bool,
    /// For writing.
    pub writable: bool,
}

const READ_ONLY: Error = Error::Invalid(c"op: a write, but the target is not open for writing");
const BEYOND: Error = Error::Range(c"offset: the request ends beyond the target");

impl Store {
    /// Opens the side file of a data file.
    pub fn open(data: &DataFile<'_>, side: &Side<'_>) -> Result<Self> {
        if side.format.is_some_and(|format| format.protection().is_none()) {
            return Err(Error::Invalid(c"side_format: a format without protection information"));
        }
        if side.format.is_some_and(Format::interleaved) {
            return Err(Error::Unsupported(c"side_format: interleaved, but a file has bare data"));
        }
        let direct = data.direct.then(|| file::direct(data.file));
        let fits = |format: &Format| match direct {
            Some(direct) if !format.interval().is_multiple_of(direct.block.max(1)) => {
                Err(Error::Unsupported(
                    c"side_format: with O_DIRECT the interval has to be whole sectors of the data",
                ))
            }
            _ => Ok(()),
        };
        side.format.map_or(Ok(()), fits)?;
        let Side { path, create, format } = *side;
        let wanted = open::Wanted { path, create, format, writable: data.writable };
        let (side, header) = open::open(data.file, data.bytes, &wanted)?;
        fits(&header.format)?;
        Self::new(Box::new(side), &header, data.writable, direct)
    }

    fn new(
        side: Box<dyn Medium>,
        header: &Header,
        writable: bool,
        direct: Option<Direct>,
    ) -> Result<Self> {
        let Header { format, blocks, id } = *header;
        let (pi, records) = (Pi::new(&format)?, Records::new(&format, &id));
        let (ranges, lost) = (Ranges::default(), AtomicI32::new(0));
        Ok(Store { side, format, pi, records, blocks, writable, direct, ranges, lost })
    }

    /// How the blocks look.
    pub const fn format(&self) -> &Format {
        &self.format
    }

    /// Data bytes: whole blocks.
    pub const fn bytes(&self) -> u64 {
        self.blocks * self.format.interval() as u64
    }

    /// Refuses data that is of another size than when the side file was made.
    pub fn check_size(&self, bytes: u64) -> Result<()> {
        open::check_size(&self.format, self.blocks, bytes)
    }

    /// Reads `len` bytes at `offset` with their metadata and makes the checks of `tags`. Returns the number of
    /// bytes. After a failed check the memory holds the blocks up to that one.
    pub fn read<'a>(
        &self,
        data_file: &File,
        offset: u64,
        len: u64,
        tags: &Tags,
        data: impl Iterator<Item = &'a mut [u8]>,
        meta: &mut [u8],
    ) -> Outcome {
        self.read_from(data_file, (offset, len), tags, data, meta)
    }

    /// Makes the checks of `tags` and writes `len` bytes at `offset` with their metadata, or changes
    /// nothing. Returns the number of bytes. After another error each block is old or new.
    pub fn write<'a>(
        &self,
        data_file: &File,
        offset: u64,
        len: u64,
        tags: &Tags,
        data: impl Iterator<Item = &'a [u8]> + Clone,
        meta: &[u8],
    ) -> Outcome {
        self.write_to(data_file, (offset, len), tags, data, meta)
    }

    /// Makes `len` bytes at `offset` zeros that were never written.
    pub fn write_zeroes(&self, data_file: &File, offset: u64, len: u64) -> Outcome {
        self.zero_in(data_file, (offset, len))
    }

    /// Computes the tuples of all that the data file holds and marks all of it written, durably.
    pub fn adopt(&self, data_file: &File, tags: &Tags) -> Result<()> {
        self.adopt_from(data_file, tags)
    }

    /// Makes all that was completed durable. After one failure, all fail: what was lost then is not known.
    pub fn flush(&self, data_file: &File) -> Result<()> {
        self.flush_both(data_file)
    }
}
