//! All CRCs with 64-byte carry-less multiplication (AVX-512 and VPCLMULQDQ).
//!
//! Port 5 alone multiplies, 64 bytes in two cycles, so nothing else is given to it: T10-DIF is turned into
//! a reflected CRC by reversing the bits of each byte (GFNI) instead of the bytes of each lane.
#![expect(unsafe_code, reason = "SIMD loads and stores take raw pointers")]

use std::arch::x86_64::*;

use super::super::cpu::{Kernel, Kernels};
use super::super::keys::GROUP;
use super::super::polynomial::{Crc32c, Crc64, Polynomial, T10Dif, padded};
use super::super::run::{Block, Run};
use super::ip;

pub(in super::super) static KERNELS: Kernels = Kernels {
    name: "vpclmul",
    t10dif: kernel::<T10Dif>(),
    ip: ip::AVX512,
    crc32c: kernel::<Crc32c>(),
    crc64: kernel::<Crc64>(),
};

const fn kernel<P: Polynomial>() -> Kernel {
    Kernel { update: update::<P>, guards: guards::<P, false>, copy_guards: guards::<P, true> }
}

/// Vectors of a group.
const VECTORS: usize = GROUP / 64;

#[inline]
#[target_feature(enable = "avx512f")]
fn load(bytes: &[u8; 64]) -> __m512i {
    // SAFETY: 64 bytes, of any alignment.
    unsafe { _mm512_loadu_si512(bytes.as_ptr().cast()) }
}

/// The `i`th 64 bytes of a block, copied if the run copies.
///
/// # Safety
///
/// `64 * (i + 1)` is at most the interval of the block's run, which copies if `COPY`.
#[inline]
#[target_feature(enable = "avx512f")]
unsafe fn take<const COPY: bool>(block: Block, i: usize) -> __m512i {
    // SAFETY: a prefetch may go anywhere; the block's bytes can be read and, if copied, written (`Block`), and these are among them
    // (the caller's promise).
    unsafe {
        _mm_prefetch::<_MM_HINT_T0>(block.from.wrapping_add(64 * i + 2048).cast());
        let vector = _mm512_loadu_si512(block.from.add(64 * i).cast());
        if COPY {
            _mm512_storeu_si512(block.to.add(64 * i).cast(), vector);
        }
        vector
    }
}

/// Bits as the CRC reads them.
#[inline]
#[target_feature(enable = "avx512f,gfni")]
fn bits<P: Polynomial>(vector: __m512i) -> __m512i {
    if P::REVERSE {
        _mm512_gf2p8affine_epi64_epi8::<0>(
            vector,
            _mm512_set1_epi64(0x8040_2010_0804_0201_u64 as i64),
        )
    } else {
        vector
    }
}

/// `lanes` times their keys, and `more`.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,vpclmulqdq")]
fn multiply_add(lanes: __m512i, keys: __m512i, more: __m512i) -> __m512i {
    let low = _mm512_clmulepi64_epi128::<0x00>(lanes, keys);
    let high = _mm512_clmulepi64_epi128::<0x11>(lanes, keys);
    _mm512_ternarylogic_epi64::<0x96>(low, high, more)
}

/// Four lanes whose sum is a block's, its first 8 bytes taken with `carried` added.
///
/// # Safety
///
/// The block is one of a run of this interval, which copies if `COPY`.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,vpclmulqdq,gfni")]
unsafe fn lanes<P: Polynomial, const COPY: bool>(
    block: Block,
    interval: usize,
    carried: u64,
) -> __m512i {
    let head = interval % GROUP;
    let mut group = [_mm512_setzero_si512(); VECTORS];
    let mut done = if head == 0 && interval != 0 {
        for (i, lanes) in group.iter_mut().enumerate() {
            // SAFETY: the interval is a multiple of a group's length and not 0.
            *lanes = unsafe { take::<COPY>(block, i) };
        }
        let [first, ..] = &mut group;
        let carried = _mm512_zextsi128_si512(_mm_cvtsi64_si128(carried as i64));
        *first = _mm512_xor_si512(*first, carried);
        for lanes in &mut group {
            *lanes = bits::<P>(*lanes);
        }
        GROUP
    } else {
        // SAFETY: the head is part of the block.
        let bytes = unsafe { std::slice::from_raw_parts(block.from, head) };
        if COPY {
            // SAFETY: and of its copy, which the data does not overlap (`Block`).
            unsafe { block.to.copy_from_nonoverlapping(block.from, head) };
        }
        let head_group: [u8; GROUP] = padded(bytes, carried);
        for (lanes, bytes) in group.iter_mut().zip(head_group.as_chunks::<64>().0) {
            *lanes = bits::<P>(load(bytes));
        }
        head
    };
    let [low, high] = P::KEYS.fold_512;
    let fold = _mm512_broadcast_i32x4(_mm_set_epi64x(high as i64, low as i64));
    while done < interval {
        let block = Block { from: block.from.wrapping_add(done), to: block.to.wrapping_add(done) };
        for (i, lanes) in group.iter_mut().enumerate() {
            // SAFETY: what is left of the interval is a multiple of a group's length and not 0.
            let next = bits::<P>(unsafe { take::<COPY>(block, i) });
            *lanes = multiply_add(*lanes, fold, next);
        }
        done += GROUP;
    }
    add_up::<P>(&group)
}

/// The last vectors of a message, their bits as the CRC reads them, each times the power of x that it is worth.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,vpclmulqdq")]
fn add_up<P: Polynomial>(vectors: &[__m512i; VECTORS]) -> __m512i {
    let keys = P::KEYS.end.as_chunks::<4>().0;
    let mut sum = _mm512_setzero_si512();
    for (lanes, keys) in vectors.iter().rev().zip(keys.iter().rev()) {
        // SAFETY: four lanes of keys are 64 bytes.
        let keys = unsafe { _mm512_loadu_si512(keys.as_ptr().cast()) };
        sum = multiply_add(*lanes, keys, sum);
    }
    sum
}

/// The remainders of four blocks, the lanes of one sum in one vector each.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,vpclmulqdq")]
fn reduce<P: Polynomial>([a, b, c, d]: [__m512i; 4]) -> [u64; 4] {
    let ab = _mm512_xor_si512(
        _mm512_shuffle_i64x2::<0b01_00_01_00>(a, b),
        _mm512_shuffle_i64x2::<0b11_10_11_10>(a, b),
    );
    let cd = _mm512_xor_si512(
        _mm512_shuffle_i64x2::<0b01_00_01_00>(c, d),
        _mm512_shuffle_i64x2::<0b11_10_11_10>(c, d),
    );
    let abcd = _mm512_xor_si512(
        _mm512_shuffle_i64x2::<0b10_00_10_00>(ab, cd),
        _mm512_shuffle_i64x2::<0b11_01_11_01>(ab, cd),
    );
    let [quotient, poly] = P::KEYS.barrett;
    let barrett = _mm512_broadcast_i32x4(_mm_set_epi64x(poly as i64, quotient as i64));
    let quotient = _mm512_clmulepi64_epi128::<0x00>(abcd, barrett);
    let product = _mm512_clmulepi64_epi128::<0x10>(quotient, barrett);
    let mut remainder = _mm512_xor_si512(abcd, product);
    if P::ODD {
        remainder = _mm512_xor_si512(remainder, _mm512_bslli_epi128::<8>(quotient));
    }
    let mut halves = [0u64; 8];
    // SAFETY: 64 bytes.
    unsafe { _mm512_storeu_si512(halves.as_mut_ptr().cast(), remainder) };
    let [_, a, _, b, _, c, _, d] = halves;
    [a, b, c, d]
}

#[target_feature(enable = "avx512f,avx512bw,vpclmulqdq,gfni")]
fn guards<P: Polynomial, const COPY: bool>(run: &mut Run<'_>, out: &mut [u64]) {
    let interval = run.interval();
    let start = P::enter(0);
    let mut blocks = run.blocks();
    for out in out.chunks_mut(4) {
        let mut sums = [_mm512_setzero_si512(); 4];
        for (sum, block) in sums.iter_mut().zip(blocks.by_ref().take(out.len())) {
            // SAFETY: a block of this run, and the table has the copying kernel where runs copy.
            *sum = unsafe { lanes::<P, COPY>(block, interval, start) };
        }
        for (out, remainder) in out.iter_mut().zip(reduce::<P>(sums)) {
            *out = P::leave(remainder);
        }
    }
}

#[target_feature(enable = "avx512f,avx512bw,vpclmulqdq,gfni")]
fn update<P: Polynomial>(crc: u64, bytes: &[u8]) -> u64 {
    // A head shorter than a remainder would have to share it with the group behind it.
    let (odd, bytes) = bytes.split_at(if bytes.len() < 64 { bytes.len() } else { bytes.len() % 8 });
    let crc = P::portable(crc, odd);
    if bytes.is_empty() {
        return crc;
    }
    let block = Block { from: bytes.as_ptr(), to: std::ptr::null_mut() };
    // SAFETY: the slice is a block as long as itself.
    let sum = unsafe { lanes::<P, false>(block, bytes.len(), P::enter(crc)) };
    let zero = _mm512_setzero_si512();
    let [remainder, ..] = reduce::<P>([sum, zero, zero, zero]);
    P::leave(remainder)
}
