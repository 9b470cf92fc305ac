//! One fused command: its SQEs, and what its CQEs mean.
//!
//! With registration the SQEs are one chain. REGISTER is linked softly: where it fails nothing after it runs. A hard
//! link would let the secondaries run with whatever buffer lies in that slot of the table. Each secondary is linked
//! hard: one that fails or falls short must not cost the others, nor UNREGISTER, which comes last. Should that be
//! cancelled all the same, it is asked for again, alone.

use io_uring::squeue::Flags;

use super::indices::Owner;
use super::io::{Place, register, unregister};
use super::secondary::{Base, Given, Iovec, Part, Parts};
use super::{Ublk, Ways};
use crate::abi::{CQE_F_MORE, CQE_F_NOTIF, Sqe};
use crate::error::{Error, Result};
use crate::memory::Buffer;

/// Secondaries of one command.
pub(crate) const MOST: usize = 16;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// All SQEs are to be prepared.
    Planned,
    Issued,
    /// UNREGISTER is to be prepared again.
    Again,
    /// It was.
    IssuedAgain,
    Done,
}

/// What is around the secondaries where the buffer is registered for them.
#[derive(Debug)]
struct Frame {
    register: Sqe,
    unregister: Sqe,
    index: u16,
    registered: i32,
    unregistered: i32,
}

/// Memory that stands for the buffer.
#[derive(Debug)]
struct Bounce {
    memory: Buffer,
    tag: u16,
    /// It is to be copied to the request at the end.
    fills: bool,
}

/// A planned command.
#[derive(Debug)]
pub(crate) struct Command {
    ublk: Ublk,
    way: Ways,
    stage: Stage,
    nr: usize,
    secondaries: [Sqe; MOST],
    parts: Parts,
    /// What was added to the offsets in `parts.iovecs`.
    base: u64,
    results: [i32; MOST],
    /// Of each SQE that has more CQEs to come its bit.
    waiting: u32,
    frame: Option<Frame>,
    bounce: Option<Bounce>,
    res: i32,
}

impl Command {
    pub(super) fn register(
        ublk: Ublk,
        place: &Place,
        index: u16,
        given: &[Given],
        parts: Parts,
    ) -> Self {
        let frame = Frame {
            register: Sqe { flags: Flags::IO_LINK.bits(), ..register(place, index) },
            unregister: unregister(place, index),
            index,
            registered: 0,
            unregistered: 0,
        };
        let mut command = Command::new(ublk, Ways::REGISTER, Base::Registered(index), given, parts);
        for sqe in &mut command.secondaries {
            sqe.flags |= Flags::IO_HARDLINK.bits();
        }
        Command { frame: Some(frame), ..command }
    }

    pub(super) fn automatic(ublk: Ublk, index: u16, given: &[Given], parts: Parts) -> Self {
        Command::new(ublk, Ways::AUTO_REG, Base::Registered(index), given, parts)
    }

    pub(super) fn in_place(ublk: Ublk, buffer: u64, given: &[Given], parts: Parts) -> Self {
        Command::new(ublk, Ways::BUFFER, Base::Memory(buffer), given, parts)
    }

    /// `memory` is for the range that the secondaries use, and has it already unless it `fills`.
    pub(super) fn copied(
        ublk: Ublk,
        tag: u16,
        fills: bool,
        mut memory: Buffer,
        given: &[Given],
        parts: Parts,
    ) -> Self {
        let base = Base::Memory(memory.address().wrapping_sub(parts.start.into()));
        let command = Command::new(ublk, Ways::USER_COPY, base, given, parts);
        Command { bounce: Some(Bounce { memory, tag, fills }), ..command }
    }

    fn new(ublk: Ublk, way: Ways, base: Base, given: &[Given], mut parts: Parts) -> Self {
        for iovec in &mut parts.iovecs {
            iovec.base = base.address().wrapping_add(iovec.base);
        }
        let iovecs = parts.iovecs.as_ptr().expose_provenance() as u64;
        let mut secondaries = [Sqe::default(); MOST];
        for ((sqe, given), part) in secondaries.iter_mut().zip(given).zip(&parts.all) {
            *sqe = base.lower(&given.sqe, part, iovecs);
        }
        Command {
            ublk,
            way,
            stage: Stage::Planned,
            nr: given.len(),
            secondaries,
            parts,
            base: base.address(),
            results: [0; MOST],
            waiting: 0,
            frame: None,
            bounce: None,
            res: 0,
        }
    }

    pub(crate) const fn way(&self) -> Ways {
        self.way
    }

    /// SQEs to be prepared now.
    pub(crate) const fn sqes(&self) -> usize {
        match self.stage {
            Stage::Planned => self.nr + if self.frame.is_some() { 2 } else { 0 },
            Stage::Again => 1,
            Stage::Issued | Stage::IssuedAgain | Stage::Done => 0,
        }
    }

    /// SQEs whose last CQE is to come, prepared or not.
    pub(crate) const fn pending(&self) -> u32 {
        match self.stage {
            Stage::Planned => self.sqes() as u32,
            Stage::Issued => self.waiting.count_ones(),
            Stage::Again | Stage::IssuedAgain => 1,
            Stage::Done => 0,
        }
    }

    /// What to commit: bytes of the request, or the negated errno.
    pub(crate) const fn res(&self) -> i32 {
        self.res
    }

    /// Of each secondary, as far as known.
    pub(crate) const fn results(&self) -> &[i32; MOST] {
        &self.results
    }

    /// SQE number `n` of those to be prepared.
    pub(crate) fn sqe(&self, n: usize) -> Option<Sqe> {
        match (self.stage, &self.frame) {
            (Stage::Again, Some(frame)) if n == 0 => Some(frame.unregister),
            (Stage::Planned, Some(frame)) if n == 0 => Some(frame.register),
            (Stage::Planned, Some(frame)) if n == self.nr + 1 => Some(frame.unregister),
            (Stage::Planned, frame) => {
                let n = n.checked_sub(usize::from(frame.is_some()))?;
                self.secondaries.get(..self.nr)?.get(n).copied()
            }
            _ => None,
        }
    }

    /// They were prepared, all of them.
    pub(crate) fn issue(&mut self) {
        match self.stage {
            Stage::Planned => {
                self.waiting = (1 << self.sqes()) - 1;
                self.stage = Stage::Issued;
            }
            Stage::Again => self.stage = Stage::IssuedAgain,
            Stage::Issued | Stage::IssuedAgain | Stage::Done => {}
        }
    }

    /// A CQE of SQE number `n`.
    pub(crate) fn completed(&mut self, n: usize, res: i32, flags: u32) -> Result<()> {
        let stray = Error::Invalid(c"index: no SQE of the command that has a CQE to come");
        if self.stage == Stage::IssuedAgain && n == 0 {
            self.unregistered(res);
            return Ok(());
        }
        let bit = 1u32.checked_shl(n as u32).filter(|_| n < 32).ok_or(stray)?;
        if self.stage != Stage::Issued || self.waiting & bit == 0 {
            return Err(stray);
        }
        if flags & CQE_F_NOTIF == 0 {
            self.note(n, res);
        }
        if flags & CQE_F_MORE == 0 {
            self.waiting &= !bit;
            if self.waiting == 0 {
                self.round_is_over();
            }
        }
        Ok(())
    }

    fn note(&mut self, n: usize, res: i32) {
        let first = usize::from(self.frame.is_some());
        match &mut self.frame {
            Some(frame) if n == 0 => frame.registered = res,
            Some(frame) if n > self.nr => frame.unregistered = res,
            _ => {
                let place = n.checked_sub(first).and_then(|n| self.results.get_mut(n));
                if let Some(result) = place {
                    *result = res;
                }
            }
        }
    }

    fn round_is_over(&mut self) {
        self.stage = Stage::Done;
        self.res = self.failure().unwrap_or_else(|| self.covered() as i32);
        if let Some(bounce) = self.bounce.take() {
            if bounce.fills
                && let Err(error) = self.copy_in(&bounce)
            {
                self.res = -error.errno();
            }
            self.ublk.0.put_bounce(bounce.memory);
        }
        match &self.frame {
            Some(frame) if frame.registered >= 0 => self.unregistered(frame.unregistered),
            Some(frame) if frame.registered == -libc::EBUSY => {} // not ours: never handed out again
            Some(frame) => self.free(frame.index),
            None => {}
        }
    }

    fn unregistered(&mut self, res: i32) {
        let index = self.frame.as_ref().map(|frame| frame.index);
        self.stage = if res == -libc::ECANCELED { Stage::Again } else { Stage::Done };
        // After any other failure nobody knows what is there.
        if let (0, Some(index)) = (res, index) {
            self.free(index);
        }
    }

    fn free(&self, index: u16) {
        self.ublk.0.state().indices.put(index, Owner::Command);
    }

    /// The first error. One that was cancelled is the consequence of another.
    fn failure(&self) -> Option<i32> {
        let registered = self.frame.iter().map(|frame| frame.registered);
        let all = registered.chain(self.results.iter().copied().take(self.nr));
        let mut failed = all.filter(|res| *res < 0);
        let first = failed.next()?;
        if first != -libc::ECANCELED {
            return Some(first);
        }
        Some(failed.find(|res| *res != -libc::ECANCELED).unwrap_or(first))
    }

    /// Bytes of the request that are done, up to the first that is not: where one of two pieces fell short, the sum
    /// of both would promise bytes behind the hole.
    fn covered(&self) -> u32 {
        let mut end = u32::MAX;
        let mut ranges = Vec::with_capacity(self.nr + self.parts.iovecs.len());
        for n in 0..self.nr {
            for (at, len, done) in self.done(n) {
                ranges.push((at, at + len));
                end = if done < len { end.min(at + done) } else { end };
            }
        }
        ranges.sort_unstable();
        let (mut reached, mut bytes) = (0, 0);
        for (from, to) in ranges {
            let (from, to) = (from.max(reached), to.min(end));
            bytes += to.saturating_sub(from);
            reached = reached.max(to);
        }
        bytes
    }

    /// Ranges of the request that a secondary uses, and how much of each is done: offset, length, done.
    fn done(&self, n: usize) -> impl Iterator<Item = (u32, u32, u32)> {
        let part = self.parts.all.get(n).copied().unwrap_or_default();
        // RECV may tell of more than there is room for (MSG_TRUNC).
        let mut left = self.results.get(n).copied().unwrap_or(0).max(0).cast_unsigned();
        self.ranges(part).map(move |(at, len)| {
            let done = left.min(len);
            left -= done;
            (at, len, done)
        })
    }

    fn ranges(&self, part: Part) -> impl Iterator<Item = (u32, u32)> {
        let first = part.first as usize;
        let iovecs = self.parts.iovecs.get(first..first + part.count as usize);
        let plain = (!part.kind.is_vectored()).then_some((part.first, part.bytes));
        let base = self.base;
        let offset = move |iovec: &Iovec| (iovec.base.wrapping_sub(base) as u32, iovec.len as u32);
        let vectored = if plain.is_some() { &[] } else { iovecs.unwrap_or(&[]) };
        plain.into_iter().chain(vectored.iter().map(offset))
    }

    /// What came, to the request: no byte that did not.
    fn copy_in(&self, bounce: &Bounce) -> Result<()> {
        for n in 0..self.nr {
            for (at, _, done) in self.done(n).filter(|(_, _, done)| *done != 0) {
                let place = (at - self.parts.start) as usize;
                let bytes = bounce.memory.bytes().get(place..place + done as usize);
                self.ublk.0.copy_in(bounce.tag, bytes.unwrap_or(&[]), at)?;
            }
        }
        Ok(())
    }

    /// For a command none of whose SQEs the kernel has, or will have.
    pub(crate) fn abandon(&mut self) {
        if let (Stage::Planned, Some(frame)) = (self.stage, &self.frame) {
            self.free(frame.index);
        }
        if let Some(bounce) = self.bounce.take() {
            self.ublk.0.put_bounce(bounce.memory);
        }
        self.stage = Stage::Done;
    }
}
