//! Kernels for x86-64, by what the CPU has.

mod vpclmul;

use std::arch::is_x86_feature_detected as has;

use super::cpu::Kernels;
use super::keys::{GROUP, Keys};

/// A polynomial as these kernels see it: a reflected CRC of 64 bits, of which some may be unused.
trait Reflected {
    const KEYS: &'static Keys;
    /// Whether the bits of each byte must be reversed first.
    const REVERSE: bool;
    /// Whether the polynomial (times a power of x) ends in 1, the bit that does not fit in its key.
    const ODD: bool;
    /// What a checksum adds to the 8 bytes that follow it.
    fn enter(crc: u64) -> u64;
    /// The checksum that a remainder stands for.
    fn leave(remainder: u64) -> u64;
    fn portable(crc: u64, bytes: &[u8]) -> u64;
}

struct T10Dif;
impl Reflected for T10Dif {
    const KEYS: &'static Keys = &Keys::reflected(0x8bb7u16.reverse_bits() as u64);
    const REVERSE: bool = true;
    const ODD: bool = false;
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

struct Crc32c;
impl Reflected for Crc32c {
    const KEYS: &'static Keys = &Keys::reflected(0x1edc_6f41u32.reverse_bits() as u64);
    const REVERSE: bool = false;
    const ODD: bool = false;
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

struct Crc64;
impl Reflected for Crc64 {
    const KEYS: &'static Keys = &Keys::reflected(0xad93_d235_94c9_3659u64.reverse_bits());
    const REVERSE: bool = false;
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

/// Tiers that this CPU has, slowest first.
pub(super) fn available() -> impl Iterator<Item = &'static Kernels> {
    let vpclmul = has!("avx512f")
        && has!("avx512bw")
        && has!("avx512vl")
        && has!("vpclmulqdq")
        && has!("gfni")
        && has!("sse4.2");
    vpclmul.then_some(&vpclmul::KERNELS).into_iter()
}

/// The bytes of an incomplete group moved to its end, zeros before them, `carried` added to the first 8.
#[inline(always)]
fn padded(bytes: &[u8], carried: u64) -> [u8; GROUP] {
    let mut group = [0; GROUP];
    if let Some(tail) = group
        .len()
        .checked_sub(bytes.len())
        .and_then(|at| group.get_mut(at..))
    {
        tail.copy_from_slice(bytes);
        if let Some(first) = tail.first_chunk_mut::<8>() {
            *first = (u64::from_le_bytes(*first) ^ carried).to_le_bytes();
        }
    }
    group
}
