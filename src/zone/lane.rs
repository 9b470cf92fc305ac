//! The appends of one zone: who waits, who writes. Whoever finds nobody writing does so, for himself and
//! for others; every record's own thread stays here until the record is answered, so there is always one to
//! go on.

use std::collections::{HashMap, VecDeque};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use super::writer::{Pointer, Writer, Written};
use crate::command::Request;
use crate::completion::Outcome;
use crate::error::Result;

/// An append that waits.
#[derive(Debug, Clone, Copy)]
pub(super) struct Record {
    ticket: u64,
    pub(super) request: Request,
    /// Writes that failed before they got to it.
    pub(super) tries: u32,
}

/// What became of some records.
pub(super) type Answers = Vec<(Record, Outcome)>;

#[derive(Debug, Default)]
pub(super) struct Lane {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    waiting: VecDeque<Record>,
    answers: HashMap<u64, Outcome>,
    tickets: u64,
    /// Somebody writes, or manages the zone.
    busy: bool,
    /// Where the zone goes on, as far as is known.
    pointer: Option<Pointer>,
    /// How often that was doubted.
    doubts: u64,
}

impl Lane {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait<'a>(&self, state: MutexGuard<'a, State>) -> MutexGuard<'a, State> {
        self.changed.wait(state).unwrap_or_else(PoisonError::into_inner)
    }

    /// Appends a record, perhaps together with others.
    pub(super) fn append(&self, request: &Request, writer: &Writer<'_>) -> Outcome {
        let mut state = self.lock();
        let ticket = state.tickets;
        state.tickets += 1;
        state.waiting.push_back(Record { ticket, request: *request, tries: 0 });
        loop {
            if let Some(outcome) = state.answers.remove(&ticket) {
                return outcome;
            }
            if state.busy {
                state = self.wait(state);
                continue;
            }
            state.busy = true;
            let doubts = state.doubts;
            let known = state.pointer;
            drop(state);
            let (taken, written) = self.turn(writer, known);
            state = self.lock();
            state.settle(taken, written, doubts);
            self.changed.notify_all();
        }
    }

    /// One write, as long as it takes: the records that were its own, and what became of them.
    fn turn(&self, writer: &Writer<'_>, known: Option<Pointer>) -> (Vec<Record>, Option<Written>) {
        let mut taken = Vec::new();
        let body = || -> Result<Written> {
            let pointer = match known {
                Some(pointer) => pointer,
                None => writer.learn()?,
            };
            taken = self.take(|waiting| writer.take(&pointer, waiting));
            match taken.is_empty() {
                false => Ok(writer.write(&pointer, &taken)),
                // The first does not fit. A pointer from before may be out of date.
                true if known.is_some() => Ok(Written::default()),
                true => {
                    taken = self.take(|waiting| waiting.pop_front().into_iter().collect());
                    Ok(Written::none(&taken, libc::ENOSPC, Some(pointer)))
                }
            }
        };
        let written = catch_unwind(AssertUnwindSafe(body)).ok();
        let written = written.map(|result| {
            result.unwrap_or_else(|error| {
                taken = self.take(|waiting| waiting.pop_front().into_iter().collect());
                Written::none(&taken, error.errno(), None)
            })
        });
        (taken, written)
    }

    fn take(&self, some: impl FnOnce(&mut VecDeque<Record>) -> Vec<Record>) -> Vec<Record> {
        some(&mut self.lock().waiting)
    }

    /// Runs what must not meet a write, and after which the write pointer is not known.
    pub(super) fn alone<T>(&self, body: impl FnOnce() -> T) -> T {
        let mut state = self.lock();
        while state.busy {
            state = self.wait(state);
        }
        state.busy = true;
        drop(state);
        let result = body();
        let mut state = self.lock();
        state.busy = false;
        state.doubt();
        self.changed.notify_all();
        result
    }

    /// The write pointer may have moved.
    pub(super) fn forget(&self) {
        self.lock().doubt();
    }
}

impl State {
    fn doubt(&mut self) {
        self.pointer = None;
        self.doubts += 1;
    }

    /// After a turn that began when so many doubts were known.
    fn settle(&mut self, taken: Vec<Record>, written: Option<Written>, doubts: u64) {
        self.busy = false;
        // None: it panicked, which nothing here should be able to cause.
        let written = written.unwrap_or_else(|| Written::none(&taken, libc::ENOTRECOVERABLE, None));
        self.pointer = written.pointer.filter(|_| self.doubts == doubts);
        for (record, outcome) in written.answers {
            self.answers.insert(record.ticket, outcome);
        }
        for record in written.again.into_iter().rev() {
            self.waiting.push_front(Record { tries: record.tries + 1, ..record });
        }
    }
}
