//! All CRCs with 16-byte carry-less multiplication (PMULL and PMULL2).
//!
//! T10-DIF is turned into a reflected CRC by reversing the bits of each byte, which is one instruction.
#![expect(unsafe_code, reason = "SIMD loads and stores take raw pointers")]

use std::arch::aarch64::*;

use super::super::cpu::{Kernel, Kernels, PORTABLE};
use super::super::keys::Keys;
use super::super::polynomial::{Crc64, Polynomial, T10Dif, padded};
use super::super::run::{Block, Run};
use super::crc32c;

pub(in super::super) static KERNELS: Kernels = Kernels {
    name: "pmull",
    t10dif: kernel::<T10Dif>(),
    ip: PORTABLE.ip,
    crc32c: crc32c::WITH_PMULL,
    crc64: kernel::<Crc64>(),
};

const fn kernel<P: Polynomial>() -> Kernel {
    Kernel { update: update::<P>, guards: guards::<P, false>, copy_guards: guards::<P, true> }
}

/// Lanes that are folded at once.
const LANES: usize = 8;

/// Bytes of these.
const FOLD: usize = 16 * LANES;

/// Two words in a register.
#[inline]
#[target_feature(enable = "neon")]
pub(super) fn pair([low, high]: [u64; 2]) -> uint64x2_t {
    vcombine_u64(vcreate_u64(low), vcreate_u64(high))
}

/// The lane at byte `at` of a block, copied if the run copies.
///
/// # Safety
///
/// `at + 16` is at most the interval of the block's run, which copies if `COPY`.
#[inline]
#[target_feature(enable = "neon")]
pub(super) unsafe fn take<const COPY: bool>(block: Block, at: usize) -> uint8x16_t {
    // SAFETY: the block's bytes can be read and, if copied, written (`Block`), and these are among them
    // (the caller's promise).
    unsafe {
        let lane = vld1q_u8(block.from.add(at));
        if COPY {
            vst1q_u8(block.to.add(at), lane);
        }
        lane
    }
}

/// Bits as the CRC reads them.
#[inline]
#[target_feature(enable = "neon")]
fn bits<P: Polynomial>(lane: uint8x16_t) -> uint64x2_t {
    vreinterpretq_u64_u8(if P::REVERSE { vrbitq_u8(lane) } else { lane })
}

/// The product of the low halves.
#[inline]
#[target_feature(enable = "neon,aes")]
pub(super) fn multiply_low(a: uint64x2_t, b: uint64x2_t) -> uint64x2_t {
    vreinterpretq_u64_p128(vmull_p64(vgetq_lane_u64::<0>(a), vgetq_lane_u64::<0>(b)))
}

/// A lane times its keys, and `more`.
#[inline]
#[target_feature(enable = "neon,aes")]
pub(super) fn multiply_add(lane: uint64x2_t, keys: uint64x2_t, more: uint64x2_t) -> uint64x2_t {
    let high = vmull_high_p64(vreinterpretq_p64_u64(lane), vreinterpretq_p64_u64(keys));
    veorq_u64(veorq_u64(multiply_low(lane, keys), more), vreinterpretq_u64_p128(high))
}

/// The remainder that a sum of lanes stands for.
#[inline]
#[target_feature(enable = "neon,aes")]
pub(super) fn reduce<P: Polynomial>(keys: &Keys, sum: uint64x2_t) -> u64 {
    let [by_quotient, poly] = keys.barrett;
    let quotient = multiply_low(sum, pair([by_quotient, 0]));
    let product = multiply_low(quotient, pair([poly, 0]));
    let remainder = vgetq_lane_u64::<1>(veorq_u64(product, sum));
    match P::ODD {
        true => remainder ^ vgetq_lane_u64::<0>(quotient),
        false => remainder,
    }
}

/// A lane whose product with its keys is that of the block, whose first 8 bytes are taken with `carried` added.
///
/// # Safety
///
/// The block is one of a run of this interval, which copies if `COPY`.
#[inline]
#[target_feature(enable = "neon,aes")]
unsafe fn lane<P: Polynomial, const COPY: bool>(
    block: Block,
    interval: usize,
    carried: u64,
) -> uint64x2_t {
    let head = interval % FOLD;
    let mut lanes = [pair([0; 2]); LANES];
    let mut done = if head == 0 && interval != 0 {
        let mut carried = vreinterpretq_u8_u64(pair([carried, 0]));
        for (i, lane) in lanes.iter_mut().enumerate() {
            // SAFETY: the interval is a multiple of FOLD and not 0.
            let bytes = unsafe { take::<COPY>(block, 16 * i) };
            *lane = bits::<P>(veorq_u8(bytes, carried));
            carried = vdupq_n_u8(0);
        }
        FOLD
    } else {
        // SAFETY: the head is part of the block.
        let bytes = unsafe { std::slice::from_raw_parts(block.from, head) };
        if COPY {
            // SAFETY: and of its copy, which the data does not overlap (`Block`).
            unsafe { block.to.copy_from_nonoverlapping(block.from, head) };
        }
        let head_lanes: [u8; FOLD] = padded(bytes, carried);
        for (lane, bytes) in lanes.iter_mut().zip(head_lanes.as_chunks::<16>().0) {
            // SAFETY: 16 bytes.
            *lane = bits::<P>(unsafe { vld1q_u8(bytes.as_ptr()) });
        }
        head
    };
    let fold = pair(P::KEYS.fold_128);
    while done < interval {
        for (i, lane) in lanes.iter_mut().enumerate() {
            // SAFETY: what is left of the interval is a multiple of FOLD and not 0.
            let next = bits::<P>(unsafe { take::<COPY>(block, done + 16 * i) });
            *lane = multiply_add(*lane, fold, next);
        }
        done += FOLD;
    }
    let mut sum = pair([0; 2]);
    for (lane, keys) in lanes.iter().rev().zip(P::KEYS.end.iter().rev()) {
        sum = multiply_add(*lane, pair(*keys), sum);
    }
    sum
}

#[target_feature(enable = "neon,aes")]
pub(super) fn guards<P: Polynomial, const COPY: bool>(run: &mut Run<'_>, out: &mut [u64]) {
    let interval = run.interval();
    let start = P::enter(0);
    for (out, block) in out.iter_mut().zip(run.blocks()) {
        // SAFETY: a block of this run, and the table has the copying kernel where runs copy.
        let sum = unsafe { lane::<P, COPY>(block, interval, start) };
        *out = P::leave(reduce::<P>(P::KEYS, sum));
    }
}

#[target_feature(enable = "neon,aes")]
pub(super) fn update<P: Polynomial>(crc: u64, bytes: &[u8]) -> u64 {
    // A head shorter than a remainder would have to share it with what is behind it.
    let (odd, bytes) = bytes.split_at(if bytes.len() < 64 { bytes.len() } else { bytes.len() % 8 });
    let crc = P::portable(crc, odd);
    if bytes.is_empty() {
        return crc;
    }
    let block = Block { from: bytes.as_ptr(), to: std::ptr::null_mut() };
    // SAFETY: the slice is a block as long as itself.
    let sum = unsafe { lane::<P, false>(block, bytes.len(), P::enter(crc)) };
    P::leave(reduce::<P>(P::KEYS, sum))
}
