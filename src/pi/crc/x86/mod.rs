//! Kernels for x86-64, by what the CPU has.

mod crc32c;
mod ip;
mod matrix;
mod pclmul;
mod t10dif;
mod vpclmul;

use std::arch::is_x86_feature_detected as has;

use super::cpu::Kernels;

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
