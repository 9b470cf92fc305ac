//! The appends of one zone: who waits, who writes. Whoever brings one and finds nobody writing gets to write, for himself
//! and for all who come meanwhile.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::writer::{Pointer, Turn, Writer, Written};
use super::{Answer, Answers};
use crate::command::Request;
use crate::completion::Outcome;
use crate::error::Error;

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

/// What who writes for a zone has to do next.
pub(super) enum Next {
    Write(Turn),
    /// To ask again after so long.
    Rest(Duration),
    /// Nothing: he is free.
    Over,
}

impl Lane {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One more waits. True: for the caller, who is to write from now on.
    pub(super) fn add(&self, request: &Request, answer: Answer) -> bool {
        let mut state = self.lock();
        state.waiting.push_back(Record { request: *request, tries: 0, answer });
        !std::mem::replace(&mut state.busy, true)
    }

    /// For who writes, and has no write under way. `rested`: he has waited as he was told.
    pub(super) fn next(&self, writer: &Writer<'_>, rested: bool, answers: &mut Answers) -> Next {
        let mut state = self.lock();
        loop {
            let Some(first) = state.waiting.front().filter(|_| state.apart == 0) else {
                self.free(&mut state);
                return Next::Over;
            };
            if let Some(time) = first.rest().filter(|_| !rested) {
                return Next::Rest(time);
            }
            let (known, doubts) = (state.pointer.is_some(), state.doubts);
            let pointer = match state.pointer {
                Some(pointer) => Ok(pointer),
                None => {
                    drop(state);
                    let learnt = writer.learn();
                    state = self.lock();
                    learnt
                }
            };
            let taken = pointer.map(|pointer| (pointer, writer.take(&pointer, &mut state.waiting)));
            match taken {
                Ok((pointer, records)) if !records.is_empty() => {
                    return Next::Write(Turn::new(pointer, records, doubts));
                }
                // The first does not fit. A pointer from before may be out of date.
                Ok(_) if known => state.pointer = None,
                Ok((pointer, _)) => {
                    answers.extend(state.refuse(1, Error::Os(libc::ENOSPC)));
                    state.pointer = Some(pointer).filter(|_| state.doubts == doubts);
                }
                Err(error) => answers.extend(state.refuse(1, error)),
            }
        }
    }

    /// After a write.
    pub(super) fn settle(&self, turn: Turn, written: Written) -> Answers {
        self.lock().settle(turn, written)
    }

    /// Nobody can write for those who wait.
    pub(super) fn give_up(&self, error: Error) -> Answers {
        let mut state = self.lock();
        state.doubt();
        self.free(&mut state);
        state.refuse(usize::MAX, error)
    }

    /// Runs what must not meet a write, and after which the write pointer is not known. True: some have come
    /// meanwhile, for whom the caller is to write.
    pub(super) fn alone<T>(&self, body: impl FnOnce() -> T) -> (T, bool) {
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
        let leads = !state.waiting.is_empty();
        if !leads {
            self.free(&mut state);
        }
        (result, leads)
    }

    /// Nobody writes any more.
    fn free(&self, state: &mut State) {
        state.busy = false;
        if state.apart > 0 {
            self.idle.notify_all();
        }
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

    /// Fails the first ones, so many.
    fn refuse(&mut self, count: usize, error: Error) -> Answers {
        let count = count.min(self.waiting.len());
        let refused = self.waiting.drain(..count);
        refused.map(|record| (record.answer, Outcome::failed(error.errno()))).collect()
    }

    fn settle(&mut self, turn: Turn, written: Written) -> Answers {
        let Turn { records, doubts, .. } = turn;
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
