//! The SQEs of the patch series of 2023 that proposed fused commands, for kernels that carry it.

use super::secondary::Kind;
use crate::abi::{OP_LAST, OP_NONE, Sqe};
use crate::error::{Error, Result};

/// Layouts of the series.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Revision {
    /// One SQE of 128 bytes, the secondary in its second half.
    Halves,
    /// Two SQEs, on a ring set up for it; the first says how many follow, and what for.
    Pair,
}

/// `IORING_FUSED_CMD_BUF`.
const BUF: u32 = 2;

/// Both SQEs. `payload`: the driver's 16 bytes. The secondary's word is its own.
pub(crate) fn rfc(
    revision: Revision,
    opcode: u8,
    fd: i32,
    cmd_op: u32,
    payload: [u64; 2],
    secondary: &Sqe,
    user_data: u64,
) -> Result<[Sqe; 2]> {
    if opcode < OP_LAST || opcode == OP_NONE {
        return Err(Error::Invalid(c"opcode: an operation of Linux, or of no kernel"));
    }
    if secondary.opcode == opcode {
        return Err(Error::Invalid(c"secondary: a command in a command"));
    }
    let kind = Kind::of(secondary.opcode)?;
    if kind.is_vectored() {
        return Err(Error::Invalid(c"secondary: the series has no vectored ones"));
    }
    kind.check(secondary)?;
    let (rw_flags, buf_index) = match revision {
        Revision::Halves => (0, 0),
        Revision::Pair => (BUF, 1), // uring_cmd_flags and nr_secondary
    };
    let [attr_ptr, attr_type_mask] = payload;
    let off = cmd_op.into();
    let primary = Sqe {
        opcode,
        fd,
        off,
        rw_flags,
        user_data,
        buf_index,
        attr_ptr,
        attr_type_mask,
        ..Sqe::default()
    };
    Ok([primary, *secondary])
}
