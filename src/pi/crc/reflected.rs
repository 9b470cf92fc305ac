//! CRCs that take the least significant bit first, by tables: 16 bytes at once.

/// Defines `update` for a CRC of type `$crc` with a bit-reversed polynomial, initial value and final
/// inversion all ones.
macro_rules! reflected {
    ($crc:ty, $polynomial:expr) => {
        /// `TABLE[n][b]`: the remainder of byte `b` followed by `n` zero bytes.
        static TABLE: [[$crc; 256]; 16] = {
            let mut table = [[0; 256]; 16];
            let mut byte = 0;
            while byte < 256 {
                let mut crc = byte as $crc;
                let mut bit = 0;
                while bit < 8 {
                    crc = (crc >> 1) ^ (if crc & 1 != 0 { $polynomial } else { 0 });
                    bit += 1;
                }
                table[0][byte] = crc;
                byte += 1;
            }
            let mut n = 1;
            while n < 16 {
                let mut byte = 0;
                while byte < 256 {
                    let crc = table[n - 1][byte];
                    table[n][byte] = (crc >> 8) ^ table[0][(crc & 0xff) as usize];
                    byte += 1;
                }
                n += 1;
            }
            table
        };

        /// Goes on from `crc`; start with 0.
        pub fn update(crc: $crc, bytes: &[u8]) -> $crc {
            let mut crc = !crc;
            let (chunks, rest) = bytes.as_chunks::<16>();
            for chunk in chunks {
                let mut chunk = *chunk;
                chunk.iter_mut().zip(crc.to_le_bytes()).for_each(|(byte, carry)| *byte ^= carry);
                let tables = TABLE.iter().rev().zip(chunk);
                crc = tables.fold(0, |acc, (table, byte)| acc ^ table[usize::from(byte)]);
            }
            !rest.iter().fold(crc, |crc, byte| {
                let [low, ..] = crc.to_le_bytes();
                (crc >> 8) ^ TABLE[0][usize::from(low ^ byte)]
            })
        }
    };
}
pub(super) use reflected;
