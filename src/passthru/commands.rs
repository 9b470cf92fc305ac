//! NVMe commands in a ring of the library's own, for requests whose own ring has no room for one: no thread waits for
//! each of them, as with an ioctl.

use std::collections::VecDeque;
use std::fmt;
use std::mem::forget;
use std::os::fd::{AsFd, BorrowedFd};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use crate::abi::SqeNvme;
use crate::error::{Error, Result};
use crate::sys::flights::{Ended, Flights, Large};
use crate::worker::Afterwork;

/// What to do when a command has ended.
pub(crate) type Then = Box<dyn FnOnce(Ended) + Send>;

/// The commands of a queue.
#[derive(Default)]
pub(crate) struct Commands(OnceLock<Option<Mutex<State>>>);

struct State {
    flights: Flights<Then, Large>,
    next: VecDeque<(SqeNvme, Then)>,
}

impl Commands {
    /// Whether the kernel has such a ring. Never waits for the thread, which may be anywhere in the kernel.
    pub(crate) fn can_be(&self) -> bool {
        self.get().is_some()
    }

    fn get(&self) -> Option<&Mutex<State>> {
        let new = || Some(State { flights: Flights::new().ok()?, next: VecDeque::new() });
        self.0.get_or_init(|| new().map(Mutex::new)).as_ref()
    }

    fn state(&self) -> Option<MutexGuard<'_, State>> {
        Some(self.get()?.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// A command, by a job of the queue's thread. Its buffers are lent to a request that ends after it.
    pub(crate) fn issue(&self, sqe: SqeNvme, then: Then) {
        match self.state() {
            Some(mut state) => state.next.push_back((sqe, then)),
            None => then(Ended { res: -libc::EOPNOTSUPP, value: 0 }),
        }
    }

    /// True: something is left.
    fn turn(&self, waits: bool) -> bool {
        let Some(mut state) = self.state() else {
            return false;
        };
        if waits {
            state.flights.wait();
        }
        let (ended, left) = state.turn();
        drop(state);
        for (then, ended) in ended {
            if let Err(payload) = catch_unwind(AssertUnwindSafe(|| then(ended))) {
                forget(payload); // Its destructor could panic again.
            }
        }
        left
    }
}

impl State {
    /// Those that have ended, and whether others have not. The device has the next ones by now.
    fn turn(&mut self) -> (Vec<(Then, Ended)>, bool) {
        let ended = std::iter::from_fn(|| self.flights.reap()).collect();
        while self.flights.has_room()
            && let Some((sqe, then)) = self.next.pop_front()
        {
            self.flights.push(&sqe, then);
        }
        self.flights.submit();
        (ended, !self.next.is_empty() || !self.flights.is_idle())
    }
}

impl Afterwork for Commands {
    fn prepare(&self, watch: &mut dyn FnMut(BorrowedFd<'_>) -> Result<()>) -> Result<()> {
        let state = self.state().ok_or(Error::Os(libc::EOPNOTSUPP))?;
        watch(state.flights.as_fd())
    }

    fn go_on(&self) {
        self.turn(false);
    }

    fn end(&self) {
        while self.turn(true) {}
    }
}

impl fmt::Debug for Commands {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Commands").finish_non_exhaustive()
    }
}
