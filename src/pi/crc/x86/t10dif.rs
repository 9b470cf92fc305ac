//! T10-DIF mostly by XOR, for CPUs whose multiplication is of 16 bytes.
//!
//! The polynomial P divides x^18 + x^15 + x^13 + x^12 + x^9 + x^2 + 1 and x^63 + x^27 + x^7 + 1. Squaring a
//! multiple of P doubles all exponents, so P divides both in x^(2^n) too. The first in x^128, lanes of 16 bytes:
//! a lane can be added to those 3, 5, 6, 9, 16 and 18 places behind it and be forgotten. The second in x^64: 8
//! bytes can be added to those 288, 448 and 504 bytes behind them, in vectors of 32 bytes 9, 14 and 16
//! less a quarter places. The second reduces a block to 512 bytes, the first these to 18 lanes.
#![expect(unsafe_code, reason = "SIMD loads and stores take raw pointers")]

use std::arch::x86_64::*;

use super::super::cpu::{Kernel, Kernels};
use super::super::keys::{GROUP, Keys};
use super::super::polynomial::{Crc64, Polynomial, T10DifForward, padded};
use super::super::run::{Block, Run};
use super::{crc32c, fetch, ip, pclmul};

/// Defines kernels for the CPU features `$features`, with `$ip` for the Internet checksum: `$xor3` adds three lanes, `$xor3_wide` three vectors,
/// `$shift` takes the last three quarters of one vector and the first of another.
macro_rules! tier {
    ($d:tt $tier:ident, $features:literal, $ip:expr, $xor3:expr, $xor3_wide:expr, $shift:expr) => {
        pub(super) mod $tier {
            use super::*;

            pub(in super::super::super) static KERNELS: Kernels = Kernels {
                name: stringify!($tier),
                t10dif: Kernel {
                    update: pclmul::update::<T10DifForward>,
                    guards: guards::<false>,
                    copy_guards: guards::<true>,
                },
                ip: $ip,
                crc32c: crc32c::KERNEL,
                crc64: pclmul::kernel::<Crc64>(),
            };

            /// The sum of 512 bytes.
            ///
            /// # Safety
            ///
            /// As for [`pclmul::take`], of all places in 512 bytes.
            #[inline]
            #[target_feature(enable = $features)]
            unsafe fn sum<const COPY: bool>(keys: &Keys, block: Block) -> __m128i {
                const LEFT: usize = 18;
                const GONE: usize = GROUP / 16 - LEFT;
                // `gone[n % LEFT]` is place n.
                let mut gone = [_mm_setzero_si128(); LEFT];
                /// Adds to place `$n` what is due from two places before it.
                macro_rules! due {
                    ($sum:ident, $n:literal, $a:literal, $b:literal) => {
                        let [a, b] = [
                            gone[($n + 2 * LEFT - $a) % LEFT],
                            gone[($n + 2 * LEFT - $b) % LEFT],
                        ];
                        match ($n >= $a && $n < GONE + $a, $n >= $b && $n < GONE + $b) {
                            (true, true) => $sum = $xor3($sum, a, b),
                            (true, false) => $sum = _mm_xor_si128($sum, a),
                            (false, true) => $sum = _mm_xor_si128($sum, b),
                            (false, false) => (),
                        }
                    };
                }
                macro_rules! place {
                    ($to:expr, $n:literal) => {
                        // SAFETY: one of 32 places of 16 bytes.
                        let mut sum = unsafe { pclmul::take::<COPY>(block, 16 * $n) };
                        due!(sum, $n, 16, 18);
                        due!(sum, $n, 6, 9);
                        due!(sum, $n, 3, 5);
                        $to = sum;
                    };
                }
                macro_rules! gone { ($d($n:literal)*) => { $d( place!(gone[$n], $n); )* }; }
                gone!(0 1 2 3 4 5 6 7 8 9 10 11 12 13);
                let mut left = [_mm_setzero_si128(); LEFT];
                macro_rules! left { ($d($n:literal)*) => { $d( place!(left[$n - GONE], $n); )* }; }
                left!(14 15 16 17 18 19 20 21 22 23 24 25 26 27 28 29 30 31);
                for lane in &mut left {
                    *lane = pclmul::ordered::<T10DifForward>(*lane);
                }
                pclmul::add_up(keys, &left)
            }

            /// The vector at byte `at` of a block, copied if the run copies.
            ///
            /// # Safety
            ///
            /// As for [`pclmul::take`], of 32 bytes.
            #[inline]
            #[target_feature(enable = $features)]
            unsafe fn take<const COPY: bool>(block: Block, at: usize) -> __m256i {
                // SAFETY: the caller's promise; see `pclmul::take`.
                unsafe {
                    let vector = _mm256_loadu_si256(block.from.add(at).cast());
                    if COPY {
                        _mm256_storeu_si256(block.to.add(at).cast(), vector);
                    }
                    vector
                }
            }

            /// 512 bytes whose sum is that of the block.
            ///
            /// # Safety
            ///
            /// The block is one of a run of this interval, more than 512 bytes, which copies if `COPY`.
            #[inline]
            #[target_feature(enable = $features)]
            unsafe fn shrink<const COPY: bool>(block: Block, interval: usize) -> [__m256i; 16] {
                let mut past = [_mm256_setzero_si256(); GROUP / 32];
                let head = interval % GROUP;
                let mut done = if head == 0 {
                    for (i, vector) in past.iter_mut().enumerate() {
                        // SAFETY: the interval is more than the 512 bytes that these are.
                        *vector = unsafe { take::<COPY>(block, 32 * i) };
                    }
                    GROUP
                } else {
                    // SAFETY: the head is part of the block.
                    let bytes = unsafe { std::slice::from_raw_parts(block.from, head) };
                    if COPY {
                        // SAFETY: and of its copy, which the data does not overlap (`Block`).
                        unsafe { block.to.copy_from_nonoverlapping(block.from, head) };
                    }
                    let head_bytes: [u8; GROUP] = padded(bytes, 0);
                    for (vector, bytes) in past.iter_mut().zip(head_bytes.as_chunks::<32>().0) {
                        // SAFETY: 32 bytes, of any alignment.
                        *vector = unsafe { _mm256_loadu_si256(bytes.as_ptr().cast()) };
                    }
                    head
                };
                macro_rules! first {
                    ($d($n:literal)*) => { $d(
                        past[$n] = _mm256_xor_si256(past[$n], past[($n + 7) % 16]);
                        if $n >= 14 {
                            past[$n] = _mm256_xor_si256(past[$n], past[($n + 2) % 16]);
                        }
                    )* };
                }
                first!(9 10 11 12 13 14 15);
                let zero = _mm256_setzero_si256();
                past[15] = _mm256_xor_si256(past[15], $shift(zero, past[0]));
                while done + GROUP < interval {
                    macro_rules! steps {
                        ($d($n:literal)*) => { $d(
                            // SAFETY: at least 512 bytes of the interval are left.
                            let next = unsafe { take::<COPY>(block, done + 32 * $n) };
                            let shifted = $shift(past[$n], past[($n + 1) % 16]);
                            let next = _mm256_xor_si256(next, shifted);
                            past[$n] = $xor3_wide(next, past[($n + 2) % 16], past[($n + 7) % 16]);
                            if $n % 2 == 0 {
                                let ahead = block.from.wrapping_add(done + 32 * $n + 2048);
                                fetch(ahead);
                            }
                        )* };
                    }
                    steps!(0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15);
                    done += GROUP;
                }
                let mut left = [_mm256_setzero_si256(); GROUP / 32];
                macro_rules! last {
                    ($d($n:literal)*) => { $d(
                        // SAFETY: the last 512 bytes.
                        let next = unsafe { take::<COPY>(block, done + 32 * $n) };
                        // Only what lies before these is added to them.
                        let shifted = $shift(past[$n], if $n < 15 { past[($n + 1) % 16] } else { zero });
                        let mut next = _mm256_xor_si256(next, shifted);
                        if $n < 14 {
                            next = _mm256_xor_si256(next, past[($n + 2) % 16]);
                        }
                        if $n < 9 {
                            next = _mm256_xor_si256(next, past[($n + 7) % 16]);
                        }
                        left[$n] = next;
                    )* };
                }
                last!(0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15);
                left
            }

            #[target_feature(enable = $features)]
            fn guards<const COPY: bool>(run: &mut Run<'_>, out: &mut [u64]) {
                let interval = run.interval();
                if interval < GROUP {
                    return pclmul::guards::<T10DifForward, COPY>(run, out);
                }
                let keys = pclmul::keys::<T10DifForward>();
                for (out, block) in out.iter_mut().zip(run.blocks()) {
                    let sum = if interval == GROUP {
                        // SAFETY: a block of 512 bytes, and the table has the copying kernel where runs copy.
                        unsafe { sum::<COPY>(keys, block) }
                    } else {
                        // SAFETY: a longer block, likewise.
                        let left = unsafe { shrink::<COPY>(block, interval) };
                        let left = Block { from: left.as_ptr().cast(), to: std::ptr::null_mut() };
                        // SAFETY: sixteen vectors are 512 bytes.
                        unsafe { sum::<false>(keys, left) }
                    };
                    *out = T10DifForward::leave(pclmul::reduce::<T10DifForward>(keys, sum));
                }
            }
        }
    };
}

tier!(
    $ avx2,
    "avx2,pclmulqdq,sse4.1,ssse3",
    ip::AVX2,
    |a, b, c| _mm_xor_si128(_mm_xor_si128(a, b), c),
    |a, b, c| _mm256_xor_si256(_mm256_xor_si256(a, b), c),
    |a, b| _mm256_permute4x64_epi64::<0b00_11_10_01>(_mm256_blend_epi32::<0b0000_0011>(a, b))
);

tier!(
    $ avx512,
    "avx512f,avx512vl,avx2,pclmulqdq,sse4.1,ssse3",
    ip::AVX512,
    |a, b, c| _mm_ternarylogic_epi64::<0x96>(a, b, c),
    |a, b, c| _mm256_ternarylogic_epi64::<0x96>(a, b, c),
    |a, b| _mm256_alignr_epi64::<1>(b, a)
);
