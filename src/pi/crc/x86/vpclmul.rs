//! All CRCs with 64-byte carry-less multiplication (AVX-512 and VPCLMULQDQ), and what else there is beside it.
//!
//! One unit multiplies, 64 bytes in four cycles, so it gets as little as can be. T10-DIF leaves it out:
//! what a byte is worth some vectors before the end are two bytes, each of them a bit matrix times that byte (GFNI).
//! All bytes of a vector have the same two matrices; what is left to multiply are their two sums. Of twelve
//! blocks of CRC-32C four go through its own instruction, whose chains they are, while the others are multiplied.
#![expect(unsafe_code, reason = "SIMD loads and stores take raw pointers")]

use std::arch::asm;
use std::arch::x86_64::*;

use super::super::cpu::{Kernel, Kernels};
use super::super::keys::STRETCH;
use super::super::polynomial::{Crc32c, Crc64, Polynomial, T10Dif};
use super::super::run::{Block, Run};
use super::{ip, matrix};

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

/// Bytes of a vector.
const VECTOR: usize = 64;

/// Instead of an interval: blocks come from far away or are long copies, where one after the other comes fastest, and any prefetching slows
/// what the CPU does by itself.
const FAR: usize = usize::MAX;

/// Blocks whose sums are made, and reduced, together.
const TOGETHER: usize = 4;

/// The keys of a vector's lanes.
#[inline]
#[target_feature(enable = "avx512f")]
fn load(keys: &[[u64; 2]; 4]) -> __m512i {
    // SAFETY: 64 bytes, of any alignment.
    unsafe { _mm512_loadu_si512(keys.as_ptr().cast()) }
}

/// The keys of as many vectors at the end of a message, of at most 64.
fn end_keys<P: Polynomial>(vectors: usize) -> Option<&'static [[[u64; 2]; 4]]> {
    let keys = P::WIDE.end.as_chunks::<4>().0;
    keys.get(keys.len().checked_sub(vectors)?..)
}

/// 64 bytes of a block at byte `at`, copied if the run copies.
///
/// # Safety
///
/// `at + 64` is at most the interval of the block's run, which copies if `COPY`.
#[inline]
#[target_feature(enable = "avx512f")]
unsafe fn take<const COPY: bool>(block: Block, at: usize) -> __m512i {
    // SAFETY: the block's bytes can be read and, if copied, written (`Block`), and these are among them
    // (the caller's promise).
    unsafe {
        let vector = _mm512_loadu_si512(block.from.add(at).cast());
        if COPY {
            _mm512_storeu_si512(block.to.add(at).cast(), vector);
        }
        vector
    }
}

/// The first `len` bytes of a block at the end of a vector, `carried` added to the first 8.
///
/// # Safety
///
/// `len` is at most the interval of the block's run, which copies if `COPY`, a multiple of 8 and in 8..=64.
#[inline]
#[target_feature(enable = "avx512f")]
unsafe fn take_first<const COPY: bool>(block: Block, len: usize, carried: u64) -> __m512i {
    let before = VECTOR - len;
    let words = 0xff_u8 << (before / 8);
    // SAFETY: words that the mask leaves out are not accessed; the others are the block's first bytes.
    let vector = unsafe {
        let vector = _mm512_maskz_loadu_epi64(words, block.from.wrapping_sub(before).cast());
        if COPY {
            _mm512_mask_storeu_epi64(block.to.wrapping_sub(before).cast(), words, vector);
        }
        vector
    };
    let first = words & words.wrapping_neg();
    _mm512_xor_si512(vector, _mm512_maskz_set1_epi64(first, carried as i64))
}

/// `lanes` times their keys, and `more`.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,vpclmulqdq")]
fn multiply_add(lanes: __m512i, keys: __m512i, more: __m512i) -> __m512i {
    let low = _mm512_clmulepi64_epi128::<0x00>(lanes, keys);
    let high = _mm512_clmulepi64_epi128::<0x11>(lanes, keys);
    _mm512_ternarylogic_epi64::<0x96>(low, high, more)
}

/// Lanes whose sum is that of the first `len` bytes of each block, `carried` added to its first 8.
///
/// # Safety
///
/// `len` is at most the interval of the blocks' run, which copies if `COPY`, a multiple of 8 and in 8..=4096.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,vpclmulqdq,gfni,sse4.2")]
unsafe fn stretch<P: Polynomial, const N: usize, const COPY: bool, const INTERVAL: usize>(
    blocks: [Block; N],
    len: usize,
    carried: u64,
) -> [__m512i; N] {
    let mut at = (len - 1) % VECTOR + 1;
    let mut firsts = [_mm512_setzero_si512(); N];
    for (first, block) in firsts.iter_mut().zip(blocks) {
        // SAFETY: the caller's promise.
        *first = unsafe { take_first::<COPY>(block, at, carried) };
    }
    let mut sums = [_mm512_setzero_si512(); N];
    if P::REVERSE {
        let skip = STRETCH / VECTOR - len.div_ceil(VECTOR);
        let Some((first, rest)) = matrix::T10DIF.get(skip..).and_then(<[_]>::split_first) else {
            return sums;
        };
        let mut bytes = firsts.map(|vector| transform(vector, first));
        let (pairs, odd) = rest.as_chunks::<2>();
        for [one, two] in pairs {
            for ([here, before], block) in bytes.iter_mut().zip(blocks) {
                // SAFETY: the caller's promise.
                let (a, b) = unsafe { (take::<COPY>(block, at), take::<COPY>(block, at + VECTOR)) };
                let ([here_a, before_a], [here_b, before_b]) =
                    (transform(a, one), transform(b, two));
                *here = add(*here, here_a, here_b);
                *before = add(*before, before_a, before_b);
            }
            at += 2 * VECTOR;
        }
        for worth in odd {
            for ([here, before], block) in bytes.iter_mut().zip(blocks) {
                // SAFETY: the caller's promise.
                let [more, more_before] = transform(unsafe { take::<COPY>(block, at) }, worth);
                *here = _mm512_xor_si512(*here, more);
                *before = _mm512_xor_si512(*before, more_before);
            }
        }
        if let Some(last) = P::WIDE.end.last_chunk() {
            let (last, earlier) = (load(last), load(&P::WIDE.byte_earlier));
            for (sum, [here, before]) in sums.iter_mut().zip(bytes) {
                *sum = multiply_add(before, earlier, multiply_add(here, last, *sum));
            }
        }
        return sums;
    }
    let keys = end_keys::<P>(len.div_ceil(VECTOR));
    let Some((first, keys)) = keys.and_then(<[_]>::split_first) else {
        return sums;
    };
    for (sum, vector) in sums.iter_mut().zip(firsts) {
        *sum = multiply_add(vector, load(first), *sum);
    }
    for keys in keys {
        // SAFETY: the caller's promise.
        unsafe { multiply::<N, COPY>(blocks, at, keys, &mut sums) };
        at += VECTOR;
    }
    sums
}

/// What a vector's bytes are worth at the end of a message, in their places and in those before.
#[inline]
#[target_feature(enable = "avx512f,gfni,avx512bw")]
fn transform(vector: __m512i, worth: &[u64; 2]) -> [__m512i; 2] {
    let [low, high] = worth.map(|matrix| _mm512_set1_epi64(matrix as i64));
    [
        _mm512_gf2p8affine_epi64_epi8::<0>(vector, low),
        _mm512_gf2p8affine_epi64_epi8::<0>(vector, high),
    ]
}

#[inline]
#[target_feature(enable = "avx512f")]
fn add(a: __m512i, b: __m512i, c: __m512i) -> __m512i {
    _mm512_ternarylogic_epi64::<0x96>(a, b, c)
}

/// Adds 64 bytes of each block at byte `at`, times their keys.
///
/// # Safety
///
/// As for [`take`].
#[inline]
#[target_feature(enable = "avx512f,avx512bw,vpclmulqdq")]
unsafe fn multiply<const N: usize, const COPY: bool>(
    blocks: [Block; N],
    at: usize,
    keys: &[[u64; 2]; 4],
    sums: &mut [__m512i; N],
) {
    let keys = load(keys);
    for (sum, block) in sums.iter_mut().zip(blocks) {
        // SAFETY: as for `take`.
        *sum = multiply_add(unsafe { take::<COPY>(block, at) }, keys, *sum);
    }
}

/// Blocks of which a third goes through the instruction. Whole blocks, as nothing is left to put together then.
const TWELVE: usize = 3 * TOGETHER;

/// The remainders of the CRC-32Cs of twelve blocks, one every `stride` bytes.
///
/// # Safety
///
/// The blocks are of one run, whose interval is a vector for each of the keys.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,vpclmulqdq,sse4.2")]
unsafe fn twelve(
    first: *const u8,
    stride: usize,
    keys: &[[[u64; 2]; 4]],
    carried: u64,
) -> [[u64; TOGETHER]; 3] {
    let block = |n: usize| Block { from: first.wrapping_add(n * stride), to: std::ptr::null_mut() };
    let [i, j, k, l] = [block(8), block(9), block(10), block(11)];
    let [mut p, mut q, mut r, mut s] = [carried; TOGETHER];
    let mut found = [[0; TOGETHER]; 2];
    let mut chained = 0;
    for (n, found) in found.iter_mut().enumerate() {
        let blocks = [block(4 * n), block(4 * n + 1), block(4 * n + 2), block(4 * n + 3)];
        let mut sums = [_mm512_setzero_si512(); TOGETHER];
        let mut carried = _mm512_zextsi128_si512(_mm_cvtsi64_si128(carried as i64));
        for (n, keys) in keys.iter().enumerate() {
            let keys = load(keys);
            for (sum, block) in sums.iter_mut().zip(blocks) {
                // SAFETY: the interval has a vector for each key, and half a vector for each key of each half.
                unsafe {
                    let vector = take::<false>(block, n * VECTOR);
                    *sum = multiply_add(_mm512_xor_si512(vector, carried), keys, *sum);
                    p = _mm_crc32_u64(p, word(i, chained));
                    q = _mm_crc32_u64(q, word(j, chained));
                    r = _mm_crc32_u64(r, word(k, chained));
                    s = _mm_crc32_u64(s, word(l, chained));
                }
                together(sum, &mut p);
                chained += 8;
            }
            carried = _mm512_setzero_si512();
        }
        *found = reduce::<Crc32c>(sums);
    }
    let [a, b] = found;
    [a, b, [p, q, r, s]]
}

/// The word of a block at byte `at`.
///
/// # Safety
///
/// As for [`take`], of 8 bytes.
#[inline(always)]
unsafe fn word(block: Block, at: usize) -> u64 {
    // SAFETY: the block's bytes can be read (`Block`), and these are among them (the caller's promise).
    unsafe { block.from.add(at).cast::<u64>().read_unaligned() }
}

/// Neither is computed later than this. Left to itself the compiler gathers all of one kind, and then the CPU does not look far
/// enough ahead to find work for both units.
#[inline]
#[target_feature(enable = "avx512f")]
fn together(sum: &mut __m512i, crc: &mut u64) {
    // SAFETY: no instruction.
    unsafe {
        asm!(
            "/* {} {} */",
            inout(zmm_reg) * sum,
            inout(reg) * crc,
            options(nomem, nostack, preserves_flags)
        );
    }
}

/// Lanes whose sum is that of each block, `carried` added to its first 8 bytes.
///
/// # Safety
///
/// The blocks are of one run of this interval, a multiple of 8 and not 0, which copies if `COPY`.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,vpclmulqdq,gfni,sse4.2")]
unsafe fn whole<P: Polynomial, const N: usize, const COPY: bool, const INTERVAL: usize>(
    mut blocks: [Block; N],
    interval: usize,
    mut carried: u64,
) -> [__m512i; N] {
    let [low, high] = P::WIDE.fold;
    let fold = _mm512_broadcast_i32x4(_mm_set_epi64x(high as i64, low as i64));
    let mut sums = [_mm512_setzero_si512(); N];
    let (mut len, mut left) = ((interval - 1) % STRETCH + 1, interval);
    loop {
        // SAFETY: what is left of the interval is this much, or a multiple of it.
        let more = unsafe { stretch::<P, N, COPY, INTERVAL>(blocks, len, carried) };
        carried = 0;
        for (sum, more) in sums.iter_mut().zip(more) {
            *sum = if left == interval { more } else { multiply_add(*sum, fold, more) };
        }
        left -= len;
        if left == 0 {
            return sums;
        }
        for block in &mut blocks {
            *block = Block { from: block.from.wrapping_add(len), to: block.to.wrapping_add(len) };
        }
        len = STRETCH;
    }
}

/// The remainders of blocks, `carried` added to the first 8 bytes of each.
///
/// # Safety
///
/// As for [`whole`].
#[inline]
#[target_feature(enable = "avx512f,avx512bw,vpclmulqdq,gfni,sse4.2")]
unsafe fn remainders<P: Polynomial, const N: usize, const COPY: bool, const INTERVAL: usize>(
    blocks: [Block; N],
    interval: usize,
    carried: u64,
) -> [u64; N] {
    let mut four = [_mm512_setzero_si512(); TOGETHER];
    if INTERVAL == FAR {
        for (sum, block) in four.iter_mut().zip(blocks) {
            // SAFETY: the caller's promise.
            [*sum] = unsafe { whole::<P, 1, COPY, FAR>([block], interval, carried) };
        }
    } else {
        // SAFETY: the caller's promise.
        let sums = unsafe { whole::<P, N, COPY, INTERVAL>(blocks, interval, carried) };
        four.iter_mut().zip(sums).for_each(|(to, from)| *to = from);
    }
    let mut found = [0; N];
    found.iter_mut().zip(reduce::<P>(four)).for_each(|(to, from)| *to = from);
    found
}

/// The remainders of four blocks, the lanes of one sum in one vector each.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,vpclmulqdq")]
fn reduce<P: Polynomial>([a, b, c, d]: [__m512i; TOGETHER]) -> [u64; TOGETHER] {
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

#[target_feature(enable = "avx512f,avx512bw,vpclmulqdq,gfni,sse4.2")]
fn guards<P: Polynomial, const COPY: bool>(run: &mut Run<'_>, out: &mut [u64]) {
    match run.interval() {
        // Stores of four blocks at a time would meet in the same sets of the cache.
        interval if run.far || COPY && interval >= 1024 => guards_of::<P, COPY, FAR>(run, out),
        512 if !COPY => guards_of::<P, COPY, 512>(run, out),
        4096 if !COPY => guards_of::<P, COPY, 4096>(run, out),
        _ => guards_of::<P, COPY, 0>(run, out),
    }
}

#[inline]
#[target_feature(enable = "avx512f,avx512bw,vpclmulqdq,gfni,sse4.2")]
fn guards_of<P: Polynomial, const COPY: bool, const INTERVAL: usize>(
    run: &mut Run<'_>,
    out: &mut [u64],
) {
    let interval = if matches!(INTERVAL, 0 | FAR) { run.interval() } else { INTERVAL };
    let count = run.count();
    let start = P::enter(0);
    let stride = run.stride();
    let mut blocks = run.blocks();
    let mut out = out.get_mut(..count).unwrap_or_default();
    if P::INSTRUCTION
        && !COPY
        && INTERVAL != FAR
        && interval.is_multiple_of(VECTOR)
        && let Some(keys) = end_keys::<P>(interval / VECTOR)
    {
        let (twelves, rest) = out.as_chunks_mut::<TWELVE>();
        out = rest;
        for out in twelves {
            if let (Some(first), Some(_)) = (blocks.next(), blocks.nth(TWELVE - 2)) {
                // SAFETY: this and eleven more are blocks of this run, with a vector for each key.
                let found = unsafe { twelve(first.from, stride, keys, start) };
                for (out, found) in out.iter_mut().zip(found.as_flattened()) {
                    *out = P::leave(*found);
                }
            }
        }
    }
    let (fours, rest) = out.as_chunks_mut::<TOGETHER>();
    for out in fours {
        if let [Some(a), Some(b), Some(c), Some(d)] = [(); TOGETHER].map(|()| blocks.next()) {
            // SAFETY: blocks of this run, and the table has the copying kernel where runs copy; `Cpu` gives no others than
            // of a multiple of 8 bytes.
            let found =
                unsafe { remainders::<P, _, COPY, INTERVAL>([a, b, c, d], interval, start) };
            *out = found.map(P::leave);
        }
    }
    for (out, block) in rest.iter_mut().zip(blocks) {
        // SAFETY: as above.
        let [found] = unsafe { remainders::<P, _, COPY, INTERVAL>([block], interval, start) };
        *out = P::leave(found);
    }
}

#[target_feature(enable = "avx512f,avx512bw,vpclmulqdq,gfni,sse4.2")]
fn update<P: Polynomial>(crc: u64, bytes: &[u8]) -> u64 {
    // Short ones are not worth it.
    let (odd, bytes) = bytes.split_at(if bytes.len() < 64 { bytes.len() } else { bytes.len() % 8 });
    let crc = P::portable(crc, odd);
    if bytes.is_empty() {
        return crc;
    }
    let block = Block { from: bytes.as_ptr(), to: std::ptr::null_mut() };
    // SAFETY: the slice is a block as long as itself, a multiple of 8.
    let [found] = unsafe { remainders::<P, _, false, 0>([block], bytes.len(), P::enter(crc)) };
    P::leave(found)
}
