//! The two sockets between a request in the application's ring and a worker thread.
//!
//! A RECV of two bytes waits on a socket that holds one. The kernel takes that byte when it issues the
//! request, and frees it, which the sender's end shows. The second byte completes the RECV; the end of the
//! stream in its place makes it short, which breaks a link.

use std::net::Shutdown;
use std::os::fd::{AsFd, AsRawFd, RawFd};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use super::gate::Gate;
use crate::error::Result;
use crate::sys::socket;

/// Descriptors of a pair.
const DESCRIPTORS: u64 = 2;

/// Pairs in this process.
static PAIRS: AtomicU64 = AtomicU64::new(0);

/// A socket pair that holds the first byte for one RECV, watched at a gate.
#[derive(Debug)]
pub(super) struct Pair {
    application: UnixStream,
    worker: UnixStream,
    gate: Arc<Gate>,
}

impl Pair {
    /// A pair for slot `index`.
    pub(super) fn new(gate: &Arc<Gate>, index: u32) -> Result<Self> {
        let (application, worker) = UnixStream::pair()?;
        PAIRS.fetch_add(1, Relaxed);
        let pair = Pair { application, worker, gate: Arc::clone(gate) };
        socket::send(pair.worker.as_fd(), &[0])?;
        gate.watch(pair.worker.as_fd(), index)?;
        Ok(pair)
    }

    /// Whether all pairs of the process, and one more, take no more than a quarter of its descriptors.
    pub(super) fn within_limit() -> bool {
        (PAIRS.load(Relaxed) + 1) * DESCRIPTORS <= socket::descriptor_limit() / 4
    }

    /// The descriptor for the RECV. It blocks, as a RECV on an io-wq thread needs.
    pub(super) fn descriptor(&self) -> RawFd {
        self.application.as_raw_fd()
    }

    /// Whether the first byte was taken. While the kernel reports that, it still counts one
    /// (`sock_wfree`).
    pub(super) fn issued(&self) -> bool {
        socket::unconsumed(self.worker.as_fd()).is_ok_and(|left| left <= 1)
    }

    /// Completes the RECV. The first byte of the next one is part of the same message: the kernel frees a
    /// message as a whole, so that the end of this request is not reported, only the issue of the next.
    pub(super) fn complete(&self) -> bool {
        socket::send(self.worker.as_fd(), &[0, 0]).is_ok()
    }

    /// Completes the RECV short. The pair is of no use any more.
    pub(super) fn fail(&self) {
        let _ = self.worker.shutdown(Shutdown::Write);
    }

    /// Ends a RECV that may still be inside the kernel, also when a forked child holds the sockets.
    pub(super) fn sever(&self) {
        let _ = self.worker.shutdown(Shutdown::Both);
    }

    /// Makes it hold one byte again, whatever a RECV that is over has left. False if that cannot be.
    pub(super) fn prime(&self) -> bool {
        match socket::unread(self.application.as_fd(), &mut [0; 3]) {
            Ok(1) => true,
            // Cancelled before its second byte came.
            Ok(2) => socket::take_byte(self.application.as_fd()),
            // Cancelled between issue and start.
            Ok(0) => socket::send(self.worker.as_fd(), &[0]).is_ok(),
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
