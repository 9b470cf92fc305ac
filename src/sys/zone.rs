//! Ioctls of zoned block devices.

use std::os::fd::BorrowedFd;

use super::ioctl;
use crate::abi;
use crate::error::Result;

/// `BLKREPORTZONE`: zones from the one that holds `sector`, as many as there is room for. An older kernel's
/// capacities are filled in.
pub(crate) fn report(fd: BorrowedFd<'_>, sector: u64, room: u32) -> Result<Vec<abi::BlkZone>> {
    let mut report = Box::new(abi::BlkZoneReport {
        sector,
        nr_zones: room.min(abi::ZONES_AT_ONCE as u32),
        flags: 0,
        zones: [abi::BlkZone::default(); abi::ZONES_AT_ONCE],
    });
    // SAFETY: the request's argument is the 16 bytes before `zones`, with `nr_zones` zones behind it, for which
    // there is room; they hold no pointer.
    unsafe { ioctl(fd, abi::BLKREPORTZONE, &mut *report) }?;
    let told = report.zones.iter().take(report.nr_zones as usize);
    let has_capacity = report.flags & abi::BLK_ZONE_REP_CAPACITY != 0;
    let whole = |zone: &abi::BlkZone| match has_capacity {
        true => *zone,
        false => abi::BlkZone { capacity: zone.len, ..*zone },
    };
    Ok(told.map(whole).collect())
}

/// What can be done with zones.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Action {
    Reset,
    Open,
    Close,
    Finish,
}

/// Does it to the zones of a range.
pub(crate) fn manage(fd: BorrowedFd<'_>, action: Action, range: &abi::BlkZoneRange) -> Result<()> {
    let request = match action {
        Action::Reset => abi::BLKRESETZONE,
        Action::Open => abi::BLKOPENZONE,
        Action::Close => abi::BLKCLOSEZONE,
        Action::Finish => abi::BLKFINISHZONE,
    };
    let mut range = *range;
    // SAFETY: each of these encodes the 16 bytes of BlkZoneRange, which the kernel reads.
    unsafe { ioctl(fd, request, &mut range) }.map(drop)
}
