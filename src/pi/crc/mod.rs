//! The checksums of the guard field. [`Cpu`] is their face: the kernels of the best tier that this CPU has, for
//! single pieces and for the blocks of a whole buffer. By tables, one file per polynomial; by CPU features in
//! `x86`, whose kernels share the arithmetic in `keys`.

pub mod crc16_t10dif;
pub mod crc32c;
pub mod crc64_nvme;
pub mod ip;

mod cpu;
#[cfg(target_arch = "x86_64")]
mod keys;
mod run;
#[cfg(target_arch = "x86_64")]
mod x86;

pub use cpu::{Cpu, start};

use crate::geometry::Guard;

/// A guard in the making: bytes may come in pieces of any length.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Sum {
    T10Dif(u16),
    Ip(ip::Sum),
    Crc32c(u32),
    Crc64(u64),
}

impl Sum {
    pub(crate) fn new(guard: Guard) -> Self {
        match guard {
            Guard::T10Dif => Sum::T10Dif(0),
            Guard::Ip => Sum::Ip(ip::Sum::default()),
            Guard::Crc32c => Sum::Crc32c(0),
            Guard::Crc64 => Sum::Crc64(0),
        }
    }

    pub(crate) fn update(&mut self, bytes: &[u8]) {
        let cpu = Cpu::get();
        match self {
            Sum::T10Dif(crc) => {
                *crc = cpu.update(Guard::T10Dif, (*crc).into(), bytes) as u16;
            }
            Sum::Ip(sum) => sum.update(bytes),
            Sum::Crc32c(crc) => {
                *crc = cpu.update(Guard::Crc32c, (*crc).into(), bytes) as u32;
            }
            Sum::Crc64(crc) => *crc = cpu.update(Guard::Crc64, *crc, bytes),
        }
    }

    pub(crate) fn finish(self) -> u64 {
        match self {
            Sum::T10Dif(crc) => crc.into(),
            Sum::Ip(sum) => sum.finish().into(),
            Sum::Crc32c(crc) => crc.into(),
            Sum::Crc64(crc) => crc,
        }
    }
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
    let bytes: Vec<u8> = (0..600u32)
        .map(|i| (i.wrapping_mul(2654435761) >> 24) as u8)
        .collect();
    for len in 0..bytes.len() {
        let bytes = &bytes[..len];
        assert_eq!(update(start, bytes), oracle(bytes), "{len} bytes");
        let (a, b) = bytes.split_at(len / 3);
        assert_eq!(
            update(update(start, a), b),
            oracle(bytes),
            "{len} bytes in two pieces"
        );
    }
}

#[cfg(test)]
mod cpu_tests;
