//! What is to be done, as plain data: one read or write with metadata, and whether it can be.

use crate::error::{Error, Result};
use crate::geometry::{Format, Tags};

/// Which way the bytes go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// From the target.
    Read,
    /// To the target.
    Write,
}

/// A read or write with metadata. Addresses are only ever compared here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Request {
    /// Which way.
    pub direction: Direction,
    /// Byte of the target at which it starts.
    pub offset: u64,
    /// Bytes of data in all.
    pub data_len: u64,
    /// All addresses of data, or'ed: their common alignment.
    pub data_addr: u64,
    /// Address of the metadata.
    pub meta_addr: u64,
    /// Bytes of metadata.
    pub meta_len: u32,
    /// Tag values.
    pub tags: Tags,
}

/// Bytes of the largest request: the kernel cuts at 2 GiB less a page, silently.
pub const MAX_BYTES: u64 = 1 << 30;

impl Request {
    /// Refuses what does not fit blocks of this format on a target of `bytes`. Returns the number of
    /// blocks.
    pub fn check(&self, format: &Format, bytes: u64, data_align: u32) -> Result<u64> {
        let blocks = format.blocks(self.offset, self.data_len)?;
        if self.data_len > MAX_BYTES {
            return Err(Error::Invalid(c"length: more than 1 GiB"));
        }
        if self.offset.checked_add(self.data_len).is_none_or(|end| end > bytes) {
            return Err(Error::Range(c"offset: the request ends beyond the target"));
        }
        if self.data_addr & u64::from(data_align.saturating_sub(1)) != 0 {
            return Err(Error::Invalid(c"data: not aligned as the target asks (data_align)"));
        }
        if self.meta_addr == 0 {
            return Err(Error::Invalid(c"meta: NULL"));
        }
        if u64::from(self.meta_len) < blocks * u64::from(format.meta_size()) {
            return Err(Error::Invalid(c"meta_len: less than meta_size a block"));
        }
        Ok(blocks)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_bound() {
        let format = Format::new(512, 8, false, None).unwrap();
        let good = Request {
            direction: Direction::Read,
            offset: 1024,
            data_len: 1024,
            data_addr: 4096 | 512,
            meta_addr: 1,
            meta_len: 16,
            tags: Tags::default(),
        };
        let check = |r: Request| r.check(&format, 2048, 512).map_err(Error::errno);
        assert_eq!(check(good), Ok(2));
        assert_eq!(check(Request { meta_len: 17, ..good }), Ok(2));
        for bad in [
            Request { offset: 1025, ..good },
            Request { data_len: 0, ..good },
            Request { data_len: 513, ..good },
            Request { data_len: 2 << 30, ..good },
            Request { data_addr: 4, ..good },
            Request { meta_addr: 0, ..good },
            Request { meta_len: 15, ..good },
        ] {
            assert_eq!(check(bad), Err(libc::EINVAL), "{bad:?}");
        }
        for far in [1536, 2048, u64::MAX - 511] {
            assert_eq!(check(Request { offset: far, ..good }), Err(libc::ERANGE), "{far}");
        }
    }
}
