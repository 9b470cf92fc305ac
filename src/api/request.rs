//! One request.

use std::fmt;

use super::memory::{Memory, lend};
use crate::command::{self, Flags, Op};
use crate::error::Result;
use crate::geometry::Tags;
use crate::memory::Lent;
use crate::path::Paths;

/// A request with its memory. It can be made again and again.
///
/// ```
/// use uring_ext::{Checks, Request, Tags};
///
/// let (mut data, mut meta) = ([0; 4096], [0; 8]);
/// let tags = Tags { checks: Checks::GUARD | Checks::REF, reference: 7, ..Tags::default() };
/// let request = Request::read(7 * 4096, &mut data).meta(&mut meta).tags(tags);
/// # drop(request);
/// ```
#[must_use]
pub struct Request<D = (), M = ()> {
    op: Op,
    flags: Flags,
    offset: u64,
    length: u64,
    data: D,
    meta: M,
    tags: Tags,
    paths: Paths,
}

impl Request {
    /// What was completed becomes durable.
    pub const fn flush() -> Self {
        Self::without_data(Op::Flush, 0, 0)
    }

    /// Zeros to `length` bytes from byte `offset` on. The metadata is the device's choice.
    pub const fn write_zeroes(offset: u64, length: u64) -> Self {
        Self::without_data(Op::WriteZeroes, offset, length)
    }

    const fn without_data(op: Op, offset: u64, length: u64) -> Self {
        let (flags, tags, paths) = (Flags::empty(), Tags::NONE, Paths::all());
        Request { op, flags, offset, length, data: (), meta: (), tags, paths }
    }
}

impl<D: Memory> Request<D> {
    /// From byte `offset` of the target on, as many bytes as `data` has.
    pub const fn read(offset: u64, data: D) -> Self {
        Self::with_data(Op::Read, offset, data)
    }

    /// To byte `offset` of the target.
    pub const fn write(offset: u64, data: D) -> Self {
        Self::with_data(Op::Write, offset, data)
    }

    /// Whether the target holds this at byte `offset`: `ENODATA` if not.
    pub const fn compare(offset: u64, data: D) -> Self {
        Self::with_data(Op::Compare, offset, data)
    }

    /// To wherever the zone that starts at byte `zone` goes on; [`Done::location`](crate::Done::location) tells where
    /// that was.
    pub const fn append(zone: u64, data: D) -> Self {
        Self::with_data(Op::Append, zone, data)
    }

    const fn with_data(op: Op, offset: u64, data: D) -> Self {
        let (flags, tags, paths) = (Flags::empty(), Tags::NONE, Paths::all());
        Request { op, flags, offset, length: 0, data, meta: (), tags, paths }
    }
}

impl<D, M> Request<D, M> {
    /// Metadata, in one piece: at least as much as the format has for so many blocks. None for an interleaved format
    /// whose metadata lies in `data`. A write may change it: its reference tags become the device's.
    pub fn meta<N: Memory>(self, meta: N) -> Request<D, N> {
        let Request { op, flags, offset, length, data, tags, paths, .. } = self;
        Request { op, flags, offset, length, data, meta, tags, paths }
    }

    /// Checks to make, and the tags of the first block.
    pub const fn tags(mut self, tags: Tags) -> Self {
        self.tags = tags;
        self
    }

    /// Durable once completed (FUA).
    pub fn durable(mut self) -> Self {
        self.flags |= Flags::FUA;
        self
    }

    /// The device makes and strips the tuples (PRACT).
    pub fn protected_by_device(mut self) -> Self {
        self.flags |= Flags::PRACT;
        self
    }

    /// Another SQE will be linked to it: only paths on which its failure breaks the link.
    pub fn linked(mut self) -> Self {
        self.flags |= Flags::LINKED;
        self
    }

    /// Paths that it may take; without this, all.
    pub const fn by(mut self, paths: Paths) -> Self {
        self.paths = paths;
        self
    }

    /// The same elsewhere, with other tags: the next one of a loop.
    pub const fn move_to(&mut self, offset: u64, tags: Tags) {
        self.offset = offset;
        self.tags = tags;
    }

    /// Its data.
    pub const fn data(&self) -> &D {
        &self.data
    }

    /// Its metadata.
    pub const fn metadata(&self) -> &M {
        &self.meta
    }

    /// Its data and metadata, to be changed.
    pub const fn parts_mut(&mut self) -> (&mut D, &mut M) {
        (&mut self.data, &mut self.meta)
    }

    /// Its data and metadata.
    pub fn into_parts(self) -> (D, M) {
        (self.data, self.meta)
    }

    pub(super) const fn paths(&self) -> Paths {
        self.paths
    }
}

impl<D: Memory, M: Memory> Request<D, M> {
    /// The request as plain data for a call that is over before anything else is done with it.
    #[allow(unsafe_code, reason = "promises what follows from that")]
    pub(super) fn addresses(&mut self) -> Result<command::Request> {
        // SAFETY: nothing of it is touched later, says whoever asks for addresses.
        unsafe { self.lend() }
    }

    /// The request as plain data.
    ///
    /// # Safety
    /// `self` is only moved, and leaked rather than dropped, until what is returned has ended.
    #[allow(unsafe_code, reason = "hands the promise on")]
    pub(super) unsafe fn lend(&mut self) -> Result<command::Request> {
        let data = match self.op.has_data() {
            // SAFETY: the caller's.
            true => unsafe { lend(&mut self.data) }?,
            false => Lent::NONE,
        };
        // SAFETY: the caller's.
        let meta = unsafe { lend(&mut self.meta) }?;
        let length = if self.op.has_data() { data.segments().bytes } else { self.length };
        let Request { op, flags, offset, tags, .. } = *self;
        Ok(command::Request { op, flags, offset, length, data, meta, buffer: None, tags })
    }
}

impl<D, M> fmt::Debug for Request<D, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (op, offset) = (&self.op, &self.offset);
        f.debug_struct("Request").field("op", op).field("offset", offset).finish_non_exhaustive()
    }
}
