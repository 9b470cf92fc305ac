//! Generation and verification over calls: pieces that end anywhere.

use std::ops::ControlFlow;

use super::crc::Sum;
use super::generate::Maker;
use super::tuple::{MAX, load, store};
use super::verify::{Counts, Failure, Judge, Wanted};
use super::walk::{Reader, Writer};
use super::{Pi, SHORT};
use crate::error::Result;
use crate::geometry::Tags;

/// Where a stream of protected blocks stands.
#[derive(Debug, Clone, Copy)]
pub struct Stream {
    pi: Pi,
    tags: Tags,
    pub(crate) state: State,
}

/// The part that moves.
#[derive(Debug, Clone, Copy)]
pub(crate) struct State {
    /// The block under way.
    pub(crate) block: u64,
    /// Bytes of it that have been, of data, and of metadata when interleaved.
    pub(crate) position: usize,
    /// Checksum so far.
    pub(crate) sum: Sum,
    /// The tuple so far.
    pub(crate) tuple: [u8; MAX],
}

/// What the next bytes of an interleaved block are.
enum Part {
    /// Under the guard: data and metadata before the tuple.
    Summed,
    /// The tuple, from this byte of it on.
    Tuple(usize),
    /// Metadata behind it.
    Rest,
}

impl Stream {
    /// At the start of the first block.
    pub fn new(pi: &Pi, tags: &Tags) -> Result<Self> {
        pi.check_storage(tags)?;
        let sum = Sum::new(pi.protection.guard);
        let state = State { block: 0, position: 0, sum, tuple: [0; MAX] };
        Ok(Stream { pi: *pi, tags: *tags, state })
    }

    /// Where it was once. `None`: no stream of this format can be there.
    pub(crate) fn resume(pi: &Pi, tags: &Tags, state: State) -> Option<Self> {
        (state.position < pi.stride()).then_some(Stream { pi: *pi, tags: *tags, state })
    }

    /// Blocks that have been, whole ones.
    #[cfg(test)]
    pub const fn blocks(&self) -> u64 {
        self.state.block
    }

    /// Whether it stands between two blocks.
    pub const fn at_boundary(&self) -> bool {
        self.state.position == 0
    }

    /// Blocks that end within the next `len` bytes.
    pub(crate) fn ending(&self, len: usize) -> usize {
        self.state.position.saturating_add(len) / self.pi.stride()
    }

    /// The next `len` bytes of data, and the metadata of just the blocks that end in them.
    pub(crate) fn generate_separate<'d, 'm>(
        &mut self,
        len: usize,
        data: impl Iterator<Item = &'d [u8]>,
        meta: impl Iterator<Item = &'m mut [u8]>,
    ) -> Result<()> {
        let (mut data, mut meta) = (Reader::new(data), Writer::new(meta));
        let mut maker = Maker::new(&self.pi, &self.tags, self.state.block)?;
        let state = &mut self.state;
        let mut left = len;
        while left > 0 {
            if state.position == 0 && left >= self.pi.interval {
                let whole = left / self.pi.interval;
                maker.separate(whole as u64, &mut data, &mut meta)?;
                left -= whole * self.pi.interval;
                continue;
            }
            left -= state.feed(self.pi.interval, left, &mut data)?;
            if state.position == self.pi.interval {
                maker.scattered(state.sum, &mut meta)?;
                state.restart(&self.pi);
            }
        }
        state.block = maker.block;
        Ok(())
    }

    /// The next `len` bytes of blocks whose metadata follows their data.
    pub(crate) fn generate_interleaved<'a>(
        &mut self,
        len: usize,
        both: impl Iterator<Item = &'a mut [u8]>,
    ) -> Result<()> {
        let mut both = Writer::new(both);
        let mut maker = Maker::new(&self.pi, &self.tags, self.state.block)?;
        let state = &mut self.state;
        let size = self.pi.tuple_size();
        let keep = {
            let mut bytes = [0; MAX];
            let ones = super::Tuple::field_mask(&self.pi.protection, self.tags.keep);
            store(bytes.get_mut(..size).ok_or(SHORT)?, ones);
            bytes
        };
        let mut left = len;
        while left > 0 {
            if state.position == 0 && left >= self.pi.stride() {
                let whole = left / self.pi.stride();
                maker.interleaved(whole as u64, &mut both)?;
                left -= whole * self.pi.stride();
                continue;
            }
            let (part, length) = state.part(&self.pi);
            let n = length.min(left);
            match part {
                Part::Summed => both.take(n, |piece| state.sum.update(piece)),
                Part::Tuple(at) => {
                    let new = state.tuple.get_mut(..size).ok_or(SHORT)?;
                    store(new, maker.word(state.sum.finish(), 0));
                    let mut bytes = state.tuple.iter().zip(keep).skip(at);
                    both.take(n, |piece| {
                        for (old, (new, keep)) in piece.iter_mut().zip(bytes.by_ref()) {
                            *old = (new & !keep) | (*old & keep);
                        }
                    })
                }
                Part::Rest => both.take(n, |_| ()),
            }
            .ok_or(SHORT)?;
            state.position += n;
            left -= n;
            if state.position == self.pi.stride() {
                state.restart(&self.pi);
                maker.block = maker.block.wrapping_add(1);
            }
        }
        state.block = maker.block;
        Ok(())
    }

    /// The next `len` bytes of data, or of both when interleaved; else the metadata of just the blocks
    /// that end in them. Failures count blocks from the start of the stream. When `found` ends it early,
    /// the rest is passed over.
    pub(crate) fn verify<'d, 'm>(
        &mut self,
        len: usize,
        data: impl Iterator<Item = &'d [u8]>,
        meta: impl Iterator<Item = &'m [u8]>,
        found: impl FnMut(Failure) -> ControlFlow<()>,
    ) -> Result<Counts> {
        let (mut data, mut meta) = (Reader::new(data), Reader::new(meta));
        let wanted = Wanted::of(&self.tags);
        let mut judge = Judge::new(&self.pi, &wanted, self.state.block, found)?;
        let state = &mut self.state;
        let (interval, stride) = (self.pi.interval, self.pi.stride());
        let mut left = len;
        while left > 0 {
            if state.position == 0 && left >= stride {
                let whole = left / stride;
                let seen = judge.run(whole as u64, &mut data, &mut meta)?;
                let passed_over = whole - usize::try_from(seen).unwrap_or(whole);
                data.take(passed_over * stride, |_| ()).ok_or(SHORT)?;
                if !self.pi.interleaved {
                    meta.take(passed_over * self.pi.meta_size, |_| ()).ok_or(SHORT)?;
                }
                state.block = state.block.wrapping_add(whole as u64);
                left -= whole * stride;
                continue;
            }
            if self.pi.interleaved {
                let (part, length) = state.part(&self.pi);
                let n = length.min(left);
                match part {
                    Part::Summed => data.take(n, |piece| state.sum.update(piece)),
                    Part::Tuple(at) => {
                        state.tuple.get_mut(at..at + n).and_then(|bytes| data.copy_to(bytes))
                    }
                    Part::Rest => data.take(n, |_| ()),
                }
                .ok_or(SHORT)?;
                state.position += n;
                left -= n;
                if state.position == stride {
                    let word = load(state.tuple.get(..self.pi.tuple_size()).ok_or(SHORT)?);
                    judge.block(state.sum.finish(), word);
                    state.finish_block(&self.pi);
                }
            } else {
                left -= state.feed(interval, left, &mut data)?;
                if state.position == interval {
                    judge.scattered(state.sum, &mut data, &mut meta)?;
                    state.finish_block(&self.pi);
                }
            }
        }
        Ok(judge.counts)
    }
}

impl State {
    /// Sums the data of the block under way, at most `left` bytes. How many it took.
    fn feed<'d>(
        &mut self,
        interval: usize,
        left: usize,
        data: &mut Reader<'d, impl Iterator<Item = &'d [u8]>>,
    ) -> Result<usize> {
        let n = left.min(interval - self.position);
        data.take(n, |piece| self.sum.update(piece)).ok_or(SHORT)?;
        self.position += n;
        Ok(n)
    }

    /// What comes next in an interleaved block, and how much of it.
    fn part(&self, pi: &Pi) -> (Part, usize) {
        let start = pi.interval + pi.offset();
        let end = start + pi.tuple_size();
        match self.position {
            p if p < start => (Part::Summed, start - p),
            p if p < end => (Part::Tuple(p - start), end - p),
            p => (Part::Rest, pi.stride() - p),
        }
    }

    fn restart(&mut self, pi: &Pi) {
        self.position = 0;
        self.sum = Sum::new(pi.protection.guard);
    }

    fn finish_block(&mut self, pi: &Pi) {
        self.restart(pi);
        self.block = self.block.wrapping_add(1);
    }
}
