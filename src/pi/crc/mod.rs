//! The checksums of the guard field: one file per polynomial.

pub mod crc16_t10dif;
pub mod crc32c;
pub mod crc64_nvme;
pub mod ip;

#[cfg(all(target_arch = "aarch64", target_endian = "little"))]
mod aarch64;
mod cpu;
#[cfg(any(target_arch = "x86_64", all(target_arch = "aarch64", target_endian = "little")))]
mod keys;
#[cfg(any(target_arch = "x86_64", all(target_arch = "aarch64", target_endian = "little")))]
mod polynomial;
mod reflected;
mod run;
#[cfg(target_arch = "x86_64")]
mod x86;

pub use cpu::{Cpu, start};

use crate::geometry::Guard;

/// A guard in the making: bytes may come in pieces of any length.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Sum {
    Crc(Guard, u64),
    Ip(ip::Sum),
}

impl Sum {
    pub(crate) fn new(guard: Guard) -> Self {
        Self::restore(guard, start(guard), false)
    }

    /// As plain words: the checksum so far, and whether it stopped in the middle of a 16-bit word.
    pub(crate) fn save(self) -> (u64, bool) {
        let odd = matches!(self, Sum::Ip(sum) if sum.is_odd());
        (self.finish(), odd)
    }

    /// The inverse of [`save`](Self::save).
    pub(crate) fn restore(guard: Guard, sum: u64, odd: bool) -> Self {
        match guard {
            Guard::Ip => Sum::Ip(ip::Sum::resume(sum as u16, odd)),
            Guard::T10Dif | Guard::Crc32c | Guard::Crc64 => Sum::Crc(guard, sum),
        }
    }

    pub(crate) fn update(&mut self, bytes: &[u8]) {
        match self {
            Sum::Crc(guard, crc) => *crc = update(*guard, *crc, bytes),
            Sum::Ip(sum) => sum.update(bytes),
        }
    }

    pub(crate) fn finish(self) -> u64 {
        match self {
            Sum::Crc(_, crc) => crc,
            Sum::Ip(sum) => sum.finish().into(),
        }
    }
}

/// A checksum gone on with; begin with [`start`]. The Internet checksum goes on after an even number of
/// bytes.
pub(crate) fn update(guard: Guard, sum: u64, bytes: &[u8]) -> u64 {
    // The Internet checksum adds up to 2^33 for 8 bytes before it folds its carries.
    bytes.chunks(1 << 30).fold(sum, |sum, bytes| Cpu::get().update(guard, sum, bytes))
}

/// The 4 KiB test vectors of the NVM command set specification: bytes all 00h, all FFh, counting up
/// from 00h, counting down from FFh.
#[cfg(test)]
pub(crate) fn spec_vectors() -> [Vec<u8>; 4] {
    [
        vec![0; 4096],
        vec![0xff; 4096],
        (0..4096).map(|i| i as u8).collect(),
        (0..4096).map(|i| !(i as u8)).collect(),
    ]
}

/// Judges a CRC against a table-free outside implementation and against itself cut in two.
#[cfg(test)]
pub(crate) fn judge<T: PartialEq + std::fmt::Debug + Copy>(
    update: impl Fn(T, &[u8]) -> T,
    start: T,
    oracle: impl Fn(&[u8]) -> T,
) {
    let bytes: Vec<u8> = (0..600u32).map(|i| (i.wrapping_mul(2654435761) >> 24) as u8).collect();
    for len in 0..bytes.len() {
        let bytes = &bytes[..len];
        assert_eq!(update(start, bytes), oracle(bytes), "{len} bytes");
        let (a, b) = bytes.split_at(len / 3);
        assert_eq!(update(update(start, a), b), oracle(bytes), "{len} bytes in two pieces");
    }
}

#[cfg(test)]
mod cpu_tests;
