//! Memory of a caller's that a request works on: in one piece or scattered over iovecs, checked before it
//! becomes slices.
#![allow(unsafe_code, reason = "raw pointers from C")]

use std::ffi::c_void;
use std::io::IoSliceMut;
use std::ops::Deref;

use crate::error::{Error, Result};

const NULL: Error = Error::Invalid(c"a pointer that must not be NULL is");
const OVERLAP: Error = Error::Invalid(c"buffers overlap");
const TOO_LONG: Error = Error::Invalid(c"a length that no memory can have");

/// The bytes of `count` items of `size` bytes.
pub(crate) fn bytes(count: usize, size: usize) -> Result<usize> {
    count.checked_mul(size).filter(|n| isize::try_from(*n).is_ok()).ok_or(TOO_LONG)
}

/// Memory to be read. Length 0 never looks at the pointer.
///
/// # Safety
/// Length 0, or `ptr` is NULL or valid for `len` bytes as long as `'a`, unchanged.
pub(crate) unsafe fn slice<'a>(ptr: *const u8, len: usize) -> Result<&'a [u8]> {
    match len {
        0 => Ok(&[]),
        _ if ptr.is_null() => Err(NULL),
        _ if isize::try_from(len).is_err() => Err(TOO_LONG),
        // SAFETY: not NULL, not longer than memory can be; the rest is the caller's.
        _ => Ok(unsafe { std::slice::from_raw_parts(ptr, len) }),
    }
}

/// Memory to be written. Length 0 never looks at the pointer.
///
/// # Safety
/// Length 0, or `ptr` is NULL or valid for `len` bytes as long as `'a`, used by nobody else.
pub(crate) unsafe fn slice_mut<'a>(ptr: *mut u8, len: usize) -> Result<&'a mut [u8]> {
    match len {
        0 => Ok(&mut []),
        _ if ptr.is_null() => Err(NULL),
        _ if isize::try_from(len).is_err() => Err(TOO_LONG),
        // SAFETY: not NULL, not longer than memory can be; the rest is the caller's.
        _ => Ok(unsafe { std::slice::from_raw_parts_mut(ptr, len) }),
    }
}

/// Memory in one piece or scattered over iovecs, not looked at yet.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pieces {
    kind: Kind,
    /// Bytes in all.
    pub(crate) bytes: u64,
}

#[derive(Debug, Clone, Copy)]
enum Kind {
    One(*mut u8),
    Many(*const libc::iovec, u32),
}

/// The same as long as it is compared with other memory, and what that takes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Segments {
    pieces: Pieces,
    /// The smallest range that holds all.
    range: (usize, usize),
    /// Each segment lies behind the one before.
    ascending: bool,
}

impl Deref for Segments {
    type Target = Pieces;

    fn deref(&self) -> &Pieces {
        &self.pieces
    }
}

impl Pieces {
    const NONE: Self = Pieces { kind: Kind::Many(std::ptr::null(), 0), bytes: 0 };

    /// Address and length of each.
    pub(crate) fn areas(&self) -> impl Iterator<Item = (*mut u8, usize)> + Clone + use<> {
        let Pieces { kind, bytes } = *self;
        let count = match kind {
            Kind::One(_) => 1,
            Kind::Many(_, count) => count,
        };
        (0..count).map(move |n| match kind {
            Kind::One(ptr) => (ptr, bytes as usize),
            Kind::Many(iov, _) => {
                // SAFETY: `n` is below the number that `of` was given.
                let iovec = unsafe { iov.add(n as usize).read_unaligned() };
                (iovec.iov_base.cast(), iovec.iov_len)
            }
        })
    }

    /// All addresses, or'ed.
    #[inline]
    pub(crate) fn addresses(&self) -> u64 {
        match self.kind {
            Kind::One(ptr) => ptr.addr() as u64,
            Kind::Many(..) => self.areas().fold(0, |all, (ptr, _)| all | ptr.addr() as u64),
        }
    }

    /// Its address, if it is one piece.
    pub(crate) fn pointer(&self) -> Option<*mut u8> {
        match self.kind {
            Kind::One(ptr) => Some(ptr),
            Kind::Many(..) => None,
        }
    }

    /// The same as a number; 0 if it is scattered.
    pub(crate) fn address(&self) -> u64 {
        self.pointer().map_or(0, |ptr| ptr.addr() as u64)
    }

    /// Address and length of the array of iovecs, if it is scattered.
    pub(crate) fn vector(&self) -> Option<(*const libc::iovec, u32)> {
        match self.kind {
            Kind::One(_) => None,
            Kind::Many(iov, count) => Some((iov, count)),
        }
    }

    /// Pages of `1 << shift` bytes that the segments touch: as many as a device may need to be told.
    #[inline(always)]
    pub(crate) fn pages(&self, shift: u32) -> u64 {
        let touched = |(ptr, len): (*mut u8, usize)| match len {
            0 => 0,
            _ => (((ptr.addr() + len - 1) >> shift) - (ptr.addr() >> shift) + 1) as u64,
        };
        match self.kind {
            Kind::One(ptr) => touched((ptr, self.bytes as usize)),
            Kind::Many(..) => self.areas().map(touched).sum(),
        }
    }

    /// Whether each piece is a multiple of so many bytes.
    pub(crate) fn are_whole(&self, size: usize) -> bool {
        self.areas().all(|(_, len)| len.is_multiple_of(size))
    }

    /// Whether two pieces meet elsewhere than at the edge of such pages, so that a device which is told of
    /// memory by the page needs a copy.
    #[inline]
    pub(crate) fn has_gaps(&self, shift: u32) -> bool {
        self.vector().is_some() && gaps(self.areas().map(|(ptr, len)| (ptr.addr(), len)), shift)
    }

    /// The bytes themselves. A segment that cannot be memory is left out.
    ///
    /// # Safety
    /// All of it is valid for reads as long as `'a`, unchanged, the array of iovecs too.
    pub(crate) unsafe fn slices<'a>(&self) -> impl Iterator<Item = &'a [u8]> + Clone + use<'a> {
        // SAFETY: the caller's.
        self.areas().filter_map(|(ptr, len)| unsafe { slice(ptr, len) }.ok())
    }

    /// The same to be written.
    ///
    /// # Safety
    /// As [`slices`](Self::slices), valid for writes too, and used by nobody else: see
    /// [`apart`](Segments::apart) and [`not_overlapping`](Segments::not_overlapping).
    pub(crate) unsafe fn slices_mut<'a>(&self) -> impl Iterator<Item = &'a mut [u8]> + use<'a> {
        // SAFETY: the caller's.
        self.areas().filter_map(|(ptr, len)| unsafe { slice_mut(ptr, len) }.ok())
    }

    /// The array that tells them, which must not change meanwhile.
    fn array(&self) -> (*mut u8, usize) {
        match self.kind {
            Kind::One(_) => (std::ptr::null_mut(), 0),
            Kind::Many(iov, n) => (iov.cast_mut().cast(), n as usize * size_of::<libc::iovec>()),
        }
    }
}

impl Segments {
    pub(crate) const EMPTY: Self =
        Segments { pieces: Pieces::NONE, range: (usize::MAX, 0), ascending: true };

    #[inline]
    pub(crate) fn one(ptr: *const c_void, len: usize) -> Result<Self> {
        let end = end_of(ptr.cast(), len)?;
        let pieces = Pieces { kind: Kind::One(ptr.cast_mut().cast()), bytes: len as u64 };
        Ok(Segments { pieces, range: (ptr.addr(), end), ascending: true })
    }

    /// # Safety
    /// `count` is 0, or `iov` is NULL or valid for reads of so many.
    pub(crate) unsafe fn of(iov: *const libc::iovec, count: u32) -> Result<Self> {
        if iov.is_null() && count != 0 {
            return Err(NULL);
        }
        let mut all = Self::EMPTY;
        all.pieces.kind = Kind::Many(iov, count);
        for (ptr, len) in all.areas() {
            let (start, end) = (ptr.addr(), end_of(ptr, len)?);
            if len != 0 {
                all.pieces.bytes = all.bytes.checked_add(len as u64).ok_or(TOO_LONG)?;
                all.ascending &= start >= all.range.1;
                all.range = (all.range.0.min(start), all.range.1.max(end));
            }
        }
        Ok(all)
    }

    /// Refuses segments to be written of which two overlap, or one and their array.
    #[inline(always)]
    pub(crate) fn apart(&self) -> Result<()> {
        match self.kind {
            Kind::One(_) => Ok(()),
            Kind::Many(..) => self.pieces_apart(),
        }
    }

    fn pieces_apart(self) -> Result<()> {
        if self.areas().any(|area| overlap(area, self.array())) {
            return Err(OVERLAP);
        }
        if self.ascending {
            return Ok(());
        }
        let pairs = self.areas().enumerate();
        match pairs.clone().any(|(n, a)| pairs.clone().take(n).any(|(_, b)| overlap(a, b))) {
            true => Err(OVERLAP),
            false => Ok(()),
        }
    }

    /// Refuses others that overlap these, which are to be written.
    #[inline(always)]
    pub(crate) fn not_overlapping(&self, others: &[&Segments]) -> Result<()> {
        for other in others {
            let near = self.range.0 < other.range.1 && other.range.0 < self.range.1;
            // Two buffers far from each other, as nearly always.
            if near || matches!(other.kind, Kind::Many(..)) {
                self.pieces_not_overlapping(**other, near)?;
            }
        }
        Ok(())
    }

    fn pieces_not_overlapping(self, other: Segments, near: bool) -> Result<()> {
        if self.areas().any(|area| overlap(area, other.array())) {
            return Err(OVERLAP);
        }
        match near && self.areas().any(|a| other.areas().any(|b| overlap(a, b))) {
            true => Err(OVERLAP),
            false => Ok(()),
        }
    }
}

/// [`Pieces::has_gaps`] for any pieces, which are addresses and lengths.
pub(crate) fn gaps(pieces: impl Iterator<Item = (usize, usize)>, shift: u32) -> bool {
    let mut last_end = None;
    let mut whole = pieces.filter(|(_, len)| *len != 0);
    whole.any(|(start, len)| {
        let before = last_end.replace(start.wrapping_add(len));
        before.is_some_and(|end| (start | end) & ((1 << shift) - 1) != 0)
    })
}

/// Where memory ends. Of length 0 it may be anywhere, as nobody looks.
#[inline]
fn end_of(ptr: *const u8, len: usize) -> Result<usize> {
    match len {
        0 => Ok(ptr.addr()),
        _ if ptr.is_null() => Err(NULL),
        _ => ptr.addr().checked_add(bytes(len, 1)?).ok_or(TOO_LONG),
    }
}

fn overlap(a: (*mut u8, usize), b: (*mut u8, usize)) -> bool {
    let end = |(start, len): (*mut u8, usize)| start.addr().saturating_add(len);
    a.1 != 0 && b.1 != 0 && a.0.addr() < end(b) && b.0.addr() < end(a)
}

/// Makes every page of some memory the process's own, as a write does. One that was never written may be the kernel's page
/// of zeros, and 6.12 has been seen to let a device read metadata into that: then every program's fresh memory
/// holds it.
pub(crate) fn own_pages(bytes: &mut [u8]) {
    let mut at = 0;
    while let Some(byte) = bytes.get_mut(at) {
        let byte = std::ptr::from_mut(byte);
        // SAFETY: an exclusive byte. What it holds stays.
        unsafe { byte.write_volatile(byte.read_volatile()) };
        at += PAGE - byte.addr() % PAGE;
    }
}

/// The smallest there is.
const PAGE: usize = 4096;

/// Memory that its owner has lent until the request that works on it has ended: what a slice needs to be
/// sound, promised once.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Lent(Pieces);

// SAFETY: whoever made it promised that the memory is the request's alone, whichever thread works on it.
unsafe impl Send for Lent {}

impl Lent {
    /// No memory at all.
    pub(crate) const NONE: Self = Lent(Pieces::NONE);

    /// # Safety
    /// All of it, and the array of iovecs, is valid for reads and writes and used by nobody else, nor by
    /// another `Lent`, until the request that it is made for has ended. It was checked to lie
    /// [`apart`](Segments::apart) if anything will be written there.
    pub(crate) const unsafe fn new(segments: Segments) -> Self {
        Lent(segments.pieces)
    }

    /// For tests of what only compares addresses: never to be looked at.
    #[cfg(test)]
    pub(crate) fn nowhere(address: usize, len: usize) -> Self {
        Lent(Segments::one(std::ptr::without_provenance(address), len).unwrap().pieces)
    }

    /// The same, scattered.
    #[cfg(test)]
    pub(crate) fn nowhere_in(pieces: &[(usize, usize)]) -> Self {
        let iovec = |(address, len): &(usize, usize)| libc::iovec {
            iov_base: std::ptr::without_provenance_mut(*address),
            iov_len: *len,
        };
        let array = Box::leak(pieces.iter().map(iovec).collect::<Box<[_]>>());
        // SAFETY: so many, for ever.
        Lent(unsafe { Segments::of(array.as_ptr(), array.len() as u32) }.unwrap().pieces)
    }

    /// Where it lies.
    pub(crate) const fn segments(&self) -> &Pieces {
        &self.0
    }

    /// The bytes.
    pub(crate) fn slices(&self) -> impl Iterator<Item = &[u8]> + Clone {
        // SAFETY: `new`'s caller, as long as the request lives, of which this is a part.
        unsafe { self.0.slices() }
    }

    /// `len` bytes from byte `at` on, piece by piece, to be changed; less if there are not so many.
    pub(crate) fn window(&mut self, at: u64, len: u64) -> Vec<IoSliceMut<'_>> {
        let (mut skip, mut left) = (at, len);
        let part = move |slice: &mut [u8]| {
            let start = skip.min(slice.len() as u64);
            skip -= start;
            let taken = left.min(slice.len() as u64 - start);
            left -= taken;
            start as usize..(start + taken) as usize
        };
        let mut part = part;
        let pieces = self.slices_mut().filter_map(|slice| {
            let range = part(slice);
            slice.get_mut(range).filter(|piece| !piece.is_empty())
        });
        pieces.map(IoSliceMut::new).collect()
    }

    /// See [`own_pages`].
    pub(crate) fn own_pages(mut self) {
        self.slices_mut().for_each(own_pages);
    }

    /// The bytes, to be changed.
    pub(crate) fn slices_mut(&mut self) -> impl Iterator<Item = &mut [u8]> {
        // SAFETY: `new`'s caller; the exclusive borrow keeps other slices of it away.
        unsafe { self.0.slices_mut() }
    }
}

/// Memory of several requests, one piece behind the other: an array of iovecs, which stays where it is.
#[derive(Debug, Default)]
pub(crate) struct Gathered(Vec<libc::iovec>);

// SAFETY: it is only an array of what was lent, see `Lent`.
unsafe impl Send for Gathered {}

impl Gathered {
    pub(crate) fn add(&mut self, lent: &Lent) {
        let iovec =
            |(ptr, len): (*mut u8, usize)| libc::iovec { iov_base: ptr.cast(), iov_len: len };
        self.0.extend(lent.segments().areas().map(iovec));
    }

    /// Where the array is, and how long.
    pub(crate) fn vector(&self) -> (u64, u32) {
        (self.0.as_ptr().addr() as u64, self.0.len() as u32)
    }
}

/// Memory of the library's own that a request may work on: zeroed, in whole pages.
#[derive(Debug)]
pub(crate) struct Buffer {
    memory: Vec<Page>,
    len: usize,
}

#[derive(Debug, Clone, Copy)]
#[repr(align(4096))]
struct Page(#[allow(dead_code, reason = "bytes")] [u8; 4096]);

impl Buffer {
    pub(crate) fn new(len: u64) -> Self {
        let pages = len.div_ceil(4096) as usize;
        Buffer { memory: vec![Page([0; 4096]); pages], len: len as usize }
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        // SAFETY: pages are bytes, and `len` does not exceed them.
        unsafe { std::slice::from_raw_parts(self.memory.as_ptr().cast(), self.len) }
    }

    /// Where they are, for the kernel.
    pub(crate) fn address(&mut self) -> u64 {
        self.memory.as_mut_ptr().expose_provenance() as u64
    }

    pub(crate) fn bytes_mut(&mut self) -> &mut [u8] {
        // SAFETY: as above, and exclusive like `self`.
        unsafe { std::slice::from_raw_parts_mut(self.memory.as_mut_ptr().cast(), self.len) }
    }

    /// For a request that ends before anything else is done with it.
    pub(crate) fn lend(&mut self) -> Lent {
        match Segments::one(self.memory.as_mut_ptr().cast(), self.len) {
            // SAFETY: exclusive until the request ends, the caller says; one piece lies apart from itself.
            Ok(segments) => unsafe { Lent::new(segments) },
            Err(_) => Lent::NONE,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gaps_are_where_pieces_do_not_meet_at_pages() {
        let of = |pieces: &[(usize, usize)]| Lent::nowhere_in(pieces).segments().has_gaps(12);
        assert!(!of(&[]));
        assert!(!of(&[(4100, 5000)]));
        assert!(!of(&[(4100, 4092), (20480, 8192), (4096, 100)]));
        assert!(!of(&[(4096, 4096), (1, 0), (16384, 4)]), "empty pieces are none");
        assert!(of(&[(4096, 4096), (8200, 4096)]), "starts inside");
        assert!(of(&[(4096, 4092), (8192, 4096)]), "ends inside");
        assert!(of(&[(4096, 512), (4608, 3584)]), "one behind the other, but two pieces");
    }

    #[test]
    fn windows_end_anywhere() {
        let mut memory: Vec<u8> = (0..30).collect();
        let base = memory.as_mut_ptr();
        let iovec =
            |at: usize, len| libc::iovec { iov_base: base.wrapping_add(at).cast(), iov_len: len };
        let array = [iovec(0, 4), iovec(0, 0), iovec(10, 3), iovec(20, 10)];
        // SAFETY: areas of `memory` that lie apart, which lives as long as the test.
        let mut lent = unsafe { Lent::new(Segments::of(array.as_ptr(), 4).unwrap()) };
        let mut bytes = |at, len| -> Vec<Vec<u8>> {
            lent.window(at, len).iter().map(|piece| piece.to_vec()).collect()
        };
        assert_eq!(bytes(0, 4), [[0, 1, 2, 3]]);
        assert_eq!(bytes(3, 3), [vec![3], vec![10, 11]]);
        assert_eq!(bytes(4, 4), [vec![10, 11, 12], vec![20]]);
        assert_eq!(bytes(15, 99), [[28, 29]]);
        assert_eq!(bytes(17, 1), [[0u8; 0]; 0]);
    }

    #[test]
    fn overlap_is_seen_and_touching_is_none() {
        let memory = [0u8; 32];
        let iovec = |(at, len): (usize, usize)| libc::iovec {
            iov_base: memory[at..].as_ptr().cast_mut().cast(),
            iov_len: len,
        };
        let many = |areas: &[(usize, usize)]| -> &'static [libc::iovec] {
            Vec::leak(areas.iter().copied().map(iovec).collect())
        };
        // SAFETY: a live array of so many.
        let of = |iov: &[libc::iovec]| unsafe { Segments::of(iov.as_ptr(), iov.len() as u32) };
        let segments = |areas: &[(usize, usize)]| of(many(areas)).unwrap();

        assert!(segments(&[(0, 8), (8, 8)]).apart().is_ok());
        assert!(segments(&[(8, 8), (0, 8)]).apart().is_ok());
        assert!(segments(&[(8, 8), (4, 0), (0, 9)]).apart().is_err());
        assert!(segments(&[(0, 8), (7, 1)]).apart().is_err());
        assert_eq!(segments(&[(0, 8), (8, 5)]).bytes, 13);

        let pieces = segments(&[(0, 4), (8, 4)]);
        assert!(pieces.not_overlapping(&[&segments(&[(4, 4)]), &segments(&[(12, 9)])]).is_ok());
        assert!(pieces.not_overlapping(&[&segments(&[(4, 4)]), &segments(&[(11, 9)])]).is_err());
        assert!(Segments::one(std::ptr::null(), 1).is_err());
        assert!(Segments::one(memory.as_ptr().cast(), usize::MAX).is_err());
    }
}
