//! Making tuples, with and without copying the data.

use super::crc::Sum;
use super::tuple::{Tuple, Words};
use super::walk::{Reader, Writer};
use super::{BATCH, BlocksMut, Pi, SHORT, one};
use crate::error::Result;
use crate::geometry::Tags;

impl Pi {
    /// Writes the tuple of every block, but for the fields in `tags.keep`. Metadata beside the tuple
    /// is input: what lies before it is under the guard.
    pub fn generate(&self, tags: &Tags, blocks: BlocksMut<'_>) -> Result<()> {
        match blocks {
            BlocksMut::Separate { data, meta } => {
                self.check_layout(false)?;
                let count = self.count(data.len(), meta.len())?;
                self.generate_separate(tags, count, one(data), one(meta))
            }
            BlocksMut::Interleaved(both) => {
                self.check_layout(true)?;
                let count = self.count(both.len(), 0)?;
                self.generate_interleaved(tags, count, one(both))
            }
        }
    }

    /// The same for scattered data and metadata.
    pub(crate) fn generate_separate<'d, 'm>(
        &self,
        tags: &Tags,
        count: u64,
        data: impl Iterator<Item = &'d [u8]>,
        meta: impl Iterator<Item = &'m mut [u8]>,
    ) -> Result<()> {
        let mut maker = Maker::new(self, tags, 0)?;
        maker.separate(count, &mut Reader::new(data), &mut Writer::new(meta))
    }

    /// The same for scattered blocks whose metadata follows their data.
    pub(crate) fn generate_interleaved<'a>(
        &self,
        tags: &Tags,
        count: u64,
        both: impl Iterator<Item = &'a mut [u8]>,
    ) -> Result<()> {
        Maker::new(self, tags, 0)?.interleaved(count, &mut Writer::new(both))
    }

    /// Copies bare data to where it is protected, in the same pass.
    pub(crate) fn copy_generate_separate<'b, 'd, 'm>(
        &self,
        tags: &Tags,
        count: u64,
        bare: impl Iterator<Item = &'b [u8]>,
        data: impl Iterator<Item = &'d mut [u8]>,
        meta: impl Iterator<Item = &'m mut [u8]>,
    ) -> Result<()> {
        let mut maker = Maker::new(self, tags, 0)?;
        let mut bare = Reader::new(bare);
        let (mut data, mut meta) = (Writer::new(data), Writer::new(meta));
        let cpu = self.cpu(count);
        let mut room = [0; BATCH];
        while maker.block < count {
            let most = batch(count - maker.block);
            let n = bare.whole(self.interval, most).min(data.whole(self.interval, most));
            match n.min(meta.whole(self.meta_size, most)) {
                0 => {
                    let sum = self.copy_block(&mut bare, &mut data)?;
                    maker.scattered(sum, &mut meta)?;
                }
                n => {
                    let from = bare.run(n * self.interval).ok_or(SHORT)?;
                    let to = data.run(n * self.interval).ok_or(SHORT)?;
                    let meta = meta.run(n * self.meta_size).ok_or(SHORT)?;
                    let guards = room.get_mut(..n).ok_or(SHORT)?;
                    let (interval, guard) = (self.interval, self.protection.guard);
                    cpu.copy_guards(guard, from, interval, to, interval, interval, guards);
                    maker.whole(guards, meta, self.meta_size, 0)?;
                }
            }
        }
        Ok(())
    }

    /// The same into blocks whose metadata follows their data (insert).
    pub(crate) fn copy_generate_interleaved<'b, 'a>(
        &self,
        tags: &Tags,
        count: u64,
        bare: impl Iterator<Item = &'b [u8]>,
        both: impl Iterator<Item = &'a mut [u8]>,
    ) -> Result<()> {
        let mut maker = Maker::new(self, tags, 0)?;
        let (mut bare, mut both) = (Reader::new(bare), Writer::new(both));
        let cpu = self.cpu(count);
        let mut room = [0; BATCH];
        while maker.block < count {
            let most = batch(count - maker.block);
            match bare.whole(self.interval, most).min(both.whole(self.stride(), most)) {
                0 => {
                    let sum = self.copy_block(&mut bare, &mut both)?;
                    maker.scattered(sum, &mut both)?;
                }
                n => {
                    let from = bare.run(n * self.interval).ok_or(SHORT)?;
                    let to = both.run(n * self.stride()).ok_or(SHORT)?;
                    let guards = room.get_mut(..n).ok_or(SHORT)?;
                    let (interval, stride) = (self.interval, self.stride());
                    let guard = self.protection.guard;
                    cpu.copy_guards(guard, from, interval, to, stride, interval, guards);
                    maker.whole(guards, to, stride, interval)?;
                }
            }
        }
        Ok(())
    }

    /// One block's data from segments to segments.
    fn copy_block<'b, 'd>(
        &self,
        bare: &mut Reader<'b, impl Iterator<Item = &'b [u8]>>,
        data: &mut Writer<'d, impl Iterator<Item = &'d mut [u8]>>,
    ) -> Result<Sum> {
        let mut sum = Sum::new(self.protection.guard);
        let mut whole = Some(());
        data.take(self.interval, |piece| {
            whole = whole.and(bare.copy_to(piece));
            sum.update(piece);
        })
        .and(whole)
        .ok_or(SHORT)?;
        Ok(sum)
    }
}

/// Blocks to do at once, if as many lie in one piece.
pub(super) fn batch(left: u64) -> usize {
    usize::try_from(left).unwrap_or(BATCH).min(BATCH)
}

/// Puts tuples where they belong, block after block.
pub(super) struct Maker<'p> {
    pi: &'p Pi,
    words: Words,
    /// Ones where fields are left as they are.
    keep: u128,
    /// The next block.
    pub(super) block: u64,
}

impl<'p> Maker<'p> {
    #[inline(always)] // moves of what was just written stall
    pub(super) fn new(pi: &'p Pi, tags: &Tags, block: u64) -> Result<Self> {
        pi.check_storage(tags)?;
        let words = Words::new(&pi.protection, tags);
        Ok(Maker { pi, words, keep: Tuple::field_mask(&pi.protection, tags.keep), block })
    }

    /// `count` more blocks whose data and metadata lie apart.
    pub(super) fn separate<'d, 'm>(
        &mut self,
        count: u64,
        data: &mut Reader<'d, impl Iterator<Item = &'d [u8]>>,
        meta: &mut Writer<'m, impl Iterator<Item = &'m mut [u8]>>,
    ) -> Result<()> {
        let Pi { interval, meta_size, .. } = *self.pi;
        let cpu = self.pi.cpu(count);
        let mut left = count;
        let mut room = [0; BATCH];
        while left > 0 {
            let most = batch(left);
            match data.whole(interval, most).min(meta.whole(meta_size, most)) {
                0 => {
                    let mut sum = Sum::new(self.pi.protection.guard);
                    data.take(interval, |piece| sum.update(piece)).ok_or(SHORT)?;
                    self.scattered(sum, meta)?;
                    left -= 1;
                }
                n => {
                    let data = data.run(n * interval).ok_or(SHORT)?;
                    let meta = meta.run(n * meta_size).ok_or(SHORT)?;
                    let guards = room.get_mut(..n).ok_or(SHORT)?;
                    cpu.guards(self.pi.protection.guard, data, interval, interval, guards);
                    self.whole(guards, meta, meta_size, 0)?;
                    left -= n as u64;
                }
            }
        }
        Ok(())
    }

    /// `count` more blocks whose metadata follows their data.
    pub(super) fn interleaved<'a>(
        &mut self,
        count: u64,
        both: &mut Writer<'a, impl Iterator<Item = &'a mut [u8]>>,
    ) -> Result<()> {
        let (interval, stride) = (self.pi.interval, self.pi.stride());
        let cpu = self.pi.cpu(count);
        let mut left = count;
        let mut room = [0; BATCH];
        while left > 0 {
            match both.whole(stride, batch(left)) {
                0 => {
                    let mut sum = Sum::new(self.pi.protection.guard);
                    both.take(interval, |piece| sum.update(piece)).ok_or(SHORT)?;
                    self.scattered(sum, both)?;
                    left -= 1;
                }
                n => {
                    let run = both.run(n * stride).ok_or(SHORT)?;
                    let guards = room.get_mut(..n).ok_or(SHORT)?;
                    cpu.guards(self.pi.protection.guard, run, interval, stride, guards);
                    self.whole(guards, run, stride, interval)?;
                    left -= n as u64;
                }
            }
        }
        Ok(())
    }

    /// The word of the next block, whose fields to keep are those of `old`.
    pub(super) fn word(&self, guard: u64, old: u128) -> u128 {
        (self.words.word(guard, self.block) & !self.keep) | (old & self.keep)
    }

    /// The next blocks' tuples into metadata that starts at byte `at` of every `stride`.
    fn whole(&mut self, guards: &[u64], run: &mut [u8], stride: usize, at: usize) -> Result<()> {
        if self.keep == 0 && self.pi.offset() == 0 {
            // Most formats: a tuple is what the data alone makes it.
            return match self.pi.tuple_size() {
                8 => self.store_words::<8>(guards, run, stride, at),
                _ => self.store_words::<16>(guards, run, stride, at),
            };
        }
        for (block, guard) in run.chunks_exact_mut(stride).zip(guards) {
            let meta = block.get_mut(at..).ok_or(SHORT)?;
            self.pi.edit_meta(*guard, meta, |guard, old| self.word(guard, old)).ok_or(SHORT)?;
            self.block = self.block.wrapping_add(1);
        }
        Ok(())
    }

    fn store_words<const N: usize>(
        &mut self,
        guards: &[u64],
        run: &mut [u8],
        stride: usize,
        at: usize,
    ) -> Result<()> {
        let (words, mut block) = (self.words, self.block);
        if stride == N && words.fill(block, guards, run.as_chunks_mut::<N>().0).is_some() {
            self.block = block.wrapping_add(guards.len() as u64);
            return Ok(());
        }
        for (bytes, guard) in run.chunks_exact_mut(stride).zip(guards) {
            let place = bytes.get_mut(at..).and_then(|meta| meta.first_chunk_mut::<N>());
            let word = words.word(*guard, block).to_be_bytes();
            *place.ok_or(SHORT)? = *word.last_chunk().ok_or(SHORT)?;
            block = block.wrapping_add(1);
        }
        self.block = block;
        Ok(())
    }

    /// The next block's tuple, wherever segments end.
    pub(super) fn scattered<'a>(
        &mut self,
        sum: Sum,
        meta: &mut Writer<'a, impl Iterator<Item = &'a mut [u8]>>,
    ) -> Result<()> {
        let edit = |guard, old| self.word(guard, old);
        self.pi.edit_scattered_meta(sum, meta, edit).ok_or(SHORT)?;
        self.block = self.block.wrapping_add(1);
        Ok(())
    }
}
