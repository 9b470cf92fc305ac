//! Bit matrices: what a byte of T10-DIF is worth further on.

#![expect(clippy::indexing_slicing, reason = "runs at compile time")]

use super::super::keys::STRETCH;

/// For each 64 bytes of the last 4096 of a message: a byte there is as good as two 64, 128 ... bytes behind it, at its own place
/// and at the one before. Their bits are reversed. As GF2P8AFFINEQB takes matrices: byte m has the inputs of bit 7 - m.
pub(super) static T10DIF: [[u64; 2]; STRETCH / 64] = {
    let mut all = [[0; 2]; STRETCH / 64];
    // x^0, x^512, x^1024 ... modulo the polynomial
    let mut power = 1u16;
    let mut vector = all.len();
    while vector > 0 {
        vector -= 1;
        let (mut remainder, mut bit) = (power, 0);
        while bit < 8 {
            let mut m = 0;
            while m < 8 {
                all[vector][0] |= (remainder as u64 >> m & 1) << (8 * m + bit);
                all[vector][1] |= (remainder as u64 >> (8 + m) & 1) << (8 * m + bit);
                m += 1;
            }
            remainder = times_x(remainder);
            bit += 1;
        }
        let mut n = 0;
        while n < 512 {
            power = times_x(power);
            n += 1;
        }
    }
    all
};

/// Times x modulo x^16 + 8bb7h.
const fn times_x(r: u16) -> u16 {
    (r << 1) ^ (if r & 0x8000 != 0 { 0x8bb7 } else { 0 })
}
