//! One open device or file and what is known of it. Never changes once made, so threads may share it.

use std::fs::{File, OpenOptions};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};
use std::path::Path;

use crate::error::Result;
use crate::passthru::Access;
use crate::path::{Mode, Offer};
use crate::probe::{self, Facts};
use crate::sys;

/// How to open a target.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Options {
    /// For writing too.
    pub write: bool,
    /// Without `O_DIRECT`.
    pub buffered: bool,
}

/// An open device or file.
#[derive(Debug)]
pub struct Target {
    file: File,
    facts: Facts,
    mode: Mode,
    access: Access,
}

impl Target {
    /// Opens a path: block devices and files with `O_DIRECT` unless `options.buffered`. A file
    /// system that has no direct I/O gets a buffered file, see [`Mode::direct`].
    pub fn open(path: &Path, options: Options) -> Result<Self> {
        let stat = std::fs::metadata(path)?;
        probe::check_kind(&stat)?;
        let kind = stat.file_type();
        let open = |flags| {
            let mut how = OpenOptions::new();
            how.read(true).write(options.write).custom_flags(flags).open(path)
        };
        let direct = !options.buffered && !kind.is_char_device();
        let file = match open(if direct { libc::O_DIRECT } else { 0 }) {
            Err(e) if direct && kind.is_file() && e.raw_os_error() == Some(libc::EINVAL) => {
                open(0)?
            }
            opened => opened?,
        };
        Self::new(file)
    }

    /// Takes the open file behind a descriptor, with a descriptor of its own.
    pub fn from_fd(fd: RawFd) -> Result<Self> {
        Self::new(sys::duplicate(fd)?)
    }

    fn new(file: File) -> Result<Self> {
        let facts = probe::probe(&file)?;
        let flags = sys::status_flags(file.as_fd())?;
        let mode = Mode {
            direct: flags & libc::O_DIRECT != 0,
            writable: flags & libc::O_ACCMODE != libc::O_RDONLY,
        };
        let access = Access::of(&file, &facts, mode.writable);
        Ok(Target { file, facts, mode, access })
    }

    /// What is known of it.
    pub const fn facts(&self) -> &Facts {
        &self.facts
    }

    /// What it offers to requests.
    pub const fn offer(&self) -> Offer<'_> {
        Offer { facts: &self.facts, mode: self.mode, access: &self.access, has_store: false }
    }

    /// How it is open.
    pub const fn mode(&self) -> Mode {
        self.mode
    }
}

impl AsFd for Target {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}

impl AsRawFd for Target {
    fn as_raw_fd(&self) -> RawFd {
        self.file.as_raw_fd()
    }
}
