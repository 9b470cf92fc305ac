//! The checksums of the guard field: one file per polynomial.

pub mod crc16_t10dif;
pub mod crc32c;
pub mod crc64_nvme;
pub mod ip;

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

    /// As plain words: the checksum so far, and whether it stopped in the middle of a 16-bit word.
    pub(crate) fn save(self) -> (u64, bool) {
        match self {
            Sum::Ip(sum) => (sum.finish().into(), sum.is_odd()),
            other => (other.finish(), false),
        }
    }

    /// The inverse of [`save`](Self::save).
    pub(crate) fn restore(guard: Guard, sum: u64, odd: bool) -> Self {
        match guard {
            Guard::T10Dif => Sum::T10Dif(sum as u16),
            Guard::Ip => Sum::Ip(ip::Sum::resume(sum as u16, odd)),
            Guard::Crc32c => Sum::Crc32c(sum as u32),
            Guard::Crc64 => Sum::Crc64(sum),
        }
    }

    pub(crate) fn update(&mut self, bytes: &[u8]) {
        match self {
            Sum::T10Dif(crc) => *crc = crc16_t10dif::update(*crc, bytes),
            Sum::Ip(sum) => sum.update(bytes),
            Sum::Crc32c(crc) => *crc = crc32c::update(*crc, bytes),
            Sum::Crc64(crc) => *crc = crc64_nvme::update(*crc, bytes),
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

/// The checksum of `before` gone on with over `more`. Goes on after an even number of bytes.
pub(crate) fn resume(guard: Guard, before: u64, more: &[u8]) -> u64 {
    if more.is_empty() {
        return before;
    }
    let mut sum = Sum::restore(guard, before, false);
    sum.update(more);
    sum.finish()
}

/// The checksums of the first `interval` bytes of blocks that lie `stride` bytes apart.
pub(crate) fn guards(guard: Guard, data: &[u8], interval: usize, stride: usize, out: &mut [u64]) {
    for (block, out) in data.chunks(stride).zip(out) {
        let mut sum = Sum::new(guard);
        sum.update(block.get(..interval).unwrap_or_default());
        *out = sum.finish();
    }
}

/// The same while those bytes are copied to blocks that lie `to_stride` bytes apart.
pub(crate) fn copy_guards(
    guard: Guard,
    from: &[u8],
    from_stride: usize,
    to: &mut [u8],
    to_stride: usize,
    interval: usize,
    out: &mut [u64],
) {
    for (from, to) in from.chunks(from_stride).zip(to.chunks_mut(to_stride)).take(out.len()) {
        if let (Some(from), Some(to)) = (from.get(..interval), to.get_mut(..interval)) {
            to.copy_from_slice(from);
        }
    }
    guards(guard, from, interval, from_stride, out);
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
