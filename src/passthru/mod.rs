//! A request as NVMe commands by ioctl: cut to what the device takes, copied where the namespace wants
//! its bytes in another shape, reference tags remapped as the block layer would.

mod access;
mod issue;

use std::io::IoSliceMut;
use std::os::fd::BorrowedFd;

pub use access::Access;

use crate::command::{Extent, Op, Request, Span, nvme};
use crate::completion::Outcome;
use crate::error::{Error, Result};
use crate::geometry::Format;
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

/// Does a checked request that starts at block `lba` of the namespace. One that takes several commands
/// ends with the first that fails.
pub(crate) fn run(
    device: &Device<'_>,
    request: &mut Request,
    extent: &Extent,
    lba: u64,
) -> Outcome {
    let shape = Shape::of(&device.format, request, extent, lba);
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

/// How the bytes of a request lie, and how the namespace wants them.
struct Shape {
    /// Data bytes of a block in the caller's memory, and on their way.
    data: [u64; 2],
    /// Metadata bytes of a block apart from the data, likewise.
    meta: [u64; 2],
    /// Numbers that the caller's reference tags start with, and the device's, if they differ.
    remap: Option<(Pi, u128, u128)>,
}

const CALLER: usize = 0;
const WIRE: usize = 1;

impl Shape {
    fn of(format: &Format, request: &Request, extent: &Extent, lba: u64) -> Self {
        let (interval, meta) = (u64::from(format.interval()), u64::from(format.meta_size()));
        let shape = |data, meta, remap| Shape { data, meta, remap };
        if !request.op.has_data() {
            return shape([0; 2], [0; 2], None);
        }
        if request.meta.segments().bytes == 0 && !extent.interleaved {
            return shape([interval; 2], [0; 2], None); // none, or PRACT
        }
        let to = request.device_reference(format, lba);
        let needed = request.needs_remap(format, lba).then(|| Pi::new(format).ok()).flatten();
        let remap = needed.map(|pi| (pi, request.tags.reference, to));
        match (format.interleaved(), extent.interleaved) {
            (false, _) => shape([interval; 2], [meta; 2], remap),
            (true, true) => shape([interval + meta; 2], [0; 2], remap),
            (true, false) => shape([interval, interval + meta], [meta, 0], remap),
        }
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
        let pieces = device.limits.pieces().saturating_sub(1).max(1) * 4096;
        most.min(pieces / wire).min(BOUNCE / wire).max(1)
    }

    fn part(
        &self,
        device: &Device<'_>,
        request: &mut Request,
        span: &Span,
        done: u64,
    ) -> Result<Answer> {
        let blocks = u64::from(span.blocks);
        let reference = request.device_reference(&device.format, span.lba.wrapping_sub(done));
        let reference = match device.format.checks().contains(crate::geometry::Checks::REF) {
            true => reference.wrapping_add(done.into()),
            false => reference,
        };
        let command = nvme(request, span, &device.format, reference);
        let reads = request.op == Op::Read;
        let [data_at, meta_at] = [done * self.data[CALLER], done * self.meta[CALLER]];
        let [data_len, meta_len] = [blocks * self.data[CALLER], blocks * self.meta[CALLER]];
        let remap = |reverse: bool, segments: &mut dyn Iterator<Item = &mut [u8]>| {
            let Some((pi, from, to)) = &self.remap else {
                return Ok(());
            };
            let (from, to) = (from.wrapping_add(done.into()), to.wrapping_add(done.into()));
            let (from, to) = if reverse { (to, from) } else { (from, to) };
            pi.remap_scattered(from, to, blocks, segments)
        };
        // Other than the caller's own memory: in another shape, in one piece, or not to be changed.
        let mut data = request.data.window(data_at, data_len);
        let mut meta = request.meta.window(meta_at, meta_len);
        let meta: &mut [u8] = meta.first_mut().map_or(&mut [], |one| &mut one[..]);
        let interleaved = self.data[WIRE] > u64::from(device.format.interval());
        let scattered = data.len() > 1
            && !(device.vectors
                && device.via == Via::Io64
                && data.len() as u64 <= device.limits.pieces() / 2
                && data.iter().map(|piece| piece.len() as u64 / 4096 + 2).sum::<u64>()
                    <= device.limits.pieces());
        let changes = self.remap.is_some() && !reads;
        if !self.reshapes() && !scattered && !changes {
            let answer = issue(device, &command, &mut data, meta, self.wire(blocks))?;
            if reads && answer.0 == 0 {
                match interleaved {
                    true => remap(true, &mut data.iter_mut().map(|piece| &mut piece[..]))?,
                    false => remap(true, &mut std::iter::once(meta))?,
                }
            }
            return Ok(answer);
        }
        let (wire_data, wire_meta) = self.wire(blocks);
        let mut copy = vec![0u8; wire_data];
        let mut meta_copy = vec![0u8; if changes { wire_meta } else { 0 }];
        let per = [self.data[CALLER] as usize, self.data[WIRE] as usize];
        if !reads {
            gather(&data, per[CALLER], &mut copy, per[WIRE])?;
            if self.reshapes() {
                interleave(meta, per[WIRE] - per[CALLER], &mut copy, per)?;
            }
            if changes && !interleaved {
                meta_copy.copy_from_slice(meta);
                remap(false, &mut std::iter::once(&mut meta_copy[..]))?;
            }
            if changes && interleaved {
                remap(false, &mut std::iter::once(&mut copy[..]))?;
            }
        }
        let apart: &mut [u8] = match (self.reshapes(), changes && !interleaved) {
            (true, _) => &mut [],
            (false, true) => &mut meta_copy,
            (false, false) => &mut *meta,
        };
        let mut one = [IoSliceMut::new(&mut copy)];
        let answer = issue(device, &command, &mut one, apart, (wire_data, wire_meta))?;
        if reads && answer.0 == 0 {
            if interleaved {
                remap(true, &mut std::iter::once(&mut copy[..]))?;
            } else {
                remap(true, &mut std::iter::once(&mut *meta))?;
            }
            if self.reshapes() {
                separate(&copy, per, meta)?;
            }
            scatter(&copy, per, &mut data)?;
        }
        Ok(answer)
    }

    /// Bytes of data and of metadata that so many blocks take on their way.
    fn wire(&self, blocks: u64) -> (usize, usize) {
        ((blocks * self.data[WIRE]) as usize, (blocks * self.meta[WIRE]) as usize)
    }
}

const SHORT: Error = Error::Invalid(c"data: shorter than the request says");

/// Copies pieces of `from` bytes a block to the beginning of each `to` bytes.
fn gather(pieces: &[IoSliceMut<'_>], from: usize, copy: &mut [u8], to: usize) -> Result<()> {
    let mut bytes = pieces.iter().map(|piece| &piece[..]);
    let mut head: &[u8] = &[];
    for block in copy.chunks_exact_mut(to) {
        let (mut room, _) = block.split_at_mut_checked(from).ok_or(SHORT)?;
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
fn interleave(meta: &[u8], size: usize, copy: &mut [u8], per: [usize; 2]) -> Result<()> {
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
