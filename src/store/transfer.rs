//! Reads, writes and the rest, batch by batch.

use std::io::{IoSlice, IoSliceMut};
use std::iter::once;
use std::mem::take;
use std::ops::{ControlFlow, Range};
use std::sync::atomic::Ordering;

use super::medium::{Aligned, Landed, Medium, zeros};
use super::pieces::{self, Cutter};
use super::records::State;
use super::{BEYOND, Outcome, READ_ONLY, Refused, Store};
use crate::error::{Error, Result};
use crate::geometry::{Checks, PiType, Tags, mask};
use crate::pi::{BlocksMut, Failure, Wanted};

/// Blocks of a batch, and bytes of its data and records: what bounds the memory that a request takes.
const MOST_BLOCKS: usize = 256;
const MOST_DATA: usize = 1 << 20;
const MOST_RECORDS: usize = 256 << 10;

const SHORT_META: Error = Error::Invalid(c"meta_len: less than meta_size a block");
/// A file is shorter than it was when it was opened.
const ENDS: Error = Error::Os(libc::EIO);

/// Consecutive blocks that are done at once.
#[derive(Clone, Copy)]
struct Batch {
    first: u64,
    count: usize,
    /// Blocks of the request before it.
    done: u64,
}

impl Batch {
    const fn blocks(&self) -> Range<u64> {
        self.first..self.first + self.count as u64
    }

    /// Of the reference tag of a request's first block, that of this batch's.
    const fn reference(&self, tags: &Tags) -> u128 {
        tags.reference.wrapping_add(self.done as u128)
    }
}

impl Store {
    pub(super) fn read_from<'a>(
        &self,
        file: &dyn Medium,
        (offset, len): (u64, u64),
        tags: &Tags,
        data: impl Iterator<Item = &'a mut [u8]>,
        mut meta: &mut [u8],
    ) -> Outcome {
        let blocks = self.range(file, offset, len)?;
        let mut cutter = Cutter::new(data);
        let (mut pieces, mut span, mut states) = (vec![], vec![], vec![]);
        for batch in self.batches(blocks) {
            cutter.take(batch.count * self.pi.interval(), &mut pieces)?;
            let size = batch.count * self.pi.meta_size();
            let (now, later) = take(&mut meta).split_at_mut_checked(size).ok_or(SHORT_META)?;
            meta = later;

            let held = self.ranges.share(batch.blocks());
            self.load(&batch, &mut span)?;
            let records = self.records.of(batch.first, &span).zip(batch.blocks());
            states.clear();
            states.extend(records.map(|(record, block)| self.records.state(block, record)));
            if states.iter().any(|state| *state != State::Unwritten) {
                pieces::read(file, self.direct, &mut pieces, self.byte(batch.first))?;
            }
            drop(held);

            self.blank(&mut pieces, &states);
            let records = self.records.of(batch.first, &span).zip(&states);
            for ((record, state), meta) in records.zip(now.chunks_exact_mut(self.pi.meta_size())) {
                match state {
                    State::Unwritten => meta.fill(0xff),
                    _ => meta.copy_from_slice(self.records.meta(record)),
                }
            }
            let failure = self.judge(&batch, tags, &pieces, now, &states)?;
            let (from, to) = (batch.first.into(), batch.reference(tags));
            self.pi.remap_scattered(from, to, batch.count as u64, once(now))?;
            if let Some(failure) = failure {
                return Err(Refused::Check(failure));
            }
        }
        Ok(len)
    }

    pub(super) fn write_to<'a>(
        &self,
        file: &dyn Medium,
        (offset, len): (u64, u64),
        tags: &Tags,
        data: impl Iterator<Item = &'a [u8]> + Clone,
        mut meta: &[u8],
    ) -> Outcome {
        let blocks = self.range_to_write(file, offset, len)?;
        let count = blocks.end - blocks.start;
        if ((meta.len() / self.pi.meta_size()) as u64) < count {
            return Err(SHORT_META.into());
        }
        if !tags.checks.is_empty() {
            // The remapped form of a reference tag is right too, as it is to a device.
            let or_reference = Some(u128::from(blocks.start) & self.ref_mask());
            let wanted = Wanted { or_reference, ..Wanted::of(tags) };
            let mut found = None;
            let listen = first(&mut found);
            self.pi.verify_scattered(&wanted, count, data.clone(), once(meta), listen)?;
            if let Some(failure) = found {
                return Err(Refused::Check(failure));
            }
        }
        let mut cutter = Cutter::new(data);
        let (mut pieces, mut new, mut old) = (vec![], vec![], vec![]);
        for batch in self.batches(blocks) {
            cutter.take(batch.count * self.pi.interval(), &mut pieces)?;
            let size = batch.count * self.pi.meta_size();
            let (now, later) = meta.split_at_checked(size).ok_or(SHORT_META)?;
            meta = later;
            self.resize(&batch, &mut new)?;
            let records = self.records.of_mut(batch.first, &mut new);
            for (record, meta) in records.zip(now.chunks_exact(self.pi.meta_size())) {
                self.records.meta_mut(record).copy_from_slice(meta);
            }
            let records = self.records.of_mut(batch.first, &mut new);
            let metas = records.map(|record| self.records.meta_mut(record));
            let (from, to) = (batch.reference(tags), batch.first.into());
            self.pi.remap_scattered(from, to, batch.count as u64, metas)?;
            self.close(&batch, &mut new);

            let _held = self.ranges.alone(batch.blocks());
            self.load(&batch, &mut old)?;
            self.replace(&batch, &old, &new)?;
            let written = pieces::write(file, self.direct, &pieces, self.byte(batch.first));
            written.map_err(|landed| self.settle(&batch, &old, &landed))?;
        }
        Ok(len)
    }

    pub(super) fn zero_in(&self, file: &dyn Medium, (offset, len): (u64, u64)) -> Outcome {
        let blocks = self.range_to_write(file, offset, len)?;
        let (mut none, mut old) = (vec![], vec![]);
        for batch in self.batches(blocks) {
            self.resize(&batch, &mut none)?;
            let _held = self.ranges.alone(batch.blocks());
            self.load(&batch, &mut old)?;
            // Without records the blocks read as zeros already; an error below changes nothing in that.
            self.replace(&batch, &old, &none)?;
            file.zero(self.byte(batch.first), self.byte(batch.count as u64))?;
        }
        Ok(len)
    }

    pub(super) fn adopt_from(&self, file: &dyn Medium, tags: &Tags) -> Result<()> {
        if !tags.keep.is_empty() {
            return Err(Error::Invalid(c"tags: adopting keeps no field"));
        }
        let blocks = self.range_to_write(file, 0, self.bytes())?;
        let (interval, meta_size) = (self.pi.interval(), self.pi.meta_size());
        let most = self.most_blocks();
        let mut memory = Aligned::new(most * interval, 4096)?;
        let mut meta = zeros(most * meta_size)?;
        let (mut new, mut old) = (vec![], vec![]);
        for batch in self.batches(blocks) {
            let data = memory.bytes_mut().get_mut(..batch.count * interval).unwrap_or_default();
            let _held = self.ranges.alone(batch.blocks());
            file.read(&mut [IoSliceMut::new(data)], self.byte(batch.first))?;
            meta.fill(0);
            let meta = meta.get_mut(..batch.count * meta_size).unwrap_or_default();
            let counted = self.format.protection().is_some_and(|p| p.pi_type != PiType::Type3);
            let reference = if counted { batch.first.into() } else { tags.reference };
            let tags = Tags { reference, ..*tags };
            self.pi.generate(&tags, BlocksMut::Separate { data, meta })?;
            self.resize(&batch, &mut new)?;
            let records = self.records.of_mut(batch.first, &mut new);
            for (record, meta) in records.zip(meta.chunks_exact(meta_size)) {
                self.records.meta_mut(record).copy_from_slice(meta);
            }
            self.close(&batch, &mut new);
            self.load(&batch, &mut old)?;
            self.replace(&batch, &old, &new)?;
        }
        self.flush_both(file)
    }

    /// A flush that failed is not made up for by one that succeeds: the kernel tells of lost pages once.
    pub(super) fn flush_both(&self, file: &dyn Medium) -> Result<()> {
        match self.lost.load(Ordering::SeqCst) {
            0 => {}
            errno => return Err(Error::Os(errno)),
        }
        self.side.sync().and_then(|()| file.sync()).inspect_err(|error| {
            self.lost.store(error.errno(), Ordering::SeqCst);
        })
    }

    /// The blocks of a request that lies within the data, which still is there.
    fn range(&self, file: &dyn Medium, offset: u64, len: u64) -> Result<Range<u64>> {
        let count = self.format.blocks(offset, len)?;
        let end = offset.checked_add(len).filter(|end| *end <= self.bytes()).ok_or(BEYOND)?;
        if file.length()?.is_some_and(|length| length < end) {
            return Err(ENDS);
        }
        let first = offset / u64::from(self.format.interval());
        Ok(first..first + count)
    }

    fn range_to_write(&self, file: &dyn Medium, offset: u64, len: u64) -> Result<Range<u64>> {
        if self.writable { self.range(file, offset, len) } else { Err(READ_ONLY) }
    }

    fn most_blocks(&self) -> usize {
        let by_data = (MOST_DATA / self.pi.interval()).max(1);
        self.records.blocks_in(MOST_RECORDS).min(by_data).min(MOST_BLOCKS)
    }

    fn batches(&self, blocks: Range<u64>) -> impl Iterator<Item = Batch> + use<> {
        let most = self.most_blocks();
        blocks.clone().step_by(most).map(move |first| Batch {
            first,
            count: usize::try_from(blocks.end - first).unwrap_or(most).min(most),
            done: first - blocks.start,
        })
    }

    /// Byte of the data at which a block starts.
    fn byte(&self, block: u64) -> u64 {
        block * u64::from(self.format.interval())
    }

    fn ref_mask(&self) -> u128 {
        self.format.protection().map_or(0, |p| mask(p.ref_bits()))
    }

    /// Empty records of a batch.
    fn resize(&self, batch: &Batch, span: &mut Vec<u8>) -> Result<()> {
        let len = self.records.span(batch.first, batch.count);
        span.clear();
        span.try_reserve_exact(len).map_err(|_| Error::Os(libc::ENOMEM))?;
        span.resize(len, 0);
        Ok(())
    }

    /// The records of a batch as they are in the side file.
    fn load(&self, batch: &Batch, span: &mut Vec<u8>) -> Result<()> {
        self.resize(batch, span)?;
        self.side.read(&mut [IoSliceMut::new(span)], self.records.place(batch.first))
    }

    fn close(&self, batch: &Batch, span: &mut [u8]) {
        for (record, block) in self.records.of_mut(batch.first, span).zip(batch.blocks()) {
            self.records.close(block, record);
        }
    }

    /// Puts new records in the place of old ones, all or none of them as far as that can be.
    fn replace(&self, batch: &Batch, old: &[u8], new: &[u8]) -> Result<()> {
        let place = self.records.place(batch.first);
        self.side.write(&mut [IoSlice::new(new)], place).map_err(|landed| {
            // What fails here too are blocks that fail their guard.
            let _ = self.side.write(&mut [IoSlice::new(old)], place);
            landed.error
        })
    }

    /// After data that could not be written: what landed whole is new, the rest gets its old records back. Of a
    /// block in between that was written before neither record is right, and it fails its guard.
    fn settle(&self, batch: &Batch, old: &[u8], landed: &Landed) -> Error {
        let whole = landed.bytes / self.pi.interval() as u64;
        let place = self.records.place(batch.first + whole);
        let skip = usize::try_from(place - self.records.place(batch.first)).unwrap_or(usize::MAX);
        if let Some(rest) = old.get(skip..) {
            let _ = self.side.write(&mut [IoSlice::new(rest)], place);
        }
        landed.error
    }

    /// Makes the data of unwritten blocks zero.
    fn blank(&self, pieces: &mut [&mut [u8]], states: &[State]) {
        if !states.contains(&State::Unwritten) {
            return;
        }
        let interval = self.pi.interval();
        let mut at = 0;
        for piece in pieces {
            let mut rest = &mut **piece;
            while !rest.is_empty() {
                let to_end = (interval - at % interval).min(rest.len());
                let (part, later) = take(&mut rest).split_at_mut(to_end);
                if states.get(at / interval) == Some(&State::Unwritten) {
                    part.fill(0);
                }
                at += part.len();
                rest = later;
            }
        }
    }

    /// The first failure of what was read, as the request sees it.
    fn judge(
        &self,
        batch: &Batch,
        tags: &Tags,
        pieces: &[&mut [u8]],
        meta: &[u8],
        states: &[State],
    ) -> Result<Option<Failure>> {
        let data = || pieces.iter().map(|piece| &**piece);
        let count = batch.count as u64;
        let mut failure = None;
        if !tags.checks.is_empty() {
            let tags = Tags { reference: batch.first.into(), ..*tags };
            let wanted = Wanted::of(&tags);
            self.pi.verify_scattered(&wanted, count, data(), once(meta), first(&mut failure))?;
        }
        let damaged = states.iter().position(|state| *state == State::Damaged);
        if let Some(block) = damaged.filter(|n| failure.is_none_or(|f| *n as u64 <= f.block)) {
            // Whatever was asked for: this metadata was never written.
            failure = Some(self.damaged(batch, pieces, meta, block)?);
        }
        Ok(failure.map(|found| Failure {
            block: batch.done + found.block,
            expected: match found.check {
                Checks::REF => {
                    batch.reference(tags).wrapping_add(found.block.into()) & self.ref_mask()
                }
                _ => found.expected,
            },
            ..found
        }))
    }

    /// The failed guard of a block whose record is damaged.
    fn damaged(
        &self,
        batch: &Batch,
        pieces: &[&mut [u8]],
        meta: &[u8],
        block: usize,
    ) -> Result<Failure> {
        let mut masks = zeros(batch.count)?;
        masks.iter_mut().skip(block).take(1).for_each(|mask| *mask = u8::MAX);
        let tags = Tags { checks: Checks::GUARD, ..Tags::default() };
        let wanted = Wanted { block_checks: Some(&masks), ..Wanted::of(&tags) };
        let data = pieces.iter().map(|piece| &**piece);
        let mut failure = None;
        let count = batch.count as u64;
        self.pi.verify_scattered(&wanted, count, data, once(meta), first(&mut failure))?;
        let start = block * self.pi.meta_size();
        let stored = self.pi.tuple(meta.get(start..).unwrap_or_default())?.guard.into();
        let (check, block) = (Checks::GUARD, block as u64);
        Ok(failure.unwrap_or(Failure { check, block, expected: stored, actual: stored }))
    }
}

/// Keeps the first failure and hears no more.
fn first(found: &mut Option<Failure>) -> impl FnMut(Failure) -> ControlFlow<()> {
    move |failure| {
        *found = Some(failure);
        ControlFlow::Break(())
    }
}
