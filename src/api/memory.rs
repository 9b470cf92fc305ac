//! Memory that a request works on: lent by address, to the kernel and to workers, and held meanwhile.
#![allow(unsafe_code, reason = "promises about addresses")]

use std::fmt;
use std::io::IoSliceMut;
use std::mem::MaybeUninit;

use super::buffer::Buffer;
use crate::error::{Error, Result};
use crate::memory::{Lent, Segments};

/// Where memory lies: in one piece or scattered.
#[derive(Debug, Clone, Copy)]
pub struct Area(Result<Segments>);

/// The kernel's UIO_MAXIOV.
const MAX_IOVECS: usize = 1024;

impl Area {
    /// No memory.
    pub const NONE: Self = Area(Ok(Segments::EMPTY));

    /// One piece.
    pub fn one(bytes: &mut [u8]) -> Self {
        match bytes.len() {
            0 => Self::NONE,
            len => Area(Segments::one(bytes.as_mut_ptr().cast(), len)),
        }
    }

    /// Several, of which at most 1024 make one request.
    pub fn scattered(pieces: &mut [IoSliceMut<'_>]) -> Self {
        if pieces.len() > MAX_IOVECS {
            return Area(Err(Error::Invalid(c"data: more than 1024 pieces")));
        }
        // SAFETY: an IoSliceMut has the layout of an iovec, says std, and there are so many.
        Area(unsafe { Segments::of(pieces.as_mut_ptr().cast(), pieces.len() as u32) })
    }
}

/// What a request can be given to read into or to write from. Exclusively in both cases: the kernel
/// may rewrite the reference tags of what is written, and these lie in the data of some formats.
///
/// Owned memory (`Vec<u8>`, `Box<[u8]>`, [`Buffer`]) comes back with the request; of scattered memory
/// (`&mut [IoSliceMut]`) the array is lent too; `()` is no memory.
///
/// # Safety
/// Until [`area`](Self::area) is called again, or the value is used in any other way than being moved, what it told
/// stays valid for reads and writes, at the same address, and nobody else uses it: wherever the
/// value is moved to, and if it is never dropped.
pub unsafe trait Memory {
    /// Where it lies.
    fn area(&mut self) -> Area;
}

// SAFETY: there is none.
unsafe impl Memory for () {
    fn area(&mut self) -> Area {
        Area::NONE
    }
}

/// Memory by its exclusive bytes.
macro_rules! memory {
    ($($({$($generic:tt)*})? $type:ty;)*) => { $(
        // SAFETY: an exclusive borrow, or the owner of a heap allocation, which moves with neither.
        unsafe impl $(<$($generic)*>)? Memory for $type {
            fn area(&mut self) -> Area {
                Area::one(&mut self[..])
            }
        }
    )* };
}
memory! {
    &mut [u8];
    {const N: usize} &mut [u8; N];
    &mut Vec<u8>;
    &mut Buffer;
    Vec<u8>;
    Box<[u8]>;
    Buffer;
}

// SAFETY: an exclusive borrow of pieces, each of which is one too.
unsafe impl Memory for &mut [IoSliceMut<'_>] {
    fn area(&mut self) -> Area {
        Area::scattered(self)
    }
}

/// Lends memory to a request.
///
/// # Safety
/// `memory` is only moved, and leaked rather than dropped, until the request has ended.
pub(super) unsafe fn lend(memory: &mut impl Memory) -> Result<Lent> {
    let segments = memory.area().0?;
    segments.apart()?;
    // SAFETY: valid and exclusive, says whoever implemented `Memory`, as long as the caller says.
    Ok(unsafe { Lent::new(segments) })
}

/// A value whose memory is lent: moving it must not claim that memory, as moving a `Box` or a `&mut` would,
/// and dropping it must not free it.
pub(super) struct Held<T>(MaybeUninit<T>);

impl<T> Held<T> {
    pub(super) const fn new(value: T) -> Self {
        Held(MaybeUninit::new(value))
    }

    /// To be lent: what is told of it from here stays true when `self` is moved.
    pub(super) const fn inside(&mut self) -> &mut T {
        // SAFETY: `new` is the only way to make one, and it initialises.
        unsafe { self.0.assume_init_mut() }
    }

    /// It is not lent any more.
    pub(super) fn release(self) -> T {
        // SAFETY: as above.
        unsafe { self.0.assume_init() }
    }
}

impl<T> Held<T> {
    /// Drops the value where it is.
    ///
    /// # Safety
    /// It is not lent any more, and neither this nor `release` is called again.
    pub(super) unsafe fn free(&mut self) {
        // SAFETY: initialised by `new`; the rest is the caller's.
        unsafe { self.0.assume_init_drop() };
    }
}

impl<T> fmt::Debug for Held<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Held")
    }
}

/// A value made in a box, where it stays. `make` returns the place that it was given, filled.
pub(super) fn boxed<T>(
    make: impl for<'p> FnOnce(&'p mut MaybeUninit<T>) -> Result<&'p mut T>,
) -> Result<Box<T>> {
    let mut place = Box::<T>::new_uninit();
    let there = place.as_ptr();
    match std::ptr::eq(make(&mut place)?, there) {
        // SAFETY: a `&mut T` to this very place was returned, so there is a T.
        true => Ok(unsafe { place.assume_init() }),
        false => Err(Error::Os(libc::ENOTRECOVERABLE)),
    }
}
