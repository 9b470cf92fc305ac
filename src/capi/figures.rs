//! For `make bench`: what a request costs from plan to result on this machine's own processor, and a read of its disk
//! beside it. No device with protection information needs to be there: a file is said to be one, and of the SQEs made for
//! it none is submitted.

use std::fs::{File, OpenOptions, remove_file};
use std::hint::black_box;
use std::os::fd::AsRawFd;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::ptr::from_mut;
use std::sync::Arc;
use std::time::Instant;

use io_uring::opcode;

use super::format::{URX_CHECK_APP, URX_CHECK_GUARD, URX_CHECK_REF, urx_tags};
use super::io::{urx_io, urx_io_result, urx_plan, urx_prep};
use super::queue::urx_queue;
use super::rw::{URX_OP_READ, urx_rw};
use super::target::urx_target;
use crate::abi::{
    AttrPi, NVME_URING_CMD_IO, NvmePassthru, RW_ATTR_PI, SETUP_CQE32, SETUP_SQE128, Sqe, SqeNvme,
};
use crate::geometry::{Format, Guard, PiType, Protection};
use crate::memory::Buffer;
use crate::passthru::Access;
use crate::path::{Mode, Offer, Paths, Ring};
use crate::probe::{Kind, probe};
use crate::queue::Queue;
use crate::sqe;
use crate::sys::flights::Flights;
use crate::target::Target;

const BLOCK: u64 = 4096;
const BLOCKS: u64 = 64;
const DEPTH: usize = 32;
const REQUESTS: u32 = 1_000_000;
const ROUNDS: usize = 7;
const READ: u8 = opcode::Read::CODE;
const URING_CMD: u8 = opcode::UringCmd80::CODE;

fn file() -> File {
    let path = format!("target/urx-figures-{}", std::process::id());
    let mut how = OpenOptions::new();
    how.read(true).write(true).create_new(true).custom_flags(libc::O_DIRECT);
    let file = how.open(&path).unwrap();
    remove_file(path).unwrap();
    let mut data = Buffer::new(BLOCK * BLOCKS);
    data.bytes_mut().fill(0x5a);
    file.write_all_at(data.bytes(), 0).unwrap();
    file.sync_all().unwrap();
    file
}

/// A namespace with 4096 + 8 bytes a block and type 1, as a block device and a character device at once.
fn namespace() -> Target {
    let file = file();
    let mut facts = probe(&file).unwrap();
    let tuple =
        Protection { guard: Guard::T10Dif, pi_type: PiType::Type1, offset: 0, storage_bits: 0 };
    let format = Format::new(BLOCK as u32, 8, false, Some(tuple)).unwrap();
    facts.kind = Kind::NvmeBlock;
    facts.layout.format.value = Some(format);
    facts.layout.attribute = Some(format);
    facts.limits.value.max_command = 1 << 20;
    let fd = Some(file.as_raw_fd());
    let access = Access { char_fd: fd, char_read: true, char_write: true, ..Access::NONE };
    let mode = Mode { direct: true, writable: true };
    let offer = Offer::new(facts, mode, access, false);
    Target::pretended(file, offer)
}

fn ns_each(mut one: impl FnMut(u64)) -> f64 {
    let start = Instant::now();
    (0..REQUESTS).for_each(|n| one(u64::from(n)));
    start.elapsed().as_secs_f64() * 1e9 / f64::from(REQUESTS)
}

fn median(mut values: [f64; ROUNDS]) -> f64 {
    values.sort_by(f64::total_cmp);
    values[ROUNDS / 2]
}

struct Bench {
    target: urx_target,
    data: Buffer,
    meta: Buffer,
    sqe: Box<SqeNvme>,
}

impl Bench {
    fn rw(&mut self, path: Paths, n: u64) -> urx_rw {
        urx_rw {
            size: size_of::<urx_rw>() as u32,
            op: URX_OP_READ,
            flags: 0,
            data_len: BLOCK as u32,
            offset: n % BLOCKS * BLOCK,
            data: self.data.bytes_mut().as_mut_ptr().cast(),
            meta: self.meta.bytes_mut().as_mut_ptr().cast(),
            meta_len: 8,
            buf_index: 0,
            reserved0: 0,
            tags: urx_tags {
                checks: URX_CHECK_GUARD | URX_CHECK_APP | URX_CHECK_REF,
                r#ref: n % BLOCKS,
                ..urx_tags::NONE
            },
            allow: path.bits(),
            reserved1: 0,
            reserved: [0; 4],
        }
    }

    fn ours(&mut self, path: Paths) -> f64 {
        let flags = if path == Paths::ATTR { 0 } else { SETUP_SQE128 | SETUP_CQE32 };
        let mut queue = urx_queue(Queue::new(Ring::new(flags, u32::MAX), path, 0, 0));
        let mut io = Box::new(urx_io { path: 0, sqe_size: 0, lib: [0; 63] });
        // A CQE of 32 bytes: an attribute's tells of bytes, a command's of a status.
        let cqe = [0u32, 0, if path == Paths::ATTR { BLOCK as u32 } else { 0 }, 0, 0, 0, 0, 0];
        ns_each(|n| {
            let rw = black_box(self.rw(path, n));
            // SAFETY: all of it is valid; no SQE is submitted.
            unsafe {
                let planned = urx_plan(&mut queue, &mut self.target, &rw, &mut *io);
                assert_eq!(planned, 0);
                urx_prep(from_mut(&mut *self.sqe).cast(), &mut *io);
                black_box(&mut self.sqe);
                let cqe = black_box(&cqe).as_ptr().cast();
                assert_eq!(urx_io_result(&mut *io, cqe, std::ptr::null_mut()), BLOCK as i32);
            }
        })
    }

    /// The stores that a program without the library makes for the same SQE.
    fn by_hand(&mut self, path: Paths) -> f64 {
        let fd = self.target.0.as_raw_fd();
        let mut attr = Box::new(AttrPi::default());
        let mut small = Box::new(Sqe::default());
        ns_each(|n| {
            let rw = black_box(self.rw(path, n));
            let (addr, metadata) = (rw.data.addr() as u64, rw.meta.addr() as u64);
            let (len, reference, lba) = (rw.meta_len, rw.tags.r#ref, rw.offset / BLOCK);
            if path == Paths::ATTR {
                *attr =
                    AttrPi { flags: 7, len, addr: metadata, seed: reference, ..AttrPi::default() };
                let attr_ptr = std::ptr::from_ref(&*attr).addr() as u64;
                let sqe = Sqe { opcode: READ, fd, off: rw.offset, addr, ..Sqe::default() };
                *small = Sqe { len: rw.data_len, attr_ptr, attr_type_mask: RW_ATTR_PI, ..sqe };
            } else {
                let cdw10 = [lba as u32, 0, 7 << 26, 0, reference as u32, 0xffff_0000];
                let command = NvmePassthru {
                    opcode: 2,
                    nsid: 1,
                    metadata,
                    addr,
                    metadata_len: len,
                    data_len: rw.data_len,
                    cdw10,
                    ..NvmePassthru::default()
                };
                let cmd_op = NVME_URING_CMD_IO;
                *self.sqe =
                    SqeNvme { opcode: URING_CMD, fd, cmd_op, command, ..SqeNvme::default() };
            }
            black_box((&mut attr, &mut small, &mut self.sqe));
        })
    }

    /// A read of the file, past the page cache.
    fn disk(&mut self) -> f64 {
        const READS: u64 = 20_000;
        let mut ring = Flights::<_>::new().unwrap();
        let mut buffers: Vec<_> = (0..DEPTH).map(|_| Buffer::new(BLOCK)).collect();
        let fd = self.target.0.as_raw_fd();
        let (mut begun, mut done) = (0, 0);
        let start = Instant::now();
        while done < READS {
            while begun < READS
                && let Some(mut buffer) = buffers.pop()
            {
                let read = sqe::read(fd, buffer.address(), BLOCK as u32, begun % BLOCKS * BLOCK);
                ring.push(&read, buffer);
                begun += 1;
            }
            ring.submit();
            ring.wait();
            while let Some((buffer, ended)) = ring.reap() {
                assert_eq!(u64::try_from(ended.res), Ok(BLOCK));
                buffers.push(buffer);
                done += 1;
            }
        }
        start.elapsed().as_secs_f64() * 1e9 / READS as f64
    }
}

#[test]
#[ignore = "figures: make bench"]
fn a_request_from_plan_to_result() {
    let (data, meta, sqe) = (Buffer::new(BLOCK), Buffer::new(BLOCK), Box::default());
    let mut bench = Bench { target: urx_target(Arc::new(namespace())), data, meta, sqe };
    println!(); // behind what the harness has printed
    for (name, path) in [("attr", Paths::ATTR), ("uring_cmd", Paths::URING_CMD)] {
        let rounds = [(); ROUNDS].map(|()| (bench.ours(path), bench.by_hand(path), bench.disk()));
        let ours = median(rounds.map(|(ours, ..)| ours));
        let hand = median(rounds.map(|(_, hand, _)| hand));
        let disk = median(rounds.map(|(.., disk)| disk));
        let ratio = disk / (disk + ours - hand);
        println!("{name},{ours:.1},{hand:.1},{disk:.0},{ratio:.4}");
    }
}
