//! Where the RECVs of a pair put what they take. It shows that one was issued, without a system call: what a RECV takes
//! then is its request's number.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};

/// Length of a RECV: the number, and the byte that completes it.
pub(super) const LEN: usize = size_of::<u64>();
const NUMBER: u64 = u64::MAX >> u8::BITS;

/// Those that no pair has now, the longest idle first. Never freed: a RECV that nobody waits for any more may still be in
/// the kernel, and on its way to write there.
static IDLE: Mutex<VecDeque<&'static Words>> = Mutex::new(VecDeque::new());

/// So many stay idle, that one which comes late does not meet another request.
const RESTING: usize = 64;

/// As bytes, in little-endian order. The kernel writes `received` and reads `message`. The numbers go on when another
/// pair has the words, so that one which comes late starts nothing.
#[derive(Debug, Default)]
struct Words {
    /// The number, and behind it the byte that completes.
    received: AtomicU64,
    /// The byte that completes, and behind it the number of the request which the pair is for now, or will be next.
    message: AtomicU64,
}

#[derive(Debug)]
pub(super) struct Inbox(&'static Words);

impl Inbox {
    pub(super) fn new() -> Self {
        let mut idle = IDLE.lock().unwrap_or_else(PoisonError::into_inner);
        let rested = if idle.len() > RESTING { idle.pop_front() } else { None };
        Inbox(rested.unwrap_or_else(|| Box::leak(Box::default())))
    }

    /// Where a RECV of [`LEN`] bytes puts them, valid as long as the process.
    pub(super) fn address(&self) -> u64 {
        self.0.received.as_ptr().expose_provenance() as u64
    }

    /// Whether the request's RECV was issued.
    pub(super) fn shows_issue(&self) -> bool {
        u64::from_le(self.0.received.load(Relaxed)) & NUMBER == self.number()
    }

    fn number(&self) -> u64 {
        u64::from_le(self.0.message.load(Relaxed)) >> u8::BITS
    }

    /// The byte that completes the request, and the number of the next one: the pair is for that from now on.
    pub(super) fn next(&self) -> [u8; LEN] {
        let next = (self.number() + 1) << u8::BITS;
        self.0.message.store(next.to_le(), Relaxed);
        self.message()
    }

    /// What [`Inbox::next`] has returned.
    pub(super) fn message(&self) -> [u8; LEN] {
        self.0.message.load(Relaxed).to_ne_bytes()
    }

    /// Where that stays until the next one, valid as long as the process.
    pub(super) fn message_address(&self) -> u64 {
        self.0.message.as_ptr().expose_provenance() as u64
    }
}

impl Drop for Inbox {
    fn drop(&mut self) {
        IDLE.lock().unwrap_or_else(PoisonError::into_inner).push_back(self.0);
    }
}
