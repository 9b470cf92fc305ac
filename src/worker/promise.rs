//! The end of a request whose job has begun.

use std::fmt;
use std::mem::forget;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use super::pair::Pair;
use super::pool::Pool;
use super::slot::Slot;
use super::{Done, Job};

/// Must be kept, on any thread. Dropped, its request has panicked.
#[must_use]
pub(crate) struct Promise<T: Send + 'static> {
    pool: Arc<Pool<T>>,
    slot: Arc<Slot<T>>,
    pair: Arc<Pair>,
    kept: bool,
}

impl<T: Send + 'static> Promise<T> {
    pub(super) fn new(pool: Arc<Pool<T>>, slot: Arc<Slot<T>>, pair: Arc<Pair>) -> Self {
        Promise { pool, slot, pair, kept: false }
    }

    /// Completes the request. What its job held must be gone.
    pub(crate) fn keep(mut self, done: Done<T>) {
        self.end(done);
    }

    /// Runs a job and completes the request. The job is gone by then.
    pub(super) fn keep_by(self, job: Job<T>) {
        match catch_unwind(AssertUnwindSafe(job)) {
            Ok(done) => self.keep(done),
            Err(payload) => forget(payload), // Its destructor could panic again.
        }
    }

    fn end(&mut self, done: Done<T>) {
        self.kept = true;
        self.pool.end(&self.slot, &self.pair, done);
    }
}

impl<T: Send + 'static> Drop for Promise<T> {
    fn drop(&mut self) {
        if !self.kept {
            let outcome = self.pool.panicked();
            self.end(Done { outcome, failed: true });
        }
    }
}

impl<T: Send + 'static> fmt::Debug for Promise<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Promise").field("slot", &self.slot.index()).finish_non_exhaustive()
    }
}
