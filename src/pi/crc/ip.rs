//! The Internet checksum of RFC 1071: the complement of the one's complement sum of 16-bit words,
//! read here as a big-endian number. A last odd byte counts as the high byte of its word.

/// A sum in the making.
#[derive(Debug, Clone, Copy, Default)]
pub struct Sum {
    /// One's complement sum, carries folded in.
    sum: u16,
    /// Whether an odd number of bytes went in: the next one is the low byte of a word.
    odd: bool,
}

impl Sum {
    /// Goes on where a checksum of an even number of bytes stopped.
    pub const fn resume(checksum: u16) -> Self {
        Sum {
            sum: !checksum,
            odd: false,
        }
    }

    /// Adds bytes.
    #[inline(always)] // with the vectors of its caller
    pub fn update(&mut self, bytes: &[u8]) {
        // Swapping the bytes of every word swaps the bytes of the sum (RFC 1071, 2 (B)): so the words are
        // read as they lie in memory, or one byte off.
        let start = if self.odd {
            self.sum
        } else {
            self.sum.swap_bytes()
        };
        let mut sum = u64::from(start);
        let (words, rest) = bytes.as_chunks();
        for word in words {
            let word = u64::from_le_bytes(*word);
            sum += (word & 0xffff_ffff) + (word >> 32);
        }
        let mut last = [0; 8];
        last.iter_mut().zip(rest).for_each(|(to, from)| *to = *from);
        let last = u64::from_le_bytes(last);
        sum += (last & 0xffff_ffff) + (last >> 32);
        while sum > 0xffff {
            sum = (sum & 0xffff) + (sum >> 16);
        }
        self.sum = if self.odd {
            sum as u16
        } else {
            (sum as u16).swap_bytes()
        };
        self.odd ^= !bytes.len().is_multiple_of(2);
    }

    /// The checksum.
    pub const fn finish(self) -> u16 {
        !self.sum
    }
}

/// Goes on from `checksum`, that of an even number of bytes; start with ffffh.
#[inline(always)]
pub fn update(checksum: u16, bytes: &[u8]) -> u16 {
    let mut sum = Sum::resume(checksum);
    sum.update(bytes);
    sum.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 1071 word by word, folding every carry at once.
    fn reference(bytes: &[u8]) -> u16 {
        let mut sum = 0u32;
        for pair in bytes.chunks(2) {
            sum += u32::from(pair[0]) << 8 | u32::from(*pair.get(1).unwrap_or(&0));
            sum = (sum & 0xffff) + (sum >> 16);
        }
        !(sum as u16)
    }

    #[test]
    fn published_example() {
        // RFC 1071, 3: the sum is ddf2h.
        let bytes = [0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7];
        assert_eq!(update(0xffff, &bytes), !0xddf2);
        assert_eq!(update(0xffff, &[0; 512]), 0xffff);
        assert_eq!(update(0xffff, &[0xff; 512]), 0);
    }

    #[test]
    fn any_split_gives_the_same() {
        let bytes: Vec<u8> = (0..97u32).map(|i| (i * i * 7) as u8 | 0x80).collect();
        for len in 0..bytes.len() {
            for cut in 0..=len {
                let mut sum = Sum::default();
                sum.update(&bytes[..cut]);
                sum.update(&bytes[cut..len]);
                assert_eq!(sum.finish(), reference(&bytes[..len]), "{cut} of {len}");
            }
        }
    }
}
