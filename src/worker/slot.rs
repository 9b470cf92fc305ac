//! One request's way from the ring to a worker and back.
//!
//! ```text
//! Free -> Armed -> Running -> Ended -> Free      the usual way
//!           |                   +----> Left -> Free   reaped while the worker still sends
//!           +----> Free                          never issued, or cancelled before a worker came
//!           +----> Withdrawn -> Free             closed
//! ```
//!
//! The lock makes each arrow one step. It is not held while a job runs or is dropped.

use std::mem::replace;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use super::pair::Pair;
use super::{LongJob, Recv};

#[derive(Debug)]
pub(super) struct Slot<T: Send + 'static> {
    index: u32,
    inner: Mutex<Inner<T>>,
    ended: Condvar,
}

#[derive(Debug)]
struct Inner<T: Send + 'static> {
    stage: Stage<T>,
    /// None in a slot that is free or whose pair is of no use any more. A worker has its own reference:
    /// what it sends never reaches another pair that was given its number.
    pair: Option<Arc<Pair>>,
    /// How many wait for another stage.
    waiting: u32,
}

enum Stage<T: Send + 'static> {
    Free,
    Armed(LongJob<T>),
    Running,
    /// `sent`: the worker has nothing more to do here.
    Ended {
        outcome: T,
        sent: bool,
    },
    Left {
        whole: bool,
    },
    Withdrawn,
}

impl<T: Send + 'static> std::fmt::Debug for Stage<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Stage::Free => "Free",
            Stage::Armed(_) => "Armed",
            Stage::Running => "Running",
            Stage::Ended { .. } => "Ended",
            Stage::Left { .. } => "Left",
            Stage::Withdrawn => "Withdrawn",
        })
    }
}

/// How a slot became free.
#[derive(Debug)]
pub(super) enum Free {
    /// With a pair that is ready for the next request.
    Primed,
    /// Without.
    Bare,
    /// Without, and the pair that it had must keep its descriptor: a RECV behind a link finds the socket by
    /// number when it is issued, at a time that nobody knows.
    Severed(Arc<Pair>),
}

/// What is known of the RECV when its request is given up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Left {
    /// Its CQE was seen, or it was never prepared.
    Over,
    /// Its CQE told that it took all bytes: what is left is the number of the next.
    Whole,
    /// It may be inside the kernel.
    Unknown,
}

impl<T: Send + 'static> Slot<T> {
    pub(super) fn new(index: u32) -> Self {
        let inner = Inner { stage: Stage::Free, pair: None, waiting: 0 };
        Slot { index, inner: Mutex::new(inner), ended: Condvar::new() }
    }

    /// Its place among the slots, by which the gate knows it.
    pub(super) fn index(&self) -> u32 {
        self.index
    }

    fn lock(&self) -> MutexGuard<'_, Inner<T>> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gives a bare slot its pair.
    pub(super) fn equip(&self, pair: Arc<Pair>) {
        self.lock().pair = Some(pair);
    }

    /// From here on a worker runs the job as soon as the number in the pair was taken.
    pub(super) fn arm(&self, job: LongJob<T>) -> Recv {
        let mut inner = self.lock();
        inner.stage = Stage::Armed(job);
        inner.pair.as_ref().map_or(Recv { fd: -1, address: 0 }, |pair| pair.recv())
    }

    /// The job, for one of those who call when something was reported. Reports may be late, or of the
    /// request before: what counts is that this one is armed and its number taken. Both are
    /// looked at under the lock, lest they be of two requests.
    pub(super) fn start(&self) -> Option<(LongJob<T>, Arc<Pair>)> {
        let mut inner = self.lock();
        let pair = inner.pair.clone()?;
        if !matches!(inner.stage, Stage::Armed(_)) || !pair.issued() {
            return None;
        }
        match replace(&mut inner.stage, Stage::Running) {
            Stage::Armed(job) => Some((job, pair)),
            _ => None,
        }
    }

    /// The worker's last but one step, before it completes the RECV: whoever sees the CQE finds the outcome.
    pub(super) fn end(&self, outcome: T) {
        let mut inner = self.lock();
        inner.stage = Stage::Ended { outcome, sent: false };
        self.tell(&inner);
    }

    /// The worker's last step. `intact`: the pair may serve another request.
    pub(super) fn sent(&self, intact: bool) -> Option<Free> {
        let mut inner = self.lock();
        if !intact {
            inner.pair = None;
        }
        match &mut inner.stage {
            Stage::Ended { sent, .. } => {
                *sent = true;
                self.tell(&inner);
                None
            }
            Stage::Left { whole } => {
                let whole = *whole;
                Some(inner.free(whole))
            }
            _ => None,
        }
    }

    /// Gives the request up. None if its job did not run and never will; else waits for it. Whoever is
    /// second, this or the worker, frees the slot; until the worker does, it counts as `leaving`.
    pub(super) fn leave(&self, left: Left, leaving: &AtomicUsize) -> (Option<T>, Option<Free>) {
        let mut inner = self.wait_while(|stage| matches!(stage, Stage::Running));
        let severed = if left == Left::Unknown { inner.pair.take() } else { None };
        if let Some(pair) = &severed {
            pair.sever();
        }
        let whole = left == Left::Whole;
        let before = replace(&mut inner.stage, Stage::Left { whole });
        self.tell(&inner);
        match before {
            Stage::Ended { outcome, sent: false } => {
                leaving.fetch_add(1, Relaxed);
                (Some(outcome), None)
            }
            Stage::Ended { outcome, sent: true } => (Some(outcome), Some(inner.free(whole))),
            withdrawn => {
                let free = match (inner.free(false), severed) {
                    (_, Some(pair)) if !pair.issued() => Free::Severed(pair),
                    (free, _) => free,
                };
                drop(inner);
                drop(withdrawn);
                (None, Some(free))
            }
        }
    }

    /// Until a job that has begun is over, wherever it is.
    pub(super) fn wait(&self) {
        drop(self.wait_while(|stage| {
            matches!(stage, Stage::Running | Stage::Ended { sent: false, .. })
        }));
    }

    fn wait_while(&self, goes_on: impl Fn(&Stage<T>) -> bool) -> MutexGuard<'_, Inner<T>> {
        let mut inner = self.lock();
        while goes_on(&inner.stage) {
            inner.waiting += 1;
            inner = self.ended.wait(inner).unwrap_or_else(PoisonError::into_inner);
            inner.waiting -= 1;
        }
        inner
    }

    /// Wakes those who wait for another stage.
    fn tell(&self, inner: &Inner<T>) {
        if inner.waiting > 0 {
            self.ended.notify_all();
        }
    }

    /// No worker will come any more.
    pub(super) fn close(&self) {
        let mut inner = self.lock();
        if let Some(pair) = inner.pair.take() {
            pair.sever();
        }
        if matches!(inner.stage, Stage::Armed(_)) {
            let withdrawn = replace(&mut inner.stage, Stage::Withdrawn);
            drop(inner);
            drop(withdrawn);
        }
    }
}

impl<T: Send + 'static> Inner<T> {
    /// `primed`: the pair is known to hold the number that it should.
    fn free(&mut self, primed: bool) -> Free {
        self.stage = Stage::Free;
        self.pair.take_if(|pair| !primed && !pair.prime());
        if self.pair.is_some() { Free::Primed } else { Free::Bare }
    }
}
