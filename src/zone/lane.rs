//! The appends of one zone: who waits, who writes. Whoever finds nobody writing does so, for himself and for
//! all who come meanwhile, until nobody waits: nothing here waits for a thread.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use super::writer::{Pointer, Writer, Written};
use super::{Answer, Answers};
use crate::command::Request;
use crate::error::Result;

/// An append that waits.
pub(super) struct Record {
    pub(super) request: Request,
    /// Writes that failed before they got to it.
    pub(super) tries: u32,
    answer: Answer,
}

#[derive(Debug, Default)]
pub(super) struct Lane {
    state: Mutex<State>,
    /// Nobody writes.
    idle: Condvar,
}

#[derive(Default)]
struct State {
    waiting: VecDeque<Record>,
    /// Somebody writes, or manages the zone.
    busy: bool,
    /// Who wants the zone for themselves.
    apart: u32,
    /// Where the zone goes on, as far as is known.
    pointer: Option<Pointer>,
    /// How often that was doubted.
    doubts: u64,
}

impl Lane {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Appends a record, perhaps together with others; or leaves it to who writes now. Answers that are left to the
    /// caller, who gives them when he has let go of everything.
    pub(super) fn append(&self, request: &Request, answer: Answer, writer: &Writer<'_>) -> Answers {
        let mut state = self.lock();
        state.waiting.push_back(Record { request: *request, tries: 0, answer });
        match state.busy {
            true => Vec::new(),
            false => self.lead(state, writer),
        }
    }

    /// Writes until nobody waits, or somebody wants the zone for himself.
    fn lead<'s>(&'s self, mut state: MutexGuard<'s, State>, writer: &Writer<'_>) -> Answers {
        state.busy = true;
        loop {
            let (known, doubts) = (state.pointer, state.doubts);
            drop(state);
            let (records, written) = self.turn(writer, known);
            state = self.lock();
            let answers = state.settle(records, written, doubts);
            if state.waiting.is_empty() || state.apart > 0 {
                state.busy = false;
                self.idle.notify_all();
                return answers;
            }
            drop(state);
            give(answers);
            state = self.lock();
        }
    }

    /// One write, as long as it takes: the records that were its own, and what became of them.
    fn turn(&self, writer: &Writer<'_>, known: Option<Pointer>) -> (Vec<Record>, Written) {
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
        let written = match catch_unwind(AssertUnwindSafe(body)) {
            Ok(Ok(written)) => written,
            Ok(Err(error)) => {
                taken = self.take(|waiting| waiting.pop_front().into_iter().collect());
                Written::none(&taken, error.errno(), None)
            }
            // Nothing here should be able to cause it.
            Err(_) => Written::none(&taken, libc::ENOTRECOVERABLE, None),
        };
        (taken, written)
    }

    fn take(&self, some: impl FnOnce(&mut VecDeque<Record>) -> Vec<Record>) -> Vec<Record> {
        some(&mut self.lock().waiting)
    }

    /// Runs what must not meet a write, and after which the write pointer is not known. Then sees to what has come
    /// meanwhile.
    pub(super) fn alone<T>(&self, body: impl FnOnce() -> T, writer: &Writer<'_>) -> (T, Answers) {
        let mut state = self.lock();
        state.apart += 1;
        while state.busy {
            state = self.idle.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        state.apart -= 1;
        state.busy = true;
        drop(state);
        let result = body();
        let mut state = self.lock();
        state.doubt();
        if !state.waiting.is_empty() {
            return (result, self.lead(state, writer));
        }
        state.busy = false;
        self.idle.notify_all();
        (result, Vec::new())
    }

    /// The write pointer may have moved.
    pub(super) fn forget(&self) {
        self.lock().doubt();
    }
}

/// Tells everyone what became of his.
pub(crate) fn give(answers: Answers) {
    for (answer, outcome) in answers {
        answer(outcome);
    }
}

impl State {
    fn doubt(&mut self) {
        self.pointer = None;
        self.doubts += 1;
    }

    /// After a turn that began when so many doubts were known.
    fn settle(&mut self, records: Vec<Record>, written: Written, doubts: u64) -> Answers {
        self.pointer = written.pointer.filter(|_| self.doubts == doubts);
        let mut answers = Vec::with_capacity(records.len());
        let mut again = Vec::new();
        for (record, outcome) in records.into_iter().zip(written.outcomes) {
            match outcome {
                Some(outcome) => answers.push((record.answer, outcome)),
                None => again.push(Record { tries: record.tries + 1, ..record }),
            }
        }
        for record in again.into_iter().rev() {
            self.waiting.push_front(record);
        }
        answers
    }
}

impl std::fmt::Debug for State {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let waiting = self.waiting.len();
        f.debug_struct("State").field("waiting", &waiting).finish_non_exhaustive()
    }
}
