//! All CRCs with 16-byte carry-less multiplication (PCLMULQDQ and SSE4.1).
#![expect(unsafe_code, reason = "SIMD loads and stores take raw pointers")]

use std::arch::x86_64::*;
use std::hint::black_box;

use super::super::cpu::{Kernel, Kernels};
use super::super::keys::Keys;
use super::super::polynomial::{Crc64, Polynomial, T10DifForward, padded};
use super::super::run::{Block, Run};
use super::{crc32c, fetch, ip};

pub(in super::super) static KERNELS: Kernels = Kernels {
    name: "sse",
    t10dif: kernel::<T10DifForward>(),
    ip: ip::SSE,
    crc32c: crc32c::KERNEL,
    crc64: kernel::<Crc64>(),
};

pub(super) const fn kernel<P: Polynomial>() -> Kernel {
    Kernel { update: update::<P>, guards: guards::<P, false>, copy_guards: guards::<P, true> }
}

/// Keys as an operand in memory. Knowing their values, the compiler would build each half of them in port 5,
/// where the multiplications already queue.
#[inline(always)]
pub(super) fn keys<P: Polynomial>() -> &'static Keys {
    black_box(P::KEYS)
}

/// Lanes that are folded at once.
const LANES: usize = 8;

/// Bytes of these.
const FOLD: usize = 16 * LANES;

#[inline]
#[target_feature(enable = "sse2")]
pub(super) fn load(bytes: &[u8; 16]) -> __m128i {
    // SAFETY: 16 bytes, of any alignment.
    unsafe { _mm_loadu_si128(bytes.as_ptr().cast()) }
}

#[inline]
#[target_feature(enable = "sse2")]
pub(super) fn pair([low, high]: [u64; 2]) -> __m128i {
    _mm_set_epi64x(high as i64, low as i64)
}

/// The lane at byte `at` of a block, copied if the run copies.
///
/// # Safety
///
/// `at + 16` is at most the interval of the block's run, which copies if `COPY`.
#[inline]
#[target_feature(enable = "sse2")]
pub(super) unsafe fn take<const COPY: bool>(block: Block, at: usize) -> __m128i {
    // SAFETY: the block's bytes can be read and, if copied, written (`Block`), and these are among them
    // (the caller's promise).
    unsafe {
        let lane = _mm_loadu_si128(block.from.add(at).cast());
        if COPY {
            _mm_storeu_si128(block.to.add(at).cast(), lane);
        }
        lane
    }
}

/// Bytes in the order of the powers of x.
#[inline]
#[target_feature(enable = "ssse3")]
pub(super) fn ordered<P: Polynomial>(lane: __m128i) -> __m128i {
    if P::FORWARD {
        _mm_shuffle_epi8(lane, _mm_set_epi8(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15))
    } else {
        lane
    }
}

/// A lane times its keys, and `more`.
#[inline]
#[target_feature(enable = "sse2,pclmulqdq")]
pub(super) fn multiply_add(lane: __m128i, keys: __m128i, more: __m128i) -> __m128i {
    let low = _mm_clmulepi64_si128::<0x00>(lane, keys);
    let high = _mm_clmulepi64_si128::<0x11>(lane, keys);
    _mm_xor_si128(_mm_xor_si128(low, more), high)
}

/// Two keys of [`Keys::end`] in a register.
#[inline]
#[target_feature(enable = "sse2")]
pub(super) fn factors(keys: &[u64; 2]) -> __m128i {
    // SAFETY: 16 bytes, of any alignment.
    unsafe { _mm_loadu_si128(keys.as_ptr().cast()) }
}

/// The last lanes of a message, each times the power of x that it is worth.
#[inline]
#[target_feature(enable = "sse2,pclmulqdq")]
pub(super) fn add_up<const N: usize>(keys: &Keys, lanes: &[__m128i; N]) -> __m128i {
    let mut sum = _mm_setzero_si128();
    for (lane, keys) in lanes.iter().rev().zip(keys.end.iter().rev()) {
        sum = multiply_add(*lane, factors(keys), sum);
    }
    sum
}

/// The remainder that a sum of lanes stands for.
#[inline]
#[target_feature(enable = "sse4.1,pclmulqdq")]
pub(super) fn reduce<P: Polynomial>(keys: &Keys, sum: __m128i) -> u64 {
    let barrett = pair(keys.barrett);
    if P::FORWARD {
        // The halves that count: high ones of `sum` and `quotient`, low ones of what is returned.
        let quotient = _mm_xor_si128(_mm_clmulepi64_si128::<0x01>(sum, barrett), sum);
        let product = _mm_clmulepi64_si128::<0x11>(quotient, barrett);
        _mm_cvtsi128_si64(_mm_xor_si128(product, sum)) as u64
    } else {
        let quotient = _mm_clmulepi64_si128::<0x00>(sum, barrett);
        let product = _mm_clmulepi64_si128::<0x10>(quotient, barrett);
        let remainder = _mm_extract_epi64::<1>(_mm_xor_si128(product, sum)) as u64;
        match P::ODD {
            true => remainder ^ _mm_cvtsi128_si64(quotient) as u64,
            false => remainder,
        }
    }
}

/// A lane whose product with its keys is that of the block, whose first 8 bytes are taken with `carried` added.
///
/// # Safety
///
/// The block is one of a run of this interval, which copies if `COPY`.
#[inline]
#[target_feature(enable = "sse4.1,pclmulqdq,ssse3")]
unsafe fn lane<P: Polynomial, const COPY: bool>(
    keys: &Keys,
    block: Block,
    interval: usize,
    carried: u64,
) -> __m128i {
    let head = interval % FOLD;
    let mut lanes = [_mm_setzero_si128(); LANES];
    let mut done = if head == 0 && interval != 0 {
        for (i, lane) in lanes.iter_mut().enumerate() {
            // SAFETY: the interval is a multiple of FOLD and not 0.
            *lane = unsafe { take::<COPY>(block, 16 * i) };
        }
        let [first, ..] = &mut lanes;
        *first = _mm_xor_si128(*first, _mm_cvtsi64_si128(carried as i64));
        for lane in &mut lanes {
            *lane = ordered::<P>(*lane);
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
            *lane = ordered::<P>(load(bytes));
        }
        head
    };
    let fold = pair(keys.fold_128);
    while done < interval {
        fetch(block.from.wrapping_add(done + 2048));
        fetch(block.from.wrapping_add(done + 2112));
        for (i, lane) in lanes.iter_mut().enumerate() {
            // SAFETY: what is left of the interval is a multiple of FOLD and not 0.
            let next = ordered::<P>(unsafe { take::<COPY>(block, done + 16 * i) });
            *lane = multiply_add(*lane, fold, next);
        }
        done += FOLD;
    }
    add_up(keys, &lanes)
}

#[target_feature(enable = "sse4.1,pclmulqdq,ssse3")]
pub(super) fn guards<P: Polynomial, const COPY: bool>(run: &mut Run<'_>, out: &mut [u64]) {
    let interval = run.interval();
    let start = P::enter(0);
    let keys = keys::<P>();
    for (out, block) in out.iter_mut().zip(run.blocks()) {
        // SAFETY: a block of this run, and the table has the copying kernel where runs copy.
        *out =
            P::leave(reduce::<P>(keys, unsafe { lane::<P, COPY>(keys, block, interval, start) }));
    }
}

#[target_feature(enable = "sse4.1,pclmulqdq,ssse3")]
pub(super) fn update<P: Polynomial>(crc: u64, bytes: &[u8]) -> u64 {
    // A head shorter than a remainder would have to share it with what is behind it.
    let (odd, bytes) = bytes.split_at(if bytes.len() < 64 { bytes.len() } else { bytes.len() % 8 });
    let crc = P::portable(crc, odd);
    if bytes.is_empty() {
        return crc;
    }
    let block = Block { from: bytes.as_ptr(), to: std::ptr::null_mut() };
    let keys = keys::<P>();
    // SAFETY: the slice is a block as long as itself.
    let sum = unsafe { lane::<P, false>(keys, block, bytes.len(), P::enter(crc)) };
    P::leave(reduce::<P>(keys, sum))
}
