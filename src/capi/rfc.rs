//! for programs written to a patch series

use std::ffi::{c_int, c_void};

use super::boundary::{guard, read, write};
use super::format::{URX_CHECK_APP, URX_CHECK_GUARD, URX_CHECK_REF};
use super::prep::io_uring_sqe;
use crate::abi::Sqe;
use crate::error::Error;
use crate::fused::{Revision, rfc};

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

/// Layouts of the fused command series of 2023: one SQE of 128 bytes, the secondary in its second half.
pub const URX_RFC_FUSED_HALVES: u32 = 1;
/// Two SQEs of 64 bytes in a row, on a ring that the series sets up for it.
pub const URX_RFC_FUSED_PAIR: u32 = 2;

/// To be said for urx_rfc_prep_fused(): the kernel carries that series, under this opcode.
pub const URX_RFC_KERNEL_HAS_IT: u32 = 1;

/// Fills 128 bytes with a fused command as that series has it: `opcode`, which the kernel at hand gave the operation,
/// `fd` and `cmd_op` of the driver, its 16 bytes of payload (NULL: zeros), and a secondary READ, WRITE, SEND, SEND_ZC or
/// RECV whose address is an offset in the primary's buffer. user_data of the first half stays, and that of secondary.
/// Writes nothing on failure. -EINVAL: an opcode below 65, which Linux 7.3 has for other operations, or flags not
/// URX_RFC_KERNEL_HAS_IT. Everywhere else urx_fused_plan() is the way.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn urx_rfc_prep_fused(
    sqes: *mut io_uring_sqe,
    layout: u32,
    flags: u32,
    opcode: u8,
    fd: c_int,
    cmd_op: u32,
    payload: *const c_void,
    secondary: *const io_uring_sqe,
) -> c_int {
    guard(|| {
        let revision = match layout {
            URX_RFC_FUSED_HALVES => Revision::Halves,
            URX_RFC_FUSED_PAIR => Revision::Pair,
            _ => return Err(Error::Invalid(c"layout: not URX_RFC_FUSED_HALVES or _PAIR")),
        };
        if flags != URX_RFC_KERNEL_HAS_IT {
            return Err(Error::Invalid(c"flags: not URX_RFC_KERNEL_HAS_IT"));
        }
        let payload = match payload.is_null() {
            true => [0; 2],
            // SAFETY: not NULL; src/capi/mod.rs: 16 bytes.
            false => unsafe { payload.cast::<[u64; 2]>().read_unaligned() },
        };
        // SAFETY: src/capi/mod.rs. Only user_data of the first is used.
        let (secondary, before) =
            unsafe { (read(secondary.cast::<Sqe>())?, read(sqes.cast::<Sqe>())?) };
        let filled = rfc(revision, opcode, fd, cmd_op, payload, &secondary, before.user_data)?;
        // SAFETY: 128 bytes, the caller says.
        unsafe { write(sqes.cast(), filled) }
    })
}
