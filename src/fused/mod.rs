//! Fused commands: a ublk request lends its buffer to other operations. Which way that takes on this device and
//! ring is decided here; the SQEs and their accounting are [`Command`]'s.
//!
//! ublk has no operation that does it in one: a buffer is registered in the ring, automatically or by a command,
//! and operations on registered buffers use it; or the bytes are copied. What runs after a registration must not run
//! without it, whatever lies in that slot of the table then: see `command.rs`.

mod command;
mod indices;
mod io;
mod request;
mod rfc;
mod secondary;
mod ways;

use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::abi::Sqe;
use crate::abi::ublk::{F_AUTO_BUF_REG, F_BATCH_IO, F_NEED_GET_DATA, IoDesc, MAX_QUEUE_DEPTH};
use crate::error::{Error, Result};
use crate::memory::Buffer;
use crate::sys::{self, file};
use crate::ublk::copy_offset;

pub(crate) use command::{Command, MOST};
use indices::{Indices, Owner};
use request::Request;
pub(crate) use rfc::{Revision, rfc};
pub(crate) use secondary::{Given, Iovec, Kind};
pub(crate) use ways::Ways;
use ways::{Choice, choose};

/// Ranges of at most so many bytes are copied where they could be registered instead. On an emulated machine copies were
/// mostly faster up to here, slower from 16 KiB on, and between these it depended on how many requests were in flight.
pub(crate) const COPY_MOST: u32 = 2048;

/// What a queue of a device is served with.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Options {
    /// Ways that may be taken.
    pub(crate) allow: Ways,
    /// The device's character device.
    pub(crate) char_fd: i32,
    /// Queue.
    pub(crate) q_id: u16,
    /// Its requests.
    pub(crate) depth: u16,
    /// `F_*` of the device.
    pub(crate) features: u64,
    /// First index of the ring's table that is ours.
    pub(crate) buf_base: u32,
    /// How many are.
    pub(crate) buf_count: u32,
    /// See [`COPY_MOST`].
    pub(crate) copy_most: u32,
    /// `IORING_SETUP_*` of the ring.
    pub(crate) ring_flags: u32,
}

/// One queue of a device, served by one ring.
#[derive(Debug, Clone)]
pub(crate) struct Ublk(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    /// The caller's: while it is open, so is the device, and nobody else can serve or delete it.
    device: BorrowedFd<'static>,
    options: Options,
    /// What device and caller allow.
    ways: Ways,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    indices: Indices,
    /// Memory for copies that nobody uses.
    idle: Vec<Buffer>,
    /// Where the driver copies each request to, without any of the features.
    buffers: Vec<u64>,
}

impl Ublk {
    pub(crate) fn open(options: &Options) -> Result<Self> {
        let Options { features, depth, buf_base, buf_count, .. } = *options;
        if depth == 0 || depth > MAX_QUEUE_DEPTH {
            return Err(Error::Invalid(c"depth: not 1 to 4096"));
        }
        if features & F_BATCH_IO != 0 {
            return Err(Error::Unsupported(c"features: a device that is served in batches"));
        }
        let offered = Ways::of(features);
        if offered == Ways::BUFFER && features & F_NEED_GET_DATA != 0 {
            return Err(Error::Unsupported(c"features: a device whose data is asked for"));
        }
        let ways = offered & options.allow;
        if ways.is_empty() {
            return Err(Error::Unsupported(c"allow: none of these ways is one of the device's"));
        }
        ways::ring_carries(options.ring_flags)?;
        if buf_base.saturating_add(buf_count) > u32::from(u16::MAX) + 1 {
            return Err(Error::Invalid(c"buf_count: an SQE has 16 bits for an index"));
        }
        // Each request of a device that registers them by itself has its own index for ever.
        let automatic = if features & F_AUTO_BUF_REG != 0 { u32::from(depth) } else { 0 };
        let free = buf_count.checked_sub(automatic);
        let free = free.ok_or(Error::Invalid(c"buf_count: fewer than requests"))?;
        if free == 0 && ways == Ways::REGISTER {
            return Err(Error::Invalid(c"buf_count: none, but this way needs them"));
        }
        let device = sys::lent(options.char_fd)?;
        if !sys::is_char_device(device)? {
            return Err(Error::Invalid(c"char_fd: not a character device"));
        }
        let state = State {
            indices: Indices::new(buf_base + automatic, free),
            idle: Vec::new(),
            buffers: vec![0; usize::from(depth)],
        };
        Ok(Ublk(Arc::new(Shared { device, options: *options, ways, state: Mutex::new(state) })))
    }

    /// Requests of the queue.
    pub(crate) fn depth(&self) -> u16 {
        self.0.options.depth
    }

    fn tag(&self, tag: u16) -> Result<usize> {
        match tag < self.depth() {
            true => Ok(tag.into()),
            false => Err(Error::Invalid(c"tag: the queue has fewer requests")),
        }
    }

    /// Asks for the first request of a tag. `buffer`: where the driver copies to, if it does.
    pub(crate) fn fetch(&self, tag: u16, buffer: u64, user_data: u64) -> Result<Sqe> {
        let place = self.tag(tag)?;
        if (self.offered() == Ways::BUFFER) != (buffer != 0) {
            return Err(Error::Invalid(match buffer {
                0 => c"buf: NULL, but the driver of this device copies",
                _ => c"buf: not NULL, but the driver of this device does not copy",
            }));
        }
        if let Some(known) = self.0.state().buffers.get_mut(place) {
            *known = buffer;
        }
        Ok(io::fetch(&self.place(tag), buffer, self.automatic(tag), user_data))
    }

    /// Ends a request with its result and asks for the next.
    pub(crate) fn commit(&self, tag: u16, result: i32, user_data: u64) -> Result<Sqe> {
        let place = self.tag(tag)?;
        let buffer = self.0.state().buffers.get(place).copied().unwrap_or(0);
        Ok(io::commit(&self.place(tag), result, buffer, self.automatic(tag), user_data))
    }

    /// Registers a request's buffer.
    pub(crate) fn register(&self, tag: u16, index: u16, user_data: u64) -> Result<Sqe> {
        self.tag(tag)?;
        Ok(Sqe { user_data, ..io::register(&self.place(tag), index) })
    }

    /// Ends that.
    pub(crate) fn unregister(&self, tag: u16, index: u16, user_data: u64) -> Result<Sqe> {
        self.tag(tag)?;
        Ok(Sqe { user_data, ..io::unregister(&self.place(tag), index) })
    }

    /// An index for a caller who registers himself.
    pub(crate) fn take_index(&self) -> Result<u16> {
        self.0.take_index(Owner::Caller)
    }

    /// The same back.
    pub(crate) fn put_index(&self, index: u16) -> Result<()> {
        match self.0.state().indices.put(index, Owner::Caller) {
            true => Ok(()),
            false => Err(Error::Invalid(c"buf_index: not handed out")),
        }
    }

    fn offered(&self) -> Ways {
        Ways::of(self.0.options.features)
    }

    fn place(&self, tag: u16) -> io::Place {
        let Options { q_id, .. } = self.0.options;
        io::Place { fd: self.0.device.as_raw_fd(), q_id, tag }
    }

    /// Where the driver registers a request by itself.
    fn automatic(&self, tag: u16) -> Option<u16> {
        let Options { features, buf_base, .. } = self.0.options;
        (features & F_AUTO_BUF_REG != 0).then_some((buf_base as u16).wrapping_add(tag))
    }

    /// Chooses a way for a command, and reserves what it takes. The command is made where it is to stay.
    pub(crate) fn plan<'p>(
        &self,
        tag: u16,
        desc: &IoDesc,
        given: &[Given],
        place: &'p mut MaybeUninit<Command>,
    ) -> Result<&'p mut Command> {
        let slot = self.tag(tag)?;
        let request = Request::of(desc)?;
        let parts = secondary::check(given, &request)?;
        let choice = Choice {
            ways: self.0.ways,
            automatic: request.registered,
            copy_most: self.0.options.copy_most,
            bytes: parts.end - parts.start,
            chains: ways::chains(self.0.options.ring_flags),
            sockets: parts.sockets,
        };
        let way = choose(&choice, ways::registered_sockets)?;
        let where_ = self.place(tag);
        Ok(place.write(match way {
            Ways::REGISTER => {
                let index = self.0.take_index(Owner::Command)?;
                Command::register(self.clone(), &where_, index, given, parts)
            }
            Ways::AUTO_REG => {
                let index = self.automatic(tag).unwrap_or(0);
                Command::automatic(self.clone(), index, given, parts)
            }
            Ways::USER_COPY => {
                let mut bounce = self.0.take_bounce(parts.end - parts.start);
                if !request.fills {
                    let filled = self.0.copy_out(tag, &mut bounce, parts.start, parts.end);
                    if let Err(error) = filled {
                        self.0.put_bounce(bounce);
                        return Err(error);
                    }
                }
                Command::copied(self.clone(), tag, request.fills, bounce, given, parts)
            }
            _ => {
                let buffer = self.0.state().buffers.get(slot).copied().unwrap_or(0);
                if buffer == 0 {
                    return Err(Error::Invalid(c"tag: was not fetched"));
                }
                Command::in_place(self.clone(), buffer, given, parts)
            }
        }))
    }
}

impl Shared {
    /// No code that can panic runs with the lock held, but a poisoned lock would be no reason to stop either.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take_index(&self, owner: Owner) -> Result<u16> {
        let none = Error::Because(libc::EAGAIN, c"buf_count: all indices are in use");
        self.state().indices.take(owner).ok_or(none)
    }

    fn take_bounce(&self, bytes: u32) -> Buffer {
        let idle = self.state().idle.pop();
        // Sizes that grow by doubling soon serve every request.
        let large = idle.filter(|buffer| buffer.bytes().len() >= bytes as usize);
        large.unwrap_or_else(|| Buffer::new(u64::from(bytes).next_power_of_two()))
    }

    fn put_bounce(&self, buffer: Buffer) {
        let mut state = self.state();
        if state.idle.len() < usize::from(self.options.depth) {
            state.idle.push(buffer);
        }
    }

    /// Bytes `start..end` of what was written to the device, to the beginning of a buffer.
    fn copy_out(&self, tag: u16, buffer: &mut Buffer, start: u32, end: u32) -> Result<()> {
        let (at, len) = (copy_offset(self.options.q_id, tag, start, false), end - start);
        let into = buffer.bytes_mut().get_mut(..len as usize).unwrap_or(&mut []);
        match file::read(self.device, &mut [std::io::IoSliceMut::new(into)], at)? {
            all if all == len as usize => Ok(()),
            _ => Err(Error::Os(libc::EIO)),
        }
    }

    /// Bytes for what is read from the device, from byte `start` on.
    fn copy_in(&self, tag: u16, bytes: &[u8], start: u32) -> Result<()> {
        let at = copy_offset(self.options.q_id, tag, start, false);
        match file::write(self.device, &[std::io::IoSlice::new(bytes)], at)? {
            all if all == bytes.len() => Ok(()),
            _ => Err(Error::Os(libc::EIO)),
        }
    }
}

#[cfg(test)]
mod tests;
