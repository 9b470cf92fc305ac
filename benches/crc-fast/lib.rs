//! The checksums of the crate `crc-fast` for a C program.

use crc_fast::{checksum, CrcAlgorithm};

/// # Safety
/// `len` bytes at `buf` can be read.
#[no_mangle]
pub unsafe extern "C" fn bench_crc16_t10dif(buf: *const u8, len: usize) -> u64 {
    checksum(CrcAlgorithm::Crc16T10Dif, std::slice::from_raw_parts(buf, len))
}

/// # Safety
/// As above.
#[no_mangle]
pub unsafe extern "C" fn bench_crc32c(buf: *const u8, len: usize) -> u64 {
    checksum(CrcAlgorithm::Crc32Iscsi, std::slice::from_raw_parts(buf, len))
}

/// # Safety
/// As above.
#[no_mangle]
pub unsafe extern "C" fn bench_crc64_nvme(buf: *const u8, len: usize) -> u64 {
    checksum(CrcAlgorithm::Crc64Nvme, std::slice::from_raw_parts(buf, len))
}
