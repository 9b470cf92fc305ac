//! Open devices and files.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::abi;
use crate::error::{Error, Result};
use crate::geometry::{Format, Tags};
use crate::probe::Kind;
use crate::store::Side;
use crate::target::{self, Options};

/// An open device or file. A clone is the same one; requests under way keep it open.
#[derive(Debug, Clone)]
pub struct Target(Arc<target::Target>);

/// How to open a target. Without a word: for reading, with `O_DIRECT`, without a side file.
#[derive(Debug, Clone, Default)]
#[must_use]
pub struct OpenOptions {
    write: bool,
    buffered: bool,
    side: Option<PathBuf>,
    create: bool,
    format: Option<Format>,
}

/// What is known of a target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Info {
    /// What it is.
    pub kind: Kind,
    /// Data bytes.
    pub bytes: u64,
    /// Byte of its device at which a partition starts.
    pub start: u64,
    /// How its blocks look; none: a regular file without a side file.
    pub format: Option<Format>,
    /// The part of the format that the kernel itself handles, so that a PI attribute can carry it.
    pub attribute: Option<Format>,
    /// Who asked may not know how the metadata looks, or whether there is any.
    pub hidden: bool,
    /// NVMe namespace identifier; 0: not NVMe.
    pub nsid: u32,
    /// Required alignment of data.
    pub data_align: u32,
    /// Bytes of the largest single command; 0: not known.
    pub max_command: u32,
    /// Bytes of the largest zone append; 0: not zoned.
    pub max_append: u32,
    /// Bytes from one zone to the next; 0: not zoned.
    pub zone_bytes: u64,
    /// Number of zones.
    pub zones: u32,
}

/// One zone. Offsets are bytes of the target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Zone {
    /// Its first byte.
    pub start: u64,
    /// Bytes to the next zone.
    pub len: u64,
    /// Bytes that can be written.
    pub capacity: u64,
    /// Where it goes on.
    pub wp: u64,
    /// Nothing more can be written.
    pub full: bool,
    /// It has a write pointer.
    pub sequential: bool,
}

impl OpenOptions {
    /// For writing too.
    pub const fn write(mut self) -> Self {
        self.write = true;
        self
    }

    /// Without `O_DIRECT`, so that memory needs no alignment.
    pub const fn buffered(mut self) -> Self {
        self.buffered = true;
        self
    }

    /// With a side file that exists, which keeps the metadata of a target without any.
    pub fn side_file(mut self, path: impl Into<PathBuf>) -> Self {
        self.side = Some(path.into());
        self
    }

    /// The side file is made if there is none, mode 0600, for this format; one that is there must have it.
    pub const fn create(mut self, format: Format) -> Self {
        self.create = true;
        self.format = Some(format);
        self
    }

    /// Opens it.
    pub fn open(&self, path: impl AsRef<Path>) -> Result<Target> {
        self.with(|options| target::Target::open(path.as_ref(), options))
    }

    /// The same for what is open already, in agreement with how it is. The target has a descriptor of its own for it.
    pub fn open_fd(&self, fd: impl AsFd) -> Result<Target> {
        let fd = fd.as_fd().as_raw_fd();
        self.with(|options| target::Target::from_fd(fd, Some(options)))
    }

    fn with(&self, open: impl FnOnce(&Options<'_>) -> Result<target::Target>) -> Result<Target> {
        if self.side.is_none() && self.create {
            return Err(Error::Invalid(c"side_path: none, but it is to be made"));
        }
        if self.create && !self.write {
            return Err(Error::Invalid(c"write: not asked for, but the side file is to be made"));
        }
        let (create, format) = (self.create, self.format.as_ref());
        let side = self.side.as_deref().map(|path| Side { path, create, format });
        let options = Options { write: self.write, buffered: self.buffered, side };
        Ok(Target(Arc::new(open(&options)?)))
    }
}

impl Target {
    /// Opens a device or file for reading.
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        Self::options().open(path)
    }

    /// To say more.
    pub fn options() -> OpenOptions {
        OpenOptions::default()
    }

    /// What is known of it. No system call.
    pub fn info(&self) -> Info {
        let facts = self.0.facts();
        let (layout, limits, zones) = (facts.layout, facts.limits.value, facts.zones.value);
        Info {
            kind: facts.kind,
            bytes: facts.bytes.value,
            start: facts.start.value,
            format: layout.format.value,
            attribute: layout.attribute,
            hidden: layout.hidden,
            nsid: facts.nsid.value,
            data_align: limits.data_align,
            max_command: limits.max_command,
            max_append: limits.max_append,
            zone_bytes: zones.bytes,
            zones: zones.count,
        }
    }

    /// The format of its blocks, or why there is none to be known.
    pub fn format(&self) -> Result<Format> {
        self.0.offer().format().copied()
    }

    /// Makes durable what was completed: side file and data, or the device's cache.
    pub fn flush(&self) -> Result<()> {
        self.0.flush()
    }

    /// With a side file: computes the protection information of all that the data file holds now, with the
    /// application and storage tag of `tags`. Durable when it returns.
    pub fn adopt(&self, tags: &Tags) -> Result<()> {
        self.0.adopt(tags)
    }

    /// At most `most` zones, from the one that holds byte `offset` on.
    pub fn zones(&self, offset: u64, most: u32) -> Result<Vec<Zone>> {
        let zones = self.0.report_zones(offset, most)?;
        let show = |zone: crate::zone::Zone| Zone {
            start: zone.start,
            len: zone.len,
            capacity: zone.capacity,
            wp: zone.wp,
            full: zone.state == abi::BLK_ZONE_COND_FULL,
            sequential: zone.kind != abi::BLK_ZONE_TYPE_CONVENTIONAL,
        };
        Ok(zones.into_iter().map(show).collect())
    }

    /// Empties the zone that starts at byte `zone`.
    pub fn reset_zone(&self, zone: u64) -> Result<()> {
        self.0.manage_zone(crate::command::Op::ZoneReset, zone)
    }

    /// Fills it: nothing more can be written there.
    pub fn finish_zone(&self, zone: u64) -> Result<()> {
        self.0.manage_zone(crate::command::Op::ZoneFinish, zone)
    }

    pub(super) const fn core(&self) -> &Arc<target::Target> {
        &self.0
    }
}

impl AsFd for Target {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}
