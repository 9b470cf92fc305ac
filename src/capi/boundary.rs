//! Where C's pointers become Rust values: NULL, size, overlap and panics are dealt with here and
//! nowhere else.

use std::ffi::{CStr, c_char, c_int, c_void};
use std::mem::size_of;
use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::error::{Error, Result};

const NULL: Error = Error::Invalid(c"a pointer that must not be NULL is");
const OVERLAP: Error = Error::Invalid(c"buffers overlap");
const TOO_LONG: Error = Error::Invalid(c"a length that no memory can have");

/// Runs the body of an exported function: 0, or the negated errno. A panic, which nothing here should
/// be able to cause, ends as `-ENOTRECOVERABLE` and not as the end of the caller's process.
pub(super) fn guard(body: impl FnOnce() -> Result<()>) -> c_int {
    // Unwind safety: no function keeps state across calls that a panic could leave half changed.
    match catch_unwind(AssertUnwindSafe(body)) {
        Ok(Ok(())) => 0,
        Ok(Err(error)) => -error.errno(),
        Err(_) => -libc::ENOTRECOVERABLE,
    }
}

/// The same for a body that returns a value of its own, with `fallback` for a panic.
pub(super) fn guard_value<T>(fallback: T, body: impl FnOnce() -> T) -> T {
    catch_unwind(AssertUnwindSafe(body)).unwrap_or(fallback)
}

/// The same, and tells why through an out-parameter that may be NULL: static text on success too.
///
/// # Safety
/// As [`write`].
pub(super) unsafe fn guard_why(
    why: *mut *const c_char,
    body: impl FnOnce() -> Result<()>,
    success: &'static CStr,
) -> c_int {
    guard(|| {
        let result = body();
        let text = result.err().map_or(success, Error::why);
        if !why.is_null() {
            // SAFETY: not NULL; the rest is the caller's.
            unsafe { write(why, text.as_ptr()) }?;
        }
        result
    })
}

/// A struct that the compiler may read from any initialised bytes.
///
/// # Safety
/// Every bit pattern is a value: integers, raw pointers and arrays of them, no padding.
pub(super) unsafe trait Plain: Copy {}

// SAFETY: integers, 64 bytes without padding.
unsafe impl Plain for crate::abi::Sqe {}
// SAFETY: integers; the part of a CQE that every ring has.
unsafe impl Plain for [u32; 4] {}
// SAFETY: integers; the words of a struct urx_pi that are in use.
unsafe impl Plain for [u64; 3] {}

/// Reads a struct without `size`. Alignment does not matter.
///
/// # Safety
/// `ptr` is NULL or valid for reads.
pub(super) unsafe fn read<T: Plain>(ptr: *const T) -> Result<T> {
    if ptr.is_null() {
        return Err(NULL);
    }
    // SAFETY: not NULL, the rest is the caller's; T takes any bytes.
    Ok(unsafe { ptr.read_unaligned() })
}

/// Writes an out-parameter. Alignment does not matter.
///
/// # Safety
/// `ptr` is NULL or valid for writes.
pub(super) unsafe fn write<T: Copy>(ptr: *mut T, value: T) -> Result<()> {
    if ptr.is_null() {
        return Err(NULL);
    }
    // SAFETY: not NULL, the rest is the caller's.
    unsafe { ptr.write_unaligned(value) };
    Ok(())
}

/// A struct whose first member is its `size`, so that it can grow at its end.
///
/// # Safety
/// As [`Plain`], and the first member is a `u32`.
pub(super) unsafe trait Sized: Plain {
    /// Its size in the first release that had it.
    const FIRST: usize;
}

/// Largest `size` that is looked at.
const LARGEST: usize = 4096;

/// The `size` that the caller gave, if a struct may have it.
///
/// # Safety
/// `ptr` is NULL or valid for a read of its `size` member.
unsafe fn given_size<T: Sized>(ptr: *const T) -> Result<usize> {
    if ptr.is_null() {
        return Err(NULL);
    }
    // SAFETY: not NULL; the first member is a u32.
    let size = unsafe { ptr.cast::<u32>().read_unaligned() } as usize;
    match size {
        _ if size < T::FIRST => Err(Error::Invalid(c"size: less than the struct ever had")),
        _ if size > LARGEST => Err(Error::Invalid(c"size: more than any struct has")),
        _ => Ok(size),
    }
}

/// Reads a struct with `size`: members that an older caller does not know are zero, and what a newer
/// one knows beyond ours must be.
///
/// # Safety
/// `ptr` is NULL or valid for reads of as many bytes as its `size` says.
pub(super) unsafe fn read_sized<T: Sized>(ptr: *const T) -> Result<T> {
    // SAFETY: the caller's.
    let size = unsafe { given_size(ptr) }?;
    let ours = size_of::<T>().min(size);
    // SAFETY: valid for `size` bytes, the caller says; u8 has no alignment and takes any value.
    let bytes = unsafe { std::slice::from_raw_parts(ptr.cast::<u8>(), size) };
    let (known, tail) = bytes.split_at_checked(ours).ok_or(NULL)?;
    if tail.iter().any(|byte| *byte != 0) {
        return Err(Error::Newer(c"size: the struct uses members that this library does not know"));
    }
    // SAFETY: T is plain data, for which all zeros are a value.
    let mut value: T = unsafe { std::mem::zeroed() };
    // SAFETY: `ours` is at most the size of T and of the source; they are different objects.
    unsafe { std::ptr::copy_nonoverlapping(known.as_ptr(), (&raw mut value).cast(), ours) };
    Ok(value)
}

/// Writes a struct with `size` back, as much of it as the caller knows. `size` itself stays his.
///
/// # Safety
/// `ptr` is NULL or valid for writes of as many bytes as its `size` says.
pub(super) unsafe fn write_sized<T: Sized>(ptr: *mut T, value: &T) -> Result<()> {
    // SAFETY: the caller's.
    let size = unsafe { given_size(ptr.cast_const()) }?;
    let (skip, ours) = (size_of::<u32>(), size_of::<T>().min(size));
    let from = std::ptr::from_ref(value).cast::<u8>();
    // SAFETY: `ours` is at most the size of T and of what the caller has, and at least FIRST, which
    // no struct has below 4; `value` is ours, so they do not overlap.
    unsafe {
        std::ptr::copy_nonoverlapping(from.add(skip), ptr.cast::<u8>().add(skip), ours - skip)
    };
    Ok(())
}

/// The bytes of `count` items of `size` bytes.
pub(super) fn bytes(count: usize, size: usize) -> Result<usize> {
    count.checked_mul(size).filter(|n| isize::try_from(*n).is_ok()).ok_or(TOO_LONG)
}

/// Memory to be read. Length 0 never looks at the pointer.
///
/// # Safety
/// Length 0, or `ptr` is NULL or valid for `len` bytes as long as `'a`, unchanged.
pub(super) unsafe fn slice<'a>(ptr: *const u8, len: usize) -> Result<&'a [u8]> {
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
pub(super) unsafe fn slice_mut<'a>(ptr: *mut u8, len: usize) -> Result<&'a mut [u8]> {
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
pub(super) struct Segments {
    kind: Kind,
    /// Bytes in all.
    pub(super) bytes: u64,
    /// All addresses, or'ed.
    pub(super) addresses: u64,
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
    pub(super) const EMPTY: Self = Segments {
        kind: Kind::Many(std::ptr::null(), 0),
        bytes: 0,
        addresses: 0,
        range: (usize::MAX, 0),
        ascending: true,
    };

    pub(super) fn one(ptr: *const c_void, len: usize) -> Result<Self> {
        let kind = Kind::One(ptr.cast_mut().cast(), len);
        Segments { kind, ..Self::EMPTY }.with(ptr.cast(), len)
    }

    /// # Safety
    /// `count` is 0, or `iov` is NULL or valid for reads of so many.
    pub(super) unsafe fn of(iov: *const libc::iovec, count: u32) -> Result<Self> {
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
    pub(super) unsafe fn slices<'a>(&self) -> impl Iterator<Item = &'a [u8]> + Clone + use<'a> {
        // SAFETY: the caller's.
        self.areas().filter_map(|(ptr, len)| unsafe { slice(ptr, len) }.ok())
    }

    /// The same to be written.
    ///
    /// # Safety
    /// As [`slices`](Self::slices), valid for writes too, and used by nobody else: see
    /// [`apart`](Self::apart) and [`not_overlapping`](Self::not_overlapping).
    pub(super) unsafe fn slices_mut<'a>(&self) -> impl Iterator<Item = &'a mut [u8]> + use<'a> {
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
    pub(super) fn apart(&self) -> Result<()> {
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
    pub(super) fn not_overlapping(&self, others: &[&Segments]) -> Result<()> {
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

/// Text that ends in NUL.
///
/// # Safety
/// `text` is NULL or a C string as long as `'a`.
pub(super) unsafe fn text<'a>(text: *const c_char) -> Result<&'a CStr> {
    if text.is_null() {
        return Err(NULL);
    }
    // SAFETY: not NULL; the rest is the caller's.
    Ok(unsafe { CStr::from_ptr(text) })
}

/// An opaque object of ours.
///
/// # Safety
/// `ptr` is NULL or came from `Box::into_raw` and is not freed during `'a`.
pub(super) unsafe fn object<'a, T>(ptr: *const T) -> Result<&'a T> {
    // SAFETY: NULL becomes None; the rest is the caller's.
    unsafe { ptr.as_ref() }.ok_or(NULL)
}

/// Refuses a reserved member that is not zero.
pub(super) fn reserved(words: &[u64]) -> Result<()> {
    match words.iter().all(|word| *word == 0) {
        true => Ok(()),
        false => Err(Error::Invalid(c"reserved: a member that must be zero is not")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[repr(C)]
    #[derive(Clone, Copy, Debug, PartialEq)]
    struct Grown {
        size: u32,
        first: u32,
        second: u64,
    }
    // SAFETY: two u32 and a u64, no padding; `size` comes first.
    unsafe impl Plain for Grown {}
    // SAFETY: as above.
    unsafe impl Sized for Grown {
        const FIRST: usize = 8;
    }

    fn read_grown(words: &[u32; 6]) -> Result<Grown> {
        // SAFETY: 24 bytes, and no test gives a larger size.
        unsafe { read_sized(words.as_ptr().cast::<Grown>()) }
    }

    #[test]
    fn callers_of_any_age() {
        let old = Grown { size: 8, first: 7, second: 0 };
        assert_eq!(read_grown(&[8, 7, 9, 9, 9, 9]), Ok(old), "older: the rest is zero");
        let same = Grown { size: 16, first: 7, second: 9 };
        assert_eq!(read_grown(&[16, 7, 9, 0, 5, 5]), Ok(same));
        assert_eq!(read_grown(&[24, 7, 9, 0, 0, 0]).map(|g| g.second), Ok(9));
        assert_eq!(read_grown(&[24, 7, 9, 0, 0, 1]).unwrap_err().errno(), libc::E2BIG);
        assert_eq!(read_grown(&[7, 7, 9, 0, 0, 0]).unwrap_err().errno(), libc::EINVAL);
        assert_eq!(read_grown(&[5000, 7, 9, 0, 0, 0]).unwrap_err().errno(), libc::EINVAL);
    }

    #[test]
    fn what_an_old_caller_does_not_know_is_not_written() {
        let mut words = [8u32, 1, 1, 1, 1, 1];
        let new = Grown { size: 0, first: 2, second: 3 };
        // SAFETY: 24 bytes, of which size says 8.
        unsafe { write_sized(words.as_mut_ptr().cast(), &new) }.unwrap();
        assert_eq!(words, [8, 2, 1, 1, 1, 1]);
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

    #[test]
    fn a_panic_becomes_an_errno() {
        assert_eq!(guard(|| panic!("on purpose")), -libc::ENOTRECOVERABLE);
    }
}
