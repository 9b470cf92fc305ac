//! Requests in a ring of the application's, which has it from the `io-uring` crate.
#![allow(unsafe_code, reason = "lends the memory of a request")]

use std::fmt;
use std::marker::PhantomData;
use std::mem::ManuallyDrop;
use std::ptr::read;
use std::sync::Arc;

use io_uring::{IoUring, cqueue, squeue};

use super::failed::{Failed, Refused};
use super::memory::{Held, Memory, boxed};
use super::queue::{Done, conclude, explain, refused};
use super::request::Request;
use super::target::Target;
use crate::abi::{AttrPi, SETUP_CQE32, SETUP_IOPOLL, SETUP_SQE128};
use crate::command::Op;
use crate::error::{Error, Result};
use crate::path::{Paths, Ring};
use crate::queue::{Completed, Filled, Io, Queue};
use crate::sqe;
use crate::sys::entry::{entry, entry128};
use crate::sys::own_ring::features;

/// SQEs of a ring: [`squeue::Entry`] or [`squeue::Entry128`].
pub trait RingSqe: squeue::EntryMarker + sealed::Sqe {}

impl RingSqe for squeue::Entry {}
impl RingSqe for squeue::Entry128 {}

/// CQEs of a ring: [`cqueue::Entry`] or [`cqueue::Entry32`].
pub trait RingCqe: cqueue::EntryMarker + sealed::Cqe {}

impl RingCqe for cqueue::Entry {}
impl RingCqe for cqueue::Entry32 {}

mod sealed {
    use super::*;

    pub trait Sqe {
        /// `IORING_SETUP_*` of such a ring.
        const FLAGS: u32;

        fn of(filled: Filled) -> Self;
    }

    impl Sqe for squeue::Entry {
        const FLAGS: u32 = 0;

        fn of(filled: Filled) -> Self {
            match filled {
                Filled::Small(sqe) => entry(&sqe),
                // Not for such a ring, says the path; the kernel would refuse it.
                Filled::Big(_) => entry(&sqe::refused(0)),
            }
        }
    }

    impl Sqe for squeue::Entry128 {
        const FLAGS: u32 = SETUP_SQE128;

        fn of(filled: Filled) -> Self {
            match filled {
                Filled::Small(sqe) => entry(&sqe).into(),
                Filled::Big(sqe) => entry128(&sqe),
            }
        }
    }

    pub trait Cqe {
        /// `IORING_SETUP_*` of such a ring.
        const FLAGS: u32;

        fn says(&self) -> Completed;
    }

    impl Cqe for cqueue::Entry {
        const FLAGS: u32 = 0;

        fn says(&self) -> Completed {
            Completed { res: self.result(), value: 0 }
        }
    }

    impl Cqe for cqueue::Entry32 {
        const FLAGS: u32 = SETUP_CQE32;

        fn says(&self) -> Completed {
            let [value, _] = *self.big_cqe();
            Completed { res: self.result(), value }
        }
    }
}

/// What stands beside a ring of yours: it knows what that ring can carry, and has the workers for the rest. Used by
/// one thread at a time, like the ring.
pub struct RingQueue<S, C> {
    queue: Arc<Queue>,
    _ring: PhantomData<fn(S) -> C>,
}

/// Limits of a [`RingQueue`].
#[derive(Debug, Clone, Copy)]
pub struct RingOptions {
    /// Paths that requests may take at all.
    pub paths: Paths,
    /// Threads that wait, each for one request, started as they are needed; 0: 16. Commands and emulated appends have
    /// one thread each, if they need any.
    pub max_workers: u32,
    /// Requests with those that wait, and with each of the others, of two descriptors each; 0: what the process can have.
    pub max_waiting: u32,
}

impl Default for RingOptions {
    fn default() -> Self {
        RingOptions { paths: Paths::all(), max_workers: 0, max_waiting: 0 }
    }
}

impl<S: RingSqe, C: RingCqe> RingQueue<S, C> {
    /// For a ring with all that it can carry.
    pub fn new(ring: &IoUring<S, C>) -> Result<Self> {
        Self::with(ring, &RingOptions::default())
    }

    /// The same within limits.
    pub fn with(ring: &IoUring<S, C>, options: &RingOptions) -> Result<Self> {
        let polled = if ring.params().is_setup_iopoll() { SETUP_IOPOLL } else { 0 };
        let ring = Ring::new(S::FLAGS | C::FLAGS | polled, features()?);
        let RingOptions { paths, max_workers, max_waiting } = *options;
        let queue = Arc::new(Queue::new(ring, paths, max_workers, max_waiting));
        Ok(RingQueue { queue, _ring: PhantomData })
    }

    /// Chooses the best path that can carry a request, and reserves what it needs there. Nothing is submitted: the
    /// request starts when the kernel issues its SQE.
    #[allow(clippy::result_large_err, reason = "the request goes back")]
    pub fn plan<D: Memory, M: Memory>(
        &self,
        target: &Target,
        request: Request<D, M>,
    ) -> std::result::Result<Planned<S, C, D, M>, Refused<D, M>> {
        let paths = request.paths() & self.queue.allow();
        let mut held = Held::new(request);
        // SAFETY: held until it has ended, or for ever.
        let lent = match unsafe { held.inside().lend() } {
            Ok(lent) => lent,
            Err(error) => return Err(Refused { request: held.release(), failed: error.into() }),
        };
        match boxed(|place| self.queue.plan(target.core(), &lent, paths, place)) {
            Ok(io) => {
                let mut shown = Held::new((Box::new(io.attr()), target.clone()));
                let attr = std::ptr::from_ref(&*shown.inside().0).expose_provenance() as u64;
                let (queue, op) = (Arc::clone(&self.queue), lent.op);
                let (request, pushed, _ring) = (held, false, PhantomData);
                Ok(Planned { io, op, request, shown, attr, pushed, queue, _ring })
            }
            Err(error) => {
                let failed = refused(error, self.queue.ring(), target, &lent, paths);
                Err(Refused { request: held.release(), failed })
            }
        }
    }

    /// Of each path that the request allows, best first: nothing if it can carry it, else why not.
    pub fn explain<D: Memory, M: Memory>(
        &self,
        target: &Target,
        request: &mut Request<D, M>,
    ) -> Result<Vec<(Paths, Option<Error>)>> {
        let paths = request.paths() & self.queue.allow();
        explain(self.queue.ring(), target, &request.addresses()?, paths)
    }
}

impl<S, C> fmt::Debug for RingQueue<S, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.queue.fmt(f)
    }
}

/// A planned request with its memory. One that is never pushed does nothing.
///
/// Whoever pushes its SQE owes, beside what `push` itself asks for:
///
/// * the SQE is pushed once, into the ring that the queue was made for, and submitted before `Planned` is dropped: it
///   names a descriptor,
/// * the CQE that [`finish`](Self::finish) is given is the one of that SQE,
/// * memory that the request only borrows outlives that CQE: until then `Planned` is neither dropped nor forgotten.
///
/// Memory that the request owns needs no such care: dropped too early it is leaked, not freed, where the kernel
/// may still use it.
#[must_use]
pub struct Planned<S, C, D, M> {
    io: Box<Io>,
    op: Op,
    /// With its memory.
    request: Held<Request<D, M>>,
    /// What else the kernel may look at: an attribute, and whose descriptor the SQE has.
    shown: Held<(Box<AttrPi>, Target)>,
    /// Address of the attribute.
    attr: u64,
    pushed: bool,
    /// Whose workers may have it.
    queue: Arc<Queue>,
    _ring: PhantomData<fn(S) -> C>,
}

impl<S: RingSqe, C: RingCqe, D, M> Planned<S, C, D, M> {
    /// The path that it takes.
    pub fn path(&self) -> Paths {
        self.io.path()
    }

    /// Its SQE, for which you owe what is said [above](Planned). Its user data is yours; of its flags, `ASYNC`, `IO_LINK`,
    /// `IO_HARDLINK` (see [`Request::linked`]) and `IO_DRAIN`.
    pub fn sqe(&mut self) -> S {
        self.pushed = true;
        S::of(self.io.fill(self.attr, 0))
    }

    /// What became of it, and the request with its memory.
    pub fn finish(mut self, cqe: &C) -> (std::result::Result<Done, Failed>, Request<D, M>) {
        let finished = self.io.finish(&cqe.says());
        let result = conclude(&finished, self.op);
        (result, self.back())
    }

    /// Gives up a request whose SQE was not pushed.
    ///
    /// # Errors
    /// [`sqe`](Self::sqe) was called: its CQE is the end of it.
    #[allow(clippy::result_large_err, reason = "the plan goes back")]
    pub fn cancel(self) -> std::result::Result<Request<D, M>, Self> {
        match self.pushed {
            true => Err(self),
            false => Ok(self.withdrawn()),
        }
    }

    fn withdrawn(mut self) -> Request<D, M> {
        self.io.abandon();
        self.back()
    }

    /// The request, which has ended.
    fn back(self) -> Request<D, M> {
        let this = ManuallyDrop::new(self);
        // SAFETY: each field is read once, and `this` is not dropped.
        let (io, queue) = unsafe { (read(&this.io), read(&this.queue)) };
        // SAFETY: as above.
        let (shown, request) = unsafe { (read(&this.shown), read(&this.request)) };
        drop((io, queue, shown.release()));
        request.release()
    }
}

impl<S, C, D, M> Drop for Planned<S, C, D, M> {
    fn drop(&mut self) {
        let with_worker = !matches!(self.io.path(), Paths::ATTR | Paths::URING_CMD);
        self.io.abandon(); // waits for a worker
        if with_worker || !self.pushed {
            // SAFETY: nobody looks at it any more, and nothing here does after this.
            unsafe { self.request.free() };
            // SAFETY: as above.
            unsafe { self.shown.free() };
        }
        // Else the kernel may: it all stays as it is, for ever.
    }
}

impl<S, C, D, M> fmt::Debug for Planned<S, C, D, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.io.fmt(f)
    }
}
