//! For tests: a ring, whose operations read and write what lives as long as the process; a forked child;
//! a limit.

use std::os::fd::{AsRawFd, RawFd};
use std::sync::atomic::AtomicU8;

use io_uring::squeue::{Entry, Flags};
use io_uring::types::{Fd, SubmitArgs, Timespec};
use io_uring::{IoUring, opcode};

static BYTE: AtomicU8 = AtomicU8::new(0);

/// How a ring is set up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Setup {
    Plain,
    SqPoll,
    DeferTaskrun,
}

pub(crate) struct Ring {
    ring: IoUring,
    entries: Vec<Entry>,
}

impl Ring {
    /// None: this kernel has no such ring.
    pub(crate) fn new(entries: u32, setup: Setup) -> Option<Ring> {
        let mut builder = IoUring::builder();
        match setup {
            Setup::Plain => &mut builder,
            Setup::SqPoll => builder.setup_sqpoll(1),
            Setup::DeferTaskrun => builder.setup_single_issuer().setup_defer_taskrun(),
        };
        match builder.build(entries) {
            Ok(ring) if setup == Setup::SqPoll && !ring.params().is_feature_sqpoll_nonfixed() => {
                None
            }
            Ok(ring) => Some(Ring { ring, entries: Vec::new() }),
            Err(error) if error.raw_os_error() == Some(libc::EINVAL) => None,
            Err(error) => panic!("{setup:?}: {error}"),
        }
    }

    pub(crate) fn push_recv(&mut self, fd: RawFd, address: u64, len: u32, tag: u64, flags: Flags) {
        let buffer = std::ptr::with_exposed_provenance_mut(address as usize);
        let recv = opcode::Recv::new(Fd(fd), buffer, len).flags(libc::MSG_WAITALL);
        self.push(recv.build().flags(flags).user_data(tag));
    }

    pub(crate) fn push_read(&mut self, pipe: &impl AsRawFd, tag: u64, flags: Flags) {
        let read = opcode::Read::new(Fd(pipe.as_raw_fd()), BYTE.as_ptr(), 1);
        self.push(read.build().flags(flags).user_data(tag));
    }

    pub(crate) fn push_nop(&mut self, tag: u64, flags: Flags) {
        self.push(opcode::Nop::new().build().flags(flags).user_data(tag));
    }

    pub(crate) fn push_cancel(&mut self, of: u64, tag: u64) {
        self.push(opcode::AsyncCancel::new(of).build().user_data(tag));
    }

    fn push(&mut self, entry: Entry) {
        self.entries.push(entry);
    }

    /// All at once: an SQPOLL thread takes what it sees, and would cut a chain.
    pub(crate) fn submit(&mut self) {
        // SAFETY: the callers above give the kernel static memory only (the addresses of
        // `worker` are an inbox's, which is never freed).
        unsafe { self.ring.submission().push_multiple(&self.entries) }.expect("room in the ring");
        self.entries.clear();
        self.ring.submit().expect("submitted");
    }

    /// A CQE that is there: tag and result.
    pub(crate) fn peek(&mut self) -> Option<(u64, i32)> {
        self.ring.completion().next().map(|cqe| (cqe.user_data(), cqe.result()))
    }

    /// The next CQE.
    pub(crate) fn wait(&mut self) -> (u64, i32) {
        loop {
            if let Some(found) = self.peek() {
                return found;
            }
            // 5.10 has no timeout here; there the run as a whole has.
            if self.ring.params().is_feature_ext_arg() {
                let limit = Timespec::new().sec(30);
                let args = SubmitArgs::new().timespec(&limit);
                self.ring.submitter().submit_with_args(1, &args).expect("a completion");
            } else {
                self.ring.submit_and_wait(1).expect("a completion");
            }
        }
    }
}

/// Runs `body` in a forked child, for ten seconds at most. Whether it returned.
pub(crate) fn in_forked_child(body: impl FnOnce()) -> bool {
    // SAFETY: the tests that use it have no other thread which holds a lock that `body` takes.
    let child = unsafe { libc::fork() };
    if child == 0 {
        // SAFETY: both take a number; neither returns into the test's frames.
        unsafe {
            libc::alarm(10);
            body();
            libc::_exit(0)
        }
    }
    let mut status = 0;
    // SAFETY: the kernel writes one int.
    let waited = unsafe { libc::waitpid(child, &mut status, 0) };
    waited == child && libc::WIFEXITED(status) && libc::WEXITSTATUS(status) == 0
}

/// Leaves the process no more address space than so much.
pub(crate) fn limit_address_space(more: u64) {
    let statm = std::fs::read_to_string("/proc/self/statm").expect("proc");
    let pages: u64 = statm.split(' ').next().and_then(|size| size.parse().ok()).expect("pages");
    let limit = libc::rlimit { rlim_cur: pages * 4096 + more, rlim_max: libc::RLIM_INFINITY };
    // SAFETY: the kernel reads the struct.
    assert_eq!(unsafe { libc::setrlimit(libc::RLIMIT_AS, &limit) }, 0);
}
