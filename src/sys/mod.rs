//! The door to the kernel: every system call that the standard library does not wrap.
#![allow(unsafe_code, reason = "system calls")]

pub(crate) mod entry;
pub(crate) mod file;
pub(crate) mod flights;

use std::fs::File;
use std::io;
use std::mem::zeroed;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd};

pub(crate) mod nvme;
pub(crate) mod own_ring;
#[cfg(test)]
pub(crate) mod ring;
pub(crate) mod socket;
pub(crate) mod ublk;
pub(crate) mod zone;

use crate::abi;
use crate::error::Result;

/// An ioctl with a plain struct that the kernel reads and writes. Fails with the kernel's errno.
///
/// # Safety
/// `request` must be one whose argument is a `T`, and whatever `T` points to must be valid for it.
unsafe fn ioctl<T>(fd: BorrowedFd<'_>, request: libc::c_ulong, arg: &mut T) -> Result<i32> {
    // SAFETY: the caller vouches for request and T; `arg` is exclusive and lives through the call.
    let ret = unsafe { libc::ioctl(fd.as_raw_fd(), request as _, std::ptr::from_mut(arg)) };
    if ret < 0 { Err(io::Error::last_os_error().into()) } else { Ok(ret) }
}

/// `FS_IOC_GETLBMD_CAP`.
pub(crate) fn metadata_cap(fd: BorrowedFd<'_>) -> Result<abi::LbmdCap> {
    let mut cap = abi::LbmdCap::default();
    // SAFETY: the request's number encodes the 16 bytes of LbmdCap; they hold no pointer.
    unsafe { ioctl(fd, abi::FS_IOC_GETLBMD_CAP, &mut cap) }?;
    Ok(cap)
}

/// `BLKROGET`: whether a block device was made read-only, which does not concern what is passed through.
pub(crate) fn is_read_only(fd: BorrowedFd<'_>) -> bool {
    let mut read_only = 0i32;
    // SAFETY: the kernel writes one int.
    let answer = unsafe { ioctl(fd, abi::BLKROGET, &mut read_only) };
    answer.is_ok() && read_only != 0
}

/// `BLKGETSIZE64`: bytes of a block device.
pub(crate) fn device_bytes(fd: BorrowedFd<'_>) -> Result<u64> {
    let mut bytes = 0u64;
    // SAFETY: the kernel writes one u64.
    unsafe { ioctl(fd, abi::BLKGETSIZE64, &mut bytes) }?;
    Ok(bytes)
}

/// Whether a file lies on zonefs.
pub(crate) fn on_zonefs(fd: BorrowedFd<'_>) -> bool {
    // SAFETY: statfs is plain data for which all zeros are a value.
    let mut fs: libc::statfs = unsafe { zeroed() };
    // SAFETY: the kernel fills the struct.
    let ret = unsafe { libc::fstatfs(fd.as_raw_fd(), &mut fs) };
    ret == 0 && fs.f_type as i64 == abi::ZONEFS_MAGIC
}

/// What direct I/O asks of buffer addresses, where the kernel says so (statx, 6.1).
pub(crate) fn direct_io_align(fd: BorrowedFd<'_>) -> Option<u32> {
    file::direct_told(fd).map(|direct| direct.memory)
}

/// Runs what may change `errno` and leaves it as it was.
pub(crate) fn keeping_errno<T>(body: impl FnOnce() -> T) -> T {
    // SAFETY: the address of this thread's errno, valid as long as the thread.
    let place = unsafe { libc::__errno_location() };
    // SAFETY: as above; only this thread uses it.
    let before = unsafe { place.read() };
    let result = body();
    // SAFETY: as above.
    unsafe { place.write(before) };
    result
}

/// The file status flags of a descriptor (`O_DIRECT`, the access mode).
pub(crate) fn status_flags(fd: BorrowedFd<'_>) -> Result<i32> {
    // SAFETY: F_GETFL takes no argument.
    let flags = unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_GETFL) };
    if flags < 0 { Err(io::Error::last_os_error().into()) } else { Ok(flags) }
}

/// Whether a descriptor is a character device.
pub(crate) fn is_char_device(fd: BorrowedFd<'_>) -> Result<bool> {
    // SAFETY: stat is plain data for which all zeros are a value.
    let mut stat: libc::stat = unsafe { zeroed() };
    // SAFETY: the kernel fills the struct.
    match unsafe { libc::fstat(fd.as_raw_fd(), &mut stat) } {
        0 => Ok(stat.st_mode & libc::S_IFMT == libc::S_IFCHR),
        _ => Err(io::Error::last_os_error().into()),
    }
}

/// A descriptor of a C caller's, who has promised to keep it open as long as what was made with it.
pub(crate) fn lent(fd: i32) -> Result<BorrowedFd<'static>> {
    if fd < 0 {
        return Err(crate::error::Error::Os(libc::EBADF));
    }
    // SAFETY: not -1; open, the caller promised. It is used for system calls alone, which answer for any other number.
    Ok(unsafe { BorrowedFd::borrow_raw(fd) })
}

/// A second descriptor of the same open file, closed on exec.
pub(crate) fn duplicate(fd: i32) -> Result<File> {
    // SAFETY: a number that is not a descriptor is answered by EBADF.
    let new = unsafe { libc::fcntl(fd, libc::F_DUPFD_CLOEXEC, 0) };
    if new < 0 {
        return Err(io::Error::last_os_error().into());
    }
    // SAFETY: the kernel has just made `new` and nobody else knows it.
    Ok(unsafe { File::from_raw_fd(new) })
}
