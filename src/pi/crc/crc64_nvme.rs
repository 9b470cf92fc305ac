//! CRC-64/NVME: polynomial AD93D23594C93659h reflected, initial value and final inversion all ones
//! (NVM command set specification, 64b guard).
#![expect(clippy::indexing_slicing, reason = "tables of 256 are indexed by bytes")]

super::reflected::reflected!(u64, 0x9a6c_9329_ac4b_c9b5);

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
