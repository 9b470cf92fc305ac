//! Commands to a ublk character device, in SQEs of 64 bytes.

use io_uring::opcode;

use crate::abi::Sqe;
use crate::abi::ublk::{
    AUTO_BUF_REG_FALLBACK, IO_COMMIT_AND_FETCH_REQ, IO_FETCH_REQ, IO_REGISTER_IO_BUF,
    IO_UNREGISTER_IO_BUF, IoCmd,
};

/// Which request of which device.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place {
    pub(super) fd: i32,
    pub(super) q_id: u16,
    pub(super) tag: u16,
}

fn command(place: &Place, cmd_op: u32, result: i32, addr: u64) -> Sqe {
    let &Place { fd, q_id, tag } = place;
    let IoCmd { q_id, tag, result, addr } = IoCmd { q_id, tag, result, addr };
    // The command lies where reads and writes have their attribute; `cmd_op` is the low half of `off`.
    let first = u64::from(q_id) | u64::from(tag) << 16 | u64::from(result.cast_unsigned()) << 32;
    Sqe {
        opcode: opcode::UringCmd16::CODE,
        fd,
        off: cmd_op.into(),
        attr_ptr: first,
        attr_type_mask: addr,
        ..Sqe::default()
    }
}

/// Where the driver is to register the next request by itself, or to say that it could not.
fn automatic(index: Option<u16>) -> u64 {
    index.map_or(0, |index| u64::from(index) | u64::from(AUTO_BUF_REG_FALLBACK) << 16)
}

pub(super) fn fetch(place: &Place, buffer: u64, index: Option<u16>, user_data: u64) -> Sqe {
    Sqe { addr: automatic(index), user_data, ..command(place, IO_FETCH_REQ, 0, buffer) }
}

pub(super) fn commit(
    place: &Place,
    result: i32,
    buffer: u64,
    index: Option<u16>,
    user_data: u64,
) -> Sqe {
    let command = command(place, IO_COMMIT_AND_FETCH_REQ, result, buffer);
    Sqe { addr: automatic(index), user_data, ..command }
}

pub(super) fn register(place: &Place, index: u16) -> Sqe {
    command(place, IO_REGISTER_IO_BUF, 0, index.into())
}

pub(super) fn unregister(place: &Place, index: u16) -> Sqe {
    command(place, IO_UNREGISTER_IO_BUF, 0, index.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLACE: Place = Place { fd: 9, q_id: 0x102, tag: 0x304 };

    #[test]
    fn words_are_where_the_driver_looks() {
        let sqe = commit(&PLACE, -5, 0x1122_3344_5566_7788, Some(0x0a0b), 77);
        assert_eq!((sqe.opcode, sqe.flags, sqe.fd, sqe.off), (46, 0, 9, 0xc010_7521));
        assert_eq!((sqe.addr, sqe.user_data), (0x0001_0a0b, 77));
        assert_eq!(sqe.attr_ptr, 0xffff_fffb_0304_0102);
        assert_eq!(sqe.attr_type_mask, 0x1122_3344_5566_7788);
        assert_eq!(fetch(&PLACE, 0, None, 1).addr, 0);
        assert_eq!(fetch(&PLACE, 0, None, 1).off, 0xc010_7520);
        let (register, unregister) = (register(&PLACE, 7), unregister(&PLACE, 7));
        assert_eq!((register.off, register.attr_type_mask), (0xc010_7523, 7));
        assert_eq!((unregister.off, unregister.attr_type_mask), (0xc010_7524, 7));
        assert_eq!(register.attr_ptr, 0x0304_0102);
    }
}
