//! Where the workers wait: for any request that was issued, or to be sent home.

use std::fs::File;
use std::io::Write;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use crate::error::Result;
pub(super) use crate::sys::socket::AT_ONCE;
use crate::sys::socket::{self, Epoll};

/// No slots have these numbers.
const STOP: u64 = u64::MAX;
const AFTERWORK: u64 = u64::MAX - 1;

#[derive(Debug)]
pub(super) struct Gate {
    epoll: Epoll,
    stop: File,
    stopped: AtomicBool,
}

impl Gate {
    pub(super) fn new() -> Result<Self> {
        let gate = Gate { epoll: Epoll::new()?, stop: socket::event()?, stopped: false.into() };
        gate.epoll.watch_readable(gate.stop.as_fd(), STOP)?;
        Ok(gate)
    }

    pub(super) fn watch(&self, socket: BorrowedFd<'_>, slot: u32) -> Result<()> {
        self.epoll.watch_consumption(socket, slot.into())
    }

    pub(super) fn forget(&self, socket: BorrowedFd<'_>) {
        self.epoll.forget(socket);
    }

    /// Reports also when this can be read.
    pub(super) fn watch_afterwork(&self, fd: BorrowedFd<'_>) -> Result<()> {
        self.epoll.watch_readable(fd, AFTERWORK)
    }

    /// Slots whose requests were perhaps issued, at most so many; none if there is something else to do. False: stop.
    pub(super) fn next(&self, most: usize, slots: &mut Vec<u32>) -> bool {
        slots.clear();
        let waited = self.epoll.wait(most, |key| slots.extend(u32::try_from(key).ok()));
        // Requests that were issued earlier are reported earlier.
        waited.is_ok() && !self.stopped.load(Relaxed)
    }

    /// From now on `next` is false to everyone.
    pub(super) fn stop(&self) {
        self.stopped.store(true, Relaxed);
        let _ = (&self.stop).write_all(&1u64.to_ne_bytes());
    }
}
