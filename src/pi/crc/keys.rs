//! What turns carry-less multiplication into a CRC, for any polynomial P of degree up to 64.
//!
//! P is first multiplied by x^(64 - degree), which makes every CRC one of 64 bits whose unused bits are
//! zero. A message M is the sum of its 16-byte lanes, each times a power of x; each half of a lane is
//! multiplied by that power mod P, all products are added into one lane congruent to M * x^64, and one
//! Barrett reduction turns that into the CRC (see Intel's "Fast CRC Computation for Generic Polynomials
//! Using PCLMULQDQ Instruction" for the method).
//!
//! A reflected CRC reads bytes as they lie in memory: bit i of a word is the coefficient of x^(63 - i). The
//! product of two such words comes out one bit low, which its keys make up for by one power of x less.

/// Bytes that are folded at once.
pub(super) const GROUP: usize = 512;

/// Bytes that [`Wide`] keys reach over.
#[cfg(target_arch = "x86_64")]
pub(super) const STRETCH: usize = 4096;

/// Factors of a polynomial, in the order in which a register holds them: low half, high half.
#[repr(C, align(64))]
pub(super) struct Keys {
    /// For each lane of the last 512 bytes of a message.
    pub(super) end: [[u64; 2]; GROUP / 16],
    /// For the first 8 bytes of the last 512, of the last 1024 and so on.
    pub(super) groups: [u64; 8],
    /// Moves a lane 512 bytes on.
    pub(super) fold_512: [u64; 2],
    /// Moves a lane 128 bytes on.
    pub(super) fold_128: [u64; 2],
    /// For Barrett: x^128 / P less its top bit (reflected: less its lowest), and P likewise.
    pub(super) barrett: [u64; 2],
}

/// What is needed of the arithmetic modulo P.
#[derive(Clone, Copy)]
struct Modulo {
    /// P less its top bit, as a register holds it.
    poly: u64,
    reflected: bool,
}

impl Modulo {
    /// x^63.
    const fn top(self) -> u64 {
        if self.reflected { 1 } else { 1 << 63 }
    }

    /// Times x.
    const fn times_x(self, r: u64) -> u64 {
        let carry = r & self.top() != 0;
        let r = if self.reflected { r >> 1 } else { r << 1 };
        if carry { r ^ self.poly } else { r }
    }

    /// Times x^n.
    const fn times(self, mut r: u64, n: usize) -> u64 {
        let mut i = 0;
        while i < n {
            r = self.times_x(r);
            i += 1;
        }
        r
    }

    /// Factors of a lane whose later half is multiplied by `later`: its earlier half is worth x^64 more.
    const fn pair(self, later: u64) -> [u64; 2] {
        let earlier = self.times(later, 64);
        if self.reflected { [earlier, later] } else { [later, earlier] }
    }

    const fn quotient(self) -> u64 {
        // x^128 = x^64 * P + x^64 * (P less its top bit): long division bit by bit.
        let (mut r, mut quotient, mut i) = (self.poly, 0u64, 0);
        while i < 64 {
            let bit = (r & self.top() != 0) as u64;
            quotient |= if self.reflected {
                // 65 bits backwards; the lowest coefficient falls off.
                if i < 63 { bit << (i + 1) } else { 0 }
            } else {
                bit << (63 - i)
            };
            r = self.times_x(r);
            i += 1;
        }
        if self.reflected { quotient | 1 } else { quotient }
    }
}

impl Keys {
    /// For a CRC that reads the lowest bit of a byte first. `poly` is reflected.
    pub(super) const fn reflected(poly: u64) -> Self {
        Keys::new(Modulo { poly, reflected: true })
    }

    /// For a CRC that reads the highest bit of a byte first, from lanes whose bytes were swapped. `poly` is
    /// the polynomial times x^(64 - degree).
    #[cfg(target_arch = "x86_64")]
    pub(super) const fn forward(poly: u64) -> Self {
        Keys::new(Modulo { poly, reflected: false })
    }

    #[expect(clippy::indexing_slicing, reason = "runs at compile time")]
    const fn new(p: Modulo) -> Self {
        // x^63 and, not reflected, x^64: what the last half lane is multiplied by.
        let first = if p.reflected { p.top() } else { p.poly };
        let mut end = [[0; 2]; GROUP / 16];
        let mut power = first;
        let mut lane = end.len();
        while lane > 0 {
            lane -= 1;
            end[lane] = p.pair(power);
            power = p.times(power, 128);
        }
        let mut groups = [0; 8];
        let mut n = 0;
        while n < groups.len() {
            groups[n] = p.times(first, 8 * GROUP * (n + 1) - 64);
            n += 1;
        }
        Keys {
            end,
            groups,
            fold_512: p.pair(p.times(first, 8 * 512 - 64)),
            fold_128: p.pair(p.times(first, 8 * 128 - 64)),
            barrett: [p.quotient(), if p.reflected { p.poly << 1 | 1 } else { p.poly }],
        }
    }
}

/// Factors for long stretches of a reflected CRC, as [`Keys`] has them for short ones.
#[cfg(target_arch = "x86_64")]
#[repr(C, align(64))]
pub(super) struct Wide {
    /// For each lane of the last 4096 bytes of a message.
    pub(super) end: [[u64; 2]; STRETCH / 16],
    /// For the last four lanes, were they a byte earlier.
    pub(super) byte_earlier: [[u64; 2]; 4],
    /// Moves a lane 4096 bytes on.
    pub(super) fold: [u64; 2],
}

#[cfg(target_arch = "x86_64")]
impl Wide {
    #[expect(clippy::indexing_slicing, reason = "runs at compile time")]
    pub(super) const fn reflected(poly: u64) -> Self {
        let p = Modulo { poly, reflected: true };
        let mut keys = Wide {
            end: [[0; 2]; STRETCH / 16],
            byte_earlier: [[0; 2]; 4],
            fold: p.pair(p.times(p.top(), 8 * STRETCH - 64)),
        };
        let (mut power, mut lane) = (p.top(), keys.end.len());
        while lane > 0 {
            lane -= 1;
            keys.end[lane] = p.pair(power);
            if let Some(last) = (lane + 4).checked_sub(keys.end.len()) {
                keys.byte_earlier[last] = p.pair(p.times(power, 8));
            }
            power = p.times(power, 128);
        }
        keys
    }
}
