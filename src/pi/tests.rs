//! What must hold for every format and every way in which memory can be cut.

use std::iter::empty;
use std::ops::ControlFlow;

use super::*;
use crate::geometry::{Guard, PiType};

/// Numbers that look random and are the same every time (Knuth's MMIX generator).
struct Dice(u64);

impl Dice {
    fn below(&mut self, n: usize) -> usize {
        self.0 = self.0.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (self.0 >> 33) as usize % n
    }

    fn bytes(&mut self, n: usize) -> Vec<u8> {
        (0..n).map(|_| self.below(256) as u8).collect()
    }

    fn format(&mut self) -> Format {
        let guard = [Guard::T10Dif, Guard::Ip, Guard::Crc32c, Guard::Crc64][self.below(4)];
        let pi_type = [PiType::Type1, PiType::Type2, PiType::Type3][self.below(3)];
        let meta_size = guard.tuple_size() + [0, 0, 1, 8, 56, 200][self.below(6)];
        let last = self.below(2) * (meta_size - guard.tuple_size());
        let storage_bits = match guard {
            Guard::Ip => 0,
            Guard::T10Dif => self.below(33) as u8,
            Guard::Crc32c => 16 + self.below(49) as u8,
            Guard::Crc64 => self.below(49) as u8,
        };
        let interval = [8, 24, 512, 520, 4096, 4104][self.below(6)];
        let p = Protection { guard, pi_type, offset: last as u16, storage_bits };
        Format::new(interval, meta_size as u16, self.below(2) == 1, Some(p)).unwrap()
    }

    fn tags(&mut self, format: &Format) -> Tags {
        let p = format.protection().unwrap();
        let near_the_end = mask(p.ref_bits()).wrapping_sub(self.below(4) as u128);
        Tags {
            checks: format.checks(),
            app: self.below(0xffff) as u16,
            reference: [near_the_end, self.below(1 << 30) as u128][self.below(2)],
            storage: (mask(p.storage_bits.into()) & 0x1234_5678_9abc_def0) as u64,
            ..Tags::default()
        }
    }

    /// The same bytes cut anywhere, empty pieces included.
    fn cut<'a>(&mut self, mut bytes: &'a [u8]) -> Vec<&'a [u8]> {
        let mut pieces = vec![];
        while !bytes.is_empty() {
            let most = [2, 20, 700, 9000][self.below(4)];
            let (piece, rest) = bytes.split_at(self.below(most).min(bytes.len()));
            pieces.push(piece);
            bytes = rest;
        }
        pieces
    }

    fn cut_mut<'a>(&mut self, mut bytes: &'a mut [u8]) -> Vec<&'a mut [u8]> {
        let mut pieces = vec![];
        while !bytes.is_empty() {
            let most = [2, 20, 700, 9000][self.below(4)];
            let (piece, rest) = bytes.split_at_mut(self.below(most).min(bytes.len()));
            pieces.push(piece);
            bytes = rest;
        }
        pieces
    }
}

/// Blocks of random content, protected in one piece.
struct Sample {
    pi: Pi,
    tags: Tags,
    count: u64,
    data: Vec<u8>,
    meta: Vec<u8>,
}

impl Sample {
    fn new(dice: &mut Dice) -> Self {
        let format = dice.format();
        let (pi, tags) = (Pi::new(&format).unwrap(), dice.tags(&format));
        let count = dice.below(70);
        let data = dice.bytes(count * pi.stride());
        let meta = dice.bytes(if pi.interleaved() { 0 } else { count * pi.meta_size() });
        let mut sample = Sample { pi, tags, count: count as u64, data, meta };
        sample.generate();
        sample
    }

    fn generate(&mut self) {
        let blocks = match self.pi.interleaved() {
            true => BlocksMut::Interleaved(&mut self.data),
            false => BlocksMut::Separate { data: &self.data, meta: &mut self.meta },
        };
        self.pi.generate(&self.tags, blocks).unwrap();
    }

    /// The data of each block alone.
    fn bare(&self) -> Vec<u8> {
        let blocks = self.data.chunks(self.pi.stride());
        blocks.flat_map(|block| &block[..self.pi.interval()]).copied().collect()
    }

    fn failures(&self, dice: &mut Dice, tags: &Tags) -> (Vec<Failure>, Counts) {
        let mut failures = vec![];
        let (data, meta) = (dice.cut(&self.data), dice.cut(&self.meta));
        let found = |failure| {
            failures.push(failure);
            ControlFlow::Continue(())
        };
        let wanted = Wanted::of(tags);
        let counts = self.pi.verify_scattered(
            &wanted,
            self.count,
            data.into_iter(),
            meta.into_iter(),
            found,
        );
        (failures, counts.unwrap())
    }
}

/// Many samples. Under a debugger of memory, fewer.
fn samples(test: impl Fn(&mut Dice, Sample)) {
    for seed in 0..if cfg!(miri) { 3 } else { 400 } {
        let mut dice = Dice(seed);
        let sample = Sample::new(&mut dice);
        test(&mut dice, sample);
    }
}

#[test]
fn what_was_generated_verifies() {
    samples(|dice, s| {
        if s.tags.checks.is_empty() {
            return;
        }
        let (failures, counts) = s.failures(dice, &s.tags);
        assert_eq!(failures, []);
        assert_eq!((counts.blocks, counts.escaped), (s.count, 0));
    });
}

#[test]
fn scattered_is_contiguous() {
    samples(|dice, s| {
        let (mut data, mut meta) = (s.data.clone(), s.meta.clone());
        if s.pi.interleaved() {
            for block in data.chunks_mut(s.pi.stride()) {
                let start = s.pi.interval() + s.pi.offset();
                block[start..start + s.pi.tuple_size()].fill(0x5a);
            }
            let pieces = dice.cut_mut(&mut data);
            s.pi.generate_interleaved(&s.tags, s.count, pieces.into_iter()).unwrap();
        } else {
            for block in meta.chunks_mut(s.pi.meta_size()) {
                block[s.pi.offset()..s.pi.offset() + s.pi.tuple_size()].fill(0x5a);
            }
            let (from, to) = (dice.cut(&data), dice.cut_mut(&mut meta));
            s.pi.generate_separate(&s.tags, s.count, from.into_iter(), to.into_iter()).unwrap();
        }
        assert!(data == s.data && meta == s.meta);
    });
}

#[test]
fn interleaved_is_separate() {
    samples(|_, s| {
        if !s.pi.interleaved() {
            return;
        }
        let split = |block: &[u8]| block.split_at(s.pi.interval()).1.to_vec();
        let meta: Vec<u8> = s.data.chunks(s.pi.stride()).flat_map(split).collect();
        let mut made = meta.clone();
        let apart = Pi { interleaved: false, ..s.pi };
        let blocks = BlocksMut::Separate { data: &s.bare(), meta: &mut made };
        apart.generate(&s.tags, blocks).unwrap();
        assert!(made == meta);
    });
}

#[test]
fn copying_is_copying_and_protecting() {
    samples(|dice, s| {
        let bare = s.bare();
        let (mut data, mut meta) = (s.data.clone(), s.meta.clone());
        let step = s.pi.stride();
        data.chunks_mut(step).for_each(|block| block[..s.pi.interval()].fill(0));
        let from = dice.cut(&bare).into_iter();
        let to = dice.cut_mut(&mut data).into_iter();
        let tuples = dice.cut_mut(&mut meta).into_iter();
        match s.pi.interleaved() {
            true => s.pi.copy_generate_interleaved(&s.tags, s.count, from, to),
            false => s.pi.copy_generate_separate(&s.tags, s.count, from, to, tuples),
        }
        .unwrap();
        assert!(data == s.data && meta == s.meta);

        let mut back = vec![0; bare.len()];
        let (from, tuples) = (dice.cut(&data).into_iter(), dice.cut(&meta).into_iter());
        let to = dice.cut_mut(&mut back).into_iter();
        let wanted = Wanted::of(&s.tags);
        let found = |failure| panic!("{failure:?}");
        s.pi.copy_verify(&wanted, s.count, from, tuples, to, found).unwrap();
        assert!(back == bare);
    });
}

#[test]
fn retagging_back_and_forth_changes_nothing() {
    samples(|dice, mut s| {
        let checks = s.tags.checks - Checks::GUARD;
        let from = Tags { checks, ..s.tags };
        let reference = mask(s.pi.protection.ref_bits()).wrapping_sub(1);
        let to = Tags { reference, app: s.tags.app ^ 0x1111, ..from };
        if to.app == 0xffff {
            return;
        }
        let before = (s.data.clone(), s.meta.clone());
        for (from, to) in [(&from, &to), (&to, &from)] {
            let bytes = if s.pi.interleaved() { &mut s.data } else { &mut s.meta };
            let pieces = dice.cut_mut(bytes).into_iter();
            let found = |failure| panic!("{failure:?}");
            s.pi.retag_scattered(&Wanted::of(from), to, s.count, pieces, found).unwrap();
            let tags = Tags { checks: s.tags.checks, ..*to };
            assert_eq!(s.failures(dice, &tags).0, [], "{from:?} to {to:?}");
        }
        assert!(before == (s.data, s.meta));
    });
}

#[test]
fn retagging_leaves_escapes_and_strangers_alone() {
    let p = Protection { guard: Guard::T10Dif, pi_type: PiType::Type1, offset: 0, storage_bits: 0 };
    let pi = Pi::new(&Format::new(512, 8, false, Some(p)).unwrap()).unwrap();
    let tuple = |app, reference| Tuple { guard: 7, app, storage: 0, reference };
    let was = [tuple(1, 100), tuple(0xffff, 101), tuple(1, 5), tuple(2, 103)];
    let mut meta = [0; 32];
    for (block, tuple) in meta.chunks_mut(8).zip(&was) {
        pi.set_tuple(block, tuple).unwrap();
    }
    let from = Tags { checks: Checks::REF, reference: 100, ..Tags::default() };
    let to = Tags { keep: Checks::APP, reference: 0xffff_ffff, ..Tags::default() };
    let mut failures = vec![];
    let found = |failure| {
        failures.push(failure);
        ControlFlow::Break(())
    };
    let counts =
        pi.retag_scattered(&Wanted::of(&from), &to, 4, once(&mut meta[..]), found).unwrap();
    let is: Vec<Tuple> = meta.chunks(8).map(|block| pi.tuple(block).unwrap()).collect();
    assert_eq!(is, [tuple(1, 0xffff_ffff), was[1], was[2], tuple(2, 2)]);
    let stranger = Failure { check: Checks::REF, block: 2, expected: 102, actual: 5 };
    assert_eq!(failures, [stranger]);
    assert_eq!(counts, Counts { blocks: 4, escaped: 1, failed: 1 });
}

#[test]
fn remapping_follows_the_value_alone() {
    samples(|dice, mut s| {
        let p = s.pi.protection;
        let ones = mask(p.ref_bits());
        let from = [s.tags.reference, ones.wrapping_sub(2)][dice.below(2)];
        let to = [ones.wrapping_sub(1), 7][dice.below(2)];
        let stride = if s.pi.interleaved() { s.pi.stride() } else { s.pi.meta_size() };
        let at = if s.pi.interleaved() { s.pi.interval() } else { 0 };
        let bytes = if s.pi.interleaved() { &mut s.data } else { &mut s.meta };
        let mut expected = bytes.clone();
        let blocks = bytes.chunks_mut(stride).zip(expected.chunks_mut(stride)).enumerate();
        for (n, (block, expected)) in blocks {
            let (block, expected) = (&mut block[at..], &mut expected[at..]);
            let mut tuple = s.pi.tuple(block).unwrap();
            tuple.app = [tuple.app, 0xffff][dice.below(2)];
            tuple.reference = match dice.below(3) {
                0 => from.wrapping_add(n as u128) & ones,
                1 => to.wrapping_add(n as u128) & ones,
                _ => tuple.reference,
            };
            s.pi.set_tuple(block, &tuple).unwrap();
            if p.pi_type != PiType::Type3 && tuple.reference == from.wrapping_add(n as u128) & ones
            {
                tuple.reference = to.wrapping_add(n as u128) & ones;
            }
            expected.copy_from_slice(block);
            s.pi.set_tuple(expected, &tuple).unwrap();
        }
        let pieces = dice.cut_mut(bytes).into_iter();
        s.pi.remap_scattered(from, to, s.count, pieces).unwrap();
        assert!(*bytes == expected, "{:?} {from} {to}", s.pi);
    });
}

/// Lengths of pieces that add up.
fn lengths(dice: &mut Dice, total: usize) -> Vec<usize> {
    let all = vec![0; total];
    dice.cut(&all).iter().map(|piece| piece.len()).collect()
}

#[test]
fn a_stream_is_one_shot() {
    samples(|dice, s| {
        let (mut data, mut meta) = (s.data.clone(), s.meta.clone());
        let mut stream = Stream::new(&s.pi, &s.tags).unwrap();
        let (mut from, mut to) = (0, 0);
        for len in lengths(dice, data.len()) {
            let tuples = stream.ending(len) * if s.pi.interleaved() { 0 } else { s.pi.meta_size() };
            let piece = &mut data[from..from + len];
            let into = dice.cut_mut(&mut meta[to..to + tuples]);
            match s.pi.interleaved() {
                true => stream.generate_interleaved(len, dice.cut_mut(piece).into_iter()),
                false => {
                    stream.generate_separate(len, dice.cut(piece).into_iter(), into.into_iter())
                }
            }
            .unwrap();
            (from, to) = (from + len, to + tuples);
        }
        assert!(stream.at_boundary() && stream.blocks() == s.count);
        assert!(data == s.data && meta == s.meta);

        if s.count == 0 {
            return;
        }
        let bad = dice.below(data.len());
        data[bad] ^= 1 << dice.below(8);
        let s = Sample { data, meta, ..s };
        let (expected, counts) = s.failures(dice, &s.tags);
        let mut stream = Stream::new(&s.pi, &s.tags).unwrap();
        let mut failures = vec![];
        let mut total = Counts::default();
        let (mut from, mut to) = (0, 0);
        for len in lengths(dice, s.data.len()) {
            let tuples = stream.ending(len) * if s.pi.interleaved() { 0 } else { s.pi.meta_size() };
            let data = dice.cut(&s.data[from..from + len]).into_iter();
            let meta = dice.cut(&s.meta[to..to + tuples]).into_iter();
            let found = |failure| {
                failures.push(failure);
                // The stream goes on behind a piece that was not listened to to its end.
                ControlFlow::Break(())
            };
            let seen = stream.verify(len, data, meta, found).unwrap();
            total.failed += seen.failed;
            (from, to) = (from + len, to + tuples);
        }
        assert!(stream.at_boundary() && stream.blocks() == s.count);
        assert_eq!(failures.first(), expected.first());
        assert!(total.failed <= counts.failed);
    });
}

#[test]
fn per_block_checks() {
    let p = Protection { guard: Guard::Crc64, pi_type: PiType::Type1, offset: 0, storage_bits: 0 };
    let pi = Pi::new(&Format::new(64, 16, false, Some(p)).unwrap()).unwrap();
    let checks = Checks::GUARD | Checks::REF;
    let tags = Tags { checks, reference: 5, ..Tags::default() };
    let (data, meta) = ([0; 192], [0; 48]);
    let failing = |masks: Option<&[u8]>| {
        let mut failures = vec![];
        let wanted = Wanted { block_checks: masks, ..Wanted::of(&tags) };
        let found = |f: Failure| {
            failures.push((f.block, f.check));
            ControlFlow::Continue(())
        };
        pi.verify_scattered(&wanted, 3, once(&data[..]), once(&meta[..]), found).unwrap();
        failures
    };
    let (guard, reference) = (Checks::GUARD, Checks::REF);
    assert_eq!(failing(None).len(), 6);
    let masked = [(0, reference), (2, guard), (2, reference)];
    assert_eq!(failing(Some(&[2, 0, 0xff])), masked);
}

#[test]
fn without_enough_memory_it_is_an_error() {
    let p = Protection { guard: Guard::Ip, pi_type: PiType::Type1, offset: 0, storage_bits: 0 };
    let pi = Pi::new(&Format::new(64, 8, false, Some(p)).unwrap()).unwrap();
    let tags = Tags { checks: Checks::GUARD, ..Tags::default() };
    let found = |_| ControlFlow::Continue(());
    let wanted = Wanted::of(&tags);
    assert_eq!(pi.verify_scattered(&wanted, 1, empty(), empty(), found), Err(SHORT));
    assert_eq!(pi.generate_separate(&tags, 1, once(&[0; 63][..]), empty()), Err(SHORT));
}
