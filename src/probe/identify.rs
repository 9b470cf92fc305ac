//! NVMe Identify: the format as the controller has it, also where the kernel handles none of it.
//! Needs `CAP_SYS_ADMIN` before 6.2.

use std::os::fd::BorrowedFd;

use crate::error::{Error, Result};
use crate::geometry::{Format, Guard, PiType, Protection};
use crate::sys::nvme::{IDENTIFY_SIZE, nvme_identify};

type Page = [u8; IDENTIFY_SIZE];

/// What the controller says of a namespace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Namespace {
    pub(super) format: Format,
    /// Logical blocks.
    pub(super) blocks: u64,
}

/// Asks the controller behind a block or character device.
pub(super) fn identify(fd: BorrowedFd<'_>, nsid: u32) -> Result<Namespace> {
    let namespace = nvme_identify(fd, nsid, 0x00, 0)?;
    let controller = nvme_identify(fd, 0, 0x01, 0)?;
    let nvm = match has_extended_formats(&controller) {
        true => Some(nvme_identify(fd, nsid, 0x05, 0)?),
        false => None,
    };
    parse(&namespace, nvm.as_deref())
}

/// CTRATT.ELBAS: the NVM command set structure (CNS 05h, CSI 00h) holds extended formats.
fn has_extended_formats(controller: &Page) -> bool {
    le32(controller, 96) & 1 << 15 != 0
}

/// Identify Namespace (CNS 00h), and the NVM command set's own (CNS 05h) if there is one.
fn parse(namespace: &Page, nvm: Option<&Page>) -> Result<Namespace> {
    let [formats, flbas, _, _, dps] = bytes(namespace, 25);
    // Bits 6:5 extend the index, where there are more than 16 formats.
    let high = if formats >= 16 { flbas >> 5 & 3 } else { 0 };
    let index = usize::from(flbas & 15 | high << 4);
    let [ms_low, ms_high, lbads] = bytes(namespace, 128 + 4 * index);
    let meta_size = u16::from_le_bytes([ms_low, ms_high]);
    let interval = 1u32.checked_shl(lbads.into()).unwrap_or(0);
    let pi_type = match dps & 7 {
        0 => None,
        1 => Some(PiType::Type1),
        2 => Some(PiType::Type2),
        3 => Some(PiType::Type3),
        _ => {
            return Err(Error::Unsupported(c"format: a protection type that is not specified"));
        }
    };
    let extended = nvm.map_or(0, |page| le32(page, 12 + 4 * index));
    let protection = match pi_type {
        None => None,
        Some(pi_type) => {
            let guard = guard(extended)?;
            let last = meta_size.saturating_sub(guard.tuple_size() as u16);
            let first = dps & 8 != 0;
            Some(Protection {
                guard,
                pi_type,
                offset: if first { 0 } else { last },
                storage_bits: (extended & 0x7f) as u8,
            })
        }
    };
    let interleaved = flbas & 1 << 4 != 0 && meta_size != 0;
    Ok(Namespace {
        format: Format::new(interval, meta_size, interleaved, protection)?,
        blocks: u64::from_le_bytes(bytes(namespace, 0)),
    })
}

/// PIF, or QPIF where it says "qualified".
fn guard(extended: u32) -> Result<Guard> {
    let pif = match extended >> 7 & 3 {
        3 => extended >> 9 & 15,
        plain => plain,
    };
    match pif {
        0 => Ok(Guard::T10Dif),
        1 => Ok(Guard::Crc32c),
        2 => Ok(Guard::Crc64),
        _ => Err(Error::Unsupported(c"format: a guard that this library does not know")),
    }
}

fn le32(page: &Page, at: usize) -> u32 {
    u32::from_le_bytes(bytes(page, at))
}

/// `N` bytes at a place inside the page; zeros beyond it.
fn bytes<const N: usize>(page: &Page, at: usize) -> [u8; N] {
    page.get(at..at + N).and_then(|b| b.try_into().ok()).unwrap_or([0; N])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(fields: &[(usize, &[u8])]) -> Page {
        let mut page = [0; IDENTIFY_SIZE];
        for (at, bytes) in fields {
            page[*at..*at + bytes.len()].copy_from_slice(bytes);
        }
        page
    }

    #[test]
    fn separate_8_bytes_pi_last() {
        let ns = page(&[
            (0, &[0, 1]),
            (25, &[7, 3]), // 8 formats, the fourth in use
            (29, &[1]),
            (140, &[8, 0, 12]),
        ]);
        let ns = parse(&ns, None).unwrap();
        assert_eq!(ns.blocks, 256);
        let f = ns.format;
        assert_eq!((f.interval(), f.meta_size(), f.interleaved()), (4096, 8, false));
        assert_eq!(f.protection().unwrap().guard, Guard::T10Dif);
        assert_eq!(f.protection().unwrap().offset, 0);
    }

    #[test]
    fn extended_lba_type_3_storage_tag() {
        let ns = page(&[(26, &[0x10]), (29, &[3]), (128, &[64, 0, 9])]);
        let extended: u32 = 16 | 2 << 7;
        let nvm = page(&[(12, &extended.to_le_bytes())]);
        let f = parse(&ns, Some(&nvm)).unwrap().format;
        assert_eq!((f.interval(), f.meta_size(), f.interleaved()), (512, 64, true));
        let expected = Protection {
            guard: Guard::Crc64,
            pi_type: PiType::Type3,
            offset: 48,
            storage_bits: 16,
        };
        assert_eq!(f.protection(), Some(&expected));
    }

    #[test]
    fn qualified_guard_and_a_high_format_index() {
        // Format 17 = 1 | 1 << 4, whose high bits lie in FLBAS 6:5.
        let ns = page(&[(25, &[20, 0x21]), (29, &[9]), (128 + 4 * 17, &[16, 0, 12])]);
        let extended: u32 = 32 | 3 << 7 | 1 << 9;
        let nvm = page(&[(12 + 4 * 17, &extended.to_le_bytes())]);
        let f = parse(&ns, Some(&nvm)).unwrap().format;
        let expected = Protection {
            guard: Guard::Crc32c,
            pi_type: PiType::Type1,
            offset: 0,
            storage_bits: 32,
        };
        assert_eq!(f.protection(), Some(&expected));
    }

    #[test]
    fn what_is_not_specified_is_refused() {
        let lbaf = (128usize, &[8u8, 0, 12][..]);
        assert!(parse(&page(&[(29, &[4]), lbaf]), None).is_err());
        assert!(parse(&page(&[(29, &[1]), (128, &[4, 0, 12])]), None).is_err());
        assert!(parse(&page(&[(128, &[0, 0, 40])]), None).is_err());
        let unknown: u32 = 3 << 7 | 5 << 9;
        let nvm = page(&[(12, &unknown.to_le_bytes())]);
        assert!(parse(&page(&[(29, &[1]), lbaf]), Some(&nvm)).is_err());
    }

    #[test]
    fn extended_formats_are_announced_by_ctratt() {
        assert!(has_extended_formats(&page(&[(97, &[0x80])])));
        assert!(!has_extended_formats(&page(&[(97, &[0x7f])])));
    }
}
