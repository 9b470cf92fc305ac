//! System calls on files: vectored I/O at a position, space, locks, names.

use std::ffi::CString;
use std::fs::File;
use std::io::{self, IoSlice, IoSliceMut};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::FileExt;
use std::path::Path;

use crate::error::{Error, Result};

/// Pieces of one preadv(2) or pwritev(2) (IOV_MAX).
const MOST: usize = 1024;

/// What a system call returned, again if a signal was faster.
fn counted(mut call: impl FnMut() -> isize) -> Result<usize> {
    loop {
        match usize::try_from(call()) {
            Ok(count) => return Ok(count),
            Err(_) => match io::Error::last_os_error() {
                e if e.kind() == io::ErrorKind::Interrupted => {}
                e => return Err(e.into()),
            },
        }
    }
}

fn position(offset: u64) -> Result<i64> {
    i64::try_from(offset).map_err(|_| Error::Os(libc::EINVAL))
}

/// preadv(2) of at most the first 1024 pieces.
pub(crate) fn read(
    fd: BorrowedFd<'_>,
    pieces: &mut [IoSliceMut<'_>],
    offset: u64,
) -> Result<usize> {
    let (fd, count, offset) = (fd.as_raw_fd(), pieces.len().min(MOST) as i32, position(offset)?);
    let iov = pieces.as_mut_ptr().cast::<libc::iovec>();
    // SAFETY: `count` IoSliceMut, which have the layout of iovec, each of memory that is exclusively ours.
    counted(|| unsafe { libc::preadv(fd, iov, count, offset) })
}

/// pwritev(2) of at most the first 1024 pieces.
pub(crate) fn write(fd: BorrowedFd<'_>, pieces: &[IoSlice<'_>], offset: u64) -> Result<usize> {
    let (fd, count, offset) = (fd.as_raw_fd(), pieces.len().min(MOST) as i32, position(offset)?);
    let iov = pieces.as_ptr().cast::<libc::iovec>();
    // SAFETY: `count` IoSlice, which have the layout of iovec, each of memory that lives through the call.
    counted(|| unsafe { libc::pwritev(fd, iov, count, offset) })
}

/// What fallocate(2) is to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Space {
    /// Take it, and make the file as long.
    Take,
    /// Give it back; it reads as zeros.
    Punch,
    /// Make it zeros.
    Zero,
}

/// fallocate(2).
pub(crate) fn allocate(fd: BorrowedFd<'_>, what: Space, offset: u64, len: u64) -> Result<()> {
    let mode = match what {
        Space::Take => 0,
        Space::Punch => libc::FALLOC_FL_PUNCH_HOLE | libc::FALLOC_FL_KEEP_SIZE,
        Space::Zero => libc::FALLOC_FL_ZERO_RANGE | libc::FALLOC_FL_KEEP_SIZE,
    };
    let (offset, len) = (position(offset)?, position(len)?);
    // SAFETY: numbers only.
    counted(|| unsafe { libc::fallocate(fd.as_raw_fd(), mode, offset, len) } as isize).map(drop)
}

/// Locks a whole file for this open file description (`F_OFD_SETLK`): for one, or for all that read.
/// False: another has it.
pub(crate) fn lock(fd: BorrowedFd<'_>, exclusive: bool) -> Result<bool> {
    let kind = if exclusive { libc::F_WRLCK } else { libc::F_RDLCK };
    // SAFETY: flock is plain data for which all zeros are a value: from the start to the end.
    let mut lock: libc::flock = unsafe { std::mem::zeroed() };
    lock.l_type = kind as i16;
    lock.l_whence = libc::SEEK_SET as i16;
    let fd = fd.as_raw_fd();
    // SAFETY: F_OFD_SETLK reads the struct.
    match counted(|| unsafe { libc::fcntl(fd, libc::F_OFD_SETLK, &raw const lock) } as isize) {
        Ok(_) => Ok(true),
        Err(Error::Os(libc::EAGAIN | libc::EACCES)) => Ok(false),
        Err(error) => Err(error),
    }
}

/// renameat2(2) that replaces nothing.
pub(crate) fn rename_new(from: &Path, to: &Path) -> Result<()> {
    let text = |path: &Path| {
        CString::new(path.as_os_str().as_bytes()).map_err(|_| Error::Os(libc::EINVAL))
    };
    let (from, to) = (text(from)?, text(to)?);
    let (here, flags) = (libc::AT_FDCWD, libc::RENAME_NOREPLACE);
    // SAFETY: two C strings that live through the call.
    let rename = || unsafe { libc::renameat2(here, from.as_ptr(), here, to.as_ptr(), flags) };
    counted(|| rename() as isize).map(drop)
}

/// Random bytes.
pub(crate) fn random() -> Result<[u8; 16]> {
    let mut bytes = [0u8; 16];
    // SAFETY: 16 bytes of ours; so few come at once.
    counted(|| unsafe { libc::getrandom(bytes.as_mut_ptr().cast(), bytes.len(), 0) })?;
    Ok(bytes)
}

/// What direct I/O asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Direct {
    /// Alignment of addresses.
    pub(crate) memory: u32,
    /// Unit of offsets and lengths.
    pub(crate) block: u32,
}

/// The same as the kernel tells it (statx, 6.1).
pub(crate) fn direct_told(fd: BorrowedFd<'_>) -> Option<Direct> {
    // SAFETY: statx is plain data for which all zeros are a value.
    let mut stat: libc::statx = unsafe { std::mem::zeroed() };
    let (flags, mask) = (libc::AT_EMPTY_PATH, libc::STATX_DIOALIGN);
    // SAFETY: the path is an empty C string, the struct the kernel's to fill.
    let ret = unsafe { libc::statx(fd.as_raw_fd(), c"".as_ptr(), flags, mask, &mut stat) };
    let told = ret == 0 && stat.stx_mask & mask != 0 && stat.stx_dio_mem_align != 0;
    told.then_some(Direct { memory: stat.stx_dio_mem_align, block: stat.stx_dio_offset_align })
}

/// The same for a file that is open with `O_DIRECT`. A kernel that does not tell is tried: it refuses
/// what is not aligned.
pub(crate) fn direct(file: &File) -> Direct {
    if let Some(told) = direct_told(file.as_fd()).filter(|told| told.block != 0) {
        return told;
    }
    let mut page = [0u8; 8192];
    let at = page.as_ptr().align_offset(4096);
    let few = page.get_mut(at..at + 512).unwrap_or(&mut []);
    let unit = if file.read_at(few, 512).is_ok() { 512 } else { 4096 };
    Direct { memory: unit, block: unit }
}
