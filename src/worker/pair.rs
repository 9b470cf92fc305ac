//! The two sockets between a request in the application's ring and a worker thread.
//!
//! A RECV waits on a socket that holds all its bytes but one: its request's number. The kernel takes that when it
//! issues the request, and frees it, which the sender's end reports. The last byte completes the RECV; the end of
//! the stream in its place makes it short, which breaks a link.

use std::net::Shutdown;
use std::os::fd::{AsFd, AsRawFd, RawFd};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use super::Recv;
use super::gate::Gate;
use super::inbox::{self, Inbox};
use crate::error::Result;
use crate::sys::socket;

/// Descriptors of a pair.
const DESCRIPTORS: u64 = 2;

/// Pairs in this process.
static PAIRS: AtomicU64 = AtomicU64::new(0);

/// A socket pair that holds the number for one RECV, watched at a gate.
#[derive(Debug)]
pub(super) struct Pair {
    application: UnixStream,
    worker: UnixStream,
    inbox: Inbox,
    gate: Arc<Gate>,
}

impl Pair {
    /// A pair for slot `index`.
    pub(super) fn new(gate: &Arc<Gate>, index: u32) -> Result<Self> {
        let (application, worker) = UnixStream::pair()?;
        PAIRS.fetch_add(1, Relaxed);
        let pair = Pair { application, worker, inbox: Inbox::new(), gate: Arc::clone(gate) };
        pair.send_number()?;
        gate.watch(pair.worker.as_fd(), index)?;
        Ok(pair)
    }

    /// Whether all pairs of the process, and one more, take no more than a quarter of its descriptors.
    pub(super) fn within_limit() -> bool {
        (PAIRS.load(Relaxed) + 1) * DESCRIPTORS <= socket::descriptor_limit() / 4
    }

    /// From a socket that blocks, as a RECV on an io-wq thread needs.
    pub(super) fn recv(&self) -> Recv {
        Recv { fd: self.application.as_raw_fd(), address: self.inbox.address() }
    }

    /// Whether the number was taken: it stands in the inbox before that is reported. If it does not, it may have gone
    /// elsewhere; the kernel, asked for it, counts one while it reports (`sock_wfree`).
    pub(super) fn issued(&self) -> bool {
        let gone = || socket::unconsumed(self.worker.as_fd()).is_ok_and(|left| left <= 1);
        self.inbox.shows_issue() || gone()
    }

    /// Completes the RECV. The number of the next one is part of the same message: the kernel frees a
    /// message as a whole, so that the end of this request is not reported, only the issue of the next.
    pub(super) fn complete(&self) -> bool {
        self.inbox.next();
        self.complete_anew()
    }

    /// If that has failed.
    pub(super) fn complete_anew(&self) -> bool {
        socket::send(self.worker.as_fd(), &self.inbox.message()).is_ok()
    }

    /// What completes the RECV if it is sent: the socket, and where the message is.
    pub(super) fn completion(&self) -> (RawFd, u64) {
        self.inbox.next();
        (self.worker.as_raw_fd(), self.inbox.message_address())
    }

    /// For the next RECV.
    fn send_number(&self) -> Result<()> {
        let [_, number @ ..] = self.inbox.next();
        socket::send(self.worker.as_fd(), &number)
    }

    /// Completes the RECV short. The pair is of no use any more.
    pub(super) fn fail(&self) {
        let _ = self.worker.shutdown(Shutdown::Write);
    }

    /// Ends a RECV that may still be inside the kernel, also when a forked child holds the sockets.
    pub(super) fn sever(&self) {
        let _ = self.worker.shutdown(Shutdown::Both);
    }

    /// Makes it hold one number again, whatever a RECV that is over has left. False if that cannot be.
    pub(super) fn prime(&self) -> bool {
        const NUMBER: usize = inbox::LEN - 1;
        match socket::unread(self.application.as_fd(), &mut [0; inbox::LEN + 1]) {
            Ok(NUMBER) => true,
            // Cancelled before its last byte came.
            Ok(inbox::LEN) => socket::take_byte(self.application.as_fd()),
            // Cancelled between issue and start.
            Ok(0) => self.send_number().is_ok(),
            _ => false,
        }
    }
}

impl Drop for Pair {
    fn drop(&mut self) {
        self.gate.forget(self.worker.as_fd());
        PAIRS.fetch_sub(1, Relaxed);
    }
}
