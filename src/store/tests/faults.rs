//! Writes that fail after any number of bytes, files that become shorter: nothing is lost that could be kept.

use super::sim::{DATA, Fault, SIDE, Sim, World, store_on};
use super::*;

const INTERVAL: usize = 64;
const BLOCKS: usize = 10;
/// Blocks below were written before, the others not.
const WRITTEN: usize = 5;
/// The blocks of the write that fails.
const FIRST: usize = 2;
const COUNT: usize = 6;
const RECORD: usize = 24 + 4;

struct Rig {
    format: Format,
    data: Sim,
    store: Store,
    tags: Tags,
    old: (Vec<u8>, Vec<u8>),
    new: (Vec<u8>, Vec<u8>),
}

#[derive(Debug, PartialEq, Clone, Copy)]
enum Seen {
    Old,
    New,
    /// Its guard is wrong.
    Torn,
}

impl Rig {
    fn new() -> Self {
        let format = format(INTERVAL as u32, 24, Guard::Crc64, PiType::Type1, true, 0);
        let mut dice = Dice(1);
        let stale = dice.bytes(BLOCKS * INTERVAL);
        let [side, data] = World::files(&format, BLOCKS as u64, 512, stale);
        let store = store_on(&side, &format, BLOCKS as u64);
        let tags = all_checks(&format, 0);
        let old = blocks(&mut dice, &format, &tags, WRITTEN);
        let into = std::iter::once(&old.0[..]);
        store.write_to(&data, (0, (WRITTEN * INTERVAL) as u64), &tags, into, &old.1).unwrap();
        let tags = all_checks(&format, FIRST as u128);
        let new = blocks(&mut dice, &format, &tags, COUNT);
        Rig { format, data, store, tags, old, new }
    }

    fn fail(&self, which: usize, landed: usize, for_good: bool) {
        let mut world = self.data.world();
        let write = world.files[which].writes;
        world.fault = Some(Fault { which, write, landed, for_good });
    }

    fn write(&self) -> Outcome {
        let range = ((FIRST * INTERVAL) as u64, (COUNT * INTERVAL) as u64);
        let into = std::iter::once(&self.new.0[..]);
        self.store.write_to(&self.data, range, &self.tags, into, &self.new.1)
    }

    /// What every block is now.
    fn look(&self) -> Vec<Seen> {
        let look = |block: usize| {
            let tags = Tags { reference: block as u128, ..self.tags };
            let mut seen = (vec![1; INTERVAL], vec![1; 24]);
            let range = ((block * INTERVAL) as u64, INTERVAL as u64);
            let into = std::iter::once(&mut seen.0[..]);
            match self.store.read_from(&self.data, range, &tags, into, &mut seen.1) {
                Err(Refused::Check(f)) if f.check == Checks::GUARD => return Seen::Torn,
                other => other.unwrap(),
            };
            let of = |all: &(Vec<u8>, Vec<u8>), n: usize| {
                (all.0[n * INTERVAL..][..INTERVAL].to_vec(), all.1[n * 24..][..24].to_vec())
            };
            let old = match block {
                0..WRITTEN => of(&self.old, block),
                _ => (vec![0; INTERVAL], vec![0xff; 24]),
            };
            match seen == old {
                true => Seen::Old,
                false => {
                    assert!(seen == of(&self.new, block - FIRST), "block {block}");
                    Seen::New
                }
            }
        };
        self.data.world().fault = None;
        (0..BLOCKS).map(look).collect()
    }
}

const FULL: Outcome = Err(Refused::Error(Error::Os(libc::ENOSPC)));

#[test]
fn a_full_side_file_changes_nothing() {
    for landed in 0..COUNT * RECORD {
        let rig = Rig::new();
        rig.fail(SIDE, landed, false);
        assert_eq!(rig.write(), FULL);
        assert_eq!(rig.look(), [Seen::Old; BLOCKS], "{landed} bytes of records");
        rig.write().unwrap();
    }
}

#[test]
fn a_full_data_file_loses_no_block_that_is_whole() {
    for landed in 0..COUNT * INTERVAL {
        let rig = Rig::new();
        rig.fail(DATA, landed, false);
        assert_eq!(rig.write(), FULL);
        let mut expected = [Seen::Old; BLOCKS];
        expected[FIRST..FIRST + landed / INTERVAL].fill(Seen::New);
        let torn = FIRST + landed / INTERVAL;
        if landed % INTERVAL != 0 && torn < WRITTEN {
            expected[torn] = Seen::Torn;
        }
        assert_eq!(rig.look(), expected[..], "{landed} bytes of data");
        rig.write().unwrap();
        assert_eq!(rig.look()[FIRST..FIRST + COUNT], [Seen::New; COUNT]);
    }
}

/// The side file fails for good: nothing can be put back, but nothing passes for what it is not.
#[test]
fn a_dead_side_file_lies_about_nothing() {
    for landed in 0..COUNT * RECORD {
        let rig = Rig::new();
        rig.fail(SIDE, landed, true);
        assert_eq!(rig.write(), FULL);
        for (block, seen) in rig.look().into_iter().enumerate() {
            let touched = (FIRST..=FIRST + landed / RECORD).contains(&block);
            assert!(
                seen == Seen::Old || seen == Seen::Torn && touched,
                "{landed}: {block} {seen:?}"
            );
        }
    }
}

#[test]
fn zeroing_that_fails_is_old_or_new() {
    for (which, most) in [(SIDE, COUNT * RECORD), (DATA, COUNT * INTERVAL)] {
        for landed in 0..most {
            let rig = Rig::new();
            rig.fail(which, landed, false);
            let range = (0, (WRITTEN * INTERVAL) as u64);
            assert_eq!(rig.store.zero_in(&rig.data, range), FULL);
            rig.data.world().fault = None;
            for block in 0..WRITTEN {
                let tags = Tags { reference: block as u128, ..rig.tags };
                let (mut data, mut meta) = (vec![1; INTERVAL], vec![1; 24]);
                let range = ((block * INTERVAL) as u64, INTERVAL as u64);
                let into = std::iter::once(&mut data[..]);
                rig.store.read_from(&rig.data, range, &tags, into, &mut meta).unwrap();
                let old = &rig.old.0[block * INTERVAL..][..INTERVAL];
                let is_old = data == old && meta == rig.old.1[block * 24..][..24];
                let is_new = data == [0; INTERVAL] && meta == [0xff; 24];
                assert!(if which == SIDE { is_old } else { is_new }, "{which} {landed} {block}");
            }
        }
    }
}

#[test]
fn adopting_that_fails_keeps_what_was_protected() {
    for landed in (0..BLOCKS * RECORD).step_by(7) {
        let rig = Rig::new();
        rig.fail(SIDE, landed, false);
        let adopted = rig.store.adopt_from(&rig.data, &Tags { app: 5, ..Tags::default() });
        assert_eq!(adopted, Err(Error::Os(libc::ENOSPC)));
        assert_eq!(rig.look(), [Seen::Old; BLOCKS]);
    }
}

#[test]
fn files_that_become_shorter() {
    let eio = Err(Refused::Error(Error::Os(libc::EIO)));
    for which in [SIDE, DATA] {
        let rig = Rig::new();
        let last = (FIRST + COUNT) * if which == DATA { INTERVAL } else { RECORD };
        let short = if which == DATA { last - 1 } else { 4096 + last - 1 };
        rig.data.world().files[which].now.truncate(short);
        let (mut data, mut meta) = (vec![0; COUNT * INTERVAL], vec![0; COUNT * 24]);
        let range = ((FIRST * INTERVAL) as u64, (COUNT * INTERVAL) as u64);
        let into = std::iter::once(&mut data[..]);
        let read = rig.store.read_from(&rig.data, range, &rig.tags, into, &mut meta);
        assert_eq!(read, eio, "{which}");
        assert_eq!(rig.write(), eio, "{which}");
        assert_eq!(rig.store.zero_in(&rig.data, range), eio, "{which}");
        let adopted = rig.store.adopt_from(&rig.data, &Tags::default());
        assert_eq!(adopted, Err(Error::Os(libc::EIO)), "{which}");
        assert_eq!(rig.data.world().files[which].now.len(), short, "it has grown again");
    }
}

#[test]
fn a_flush_that_failed_is_not_forgotten() {
    for which in [SIDE, DATA] {
        let rig = Rig::new();
        rig.store.flush_both(&rig.data).unwrap();
        rig.data.world().sync_fails = Some(which);
        for _ in 0..3 {
            assert_eq!(rig.store.flush_both(&rig.data), Err(Error::Os(libc::EIO)));
        }
        let adopted = rig.store.adopt_from(&rig.data, &Tags::default());
        assert_eq!(adopted, Err(Error::Os(libc::EIO)));
    }
}

#[test]
fn a_store_for_reading_writes_nothing() {
    let mut rig = Rig::new();
    rig.store.writable = false;
    let refused = Err(Refused::Error(READ_ONLY));
    assert_eq!(rig.write(), refused);
    assert_eq!(rig.store.zero_in(&rig.data, (0, INTERVAL as u64)), refused);
    assert_eq!(rig.store.adopt_from(&rig.data, &Tags::default()), Err(READ_ONLY));
    assert_eq!(rig.look(), [Seen::Old; BLOCKS]);
    assert_eq!(rig.format.interval() as usize, INTERVAL);
}
