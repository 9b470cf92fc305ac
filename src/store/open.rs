//! Making and opening side files.

use std::fs::{File, OpenOptions};
use std::os::fd::AsFd;
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use super::header::{self, Header};
use super::records::Records;
use crate::error::{Error, Result};
use crate::geometry::Format;
use crate::sys::file::{self, Space};

const NO_FILE: Error = Error::Because(libc::EMEDIUMTYPE, c"side file: not a regular file");
const SAME: Error = Error::Invalid(c"side_path: the data file itself");
const IN_USE: Error = Error::Because(libc::EBUSY, c"side file: another target uses it");
const SHORT: Error = Error::Because(libc::ENODATA, c"side file: shorter than its blocks need");
const NO_FORMAT: Error = Error::Invalid(c"side_format: needed to make a side file");
const OTHER: Error = Error::Because(libc::EEXIST, c"side file: its format is not side_format");
const FOREIGN: Error = Error::Because(libc::EMEDIUMTYPE, c"side file: this is none");
const GREW: Error = Error::Because(libc::ESTALE, c"side file: the data is longer than it was");
const SHRANK: Error = Error::Because(libc::ESTALE, c"side file: the data is shorter than it was");

/// Which side file is wanted.
#[derive(Debug, Clone, Copy)]
pub(super) struct Wanted<'p> {
    pub(super) path: &'p Path,
    /// Make it, if there is none.
    pub(super) create: bool,
    /// The format that it must have.
    pub(super) format: Option<&'p Format>,
    pub(super) writable: bool,
}

/// Opens a side file for `bytes` of data, locks it, and makes it if that is wanted.
pub(super) fn open(data: &File, bytes: u64, wanted: &Wanted<'_>) -> Result<(File, Header)> {
    match existing(data, bytes, wanted) {
        Err(Error::Os(libc::ENOENT)) if wanted.create => {}
        opened => return opened,
    }
    let format = wanted.format.ok_or(NO_FORMAT)?;
    let blocks = bytes / u64::from(format.interval());
    if blocks == 0 {
        return Err(Error::Invalid(c"side_format: the data is shorter than one block"));
    }
    let header = Header { format: *format, blocks, id: file::random()? };
    match create(wanted.path, &header) {
        // Another process was faster.
        Err(Error::Os(libc::EEXIST)) => existing(data, bytes, wanted),
        made => Ok((made?, header)),
    }
}

fn existing(data: &File, bytes: u64, wanted: &Wanted<'_>) -> Result<(File, Header)> {
    let mut how = OpenOptions::new();
    // Without waiting for who may open the other end of a FIFO.
    how.read(true).write(wanted.writable).custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY);
    let side = how.open(wanted.path)?;
    let (stat, its) = (side.metadata()?, data.metadata()?);
    if !stat.is_file() {
        return Err(NO_FILE);
    }
    if (stat.dev(), stat.ino()) == (its.dev(), its.ino()) {
        return Err(SAME);
    }
    if !file::lock(side.as_fd(), wanted.writable)? {
        return Err(IN_USE);
    }
    let mut bytes_of = [0; header::SIZE];
    side.read_exact_at(&mut bytes_of, 0).map_err(|e| match e.kind() {
        std::io::ErrorKind::UnexpectedEof => FOREIGN,
        _ => e.into(),
    })?;
    let header = Header::parse(&bytes_of)?;
    if wanted.format.is_some_and(|format| *format != header.format) {
        return Err(OTHER);
    }
    check_size(&header.format, header.blocks, bytes)?;
    let records = Records::new(&header.format, &header.id);
    // Not `stat`, which may be older than the lock.
    if side.metadata()?.len() < records.file_bytes(header.blocks)? {
        return Err(SHORT);
    }
    Ok((side, header))
}

/// Refuses data that has not as many whole blocks as it had when its side file was made.
pub(super) fn check_size(format: &Format, blocks: u64, bytes: u64) -> Result<()> {
    match (bytes / u64::from(format.interval())).cmp(&blocks) {
        std::cmp::Ordering::Less => Err(SHRANK),
        std::cmp::Ordering::Equal => Ok(()),
        std::cmp::Ordering::Greater => Err(GREW),
    }
}

/// Makes a side file under another name and renames it, so that there is a whole one or none. All its space is taken
/// at once: no later write can want for it.
fn create(path: &Path, header: &Header) -> Result<File> {
    let dir = match path.parent() {
        Some(dir) if !dir.as_os_str().is_empty() => dir,
        _ => Path::new("."),
    };
    let name = format!(".urx-side-{:032x}", u128::from_le_bytes(header.id));
    let unfinished = Unfinished(dir.join(name));
    let mut how = OpenOptions::new();
    how.read(true).write(true).create_new(true).mode(0o600);
    let side = how.open(&unfinished.0)?;
    if !file::lock(side.as_fd(), true)? {
        return Err(IN_USE);
    }
    let bytes = Records::new(&header.format, &header.id).file_bytes(header.blocks)?;
    match file::allocate(side.as_fd(), Space::Take, 0, bytes) {
        // The file system cannot promise space.
        Err(Error::Os(libc::EOPNOTSUPP)) => side.set_len(bytes)?,
        taken => taken?,
    }
    side.write_all_at(&header.bytes(), 0)?;
    side.sync_all()?;
    match file::rename_new(&unfinished.0, path) {
        // The file system knows no such renaming.
        Err(Error::Os(libc::EINVAL | libc::ENOSYS)) => std::fs::hard_link(&unfinished.0, path)?,
        renamed => renamed?,
    }
    if let Ok(dir) = File::open(dir) {
        dir.sync_all()?;
    }
    Ok(side)
}

/// A file that is removed when this goes, unless it was renamed.
struct Unfinished(PathBuf);

impl Drop for Unfinished {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}
