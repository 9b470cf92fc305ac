//! What sysfs says of a block device: limits, zones, where a partition starts, and a name of the
//! protection profile.

use std::fs;
use std::path::{Path, PathBuf};

use crate::geometry::{Format, Guard, PiType, Protection};

/// The directory of a whole disk.
#[derive(Debug)]
pub(super) struct Disk {
    dir: PathBuf,
    /// In 512-byte units; `None` for a whole disk.
    pub(super) partition_start: Option<u64>,
}

/// Bytes of a sector, the unit of sysfs and of the block layer.
pub(super) const SECTOR: u64 = 512;

impl Disk {
    /// Of a block device or one of its partitions.
    pub(super) fn of_block(major: u32, minor: u32) -> Option<Self> {
        let node = fs::canonicalize(format!("/sys/dev/block/{major}:{minor}")).ok()?;
        if !node.join("partition").exists() {
            return Some(Disk { dir: node, partition_start: None });
        }
        let start = number(&node, "start")?;
        Some(Disk { dir: node.parent()?.to_owned(), partition_start: Some(start) })
    }

    /// Of the NVMe namespace behind a character device: `ngXnY` stands beside `nvmeXnY`. `None`
    /// for any other character device.
    pub(super) fn of_nvme_char(major: u32, minor: u32) -> Option<Self> {
        let node = fs::canonicalize(format!("/sys/dev/char/{major}:{minor}")).ok()?;
        let subsystem = fs::canonicalize(node.join("subsystem")).ok()?;
        if subsystem.file_name()? != "nvme-generic" {
            return None;
        }
        let name = node.file_name()?.to_str()?.strip_prefix("ng")?;
        Some(Disk { dir: node.with_file_name(format!("nvme{name}")), partition_start: None })
    }

    /// Whether it is an NVMe namespace itself, not a device mapper's on one, which passes ioctls on.
    pub(super) fn is_nvme(&self) -> bool {
        let name = self.dir.file_name().and_then(|name| name.to_str());
        name.is_some_and(|name| name.starts_with("nvme"))
    }

    /// The device node of `ngXnY`, which stands beside `nvmeXnY`.
    pub(super) fn nvme_char(&self) -> Option<PathBuf> {
        let name = self.dir.file_name()?.to_str()?.strip_prefix("nvme")?;
        let node = Path::new("/dev").join(format!("ng{name}"));
        let device = format!("/sys/class/nvme-generic/ng{name}");
        Path::new(&device).exists().then_some(node)
    }

    /// The device node of the block device.
    pub(super) fn block(&self) -> Option<PathBuf> {
        Some(Path::new("/dev").join(self.dir.file_name()?))
    }

    /// A numeric attribute, such as `queue/nr_zones`.
    pub(super) fn number(&self, attribute: &str) -> Option<u64> {
        number(&self.dir, attribute)
    }

    /// Whether zones must be written in order.
    pub(super) fn is_zoned(&self) -> bool {
        text(&self.dir, "queue/zoned").is_some_and(|zoned| zoned != "none")
    }

    /// The scheduler in use.
    pub(super) fn scheduler(&self) -> Option<String> {
        let all = text(&self.dir, "queue/scheduler")?;
        all.split_whitespace().find_map(in_brackets).map(str::to_owned)
    }

    /// The kernel's protection profile by its name, as far as it tells a whole format.
    pub(super) fn profile(&self, is_nvme: bool) -> Profile {
        let Some(name) = text(&self.dir, "integrity/format") else {
            return Profile::None;
        };
        let interval = self.number("integrity/protection_interval_bytes");
        // NVMe may carry more than the tuple. SCSI never does.
        let meta_size = if is_nvme { self.number("metadata_bytes") } else { Some(8) };
        profile(&name, interval, meta_size)
    }
}

/// What a profile's name gives away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Profile {
    /// The kernel handles no metadata.
    None,
    /// It does, but how it looks is not told here.
    Unknown,
    /// All of it. Types 1 and 2 look alike and are taken for type 1.
    Known(Format),
}

fn profile(name: &str, interval: Option<u64>, meta_size: Option<u64>) -> Profile {
    let (guard, pi_type) = match name {
        "none" => return Profile::None,
        "T10-DIF-TYPE1-CRC" => (Guard::T10Dif, PiType::Type1),
        "T10-DIF-TYPE3-CRC" => (Guard::T10Dif, PiType::Type3),
        "T10-DIF-TYPE1-IP" => (Guard::Ip, PiType::Type1),
        "T10-DIF-TYPE3-IP" => (Guard::Ip, PiType::Type3),
        "EXT-DIF-TYPE1-CRC64" => (Guard::Crc64, PiType::Type1),
        "EXT-DIF-TYPE3-CRC64" => (Guard::Crc64, PiType::Type3),
        _ => return Profile::Unknown, // "nop" too: it does not tell opaque from a guard unknown to Linux
    };
    // Metadata of just the tuple's size leaves no question where the tuple lies.
    let tuple = guard.tuple_size() as u16;
    let known = meta_size == Some(tuple.into());
    let protection = Protection { guard, pi_type, offset: 0, storage_bits: 0 };
    let interval = interval.and_then(|bytes| u32::try_from(bytes).ok());
    match interval.and_then(|i| Format::new(i, tuple, false, Some(protection)).ok()) {
        Some(format) if known => Profile::Known(format),
        _ => Profile::Unknown,
    }
}

fn in_brackets(word: &str) -> Option<&str> {
    word.strip_prefix('[')?.strip_suffix(']')
}

fn text(dir: &Path, attribute: &str) -> Option<String> {
    let text = fs::read_to_string(dir.join(attribute)).ok()?;
    Some(text.trim_end().to_owned())
}

fn number(dir: &Path, attribute: &str) -> Option<u64> {
    text(dir, attribute)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_and_the_tuple_size_make_a_format() {
        let Profile::Known(f) = profile("EXT-DIF-TYPE3-CRC64", Some(4096), Some(16)) else {
            panic!("not known");
        };
        assert_eq!((f.interval(), f.meta_size()), (4096, 16));
        assert_eq!(f.protection().unwrap().pi_type, PiType::Type3);
    }

    #[test]
    fn what_a_name_alone_does_not_tell() {
        assert_eq!(profile("none", Some(512), None), Profile::None);
        assert_eq!(profile("nop", Some(4096), Some(8)), Profile::Unknown);
        assert_eq!(profile("T10-DIF-TYPE1-CRC", Some(4096), None), Profile::Unknown);
        assert_eq!(profile("T10-DIF-TYPE1-CRC", Some(4096), Some(64)), Profile::Unknown);
        assert_eq!(profile("T10-DIF-TYPE1-CRC", None, Some(8)), Profile::Unknown);
        assert_eq!(profile("T11", Some(4096), Some(8)), Profile::Unknown);
    }
}
