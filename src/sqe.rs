//! The SQE that carries a request: READ or WRITE with the PI attribute, an NVMe command, or the RECV whose
//! other end a worker has. Pure: bytes in, bytes out.

use io_uring::{opcode, squeue};

use crate::abi::{
    AttrPi, NVME_URING_CMD_IO, NVME_URING_CMD_IO_VEC, NvmePassthru, OP_NONE, OP_URING_CMD128,
    RW_ATTR_PI, Sqe, SqeNvme, URING_CMD_FIXED,
};
use crate::command::{Flags, Op as Asked, Request};

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

/// The attribute of a request.
pub(crate) fn attr_pi(request: &Request) -> AttrPi {
    let (meta, tags) = (request.meta.segments(), &request.tags);
    AttrPi {
        flags: tags.checks.bits() as u16,
        app_tag: tags.app,
        len: meta.bytes as u32,
        addr: meta.address(),
        seed: tags.reference as u64,
        rsvd: 0,
    }
}

/// A read, write or flush as the kernel's own operation, with the attribute at `attr`.
pub(crate) fn native(request: &Request, fd: i32, attr: u64, user_data: u64) -> Sqe {
    let vector = request.data.segments().vector();
    let writes = match request.op {
        Asked::Flush => return flush(fd, user_data),
        op => op.writes(),
    };
    let op = match (writes, vector.is_some(), request.buffer.is_some()) {
        (false, false, false) => Op::Read,
        (false, true, false) => Op::Readv,
        (false, false, true) => Op::ReadFixed,
        (false, true, true) => Op::ReadvFixed,
        (true, false, false) => Op::Write,
        (true, true, false) => Op::Writev,
        (true, false, true) => Op::WriteFixed,
        (true, true, true) => Op::WritevFixed,
    };
    let (addr, len) = address(request);
    let buf_index = request.buffer.unwrap_or(0);
    let rw = Rw { op, fd, addr, len, offset: request.offset, buf_index };
    let fua = request.flags.contains(Flags::FUA);
    Sqe { rw_flags: if fua { RWF_DSYNC } else { 0 }, ..rw_meta(&rw, attr, user_data) }
}

const RWF_DSYNC: u32 = libc::RWF_DSYNC as u32;

/// Of data: where it is and how many bytes, or where the iovecs are and how many.
fn address(request: &Request) -> (u64, u32) {
    let data = request.data.segments();
    match data.vector() {
        Some((iov, count)) => (iov.addr() as u64, count),
        None => (data.address(), request.length as u32),
    }
}

fn flush(fd: i32, user_data: u64) -> Sqe {
    Sqe { opcode: opcode::Fsync::CODE, fd, user_data, ..Sqe::default() }
}

/// An NVMe command for the character device `fd`. `mixed`: in two slots of a mixed ring.
pub(crate) fn uring_cmd(
    request: &Request,
    command: NvmePassthru,
    fd: i32,
    mixed: bool,
    user_data: u64,
) -> SqeNvme {
    let scattered = request.op.has_data() && request.data.segments().vector().is_some();
    SqeNvme {
        opcode: if mixed { OP_URING_CMD128 } else { opcode::UringCmd80::CODE },
        fd,
        cmd_op: if scattered { NVME_URING_CMD_IO_VEC } else { NVME_URING_CMD_IO },
        uring_cmd_flags: request.buffer.map_or(0, |_| URING_CMD_FIXED),
        user_data,
        buf_index: request.buffer.unwrap_or(0),
        command,
        ..SqeNvme::default()
    }
}

/// Gives a command the addresses and lengths of a request that it carries whole. `meta_bytes` is what the
/// blocks take: the caller may have given more.
pub(crate) fn add_buffers(command: &mut NvmePassthru, request: &Request, meta_bytes: u32) {
    if request.op.has_data() {
        (command.addr, command.data_len) = address(request);
    }
    if meta_bytes != 0 {
        command.metadata = request.meta.segments().address();
        command.metadata_len = meta_bytes;
    }
}

/// A plain write of `count` iovecs at `addr`. `durable`: once completed.
pub(crate) fn writev(fd: i32, addr: u64, count: u32, off: u64, durable: bool) -> Sqe {
    let rw_flags = if durable { RWF_DSYNC } else { 0 };
    let opcode = Op::Writev.code();
    Sqe { opcode, fd, off, addr, len: count, rw_flags, ..Sqe::default() }
}

/// The same, by a thread of the kernel's that may wait for it.
pub(crate) fn waiting(sqe: Sqe) -> Sqe {
    let flags = sqe.flags | squeue::Flags::ASYNC.bits();
    Sqe { flags, ..sqe }
}

/// Completes when a `struct __kernel_timespec` at `addr` has passed.
pub(crate) fn timeout(addr: u64) -> Sqe {
    Sqe { opcode: opcode::Timeout::CODE, fd: -1, addr, len: 1, ..Sqe::default() }
}

/// A plain read of `len` bytes.
#[cfg(test)]
pub(crate) fn read(fd: i32, addr: u64, len: u32, off: u64) -> Sqe {
    Sqe { opcode: Op::Read.code(), fd, off, addr, len, ..Sqe::default() }
}

/// The RECV of `len` bytes that a worker completes.
pub(crate) fn recv(fd: i32, addr: u64, len: u32, user_data: u64) -> Sqe {
    let rw_flags = libc::MSG_WAITALL as u32;
    Sqe { opcode: opcode::Recv::CODE, fd, addr, len, rw_flags, user_data, ..Sqe::default() }
}

/// A SEND that does not wait.
pub(crate) fn send(fd: i32, addr: u64, len: u32) -> Sqe {
    let rw_flags = (libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL) as u32;
    Sqe { opcode: opcode::Send::CODE, fd, addr, len, rw_flags, ..Sqe::default() }
}

/// What every kernel refuses, for an SQE that nobody has planned.
pub(crate) fn refused(user_data: u64) -> Sqe {
    Sqe { opcode: OP_NONE, fd: -1, user_data, ..Sqe::default() }
}
