//! Every tier that this CPU has, against bit-by-bit CRCs and against one another.

use super::{Cpu, start};
use crate::geometry::Guard;

const GUARDS: [Guard; 4] = [Guard::T10Dif, Guard::Ip, Guard::Crc32c, Guard::Crc64];

/// Bytes without a pattern (xorshift), the same at every run.
fn noise(len: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 32) as u8
    };
    (0..len).map(|_| next()).collect()
}

/// Outside implementations; of the Internet checksum, RFC 1071 word by word.
fn oracle(guard: Guard, bytes: &[u8]) -> u64 {
    use crc::{CRC_16_T10_DIF, CRC_32_ISCSI, CRC_64_NVME, Crc};
    static T10DIF: Crc<u16> = Crc::<u16>::new(&CRC_16_T10_DIF);
    static CRC32C: Crc<u32> = Crc::<u32>::new(&CRC_32_ISCSI);
    static CRC64: Crc<u64> = Crc::<u64>::new(&CRC_64_NVME);
    match guard {
        Guard::T10Dif => T10DIF.checksum(bytes).into(),
        Guard::Crc32c => CRC32C.checksum(bytes).into(),
        Guard::Crc64 => CRC64.checksum(bytes),
        Guard::Ip => {
            let sum = bytes.chunks(2).fold(0u32, |sum, pair| {
                let sum = sum + (u32::from(pair[0]) << 8 | u32::from(*pair.get(1).unwrap_or(&0)));
                (sum & 0xffff) + (sum >> 16)
            });
            (!(sum as u16)).into()
        }
    }
}

/// Every tier, for little and for much.
fn everyone() -> impl Iterator<Item = Cpu> {
    Cpu::all().flat_map(|cpu| [cpu, cpu.over(u64::MAX)])
}

/// Calls for every tier and guard, naming them should it panic.
fn for_all(judge: impl Fn(Cpu, Guard)) {
    for cpu in everyone() {
        for guard in GUARDS {
            println!("{} {guard:?}", cpu.name()); // shown when the test fails
            judge(cpu, guard);
        }
    }
}

#[test]
fn published_check_values() {
    for_all(|cpu, guard| {
        let check = cpu.update(guard, start(guard), b"123456789");
        match guard {
            Guard::T10Dif => assert_eq!(check, 0xd0db),
            Guard::Crc32c => assert_eq!(check, 0xe306_9283),
            Guard::Crc64 => assert_eq!(check, 0xae8b_1486_0a79_9888),
            // RFC 1071, 3.
            Guard::Ip => {
                let bytes = [0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7];
                assert_eq!(cpu.update(guard, start(guard), &bytes), !0xddf2 & 0xffff);
            }
        }
        let spec = super::spec_vectors().map(|bytes| cpu.update(guard, start(guard), &bytes));
        match guard {
            Guard::Crc32c => {
                assert_eq!(spec, [0x98f9_4189, 0x25c1_fe13, 0x9c71_fe32, 0x2149_41a8]);
            }
            Guard::Crc64 => assert_eq!(
                spec,
                [
                    0x6482_d367_eb22_b64e,
                    0xc0dd_ba73_02ec_a3ac,
                    0x3e72_9f5f_6750_449c,
                    0x9a2d_f64b_8e9e_517e,
                ]
            ),
            Guard::T10Dif | Guard::Ip => {}
        }
    });
}

#[test]
fn any_length_and_alignment() {
    let bytes = noise(70_100);
    let lengths = (0..=600).chain(4032..=4160).chain([8192, 12345, 32768, 65535, 65536, 70001]);
    let cases: Vec<&[u8]> = lengths.map(|len| &bytes[len % 64..][..len]).collect();
    for_all(|cpu, guard| {
        for bytes in &cases {
            let is = cpu.update(guard, start(guard), bytes);
            assert_eq!(is, oracle(guard, bytes), "{} bytes", bytes.len());
        }
        for alignment in 0..64 {
            for len in [64, 72, 512, 520, 4096] {
                let bytes = &bytes[alignment..][..len];
                let is = cpu.update(guard, start(guard), bytes);
                assert_eq!(is, oracle(guard, bytes), "{len} bytes at {alignment}");
            }
        }
    });
}

#[test]
fn any_cut() {
    let bytes = noise(1300);
    for_all(|cpu, guard| {
        let whole = oracle(guard, &bytes);
        for cut in (0..=bytes.len()).step_by(2) {
            let (a, b) = bytes.split_at(cut);
            let sum = cpu.update(guard, start(guard), a);
            assert_eq!(cpu.update(guard, sum, b), whole, "cut at {cut}");
        }
    });
}

/// Data, blocks of which one every so many bytes has a checksum: as many as fit, at most `count`.
fn expected(guard: Guard, data: &[u8], interval: usize, stride: usize, count: usize) -> Vec<u64> {
    let blocks = (0..count).map_while(|i| data.get(i * stride..)?.get(..interval));
    blocks.map(|block| Cpu::PORTABLE.update(guard, start(guard), block)).collect()
}

/// Intervals: all small multiples of 8, others about the group sizes of kernels, the largest.
fn intervals() -> impl Iterator<Item = usize> {
    let small = (8..=136).step_by(8);
    let others = [
        200, 248, 256, 264, 504, 512, 520, 528, 576, 640, 1016, 1024, 1032, 1152, 1536, 2048, 2560,
        3584, 4064, 4088, 4096, 4104, 4160, 4224, 4608, 8192, 16384, 65528, 65536,
    ];
    small.chain(others).chain([1, 7, 13, 100, 515])
}

#[test]
fn guards_of_blocks() {
    for interval in intervals() {
        // Tables are slow without optimization: many small blocks, few large ones.
        let most = (60_000 / interval).clamp(5, 17);
        for gap in [0, 8, 16, 64, 3] {
            let stride = interval + gap;
            let data = &noise(stride * most + 1)[1..];
            for guard in GUARDS {
                let expected = expected(guard, data, interval, stride, most);
                for cpu in everyone() {
                    for count in (0..=most).filter(|n| *n < 10 || n % 4 == 1) {
                        // Without the gap behind the last; one place more must stay as it is.
                        let data = &data[..(stride * count).saturating_sub(gap)];
                        let mut out = vec![u64::MAX - 1; count + 1];
                        let done = cpu.guards(guard, data, interval, stride, &mut out[..count]);
                        assert_eq!(done, count);
                        let case = (cpu.name(), guard, interval, stride);
                        assert_eq!(out[..count], expected[..count], "{case:?}");
                        assert_eq!(out[count], u64::MAX - 1);
                    }
                }
            }
        }
    }
}

#[test]
fn fewer_blocks_than_asked_for() {
    let data = noise(4096);
    for_all(|cpu, guard| {
        for (interval, stride, len, blocks) in [
            (512, 520, 511, 0),
            (512, 512, 1535, 2),
            (512, 520, 1032, 2),
            (64, 0, 512, 1),
            (4104, 4104, 4096, 0),
        ] {
            let mut out = [7; 5];
            assert_eq!(cpu.guards(guard, &data[..len], interval, stride, &mut out), blocks);
            assert_eq!(out[..blocks], expected(guard, &data[..len], interval, stride, blocks));
            let mut to = vec![9; len];
            let done = cpu.copy_guards(guard, &data, 512, &mut to, stride, interval, &mut out);
            assert!(done <= blocks);
        }
    });
}

#[test]
fn copies_with_guards() {
    for interval in intervals() {
        let most = (40_000 / interval).clamp(2, 9);
        for (gap, to_gap) in [(0, 0), (0, 8), (8, 0), (16, 64), (3, 5)] {
            let (stride, to_stride) = (interval + gap, interval + to_gap);
            let data = noise(stride * most);
            for guard in GUARDS {
                let expected = expected(guard, &data, interval, stride, most);
                for cpu in everyone() {
                    for count in 1..=most {
                        let shift = 64 + count;
                        let mut to = vec![0xa5; to_stride * count + 2 * shift];
                        let mut wanted = to.clone();
                        for i in 0..count {
                            wanted[shift + i * to_stride..][..interval]
                                .copy_from_slice(&data[i * stride..][..interval]);
                        }
                        let inside = &mut to[shift..][..to_stride * count];
                        let mut out = vec![0; count];
                        let done = cpu.copy_guards(
                            guard, &data, stride, inside, to_stride, interval, &mut out,
                        );
                        assert_eq!(done, count);
                        let case = (cpu.name(), guard, interval, stride, to_stride);
                        assert_eq!(out, expected[..count], "{case:?}");
                        assert!(to == wanted, "{case:?}");
                    }
                }
            }
        }
    }
}
