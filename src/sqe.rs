//! A read or write with metadata as the SQE that carries it natively: READ/WRITE and the PI attribute.
//! Pure: bytes in, bytes out.

use io_uring::opcode;

use crate::abi::{AttrPi, RW_ATTR_PI, Sqe};

/// The eight operations that take the attribute.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Op {
    /// One buffer.
    Read,
    /// One buffer.
    Write,
    /// An array of buffers.
    Readv,
    /// An array of buffers.
    Writev,
    /// One registered buffer.
    ReadFixed,
    /// One registered buffer.
    WriteFixed,
    /// An array of pieces of one registered buffer (6.15).
    ReadvFixed,
    /// An array of pieces of one registered buffer (6.15).
    WritevFixed,
}

impl Op {
    /// The kernel's opcode.
    pub const fn code(self) -> u8 {
        match self {
            Op::Read => opcode::Read::CODE,
            Op::Write => opcode::Write::CODE,
            Op::Readv => opcode::Readv::CODE,
            Op::Writev => opcode::Writev::CODE,
            Op::ReadFixed => opcode::ReadFixed::CODE,
            Op::WriteFixed => opcode::WriteFixed::CODE,
            Op::ReadvFixed => opcode::ReadvFixed::CODE,
            Op::WritevFixed => opcode::WritevFixed::CODE,
        }
    }
}

/// What a read or write prep is given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rw {
    /// Operation.
    pub op: Op,
    /// File.
    pub fd: i32,
    /// Address of the buffer or of the array.
    pub addr: u64,
    /// Bytes, or entries of the array.
    pub len: u32,
    /// Offset in the file.
    pub offset: u64,
    /// Registered buffer.
    pub buf_index: u16,
}

/// The whole SQE, with the attribute at `attr`. The application's word is kept.
pub const fn rw_meta(rw: &Rw, attr: u64, user_data: u64) -> Sqe {
    Sqe {
        opcode: rw.op.code(),
        flags: 0,
        ioprio: 0,
        fd: rw.fd,
        off: rw.offset,
        addr: rw.addr,
        len: rw.len,
        rw_flags: 0,
        user_data,
        buf_index: rw.buf_index,
        personality: 0,
        stream: 0,
        attr_ptr: attr,
        attr_type_mask: RW_ATTR_PI,
    }
}

/// The attribute for metadata at `addr`.
pub const fn attr_pi(checks: u16, app_tag: u16, addr: u64, len: u32, seed: u64) -> AttrPi {
    AttrPi { flags: checks, app_tag, len, addr, seed, rsvd: 0 }
}
