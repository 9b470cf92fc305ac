//! The door to the kernel: every system call that the standard library does not wrap.
#![allow(unsafe_code, reason = "system calls")]

pub(crate) mod file;

use std::fs::File;
use std::io;
use std::mem::zeroed;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd};

use crate::abi;
use crate::error::{Error, Result};

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

/// `BLKGETSIZE64`: bytes of a block device.
pub(crate) fn device_bytes(fd: BorrowedFd<'_>) -> Result<u64> {
    let mut bytes = 0u64;
    // SAFETY: the kernel writes one u64.
    unsafe { ioctl(fd, abi::BLKGETSIZE64, &mut bytes) }?;
    Ok(bytes)
}

/// `NVME_IOCTL_ID`: the namespace identifier, which a node's name does not tell.
pub(crate) fn nvme_nsid(fd: BorrowedFd<'_>) -> Result<u32> {
    // SAFETY: the request takes no argument; 0 stands in its place.
    let nsid = unsafe { libc::ioctl(fd.as_raw_fd(), abi::NVME_IOCTL_ID as _, 0) };
    match u32::try_from(nsid) {
        Ok(0) => Err(Error::Os(libc::ENOTTY)),
        Ok(nsid) => Ok(nsid),
        Err(_) => Err(io::Error::last_os_error().into()),
    }
}

/// Bytes of every Identify data structure.
pub(crate) const IDENTIFY_SIZE: usize = 4096;

/// The NVMe Identify command: which structure (CNS), of which command set (CSI).
pub(crate) fn nvme_identify(
    fd: BorrowedFd<'_>,
    nsid: u32,
    cns: u8,
    csi: u8,
) -> Result<Box<[u8; IDENTIFY_SIZE]>> {
    let mut page = Box::new([0u8; IDENTIFY_SIZE]);
    let mut command = abi::NvmePassthru {
        opcode: 0x06,
        nsid,
        addr: page.as_mut_ptr() as u64,
        data_len: IDENTIFY_SIZE as u32,
        cdw10: [cns.into(), u32::from(csi) << 24, 0, 0, 0, 0],
        ..Default::default()
    };
    // SAFETY: the request's number encodes the 72 bytes of NvmePassthru; Identify writes 4096 bytes to
    // `addr`, which is the page's own memory.
    let status = unsafe { ioctl(fd, abi::NVME_IOCTL_ADMIN_CMD, &mut command) }?;
    // A positive value is the controller's refusal.
    if status == 0 { Ok(page) } else { Err(Error::Os(libc::EIO)) }
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
