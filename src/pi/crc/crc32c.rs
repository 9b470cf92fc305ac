//! CRC-32C (Castagnoli): polynomial 1EDC6F41h reflected, initial value and final inversion all ones
//! (NVM command set specification, 32b guard).
#![expect(clippy::indexing_slicing, reason = "tables of 256 are indexed by bytes")]

super::reflected::reflected!(u32, 0x82f6_3b78);

#[cfg(test)]
mod tests {
    use super::super::{judge, spec_vectors};
    use super::update;

    #[test]
    fn published_check_values() {
        assert_eq!(update(0, b"123456789"), 0xe306_9283);
        let spec = spec_vectors().map(|bytes| update(0, &bytes));
        assert_eq!(spec, [0x98f9_4189, 0x25c1_fe13, 0x9c71_fe32, 0x2149_41a8]);
    }

    #[test]
    fn agrees_with_an_outside_implementation() {
        let oracle = crc::Crc::<u32>::new(&crc::CRC_32_ISCSI);
        judge(update, 0, |bytes| oracle.checksum(bytes));
    }
}
