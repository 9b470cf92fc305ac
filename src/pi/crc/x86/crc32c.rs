//! CRC-32C with its own instruction (SSE4.2) and PCLMULQDQ at once, which different ports execute.
//!
//! A group of 512 bytes is multiplied in its first half and goes through the instruction in two chains of its
//! second, for the instruction's latency is three times its throughput. A CRC that is to go on some bytes before
//! the end is like a message in its place: it is multiplied by what a lane there would be.
#![expect(unsafe_code, reason = "SIMD loads and stores take raw pointers")]

use std::arch::x86_64::*;

use super::super::cpu::Kernel;
use super::super::keys::{GROUP, Keys};
use super::super::polynomial::{Crc32c, Polynomial};
use super::super::run::{Block, Run};
use super::{fetch, pclmul};

pub(super) const KERNEL: Kernel = Kernel {
    update: pclmul::update::<Crc32c>,
    guards: guards::<false>,
    copy_guards: guards::<true>,
};

/// Where the second half of a group starts, and the second chain in it: a word of each for a lane of the first half.
const CHAINS: [usize; 2] = [256, 384];

/// Bytes whose groups are computed apart and then put together.
const TOGETHER: usize = 8 * GROUP;

/// The word of a block at byte `at`.
///
/// # Safety
///
/// As for [`pclmul::take`], of 8 bytes.
#[inline(always)]
unsafe fn word(block: Block, at: usize) -> u64 {
    // SAFETY: the block's bytes can be read (`Block`), and these are among them (the caller's promise).
    unsafe { block.from.add(at).cast::<u64>().read_unaligned() }
}

/// The CRC of 512 bytes of a block at byte `at`, without inversions, of which the first are taken with `carried` added.
///
/// # Safety
///
/// As for [`pclmul::take`], of all of these.
#[inline]
#[target_feature(enable = "sse4.2,pclmulqdq,sse4.1,ssse3")]
unsafe fn group<const COPY: bool>(keys: &Keys, block: Block, at: usize, carried: u64) -> u64 {
    let [first, second] = CHAINS;
    let mut sum = _mm_setzero_si128();
    let mut carried = _mm_cvtsi64_si128(carried as i64);
    let (mut a, mut b) = (0, 0);
    // All three at every step, so that a short look-ahead finds work for both ports.
    for (i, keys) in keys.end.iter().take(first / 16).enumerate() {
        // SAFETY: the caller's promise.
        let lane = unsafe {
            if COPY {
                pclmul::take::<COPY>(block, at + first + 16 * i);
            }
            a = _mm_crc32_u64(a, word(block, at + first + 8 * i));
            b = _mm_crc32_u64(b, word(block, at + second + 8 * i));
            pclmul::take::<COPY>(block, at + 16 * i)
        };
        sum = pclmul::multiply_add(_mm_xor_si128(lane, carried), pclmul::factors(keys), sum);
        carried = _mm_setzero_si128();
    }
    if let Some(keys) = keys.end.get(second / 16) {
        let a = _mm_cvtsi64_si128(a as i64);
        sum = _mm_xor_si128(sum, _mm_clmulepi64_si128::<0x00>(a, pclmul::factors(keys)));
    }
    pclmul::reduce::<Crc32c>(keys, sum) ^ b
}

#[target_feature(enable = "sse4.2,pclmulqdq,sse4.1,ssse3")]
fn guards<const COPY: bool>(run: &mut Run<'_>, out: &mut [u64]) {
    let interval = run.interval();
    if !interval.is_multiple_of(GROUP) {
        return pclmul::guards::<Crc32c, COPY>(run, out);
    }
    let keys = pclmul::keys::<Crc32c>();
    for (out, block) in out.iter_mut().zip(run.blocks()) {
        let mut carried = Crc32c::enter(0);
        let mut done = 0;
        while done < interval {
            let end = interval.min(done + TOGETHER);
            let mut sum = _mm_setzero_si128();
            let mut last = 0;
            while done < end {
                let ahead = block.from.wrapping_add(done + 2048);
                for line in 0..GROUP / 64 {
                    fetch(ahead.wrapping_add(64 * line));
                }
                // SAFETY: the interval is a multiple of 512, and the table has the copying kernel where runs copy.
                last = unsafe { group::<COPY>(keys, block, done, carried) };
                carried = 0;
                done += GROUP;
                // This group's CRC goes on as many groups before the end.
                if let Some(ahead) = ((end - done) / GROUP).checked_sub(1)
                    && let Some(factor) = keys.groups.get(ahead)
                {
                    let (last, factor) =
                        (_mm_cvtsi64_si128(last as i64), _mm_cvtsi64_si128(*factor as i64));
                    sum = _mm_xor_si128(sum, _mm_clmulepi64_si128::<0x00>(last, factor));
                }
            }
            carried = last ^ pclmul::reduce::<Crc32c>(keys, sum);
        }
        *out = Crc32c::leave(carried);
    }
}
