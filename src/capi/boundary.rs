//! Where C's pointers become Rust values: NULL, size, overlap and panics are dealt with here and
//! nowhere else.

use std::ffi::{CStr, c_char, c_int};
use std::mem::size_of;
use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::error::{Error, Result};
pub(super) use crate::memory::{Segments, bytes, slice, slice_mut};

const NULL: Error = Error::Invalid(c"a pointer that must not be NULL is");

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

// SAFETY: one integer.
unsafe impl Plain for u32 {}
// SAFETY: integers, 64 bytes without padding.
unsafe impl Plain for crate::abi::Sqe {}
// SAFETY: integers; the part of a CQE that every ring has.
unsafe impl Plain for [u32; 4] {}
// SAFETY: integers; the part of a CQE of 32 bytes.
unsafe impl Plain for [u64; 4] {}
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
    if size == size_of::<T>() {
        // SAFETY: valid for `size` bytes, the caller says; T takes any bytes.
        return Ok(unsafe { ptr.read_unaligned() });
    }
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

/// Makes an object and hands it to the caller, NULL if that fails; unless he has no place for it.
///
/// # Safety
/// `place` is NULL or valid for a write.
pub(super) unsafe fn hand_out<T>(
    place: *mut *mut T,
    make: impl FnOnce() -> Result<T>,
) -> Result<()> {
    // SAFETY: the caller's. Finds out about NULL before anything is made.
    unsafe { write(place, std::ptr::null_mut()) }?;
    let object = Box::into_raw(Box::new(make()?));
    // SAFETY: as above.
    unsafe { write(place, object) }
}

/// Refuses a reserved member that is not zero.
pub(super) fn reserved(words: &[u64]) -> Result<()> {
    // All of them, or'ed: fewer jumps than one for each.
    match words.iter().fold(0, |all, word| all | word) == 0 {
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
    fn a_panic_becomes_an_errno() {
        assert_eq!(guard(|| panic!("on purpose")), -libc::ENOTRECOVERABLE);
    }
}
