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

/// Starts to bring the line of an address, which may be any.
#[inline(always)]
#[expect(unsafe_code, reason = "an intrinsic that takes a raw pointer")]
fn fetch(at: *const u8) {
    use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
    #[allow(unused_unsafe, reason = "safe from some Rust after 1.89 on")]
    // SAFETY: a prefetch may go anywhere.
    unsafe {
        _mm_prefetch::<_MM_HINT_T0>(at.cast());
    }
}
