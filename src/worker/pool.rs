//! All slots and threads of a queue.

use std::collections::VecDeque;
use std::fmt;
use std::mem::{forget, take};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{Builder, JoinHandle};

use super::gate::{AT_ONCE, Gate};
use super::outbox::{Ended, Outbox, Post};
use super::pair::Pair;
use super::promise::Promise;
use super::slot::{Free, Left, Slot};
use super::{Afterwork, Done};
use crate::error::{Error, Result};
use crate::sys::socket::without_signals;

const DEFAULT_WORKERS: u32 = 16;
/// A job is a few system calls and checksums.
const STACK: usize = 256 * 1024;

/// More than anyone has linked SQEs in flight and does not wait for.
const MAX_SEVERED: usize = 64;

const NONE_FREE: Error = Error::Os(libc::EAGAIN);

pub(super) struct Pool<T: Send + 'static> {
    max_workers: u32,
    max_slots: u32,
    panicked: fn() -> T,
    afterwork: Option<Arc<dyn Afterwork>>,
    /// Open while the thread does what it has not waited for.
    outbox: Outbox<T>,
    process: u32,
    state: Mutex<State<T>>,
    /// Slots whose requests are finished, and which a worker is about to give back. Changed with the slot's
    /// lock held (more) or the state's (fewer).
    leaving: AtomicUsize,
    /// Such a slot came back.
    came_back: Condvar,
}

struct State<T: Send + 'static> {
    gate: Option<Arc<Gate>>,
    threads: Vec<JoinHandle<()>>,
    /// All, by index. Never fewer.
    slots: Vec<Arc<Slot<T>>>,
    /// Free ones with a pair; the last was used last.
    primed: Vec<Arc<Slot<T>>>,
    /// Free ones without.
    bare: Vec<Arc<Slot<T>>>,
    /// Pairs of no use whose descriptors are not to be given out again while others are to be had. The
    /// oldest goes first.
    severed: VecDeque<Arc<Pair>>,
    /// Threads that wait for `came_back`.
    waiting: usize,
    closed: bool,
}

impl<T: Send + 'static> State<T> {
    fn reserved(&self) -> usize {
        self.slots.len() - self.primed.len() - self.bare.len()
    }

    fn take_back(&mut self, slot: &Arc<Slot<T>>, free: Free) {
        match free {
            Free::Primed => self.primed.push(Arc::clone(slot)),
            Free::Bare => self.bare.push(Arc::clone(slot)),
            Free::Severed(pair) => {
                self.bare.push(Arc::clone(slot));
                self.severed.push_back(pair);
                if self.severed.len() > MAX_SEVERED {
                    self.severed.pop_front();
                }
            }
        }
    }
}

impl<T: Send + 'static> Pool<T> {
    pub(super) fn new(
        max_workers: u32,
        max_slots: u32,
        panicked: fn() -> T,
        afterwork: Option<Arc<dyn Afterwork>>,
    ) -> Self {
        let max_workers = if max_workers == 0 { DEFAULT_WORKERS } else { max_workers };
        let state = State {
            gate: None,
            threads: Vec::new(),
            slots: Vec::new(),
            primed: Vec::new(),
            bare: Vec::new(),
            severed: VecDeque::new(),
            waiting: 0,
            closed: false,
        };
        Pool {
            max_workers,
            max_slots,
            panicked,
            afterwork,
            outbox: Outbox::new(),
            process: process::id(),
            state: Mutex::new(state),
            leaving: AtomicUsize::new(0),
            came_back: Condvar::new(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A slot with a pair, and at least one thread.
    pub(super) fn reserve(self: &Arc<Self>) -> Result<Arc<Slot<T>>> {
        let mut state = self.lock();
        if state.closed {
            return Err(Error::Os(libc::ESHUTDOWN));
        }
        let gate = match &state.gate {
            Some(gate) => Arc::clone(gate),
            None => Arc::clone(state.gate.insert(Arc::new(self.new_gate()?))),
        };
        let slot = loop {
            if let Some(slot) = state.primed.pop() {
                break slot;
            }
            match self.equip_one(&mut state, &gate) {
                Ok(slot) => break slot,
                // Who has reaped everything is owed a slot.
                Err(NONE_FREE) if self.leaving.load(Relaxed) > 0 => {
                    state.waiting += 1;
                    state = self.came_back.wait(state).unwrap_or_else(PoisonError::into_inner);
                    state.waiting -= 1;
                }
                Err(error) => return Err(error),
            }
        };
        // `slot` counts as reserved already. Who gives one back is about to be free.
        let working = state.reserved().saturating_sub(self.leaving.load(Relaxed)).max(1);
        let wanted = working.min(self.max_workers as usize);
        if state.threads.len() < wanted {
            match self.start_thread(gate) {
                Ok(thread) => state.threads.push(thread),
                Err(error) if state.threads.is_empty() => {
                    state.primed.push(slot);
                    // EAGAIN would be a promise that ends when a request does.
                    return Err(if error == NONE_FREE { Error::Os(libc::ENOMEM) } else { error });
                }
                // Those that exist do the work, later.
                Err(_) => (),
            }
        }
        Ok(slot)
    }

    fn new_gate(&self) -> Result<Gate> {
        let gate = Gate::new()?;
        if let Some(afterwork) = &self.afterwork {
            afterwork.prepare(&mut |fd| gate.watch_afterwork(fd))?;
        }
        Ok(gate)
    }

    /// A pair for a bare slot or for a new one.
    fn equip_one(&self, state: &mut State<T>, gate: &Arc<Gate>) -> Result<Arc<Slot<T>>> {
        let others = state.reserved();
        while !self.allows(others, state.severed.len()) {
            state.severed.pop_front().ok_or(NONE_FREE)?;
        }
        let known = state.bare.pop();
        let index = known.as_ref().map_or(state.slots.len() as u32, |slot| slot.index());
        let pair = loop {
            match Pair::new(gate, index) {
                Ok(pair) => break pair,
                Err(error) => {
                    if state.severed.pop_front().is_none() {
                        state.bare.extend(known);
                        // A request that ends gives its slot.
                        return Err(if others > 0 { NONE_FREE } else { error });
                    }
                }
            }
        };
        let slot = known.unwrap_or_else(|| {
            let slot = Arc::new(Slot::new(index));
            state.slots.push(Arc::clone(&slot));
            slot
        });
        slot.equip(Arc::new(pair));
        Ok(slot)
    }

    /// Whether there may be one pair more than those of so many requests and those severed.
    fn allows(&self, requests: usize, severed: usize) -> bool {
        match self.max_slots {
            0 => requests + severed == 0 || Pair::within_limit(),
            max => requests < max as usize,
        }
    }

    fn start_thread(self: &Arc<Self>, gate: Arc<Gate>) -> Result<JoinHandle<()>> {
        let pool = Arc::clone(self);
        let thread = Builder::new().name("urx-worker".into()).stack_size(STACK);
        Ok(without_signals(|| thread.spawn(move || pool.work(&gate)))?)
    }

    /// Ends a request. Its slot comes back here, or when the worker has done with it.
    pub(super) fn leave(&self, slot: &Arc<Slot<T>>, left: Left) -> Option<T> {
        let (outcome, free) = slot.leave(left, &self.leaving);
        if let Some(free) = free {
            self.lock().take_back(slot, free);
        }
        outcome
    }

    /// A thread's life. One that has all jobs to itself takes all that there are.
    fn work(self: &Arc<Self>, gate: &Gate) {
        let most = if self.afterwork.is_some() { AT_ONCE } else { 1 };
        let mut issued = Vec::with_capacity(most);
        // Slots stay, so a copy of the table is as good as the table and needs no lock.
        let mut slots = Vec::new();
        let mut post = Post::new();
        while gate.next(most, &mut issued) {
            if self.afterwork.is_some() {
                self.outbox.open();
            }
            for index in &issued {
                if *index as usize >= slots.len() {
                    slots.clone_from(&self.lock().slots);
                }
                if let Some(slot) = slots.get(*index as usize) {
                    self.start(slot);
                }
            }
            if let Some(afterwork) = &self.afterwork {
                afterwork.go_on();
                post.send(self.outbox.close(), |ended, intact| self.sent(ended, intact));
            }
        }
        if let Some(afterwork) = &self.afterwork {
            afterwork.end();
        }
    }

    fn start(self: &Arc<Self>, slot: &Arc<Slot<T>>) {
        let Some((job, pair)) = slot.start() else {
            return;
        };
        let promise = Promise::new(Arc::clone(self), Arc::clone(slot), pair);
        if let Err(payload) = catch_unwind(AssertUnwindSafe(|| job(promise))) {
            forget(payload); // Its destructor could panic again.
        }
    }

    /// The end of a job: its request is completed. The job is gone by now.
    pub(super) fn end(&self, slot: &Arc<Slot<T>>, pair: &Arc<Pair>, done: Done<T>) {
        let Done { outcome, failed } = done;
        slot.end(outcome);
        let ended = Ended { slot: Arc::clone(slot), pair: Arc::clone(pair) };
        if failed {
            self.sent(&ended, false);
        } else if let Some(ended) = self.outbox.put(ended) {
            self.sent(&ended, ended.pair.complete());
        }
    }

    /// The RECV of a request that has ended was told so, if its pair is intact.
    fn sent(&self, ended: &Ended<T>, intact: bool) {
        let Ended { slot, pair } = ended;
        if !intact {
            pair.fail();
        }
        if let Some(free) = slot.sent(intact) {
            let mut state = self.lock();
            state.take_back(slot, free);
            self.leaving.fetch_sub(1, Relaxed);
            if state.waiting > 0 {
                self.came_back.notify_all();
            }
        }
    }

    /// What a job that panics has come to.
    pub(super) fn panicked(&self) -> T {
        (self.panicked)()
    }

    pub(super) fn close(&self) {
        if process::id() != self.process {
            return;
        }
        let mut state = self.lock();
        state.closed = true;
        let (gate, threads) = (state.gate.take(), take(&mut state.threads));
        drop(state);
        if let Some(gate) = gate {
            gate.stop();
        }
        for thread in threads {
            let _ = thread.join();
        }
        let mut state = self.lock();
        let (slots, severed) = (state.slots.clone(), take(&mut state.severed));
        drop(state);
        for slot in slots {
            slot.wait();
            slot.close();
        }
        drop(severed);
    }
}

impl<T: Send + 'static> fmt::Debug for Pool<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool").finish_non_exhaustive()
    }
}
