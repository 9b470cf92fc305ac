//! Checking tuples, with and without copying the data out.

use std::iter::empty;
use std::ops::ControlFlow;

use super::crc::Sum;
use super::generate::batch;
use super::tuple::{Tuple, Words, load};
use super::walk::{Reader, Writer};
use super::{BATCH, Blocks, Pi, SHORT, one};
use crate::error::{Error, Result};
use crate::geometry::{Checks, Tags};

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
pub(crate) struct Wanted<'a> {
    pub(crate) tags: Tags,
    /// A second first reference tag that counts as right too.
    pub(crate) or_reference: Option<u128>,
    /// For each block, which of `tags.checks` to make.
    pub(crate) block_checks: Option<&'a [u8]>,
}

impl Wanted<'_> {
    pub(crate) fn of(tags: &Tags) -> Self {
        Wanted { tags: *tags, or_reference: None, block_checks: None }
    }
}

impl Pi {
    /// Verifies blocks and tells `found` of each failed check, by block, then guard, application,
    /// storage, reference tag. `found` may end it early.
    pub fn verify(
        &self,
        tags: &Tags,
        blocks: Blocks<'_>,
        found: impl FnMut(Failure) -> ControlFlow<()>,
    ) -> Result<Counts> {
        let wanted = Wanted::of(tags);
        match blocks {
            Blocks::Separate { data, meta } => {
                self.check_layout(false)?;
                let count = self.count(data.len(), meta.len())?;
                self.verify_scattered(&wanted, count, one(data), one(meta), found)
            }
            Blocks::Interleaved(both) => {
                self.check_layout(true)?;
                let count = self.count(both.len(), 0)?;
                self.verify_scattered(&wanted, count, one(both), empty(), found)
            }
        }
    }

    /// Verifies scattered blocks; interleaved ones have no metadata segments.
    pub(crate) fn verify_scattered<'d, 'm>(
        &self,
        wanted: &Wanted<'_>,
        count: u64,
        data: impl Iterator<Item = &'d [u8]>,
        meta: impl Iterator<Item = &'m [u8]>,
        found: impl FnMut(Failure) -> ControlFlow<()>,
    ) -> Result<Counts> {
        let mut judge = Judge::new(self, wanted, 0, found)?;
        judge.run(count, &mut Reader::new(data), &mut Reader::new(meta))?;
        Ok(judge.counts)
    }

    /// The same, and copies the data out bare (strip, where it was interleaved). Copies all, whatever
    /// is wrong with it.
    pub(crate) fn copy_verify<'d, 'm, 'b>(
        &self,
        wanted: &Wanted<'_>,
        count: u64,
        data: impl Iterator<Item = &'d [u8]>,
        meta: impl Iterator<Item = &'m [u8]>,
        bare: impl Iterator<Item = &'b mut [u8]>,
        found: impl FnMut(Failure) -> ControlFlow<()>,
    ) -> Result<Counts> {
        let mut judge = Judge::new(self, wanted, 0, found)?;
        let (mut data, mut meta) = (Reader::new(data), Reader::new(meta));
        let mut bare = Writer::new(bare);
        let cpu = self.cpu(count);
        let mut copied = 0;
        let mut room = [0; BATCH];
        while copied < count {
            let most = batch(count - copied);
            let n = self.whole_blocks(&mut data, &mut meta, most);
            match n.min(bare.whole(self.interval, most)) {
                0 => {
                    let mut sum = Sum::new(self.protection.guard);
                    let mut whole = Some(());
                    let copy = bare.take(self.interval, |piece| {
                        whole = whole.and(data.copy_to(piece));
                        sum.update(piece);
                    });
                    copy.and(whole).ok_or(SHORT)?;
                    judge.scattered(sum, &mut data, &mut meta)?;
                    copied += 1;
                }
                n => {
                    let run = data.run(n * self.stride()).ok_or(SHORT)?;
                    let to = bare.run(n * self.interval).ok_or(SHORT)?;
                    let guards = room.get_mut(..n).ok_or(SHORT)?;
                    let (interval, stride) = (self.interval, self.stride());
                    let guard = self.protection.guard;
                    cpu.copy_guards(guard, run, stride, to, interval, interval, guards);
                    judge.whole(run, guards, &mut meta)?;
                    copied += n as u64;
                }
            }
        }
        Ok(judge.counts)
    }

    /// Blocks that lie ahead in one piece, data and metadata, `most` at most.
    fn whole_blocks<'d, 'm>(
        &self,
        data: &mut Reader<'d, impl Iterator<Item = &'d [u8]>>,
        meta: &mut Reader<'m, impl Iterator<Item = &'m [u8]>>,
        most: usize,
    ) -> usize {
        match (data.whole(self.stride(), most), self.interleaved) {
            (n, true) => n,
            (n, false) => n.min(meta.whole(self.meta_size, most)),
        }
    }
}

/// Compares block after block and keeps count.
pub(super) struct Judge<'p, F> {
    pi: &'p Pi,
    wanted: &'p Wanted<'p>,
    words: Words,
    /// Ones where bits are compared.
    care: u128,
    /// Ones where an escape value has them.
    escape: u128,
    first: u64,
    found: F,
    /// `found` has heard enough.
    done: bool,
    pub(super) counts: Counts,
}

impl<'p, F: FnMut(Failure) -> ControlFlow<()>> Judge<'p, F> {
    /// For the blocks from `first` on.
    #[inline(always)] // moves of what was just written stall
    pub(super) fn new(pi: &'p Pi, wanted: &'p Wanted<'p>, first: u64, found: F) -> Result<Self> {
        if wanted.tags.checks.is_empty() {
            return Err(Error::Invalid(c"tags: no check asked for"));
        }
        Self::of_any(pi, wanted, first, found)
    }

    /// The same, but asking for no check is right.
    #[inline(always)] // likewise
    pub(super) fn of_any(pi: &'p Pi, wanted: &'p Wanted<'p>, first: u64, found: F) -> Result<Self> {
        let tags = &wanted.tags;
        pi.check_asked(tags.checks)?;
        pi.check_storage(tags)?;
        let p = &pi.protection;
        let ignored = u128::from(tags.app_ignore) << p.guard.space_bits();
        let care = Tuple::field_mask(p, tags.checks) & !ignored;
        let words = Words::new(p, tags);
        let counts = Counts::default();
        let escape = Tuple::field_mask(p, Checks::APP);
        Ok(Judge { pi, wanted, words, care, escape, first, found, done: false, counts })
    }

    /// `count` more blocks, unless `found` has heard enough. How many it took.
    pub(super) fn run<'d, 'm>(
        &mut self,
        count: u64,
        data: &mut Reader<'d, impl Iterator<Item = &'d [u8]>>,
        meta: &mut Reader<'m, impl Iterator<Item = &'m [u8]>>,
    ) -> Result<u64> {
        let (interval, stride) = (self.pi.interval, self.pi.stride());
        let cpu = self.pi.cpu(count);
        let mut left = count;
        let mut room = [0; BATCH];
        while left > 0 && !self.done {
            match self.pi.whole_blocks(data, meta, batch(left)) {
                0 => {
                    let mut sum = Sum::new(self.pi.protection.guard);
                    data.take(interval, |piece| sum.update(piece)).ok_or(SHORT)?;
                    self.scattered(sum, data, meta)?;
                    left -= 1;
                }
                n => {
                    let run = data.run(n * stride).ok_or(SHORT)?;
                    let guards = room.get_mut(..n).ok_or(SHORT)?;
                    cpu.guards(self.pi.protection.guard, run, interval, stride, guards);
                    self.whole(run, guards, meta)?;
                    left -= n as u64;
                }
            }
        }
        Ok(count - left)
    }

    /// Blocks in one piece.
    fn whole<'m>(
        &mut self,
        run: &[u8],
        guards: &[u64],
        meta: &mut Reader<'m, impl Iterator<Item = &'m [u8]>>,
    ) -> Result<()> {
        let pi = self.pi;
        let (run, stride, at) = match pi.interleaved {
            true => (run, pi.stride(), pi.interval),
            false => (meta.run(guards.len() * pi.meta_size).ok_or(SHORT)?, pi.meta_size, 0),
        };
        match (pi.offset(), pi.tuple_size()) {
            (0, 8) => self.compare_words::<8>(guards, run, stride, at),
            (0, _) => self.compare_words::<16>(guards, run, stride, at),
            _ => {
                for (block, guard) in run.chunks_exact(stride).zip(guards) {
                    let meta = block.get(at..).ok_or(SHORT)?;
                    let (guard, word) = pi.read_meta(*guard, meta).ok_or(SHORT)?;
                    self.block(guard, word);
                }
                Ok(())
            }
        }
    }

    /// Tuples that come first in their metadata, at byte `at` of every `stride`.
    fn compare_words<const N: usize>(
        &mut self,
        guards: &[u64],
        run: &[u8],
        stride: usize,
        at: usize,
    ) -> Result<()> {
        let (words, care, escape) = (self.words, self.care, self.escape);
        let first = self.first.wrapping_add(self.counts.blocks);
        if stride == N
            && !self.done
            && words.all_same(first, guards, run.as_chunks::<N>().0, [care, escape])
        {
            self.counts.blocks += guards.len() as u64;
            return Ok(());
        }
        let mut clean = 0;
        for (bytes, guard) in run.chunks_exact(stride).zip(guards) {
            let place = bytes.get(at..).and_then(|meta| meta.first_chunk::<N>());
            let word = load(place.ok_or(SHORT)?);
            let block = self.first.wrapping_add(self.counts.blocks + clean);
            let same = (word ^ words.word(*guard, block)) & care == 0;
            if same && word & escape != escape && !self.done {
                clean += 1;
                continue;
            }
            self.counts.blocks += clean;
            clean = 0;
            self.block(*guard, word);
        }
        self.counts.blocks += clean;
        Ok(())
    }

    /// One block whose metadata comes next, wherever segments end.
    pub(super) fn scattered<'d, 'm>(
        &mut self,
        sum: Sum,
        data: &mut Reader<'d, impl Iterator<Item = &'d [u8]>>,
        meta: &mut Reader<'m, impl Iterator<Item = &'m [u8]>>,
    ) -> Result<()> {
        let (guard, word) = match self.pi.interleaved {
            true => self.pi.read_scattered_meta(sum, data),
            false => self.pi.read_scattered_meta(sum, meta),
        }
        .ok_or(SHORT)?;
        self.block(guard, word);
        Ok(())
    }

    /// Whether the next block's tags are right; an escape value says no.
    pub(super) fn passes(&mut self, word: u128) -> bool {
        let before = self.counts.failed + self.counts.escaped;
        self.block(0, word);
        before == self.counts.failed + self.counts.escaped
    }

    /// The next block's finished guard and the word found.
    #[inline]
    pub(super) fn block(&mut self, guard: u64, word: u128) {
        if self.done {
            return;
        }
        let block = self.first.wrapping_add(self.counts.blocks);
        self.counts.blocks += 1;
        let may_escape = word & self.escape == self.escape;
        let different = (word ^ self.words.word(guard, block)) & self.care != 0;
        if may_escape || different {
            self.look_closer(block, guard, word);
        }
    }

    #[cold]
    fn look_closer(&mut self, block: u64, guard: u64, word: u128) {
        let tuple = Tuple::from_word(&self.pi.protection, word);
        if tuple.is_escape(&self.pi.protection) {
            self.counts.escaped += 1;
            return;
        }
        for failure in self.compare(block, guard, &tuple).into_iter().flatten() {
            self.counts.failed += 1;
            if (self.found)(failure).is_break() {
                self.done = true;
                return;
            }
        }
    }

    fn compare(&self, block: u64, guard: u64, is: &Tuple) -> [Option<Failure>; 4] {
        let tags = &self.wanted.tags;
        let checks = self.wanted.block_checks.map_or(tags.checks, |masks| {
            let mask = usize::try_from(block).ok().and_then(|n| masks.get(n)).copied();
            tags.checks & Checks::from_bits_truncate(mask.unwrap_or(u8::MAX).into())
        });
        let reference = self.words.reference(block);
        let other = self.wanted.or_reference.map_or(reference, |first| {
            let tags = Tags { reference: first, ..*tags };
            Words::new(&self.pi.protection, &tags).reference(block)
        });
        let failed = |check, right: bool, expected: u128, actual: u128| {
            let failed = checks.contains(check) && !right;
            failed.then_some(Failure { check, block, expected, actual })
        };
        let same_app = (is.app ^ tags.app) & !tags.app_ignore == 0;
        let same_storage = is.storage == tags.storage;
        let same_ref = is.reference == reference || is.reference == other;
        [
            failed(Checks::GUARD, is.guard == guard, guard.into(), is.guard.into()),
            failed(Checks::APP, same_app, tags.app.into(), is.app.into()),
            failed(Checks::STORAGE, same_storage, tags.storage.into(), is.storage.into()),
            failed(Checks::REF, same_ref, reference, is.reference),
        ]
    }
}
