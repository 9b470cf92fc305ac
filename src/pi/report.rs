//! Calls over slices: all that is wrong with some blocks, copies in and out, other tags.

use std::fmt;
use std::iter::once;
use std::ops::ControlFlow;

use super::{Blocks, Counts, Failure, Pi, Wanted};
use crate::error::{Error, Result};
use crate::geometry::Tags;

/// What a verification found, in the order of the blocks.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Report {
    /// What was looked at.
    pub counts: Counts,
    /// Every check that failed; of a block by guard, application, storage, reference tag.
    pub failures: Vec<Failure>,
}

impl Report {
    /// Nothing failed.
    pub const fn is_clean(&self) -> bool {
        self.failures.is_empty()
    }

    /// The report as the error that it is if something failed.
    pub fn into_result(self) -> std::result::Result<Counts, Self> {
        if self.is_clean() { Ok(self.counts) } else { Err(self) }
    }

    /// `EILSEQ`.
    pub const fn errno(&self) -> i32 {
        Error::Check.errno()
    }

    /// Collects what `verify` tells.
    fn of(
        verify: impl FnOnce(&mut dyn FnMut(Failure) -> ControlFlow<()>) -> Result<Counts>,
    ) -> Result<Self> {
        let mut failures = Vec::new();
        let counts = verify(&mut |failure| {
            failures.push(failure);
            ControlFlow::Continue(())
        })?;
        Ok(Report { counts, failures })
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Failure { check, block, expected, actual } = self;
        write!(f, "block {block}: {} is {actual:#x}, should be {expected:#x}", check.name())
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.failures.as_slice() {
            [] => write!(f, "nothing wrong with {} blocks", self.counts.blocks),
            [one] => write!(f, "{one}"),
            [first, rest @ ..] => write!(f, "{first}; and {} more failed checks", rest.len()),
        }
    }
}

impl std::error::Error for Report {}

impl From<Report> for Error {
    fn from(_: Report) -> Self {
        Error::Check
    }
}

/// Where blocks are to be made.
#[derive(Debug)]
pub enum Room<'a> {
    /// Data and metadata apart (DIX).
    Separate {
        /// As many blocks of data as are copied.
        data: &'a mut [u8],
        /// At least as many blocks of metadata.
        meta: &'a mut [u8],
    },
    /// Metadata behind the data of each block (DIF, extended LBA).
    Interleaved(&'a mut [u8]),
}

/// Bare data and room of other lengths.
const UNLIKE: Error = Error::Invalid(c"bare: not as many blocks as there is room for");

impl Pi {
    /// Verifies blocks to the end and keeps all that is wrong.
    ///
    /// ```
    /// use uring_ext::{Blocks, BlocksMut, Checks, Format, Guard, Pi, Tags};
    ///
    /// let pi = Pi::new(&Format::builder(512).guard(Guard::T10Dif).build()?)?;
    /// let tags = Tags { checks: Checks::GUARD | Checks::REF, reference: 7, ..Tags::default() };
    /// let (mut data, mut meta) = ([0; 1024], [0; 16]);
    /// pi.generate(&tags, BlocksMut::Separate { data: &data, meta: &mut meta })?;
    /// pi.check(&tags, Blocks::Separate { data: &data, meta: &meta })?.into_result()?;
    ///
    /// data[600] ^= 1;
    /// let report = pi.check(&tags, Blocks::Separate { data: &data, meta: &meta })?;
    /// let error = report.into_result().unwrap_err();
    /// assert_eq!(error.to_string(), "block 1: guard is 0x0, should be 0x8987");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn check(&self, tags: &Tags, blocks: Blocks<'_>) -> Result<Report> {
        Report::of(|found| self.verify(tags, blocks, found))
    }

    /// Copies bare data to where it is protected, and makes the tuples, in one pass.
    pub fn copy_in(&self, tags: &Tags, bare: &[u8], room: Room<'_>) -> Result<()> {
        let (interleaved, data, meta) = match &room {
            Room::Separate { data, meta } => (false, data.len(), meta.len()),
            Room::Interleaved(both) => (true, both.len(), 0),
        };
        self.check_layout(interleaved)?;
        let count = self.count(data, meta)?;
        if bare.len() as u64 != count * self.interval() as u64 {
            return Err(UNLIKE);
        }
        match room {
            Room::Separate { data, meta } => {
                self.copy_generate_separate(tags, count, once(bare), once(data), once(meta))
            }
            Room::Interleaved(both) => {
                self.copy_generate_interleaved(tags, count, once(bare), once(both))
            }
        }
    }

    /// Copies the data out, and verifies it, in one pass. Copies all, whatever is wrong with it.
    ///
    /// ```
    /// use uring_ext::{Blocks, Checks, Format, Guard, Pi, Room, Tags};
    ///
    /// let format = Format::builder(512).guard(Guard::Crc64).interleaved().build()?;
    /// let (pi, tags) = (Pi::new(&format)?, Tags { checks: format.checks(), ..Tags::default() });
    /// let (bare, mut both, mut again) = ([7; 1024], [0; 1056], [0; 1024]);
    /// pi.copy_in(&tags, &bare, Room::Interleaved(&mut both))?;
    /// let report = pi.copy_out(&tags, Blocks::Interleaved(&both), &mut again)?;
    /// assert!(report.is_clean() && again == bare);
    /// # Ok::<(), uring_ext::Error>(())
    /// ```
    pub fn copy_out(&self, tags: &Tags, blocks: Blocks<'_>, bare: &mut [u8]) -> Result<Report> {
        let (interleaved, data, meta) = match blocks {
            Blocks::Separate { data, meta } => (false, data, meta),
            Blocks::Interleaved(both) => (true, both, &[][..]),
        };
        self.check_layout(interleaved)?;
        let count = self.count(data.len(), meta.len())?;
        if bare.len() as u64 != count * self.interval() as u64 {
            return Err(UNLIKE);
        }
        let wanted = Wanted::of(tags);
        let meta = (!interleaved).then_some(meta);
        Report::of(|found| {
            self.copy_verify(&wanted, count, once(data), meta.into_iter(), once(bare), found)
        })
    }

    /// In every tuple whose reference tag is `from` plus the number of its block, it becomes `to` plus that number: what a kernel
    /// does on the way to a device and back. `meta` is metadata alone, or blocks of an interleaved format, as
    /// many as there are.
    pub fn remap(&self, from: u128, to: u128, meta: &mut [u8]) -> Result<()> {
        let count = self.tuples(meta.len())?;
        self.remap_scattered(from, to, count, once(meta))
    }

    /// In every tuple that passes the checks of `from` (but for the guard, which is not looked at) the fields not in `to.keep` get
    /// the values of `to`. Others are left alone and told. `meta` as for [`remap`](Self::remap).
    ///
    /// ```
    /// use uring_ext::{Checks, Format, Guard, Pi, Tags, Tuple};
    ///
    /// let pi = Pi::new(&Format::builder(512).guard(Guard::T10Dif).build()?)?;
    /// let mut meta = [0; 8];
    /// pi.set_tuple(&mut meta, &Tuple { guard: 0x1234, app: 1, storage: 0, reference: 7 })?;
    /// let from = Tags { checks: Checks::APP | Checks::REF, app: 1, reference: 7, ..Tags::default() };
    /// let report = pi.retag(&from, &Tags { app: 2, reference: 9, ..Tags::default() }, &mut meta)?;
    /// assert!(report.is_clean());
    /// assert_eq!(pi.tuple(&meta)?, Tuple { guard: 0x1234, app: 2, storage: 0, reference: 9 });
    /// # Ok::<(), uring_ext::Error>(())
    /// ```
    pub fn retag(&self, from: &Tags, to: &Tags, meta: &mut [u8]) -> Result<Report> {
        let count = self.tuples(meta.len())?;
        let wanted = Wanted::of(from);
        Report::of(|found| self.retag_scattered(&wanted, to, count, once(meta), found))
    }

    /// Tuples in metadata alone, or in interleaved blocks.
    fn tuples(&self, len: usize) -> Result<u64> {
        let each = if self.interleaved() { self.stride() } else { self.meta_size() };
        match len.is_multiple_of(each) {
            true => Ok((len / each) as u64),
            false => Err(Error::Invalid(c"meta: not a whole number of blocks")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::geometry::{Checks, Format, Guard, PiType, Protection};

    fn pi(interleaved: bool) -> Pi {
        let (guard, pi_type) = (Guard::T10Dif, PiType::Type1);
        let p = Protection { guard, pi_type, offset: 0, storage_bits: 0 };
        Pi::new(&Format::new(512, 8, interleaved, Some(p)).unwrap()).unwrap()
    }

    fn tags() -> Tags {
        let checks = Checks::GUARD | Checks::REF | Checks::APP;
        Tags { checks, app: 3, reference: 100, ..Tags::default() }
    }

    #[test]
    fn a_copy_apart_and_one_between_hold_the_same() {
        let bare: Vec<u8> = (0..2048u32).map(|i| (i * 13) as u8).collect();
        let (mut data, mut meta) = (vec![0; 2048], vec![0; 40]);
        let room = Room::Separate { data: &mut data, meta: &mut meta };
        pi(false).copy_in(&tags(), &bare, room).unwrap();
        let mut both = vec![0; 4 * 520];
        pi(true).copy_in(&tags(), &bare, Room::Interleaved(&mut both)).unwrap();
        for n in 0..4 {
            let block = &both[n * 520..][..520];
            assert_eq!(block[..512], data[n * 512..][..512]);
            assert_eq!(block[512..], meta[n * 8..][..8]);
        }
        both[520 + 519] ^= 1; // reference tag of block 1
        both[3 * 520] ^= 1; // data of block 3
        let mut out = vec![0; 2048];
        let blocks = Blocks::Interleaved(&both);
        let report = pi(true).copy_out(&tags(), blocks, &mut out).unwrap();
        let found: Vec<_> = report.failures.iter().map(|f| (f.block, f.check)).collect();
        assert_eq!(found, [(1, Checks::REF), (3, Checks::GUARD)]);
        assert_eq!((report.counts.blocks, report.counts.failed), (4, 2));
        let said = report.to_string();
        assert_eq!(
            said,
            "block 1: reference tag is 0x64, should be 0x65; and 1 more failed checks"
        );
        assert_eq!(Error::from(report), Error::Check);
        assert!(out[..1536] == bare[..1536] && out[1536] == bare[1536] ^ 1);
    }

    #[test]
    fn lengths_must_agree() {
        let (mut data, mut meta) = (vec![0; 1024], vec![0; 16]);
        let refused = |error: Error, field: &str| {
            assert_eq!(error.errno(), libc::EINVAL);
            assert!(error.to_string().starts_with(field), "{error} does not name {field}");
        };
        let mut copy = |bare: usize, data_len: usize, meta_len: usize| {
            let room = Room::Separate { data: &mut data[..data_len], meta: &mut meta[..meta_len] };
            pi(false).copy_in(&tags(), &vec![0; bare], room).unwrap_err()
        };
        refused(copy(1024, 512, 16), "bare");
        refused(copy(512, 1024, 16), "bare");
        refused(copy(1000, 1000, 16), "data");
        refused(copy(1024, 1024, 15), "meta");
        let separate = Blocks::Separate { data: &[0; 512], meta: &[0; 8] };
        refused(pi(true).copy_out(&tags(), separate, &mut [0; 512]).unwrap_err(), "blocks");
        refused(pi(false).copy_out(&tags(), separate, &mut [0; 511]).unwrap_err(), "bare");
        refused(pi(false).remap(0, 1, &mut [0; 15]).unwrap_err(), "meta");
        refused(pi(true).remap(0, 1, &mut [0; 519]).unwrap_err(), "meta");
    }
}
