//! CRC-16/T10-DIF: polynomial 8BB7h, most significant bit first, initial value 0 (SBC-4, NVM
//! command set specification).
#![expect(clippy::indexing_slicing, reason = "tables of 256 are indexed by bytes")]

/// `TABLE[n][b]`: the remainder of byte `b` followed by `n` zero bytes.
static TABLE: [[u16; 256]; 16] = {
    let mut table = [[0u16; 256]; 16];
    let mut byte = 0;
    while byte < 256 {
        let mut crc = (byte as u16) << 8;
        let mut bit = 0;
        while bit < 8 {
            crc = (crc << 1) ^ (if crc & 0x8000 != 0 { 0x8bb7 } else { 0 });
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
            table[n][byte] = (crc << 8) ^ table[0][(crc >> 8) as usize];
            byte += 1;
        }
        n += 1;
    }
    table
};

/// Goes on from `crc`; start with 0.
pub fn update(mut crc: u16, bytes: &[u8]) -> u16 {
    let (chunks, rest) = bytes.as_chunks::<16>();
    for chunk in chunks {
        let mut chunk = *chunk;
        chunk.iter_mut().zip(crc.to_be_bytes()).for_each(|(byte, carry)| *byte ^= carry);
        let tables = TABLE.iter().rev().zip(chunk);
        crc = tables.fold(0, |acc, (table, byte)| acc ^ table[usize::from(byte)]);
    }
    rest.iter().fold(crc, |crc, byte| {
        let [high, _] = crc.to_be_bytes();
        (crc << 8) ^ TABLE[0][usize::from(high ^ byte)]
    })
}

#[cfg(test)]
mod tests {
    use super::update;

    #[test]
    fn published_check_value() {
        assert_eq!(update(0, b"123456789"), 0xd0db);
    }

    #[test]
    fn agrees_with_an_outside_implementation() {
        let oracle = crc::Crc::<u16>::new(&crc::CRC_16_T10_DIF);
        super::super::judge(update, 0, |bytes| oracle.checksum(bytes));
    }
}
