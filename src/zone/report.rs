//! Where the zones of a target stand: by ioctl, from NVMe, or from a file of zonefs.

use std::fs::{File, read_link};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::os::unix::fs::MetadataExt;

use super::{Place, Zone};
use crate::abi::{self, BlkZone};
use crate::error::{Error, Result};
use crate::passthru::{self, Device};
use crate::probe::{Kind, nvme_block_of};
use crate::sys::nvme::nvme_nsid;
use crate::sys::zone;

const SECTOR: u64 = 512;

/// Zones from the one that holds `offset`, as many as there are and as there is room for. What the device
/// says, never what the kernel remembers: kernels from 6.10 refuse every write after one that failed,
/// until somebody asks.
pub(crate) fn report(place: &Place<'_>, offset: u64, room: u32) -> Result<Vec<Zone>> {
    let facts = place.facts;
    let zone_bytes = facts.zones.value.bytes;
    if zone_bytes == 0 {
        return Err(Error::Unsupported(c"target: has no zones"));
    }
    let mut at = offset - offset % zone_bytes;
    let mut zones = Vec::new();
    while at < facts.bytes.value && zones.len() < room as usize {
        let more = some(place, at, room - zones.len() as u32)?;
        let last = more.last().map_or(0, |zone: &Zone| zone.start.saturating_add(zone.len));
        zones.extend(more.into_iter().map(Zone::tidy));
        if last <= at {
            break;
        }
        at = last;
    }
    Ok(zones)
}

/// The zone that starts at `start`.
pub(super) fn one(place: &Place<'_>, start: u64) -> Result<Zone> {
    let zone = report(place, start, 1)?.into_iter().next();
    zone.filter(|zone| zone.start == start).ok_or(Error::Os(libc::EIO))
}

/// At least one zone, and no more than `room`.
fn some(place: &Place<'_>, start: u64, room: u32) -> Result<Vec<Zone>> {
    match place.facts.kind {
        Kind::Zonefs => Ok(vec![zonefs(place.file, place.facts.bytes.value)?]),
        Kind::NvmeChar => match &place.device {
            Some(device) if device.via.takes_any_command() => {
                nvme(device, start, room, place.facts.zones.value.bytes)
            }
            _ => by_ioctl(sibling(place)?.as_fd(), start, room),
        },
        _ => by_ioctl(place.file.as_fd(), start, room),
    }
}

fn by_ioctl(fd: BorrowedFd<'_>, start: u64, room: u32) -> Result<Vec<Zone>> {
    let bytes = |sectors: u64| sectors.saturating_mul(SECTOR);
    let zone = |told: BlkZone| Zone {
        start: bytes(told.start),
        len: bytes(told.len),
        capacity: bytes(told.capacity),
        wp: bytes(told.wp),
        kind: told.kind,
        state: told.cond,
    };
    Ok(zone::report(fd, start / SECTOR, room)?.into_iter().map(zone).collect())
}

/// The block device beside a character device.
fn sibling(place: &Place<'_>) -> Result<File> {
    let none =
        Error::Unsupported(c"target: this process may ask neither namespace nor block device");
    let block = File::open(nvme_block_of(place.file).ok_or(none)?).map_err(|_| none)?;
    match nvme_nsid(block.as_fd()) {
        Ok(nsid) if nsid == place.facts.nsid.value => Ok(block),
        _ => Err(none),
    }
}

/// Bytes of a zone in the namespace's own report, and of what precedes the zones.
const DESCRIPTOR: usize = 64;

/// By Zone Management Receive (Zoned Namespace command set, Report Zones). Zone types and states have the
/// kernel's numbers, which were taken from there.
fn nvme(device: &Device<'_>, start: u64, room: u32, len: u64) -> Result<Vec<Zone>> {
    let interval = u64::from(device.format.interval());
    let room = room.clamp(1, abi::ZONES_AT_ONCE as u32 - 1) as usize; // a page in all
    let mut report = vec![0; (room + 1) * DESCRIPTOR];
    passthru::zones(device, start / interval, &mut report)?;
    let mut parts = report.chunks_exact(DESCRIPTOR);
    let count = parts.next().and_then(|header| word(header, 0)).unwrap_or(0);
    let zone_bytes = |blocks: Option<u64>| blocks.unwrap_or(0).saturating_mul(interval);
    let mut zones: Vec<Zone> = Vec::with_capacity(room);
    for part in parts.take(count as usize) {
        let [kind, state, ..] = *part else { break };
        zones.push(Zone {
            start: zone_bytes(word(part, 16)),
            len,
            capacity: zone_bytes(word(part, 8)),
            wp: zone_bytes(word(part, 24)),
            kind: kind & 0xf,
            state: state >> 4,
        });
    }
    Ok(zones)
}

fn word(bytes: &[u8], at: usize) -> Option<u64> {
    let word = bytes.get(at..)?.first_chunk::<8>()?;
    Some(u64::from_le_bytes(*word))
}

/// The zone that a file of zonefs is (Documentation/filesystems/zonefs.rst): its size is the write pointer, its
/// rights go with the zone's. Whether it is open nobody tells.
fn zonefs(file: &File, capacity: u64) -> Result<Zone> {
    let stat = file.metadata()?;
    let is_conventional = || {
        let path = read_link(format!("/proc/self/fd/{}", file.as_raw_fd())).ok()?;
        Some(path.parent()?.file_name()? == "cnv")
    };
    let (kind, state) = match stat.len() {
        _ if is_conventional().unwrap_or(false) => {
            (abi::BLK_ZONE_TYPE_CONVENTIONAL, abi::BLK_ZONE_COND_NOT_WP)
        }
        size => (abi::BLK_ZONE_TYPE_SEQWRITE_REQ, sequential(size, capacity, stat.mode())),
    };
    Ok(Zone { start: 0, len: capacity, capacity, wp: stat.len(), kind, state })
}

const fn sequential(size: u64, capacity: u64, mode: u32) -> u8 {
    match size {
        _ if mode & 0o777 == 0 => abi::BLK_ZONE_COND_OFFLINE,
        _ if mode & 0o222 == 0 => abi::BLK_ZONE_COND_READONLY,
        0 => abi::BLK_ZONE_COND_EMPTY,
        _ if size >= capacity => abi::BLK_ZONE_COND_FULL,
        _ => abi::BLK_ZONE_COND_IMP_OPEN,
    }
}
