//! CRC-32C with its own instruction, alone or with PMULL beside it.
//!
//! Both go on at once in a group of 512 bytes, as on x86-64: its first half is multiplied, its second goes through
//! the instruction in two chains, for the instruction takes longer than the time until the next can start.
#![expect(unsafe_code, reason = "words are read through raw pointers")]

use std::arch::aarch64::*;

use super::super::cpu::{Kernel, Kernels, PORTABLE};
use super::super::keys::GROUP;
use super::super::polynomial::{Crc32c, Polynomial};
use super::super::run::{Block, Run};
use super::pmull;

pub(in super::super) static KERNELS: Kernels = Kernels {
    name: "crc",
    crc32c: Kernel { update, guards: by_instruction, copy_guards: by_instruction },
    ..PORTABLE
};

pub(super) const WITH_PMULL: Kernel =
    Kernel { update, guards: guards::<false>, copy_guards: guards::<true> };

/// Where the second half of a group starts, and the second chain in it.
const CHAINS: [usize; 2] = [256, 384];

#[target_feature(enable = "crc")]
fn update(crc: u64, bytes: &[u8]) -> u64 {
    let (words, rest) = bytes.as_chunks::<8>();
    let crc =
        words.iter().fold(!(crc as u32), |crc, word| __crc32cd(crc, u64::from_le_bytes(*word)));
    (!rest.iter().fold(crc, |crc, byte| __crc32cb(crc, *byte))).into()
}

#[target_feature(enable = "crc")]
fn by_instruction(run: &mut Run<'_>, out: &mut [u64]) {
    for (i, out) in (0..run.count()).zip(out) {
        *out = update(0, run.bytes(i));
    }
}

/// The word of a block at byte `at`.
///
/// # Safety
///
/// As for [`pmull::take`], of 8 bytes.
#[inline(always)]
unsafe fn word(block: Block, at: usize) -> u64 {
    // SAFETY: the block's bytes can be read (`Block`), and these are among them (the caller's promise).
    unsafe { block.from.add(at).cast::<u64>().read_unaligned() }
}

/// The CRC of 512 bytes of a block at byte `at`, without inversions, of which the first are taken with `carried` added.
///
/// # Safety
///
/// As for [`pmull::take`], of all of these.
#[inline]
#[target_feature(enable = "neon,aes,crc")]
unsafe fn group<const COPY: bool>(block: Block, at: usize, carried: u64) -> u64 {
    let keys = Crc32c::KEYS;
    let [first, second] = CHAINS;
    let mut sum = pmull::pair([0; 2]);
    let mut carried = pmull::pair([carried, 0]);
    let (mut a, mut b) = (0, 0);
    // All three at every step, so that a short look-ahead finds work for all units.
    for (i, keys) in keys.end.iter().take(first / 16).enumerate() {
        // SAFETY: the caller's promise.
        let lane = unsafe {
            if COPY {
                pmull::take::<COPY>(block, at + first + 16 * i);
            }
            a = __crc32cd(a, word(block, at + first + 8 * i));
            b = __crc32cd(b, word(block, at + second + 8 * i));
            vreinterpretq_u64_u8(pmull::take::<COPY>(block, at + 16 * i))
        };
        sum = pmull::multiply_add(veorq_u64(lane, carried), pmull::pair(*keys), sum);
        carried = pmull::pair([0; 2]);
    }
    // What the first chain found goes on 128 bytes before the end, like a message there.
    if let Some(keys) = keys.end.get(second / 16) {
        let product = pmull::multiply_low(pmull::pair([a.into(), 0]), pmull::pair(*keys));
        sum = veorq_u64(sum, product);
    }
    pmull::reduce::<Crc32c>(keys, sum) ^ u64::from(b)
}

#[target_feature(enable = "neon,aes,crc")]
fn guards<const COPY: bool>(run: &mut Run<'_>, out: &mut [u64]) {
    let interval = run.interval();
    if !interval.is_multiple_of(GROUP) {
        return pmull::guards::<Crc32c, COPY>(run, out);
    }
    for (out, block) in out.iter_mut().zip(run.blocks()) {
        let (mut crc, mut done) = (Crc32c::enter(0), 0);
        while done < interval {
            // SAFETY: the interval is a multiple of 512, and the table has the copying kernel where runs copy.
            crc = unsafe { group::<COPY>(block, done, crc) };
            done += GROUP;
        }
        *out = Crc32c::leave(crc);
    }
}
