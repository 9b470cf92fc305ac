//! What the store needs of its two files; tests put something else in their place.

use std::fmt::Debug;
use std::fs::File;
use std::io::{IoSlice, IoSliceMut};
use std::os::fd::AsFd;
use std::os::unix::fs::FileTypeExt;

use crate::error::{Error, Result};
use crate::sys::file::{self, Space};

/// A file in which bytes stay where they were put.
pub(super) trait Medium: Debug + Send + Sync {
    /// Fills the pieces; `EIO` if the file ends before.
    fn read(&self, pieces: &mut [IoSliceMut<'_>], offset: u64) -> Result<()>;

    /// Writes the pieces, or fails and tells how many bytes are there all the same.
    fn write(&self, pieces: &mut [IoSlice<'_>], offset: u64) -> Written;

    /// Makes bytes zero.
    fn zero(&self, offset: u64, len: u64) -> Result<()>;

    /// Makes all that was written durable.
    fn sync(&self) -> Result<()>;

    /// Length of a regular file.
    fn length(&self) -> Result<Option<u64>>;
}

/// How a write ended.
pub(super) type Written = std::result::Result<(), Landed>;

/// A write that failed after so many bytes.
#[derive(Debug)]
pub(super) struct Landed {
    pub(super) bytes: u64,
    pub(super) error: Error,
}

const ENDS: Error = Error::Os(libc::EIO);

impl Medium for File {
    fn read(&self, mut pieces: &mut [IoSliceMut<'_>], mut offset: u64) -> Result<()> {
        while pieces.iter().any(|piece| !piece.is_empty()) {
            match file::read(self.as_fd(), pieces, offset)? {
                0 => return Err(ENDS),
                n => {
                    IoSliceMut::advance_slices(&mut pieces, n);
                    offset += n as u64;
                }
            }
        }
        Ok(())
    }

    fn write(&self, mut pieces: &mut [IoSlice<'_>], offset: u64) -> Written {
        let mut bytes = 0;
        while pieces.iter().any(|piece| !piece.is_empty()) {
            match file::write(self.as_fd(), pieces, offset.saturating_add(bytes)) {
                Err(error) => return Err(Landed { bytes, error }),
                Ok(0) => return Err(Landed { bytes, error: ENDS }),
                Ok(n) => {
                    IoSlice::advance_slices(&mut pieces, n);
                    bytes += n as u64;
                }
            }
        }
        Ok(())
    }

    fn zero(&self, offset: u64, len: u64) -> Result<()> {
        // A device would have to be able to give space back; a file keeps no space for zeros.
        let device = self.metadata()?.file_type().is_block_device();
        let what = if device { Space::Zero } else { Space::Punch };
        match file::allocate(self.as_fd(), what, offset, len) {
            Err(Error::Os(libc::EOPNOTSUPP | libc::EINVAL | libc::ENOSYS)) => {}
            done => return done,
        }
        let zeros = Aligned::new(64 << 10, 4096)?;
        let mut at = 0;
        while at < len {
            let n = usize::try_from(len - at).unwrap_or(usize::MAX).min(64 << 10);
            let piece = zeros.bytes().get(..n).unwrap_or_default();
            let written = Medium::write(self, &mut [IoSlice::new(piece)], offset + at);
            written.map_err(|landed| landed.error)?;
            at += n as u64;
        }
        Ok(())
    }

    fn sync(&self) -> Result<()> {
        Ok(self.sync_data()?)
    }

    fn length(&self) -> Result<Option<u64>> {
        let stat = self.metadata()?;
        Ok(stat.is_file().then_some(stat.len()))
    }
}

/// Zeroed memory for direct I/O.
#[derive(Debug)]
pub(super) struct Aligned {
    memory: Vec<u8>,
    start: usize,
    len: usize,
}

impl Aligned {
    pub(super) fn new(len: usize, align: usize) -> Result<Self> {
        let memory = zeros(len.saturating_add(align))?;
        let start = memory.as_ptr().align_offset(align);
        Ok(Aligned { memory, start, len })
    }

    pub(super) fn bytes(&self) -> &[u8] {
        self.memory.get(self.start..).and_then(|rest| rest.get(..self.len)).unwrap_or_default()
    }

    pub(super) fn bytes_mut(&mut self) -> &mut [u8] {
        let rest = self.memory.get_mut(self.start..);
        rest.and_then(|rest| rest.get_mut(..self.len)).unwrap_or_default()
    }
}

/// Zeroed memory, or `ENOMEM`.
pub(super) fn zeros(len: usize) -> Result<Vec<u8>> {
    let mut memory = Vec::new();
    memory.try_reserve_exact(len).map_err(|_| Error::Os(libc::ENOMEM))?;
    memory.resize(len, 0);
    Ok(memory)
}
