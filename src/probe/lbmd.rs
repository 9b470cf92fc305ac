//! `FS_IOC_GETLBMD_CAP` (6.17): the metadata that the kernel itself handles, for anyone who has the
//! device open.

use crate::abi::{self, LbmdCap};
use crate::error::{Error, Result};
use crate::geometry::{Format, Guard, PiType, Protection};

/// The kernel's answer as a format; `None`: it handles no metadata here. Types 1 and 2 look alike
/// and are taken for type 1.
pub(super) fn format(cap: &LbmdCap) -> Result<Option<Format>> {
    if cap.size == 0 {
        return Ok(None);
    }
    let guard = match cap.guard_tag_type {
        0 => None,
        abi::LBMD_PI_CSUM_IP => Some(Guard::Ip),
        abi::LBMD_PI_CSUM_CRC16 => Some(Guard::T10Dif),
        abi::LBMD_PI_CSUM_CRC64 => Some(Guard::Crc64),
        _ => {
            return Err(Error::Unsupported(c"format: a guard that this library does not know"));
        }
    };
    let checks_ref = cap.flags & abi::LBMD_PI_CAP_REFTAG != 0;
    let protection = guard.map(|guard| Protection {
        guard,
        pi_type: if checks_ref { PiType::Type1 } else { PiType::Type3 },
        offset: cap.pi_offset.into(),
        storage_bits: cap.storage_tag_size.saturating_mul(8),
    });
    // 64 KiB do not fit the kernel's 16 bits.
    let interval = if cap.interval == 0 { Format::MAX_INTERVAL } else { cap.interval.into() };
    Format::new(interval, cap.size.into(), false, protection).map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As Linux 7.2 filled it for an emulated namespace of 4096 + 64 bytes, PI last.
    const MS64_LAST: LbmdCap = LbmdCap {
        flags: 3,
        interval: 4096,
        size: 64,
        opaque_size: 56,
        opaque_offset: 0,
        pi_size: 8,
        pi_offset: 56,
        guard_tag_type: 2,
        app_tag_size: 2,
        ref_tag_size: 4,
        storage_tag_size: 0,
        pad: 0,
    };

    #[test]
    fn a_tuple_behind_other_metadata() {
        let f = format(&MS64_LAST).unwrap().unwrap();
        assert_eq!((f.interval(), f.meta_size(), f.interleaved()), (4096, 64, false));
        let expected = Protection {
            guard: Guard::T10Dif,
            pi_type: PiType::Type1,
            offset: 56,
            storage_bits: 0,
        };
        assert_eq!(f.protection(), Some(&expected));
    }

    #[test]
    fn type_3_has_no_reference_check() {
        let f = format(&LbmdCap { flags: 1, ref_tag_size: 0, ..MS64_LAST }).unwrap().unwrap();
        assert_eq!(f.protection().unwrap().pi_type, PiType::Type3);
    }

    #[test]
    fn metadata_without_a_guard_and_no_metadata() {
        let opaque = LbmdCap { flags: 0, guard_tag_type: 0, pi_size: 0, ..MS64_LAST };
        assert_eq!(format(&opaque).unwrap().unwrap().protection(), None);
        assert_eq!(format(&LbmdCap::default()).unwrap(), None);
    }

    #[test]
    fn the_largest_interval_reads_as_0() {
        let largest = LbmdCap { interval: 0, ..MS64_LAST };
        assert_eq!(format(&largest).unwrap().unwrap().interval(), 65536);
    }

    #[test]
    fn an_unknown_guard_is_refused() {
        let unknown = LbmdCap { guard_tag_type: 3, ..MS64_LAST };
        assert_eq!(format(&unknown).unwrap_err().errno(), libc::EOPNOTSUPP);
    }
}
