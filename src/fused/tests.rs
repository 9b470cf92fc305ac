//! Commands without a kernel: what their SQEs say, and what is made of CQEs that come in any order.

use std::fs::File;
use std::mem::MaybeUninit;
use std::os::fd::AsRawFd;

use super::*;
use crate::abi::ublk::{
    F_SUPPORT_ZERO_COPY, F_USER_COPY, IO_F_NEED_REG_BUF, OP_FLUSH, OP_READ, OP_WRITE,
};

const BYTES: u32 = 4096;
const MORE: u32 = 2;
const NOTIF: u32 = 8;

fn options(device: &File, features: u64) -> Options {
    Options {
        allow: Ways::all(),
        char_fd: device.as_raw_fd(),
        q_id: 2,
        depth: 4,
        features,
        buf_base: 10,
        buf_count: if features & !F_USER_COPY == 0 { 0 } else { 6 },
        copy_most: 0,
        ring_flags: 0,
    }
}

/// A device that reads as zeros and takes whatever is written.
fn zero() -> File {
    File::options().read(true).write(true).open("/dev/zero").unwrap()
}

fn desc(op: u8, flags: u32) -> IoDesc {
    IoDesc { op_flags: u32::from(op) | flags, nr_sectors: BYTES / 512, ..IoDesc::default() }
}

fn plain(opcode: u8, at: u64, len: u32) -> Given {
    let off = if opcode == RECV { 0 } else { 99 };
    Given { sqe: Sqe { opcode, fd: 7, off, addr: at, len, ..Sqe::default() }, iovecs: vec![] }
}

fn vectored(opcode: u8, pieces: &[(u64, u64)]) -> Given {
    let iovecs = pieces.iter().map(|(base, len)| Iovec { base: *base, len: *len }).collect();
    Given { iovecs, ..plain(opcode, 0x1000, pieces.len() as u32) }
}

const READ: u8 = 22;
const WRITE: u8 = 23;
const READV: u8 = 1;
const WRITEV: u8 = 2;
const SEND: u8 = 26;
const RECV: u8 = 27;
const SEND_ZC: u8 = 47;

fn list(command: &Command) -> Vec<Sqe> {
    let sqes: Vec<Sqe> = (0..command.sqes()).map(|n| command.sqe(n).unwrap()).collect();
    assert_eq!(command.sqe(sqes.len()), None);
    sqes
}

#[test]
fn a_registered_buffer_is_used_between_two_commands() {
    let device = zero();
    let ublk = Ublk::open(&options(&device, F_SUPPORT_ZERO_COPY)).unwrap();
    let mut place = MaybeUninit::uninit();
    let mut fixed = plain(WRITE, 512, 100);
    fixed.sqe.flags = 1 | 16; // FIXED_FILE, ASYNC
    let given = [fixed, vectored(WRITEV, &[(0, 5), (9, 0), (4000, 96)]), plain(SEND_ZC, 7, 8)];
    let command = ublk.plan(3, &desc(OP_WRITE, 0), &given, &mut place).unwrap();
    assert_eq!((command.way(), command.pending()), (Ways::REGISTER, 5));
    let sqes = list(command);
    let [register, write, writev, send, unregister] = sqes.try_into().unwrap();

    let cmd = |cmd_op, flags| Sqe {
        opcode: 46,
        flags,
        fd: device.as_raw_fd(),
        off: cmd_op,
        attr_ptr: 2 | 3 << 16,
        attr_type_mask: 10,
        ..Sqe::default()
    };
    assert_eq!(register, cmd(0xc010_7523, 4));
    assert_eq!(unregister, cmd(0xc010_7524, 0));
    let base = Sqe { flags: 8, fd: 7, off: 99, buf_index: 10, ..Sqe::default() };
    assert_eq!(write, Sqe { opcode: 5, flags: 8 | 1 | 16, addr: 512, len: 100, ..base });
    assert_eq!(send, Sqe { opcode: 47, ioprio: 4, addr: 7, len: 8, ..base });
    assert_eq!((writev.opcode, writev.flags, writev.len, writev.buf_index), (61, 8, 2, 10));
    assert_ne!(writev.addr, 0x1000, "a copy");
    command.abandon();
}

#[test]
fn what_is_registered_already_needs_no_chain() {
    let device = zero();
    let ublk = Ublk::open(&options(&device, F_AUTO_BUF_REG)).unwrap();
    let mut place = MaybeUninit::uninit();
    let command = ublk.plan(3, &desc(OP_READ, 0), &[plain(READ, 0, 9)], &mut place).unwrap();
    assert_eq!(command.way(), Ways::AUTO_REG);
    let [read] = list(command).try_into().unwrap();
    assert_eq!((read.opcode, read.flags, read.addr, read.buf_index), (4, 0, 0, 13));
    assert_eq!(ublk.fetch(3, 0, 5).unwrap().addr, 13 | 1 << 16);
    assert_eq!(ublk.commit(0, -5, 5).unwrap().addr, 10 | 1 << 16);
    let missing = desc(OP_READ, IO_F_NEED_REG_BUF);
    let refused = ublk.plan(3, &missing, &[plain(READ, 0, 9)], &mut place);
    assert_eq!(refused.unwrap_err().errno(), libc::EBUSY);
    // Four of the six indices are the driver's.
    assert_eq!([ublk.take_index(), ublk.take_index()], [Ok(14), Ok(15)]);
    assert!(ublk.take_index().is_err());
}

#[test]
fn copies_have_memory_of_their_own() {
    let device = zero();
    let ublk = Ublk::open(&options(&device, F_USER_COPY)).unwrap();
    let mut place = MaybeUninit::uninit();
    let given = [plain(READ, 1000, 24), vectored(READV, &[(2000, 8), (1024, 8)])];
    let command = ublk.plan(0, &desc(OP_READ, 0), &given, &mut place).unwrap();
    assert_eq!((command.way(), command.sqes()), (Ways::USER_COPY, 2));
    let [read, readv] = list(command).try_into().unwrap();
    assert_eq!((read.opcode, read.flags, read.addr % 4096), (22, 0, 0), "a page of ours");
    assert_eq!((readv.opcode, readv.len), (1, 2));
    command.issue();
    command.completed(1, 16, 0).unwrap();
    command.completed(0, 20, 0).unwrap();
    assert_eq!((command.pending(), command.res()), (0, 20), "1020.. did not come");

    // What cannot be copied out is no command.
    let null = File::options().read(true).write(true).open("/dev/null").unwrap();
    let empty = Ublk::open(&options(&null, F_USER_COPY)).unwrap();
    let refused = empty.plan(0, &desc(OP_WRITE, 0), &[plain(WRITE, 0, 9)], &mut place);
    assert_eq!(refused.unwrap_err(), Error::Os(libc::EIO));
    let command = ublk.plan(0, &desc(OP_WRITE, 0), &[plain(WRITE, 0, 9)], &mut place).unwrap();
    command.abandon();
}

#[test]
fn the_drivers_copies_are_used_where_they_are() {
    let device = zero();
    let ublk = Ublk::open(&options(&device, 0)).unwrap();
    let mut place = MaybeUninit::uninit();
    let wanted = [plain(SEND, 100, 9)];
    let early = ublk.plan(1, &desc(OP_WRITE, 0), &wanted, &mut place);
    assert_eq!(early.unwrap_err().errno(), libc::EINVAL, "no buffer is known yet");
    assert!(ublk.fetch(1, 0, 0).is_err());
    assert_eq!(ublk.fetch(1, 0x10_0000, 0).unwrap().attr_type_mask, 0x10_0000);
    assert_eq!(ublk.commit(1, 0, 0).unwrap().attr_type_mask, 0x10_0000);
    let command = ublk.plan(1, &desc(OP_WRITE, 0), &wanted, &mut place).unwrap();
    let [send] = list(command).try_into().unwrap();
    assert_eq!((command.way(), send.addr, send.ioprio), (Ways::BUFFER, 0x10_0064, 0));
    let copying = Ublk::open(&options(&device, F_USER_COPY)).unwrap();
    assert!(copying.fetch(0, 0x1000, 0).is_err());
}

#[test]
fn requests_without_a_buffer_lend_none() {
    let device = zero();
    let ublk = Ublk::open(&options(&device, F_SUPPORT_ZERO_COPY)).unwrap();
    let mut place = MaybeUninit::uninit();
    let mut errno = |desc: IoDesc, given: Given| {
        ublk.plan(0, &desc, &[given], &mut place).map(|_| ()).unwrap_err().errno()
    };
    assert_eq!(errno(desc(OP_FLUSH, 0), plain(WRITE, 0, 1)), libc::EINVAL);
    let none = IoDesc { nr_sectors: 0, ..desc(OP_WRITE, 0) };
    assert_eq!(errno(none, plain(WRITE, 0, 1)), libc::EINVAL);
    let huge = IoDesc { nr_sectors: u32::MAX, ..desc(OP_WRITE, 0) };
    assert_eq!(errno(huge, plain(WRITE, 0, 1)), libc::EINVAL);
    assert_eq!(errno(desc(OP_WRITE, 0), plain(RECV, 0, 1)), libc::EFAULT);
    assert_eq!(errno(desc(OP_READ, 0), plain(SEND, 0, 1)), libc::EFAULT);
    let beyond = vectored(WRITEV, &[(0, 1), (4095, 2)]);
    assert_eq!(errno(desc(OP_WRITE, 0), beyond), libc::EFAULT);
    let wraps = vectored(WRITEV, &[(u64::MAX, 2)]);
    assert_eq!(errno(desc(OP_WRITE, 0), wraps), libc::EFAULT);
    let many: Vec<(u64, u64)> = vec![(0, 4096); 1024];
    let (most, more) = (vectored(WRITEV, &many), plain(WRITE, 0, u32::MAX));
    assert_eq!(errno(desc(OP_WRITE, 0), more), libc::EFAULT);
    assert!(ublk.plan(0, &desc(OP_WRITE, 0), &[most], &mut place).is_ok(), "4 MiB of 4 KiB");
}

#[test]
fn a_second_cqe_ends_a_send_of_its_own_memory() {
    let device = zero();
    let ublk = Ublk::open(&options(&device, F_SUPPORT_ZERO_COPY)).unwrap();
    let mut place = MaybeUninit::uninit();
    let command = ublk.plan(0, &desc(OP_WRITE, 0), &[plain(SEND_ZC, 0, 100)], &mut place).unwrap();
    command.issue();
    command.completed(0, 0, 0).unwrap();
    command.completed(1, 60, MORE).unwrap();
    command.completed(2, 0, 0).unwrap();
    assert_eq!((command.pending(), command.results()[0]), (1, 60));
    command.completed(1, i32::MIN, NOTIF).unwrap();
    assert_eq!((command.pending(), command.res()), (0, 60));
    assert!(command.completed(1, 0, NOTIF).is_err());
}

struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 20) as usize % limit
    }
}

/// What a kernel answers to a chain, SQE by SQE: `own` is what each would end with by itself.
fn kernel(sqes: &[Sqe], own: &[i32], whole: &[i32]) -> Vec<i32> {
    let mut cancelled = false;
    let mut answers = Vec::new();
    for ((sqe, own), whole) in sqes.iter().zip(own).zip(whole) {
        let answer = if cancelled { -libc::ECANCELED } else { *own };
        // A soft link breaks when an operation fails or falls short; a hard one never.
        cancelled |= sqe.flags & 4 != 0 && answer != *whole;
        answers.push(answer);
    }
    answers
}

/// Random commands, each on the one index that there is, with random ends of their operations, against a kernel and an
/// accounting that look at every byte.
#[test]
fn any_end_in_any_order() {
    let device = zero();
    let only = Options { buf_count: 1, ..options(&device, F_SUPPORT_ZERO_COPY | F_USER_COPY) };
    let ublk = Ublk::open(&only).unwrap();
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    let (mut copied, mut nothing_ran, mut asked_again) = (0, 0, 0);
    for round in 0..4000 {
        let nr = 1 + random.below(MOST);
        let mut given = Vec::new();
        let mut ranges: Vec<Vec<(usize, usize)>> = Vec::new();
        for _ in 0..nr {
            let mut range = || {
                let at = random.below(BYTES as usize - 1);
                (at, 1 + random.below(300.min(BYTES as usize - at)))
            };
            let pieces: Vec<(usize, usize)> = (0..1 + round % 3).map(|_| range()).collect();
            given.push(match pieces[..] {
                [(at, len)] => plain(READ, at as u64, len as u32),
                _ => {
                    let pieces = pieces.iter().map(|(at, len)| (*at as u64, *len as u64));
                    vectored(READV, &pieces.collect::<Vec<_>>())
                }
            });
            ranges.push(pieces);
        }
        let mut place = MaybeUninit::uninit();
        let registers = random.below(3) != 0;
        let wanted = if registers { Ways::REGISTER } else { Ways::USER_COPY };
        let options = Options { allow: wanted, ..only };
        // The same indices for all: a queue that allows less shares what it has.
        let ways = Ublk(Arc::new(Shared {
            device: ublk.0.device,
            options,
            ways: wanted,
            state: Mutex::new(State {
                indices: Indices::new(10, 1),
                idle: Vec::new(),
                buffers: vec![0; 4],
            }),
        }));
        let command = ways.plan(0, &desc(OP_READ, 0), &given, &mut place).unwrap();
        assert_eq!(command.way(), wanted);
        assert_eq!(ways.take_index().is_err(), registers, "the only one");
        if !registers {
            ways.put_index(10).unwrap();
        }

        let sizes: Vec<i32> =
            ranges.iter().map(|r| r.iter().map(|(_, len)| *len as i32).sum()).collect();
        let first = usize::from(registers);
        let total = nr + 2 * first;
        let whole: Vec<i32> = (0..total)
            .map(|n| n.checked_sub(first).and_then(|n| sizes.get(n).copied()).unwrap_or(0))
            .collect();
        let own: Vec<i32> = whole
            .iter()
            .map(|whole| match random.below(12) {
                0 => -libc::EIO,
                1 if *whole > 0 => random.below(*whole as usize) as i32,
                _ => *whole,
            })
            .collect();
        let mut answers = kernel(&list(command), &own, &whole);
        // A chain may be cancelled from outside as well.
        let cut = registers && answers[0] == 0 && random.below(8) == 0;
        if cut {
            answers[total - 1] = -libc::ECANCELED;
        }
        command.issue();
        let mut left: Vec<usize> = (0..total).collect();
        while !left.is_empty() {
            assert_eq!(command.pending() as usize, left.len());
            let n = left.swap_remove(random.below(left.len()));
            command.completed(n, answers[n], 0).unwrap();
            assert!(command.completed(n, 0, 0).is_err() || cut, "twice");
            if cut && left.is_empty() {
                break;
            }
        }
        if cut && command.pending() == 1 && command.sqes() == 1 {
            asked_again += 1;
            assert!(ways.take_index().is_err(), "the buffer is still there");
            assert_eq!(command.sqe(0).unwrap().off, 0xc010_7524);
            command.issue();
            assert!(command.completed(1, 0, 0).is_err());
            command.completed(0, 0, 0).unwrap();
        }
        assert_eq!((command.pending(), command.sqes()), (0, 0));
        let results = &answers[first..first + nr];
        assert_eq!(&command.results()[..nr], results);

        let expected = if registers && answers[0] < 0 {
            nothing_ran += 1;
            assert!(results.iter().all(|res| *res == -libc::ECANCELED), "something ran");
            answers[0]
        } else if let Some(failed) = results.iter().find(|res| **res < 0) {
            *failed
        } else {
            byte_by_byte(&ranges, results)
        };
        assert_eq!(command.res(), expected, "{ranges:?} {results:?}");
        copied += u32::from(!registers);
        // REGISTER that failed, or UNREGISTER that was done: the index is free; UNREGISTER that failed: never again.
        let lost = registers && answers[0] == 0 && !cut && answers[total - 1] != 0;
        assert_eq!(ways.take_index().is_err(), lost);
    }
    assert!(copied > 500 && nothing_ran > 100 && asked_again > 100, "the test looks at nothing");
}

/// Used bytes before the first of them that some operation did not do.
fn byte_by_byte(ranges: &[Vec<(usize, usize)>], results: &[i32]) -> i32 {
    let mut used = [false; BYTES as usize];
    let mut missing = [false; BYTES as usize];
    for (pieces, res) in ranges.iter().zip(results) {
        let bytes = pieces.iter().flat_map(|(at, len)| *at..at + len);
        for (n, byte) in bytes.enumerate() {
            used[byte] = true;
            missing[byte] |= n >= *res as usize;
        }
    }
    let end = missing.iter().position(|missing| *missing).unwrap_or(BYTES as usize);
    used[..end].iter().filter(|used| **used).count() as i32
}

/// SQEs of random bytes: refused, or all of what the kernel would get lies in the buffer.
#[test]
fn any_bytes_at_all() {
    let device = zero();
    let mut random = Random(0x1234_5678_9abc_def1);
    let mut accepted = 0;
    for _ in 0..200_000 {
        let ublk = Ublk::open(&options(&device, F_SUPPORT_ZERO_COPY)).unwrap();
        let mut word = |often: u64| match random.below(8) {
            0 => u64::MAX - random.below(5) as u64,
            1 => random.below(usize::MAX >> 1) as u64,
            2 => random.below(2 * BYTES as usize) as u64,
            _ => often,
        };
        let sqe = Sqe {
            opcode: word(u64::from(WRITE)) as u8,
            flags: word(0) as u8,
            ioprio: word(0) as u16,
            fd: word(1) as i32,
            off: word(0),
            addr: word(512),
            len: word(512) as u32,
            rw_flags: word(0) as u32,
            user_data: word(0),
            buf_index: word(0) as u16,
            personality: word(0) as u16,
            stream: word(0) as u32,
            attr_ptr: word(0),
            attr_type_mask: word(0),
        };
        let iovecs = (0..word(1) % 4).map(|_| Iovec { base: word(512), len: word(512) }).collect();
        let given = Given { sqe, iovecs };
        let request = desc(word(1) as u8, word(0) as u32 & !255);
        let mut place = MaybeUninit::uninit();
        let tag = word(0) as u16;
        let Ok(command) = ublk.plan(tag, &request, std::slice::from_ref(&given), &mut place) else {
            continue;
        };
        accepted += 1;
        let [_, sqe, _] = list(command).try_into().unwrap();
        assert_eq!(sqe.flags & !(1 | 16), 8);
        let pieces: Vec<(u64, u64)> = match sqe.opcode {
            60 | 61 => given.iovecs.iter().map(|iovec| (iovec.base, iovec.len)).collect(),
            _ => vec![(sqe.addr, sqe.len.into())],
        };
        for (at, len) in pieces.into_iter().filter(|(_, len)| *len != 0) {
            assert!(at.checked_add(len).is_some_and(|end| end <= BYTES.into()), "{given:?}");
        }
        command.issue();
        for n in [1, 0, 2] {
            command.completed(n, word(0) as i32, 0).unwrap();
        }
        if command.sqes() == 1 {
            command.issue();
            command.completed(0, 0, 0).unwrap();
        }
    }
    assert!(accepted > 1000, "{accepted}: the test looks at nothing");
}

#[test]
fn options_that_cannot_be() {
    let device = zero();
    let good = options(&device, F_SUPPORT_ZERO_COPY);
    let errno = |options: Options| Ublk::open(&options).unwrap_err().errno();
    assert!(Ublk::open(&good).is_ok());
    assert_eq!(errno(Options { depth: 0, ..good }), libc::EINVAL);
    assert_eq!(errno(Options { depth: 4097, ..good }), libc::EINVAL);
    assert_eq!(errno(Options { char_fd: -1, ..good }), libc::EBADF);
    let file = File::open(env!("CARGO_MANIFEST_DIR")).unwrap();
    assert_eq!(errno(Options { char_fd: file.as_raw_fd(), ..good }), libc::EINVAL);
    assert_eq!(errno(Options { buf_count: 0, ..good }), libc::EINVAL);
    assert_eq!(errno(Options { buf_base: u32::MAX, ..good }), libc::EINVAL);
    assert_eq!(errno(Options { buf_base: 65530, buf_count: 7, ..good }), libc::EINVAL);
    assert!(Ublk::open(&Options { buf_base: 65530, buf_count: 6, ..good }).is_ok());
    let automatic = Options { features: F_AUTO_BUF_REG, buf_count: 3, ..good };
    assert_eq!(errno(automatic), libc::EINVAL, "fewer than requests");
    assert_eq!(errno(Options { allow: Ways::USER_COPY, ..good }), libc::EOPNOTSUPP);
    assert_eq!(errno(Options { ring_flags: 1, ..good }), libc::EOPNOTSUPP);
    assert_eq!(errno(Options { features: F_BATCH_IO | 1, ..good }), libc::EOPNOTSUPP);
    assert_eq!(errno(Options { features: F_NEED_GET_DATA, ..good }), libc::EOPNOTSUPP);
}

#[test]
fn bytes_of_the_series() {
    let given = Sqe {
        opcode: READ,
        flags: 1,
        fd: 5,
        off: 0x1112_1314_1516_1718,
        addr: 512,
        len: 4096,
        user_data: 0x2122_2324_2526_2728,
        ..Sqe::default()
    };
    let call = |revision, opcode, given: &Sqe| {
        rfc(revision, opcode, 3, 0x7531, [0x3132_3334_3536_3738, 9], given, 0x4142)
    };
    let [primary, secondary] = call(Revision::Halves, 200, &given).unwrap();
    assert_eq!(secondary, given);
    let halves = Sqe {
        opcode: 200,
        fd: 3,
        off: 0x7531,
        user_data: 0x4142,
        attr_ptr: 0x3132_3334_3536_3738,
        attr_type_mask: 9,
        ..Sqe::default()
    };
    assert_eq!(primary, halves);
    let pair = call(Revision::Pair, 200, &given).unwrap();
    assert_eq!(pair, [Sqe { rw_flags: 2, buf_index: 1, ..halves }, given]);
    for opcode in 0..65 {
        assert!(call(Revision::Pair, opcode, &given).is_err(), "{opcode} is another operation");
    }
    assert!(call(Revision::Pair, 65, &given).is_ok());
    for bad in [200, 46, 64, READV, WRITEV, 0] {
        assert!(call(Revision::Pair, 200, &Sqe { opcode: bad, ..given }).is_err());
    }
    assert!(call(Revision::Pair, 200, &Sqe { flags: 4, ..given }).is_err());
}
