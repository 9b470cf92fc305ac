//! How NVMe commands reach a namespace past the block layer, as far as this process may send any.

use std::fs::{File, OpenOptions};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};

use crate::probe::{Facts, Kind, nvme_char_of};
use crate::sys::is_read_only;
use crate::sys::nvme::{Via, knows_vectors, may_pass, nvme_nsid};

/// What was found when the target was opened.
#[derive(Debug, Default)]
pub struct Access {
    /// The namespace's character device, if the target itself is none.
    #[allow(dead_code, reason = "keeps char_fd open")]
    pub(crate) node: Option<File>,
    /// Descriptor for commands in SQEs, which only a character device takes.
    pub char_fd: Option<RawFd>,
    /// Commands in SQEs may read.
    pub char_read: bool,
    /// Commands in SQEs may write.
    pub char_write: bool,
    /// How to read by ioctl on the target.
    pub read: Option<Via>,
    /// How to write by ioctl on the target.
    pub write: Option<Via>,
    /// By ioctl, data may be scattered.
    pub vectors: bool,
}

impl Access {
    /// Not an NVMe namespace.
    pub const NONE: Self = Access {
        node: None,
        char_fd: None,
        char_read: false,
        char_write: false,
        read: None,
        write: None,
        vectors: false,
    };

    /// Finds out by asking the kernel, which sends nothing to the device.
    pub(crate) fn of(file: &File, facts: &Facts, writable: bool) -> Self {
        let Some(format) = facts.layout.format.value.filter(|_| !facts.layout.hidden) else {
            return Self::NONE;
        };
        let (nsid, interval) = (facts.nsid.value, format.interval());
        let may = |fd: BorrowedFd<'_>, via, write| may_pass(fd, via, write, nsid, interval);
        let node = match facts.kind {
            Kind::NvmeBlock => nvme_char_of(file)
                .and_then(|path| OpenOptions::new().read(true).write(writable).open(path).ok())
                .filter(|node| nvme_nsid(node.as_fd()) == Ok(nsid)),
            Kind::NvmeChar => None,
            _ => return Self::NONE,
        };
        let character = match facts.kind {
            Kind::NvmeChar => Some(file),
            _ => node.as_ref(),
        };
        let fd = file.as_fd();
        let writable = writable && !is_read_only(fd);
        let best = |write| {
            let ways = [Via::Io64, Via::Io, Via::SubmitIo];
            ways.into_iter().find(|via| may(fd, *via, write))
        };
        let in_sqe = |write| character.is_some_and(|c| may(c.as_fd(), Via::Io64, write));
        Access {
            char_fd: character.map(AsRawFd::as_raw_fd),
            char_read: in_sqe(false),
            char_write: writable && in_sqe(true),
            read: best(false),
            write: if writable { best(true) } else { None },
            vectors: knows_vectors(fd),
            node,
        }
    }
}
