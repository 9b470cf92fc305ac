//! What a request of a ublk device lends.

use crate::abi::ublk::{IO_F_NEED_REG_BUF, IoDesc, OP_READ, OP_WRITE, OP_ZONE_APPEND};
use crate::error::{Error, Result};

/// A request that has a buffer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Request {
    /// It is to be filled; else its bytes are to be taken.
    pub(super) fills: bool,
    pub(super) bytes: u32,
    /// The driver has registered it, if it does so at all.
    pub(super) registered: bool,
}

impl Request {
    pub(super) fn of(desc: &IoDesc) -> Result<Self> {
        let fills = match desc.op_flags as u8 {
            OP_READ => true,
            OP_WRITE | OP_ZONE_APPEND => false,
            _ => return Err(Error::Invalid(c"tag: a request without a buffer")),
        };
        let bytes = desc.nr_sectors.checked_mul(512).filter(|bytes| *bytes != 0);
        let bytes = bytes.ok_or(Error::Invalid(c"tag: a request of no size"))?;
        Ok(Request { fills, bytes, registered: desc.op_flags & IO_F_NEED_REG_BUF == 0 })
    }
}
