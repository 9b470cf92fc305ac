//! Kernels for x86-64, by what the CPU has.

mod crc32c;
mod ip;
mod pclmul;
mod t10dif;
mod vpclmul;

use std::arch::is_x86_feature_detected as has;

use super::cpu::Kernels;
use super::keys::Keys;

/// A CRC as these kernels see it: one of 64 bits, of which some may be unused.
trait Polynomial {
    const KEYS: &'static Keys;
    /// Whether the bits of each byte must be reversed first, which makes it a reflected CRC.
    const REVERSE: bool = false;
    /// Whether it is not reflected, so that the bytes of a lane must be swapped first.
    const FORWARD: bool = false;
    /// Whether the polynomial (times a power of x) ends in 1, the bit that does not fit in its key.
    const ODD: bool = false;
    /// What a checksum adds to the 8 bytes that follow it.
    fn enter(crc: u64) -> u64;
    /// The checksum that a remainder stands for.
    fn leave(remainder: u64) -> u64;
    fn portable(crc: u64, bytes: &[u8]) -> u64;
}

struct T10Dif;
impl Polynomial for T10Dif {
    const KEYS: &'static Keys = &Keys::reflected(0x8bb7u16.reverse_bits() as u64);
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

struct T10DifForward;
impl Polynomial for T10DifForward {
    const KEYS: &'static Keys = &Keys::forward(0x8bb7 << 48);
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

struct Crc32c;
impl Polynomial for Crc32c {
    const KEYS: &'static Keys = &Keys::reflected(0x1edc_6f41u32.reverse_bits() as u64);
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
impl Polynomial for Crc64 {
    const KEYS: &'static Keys = &Keys::reflected(0xad93_d235_94c9_3659u64.reverse_bits());
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
    let sse = has!("pclmulqdq") && has!("sse4.1") && has!("ssse3") && has!("sse4.2");
    let avx2 = sse && has!("avx2");
    let avx512 = avx2 && has!("avx512f") && has!("avx512vl");
    let vpclmul = avx512 && has!("avx512bw") && has!("vpclmulqdq") && has!("gfni");
    let tiers = [
        (sse, &pclmul::KERNELS),
        (avx2, &t10dif::avx2::KERNELS),
        (avx512, &t10dif::avx512::KERNELS),
        (vpclmul, &vpclmul::KERNELS),
    ];
    tiers.into_iter().filter_map(|(has, kernels)| has.then_some(kernels))
}

/// The bytes of an incomplete group moved to its end, zeros before them, `carried` added to the first 8.
#[inline(always)]
fn padded<const N: usize>(bytes: &[u8], carried: u64) -> [u8; N] {
    let mut group = [0; N];
    if let Some(tail) = group.len().checked_sub(bytes.len()).and_then(|at| group.get_mut(at..)) {
        tail.copy_from_slice(bytes);
        if let Some(first) = tail.first_chunk_mut::<8>() {
            *first = (u64::from_le_bytes(*first) ^ carried).to_le_bytes();
        }
    }
    group
}
