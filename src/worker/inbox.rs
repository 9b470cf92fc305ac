//! Where the RECVs of a pair put what they take. It shows that one was issued, without a system call: what a RECV takes
//! then is its request's number.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

/// Length of a RECV: the number, and the byte that completes it.
pub(super) const LEN: usize = size_of::<u64>();
const NUMBER: u64 = u64::MAX >> u8::BITS;

/// Numbers of one pair. Those of no two are the same, so that a RECV which comes when nobody waits for it any more, and
/// may take what is for another pair or write where another one looks, starts nothing.
const NUMBERS: u64 = 1 << 28;
static NEXT_PAIR: AtomicU64 = AtomicU64::new(0);

/// Those that no pair has now. Never freed: such a RECV may still be in the kernel.
static IDLE: Mutex<Vec<&'static Words>> = Mutex::new(Vec::new());

/// As bytes, in little-endian order. The kernel writes `received` and reads `message`.
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
        let idle = IDLE.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let inbox = Inbox(idle.unwrap_or_else(|| Box::leak(Box::default())));
        inbox.set(NEXT_PAIR.fetch_add(NUMBERS, Ordering::Relaxed));
        inbox
    }

    /// Where a RECV of [`LEN`] bytes puts them, valid as long as the process.
    pub(super) fn address(&self) -> u64 {
        self.0.received.as_ptr().expose_provenance() as u64
    }

    /// Whether the request's RECV was issued. False may also mean that another one has come in between.
    pub(super) fn shows_issue(&self) -> bool {
        // What the job reads was there before the kernel took the number.
        u64::from_le(self.0.received.load(Ordering::Acquire)) & NUMBER == self.number()
    }

    fn number(&self) -> u64 {
        u64::from_le(self.0.message.load(Ordering::Relaxed)) >> u8::BITS
    }

    fn set(&self, number: u64) {
        self.0.message.store((number << u8::BITS).to_le(), Ordering::Relaxed);
    }

    /// The byte that completes the request, and the number of the next one: the pair is for that from now on.
    pub(super) fn next(&self) -> [u8; LEN] {
        self.set(self.number() + 1);
        self.message()
    }

    /// What [`Inbox::next`] has returned.
    pub(super) fn message(&self) -> [u8; LEN] {
        self.0.message.load(Ordering::Relaxed).to_ne_bytes()
    }

    /// Where that stays until the next one, valid as long as the process.
    pub(super) fn message_address(&self) -> u64 {
        self.0.message.as_ptr().expose_provenance() as u64
    }
}

impl Drop for Inbox {
    fn drop(&mut self) {
        IDLE.lock().unwrap_or_else(PoisonError::into_inner).push(self.0);
    }
}
