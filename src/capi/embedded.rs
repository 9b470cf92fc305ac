//! What the library keeps in a struct of the caller's, who has not initialised it.

use std::mem::MaybeUninit;

/// The mark of what is kept in the struct at this address: memory that was never used, or copied, has it by no chance.
pub(super) fn seal<C>(lent: *const C, mark: u64) -> u64 {
    mark ^ (lent.addr() as u64).rotate_left(24)
}

/// Whether the struct has its mark.
///
/// # Safety
/// `place` is where the mark lies, in the struct `lent`, which is the caller's and valid.
pub(super) unsafe fn is_sealed<C>(place: *const u64, lent: *const C, mark: u64) -> bool {
    // SAFETY: the caller's. The memory may be uninitialised for the compiler of whoever lent it; a volatile read makes
    // no use of that.
    unsafe { place.read_volatile() == seal(lent, mark) }
}

/// Bytes that a `T` may need beyond its own to be aligned in a struct that is aligned less.
pub(super) const fn spare<T, C>() -> usize {
    align_of::<T>() - align_of::<C>()
}

/// Where a `T` lies: at the first address that is aligned for one.
///
/// # Safety
/// `area` is aligned as the `C` that it is part of, and has `size_of::<T>() + spare::<T, C>()` bytes.
pub(super) unsafe fn room<T>(area: *mut u8) -> *mut MaybeUninit<T> {
    let skip = area.addr().wrapping_neg() % align_of::<T>();
    // SAFETY: `skip` is at most what `spare` counts.
    unsafe { area.add(skip) }.cast()
}
