//! Kernels read and write nothing outside of what they are given: pages without access lie right before and
//! right behind it.
#![expect(unsafe_code, reason = "mmap and mprotect")]

use std::ptr::null_mut;

use uring_ext::Guard;
use uring_ext::kernels::{Cpu, start};

const PAGE: usize = 4096;
const ROOM: usize = 8 * PAGE;

/// Memory between two pages that cannot be touched.
fn fenced() -> &'static mut [u8] {
    // SAFETY: a new mapping of ours, never unmapped, of which only this slice is ever used.
    unsafe {
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
        let all = libc::mmap(null_mut(), ROOM + 2 * PAGE, libc::PROT_NONE, flags, -1, 0);
        assert_ne!(all, libc::MAP_FAILED);
        let inside = all.byte_add(PAGE);
        assert_eq!(libc::mprotect(inside, ROOM, libc::PROT_READ | libc::PROT_WRITE), 0);
        std::slice::from_raw_parts_mut(inside.cast(), ROOM)
    }
}

#[test]
fn nothing_outside_is_touched() {
    let (data, copy) = (fenced(), fenced());
    for (i, byte) in data.iter_mut().enumerate() {
        *byte = ((i * i) >> 3) as u8;
    }
    for cpu in Cpu::all().flat_map(|cpu| [cpu, cpu.over(u64::MAX)]) {
        for guard in [Guard::T10Dif, Guard::Ip, Guard::Crc32c, Guard::Crc64] {
            for len in (0..=1100).chain([4088, 4096, 4104, 4100, 8192, ROOM]) {
                let (first, last) = (&data[..len], &data[ROOM - len..]);
                for bytes in [first, last] {
                    let is = cpu.update(guard, start(guard), bytes);
                    assert_eq!(is, Cpu::PORTABLE.update(guard, start(guard), bytes));
                }
            }
            for interval in [8, 64, 72, 128, 136, 512, 520, 1024, 1032, 4096, 4104] {
                for stride in [interval, interval + 8] {
                    for count in 1..=5 {
                        let len = (count - 1) * stride + interval;
                        let mut out = [0; 5];
                        for at in [0, ROOM - len] {
                            let (data, copy) = (&data[at..][..len], &mut copy[at..][..len]);
                            let mut run = |out: &mut [u64]| {
                                cpu.copy_guards(guard, data, stride, copy, stride, interval, out)
                            };
                            assert_eq!(run(&mut out), count);
                            let copied = out;
                            assert_eq!(cpu.guards(guard, data, interval, stride, &mut out), count);
                            assert_eq!(copied, out);
                        }
                    }
                }
            }
        }
    }
}
