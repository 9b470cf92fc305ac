//! Requests one at a time, on a ring of the library's own.
#![allow(unsafe_code, reason = "lends the memory of a request")]

use std::fmt;

use super::failed::Failed;
use super::memory::Memory;
use super::request::Request;
use super::target::Target;
use crate::command;
use crate::error::{Error, Result};
use crate::path::{Paths, Ring};
use crate::queue::{self, Finished, diagnose_read};

/// A small ring of its own for one request at a time: [`run`](Self::run) returns when it is done. Threads may share it,
/// and wait for each other. For requests in your own ring there is [`RingQueue`](crate::RingQueue).
#[derive(Debug)]
pub struct Queue(queue::Queue);

/// A request that was done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Done {
    /// The path by which it went.
    pub path: Paths,
    /// Bytes of data.
    pub bytes: usize,
    /// NVMe completion dwords 0 and 1.
    pub value: u64,
    /// Where an append went.
    pub location: Option<Location>,
}

/// Where an append went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Location {
    /// Byte of the target.
    pub offset: u64,
    /// Block of the device.
    pub lba: u64,
}

impl Queue {
    /// With the best ring that the kernel has.
    pub fn new() -> Result<Self> {
        queue::Queue::private(Paths::all()).map(Queue)
    }

    /// Does a request by the best path that can carry it, and waits for its end.
    pub fn run<D: Memory, M: Memory>(
        &self,
        target: &Target,
        request: &mut Request<D, M>,
    ) -> std::result::Result<Done, Failed> {
        let paths = request.paths();
        // SAFETY: `request` is borrowed until this returns, and `run` returns when it has ended.
        let lent = unsafe { request.lend() }?;
        match self.0.run(target.core(), &lent, paths) {
            Ok(finished) => conclude(&finished, lent.op),
            Err(error) => Err(refused(error, self.0.ring(), target, &lent, paths)),
        }
    }

    /// Of each path that the request allows, best first: nothing if it can carry it, else why not.
    pub fn explain<D: Memory, M: Memory>(
        &self,
        target: &Target,
        request: &mut Request<D, M>,
    ) -> Result<Vec<(Paths, Option<Error>)>> {
        let paths = request.paths();
        explain(self.0.ring(), target, &request.addresses()?, paths)
    }

    /// After a failed check of a read that a device made: reads again, without checks and into other memory, and verifies in
    /// software. What it finds is [`Failed::failure`] of the error that it always returns; `EAGAIN`: it was all
    /// right now.
    pub fn diagnose<D: Memory, M: Memory>(
        &self,
        target: &Target,
        request: &mut Request<D, M>,
    ) -> Failed {
        let paths = request.paths();
        // SAFETY: `request` is borrowed until this returns, and so has `diagnose_read`.
        match unsafe { request.lend() }.and_then(|r| diagnose_read(target.core(), &r, paths)) {
            Ok(finished) => Failed::late(&finished),
            Err(error) => error.into(),
        }
    }
}

/// The end of a request as its caller sees it.
pub(super) fn conclude(finished: &Finished, op: command::Op) -> std::result::Result<Done, Failed> {
    let Finished { path, outcome, append_lba, append_offset, .. } = *finished;
    let Ok(bytes) = usize::try_from(outcome.res) else {
        return Err(Failed::late(finished));
    };
    let at = Location { offset: append_offset, lba: append_lba };
    let location = (op == command::Op::Append).then_some(at);
    Ok(Done { path, bytes, value: outcome.value, location })
}

/// A request that no path took, with all that can be said of why.
pub(super) fn refused(
    error: Error,
    ring: &Ring,
    target: &Target,
    request: &command::Request,
    allow: Paths,
) -> Failed {
    let all = match error {
        Error::Unsupported(_) => explain(ring, target, request, allow).unwrap_or_default(),
        _ => Vec::new(),
    };
    let reasons = all.into_iter().filter_map(|(path, why)| Some((path, why?)));
    Failed::early(error, reasons.collect())
}

pub(super) fn explain(
    ring: &Ring,
    target: &Target,
    request: &command::Request,
    allow: Paths,
) -> Result<Vec<(Paths, Option<Error>)>> {
    let offer = target.core().offer();
    let extent = offer.check(request)?;
    let why = |path| offer.carries(path, ring, request, &extent).err();
    Ok(allow.iter().map(|path| (path, why(path))).collect())
}

impl fmt::Display for Done {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes by {}", self.bytes, self.path.name())
    }
}
