//! Where the workers wait: for any request that was issued, or to be sent home.

use std::fs::File;
use std::io::Write;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use crate::error::Result;
use crate::sys::socket::{self, Epoll};

/// No slot has this number.
const STOP: u64 = u64::MAX;

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

    /// A slot whose request was perhaps issued. None: stop.
    pub(super) fn next(&self) -> Option<u32> {
        let slot = self.epoll.wait().ok().and_then(|key| u32::try_from(key).ok());
        // Requests that were issued earlier are reported earlier.
        slot.filter(|_| !self.stopped.load(Relaxed))
    }

    /// From now on `next` gives None to everyone.
    pub(super) fn stop(&self) {
        self.stopped.store(true, Relaxed);
        let _ = (&self.stop).write_all(&1u64.to_ne_bytes());
    }
}
