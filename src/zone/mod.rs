//! Zones: what a device tells of them, their management, and appends where the device or the kernel offers
//! none: each is a write where its zone goes on.
//!
//! Such a write must go exactly there, and nobody else knows of it: so a zone has one in flight, by one of the
//! threads that append (`lane`), and takes as many of the others' along as one write holds (`writer`).
//! Writes go through rings of our own (`rings`): zonefs of 6.1 refuses a synchronous write after it has
//! landed. The write pointer is the device's (`report`): remembered while writes go well, asked for
//! again after anything else.

mod lane;
mod manage;
mod report;
mod rings;
mod writer;

use std::collections::HashMap;
use std::fs::File;
use std::sync::{Arc, Mutex, PoisonError};

use crate::abi;
use crate::command::{Op, Request};
use crate::completion::Outcome;
use crate::error::{Error, Result};
use crate::passthru::Device;
use crate::probe::Facts;
use lane::Lane;
pub(crate) use lane::give;
pub(crate) use report::report;
use rings::Rings;
use writer::Writer;

/// One zone. Bytes of the target.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Zone {
    pub(crate) start: u64,
    /// To the next.
    pub(crate) len: u64,
    /// That can be written.
    pub(crate) capacity: u64,
    /// Write pointer. The end of a full zone, the start of one that has none.
    pub(crate) wp: u64,
    /// `BLK_ZONE_TYPE_*`.
    pub(crate) kind: u8,
    /// `BLK_ZONE_COND_*`.
    pub(crate) state: u8,
}

impl Zone {
    const fn end(&self) -> u64 {
        self.start.saturating_add(self.capacity)
    }

    /// With a write pointer that means something, whatever the device put there.
    fn tidy(self) -> Self {
        let wp = match self.state {
            abi::BLK_ZONE_COND_FULL => self.end(),
            abi::BLK_ZONE_COND_IMP_OPEN
            | abi::BLK_ZONE_COND_EXP_OPEN
            | abi::BLK_ZONE_COND_CLOSED => self.wp,
            _ => self.start,
        };
        Zone { wp, ..self }
    }

    /// Refuses a zone of which nothing can be written, full ones apart.
    fn check(&self) -> Result<()> {
        match (self.kind, self.state) {
            (abi::BLK_ZONE_TYPE_CONVENTIONAL, _) | (_, abi::BLK_ZONE_COND_NOT_WP) => {
                Err(Error::Unsupported(c"offset: a conventional zone takes no appends"))
            }
            (_, abi::BLK_ZONE_COND_OFFLINE) => Err(Error::Os(libc::ENODEV)),
            (_, abi::BLK_ZONE_COND_READONLY) => Err(Error::Os(libc::EROFS)),
            _ => Ok(()),
        }
    }
}

/// Whom to tell what became of an append, on any thread.
pub(crate) type Answer = Box<dyn FnOnce(Outcome) + Send>;

/// Answers that can be given.
pub(crate) type Answers = Vec<(Answer, Outcome)>;

/// A target, as far as zones matter.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place<'a> {
    pub(crate) file: &'a File,
    pub(crate) facts: &'a Facts,
    /// Where NVMe commands go, if this process may pass any through.
    pub(crate) device: Option<Device<'a>>,
}

/// What all requests on one target share.
#[derive(Debug, Default)]
pub(crate) struct Zones {
    /// By the zones' starts. Never fewer.
    lanes: Mutex<HashMap<u64, Arc<Lane>>>,
    rings: Rings,
}

impl Zones {
    fn lane(&self, start: u64) -> Arc<Lane> {
        let mut lanes = self.lanes.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(lanes.entry(start).or_default())
    }

    /// An append or what manages a zone, checked before. Its answer may be given by another thread, which writes
    /// there now; those returned are for the caller to give, when he has let go of the target.
    pub(crate) fn run(&self, place: &Place<'_>, request: &Request, answer: Answer) -> Answers {
        if request.op == Op::Append {
            let writer = self.writer(place, request.offset);
            return self.lane(request.offset).append(request, answer, &writer);
        }
        let (done, mut answers) = self.manage(place, request.op, request.offset);
        let outcome = done.map_or_else(|e| Outcome::failed(e.errno()), |()| Outcome::done(0));
        answers.push((answer, outcome));
        answers
    }

    /// Resets, opens, closes or finishes a zone, between two writes of ours.
    pub(crate) fn manage(&self, place: &Place<'_>, op: Op, start: u64) -> (Result<()>, Answers) {
        let body = || manage::manage(place, op, start);
        self.lane(start).alone(body, &self.writer(place, start))
    }

    fn writer<'a>(&'a self, place: &'a Place<'a>, zone: u64) -> Writer<'a> {
        Writer { place, rings: &self.rings, zone }
    }

    /// Somebody else may have moved a zone's write pointer.
    pub(crate) fn forget(&self, start: u64) {
        self.lane(start).forget();
    }
}
