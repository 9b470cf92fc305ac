//! Reads and writes as a device answers them.

use std::os::unix::fs::FileExt;

use super::*;
use crate::pi::Tuple;

const T1: PiType = PiType::Type1;

fn formats() -> Vec<Format> {
    vec![
        format(512, 8, Guard::T10Dif, T1, false, 0),
        format(4096, 8, Guard::Ip, PiType::Type2, false, 0),
        format(4096, 64, Guard::T10Dif, PiType::Type3, true, 16),
        format(512, 16, Guard::Crc64, T1, false, 8),
        format(4096, 16, Guard::Crc32c, PiType::Type2, false, 32),
        format(1024, 255, Guard::Crc64, PiType::Type3, true, 0),
        format(512, 600, Guard::T10Dif, T1, true, 0),
        format(65536, 65535, Guard::Crc32c, T1, true, 64),
        // No direct I/O for these.
        format(8, 8, Guard::T10Dif, T1, false, 32),
        format(520, 9, Guard::T10Dif, T1, true, 0),
        format(4104, 128, Guard::Crc64, T1, false, 48),
    ]
}

/// What was written is read back, in any cut of memory, after closing too, with tags of any request.
#[test]
fn what_was_written_is_read() {
    for (n, format) in formats().iter().enumerate() {
        for flags in [0, libc::O_DIRECT] {
            if flags != 0 && n >= 8 {
                continue;
            }
            let mut dice = Dice(n as u64);
            let count = if format.interval() > 8192 { 5 } else { 600 };
            let rig = Rig::new(format, count as u64 + 7, flags);
            let tags = all_checks(format, 0xffff_fff0);
            let (data, meta) = blocks(&mut dice, format, &tags, count);
            let (at, len) = (3 * rig.interval, data.len() as u64);
            let pieces = dice.cut(&data);
            let before = meta.clone();
            let written = rig.store.write(&rig.data, at, len, &tags, pieces.iter().copied(), &meta);
            assert_eq!(written, Ok(len), "{format:?}");
            assert!(before == meta, "a caller's metadata changed");
            let rig = rig.again();
            let mut back = vec![0; data.len()];
            let mut back_meta = vec![0; meta.len()];
            let into = dice.cut_mut(&mut back).into_iter();
            let read = rig.store.read(&rig.data, at, len, &tags, into, &mut back_meta);
            assert_eq!(read, Ok(len), "{format:?} {flags}");
            assert!(back == data && back_meta == meta, "{format:?} {flags}");
            // The blocks around were never written.
            for (first, count) in [(0, 3), (count as u64 + 3, 4)] {
                let (data, meta) = rig.read(first, count, &tags).unwrap();
                assert!(data.iter().all(|b| *b == 0) && meta.iter().all(|b| *b == 0xff));
            }
            // And the data file has the data itself.
            let mut plain = super::medium::Aligned::new(data.len(), 4096).unwrap();
            rig.data.read_exact_at(plain.bytes_mut(), at).unwrap();
            assert!(plain.bytes() == data);
        }
    }
}

/// The side file holds what a device would: reference tags are the numbers of the blocks.
#[test]
fn stored_reference_tags_are_block_numbers() {
    let f = format(512, 8, Guard::T10Dif, T1, false, 0);
    let rig = Rig::new(&f, 100, 0);
    let mut dice = Dice(1);
    let tags = all_checks(&f, 7000);
    let (data, meta) = blocks(&mut dice, &f, &tags, 60);
    rig.write(30, &tags, &data, &meta).unwrap();
    let side = std::fs::read(rig.dir.path("side")).unwrap();
    assert_eq!(&side[..8], b"URXside\n");
    for n in 0..60usize {
        let block = n + 30;
        // 42 records of 12 bytes a sector, behind the first 4096 bytes.
        let at = 4096 + block / 42 * 512 + block % 42 * 12;
        let mut expected = meta[n * 8..n * 8 + 8].to_vec();
        expected[4..].copy_from_slice(&(block as u32).to_be_bytes());
        assert_eq!(side[at..at + 8], expected, "block {block}");
    }
    // Another request sees its own numbers; without a start of its own, those of the blocks.
    let other = Tags { reference: 0xffff_ffff, ..tags };
    let (_, seen) = rig.read(30, 3, &other).unwrap();
    let references: Vec<u32> =
        seen.chunks(8).map(|m| u32::from_be_bytes(m[4..].try_into().unwrap())).collect();
    assert_eq!(references, [0xffff_ffff, 0, 1]);
    let (_, seen) = rig.read(31, 1, &Tags { reference: 31, ..tags }).unwrap();
    assert_eq!(seen[4..], 31u32.to_be_bytes());
}

fn set(pi: &Pi, meta: &mut [u8], block: usize, edit: impl FnOnce(&mut Tuple)) {
    let meta = &mut meta[block * pi.meta_size()..];
    let mut tuple = pi.tuple(meta).unwrap();
    edit(&mut tuple);
    pi.set_tuple(meta, &tuple).unwrap();
}

/// A refused write changes nothing and says what is wrong in the caller's terms.
#[test]
fn a_wrong_tuple_is_refused() {
    for f in formats() {
        let pi = Pi::new(&f).unwrap();
        let count = if f.interval() > 8192 { 4 } else { 300 };
        let rig = Rig::new(&f, 310, 0);
        let mut dice = Dice(2);
        let tags = all_checks(&f, 5);
        let (old, old_meta) = blocks(&mut dice, &f, &tags, count);
        rig.write(2, &tags, &old, &old_meta).unwrap();
        let bad = count as u64 - 1;
        for check in [Checks::GUARD, Checks::APP, Checks::STORAGE, Checks::REF] {
            if !f.checks().contains(check) {
                continue;
            }
            let (data, mut meta) = blocks(&mut dice, &f, &tags, count);
            let mut expected = (0, 0);
            set(&pi, &mut meta, bad as usize, |tuple| match check {
                Checks::GUARD => {
                    expected = (tuple.guard.into(), u128::from(tuple.guard ^ 1));
                    tuple.guard ^= 1;
                }
                Checks::APP => {
                    expected = (tuple.app.into(), u128::from(tuple.app ^ 1));
                    tuple.app ^= 1;
                }
                Checks::STORAGE => {
                    expected = (tuple.storage.into(), u128::from(tuple.storage ^ 1));
                    tuple.storage ^= 1;
                }
                _ => {
                    expected = (tuple.reference, tuple.reference ^ 1);
                    tuple.reference ^= 1;
                }
            });
            let (expected, actual) = expected;
            let failure = Failure { check, block: bad, expected, actual };
            let refused = Refused::Check(failure);
            assert_eq!(rig.write(2, &tags, &data, &meta), Err(refused), "{f:?}");
            let (is, is_meta) = rig.read(2, count, &tags).unwrap();
            assert!(is == old && is_meta == old_meta, "a refused write changed something");
            // A device stores what it was not asked to check, and finds it when asked to.
            let unchecked = Tags { checks: tags.checks - check, ..tags };
            rig.write(2, &unchecked, &data, &meta).unwrap();
            let (is, is_meta) = rig.read(2, count, &unchecked).unwrap();
            assert!(is == data && is_meta == meta, "{f:?} {check:?}");
            assert_eq!(rig.read(2, count, &tags), Err(refused), "{f:?} {check:?}");
            rig.write(2, &tags, &old, &old_meta).unwrap();
        }
        // Bits that are not compared.
        if f.meta_size() < 600 {
            let (data, mut meta) = blocks(&mut dice, &f, &tags, 1);
            set(&pi, &mut meta, 0, |tuple| tuple.app ^= 0x00f0);
            let masked = Tags { app_ignore: 0x00f0, ..tags };
            assert!(rig.write(1, &tags, &data, &meta).is_err());
            rig.write(1, &masked, &data, &meta).unwrap();
            rig.read(1, 1, &masked).unwrap();
        }
    }
}

/// Bytes that change under the store fail the guard of their block, whichever file they are in.
#[test]
fn damage_is_found() {
    for f in [
        format(512, 8, Guard::T10Dif, T1, false, 0),
        format(512, 24, Guard::Crc64, T1, true, 0),
        format(512, 700, Guard::Crc32c, T1, false, 0),
    ] {
        let rig = Rig::new(&f, 10, 0);
        let tags = all_checks(&f, 0);
        let (data, meta) = blocks(&mut Dice(3), &f, &tags, 10);
        rig.write(0, &tags, &data, &meta).unwrap();
        let guard_of = |block: usize| {
            let meta = &meta[block * usize::from(f.meta_size())..];
            u128::from(Pi::new(&f).unwrap().tuple(meta).unwrap().guard)
        };
        let flip = |file: &File, at: u64| {
            let mut byte = [0];
            file.read_exact_at(&mut byte, at).unwrap();
            file.write_all_at(&[byte[0] ^ 4], at).unwrap();
        };
        flip(&rig.data, 5 * 512 + 100);
        let Err(Refused::Check(failure)) = rig.read(2, 6, &tags) else { panic!() };
        assert_eq!((failure.check, failure.block, failure.actual), (Checks::GUARD, 3, guard_of(5)));
        assert_ne!(failure.expected, failure.actual);
        // Unless nobody asks.
        rig.read(2, 6, &Tags { checks: Checks::APP, ..tags }).unwrap();
        flip(&rig.data, 5 * 512 + 100);
        rig.read(0, 10, &tags).unwrap();

        // A record that is not what was written is an error whatever is asked for.
        let side = rig.dir.file("side", rig.store.records.file_bytes(10).unwrap(), 0);
        let last = rig.store.records.place(7) + u64::from(f.meta_size()) - 1;
        flip(&side, last);
        for checks in [tags.checks, Checks::APP, Checks::empty()] {
            let Err(Refused::Check(failure)) = rig.read(0, 10, &Tags { checks, ..tags }) else {
                panic!("{f:?}")
            };
            assert_eq!((failure.check, failure.block), (Checks::GUARD, 7));
        }
        rig.read(0, 7, &tags).unwrap();
        // Writing the block again heals it.
        rig.write(7, &Tags { reference: 7, ..tags }, &data[7 * 512..8 * 512], {
            let size = usize::from(f.meta_size());
            &meta[7 * size..8 * size]
        })
        .unwrap();
        rig.read(0, 10, &tags).unwrap();
        // The record of another block, copied: right in itself, but not for this block.
        let (from, to) = (rig.store.records.place(1), rig.store.records.place(2));
        let mut record = vec![0; usize::from(f.meta_size()) + 4];
        side.read_exact_at(&mut record, from).unwrap();
        side.write_all_at(&record, to).unwrap();
        rig.data.write_all_at(&data[512..1024], 1024).unwrap();
        let checks = Checks::GUARD;
        let Err(Refused::Check(failure)) = rig.read(0, 10, &Tags { checks, ..tags }) else {
            panic!("{f:?}")
        };
        assert_eq!((failure.check, failure.block), (Checks::GUARD, 2));
    }
}

/// Reference tags move by value alone, escapes included, and type 3 has none.
#[test]
fn reference_tags_move_as_the_kernel_moves_them() {
    let f = format(512, 8, Guard::T10Dif, T1, false, 0);
    let pi = Pi::new(&f).unwrap();
    let rig = Rig::new(&f, 50, 0);
    let tags = all_checks(&f, 1000);
    let (data, mut meta) = blocks(&mut Dice(4), &f, &tags, 4);
    // At block 10: as the request counts; as the device counts; an escape; a stranger that escapes.
    set(&pi, &mut meta, 1, |t| t.reference = 11);
    set(&pi, &mut meta, 2, |t| t.app = 0xffff);
    set(&pi, &mut meta, 3, |t| (t.app, t.reference) = (0xffff, 77));
    rig.write(10, &tags, &data, &meta).unwrap();
    let references = |reference| {
        let (_, meta) = rig.read(10, 4, &Tags { reference, ..tags }).unwrap();
        let all = meta.chunks(8).map(|meta| pi.tuple(meta).unwrap().reference);
        all.collect::<Vec<_>>()
    };
    assert_eq!(references(10), [10, 11, 12, 77]);
    assert_eq!(references(1000), [1000, 1001, 1002, 77]);
    // A stored tag that happens to be the request's number, but not the block's, is wrong.
    set(&pi, &mut meta, 0, |t| t.reference = 5000);
    let unchecked = Tags { checks: Checks::GUARD, ..tags };
    rig.write(10, &unchecked, &data, &meta).unwrap();
    let wrong = |expected| Failure { check: Checks::REF, block: 0, expected, actual: 5000 };
    for reference in [10, 1000, 5000] {
        let refused = rig.read(10, 4, &Tags { reference, ..tags });
        assert_eq!(refused, Err(Refused::Check(wrong(reference))));
    }

    let f = format(512, 8, Guard::T10Dif, PiType::Type3, false, 0);
    let rig = Rig::new(&f, 50, 0);
    let tags = all_checks(&f, 0xabcd);
    let (data, meta) = blocks(&mut Dice(5), &f, &tags, 4);
    rig.write(10, &tags, &data, &meta).unwrap();
    let (_, seen) = rig.read(10, 4, &Tags { reference: 1, ..tags }).unwrap();
    assert_eq!(seen, meta);
}

/// A zeroed block is one that was never written, and stale data never shows.
#[test]
fn zeroed_and_unwritten_blocks() {
    for flags in [0, libc::O_DIRECT] {
        let f = format(4096, 16, Guard::Crc64, T1, false, 0);
        let rig = Rig::new(&f, 600, flags);
        let tags = all_checks(&f, 0);
        // Stale bytes that no store has written.
        let plain = rig.dir.file("data", 600 * 4096, 0);
        plain.write_all_at(&[0xee; 4096 * 20], 0).unwrap();
        plain.sync_all().unwrap();
        let (zeros, ones) = (vec![0; 4096], vec![0xff; 16]);
        assert_eq!(rig.read(3, 1, &tags).unwrap(), (zeros.clone(), ones.clone()));
        let (data, meta) = blocks(&mut Dice(6), &f, &tags, 600);
        rig.write(0, &tags, &data, &meta).unwrap();
        rig.zero(5, 590).unwrap();
        // Written and unwritten ones in one request.
        let (seen, seen_meta) = rig.read(0, 600, &tags).unwrap();
        let blocks = seen.chunks(4096).zip(seen_meta.chunks(16)).enumerate();
        for (n, (block, tuple)) in blocks {
            let (expected, expected_tuple) = match n {
                5..595 => (&zeros[..], &ones[..]),
                _ => (&data[n * 4096..][..4096], &meta[n * 16..][..16]),
            };
            assert!(block == expected && tuple == expected_tuple, "block {n}");
        }
        let mut byte = vec![1; 590 * 4096];
        plain.read_exact_at(&mut byte, 5 * 4096).unwrap();
        assert!(byte.iter().all(|byte| *byte == 0), "the data is zeroed too");
    }
}

#[test]
fn adopting_protects_what_is_there() {
    for (f, flags) in [
        (format(4096, 64, Guard::Crc64, T1, true, 16), libc::O_DIRECT),
        (format(520, 8, Guard::T10Dif, T1, false, 0), 0),
        (format(512, 8, Guard::Ip, PiType::Type3, false, 0), libc::O_DIRECT),
    ] {
        let rig = Rig::new(&f, 700, flags);
        let data = Dice(7).bytes(700 * f.interval() as usize);
        rig.dir.file("data", data.len() as u64, 0).write_all_at(&data, 0).unwrap();
        let tags = Tags { reference: 99, checks: Checks::empty(), ..all_checks(&f, 0) };
        let kept = Tags { keep: Checks::APP, ..tags };
        assert_eq!(rig.store.adopt(&rig.data, &kept).unwrap_err().errno(), libc::EINVAL);
        rig.store.adopt(&rig.data, &tags).unwrap();
        let rig = rig.again();
        // By block number, whatever the request said; type 3 has the number of its batch's block.
        let reading = all_checks(&f, 0);
        let (seen, meta) = rig.read(0, 700, &reading).unwrap();
        assert!(seen == data);
        let mut expected = vec![0; meta.len()];
        for (n, (data, meta)) in data
            .chunks(f.interval() as usize)
            .zip(expected.chunks_mut(usize::from(f.meta_size())))
            .enumerate()
        {
            let reference = match f.protection().unwrap().pi_type {
                PiType::Type3 => 99,
                _ => n as u128,
            };
            let tags = Tags { reference, ..reading };
            Pi::new(&f).unwrap().generate(&tags, BlocksMut::Separate { data, meta }).unwrap();
        }
        assert!(meta == expected, "{f:?}");
    }
}

#[test]
fn bounds() {
    let f = format(512, 8, Guard::T10Dif, T1, false, 0);
    let rig = Rig::new(&f, 10, 0);
    let tags = all_checks(&f, 0);
    let (data, meta) = blocks(&mut Dice(8), &f, &tags, 2);
    let write = |at: u64, len: u64, data: &[u8], meta: &[u8]| {
        let written = rig.store.write(&rig.data, at, len, &tags, std::iter::once(data), meta);
        written.map_err(|refused| refused.error().errno())
    };
    assert_eq!(write(8 * 512, 1024, &data, &meta), Ok(1024));
    assert_eq!(write(9 * 512, 1024, &data, &meta), Err(libc::ERANGE));
    assert_eq!(write(10 * 512, 512, &data, &meta), Err(libc::ERANGE));
    assert_eq!(write(u64::MAX - 511, 512, &data, &meta), Err(libc::ERANGE));
    assert_eq!(write(1, 512, &data, &meta), Err(libc::EINVAL));
    assert_eq!(write(0, 513, &data, &meta), Err(libc::EINVAL));
    assert_eq!(write(0, 0, &data, &meta), Err(libc::EINVAL));
    assert_eq!(write(0, 1024, &data, &meta[..15]), Err(libc::EINVAL));
    assert_eq!(write(0, 1024, &data[..1023], &meta), Err(libc::EINVAL));
    let mut into = [0; 1024];
    let mut read = |len: usize, meta: usize| {
        let pieces = std::iter::once(&mut into[..len]);
        let read = rig.store.read(&rig.data, 0, 1024, &tags, pieces, &mut vec![0; meta]);
        read.map_err(|refused| refused.error().errno())
    };
    assert_eq!(read(1024, 15), Err(libc::EINVAL));
    assert_eq!(read(1023, 16), Err(libc::EINVAL));
    assert_eq!(read(1024, 16), Ok(1024));
    assert_eq!(rig.zero(9, 2), Err(BEYOND.into()));
    let too_much = Tags { checks: Checks::STORAGE, ..tags };
    assert_eq!(rig.read(0, 1, &too_much).unwrap_err().error().errno(), libc::EINVAL);
    assert_eq!(rig.write(0, &too_much, &data, &meta).unwrap_err().error().errno(), libc::EINVAL);
}
