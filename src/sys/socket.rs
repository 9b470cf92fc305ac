//! What a worker thread needs of the kernel: the state of a socket, epoll, an event, signals, limits.

use std::fs::File;
use std::io;
use std::mem::zeroed;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

use crate::error::Result;

/// Sends all of a few bytes, or nothing; without waiting, and without SIGPIPE.
pub(crate) fn send(socket: BorrowedFd<'_>, bytes: &[u8]) -> Result<()> {
    let (place, len) = (bytes.as_ptr().cast(), bytes.len());
    let flags = libc::MSG_NOSIGNAL | libc::MSG_DONTWAIT;
    // SAFETY: the kernel reads `len` bytes of `bytes`.
    let sent = unsafe { libc::send(socket.as_raw_fd(), place, len, flags) };
    if sent < 0 { Err(io::Error::last_os_error().into()) } else { Ok(()) }
}

/// `SIOCOUTQ`: memory taken by what was sent and is not consumed yet, plus one at times.
pub(crate) fn unconsumed(socket: BorrowedFd<'_>) -> Result<i32> {
    let mut memory = 0;
    // SAFETY: the request, on a socket, writes one int.
    unsafe { super::ioctl(socket, libc::TIOCOUTQ, &mut memory) }?;
    Ok(memory)
}

/// Bytes that wait to be received, as far as `room` goes. (`SIOCINQ` counts the bytes of a message that were
/// received already: 6.18.15.)
pub(crate) fn unread(socket: BorrowedFd<'_>, room: &mut [u8]) -> Result<usize> {
    receive(socket, room, libc::MSG_PEEK)
}

/// Takes one byte out of a socket. False if there is none.
pub(crate) fn take_byte(socket: BorrowedFd<'_>) -> bool {
    receive(socket, &mut [0], 0) == Ok(1)
}

/// Without waiting; 0 if there is nothing.
fn receive(socket: BorrowedFd<'_>, room: &mut [u8], flags: i32) -> Result<usize> {
    let (place, len) = (room.as_mut_ptr().cast(), room.len());
    // SAFETY: the kernel writes `len` bytes at most, into `room`.
    let got = unsafe { libc::recv(socket.as_raw_fd(), place, len, flags | libc::MSG_DONTWAIT) };
    usize::try_from(got).or_else(|_| match io::Error::last_os_error() {
        error if error.kind() == io::ErrorKind::WouldBlock => Ok(0),
        error => Err(error.into()),
    })
}

/// An epoll instance; what is watched has a key.
#[derive(Debug)]
pub(crate) struct Epoll(OwnedFd);

impl Epoll {
    pub(crate) fn new() -> Result<Self> {
        // SAFETY: takes a flag.
        let fd = unsafe { libc::epoll_create1(libc::EPOLL_CLOEXEC) };
        Ok(Epoll(owned(fd)?))
    }

    /// Reports each time when what was sent on a socket is consumed, and once for nothing.
    pub(crate) fn watch_consumption(&self, socket: BorrowedFd<'_>, key: u64) -> Result<()> {
        self.control(libc::EPOLL_CTL_ADD, socket, libc::EPOLLOUT | libc::EPOLLET, key)
    }

    /// Reports to everyone who waits, for good, once there is something to read.
    pub(crate) fn watch_readable(&self, fd: BorrowedFd<'_>, key: u64) -> Result<()> {
        self.control(libc::EPOLL_CTL_ADD, fd, libc::EPOLLIN, key)
    }

    /// Ends the reports. Closing does not, while a forked child holds the same socket.
    pub(crate) fn forget(&self, fd: BorrowedFd<'_>) {
        let _ = self.control(libc::EPOLL_CTL_DEL, fd, 0, 0);
    }

    fn control(&self, op: i32, fd: BorrowedFd<'_>, events: i32, key: u64) -> Result<()> {
        let mut event = libc::epoll_event { events: events as u32, u64: key };
        // SAFETY: the kernel reads `event` during the call.
        let ret = unsafe { libc::epoll_ctl(self.0.as_raw_fd(), op, fd.as_raw_fd(), &mut event) };
        if ret < 0 { Err(io::Error::last_os_error().into()) } else { Ok(()) }
    }

    /// Waits for reports and gives the keys of at most so many; of none if something else needs the thread first (a
    /// debugger, a frozen control group, what a ring of its own has completed).
    pub(crate) fn wait(&self, most: usize, report: impl FnMut(u64)) -> Result<()> {
        let mut events = [libc::epoll_event { events: 0, u64: 0 }; AT_ONCE];
        let room = most.clamp(1, AT_ONCE) as i32;
        // SAFETY: there is room for the events asked for.
        let count = unsafe { libc::epoll_wait(self.0.as_raw_fd(), events.as_mut_ptr(), room, -1) };
        match usize::try_from(count) {
            Ok(count) => events.iter().take(count).map(|event| event.u64).for_each(report),
            Err(_) => match io::Error::last_os_error() {
                error if error.kind() == io::ErrorKind::Interrupted => (),
                error => return Err(error.into()),
            },
        }
        Ok(())
    }
}

/// Reports that one call may bring.
pub(crate) const AT_ONCE: usize = 64;

/// An eventfd; eight bytes written make it readable.
pub(crate) fn event() -> Result<File> {
    // SAFETY: takes a number and flags.
    let fd = unsafe { libc::eventfd(0, libc::EFD_CLOEXEC | libc::EFD_NONBLOCK) };
    Ok(owned(fd)?.into())
}

fn owned(fd: i32) -> Result<OwnedFd> {
    if fd < 0 {
        return Err(io::Error::last_os_error().into());
    }
    // SAFETY: the kernel has just made `fd` and nobody else knows it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// The soft limit of descriptors (`RLIMIT_NOFILE`).
pub(crate) fn descriptor_limit() -> u64 {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: the kernel fills the struct.
    let ret = unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &mut limit) };
    if ret < 0 { 0 } else { limit.rlim_cur }
}

/// Runs `body` with signals blocked, so that a thread which it starts never gets one. Those that a fault
/// raises stay: blocked, they would kill the process past its handler.
pub(crate) fn without_signals<R>(body: impl FnOnce() -> R) -> R {
    const FAULTS: [i32; 6] =
        [libc::SIGSEGV, libc::SIGBUS, libc::SIGILL, libc::SIGFPE, libc::SIGTRAP, libc::SIGSYS];
    // SAFETY: sigset_t is plain data for which all zeros are a value.
    let (mut blocked, mut before): (libc::sigset_t, libc::sigset_t) = unsafe { zeroed() };
    // SAFETY: libc fills the set.
    unsafe { libc::sigfillset(&mut blocked) };
    for signal in FAULTS {
        // SAFETY: a set that was filled, the number of a signal.
        unsafe { libc::sigdelset(&mut blocked, signal) };
    }
    // SAFETY: one set is read, the other written.
    let ret = unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, &blocked, &mut before) };
    let result = body();
    if ret == 0 {
        // SAFETY: the set that libc gave above.
        unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, &before, std::ptr::null_mut()) };
    }
    result
}
