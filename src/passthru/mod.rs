//! A request as NVMe commands by ioctl: cut to what the device takes, copied where the namespace wants
//! its bytes in another shape, reference tags remapped as the block layer would. What is one command as it is
//! need not wait for an ioctl where the kernel knows better (`commands`).

mod access;
mod commands;
mod issue;

use std::io::IoSliceMut;
use std::iter::once;
use std::os::fd::BorrowedFd;

pub use access::Access;
pub(crate) use commands::Commands;

use crate::abi::NvmePassthru;
use crate::command::{Extent, Op, Request, Span, nvme, report_zones};
use crate::completion::Outcome;
use crate::error::{Error, Result};
use crate::geometry::{Checks, Format};
use crate::memory::{self, Buffer};
use crate::pi::Pi;
use crate::probe::Limits;
use crate::sys::nvme::{Answer, Via};
use issue::issue;

/// Where commands go.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Device<'a> {
    pub(crate) fd: BorrowedFd<'a>,
    pub(crate) via: Via,
    /// Data may be scattered.
    pub(crate) vectors: bool,
    pub(crate) nsid: u32,
    pub(crate) format: Format,
    pub(crate) limits: Limits,
}

/// Bytes of the largest piece that is copied.
const BOUNCE: u64 = 1 << 20;

/// Bytes that surely lie together in memory.
const PAGE_SHIFT: u32 = 12;
const PAGE: u64 = 1 << PAGE_SHIFT;

/// Does a checked request that starts at block `lba` of the namespace. One that takes several commands
/// ends with the first that fails.
pub(crate) fn run(
    device: &Device<'_>,
    request: &mut Request,
    extent: &Extent,
    lba: u64,
) -> Outcome {
    let shape = match Shape::of(&device.format, request, extent, lba) {
        Ok(shape) => shape,
        Err(error) => return Outcome::failed(error.errno()),
    };
    let most = shape.most(device, request);
    let (mut done, mut value) = (0, 0);
    loop {
        let blocks = most.min(extent.blocks - done);
        let span = Span { nsid: device.nsid, lba: lba + done, blocks: blocks as u32 };
        let answer = shape.part(device, request, &span, done);
        let outcome = match answer {
            Ok((status, result)) => Outcome::nvme(status, result, 0),
            Err(error) => Outcome::failed(error.errno()),
        };
        if outcome.res < 0 {
            return outcome;
        }
        if done == 0 {
            value = outcome.value;
        }
        done += blocks;
        if done >= extent.blocks {
            return Outcome { value, ..Outcome::done(request.length as u32) };
        }
    }
}

/// Makes durable what was completed.
pub(crate) fn flush(device: &Device<'_>) -> Result<()> {
    let nothing = Extent { blocks: 0, interleaved: false };
    match run(device, &mut Request::FLUSH.clone(), &nothing, 0).res {
        0.. => Ok(()),
        errno => Err(Error::Os(-errno)),
    }
}

/// Fills whole dwords with the namespace's own report of its zones from the one at `lba` on.
pub(crate) fn zones(device: &Device<'_>, lba: u64, report: &mut [u8]) -> Result<()> {
    let bytes = report.len();
    let command = report_zones(device.nsid, lba, bytes as u32);
    let mut one = [IoSliceMut::new(report)];
    let (status, result) = issue(device, &command, &mut one, &mut [], (bytes, 0))?;
    match Outcome::nvme(status, result, 0).res {
        0.. => Ok(()),
        errno => Err(Error::Os(-errno)),
    }
}

/// How the bytes of a request lie, and how the namespace wants them.
struct Shape {
    /// Data bytes of a block in the caller's memory, and on their way.
    data: [u64; 2],
    /// Metadata bytes of a block apart from the data, likewise.
    meta: [u64; 2],
    remap: Option<Remap>,
}

/// The caller's reference tags differ from the device's.
struct Remap {
    /// Where tuples lie in the caller's memory, and on their way.
    pi: [Pi; 2],
    /// Numbers that the caller's tags start with, and the device's.
    first: [u128; 2],
}

const CALLER: usize = 0;
const WIRE: usize = 1;

impl Shape {
    fn of(format: &Format, request: &Request, extent: &Extent, lba: u64) -> Result<Self> {
        let (interval, meta) = (u64::from(format.interval()), u64::from(format.meta_size()));
        if !request.op.has_data() {
            return Ok(Shape { data: [0; 2], meta: [0; 2], remap: None });
        }
        let bare = request.meta.segments().bytes == 0 && !extent.interleaved;
        let (data, meta) = match (format.interleaved(), extent.interleaved) {
            _ if bare => ([interval; 2], [0; 2]), // there is none, or the device makes it
            (false, _) => ([interval; 2], [meta; 2]),
            (true, true) => ([interval + meta; 2], [0; 2]),
            (true, false) => ([interval, interval + meta], [meta, 0]),
        };
        let remap = match request.needs_remap(format, lba) && !bare {
            true => {
                let callers = extent.lent(format);
                let first = [request.tags.reference, request.device_reference(format, lba)];
                Some(Remap { pi: [Pi::new(&callers)?, Pi::new(format)?], first })
            }
            false => None,
        };
        Ok(Shape { data, meta, remap })
    }

    /// Data is put together from two buffers, or taken apart.
    fn reshapes(&self) -> bool {
        self.data[CALLER] != self.data[WIRE]
    }

    /// Blocks of one command.
    fn most(&self, device: &Device<'_>, request: &Request) -> u64 {
        let most = u64::from(device.limits.blocks_per_command(&device.format));
        let [_, wire] = self.data;
        if wire == 0 || request.op == Op::Append {
            return most; // never cut
        }
        // A buffer may begin and end inside a page.
        let pieces = device.limits.pieces().saturating_sub(1).max(1) * PAGE;
        most.min(pieces / wire).min(BOUNCE / wire).max(1)
    }

    /// One command of it, `done` blocks after the first.
    fn part(
        &self,
        device: &Device<'_>,
        request: &mut Request,
        span: &Span,
        done: u64,
    ) -> Result<Answer> {
        let blocks = u64::from(span.blocks);
        let counts = device.format.checks().contains(Checks::REF);
        let first = request.device_reference(&device.format, span.lba - done);
        let reference = first.wrapping_add(if counts { done.into() } else { 0 });
        let command = nvme(request, span, &device.format, reference);
        let reads = request.op == Op::Read;
        let mut data = request.data.window(done * self.data[CALLER], blocks * self.data[CALLER]);
        let mut meta = request.meta.window(done * self.meta[CALLER], blocks * self.meta[CALLER]);
        let meta: &mut [u8] = meta.first_mut().map_or(&mut [], |one| &mut one[..]);
        let as_it_is = !self.reshapes() && device.takes(&data, meta);
        let answer = match as_it_is && (reads || self.remap.is_none()) {
            true => issue(device, &command, &mut data, meta, self.wire(blocks))?,
            false => self.copied(device, &command, reads, done, blocks, &mut data, meta)?,
        };
        if reads && answer.0 == 0 {
            self.remap(CALLER, done, blocks, &mut data, meta)?;
        }
        Ok(answer)
    }

    /// With copies of the buffers, as the namespace wants them.
    #[allow(clippy::too_many_arguments, reason = "one call, the parts of one command")]
    fn copied(
        &self,
        device: &Device<'_>,
        command: &NvmePassthru,
        reads: bool,
        done: u64,
        blocks: u64,
        data: &mut [IoSliceMut<'_>],
        meta: &mut [u8],
    ) -> Result<Answer> {
        let wire = self.wire(blocks);
        // Aligned for every device: otherwise the kernel would copy once more, see `takes`.
        let (mut pages, mut meta_copy) = (Buffer::new(wire.0 as u64), vec![0; wire.1]);
        let data_copy = pages.bytes_mut();
        let per = [self.data[CALLER] as usize, self.data[WIRE] as usize];
        if !reads {
            gather(data, per, data_copy)?;
            match self.reshapes() {
                true => interleave(meta, per, data_copy)?,
                false => meta_copy.copy_from_slice(meta),
            }
            let mut one = [IoSliceMut::new(data_copy)];
            self.remap(WIRE, done, blocks, &mut one, &mut meta_copy)?;
        }
        let mut one = [IoSliceMut::new(data_copy)];
        let answer = issue(device, command, &mut one, &mut meta_copy, wire)?;
        if reads && answer.0 == 0 {
            scatter(data_copy, per, data)?;
            match self.reshapes() {
                true => separate(data_copy, per, meta)?,
                false => meta.copy_from_slice(&meta_copy),
            }
        }
        Ok(answer)
    }

    /// Makes the reference tags in some memory those of its `side`, as it lies there.
    fn remap(
        &self,
        side: usize,
        done: u64,
        blocks: u64,
        data: &mut [IoSliceMut<'_>],
        meta: &mut [u8],
    ) -> Result<()> {
        let Some(Remap { pi, first }) = &self.remap else {
            return Ok(());
        };
        let [caller, device] = first.map(|first| first.wrapping_add(done.into()));
        let (pi, from, to) = match side {
            CALLER => (&pi[CALLER], device, caller),
            _ => (&pi[WIRE], caller, device),
        };
        match pi.interleaved() {
            true => pi.remap_scattered(from, to, blocks, data.iter_mut().map(|p| &mut p[..])),
            false => pi.remap_scattered(from, to, blocks, once(meta)),
        }
    }

    /// Bytes of data and of metadata that so many blocks take on their way.
    fn wire(&self, blocks: u64) -> (usize, usize) {
        ((blocks * self.data[WIRE]) as usize, (blocks * self.meta[WIRE]) as usize)
    }
}

impl Device<'_> {
    /// Whether one command takes data that lies so. With metadata at its side it must have no gaps: the kernel
    /// copies what has some, and then (seen on 6.18) follows a NULL pointer at the metadata.
    fn takes(&self, data: &[IoSliceMut<'_>], meta: &[u8]) -> bool {
        let areas = data.iter().map(|piece| (piece.as_ptr().addr(), piece.len()));
        if !meta.is_empty() && memory::gaps(areas, PAGE_SHIFT) {
            return false;
        }
        // Each piece may touch one page more than it has, at either end.
        let pages = data.iter().map(|piece| piece.len() as u64 / PAGE + 2).sum::<u64>();
        let vectors = self.vectors && self.via == Via::Io64 && pages <= self.limits.pieces();
        data.len() <= 1 || vectors
    }
}

const SHORT: Error = Error::Invalid(c"data: shorter than the request says");

/// Copies the caller's bytes of each block to where it begins on its way.
fn gather(pieces: &[IoSliceMut<'_>], per: [usize; 2], copy: &mut [u8]) -> Result<()> {
    let mut bytes = pieces.iter().map(|piece| &piece[..]);
    let mut head: &[u8] = &[];
    for block in copy.chunks_exact_mut(per[WIRE]) {
        let (mut room, _) = block.split_at_mut_checked(per[CALLER]).ok_or(SHORT)?;
        while !room.is_empty() {
            if head.is_empty() {
                head = bytes.next().ok_or(SHORT)?;
                continue;
            }
            let n = head.len().min(room.len());
            let (taken, rest) = head.split_at_checked(n).ok_or(SHORT)?;
            let (place, left) = room.split_at_mut_checked(n).ok_or(SHORT)?;
            place.copy_from_slice(taken);
            (head, room) = (rest, left);
        }
    }
    Ok(())
}

/// The reverse of [`gather`].
fn scatter(copy: &[u8], per: [usize; 2], pieces: &mut [IoSliceMut<'_>]) -> Result<()> {
    let mut rooms = pieces.iter_mut().map(|piece| &mut piece[..]);
    let mut room: &mut [u8] = &mut [];
    for block in copy.chunks_exact(per[WIRE]) {
        let mut from = block.get(..per[CALLER]).ok_or(SHORT)?;
        while !from.is_empty() {
            if room.is_empty() {
                room = rooms.next().ok_or(SHORT)?;
                continue;
            }
            let n = from.len().min(room.len());
            let (taken, rest) = from.split_at_checked(n).ok_or(SHORT)?;
            let (place, left) = std::mem::take(&mut room).split_at_mut_checked(n).ok_or(SHORT)?;
            place.copy_from_slice(taken);
            (from, room) = (rest, left);
        }
    }
    Ok(())
}

/// Puts metadata behind the data of each block.
fn interleave(meta: &[u8], per: [usize; 2], copy: &mut [u8]) -> Result<()> {
    let size = per[WIRE] - per[CALLER];
    for (block, meta) in copy.chunks_exact_mut(per[WIRE]).zip(meta.chunks_exact(size)) {
        block.get_mut(per[CALLER]..).ok_or(SHORT)?.copy_from_slice(meta);
    }
    Ok(())
}

/// Takes metadata from behind the data of each block.
fn separate(copy: &[u8], per: [usize; 2], meta: &mut [u8]) -> Result<()> {
    let size = per[WIRE] - per[CALLER];
    for (block, meta) in copy.chunks_exact(per[WIRE]).zip(meta.chunks_exact_mut(size)) {
        meta.copy_from_slice(block.get(per[CALLER]..).ok_or(SHORT)?);
    }
    Ok(())
}
