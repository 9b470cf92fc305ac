//! Ends of requests that a thread tells together: by one system call, after which whoever waits for them finds all, and
//! until which he does not take the processor from the thread at each.

use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{ThreadId, current};

use super::Recv;
use super::pair::Pair;
use super::slot::Slot;
use crate::sqe;
use crate::sys::flights::Flights;

/// A request that has ended well, which its RECV does not know yet.
pub(super) struct Ended<T: Send + 'static> {
    pub(super) slot: Arc<Slot<T>>,
    pub(super) pair: Arc<Pair>,
}

/// Those that its thread has ended since it opened it. What others end does not wait for it.
pub(super) struct Outbox<T: Send + 'static>(Mutex<Option<Open<T>>>);

struct Open<T: Send + 'static> {
    by: ThreadId,
    all: Vec<Ended<T>>,
}

impl<T: Send + 'static> Outbox<T> {
    pub(super) const fn new() -> Self {
        Outbox(Mutex::new(None))
    }

    pub(super) fn open(&self) {
        let open = Open { by: current().id(), all: Vec::new() };
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(open);
    }

    /// Gives one back that must be told now.
    pub(super) fn put(&self, ended: Ended<T>) -> Option<Ended<T>> {
        match &mut *self.0.lock().unwrap_or_else(PoisonError::into_inner) {
            Some(open) if open.by == current().id() => {
                open.all.push(ended);
                None
            }
            _ => Some(ended),
        }
    }

    pub(super) fn close(&self) -> Vec<Ended<T>> {
        let open = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        open.map(|open| open.all).unwrap_or_default()
    }
}

/// A thread's means to tell many at a time.
pub(super) struct Post<T: Send + 'static> {
    ring: Option<Flights<Ended<T>>>,
    /// There is one, or there cannot be.
    tried: bool,
}

impl<T: Send + 'static> Post<T> {
    pub(super) const fn new() -> Self {
        Post { ring: None, tried: false }
    }

    /// Completes the RECVs. `sent` learns of each whether its pair is intact.
    pub(super) fn send(&mut self, all: Vec<Ended<T>>, mut sent: impl FnMut(&Ended<T>, bool)) {
        if all.len() > 1 && !self.tried {
            (self.ring, self.tried) = (Flights::new().ok(), true);
        }
        self.ring.take_if(|ring| ring.is_broken());
        let mut all = all.into_iter();
        let Some(ring) = self.ring.as_mut().filter(|_| all.len() > 1) else {
            return all.for_each(|ended| sent(&ended, ended.pair.complete()));
        };
        while all.len() > 0 || !ring.is_idle() {
            while ring.has_room()
                && let Some(ended) = all.next()
            {
                let (fd, message) = ended.pair.completion();
                ring.push(&sqe::send(fd, message, Recv::LEN), ended);
            }
            ring.submit();
            ring.wait();
            while let Some((ended, told)) = ring.reap() {
                let told = u32::try_from(told.res) == Ok(Recv::LEN) || ended.pair.complete_anew();
                sent(&ended, told);
            }
        }
    }
}
