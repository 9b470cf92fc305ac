//! The CRCs as kernels that multiply see them.

use super::keys::Keys;
#[cfg(target_arch = "x86_64")]
use super::keys::Wide;

/// A CRC as these kernels see it: one of 64 bits, of which some may be unused.
pub(super) trait Polynomial {
    const KEYS: &'static Keys;
    /// If it is reflected.
    #[cfg(target_arch = "x86_64")]
    const WIDE: &'static Wide;
    /// Whether the CPU has an instruction for it.
    #[cfg(target_arch = "x86_64")]
    const INSTRUCTION: bool = false;
    /// Whether the bits of each byte must be reversed first, which makes it a reflected CRC.
    const REVERSE: bool = false;
    /// Whether it is not reflected, so that the bytes of a lane must be swapped first.
    #[cfg(target_arch = "x86_64")]
    const FORWARD: bool = false;
    /// Whether the polynomial (times a power of x) ends in 1, the bit that does not fit in its key.
    const ODD: bool = false;
    /// What a checksum adds to the 8 bytes that follow it.
    fn enter(crc: u64) -> u64;
    /// The checksum that a remainder stands for.
    fn leave(remainder: u64) -> u64;
    fn portable(crc: u64, bytes: &[u8]) -> u64;
}

pub(super) struct T10Dif;
impl Polynomial for T10Dif {
    const KEYS: &'static Keys = &Keys::reflected(0x8bb7u16.reverse_bits() as u64);
    #[cfg(target_arch = "x86_64")]
    const WIDE: &'static Wide = &Wide::reflected(0x8bb7u16.reverse_bits() as u64);
    const REVERSE: bool = true;
    fn enter(crc: u64) -> u64 {
        (crc as u16).swap_bytes().into()
    }
    fn leave(remainder: u64) -> u64 {
        (remainder as u16).reverse_bits().into()
    }
    fn portable(crc: u64, bytes: &[u8]) -> u64 {
        super::crc16_t10dif::update(crc as u16, bytes).into()
    }
}

#[cfg(target_arch = "x86_64")]
pub(super) struct T10DifForward;
#[cfg(target_arch = "x86_64")]
impl Polynomial for T10DifForward {
    const KEYS: &'static Keys = &Keys::forward(0x8bb7 << 48);
    const WIDE: &'static Wide = T10Dif::WIDE;
    const FORWARD: bool = true;
    fn enter(crc: u64) -> u64 {
        T10Dif::enter(crc)
    }
    fn leave(remainder: u64) -> u64 {
        remainder >> 48
    }
    fn portable(crc: u64, bytes: &[u8]) -> u64 {
        T10Dif::portable(crc, bytes)
    }
}

pub(super) struct Crc32c;
impl Polynomial for Crc32c {
    const KEYS: &'static Keys = &Keys::reflected(0x1edc_6f41u32.reverse_bits() as u64);
    #[cfg(target_arch = "x86_64")]
    const WIDE: &'static Wide = &Wide::reflected(0x1edc_6f41u32.reverse_bits() as u64);
    #[cfg(target_arch = "x86_64")]
    const INSTRUCTION: bool = true;
    fn enter(crc: u64) -> u64 {
        (!(crc as u32)).into()
    }
    fn leave(remainder: u64) -> u64 {
        (!(remainder as u32)).into()
    }
    fn portable(crc: u64, bytes: &[u8]) -> u64 {
        super::crc32c::update(crc as u32, bytes).into()
    }
}

pub(super) struct Crc64;
impl Polynomial for Crc64 {
    const KEYS: &'static Keys = &Keys::reflected(0xad93_d235_94c9_3659u64.reverse_bits());
    #[cfg(target_arch = "x86_64")]
    const WIDE: &'static Wide = &Wide::reflected(0xad93_d235_94c9_3659u64.reverse_bits());
    const ODD: bool = true;
    fn enter(crc: u64) -> u64 {
        !crc
    }
    fn leave(remainder: u64) -> u64 {
        !remainder
    }
    fn portable(crc: u64, bytes: &[u8]) -> u64 {
        super::crc64_nvme::update(crc, bytes)
    }
}

/// The bytes of an incomplete group moved to its end, zeros before them, `carried` added to the first 8.
#[inline(always)]
pub(super) fn padded<const N: usize>(bytes: &[u8], carried: u64) -> [u8; N] {
    let mut group = [0; N];
    if let Some(tail) = group.len().checked_sub(bytes.len()).and_then(|at| group.get_mut(at..)) {
        tail.copy_from_slice(bytes);
        if let Some(first) = tail.first_chunk_mut::<8>() {
            *first = (u64::from_le_bytes(*first) ^ carried).to_le_bytes();
        }
    }
    group
}
