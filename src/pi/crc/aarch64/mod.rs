//! Kernels for aarch64, by what the CPU has.

mod crc32c;
mod pmull;

use std::arch::is_aarch64_feature_detected as has;

use super::cpu::Kernels;

/// Tiers that this CPU has, slowest first.
pub(super) fn available() -> impl Iterator<Item = &'static Kernels> {
    let crc = has!("crc");
    // To the compiler, the target feature `aes` is both.
    let pmull = crc && has!("neon") && has!("aes") && has!("pmull");
    let tiers = [(crc, &crc32c::KERNELS), (pmull, &pmull::KERNELS)];
    tiers.into_iter().filter_map(|(has, kernels)| has.then_some(kernels))
}
