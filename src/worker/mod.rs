//! Threads that do the work of requests in the application's ring which the kernel has no operation for.
//!
//! A library cannot add an operation to io_uring. So such a request is a RECV from a socket, which the worker
//! at the other end completes (`pair`). The job starts when the kernel issues the RECV, never
//! before: links, IO_DRAIN, SQPOLL and cancelling mean what they mean for the kernel's own operations. What the
//! job was, nobody here knows. Jobs that only begin something can share one thread, which goes on with what they
//! began (`Afterwork`).
//!
//! `slot` holds one request, `pool` all slots and threads of a queue, `gate` is where the threads wait. `inbox` shows that
//! a request was issued, `outbox` ends many at a time.

mod gate;
mod inbox;
mod outbox;
mod pair;
mod pool;
mod promise;
mod slot;

use std::fmt;
use std::os::fd::BorrowedFd;
use std::sync::Arc;

use crate::error::Result;
use pool::Pool;
pub(crate) use promise::Promise;
use slot::{Left, Slot};

/// The RECV that carries a request, with `MSG_WAITALL`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Recv {
    pub(crate) fd: i32,
    /// Valid as long as the process.
    pub(crate) address: u64,
}

impl Recv {
    pub(crate) const LEN: u32 = inbox::LEN as u32;
}

/// What a job has come to.
#[derive(Debug)]
pub(crate) struct Done<T> {
    /// For whoever reaps the request.
    pub(crate) outcome: T,
    /// Breaks a soft link.
    pub(crate) failed: bool,
}

type Job<T> = Box<dyn FnOnce() -> Done<T> + Send>;

/// A job that need not be done when it returns: the promise is kept by whoever has it then.
type LongJob<T> = Box<dyn FnOnce(Promise<T>) + Send>;

/// What jobs begin and a thread goes on with between them.
pub(crate) trait Afterwork: Send + Sync {
    /// Shows `watch` a descriptor that can be read when there is something to go on with. Comes before the first job.
    fn prepare(&self, watch: &mut dyn FnMut(BorrowedFd<'_>) -> Result<()>) -> Result<()>;

    /// After some jobs, and when the descriptor can be read: goes on, without waiting.
    fn go_on(&self);

    /// Goes on until nothing is left. The thread is about to end.
    fn end(&self);
}

/// The workers of one queue. No thread and no descriptor exists before the first request.
#[derive(Debug)]
pub(crate) struct Workers<T: Send + 'static> {
    pool: Arc<Pool<T>>,
}

impl<T: Send + 'static> Workers<T> {
    /// At most `max_workers` threads (0: 16), and `max_slots` requests at a time, of two descriptors each
    /// (0: a quarter of the soft limit of descriptors, for all queues of the process; one request is
    /// always possible). `panicked` is the outcome of a job that panics; it fails.
    pub(crate) fn new(max_workers: u32, max_slots: u32, panicked: fn() -> T) -> Self {
        Workers { pool: Arc::new(Pool::new(max_workers, max_slots, panicked, None)) }
    }

    /// Reserves a slot. Its job starts when the request's RECV is issued. `EAGAIN`: none
    /// is free before another request is finished. `ENOMEM`: there is no thread, and none can be started.
    pub(crate) fn arm(&self, job: Job<T>) -> Result<Request<T>> {
        self.arm_long(Box::new(|promise| promise.keep_by(job)))
    }

    /// The same for a job that may leave its end to others.
    pub(crate) fn arm_long(&self, job: LongJob<T>) -> Result<Request<T>> {
        let slot = self.pool.reserve()?;
        let recv = slot.arm(job);
        Ok(Request { pool: Arc::clone(&self.pool), slot, recv, over: false })
    }

    /// Waits for the jobs that run, ends the threads. Other requests are withdrawn: their RECVs end short. In a
    /// forked child, which has no threads, it does nothing.
    pub(crate) fn close(&self) {
        self.pool.close();
    }
}

impl<T: Send + 'static> Drop for Workers<T> {
    fn drop(&mut self) {
        self.close();
    }
}

/// One thread for jobs that do not wait, and for what they leave to be gone on with.
#[derive(Debug)]
pub(crate) struct Sharing<T: Send + 'static, A> {
    workers: Workers<T>,
    afterwork: Arc<A>,
}

impl<T: Send + 'static, A: Afterwork + 'static> Sharing<T, A> {
    /// As [`Workers::new`].
    pub(crate) fn new(max_slots: u32, panicked: fn() -> T, afterwork: A) -> Self {
        let afterwork = Arc::new(afterwork);
        let pool = Pool::new(1, max_slots, panicked, Some(Arc::clone(&afterwork) as _));
        Sharing { workers: Workers { pool: Arc::new(pool) }, afterwork }
    }

    pub(crate) fn afterwork(&self) -> &A {
        &self.afterwork
    }

    /// As [`Workers::arm_long`].
    pub(crate) fn arm(
        &self,
        job: impl FnOnce(Promise<T>, &A) + Send + 'static,
    ) -> Result<Request<T>> {
        let afterwork = Arc::clone(&self.afterwork);
        self.workers.arm_long(Box::new(move |promise| job(promise, &afterwork)))
    }

    /// As [`Workers::close`]. What was left is gone on with to its end.
    pub(crate) fn close(&self) {
        self.workers.close();
    }
}

/// An armed request. Dropping is [`Request::abandon`].
#[must_use]
pub(crate) struct Request<T: Send + 'static> {
    pool: Arc<Pool<T>>,
    slot: Arc<Slot<T>>,
    recv: Recv,
    over: bool,
}

impl<T: Send + 'static> Request<T> {
    /// What to submit for it.
    pub(crate) fn recv(&self) -> Recv {
        self.recv
    }

    /// When the CQE was seen, or no SQE was made: the outcome, for which it waits if the job has started.
    /// None: it has not and never will. The job with all it holds is gone.
    #[cfg(test)]
    pub(crate) fn finish(mut self) -> Option<T> {
        self.leave(Left::Over)
    }

    /// The same, told how many bytes the CQE says were received: after all of them the socket needs no look.
    pub(crate) fn finish_received(mut self, bytes: i32) -> Option<T> {
        let whole = u32::try_from(bytes) == Ok(Recv::LEN);
        self.leave(if whole { Left::Whole } else { Left::Over })
    }

    /// When no CQE will be seen; as `finish`. If a RECV is inside the kernel, it ends short and can never take
    /// what is meant for a later request. An SQE that was not submitted must not be: its descriptor is closed.
    pub(crate) fn abandon(mut self) -> Option<T> {
        self.leave(Left::Unknown)
    }

    fn leave(&mut self, left: Left) -> Option<T> {
        self.over = true;
        self.pool.leave(&self.slot, left)
    }
}

impl<T: Send + 'static> Drop for Request<T> {
    fn drop(&mut self) {
        if !self.over {
            self.leave(Left::Unknown);
        }
    }
}

impl<T: Send + 'static> fmt::Debug for Request<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Request").field("slot", &self.slot.index()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
