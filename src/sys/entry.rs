//! SQEs as the `io-uring` crate has them. Its entries are opaque, but each is the kernel's SQE and nothing else:
//! `#[repr(C)]` around its 64 or 128 bytes, which `transmute` compares.

use std::mem::transmute;

use io_uring::squeue::{Entry, Entry128};

use crate::abi::{Sqe, SqeNvme};

/// An SQE of 64 bytes.
pub(crate) const fn entry(sqe: &Sqe) -> Entry {
    // SAFETY: 64 bytes each, integers without padding; the kernel judges what they say, and `push` is where
    // somebody vouches for what they point to.
    unsafe { transmute::<Sqe, Entry>(*sqe) }
}

/// One of 128.
pub(crate) const fn entry128(sqe: &SqeNvme) -> Entry128 {
    // SAFETY: as above, 128 bytes each.
    unsafe { transmute::<SqeNvme, Entry128>(*sqe) }
}

/// What an entry says.
pub(crate) const fn sqe(entry: Entry) -> Sqe {
    // SAFETY: 64 bytes each; any bytes are a value of integers.
    unsafe { transmute::<Entry, Sqe>(entry) }
}
