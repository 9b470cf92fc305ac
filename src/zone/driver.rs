//! The writes of many zones at a time, through one ring. Nothing here waits for a thread or a device, except who
//! asks for it.

use std::collections::VecDeque;
use std::os::fd::{AsFd, BorrowedFd};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::lane::{Lane, Next};
use super::writer::{Turn, Writer};
use super::{Answer, Answers, Place, Site, Zones, give};
use crate::abi::{FEAT_RECVSEND_BUNDLE, KernelTimespec};
use crate::command::Request;
use crate::error::{Error, Result};
use crate::sqe;
use crate::sys::flights::Flights;
use crate::sys::own_ring::features;
use crate::worker::Afterwork;

/// The duty to write for a zone until nobody waits there. Must be driven to its end.
#[must_use]
pub(crate) struct Lead {
    pub(super) site: Arc<dyn Site>,
    pub(super) zone: u64,
    pub(super) lane: Arc<Lane>,
}

enum Flight {
    Write(Turn),
    /// Before a write that was refused goes again.
    Rest(#[allow(dead_code, reason = "the kernel reads it")] Box<KernelTimespec>),
}

pub(super) struct Driver {
    flights: Flights<(Lead, Flight)>,
    /// To be begun; with those that have rested.
    next: VecDeque<(Lead, bool)>,
    /// The kernel keeps the pieces of a write to a zone in order (block/blk-zoned.c from 6.10).
    splits: bool,
}

impl Driver {
    pub(super) fn new() -> Result<Self> {
        let splits = features()? & FEAT_RECVSEND_BUNDLE != 0;
        Ok(Driver { flights: Flights::new()?, next: VecDeque::new(), splits })
    }

    fn is_idle(&self) -> bool {
        self.next.is_empty() && self.flights.is_idle()
    }

    fn lead(&mut self, lead: Lead) {
        self.next.push_back((lead, false));
    }

    /// Takes in what has ended, begins what can be. The answers that there are now are for the caller to give: what
    /// they were about is on its way to the device again, or let go of.
    fn go_on(&mut self) -> Answers {
        let mut answers = Vec::new();
        while let Some(((lead, flight), ended)) = self.flights.reap() {
            let Flight::Write(turn) = flight else {
                self.next.push_back((lead, true));
                continue;
            };
            let settle = |answers: &mut Answers| answers.extend(lead.settle(turn, ended.res));
            if lead.safely(&mut answers, settle).is_some() {
                self.next.push_back((lead, false));
            }
        }
        while self.flights.has_room()
            && let Some((lead, rested)) = self.next.pop_front()
        {
            let splits = self.splits;
            let next = |answers: &mut _| lead.next(rested, splits, answers);
            match lead.safely(&mut answers, next).unwrap_or(Next::Over) {
                Next::Write(turn) => {
                    let sqe = turn.sqe(&lead.site.place());
                    self.flights.push(&sqe, (lead, Flight::Write(turn)));
                }
                Next::Rest(time) => {
                    let time = Box::new(KernelTimespec::from(time));
                    let address = std::ptr::from_ref(&*time).addr() as u64;
                    self.flights.push(&sqe::timeout(address), (lead, Flight::Rest(time)));
                }
                Next::Over => {}
            }
        }
        self.flights.submit();
        answers
    }

    /// Until nothing is left.
    fn end(&mut self) {
        loop {
            give(self.go_on());
            if self.is_idle() {
                return;
            }
            self.flights.wait();
        }
    }
}

impl Lead {
    fn writer<'a>(&self, place: &'a Place<'a>, splits: bool) -> Writer<'a> {
        Writer { place, zone: self.zone, splits: splits || place.facts.zones.value.in_order }
    }

    fn next(&self, rested: bool, splits: bool, answers: &mut Answers) -> Next {
        self.lane.next(&self.writer(&self.site.place(), splits), rested, answers)
    }

    fn settle(&self, turn: Turn, res: i32) -> Answers {
        let written = self.writer(&self.site.place(), false).written(&turn, res);
        self.lane.settle(turn, written)
    }

    /// A panic, which nothing here should be able to cause, ends the zone's requests.
    fn safely<R>(&self, answers: &mut Answers, body: impl FnOnce(&mut Answers) -> R) -> Option<R> {
        match catch_unwind(AssertUnwindSafe(|| body(answers))) {
            Ok(result) => Some(result),
            Err(payload) => {
                std::mem::forget(payload); // Its destructor could panic again.
                answers.extend(self.lane.give_up(Error::Os(libc::ENOTRECOVERABLE)));
                None
            }
        }
    }

    /// Writes here and now, until nobody waits.
    pub(super) fn follow(self) {
        let drivers = Arc::clone(&self.site.zones().drivers);
        match drivers.take() {
            Ok(mut driver) => {
                driver.lead(self);
                driver.end();
                drivers.put(driver);
            }
            Err(error) => {
                let answers = self.lane.give_up(error);
                drop(self);
                give(answers);
            }
        }
    }
}

/// Those for threads that wait, as many as are used at a time.
#[derive(Debug, Default)]
pub(super) struct Drivers(Mutex<Vec<Driver>>);

impl Drivers {
    fn take(&self) -> Result<Driver> {
        let idle = self.0.lock().unwrap_or_else(PoisonError::into_inner).pop();
        idle.map_or_else(Driver::new, Ok)
    }

    fn put(&self, driver: Driver) {
        if !driver.flights.is_broken() {
            self.0.lock().unwrap_or_else(PoisonError::into_inner).push(driver);
        }
    }
}

/// The appends of a queue: what its thread does with them.
#[derive(Debug, Default)]
pub(crate) struct Engine(Mutex<Option<Driver>>);

impl Engine {
    fn driver(&self) -> MutexGuard<'_, Option<Driver>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// An append, checked before; by a job of the queue's thread. Somebody else may be about to take it along.
    pub(crate) fn append(&self, site: Arc<dyn Site>, request: &Request, answer: Answer) {
        let Some(lead) = Zones::append(site, request, answer) else {
            return;
        };
        match &mut *self.driver() {
            Some(driver) => driver.lead(lead),
            None => give(lead.lane.give_up(Error::Os(libc::ENOTRECOVERABLE))),
        }
    }
}

impl Afterwork for Engine {
    fn prepare(&self, watch: &mut dyn FnMut(BorrowedFd<'_>) -> Result<()>) -> Result<()> {
        let mut driver = self.driver();
        let driver = match &mut *driver {
            Some(driver) => driver,
            none => none.insert(Driver::new()?),
        };
        watch(driver.flights.as_fd())
    }

    fn go_on(&self) {
        let answers = self.driver().as_mut().map(Driver::go_on);
        give(answers.unwrap_or_default());
    }

    fn end(&self) {
        if let Some(mut driver) = self.driver().take() {
            driver.end();
        }
    }
}

impl std::fmt::Debug for Driver {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Driver").field("flights", &self.flights).finish_non_exhaustive()
    }
}
