//! ublk: block devices whose requests a process serves. How they are made, started, stopped and deleted, and
//! where the bytes of their requests are.

mod control;
mod params;

pub use control::{
    LIMIT, add, begin_recovery, control, delete, end_recovery, features, info, parameters, quiesce,
    resize, set_parameters, start, stop,
};
pub use params::Parameters;

use crate::abi::ublk::{IO_BUF_OFFSET, IO_INTEGRITY_FLAG, QID_OFF, TAG_OFF};

/// Where byte `offset` of a request lies in its device's character device, for pread(2) of what is written to the
/// device and pwrite(2) of what is read from it; with `integrity` a byte of its metadata.
pub const fn copy_offset(q_id: u16, tag: u16, offset: u32, integrity: bool) -> u64 {
    let place = (q_id as u64) << QID_OFF | (tag as u64) << TAG_OFF | offset as u64;
    IO_BUF_OFFSET + place + if integrity { IO_INTEGRITY_FLAG } else { 0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_of_requests_do_not_meet() {
        assert_eq!(copy_offset(0, 0, 0, false), 0x8000_0000);
        assert_eq!(copy_offset(0, 1, 0, false) - copy_offset(0, 0, 0, false), 32 << 20);
        assert_eq!(copy_offset(1, 0, 0, false) - copy_offset(0, 65535, 0, false), 32 << 20);
        assert_eq!(copy_offset(3, 7, 0x123, true), 0x4000_0600_8e00_0123);
    }
}
