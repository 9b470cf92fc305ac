//! zones

use std::ffi::c_int;

use super::boundary::{guard, object, read, write};
use super::rw::{URX_OP_ZONE_CLOSE, URX_OP_ZONE_FINISH, URX_OP_ZONE_OPEN, URX_OP_ZONE_RESET};
use super::target::urx_target;
use crate::abi;
use crate::command::Op;
use crate::error::Error;
use crate::sys::keeping_errno;
use crate::zone::Zone;

/// urx_zone.type: no write pointer, written anywhere, takes no appends.
pub const URX_ZONE_CONVENTIONAL: u32 = 1;
/// Written at its write pointer alone.
pub const URX_ZONE_SEQ_REQUIRED: u32 = 2;
/// Better written at its write pointer.
pub const URX_ZONE_SEQ_PREFERRED: u32 = 3;

/// urx_zone.state: has no write pointer.
pub const URX_ZONE_NOT_WP: u32 = 0;
/// Nothing written.
pub const URX_ZONE_EMPTY: u32 = 1;
/// Opened by a write.
pub const URX_ZONE_IMP_OPEN: u32 = 2;
/// Opened by URX_OP_ZONE_OPEN.
pub const URX_ZONE_EXP_OPEN: u32 = 3;
/// Written to and closed.
pub const URX_ZONE_CLOSED: u32 = 4;
/// Cannot be written any more: the device is failing.
pub const URX_ZONE_READONLY: u32 = 13;
/// Nothing more can be written.
pub const URX_ZONE_FULL: u32 = 14;
/// Lost: the device is failing.
pub const URX_ZONE_OFFLINE: u32 = 15;

const _: () = assert!(
    URX_ZONE_CONVENTIONAL == abi::BLK_ZONE_TYPE_CONVENTIONAL as u32
        && URX_ZONE_SEQ_REQUIRED == abi::BLK_ZONE_TYPE_SEQWRITE_REQ as u32
        && URX_ZONE_SEQ_PREFERRED == abi::BLK_ZONE_TYPE_SEQWRITE_PREF as u32
        && URX_ZONE_NOT_WP == abi::BLK_ZONE_COND_NOT_WP as u32
        && URX_ZONE_EMPTY == abi::BLK_ZONE_COND_EMPTY as u32
        && URX_ZONE_IMP_OPEN == abi::BLK_ZONE_COND_IMP_OPEN as u32
        && URX_ZONE_EXP_OPEN == abi::BLK_ZONE_COND_EXP_OPEN as u32
        && URX_ZONE_CLOSED == abi::BLK_ZONE_COND_CLOSED as u32
        && URX_ZONE_READONLY == abi::BLK_ZONE_COND_READONLY as u32
        && URX_ZONE_FULL == abi::BLK_ZONE_COND_FULL as u32
        && URX_ZONE_OFFLINE == abi::BLK_ZONE_COND_OFFLINE as u32
);

/// One zone, in bytes of the target.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct urx_zone {
    /// its first byte
    pub start: u64,
    /// bytes to the next zone
    pub len: u64,
    /// bytes that can be written
    pub capacity: u64,
    /// write pointer: where the zone goes on; start + capacity of a full zone, start of one that has none
    pub wp: u64,
    /// URX_ZONE_CONVENTIONAL, _SEQ_
    pub r#type: u32,
    /// URX_ZONE_NOT_WP and so on
    pub state: u32,
    /// zero
    pub reserved: u64,
}
const _: () = assert!(size_of::<urx_zone>() == 48);

impl urx_zone {
    const fn show(zone: &Zone) -> Self {
        let Zone { start, len, capacity, wp, kind, state } = *zone;
        urx_zone { start, len, capacity, wp, r#type: kind as u32, state: state as u32, reserved: 0 }
    }
}

/// What the device says of its zones from the one that holds offset. *count: in, room in zones; out, zones told: 0
/// beyond the last. The next ones are at start + len of the last one told. -EOPNOTSUPP: the target has no zones.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn urx_zone_report(
    target: *mut urx_target,
    offset: u64,
    zones: *mut urx_zone,
    count: *mut u32,
) -> c_int {
    guard(|| {
        // SAFETY: src/capi/mod.rs, as for every pointer of an exported function.
        let (target, room) = unsafe { (&object(target)?.0, read(count)?) };
        if room == 0 {
            return Err(Error::Invalid(c"count: 0"));
        }
        if zones.is_null() {
            return Err(Error::Invalid(c"zones: NULL"));
        }
        let told = keeping_errno(|| target.report_zones(offset, room))?;
        for (n, zone) in told.iter().enumerate() {
            // SAFETY: src/capi/mod.rs: so many as *count says, and no more were asked for.
            unsafe { write(zones.wrapping_add(n), urx_zone::show(zone)) }?;
        }
        // SAFETY: src/capi/mod.rs.
        unsafe { write(count, told.len() as u32) }
    })
}

/// Resets, opens, closes or finishes (URX_OP_ZONE_) the zone that starts at zone, at once. Waits for an emulated append
/// that is being written there; others come after it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn urx_zone_manage(target: *mut urx_target, op: u32, zone: u64) -> c_int {
    guard(|| {
        // SAFETY: src/capi/mod.rs.
        let target = &unsafe { object(target) }?.0;
        let op = match op {
            URX_OP_ZONE_RESET => Op::ZoneReset,
            URX_OP_ZONE_OPEN => Op::ZoneOpen,
            URX_OP_ZONE_CLOSE => Op::ZoneClose,
            URX_OP_ZONE_FINISH => Op::ZoneFinish,
            _ => return Err(Error::Invalid(c"op: does not manage a zone")),
        };
        keeping_errno(|| target.manage_zone(op, zone))
    })
}
