//! Zones: what a device tells of them, their management, and appends where the device or the kernel offers
//! none: each is a write where its zone goes on.
//!
//! Such a write must go exactly there, and nobody else knows of it: so a zone has one in flight, for one of those
//! who append (`lane`), and takes as many of the others' along as one write holds (`writer`). Many zones are
//! written at a time, by one thread of a queue, through a ring of its own (`driver`): zonefs of 6.1
//! refuses a synchronous write after it has landed. The write pointer is the device's (`report`): remembered while writes go well, asked for
//! again after anything else.

mod driver;
mod lane;
mod manage;
mod report;
mod writer;

use std::collections::HashMap;
use std::fs::File;
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex, PoisonError};

use crate::abi;
use crate::command::{Op, Request};
use crate::completion::Outcome;
use crate::error::{Error, Result};
use crate::passthru::Device;
use crate::probe::Facts;
pub(crate) use driver::Engine;
use driver::{Drivers, Lead};
use lane::Lane;
pub(crate) use lane::give;
pub(crate) use report::report;

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

/// A target that has zones.
pub(crate) trait Site: Send + Sync {
    fn place(&self) -> Place<'_>;
    fn zones(&self) -> &Zones;
}

/// What all requests on one target share.
#[derive(Debug, Default)]
pub(crate) struct Zones {
    /// By the zones' starts. Never fewer.
    lanes: Mutex<HashMap<u64, Arc<Lane>>>,
    drivers: Arc<Drivers>,
}

impl Zones {
    fn lane(&self, start: u64) -> Arc<Lane> {
        let mut lanes = self.lanes.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(lanes.entry(start).or_default())
    }

    /// An append, checked before. None: who writes there now takes it along.
    fn append(site: Arc<dyn Site>, request: &Request, answer: Answer) -> Option<Lead> {
        let zone = request.offset;
        let lane = site.zones().lane(zone);
        lane.add(request, answer).then(|| Lead { site, zone, lane })
    }

    /// An append, checked before, by a thread that waits for it.
    pub(crate) fn append_now(site: &Arc<impl Site + 'static>, request: &Request) -> Outcome {
        let (tell, told) = channel();
        let answer = Box::new(move |outcome| tell.send(outcome).unwrap_or(()));
        if let Some(lead) = Self::append(Arc::clone(site) as _, request, answer) {
            lead.follow();
        }
        told.recv().unwrap_or(Outcome::failed(libc::ENOTRECOVERABLE))
    }

    /// Resets, opens, closes or finishes a zone, between two writes of ours, and tells what became of that. Appends
    /// that have come meanwhile are written then.
    pub(crate) fn manage(
        site: Arc<impl Site + 'static>,
        op: Op,
        zone: u64,
        tell: impl FnOnce(Result<()>),
    ) {
        let lane = site.zones().lane(zone);
        let (done, leads) = lane.alone(|| manage::manage(&site.place(), op, zone));
        // Who has been told, of this or of the last append, finds nobody else at the target.
        let lead = leads.then_some(Lead { site, zone, lane });
        tell(done);
        if let Some(lead) = lead {
            lead.follow();
        }
    }

    /// Somebody else may have moved a zone's write pointer.
    pub(crate) fn forget(&self, start: u64) {
        self.lane(start).forget();
    }
}

#[cfg(test)]
mod figures;
#[cfg(test)]
mod tests;
