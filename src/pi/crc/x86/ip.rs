//! The Internet checksum: the portable code, in whose loop the compiler finds vectors as wide as it may.

use super::super::cpu::Kernel;
use super::super::ip;
use super::super::run::Run;

#[inline(always)]
fn each(run: &mut Run<'_>, out: &mut [u64]) {
    for (i, out) in (0..run.count()).zip(out) {
        *out = ip::update(0xffff, run.bytes(i)).into();
    }
}

macro_rules! kernel {
    ($features:literal) => {{
        #[target_feature(enable = $features)]
        fn update(checksum: u64, bytes: &[u8]) -> u64 {
            ip::update(checksum as u16, bytes).into()
        }
        #[target_feature(enable = $features)]
        fn guards(run: &mut Run<'_>, out: &mut [u64]) {
            each(run, out);
        }
        Kernel {
            update,
            guards,
            copy_guards: guards,
        }
    }};
}

pub(super) const SSE: Kernel = kernel!("sse4.1");
pub(super) const AVX2: Kernel = kernel!("avx2");
pub(super) const AVX512: Kernel = kernel!("avx512f");
