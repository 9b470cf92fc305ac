//! One open device or file and what is known of it. Changes only when nobody shares it.

use std::fs::{File, OpenOptions};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};
use std::path::Path;
use std::sync::Arc;

use crate::command::{Op, Request};
use crate::error::{Error, Result};
use crate::geometry::Tags;
use crate::passthru::{self, Access, Device};
use crate::path::{Mode, Offer};
use crate::probe::{self, Facts, Kind};
use crate::store::{DataFile, Side, Store};
use crate::sys;
use crate::zone::{self, Place, Site, Zone, Zones};

/// How to open a target.
#[derive(Debug, Clone, Copy, Default)]
pub struct Options<'p> {
    /// For writing too.
    pub write: bool,
    /// Without `O_DIRECT`.
    pub buffered: bool,
    /// With a side file.
    pub side: Option<Side<'p>>,
}

/// An open device or file.
#[derive(Debug)]
pub struct Target {
    file: File,
    offer: Offer,
    store: Option<Store>,
    zones: Zones,
}

impl Target {
    /// Opens a path: block devices and files with `O_DIRECT` unless `options.buffered`. A file
    /// system that has no direct I/O gets a buffered file, see [`Mode::direct`].
    pub fn open(path: &Path, options: &Options<'_>) -> Result<Self> {
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
        Self::new(file, options.side.as_ref(), true)
    }

    /// Takes the open file behind a descriptor, with a descriptor of its own. Options have to agree with
    /// how it is open; without any it is taken as it is.
    pub fn from_fd(fd: RawFd, options: Option<&Options<'_>>) -> Result<Self> {
        let file = sys::duplicate(fd)?;
        let (mode, flags) = mode(&file)?;
        let Some(options) = options else {
            return Self::new(file, None, true);
        };
        if options.write && !mode.writable {
            return Err(Error::Invalid(
                c"flags: URX_TARGET_WRITE, but the descriptor is not open for writing",
            ));
        }
        if options.buffered && mode.direct {
            return Err(Error::Invalid(
                c"flags: URX_TARGET_BUFFERED, but the descriptor is open with O_DIRECT",
            ));
        }
        if options.side.is_some() && flags & libc::O_ACCMODE == libc::O_WRONLY {
            return Err(Error::Invalid(c"fd: a side file needs a descriptor to read from"));
        }
        if options.side.is_some() && flags & libc::O_APPEND != 0 {
            return Err(Error::Invalid(c"fd: open with O_APPEND, which ignores offsets"));
        }
        Self::new(file, options.side.as_ref(), options.write)
    }

    fn new(file: File, side: Option<&Side<'_>>, may_write: bool) -> Result<Self> {
        let facts = probe::probe(&file)?;
        let (mode, _) = mode(&file)?;
        let mode = Mode { writable: mode.writable && may_write, ..mode };
        let Some(side) = side else {
            let access = Access::of(&file, &facts, mode.writable);
            let offer = Offer::new(facts, mode, access, false);
            return Ok(Target { file, offer, store: None, zones: Zones::default() });
        };
        facts.check_bare()?;
        let Mode { direct, writable } = mode;
        let data = DataFile { file: &file, bytes: facts.bytes.value, direct, writable };
        let store = Store::open(&data, side)?;
        let facts = facts.with_side_file(*store.format(), store.bytes());
        let offer = Offer::new(facts, mode, Access::NONE, true);
        Ok(Target { file, offer, store: Some(store), zones: Zones::default() })
    }

    /// For figures: one of which other things are said than are true.
    #[cfg(test)]
    pub(crate) fn pretended(file: File, offer: Offer) -> Self {
        Target { file, offer, store: None, zones: Zones::default() }
    }

    /// Learns everything anew; nothing changes if that fails.
    pub fn refresh(&mut self) -> Result<()> {
        let (facts, mode) = (probe::probe(&self.file)?, self.offer.mode);
        self.offer = match &self.store {
            None => {
                let access = Access::of(&self.file, &facts, mode.writable);
                Offer::new(facts, mode, access, false)
            }
            Some(store) => {
                facts.check_bare()?;
                store.check_size(facts.bytes.value)?;
                let facts = facts.with_side_file(*store.format(), store.bytes());
                Offer::new(facts, mode, Access::NONE, true)
            }
        };
        Ok(())
    }

    /// Makes durable what was completed: side file and data, or the device's cache.
    pub fn flush(&self) -> Result<()> {
        match (&self.store, self.facts().kind) {
            (Some(store), _) => store.flush(&self.file),
            (None, Kind::NvmeChar) => passthru::flush(&self.device(false)?),
            (None, _) => Ok(self.file.sync_data()?),
        }
    }

    /// Zones from the one that holds `offset`.
    pub(crate) fn report_zones(&self, offset: u64, room: u32) -> Result<Vec<Zone>> {
        zone::report(&self.place(), offset, room)
    }

    /// Resets, opens, closes or finishes the zone at `start`. Only a character device gets an NVMe command:
    /// of others the kernel had better know.
    pub(crate) fn manage_zone(self: &Arc<Self>, op: Op, start: u64) -> Result<()> {
        let request = Request { op, offset: start, ..Request::FLUSH };
        let extent = self.offer().check(&request)?;
        match self.facts().kind {
            Kind::NvmeChar => {
                let lba = self.offer().lba(start);
                let device = self.device(true)?;
                let outcome = passthru::run(&device, &mut request.clone(), &extent, lba).in_zone();
                self.zones.forget(start);
                if outcome.res < 0 { Err(Error::Os(-outcome.res)) } else { Ok(()) }
            }
            _ => {
                let mut told = Ok(());
                Zones::manage(Arc::clone(self), op, start, |done| told = done);
                told
            }
        }
    }

    /// A command that the kernel does not know of may have moved the write pointer of a zone.
    pub(crate) fn forget_zone(&self, start: u64) {
        self.zones.forget(start);
    }

    /// Protects what its file holds now, see [`Store::adopt`].
    pub fn adopt(&self, tags: &Tags) -> Result<()> {
        let none = Error::Unsupported(c"target: has no side file");
        self.store.as_ref().ok_or(none)?.adopt(&self.file, tags)
    }

    /// The file or device itself.
    pub const fn file(&self) -> &File {
        &self.file
    }

    /// Its side file.
    pub const fn store(&self) -> Option<&Store> {
        self.store.as_ref()
    }

    /// What is known of it.
    pub const fn facts(&self) -> &Facts {
        &self.offer.facts
    }

    /// What it offers to requests.
    pub const fn offer(&self) -> &Offer {
        &self.offer
    }

    /// Where NVMe commands go by ioctl.
    pub(crate) fn device(&self, writes: bool) -> Result<Device<'_>> {
        let Offer { facts, access, .. } = &self.offer;
        let via = if writes { access.write } else { access.read };
        Ok(Device {
            fd: self.file.as_fd(),
            via: via.ok_or(Error::Os(libc::EACCES))?,
            vectors: access.vectors,
            nsid: facts.nsid.value,
            format: *self.offer.format()?,
            limits: facts.limits.value,
        })
    }

    /// How it is open.
    pub const fn mode(&self) -> Mode {
        self.offer.mode
    }
}

/// How a file is open, and all its status flags.
fn mode(file: &File) -> Result<(Mode, i32)> {
    let flags = sys::status_flags(file.as_fd())?;
    let direct = flags & libc::O_DIRECT != 0;
    let writable = flags & libc::O_ACCMODE != libc::O_RDONLY;
    Ok((Mode { direct, writable }, flags))
}

impl Site for Target {
    fn place(&self) -> Place<'_> {
        Place { file: &self.file, facts: self.facts(), device: self.device(false).ok() }
    }

    fn zones(&self) -> &Zones {
        &self.zones
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
