//! CRC-64/NVME: polynomial AD93D23594C93659h reflected, initial value and final inversion all ones
//! (NVM command set specification, 64b guard).
#![expect(clippy::indexing_slicing, reason = "tables of 256 are indexed by bytes")]

/// `TABLE[n][b]`: the remainder of byte `b` followed by `n` zero bytes.
static TABLE: [[u64; 256]; 16] = {
    let mut table = [[0u64; 256]; 16];
    let mut byte = 0;
    while byte < 256 {
        let mut crc = byte as u64;
        let mut bit = 0;
        while bit < 8 {
            crc = (crc >> 1) ^ (if crc & 1 != 0 { 0x9a6c_9329_ac4b_c9b5 } else { 0 });
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
pub fn update(crc: u64, bytes: &[u8]) -> u64 {
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

#[cfg(test)]
mod tests {
    use super::super::{judge, spec_vectors};
    use super::update;

    #[test]
    fn published_check_values() {
        assert_eq!(update(0, b"123456789"), 0xae8b_1486_0a79_9888);
        let spec = spec_vectors().map(|bytes| update(0, &bytes));
        assert_eq!(
            spec,
            [
                0x6482_d367_eb22_b64e,
                0xc0dd_ba73_02ec_a3ac,
                0x3e72_9f5f_6750_449c,
                0x9a2d_f64b_8e9e_517e,
            ]
        );
    }

    #[test]
    fn agrees_with_an_outside_implementation() {
        let oracle = crc::Crc::<u64>::new(&crc::CRC_64_NVME);
        judge(update, 0, |bytes| oracle.checksum(bytes));
    }
}
