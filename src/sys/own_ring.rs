//! A small ring of the library's own, for one operation at a time that nobody else submits.

use std::io;
use std::os::fd::{FromRawFd, OwnedFd};

use io_uring::{IoUring, cqueue, squeue};

use super::entry::{entry, entry128};
use crate::abi::{SETUP_CQE32, SETUP_SQE128, Sqe, SqeNvme};
use crate::error::{Error, Result};

/// With large entries where the kernel has them (5.19).
pub(crate) enum OwnRing {
    Large(IoUring<squeue::Entry128, cqueue::Entry32>),
    Small(IoUring),
}

impl std::fmt::Debug for OwnRing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("OwnRing").field("flags", &self.flags()).finish_non_exhaustive()
    }
}

impl OwnRing {
    pub(crate) fn new() -> Result<Self> {
        match IoUring::builder().build(2) {
            Ok(ring) => Ok(OwnRing::Large(ring)),
            Err(error) if error.raw_os_error() == Some(libc::EINVAL) => {
                Ok(OwnRing::Small(IoUring::builder().build(2)?))
            }
            Err(error) => Err(error.into()),
        }
    }

    /// `IORING_SETUP_*`.
    pub(crate) const fn flags(&self) -> u32 {
        match self {
            OwnRing::Large(_) => SETUP_SQE128 | SETUP_CQE32,
            OwnRing::Small(_) => 0,
        }
    }

    /// Submits an operation and waits for its end: `res`, and the first word beyond the usual CQE.
    /// What the SQE points to is memory lent to a request, or on the caller's stack.
    pub(crate) fn submit(&mut self, sqe: &SqeNvme) -> Result<(i32, u64)> {
        // SAFETY: memory lent to a request stays valid until that ends, and this returns when it has.
        let submitted = unsafe {
            match self {
                OwnRing::Large(ring) => {
                    let entry = entry128(sqe);
                    ring.submission().push(&entry).map_err(|_| Error::Os(libc::EBUSY))?;
                    ring.submit_and_wait(1)
                }
                OwnRing::Small(ring) => {
                    let entry = entry(&first_half(sqe));
                    ring.submission().push(&entry).map_err(|_| Error::Os(libc::EBUSY))?;
                    ring.submit_and_wait(1)
                }
            }
        };
        let mut waited = submitted;
        loop {
            // The operation is under way: only its CQE ends the wait.
            if let Some(completed) = self.reap() {
                return Ok(completed);
            }
            let passing = [libc::EINTR, libc::EAGAIN, libc::EBUSY];
            match waited.map_err(Error::from) {
                Err(Error::Os(errno)) if !passing.contains(&errno) => {
                    *self = Self::new()?; // with nothing of this operation in it
                    return Err(Error::Os(errno));
                }
                _ => {}
            }
            waited = match self {
                OwnRing::Large(ring) => ring.submit_and_wait(1),
                OwnRing::Small(ring) => ring.submit_and_wait(1),
            };
        }
    }

    fn reap(&mut self) -> Option<(i32, u64)> {
        match self {
            OwnRing::Large(ring) => {
                let cqe = ring.completion().next()?;
                Some((cqe.result(), cqe.big_cqe()[0]))
            }
            OwnRing::Small(ring) => Some((ring.completion().next()?.result(), 0)),
        }
    }
}

fn first_half(sqe: &SqeNvme) -> Sqe {
    // SAFETY: the first 64 of 128 bytes, integers without padding in both.
    unsafe { std::ptr::from_ref(sqe).cast::<Sqe>().read() }
}

/// An SQE of 64 bytes in one of 128.
pub(crate) fn widened(sqe: &Sqe) -> SqeNvme {
    let mut wide = SqeNvme::default();
    // SAFETY: the first 64 of 128 bytes, integers without padding in both.
    unsafe { std::ptr::from_mut(&mut wide).cast::<Sqe>().write(*sqe) };
    wide
}

/// `IORING_FEAT_*` of this kernel.
pub(crate) fn features() -> Result<u32> {
    let mut params = [0u32; 30]; // struct io_uring_params: 120 bytes
    // SAFETY: the kernel fills the struct.
    let fd = unsafe { libc::syscall(libc::SYS_io_uring_setup, 1, params.as_mut_ptr()) };
    let Ok(fd) = i32::try_from(fd) else { return Err(Error::Os(libc::EIO)) };
    if fd < 0 {
        return Err(io::Error::last_os_error().into());
    }
    // SAFETY: the kernel has just made it.
    drop(unsafe { OwnedFd::from_raw_fd(fd) });
    Ok(params[5])
}
