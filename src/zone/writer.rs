//! One write to a zone: where it goes, what it takes along, and what is true after it has failed.

use std::collections::VecDeque;
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::fs::FileExt;
use std::time::Duration;

use super::lane::Record;
use super::report::one;
use super::{Place, Zone};
use crate::abi::{AttrPi, Sqe};
use crate::command::{Flags, Op, Request};
use crate::completion::{Diagnosis, Outcome, diagnose_write};
use crate::error::{Error, Result};
use crate::memory::{Buffer, Gathered};
use crate::probe::Kind;
use crate::sqe;
use crate::sys::status_flags;

/// Where a zone goes on, and where it ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Pointer {
    at: u64,
    end: u64,
}

impl Pointer {
    const fn of(zone: &Zone) -> Self {
        Pointer { at: zone.wp, end: zone.end() }
    }
}

/// What a write came to.
#[derive(Debug, Default)]
pub(super) struct Written {
    /// Of each record; none for one that was not reached, which another write takes.
    pub(super) outcomes: Vec<Option<Outcome>>,
    /// Where the zone goes on, if that is known.
    pub(super) pointer: Option<Pointer>,
}

impl Written {
    /// Nothing was, for one reason.
    pub(super) fn none(records: &[Record], errno: i32, pointer: Option<Pointer>) -> Self {
        Written { outcomes: vec![Some(Outcome::failed(errno)); records.len()], pointer }
    }
}

/// Bytes of the largest write that is put together.
const GATHERED: u64 = 512 << 10;

/// The kernel's UIO_MAXIOV.
const MAX_IOVECS: usize = 1024;

/// The kernel (block/blk-zoned.c from 6.10, zonefs) counts what others have under way, of which the device does not know
/// yet: so a write that is refused where the device would have it is tried again a little later.
const TRIES: u32 = 5;

/// How often a write goes again that was refused so, though nothing had moved.
const fn tries(error: Error) -> u32 {
    match error.errno() {
        libc::EIO | libc::EINVAL => TRIES,
        _ => 1, // The report may have set things right.
    }
}

/// One write, and what it needs until it has ended.
pub(super) struct Turn {
    pointer: Pointer,
    pub(super) records: Vec<Record>,
    /// How often the pointer had been doubted when it began.
    pub(super) doubts: u64,
    memory: Gathered,
    attr: Option<Box<AttrPi>>,
}

impl Turn {
    pub(super) fn new(pointer: Pointer, records: Vec<Record>, doubts: u64) -> Self {
        let mut memory = Gathered::default();
        let mut attr = None;
        for Record { request, .. } in &records {
            memory.add(&request.data);
            attr = attr.or_else(|| request.has_meta().then(|| Box::new(sqe::attr_pi(request))));
        }
        Turn { pointer, records, doubts, memory, attr }
    }

    fn bytes(&self) -> u64 {
        self.records.iter().map(|record| record.request.length).sum()
    }

    /// Valid as long as this is.
    pub(super) fn sqe(&self, place: &Place<'_>) -> Sqe {
        let (fd, at) = (place.file.as_raw_fd(), self.pointer.at);
        if let ([Record { request, .. }], Some(attr)) = (&*self.records, &self.attr) {
            let request = Request { op: Op::Write, offset: at, buffer: None, ..*request };
            return sqe::native(&request, fd, std::ptr::from_ref(&**attr).addr() as u64, 0);
        }
        let durable = |record: &Record| record.request.flags.contains(Flags::FUA);
        let (iov, count) = self.memory.vector();
        let write = sqe::writev(fd, iov, count, at, self.records.iter().any(durable));
        let pages = |record: &Record| record.request.data.segments().pages(12);
        match Command::of(place).holds(self.bytes(), self.records.iter().map(pages).sum()) {
            true => write,
            // Begun without waiting, as SQEs are at first, it would be refused when it is to be split (`bio_split`).
            false => sqe::waiting(write),
        }
    }
}

/// What the device surely takes as one piece.
struct Command {
    bytes: u64,
    pages: u64,
}

impl Command {
    fn of(place: &Place<'_>) -> Self {
        let limits = &place.facts.limits.value;
        let most = [limits.max_append, limits.max_command].map(u64::from);
        let bytes = most.into_iter().filter(|n| *n != 0).min().unwrap_or(u64::MAX);
        Command { bytes, pages: limits.pieces() }
    }

    const fn holds(&self, bytes: u64, pages: u64) -> bool {
        bytes <= self.bytes && pages <= self.pages
    }
}

#[derive(Debug)]
pub(super) struct Writer<'a> {
    pub(super) place: &'a Place<'a>,
    /// Where the zone starts.
    pub(super) zone: u64,
    /// A write may be more than the device takes in one piece.
    pub(super) splits: bool,
}

impl Writer<'_> {
    /// Asks the device.
    pub(super) fn learn(&self) -> Result<Pointer> {
        let file = self.place.file.as_fd();
        if self.place.facts.kind == Kind::Zonefs && status_flags(file)? & libc::O_APPEND != 0 {
            return Err(Error::Unsupported(c"target: open with O_APPEND, which ignores offsets"));
        }
        let zone = one(self.place, self.zone)?;
        zone.check()?;
        Ok(Pointer::of(&zone))
    }

    /// The first of some records, and those after it that can go along. None: not even the first fits.
    pub(super) fn take(&self, pointer: &Pointer, waiting: &mut VecDeque<Record>) -> Vec<Record> {
        let command = Command::of(self.place);
        let room = pointer.end.saturating_sub(pointer.at);
        let (mut bytes, mut pages, mut pieces) = (0, 0, 0);
        let mut fits = |record: &Record| {
            let data = record.request.data.segments();
            let first = bytes == 0;
            bytes += record.request.length;
            pages += data.pages(12);
            pieces += data.areas().count();
            let one = self.splits || command.holds(bytes, pages);
            let gathers = one && bytes <= GATHERED && pieces <= MAX_IOVECS;
            bytes <= room && (first || gathers && !record.alone())
        };
        let mut taken: Vec<Record> = Vec::new();
        while let Some(record) = waiting.front() {
            if !fits(record) {
                break;
            }
            taken.extend(waiting.pop_front());
            if taken.last().is_some_and(Record::alone) {
                break;
            }
        }
        taken
    }

    /// What a write has come to. If it failed, finds out which records landed nevertheless.
    pub(super) fn written(&self, turn: &Turn, res: i32) -> Written {
        let Turn { pointer, records, .. } = turn;
        let bytes = turn.bytes();
        let error = match u64::try_from(res) {
            Ok(written) if written == bytes => {
                let landed =
                    self.places(pointer.at, records).map(|(r, at)| Some(self.landed(r, at)));
                let pointer = Pointer { at: pointer.at + bytes, ..*pointer };
                return Written { outcomes: landed.collect(), pointer: Some(pointer) };
            }
            Ok(_) => Error::Os(libc::EIO), // short: as if refused
            Err(_) => Error::Os(res.saturating_neg()),
        };
        match one(self.place, self.zone) {
            Ok(zone) => self.settle(pointer, records, error, &zone),
            // Whether anything landed nobody knows.
            Err(_) => Written::none(records, libc::EIO, None),
        }
    }

    /// Each record with the byte of the target at which it starts.
    fn places<'r>(
        &self,
        at: u64,
        records: &'r [Record],
    ) -> impl Iterator<Item = (&'r Record, u64)> + use<'r> {
        records.iter().scan(at, |next, record| {
            let at = *next;
            *next += record.request.length;
            Some((record, at))
        })
    }

    /// After a write at `pointer` was refused and the zone was found like this. What landed stays, what did
    /// not is tried once more on its own, unless somebody else has been here.
    fn settle(&self, pointer: &Pointer, records: &[Record], error: Error, zone: &Zone) -> Written {
        let mut written = Written { pointer: Some(Pointer::of(zone)), ..Written::default() };
        // A device may move its write pointer for what it refused.
        let checked = error.errno() == libc::EILSEQ;
        let mut others = zone.wp < pointer.at;
        for (record, at) in self.places(pointer.at, records) {
            let reached = zone.wp.saturating_sub(at).min(record.request.length);
            let whole = reached == record.request.length;
            let ours =
                !checked && !others && reached != 0 && self.holds(at, reached, &record.request);
            others |= !checked && reached != 0 && !ours;
            let outcome = match zone.check() {
                _ if ours && whole => self.landed(record, at),
                Err(state) => Outcome::failed(state.errno()),
                _ if checked => self.refused(record, at),
                _ if ours => Outcome::failed(libc::EIO), // a part of it
                _ if others && zone.wp >= zone.end() => Outcome::failed(libc::ENOSPC),
                _ if others => Outcome::failed(libc::ESTALE),
                _ if record.tries < tries(error) => {
                    written.outcomes.push(None);
                    continue;
                }
                _ if error.errno() == libc::EFBIG => Outcome::failed(libc::ENOSPC),
                // Aligned it was; so a file of zonefs goes on elsewhere.
                _ if error.errno() == libc::EINVAL && self.place.facts.kind == Kind::Zonefs => {
                    Outcome::failed(libc::ESTALE)
                }
                _ => Outcome::failed(error.errno()),
            };
            written.outcomes.push(Some(outcome));
        }
        written
    }

    /// Whether the zone holds the first bytes of a record there.
    fn holds(&self, at: u64, bytes: u64, request: &Request) -> bool {
        let mut found = Buffer::new(bytes);
        if self.place.file.read_exact_at(found.bytes_mut(), at).is_err() {
            return false;
        }
        let mut left = found.bytes();
        for piece in request.data.slices() {
            let n = piece.len().min(left.len());
            match left.split_at_checked(n) {
                Some((head, rest)) if piece.get(..n) == Some(head) => left = rest,
                _ => return false,
            }
        }
        true
    }

    fn landed(&self, record: &Record, at: u64) -> Outcome {
        let value = self.lba(at);
        Outcome { value, ..Outcome::done(record.request.length as u32) }
    }

    /// A check of its protection information failed.
    fn refused(&self, record: &Record, at: u64) -> Outcome {
        let request = &record.request;
        let meta = request.meta.slices().next().unwrap_or(&[]);
        let format = self.place.facts.layout.attribute;
        let diagnosis = format.and_then(|format| {
            let blocks = request.length / u64::from(format.interval());
            let data = request.data.slices();
            diagnose_write(&format, &request.tags, self.lba(at), blocks, data, meta).ok()
        });
        let diagnosis = diagnosis.unwrap_or(Diagnosis::Unknown);
        Outcome { diagnosis, ..Outcome::failed(libc::EILSEQ) }
    }

    fn lba(&self, at: u64) -> u64 {
        let facts = self.place.facts;
        let interval = facts.layout.format.value.map_or(1, |format| format.interval());
        facts.start.value.saturating_add(at) / u64::from(interval)
    }
}

impl Record {
    /// How long it has to wait before it goes again.
    pub(super) fn rest(&self) -> Option<Duration> {
        (self.tries >= 2).then(|| Duration::from_millis(1 << self.tries.min(TRIES)))
    }

    /// Whether its write takes nothing else along: it has metadata, or was refused in company.
    fn alone(&self) -> bool {
        self.tries > 0 || self.request.has_meta()
    }
}
