//! for programs written to a patch series

use std::ffi::c_int;

use super::boundary::{guard, write};
use super::format::{URX_CHECK_APP, URX_CHECK_GUARD, URX_CHECK_REF};
use crate::error::Error;

/// The check bits of the READ_META series of 2024 (guard 1, application tag 2, reference tag 4) as URX_CHECK_ bits for
/// urx_attr_pi.flags: the kernel has the last two the other way round. Bits that the series does not have
/// stay, for the kernel to refuse. Its opcodes never reach an SQE: they are other operations now.
#[unsafe(no_mangle)]
pub extern "C" fn urx_rfc_checks(meta_flags: u16) -> u16 {
    const KNOWN: [(u16, u32); 3] = [(1, URX_CHECK_GUARD), (2, URX_CHECK_APP), (4, URX_CHECK_REF)];
    let unknown = meta_flags & !7;
    let known = KNOWN.iter().filter(|(rfc, _)| meta_flags & rfc != 0);
    known.fold(unknown, |checks, (_, check)| checks | *check as u16)
}

/// Units of that series: the sectors of the block layer.
const UNIT: u64 = 512;

/// Where an append landed, as the zone append series of 2020 told it (cqe->flags, or aio's res2: 512-byte units from the
/// zone's start), in bytes like urx_result.append_offset. Zones beyond the range of 64 bits give UINT64_MAX.
#[unsafe(no_mangle)]
pub extern "C" fn urx_rfc_append_offset(zone: u64, units: u32) -> u64 {
    zone.saturating_add(u64::from(units) * UNIT)
}

/// The reverse. -EINVAL: offset is not a multiple of 512 bytes behind zone; -ERANGE: too far for 32 bits.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn urx_rfc_append_units(zone: u64, offset: u64, units: *mut u32) -> c_int {
    guard(|| {
        let inside = offset.checked_sub(zone).filter(|bytes| bytes.is_multiple_of(UNIT));
        let inside =
            inside.ok_or(Error::Invalid(c"offset: not whole units behind the zone's start"))?;
        let count = u32::try_from(inside / UNIT);
        let count = count.map_err(|_| Error::Range(c"offset: too far from the zone's start"))?;
        // SAFETY: src/capi/mod.rs, as for every pointer of an exported function.
        unsafe { write(units, count) }
    })
}
