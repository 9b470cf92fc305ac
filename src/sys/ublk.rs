//! ublk: control commands, each on a ring of its own and for a limited time; the descriptors of a queue.

use std::mem::transmute;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::time::{Duration, Instant};

use io_uring::types::{SubmitArgs, Timespec};
use io_uring::{IoUring, cqueue, opcode, squeue};

use crate::abi::ublk::{CtrlCmd, DevInfo, IoDesc, MAX_QUEUE_DEPTH, Params, SqeCtrl};
use crate::error::{Error, Result};

/// For a command to end once it has been cancelled.
const GRACE: Duration = Duration::from_secs(1);

const COMMAND: u64 = 1;
const CANCEL: u64 = 2;

type Ring = IoUring<squeue::Entry128, cqueue::Entry>;

/// Sends a command and waits for its end: what the kernel answered, not negative. `buffer` is what it reads or
/// fills. A command that takes longer than `limit` is cancelled; one that cannot be goes on alone, and never sees
/// the caller's memory.
pub(crate) fn control(
    fd: BorrowedFd<'_>,
    cmd_op: u32,
    command: &CtrlCmd,
    buffer: &mut [u8],
    limit: Duration,
) -> Result<u32> {
    let len = u16::try_from(buffer.len()).map_err(|_| Error::Invalid(c"len: more than 65535"))?;
    let mut ring: Ring = IoUring::builder().build(4).map_err(no_ring)?;
    // Of the kernel's until the command has ended, which may be later than this function.
    let lent = Box::leak(buffer.to_vec().into_boxed_slice());
    let place = std::ptr::from_mut(lent);
    let sqe = SqeCtrl {
        opcode: opcode::UringCmd80::CODE,
        fd: fd.as_raw_fd(),
        cmd_op,
        user_data: COMMAND,
        command: CtrlCmd {
            addr: if lent.is_empty() { 0 } else { place.cast::<u8>().expose_provenance() as u64 },
            len,
            ..*command
        },
        ..SqeCtrl::default()
    };
    // SAFETY: both are the 128 plain bytes of an SQE.
    let entry = unsafe { transmute::<SqeCtrl, squeue::Entry128>(sqe) };
    // SAFETY: the only memory that the command has is leaked, and freed below only when it has ended.
    let pushed = unsafe { ring.submission().push(&entry) };
    pushed.map_err(|_| Error::Os(libc::EBUSY))?;

    let mut answer = wait(&mut ring, limit);
    let in_time = answer.is_some();
    if !in_time {
        let cancel =
            squeue::Entry128::from(opcode::AsyncCancel::new(COMMAND).build().user_data(CANCEL));
        // SAFETY: an operation without memory.
        if unsafe { ring.submission().push(&cancel) }.is_ok() {
            answer = wait(&mut ring, GRACE);
        }
    }
    let Some(answer) = answer else { return Err(TIMEOUT) };
    // SAFETY: leaked above, and the command, which alone knew it, has ended.
    let lent = unsafe { Box::from_raw(place) };
    match u32::try_from(answer) {
        Ok(value) => {
            buffer.copy_from_slice(&lent);
            Ok(value)
        }
        Err(_) if !in_time && [-libc::EINTR, -libc::ECANCELED].contains(&answer) => Err(TIMEOUT),
        Err(_) => Err(Error::Os(-answer)),
    }
}

fn no_ring(error: std::io::Error) -> Error {
    match error.raw_os_error() {
        Some(libc::EPERM) => {
            Error::Because(libc::EPERM, c"permission: io_uring is switched off here")
        }
        Some(libc::ENOSYS | libc::EINVAL) => {
            Error::Unsupported(c"kernel: no io_uring with SQEs of 128 bytes, as from Linux 5.19")
        }
        _ => error.into(),
    }
}

/// What the kernel may read and write as bytes.
///
/// # Safety
/// Integers without padding.
pub(crate) unsafe trait Bytes {}
// SAFETY: one integer.
unsafe impl Bytes for u64 {}
// SAFETY: integers, 64 bytes without padding.
unsafe impl Bytes for DevInfo {}
// SAFETY: integers; the one gap between its parts is a member.
unsafe impl Bytes for Params {}

/// A struct as the bytes that it is.
pub(crate) fn bytes_of<T: Bytes>(value: &mut T) -> &mut [u8] {
    // SAFETY: so many bytes, initialised and exclusively ours; T takes any bytes.
    unsafe { std::slice::from_raw_parts_mut(std::ptr::from_mut(value).cast(), size_of::<T>()) }
}

/// A command that was not done in time.
const TIMEOUT: Error = Error::Because(
    libc::ETIMEDOUT,
    c"the ublk driver did not answer in time: the manual says what it waits for",
);

/// Submits what there is, and waits for the command: its result, or none in that time.
fn wait(ring: &mut Ring, limit: Duration) -> Option<i32> {
    let end = Instant::now() + limit;
    loop {
        let found = ring.completion().find(|cqe| cqe.user_data() == COMMAND);
        if let Some(cqe) = found {
            return Some(cqe.result());
        }
        let left = end.checked_duration_since(Instant::now()).filter(|left| !left.is_zero())?;
        let left = Timespec::from(left);
        // What goes wrong here (a signal, a lack of memory) is tried again until the time is over.
        if ring.submitter().submit_with_args(1, &SubmitArgs::new().timespec(&left)).is_err() {
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

/// Bytes of the descriptors of one queue, as the driver rounds them.
fn descriptors_len(depth: u16) -> usize {
    // SAFETY: a number in, a number out.
    let page = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
    let page = usize::try_from(page).unwrap_or(4096);
    (usize::from(depth) * size_of::<IoDesc>()).next_multiple_of(page)
}

/// Maps the descriptors of a queue, for reading.
pub(crate) fn map_descriptors(fd: i32, q_id: u16, depth: u16) -> Result<*const IoDesc> {
    let offset = i64::from(q_id) * descriptors_len(MAX_QUEUE_DEPTH) as i64;
    let (len, protection) = (descriptors_len(depth), libc::PROT_READ);
    // The driver pins them: without MAP_POPULATE they would be there as well.
    let flags = libc::MAP_SHARED | libc::MAP_POPULATE;
    // SAFETY: a new mapping, wherever the kernel likes; a number that is not a descriptor is answered by EBADF.
    let at = unsafe { libc::mmap(std::ptr::null_mut(), len, protection, flags, fd, offset) };
    match at == libc::MAP_FAILED {
        true => Err(std::io::Error::last_os_error().into()),
        false => Ok(at.cast_const().cast()),
    }
}

/// Ends such a mapping.
///
/// # Safety
/// `descriptors` came from [`map_descriptors`] with the same `depth`, and nobody uses them any more.
pub(crate) unsafe fn unmap_descriptors(descriptors: *const IoDesc, depth: u16) {
    // SAFETY: the caller's: a mapping of that length, not in use.
    unsafe { libc::munmap(descriptors.cast_mut().cast(), descriptors_len(depth)) };
}
