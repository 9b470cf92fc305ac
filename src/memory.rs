//! Memory of a caller's that a request works on: in one piece or scattered over iovecs, checked before it
//! becomes slices.
#![allow(unsafe_code, reason = "raw pointers from C")]

use std::ffi::c_void;

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
pub(crate) struct Segments {
    kind: Kind,
    /// Bytes in all.
    pub(crate) bytes: u64,
    /// All addresses, or'ed.
    pub(crate) addresses: u64,
    /// The smallest range that holds all.
    range: (usize, usize),
    /// Each segment lies behind the one before.
    ascending: bool,
}

#[derive(Debug, Clone, Copy)]
enum Kind {
    One(*mut u8, usize),
    Many(*const libc::iovec, usize),
}

impl Segments {
    pub(crate) const EMPTY: Self = Segments {
        kind: Kind::Many(std::ptr::null(), 0),
        bytes: 0,
        addresses: 0,
        range: (usize::MAX, 0),
        ascending: true,
    };

    #[inline]
    pub(crate) fn one(ptr: *const c_void, len: usize) -> Result<Self> {
        let kind = Kind::One(ptr.cast_mut().cast(), len);
        Segments { kind, ..Self::EMPTY }.with(ptr.cast(), len)
    }

    /// # Safety
    /// `count` is 0, or `iov` is NULL or valid for reads of so many.
    pub(crate) unsafe fn of(iov: *const libc::iovec, count: u32) -> Result<Self> {
        if iov.is_null() && count != 0 {
            return Err(NULL);
        }
        let mut all = Segments { kind: Kind::Many(iov, count as usize), ..Self::EMPTY };
        for n in 0..count as usize {
            // SAFETY: `n` is below the caller's count.
            let iovec = unsafe { iov.add(n).read_unaligned() };
            all = all.with(iovec.iov_base.cast(), iovec.iov_len)?;
        }
        Ok(all)
    }

    /// With one more.
    #[inline]
    fn with(mut self, ptr: *const u8, len: usize) -> Result<Self> {
        self.addresses |= ptr.addr() as u64;
        if len == 0 {
            return Ok(self);
        }
        if ptr.is_null() {
            return Err(NULL);
        }
        let end = ptr.addr().checked_add(bytes(len, 1)?).ok_or(TOO_LONG)?;
        self.bytes = self.bytes.checked_add(len as u64).ok_or(TOO_LONG)?;
        self.ascending &= ptr.addr() >= self.range.1;
        self.range = (self.range.0.min(ptr.addr()), self.range.1.max(end));
        Ok(self)
    }

    /// Address and length of each.
    fn areas(&self) -> impl Iterator<Item = (*mut u8, usize)> + Clone + use<> {
        let kind = self.kind;
        let count = match kind {
            Kind::One(..) => 1,
            Kind::Many(_, count) => count,
        };
        (0..count).map(move |n| match kind {
            Kind::One(ptr, len) => (ptr, len),
            Kind::Many(iov, _) => {
                // SAFETY: `n` is below the number that `of` was given.
                let iovec = unsafe { iov.add(n).read_unaligned() };
                (iovec.iov_base.cast(), iovec.iov_len)
            }
        })
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
    /// [`apart`](Self::apart) and [`not_overlapping`](Self::not_overlapping).
    pub(crate) unsafe fn slices_mut<'a>(&self) -> impl Iterator<Item = &'a mut [u8]> + use<'a> {
        // SAFETY: the caller's.
        self.areas().filter_map(|(ptr, len)| unsafe { slice_mut(ptr, len) }.ok())
    }

    /// The array that tells them, which must not change meanwhile.
    fn array(&self) -> (*mut u8, usize) {
        match self.kind {
            Kind::One(..) => (std::ptr::null_mut(), 0),
            Kind::Many(iov, n) => {
                (iov.cast_mut().cast(), n.saturating_mul(size_of::<libc::iovec>()))
            }
        }
    }

    /// Refuses segments to be written of which two overlap, or one and their array.
    pub(crate) fn apart(&self) -> Result<()> {
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
    pub(crate) fn not_overlapping(&self, others: &[&Segments]) -> Result<()> {
        for other in others {
            let near = self.range.0 < other.range.1 && other.range.0 < self.range.1;
            if self.areas().any(|area| overlap(area, other.array())) {
                return Err(OVERLAP);
            }
            if near && self.areas().any(|a| other.areas().any(|b| overlap(a, b))) {
                return Err(OVERLAP);
            }
        }
        Ok(())
    }
}

fn overlap(a: (*mut u8, usize), b: (*mut u8, usize)) -> bool {
    let end = |(start, len): (*mut u8, usize)| start.addr().saturating_add(len);
    a.1 != 0 && b.1 != 0 && a.0.addr() < end(b) && b.0.addr() < end(a)
}

#[cfg(test)]
mod tests {
    use super::*;

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
