//! What a device or file offers, learnt once: its format, size, limits, and who told each.
//!
//! The sources are asked in this order: `FS_IOC_GETLBMD_CAP`, which anyone may ask but which knows
//! only what the kernel handles itself; sysfs; Identify, which knows everything about a namespace
//! but wants `CAP_SYS_ADMIN` before 6.2.

mod identify;
mod lbmd;
mod sysfs;

use std::fs::{File, Metadata};
use std::os::fd::AsFd;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::PathBuf;

use crate::error::{Error, Result};
use crate::geometry::{Format, PiType};
use crate::sys;
use identify::Namespace;
use sysfs::{Disk, Profile, SECTOR};

/// What a target is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Regular file.
    File,
    /// Block device that is not NVMe.
    Block,
    /// NVMe namespace, or a partition of one, as a block device.
    NvmeBlock,
    /// NVMe namespace as a character device (`/dev/ngXnY`).
    NvmeChar,
    /// File of a zonefs.
    Zonefs,
}

/// Who told a fact.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Source {
    /// Nobody: it does not apply, or could not be learnt.
    #[default]
    None,
    /// `FS_IOC_GETLBMD_CAP`.
    Lbmd,
    /// sysfs.
    Sysfs,
    /// NVMe Identify.
    Identify,
    /// The device's driver: another ioctl.
    Driver,
    /// `fstat` or `statx`.
    Stat,
    /// The header of a side file.
    SideFile,
}

/// A fact and who told it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Known<T> {
    /// The fact.
    pub value: T,
    /// Who told it.
    pub source: Source,
}

impl<T> Known<T> {
    const fn by(source: Source, value: T) -> Self {
        Known { value, source }
    }
}

/// How the blocks look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Layout {
    /// Block and metadata; `None` for a regular file, which has no blocks of its own. The source is
    /// [`Source::None`] where there is metadata of which nobody may tell us more.
    pub format: Known<Option<Format>>,
    /// Who told the protection type apart. Sources but Identify take type 2 for type 1.
    pub type_source: Source,
    /// The part that the kernel itself handles, which is what a PI attribute can carry.
    pub attribute: Option<Format>,
    /// Nobody may tell us how the metadata looks, or whether there is any.
    pub hidden: bool,
}

/// What requests must respect.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Limits {
    /// Alignment of data buffers.
    pub data_align: u32,
    /// Bytes of the largest single command; 0: not known.
    pub max_command: u32,
    /// Pieces of memory of the largest single command; 0: not known.
    pub segments: u32,
    /// Bytes of the largest zone append; 0: not zoned.
    pub max_append: u32,
}

impl Limits {
    /// Blocks of the largest NVMe command, whatever its data lies on.
    pub(crate) fn blocks_per_command(&self, format: &Format) -> u32 {
        let stride =
            format.interval() + if format.interleaved() { format.meta_size().into() } else { 0 };
        // A device that tells nothing takes a page.
        let bytes = if self.max_command == 0 { 4096 } else { self.max_command };
        (bytes / stride).clamp(1, crate::command::MAX_BLOCKS)
    }

    /// Pieces of memory that one command surely takes.
    pub(crate) fn pieces(&self) -> u64 {
        u64::from(self.segments.max(1))
    }
}

/// Zones, all zero where there are none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Zones {
    /// Number.
    pub count: u32,
    /// Bytes from one to the next.
    pub bytes: u64,
    /// Bytes that a write must be a multiple of, if the kernel tells (5.12): disks whose blocks are smaller than
    /// what they store.
    pub unit: u32,
    /// The block device's scheduler keeps the pieces of a write in order: mq-deadline does, until zone write plugging
    /// (6.10) does it for all.
    pub in_order: bool,
}

impl Zones {
    fn of(disk: Option<&Disk>, count: u32, bytes: u64) -> Self {
        let unit = disk.and_then(|d| d.number("queue/zone_write_granularity"));
        let unit = unit.and_then(|bytes| u32::try_from(bytes).ok()).unwrap_or(0);
        let in_order = disk.is_some_and(|d| d.scheduler().as_deref() == Some("mq-deadline"));
        Zones { count, bytes, unit, in_order }
    }
}

/// All that is known of a target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Facts {
    /// What it is.
    pub kind: Kind,
    /// Namespace identifier.
    pub nsid: Known<u32>,
    /// Data bytes.
    pub bytes: Known<u64>,
    /// Byte of its device at which a partition starts.
    pub start: Known<u64>,
    /// How the blocks look.
    pub layout: Layout,
    /// What requests must respect.
    pub limits: Known<Limits>,
    /// Zones.
    pub zones: Known<Zones>,
}

impl Facts {
    /// Refuses a target for which a side file cannot keep the metadata.
    pub(crate) fn check_bare(&self) -> Result<()> {
        let no = |why| Err(Error::Unsupported(why));
        match self.kind {
            Kind::NvmeChar => return no(c"target: a side file needs a file or block device"),
            Kind::Zonefs => return no(c"target: a side file cannot follow zones"),
            _ if self.zones.value.bytes != 0 => {
                return no(c"target: a side file cannot follow zones");
            }
            Kind::File | Kind::Block | Kind::NvmeBlock => {}
        }
        let layout = &self.layout;
        let has_metadata = layout.format.value.is_some_and(|format| format.meta_size() != 0);
        match has_metadata || layout.attribute.is_some() || layout.hidden {
            true => no(c"target: has metadata of its own, or may have"),
            false => Ok(()),
        }
    }

    /// With the format that a side file gives to whole blocks.
    pub(crate) fn with_side_file(mut self, format: Format, bytes: u64) -> Self {
        self.layout = Layout {
            format: Known::by(Source::SideFile, Some(format)),
            type_source: Source::SideFile,
            attribute: None,
            hidden: false,
        };
        self.bytes.value = bytes;
        self
    }
}

const NOT_A_TARGET: Error =
    Error::Unsupported(c"target: neither a block device, an NVMe namespace nor a regular file");

/// Refuses what no target can be made of, before it is opened: open(2) waits on a FIFO, and opening
/// the character device of a watchdog starts it.
pub(crate) fn check_kind(stat: &Metadata) -> Result<()> {
    let kind = stat.file_type();
    let (major, minor) = (libc::major(stat.rdev()), libc::minor(stat.rdev()));
    let is_nvme_char = || Disk::of_nvme_char(major, minor).is_some();
    match kind.is_block_device() || kind.is_file() || kind.is_char_device() && is_nvme_char() {
        true => Ok(()),
        false => Err(NOT_A_TARGET),
    }
}

/// The character device of the NVMe namespace that a block device, or its whole disk, is.
pub(crate) fn nvme_char_of(file: &File) -> Option<PathBuf> {
    let stat = file.metadata().ok()?;
    let (major, minor) = (libc::major(stat.rdev()), libc::minor(stat.rdev()));
    Disk::of_block(major, minor)?.nvme_char()
}

/// The block device of the NVMe namespace that a character device is.
pub(crate) fn nvme_block_of(file: &File) -> Option<PathBuf> {
    let stat = file.metadata().ok()?;
    let (major, minor) = (libc::major(stat.rdev()), libc::minor(stat.rdev()));
    Disk::of_nvme_char(major, minor)?.block()
}

/// Learns what an open file is and offers. Changes nothing.
pub fn probe(file: &File) -> Result<Facts> {
    let stat = file.metadata()?;
    let kind = stat.file_type();
    let (major, minor) = (libc::major(stat.rdev()), libc::minor(stat.rdev()));
    if kind.is_block_device() {
        block(file, Disk::of_block(major, minor))
    } else if kind.is_char_device() {
        let disk = Disk::of_nvme_char(major, minor)
            .ok_or(Error::Unsupported(c"target: a character device that is no NVMe namespace"))?;
        nvme_char(file, &disk)
    } else if kind.is_file() {
        match sys::on_zonefs(file.as_fd()) {
            true => Ok(zonefs(file, &stat)),
            false => Ok(regular(file, &stat)),
        }
    } else {
        Err(Error::Unsupported(c"target: neither a device nor a regular file"))
    }
}

fn block(file: &File, disk: Option<Disk>) -> Result<Facts> {
    let fd = file.as_fd();
    let is_nvme = disk.as_ref().is_none_or(Disk::is_nvme);
    let nsid = if is_nvme { sys::nvme::nvme_nsid(fd).ok() } else { None };
    let namespace = nsid.and_then(|nsid| identify::identify(fd, nsid).ok());
    let profile = disk.as_ref().map_or(Profile::None, |d| d.profile(nsid.is_some()));
    let block_size = disk.as_ref().and_then(|d| d.number("queue/logical_block_size"));
    let start = disk.as_ref().and_then(|d| d.partition_start);
    let is_partition = start.is_some();
    let bytes = match sys::device_bytes(fd)? {
        // The kernel gives no capacity to a format that it cannot handle.
        0 if !is_partition => namespace.map_or(Known::by(Source::Driver, 0), identified_bytes),
        bytes => Known::by(Source::Driver, bytes),
    };
    Ok(Facts {
        kind: if nsid.is_some() { Kind::NvmeBlock } else { Kind::Block },
        nsid: nsid.map_or_else(Known::default, |nsid| Known::by(Source::Driver, nsid)),
        bytes,
        start: match &disk {
            Some(_) => Known::by(Source::Sysfs, start.unwrap_or(0).saturating_mul(SECTOR)),
            None => Known::default(),
        },
        layout: layout(sys::metadata_cap(fd).ok(), profile, namespace, nsid.is_some(), block_size),
        limits: limits(file, disk.as_ref(), block_size),
        zones: zones(disk.as_ref(), bytes.value),
    })
}

fn nvme_char(file: &File, disk: &Disk) -> Result<Facts> {
    let nsid = sys::nvme::nvme_nsid(file.as_fd())?;
    let namespace = identify::identify(file.as_fd(), nsid).ok();
    let size = disk.number("size").unwrap_or(0).saturating_mul(SECTOR);
    let bytes = match (size, namespace) {
        (0, Some(namespace)) => identified_bytes(namespace),
        _ => Known::by(Source::Sysfs, size),
    };
    let block_size = disk.number("queue/logical_block_size");
    Ok(Facts {
        kind: Kind::NvmeChar,
        nsid: Known::by(Source::Driver, nsid),
        bytes,
        start: Known::by(Source::Sysfs, 0),
        // The ioctl is for block devices: a character device never takes the attribute.
        layout: layout(None, disk.profile(true), namespace, true, block_size),
        limits: limits(file, Some(disk), block_size),
        zones: zones(Some(disk), bytes.value),
    })
}

fn zonefs(file: &File, stat: &Metadata) -> Facts {
    let disk = Disk::of_block(libc::major(stat.dev()), libc::minor(stat.dev()));
    let block_size = disk.as_ref().and_then(|d| d.number("queue/logical_block_size"));
    let format = block_size.and_then(plain_format);
    // The file's size is its write pointer; its blocks are the zone's capacity.
    let bytes = stat.blocks().saturating_mul(SECTOR);
    Facts {
        kind: Kind::Zonefs,
        nsid: Known::default(),
        bytes: Known::by(Source::Stat, bytes),
        start: Known::default(),
        layout: Layout {
            format: Known::by(Source::Sysfs, format),
            type_source: Source::None,
            attribute: None,
            hidden: false,
        },
        limits: limits(file, disk.as_ref(), block_size),
        zones: Known::by(Source::Stat, Zones::of(disk.as_ref(), 1, bytes)),
    }
}

fn regular(file: &File, stat: &Metadata) -> Facts {
    Facts {
        kind: Kind::File,
        nsid: Known::default(),
        bytes: Known::by(Source::Stat, stat.len()),
        start: Known::default(),
        layout: Layout {
            format: Known::by(Source::Stat, None),
            type_source: Source::None,
            attribute: None,
            hidden: false,
        },
        limits: limits(file, None, None),
        zones: Known::default(),
    }
}

/// Puts together what three sources say of the blocks. The first that knows a tuple wins; Identify
/// decides where the others know none, since a kernel calls a tuple that it cannot handle opaque;
/// and it alone tells type 2 from type 1.
fn layout(
    cap: Option<crate::abi::LbmdCap>,
    profile: Profile,
    namespace: Option<Namespace>,
    is_nvme: bool,
    block_size: Option<u64>,
) -> Layout {
    let attribute = cap.and_then(|cap| lbmd::format(&cap).ok().flatten());
    let told = [
        Known::by(Source::Lbmd, attribute),
        Known::by(Source::Sysfs, if let Profile::Known(f) = profile { Some(f) } else { None }),
    ];
    let identified = Known::by(Source::Identify, namespace.map(|ns| ns.format));
    let protected = told.into_iter().find(|k| k.value.is_some_and(|f| f.protection().is_some()));
    let known = [protected, Some(identified), told.into_iter().find(|k| k.value.is_some())];
    let found = known.into_iter().flatten().find_map(|k| Some(Known::by(k.source, k.value?)));
    let Some(found) = found else {
        let hidden = profile == Profile::Unknown || (is_nvme && namespace.is_none());
        let source = match cap {
            _ if hidden => Source::None,
            Some(_) => Source::Lbmd,
            None => Source::Sysfs,
        };
        let format = Known::by(source, block_size.and_then(plain_format));
        return Layout { format, type_source: Source::None, attribute, hidden };
    };
    let type_of = |f: &Format| f.protection().map(|p| p.pi_type);
    let (format, type_source) =
        match (type_of(&found.value), identified.value.as_ref().and_then(type_of)) {
            (Some(_), Some(PiType::Type2)) => {
                (found.value.with_type(PiType::Type2), Source::Identify)
            }
            (Some(_), Some(_)) => (found.value, Source::Identify),
            (Some(_), None) => (found.value, found.source),
            (None, _) => (found.value, Source::None),
        };
    let format = Known::by(found.source, Some(format));
    Layout { format, type_source, attribute, hidden: false }
}

fn plain_format(block_size: u64) -> Option<Format> {
    Format::new(u32::try_from(block_size).ok()?, 0, false, None).ok()
}

fn identified_bytes(namespace: Namespace) -> Known<u64> {
    let interval = u64::from(namespace.format.interval());
    Known::by(Source::Identify, namespace.blocks.saturating_mul(interval))
}

fn limits(file: &File, disk: Option<&Disk>, block_size: Option<u64>) -> Known<Limits> {
    let number = |attribute| disk.and_then(|d| d.number(attribute));
    let to_u32 = |value: u64| u32::try_from(value).unwrap_or(u32::MAX);
    let told = sys::direct_io_align(file.as_fd());
    let zoned = disk.is_some_and(Disk::is_zoned);
    let append = number("queue/zone_append_max_bytes").filter(|_| zoned);
    let command = number("queue/max_hw_sectors_kb").unwrap_or(0).saturating_mul(1024);
    // Kernels that do not tell ask for the block size.
    let data_align = told.or(block_size.map(to_u32)).unwrap_or(4096);
    let source = if disk.is_some() { Source::Sysfs } else { Source::Stat };
    let limits = Limits {
        data_align,
        max_command: to_u32(command),
        segments: to_u32(number("queue/max_segments").unwrap_or(0)),
        // What has no append of its own takes one in a write.
        max_append: append.map_or(0, |most| to_u32(if most == 0 { command } else { most })),
    };
    Known::by(source, limits)
}

fn zones(disk: Option<&Disk>, bytes: u64) -> Known<Zones> {
    let Some(disk) = disk.filter(|d| d.is_zoned()) else {
        return Known::default();
    };
    let zone = disk.number("queue/chunk_sectors").unwrap_or(0).saturating_mul(SECTOR);
    let count = bytes.checked_div(zone).and_then(|n| u32::try_from(n).ok()).unwrap_or(0);
    Known::by(Source::Sysfs, Zones::of(Some(disk), count, zone))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::geometry::{Guard, Protection};

    fn bare(kind: Kind) -> Facts {
        let format = plain_format(512);
        let layout = Layout {
            format: Known::by(Source::Sysfs, format),
            type_source: Source::None,
            attribute: None,
            hidden: false,
        };
        Facts {
            kind,
            nsid: Known::default(),
            bytes: Known::by(Source::Driver, 12345),
            start: Known::default(),
            layout,
            limits: Known::default(),
            zones: Known::default(),
        }
    }

    #[test]
    fn only_what_has_no_metadata_and_no_zones_takes_a_side_file() {
        for (kind, fits) in [
            (Kind::File, true),
            (Kind::Block, true),
            (Kind::NvmeBlock, true),
            (Kind::NvmeChar, false),
            (Kind::Zonefs, false),
        ] {
            assert_eq!(bare(kind).check_bare().is_ok(), fits, "{kind:?}");
        }
        let refused = |edit: fn(&mut Facts)| {
            let mut facts = bare(Kind::Block);
            edit(&mut facts);
            facts.check_bare().unwrap_err().why().to_str().unwrap()
        };
        assert!(refused(|f| f.zones.value.bytes = 4 << 20).contains("zones"));
        assert!(refused(|f| f.layout.hidden = true).contains("metadata"));
        let has = [
            refused(|f| f.layout.format.value = Format::new(512, 8, false, None).ok()),
            refused(|f| f.layout.attribute = Format::new(512, 8, false, None).ok()),
        ];
        assert!(has.iter().all(|why| why.contains("metadata")));
    }

    #[test]
    fn a_side_file_tells_format_and_size() {
        let (guard, pi_type) = (Guard::Crc64, PiType::Type2);
        let p = Protection { guard, pi_type, offset: 0, storage_bits: 0 };
        let format = Format::new(512, 16, false, Some(p)).unwrap();
        let facts = bare(Kind::File).with_side_file(format, 12288);
        assert_eq!(facts.layout.format, Known::by(Source::SideFile, Some(format)));
        assert_eq!(facts.layout.type_source, Source::SideFile);
        assert_eq!(facts.bytes, Known::by(Source::Driver, 12288));
    }
}
