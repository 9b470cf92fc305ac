//! An operation that borrows a request's buffer: what a caller may give, what of the buffer it uses, and how it
//! looks once it has the buffer.

use io_uring::opcode;
use io_uring::squeue::Flags;

use super::command::MOST;
use super::request::Request;
use crate::abi::{
    OP_URING_CMD128, RECVSEND_FIXED_BUF, RECVSEND_POLL_FIRST, SEND_ZC_REPORT_USAGE, Sqe,
};
use crate::error::{Error, Result};

/// Operations that there can be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Kind {
    #[default]
    Read,
    Write,
    Readv,
    Writev,
    Send,
    SendZc,
    Recv,
}

/// `RWF_*` up to `RWF_NOSIGNAL`.
const RW_FLAGS: u32 = 0x1ff;

impl Kind {
    pub(crate) fn of(code: u8) -> Result<Self> {
        Ok(match code {
            opcode::Read::CODE => Kind::Read,
            opcode::Write::CODE => Kind::Write,
            opcode::Readv::CODE => Kind::Readv,
            opcode::Writev::CODE => Kind::Writev,
            opcode::Send::CODE => Kind::Send,
            opcode::SendZc::CODE => Kind::SendZc,
            opcode::Recv::CODE => Kind::Recv,
            opcode::UringCmd16::CODE | OP_URING_CMD128 => {
                return Err(Error::Invalid(c"secondaries: a command in a command"));
            }
            _ => return Err(Error::Invalid(c"secondaries: an operation that cannot borrow")),
        })
    }

    /// It writes to the buffer.
    pub(super) const fn fills(self) -> bool {
        matches!(self, Kind::Read | Kind::Readv | Kind::Recv)
    }

    /// It has an array of iovecs, `len` of them.
    pub(crate) const fn is_vectored(self) -> bool {
        matches!(self, Kind::Readv | Kind::Writev)
    }

    pub(super) const fn is_socket(self) -> bool {
        matches!(self, Kind::Send | Kind::SendZc | Kind::Recv)
    }

    /// The operation that takes a registered buffer; those on sockets have a flag for it.
    const fn registered(self) -> u8 {
        match self {
            Kind::Read => opcode::ReadFixed::CODE,
            Kind::Write => opcode::WriteFixed::CODE,
            Kind::Readv => opcode::ReadvFixed::CODE,
            Kind::Writev => opcode::WritevFixed::CODE,
            Kind::Send => opcode::Send::CODE,
            Kind::SendZc => opcode::SendZc::CODE,
            Kind::Recv => opcode::Recv::CODE,
        }
    }

    /// Refuses what an SQE may not say, because it would undo what is added, or is not known.
    pub(super) fn check(self, sqe: &Sqe) -> Result<()> {
        let (links, kept) = (Flags::IO_LINK | Flags::IO_HARDLINK, Flags::FIXED_FILE | Flags::ASYNC);
        if sqe.flags & links.bits() != 0 {
            return Err(Error::Invalid(c"secondaries: flags: links are the library's"));
        }
        if sqe.flags & !kept.bits() != 0 {
            return Err(Error::Invalid(c"secondaries: flags: not FIXED_FILE or ASYNC alone"));
        }
        let options = match self {
            Kind::Send | Kind::Recv => RECVSEND_POLL_FIRST,
            Kind::SendZc => RECVSEND_POLL_FIRST | SEND_ZC_REPORT_USAGE,
            _ => u16::MAX, // a priority
        };
        if sqe.ioprio & !options != 0 {
            return Err(Error::Invalid(c"secondaries: ioprio: not POLL_FIRST alone"));
        }
        if !self.is_socket() && sqe.rw_flags & !RW_FLAGS != 0 {
            return Err(Error::Invalid(c"secondaries: rw_flags: an unknown bit is set"));
        }
        // The length of an address, with those that send.
        let stream = match self {
            Kind::Send | Kind::SendZc => sqe.stream & !0xffff,
            _ => sqe.stream,
        };
        let off = if self == Kind::Recv { sqe.off } else { 0 };
        let zero = [off, stream.into(), sqe.buf_index.into(), sqe.attr_ptr, sqe.attr_type_mask];
        match zero == [0; 5] {
            true => Ok(()),
            false => Err(Error::Invalid(c"secondaries: a member that must be zero is not")),
        }
    }
}

/// `struct iovec`.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Iovec {
    /// Offset in the buffer, then an address.
    pub(crate) base: u64,
    pub(crate) len: u64,
}
const _: () = assert!(size_of::<Iovec>() == size_of::<libc::iovec>());

/// As the caller prepared it: `addr` is an offset, or the iovecs here have them.
#[derive(Debug, Clone)]
pub(crate) struct Given {
    pub(crate) sqe: Sqe,
    pub(crate) iovecs: Vec<Iovec>,
}

/// What of the buffer an operation uses.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Part {
    pub(super) kind: Kind,
    /// Where it starts; vectored: its first iovec.
    pub(super) first: u32,
    /// Iovecs; 0: none.
    pub(super) count: u32,
    pub(super) bytes: u32,
}

/// The same of all.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Parts {
    pub(super) all: [Part; MOST],
    /// Of all that have some, without empty ones.
    pub(super) iovecs: Vec<Iovec>,
    /// The smallest range that has everything.
    pub(super) start: u32,
    pub(super) end: u32,
    /// There is a SEND or a RECV.
    pub(super) sockets: bool,
}

/// `-EFAULT` for what lies outside of the buffer, or for the wrong direction, as the kernel would answer.
pub(super) fn check(given: &[Given], request: &Request) -> Result<Parts> {
    if given.is_empty() || given.len() > MOST {
        return Err(Error::Invalid(c"nr: not 1 to 16 secondaries"));
    }
    let outside =
        Error::Because(libc::EFAULT, c"secondaries: a range that is not all in the buffer");
    let mut parts = Parts { start: u32::MAX, ..Parts::default() };
    for (given, part) in given.iter().zip(&mut parts.all) {
        let kind = Kind::of(given.sqe.opcode)?;
        kind.check(&given.sqe)?;
        if kind.fills() != request.fills {
            let why = c"secondaries: a direction that is not the request's";
            return Err(Error::Because(libc::EFAULT, why));
        }
        let mut used = |at: u64, len: u64| -> Result<()> {
            let end = at.checked_add(len).filter(|end| *end <= request.bytes.into());
            let end = end.ok_or(outside)?;
            parts.start = parts.start.min(at as u32); // not beyond `end`, which a request's size fits
            parts.end = parts.end.max(end as u32);
            Ok(())
        };
        let mut bytes = 0u64;
        let first = parts.iovecs.len() as u32;
        if kind.is_vectored() {
            for iovec in given.iovecs.iter().filter(|iovec| iovec.len != 0) {
                used(iovec.base, iovec.len)?;
                bytes = bytes.saturating_add(iovec.len);
                parts.iovecs.push(*iovec);
            }
        } else {
            bytes = given.sqe.len.into();
            used(given.sqe.addr, bytes)?;
        }
        let bytes = i32::try_from(bytes).ok().filter(|bytes| *bytes != 0);
        let bytes =
            bytes.ok_or(Error::Invalid(c"secondaries: len: nothing, or more than 2 GiB"))?;
        *part = match kind.is_vectored() {
            true => {
                Part { kind, first, count: parts.iovecs.len() as u32 - first, bytes: bytes as u32 }
            }
            false => Part { kind, first: given.sqe.addr as u32, count: 0, bytes: bytes as u32 },
        };
        parts.sockets |= matches!(kind, Kind::Send | Kind::Recv);
    }
    Ok(parts)
}

/// Where the buffer is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Base {
    /// In the ring's table, from address 0 on.
    Registered(u16),
    /// In memory: its byte 0 is, or would be, here.
    Memory(u64),
}

impl Base {
    pub(super) const fn address(self) -> u64 {
        match self {
            Base::Registered(_) => 0,
            Base::Memory(address) => address,
        }
    }

    /// An operation with the buffer. `iovecs`: where those of all operations are, which have their addresses.
    pub(super) const fn lower(self, sqe: &Sqe, part: &Part, iovecs: u64) -> Sqe {
        let mut sqe = *sqe;
        if part.kind.is_vectored() {
            sqe.addr = iovecs + part.first as u64 * size_of::<Iovec>() as u64;
            sqe.len = part.count;
        } else {
            sqe.addr = self.address().wrapping_add(sqe.addr);
        }
        if let Base::Registered(index) = self {
            sqe.opcode = part.kind.registered();
            sqe.buf_index = index;
            if part.kind.is_socket() {
                sqe.ioprio |= RECVSEND_FIXED_BUF;
            }
        }
        sqe
    }
}
