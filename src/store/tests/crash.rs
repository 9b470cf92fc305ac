//! The power fails at any moment, and any of the sectors written since the last flush may be lost. Every block
//! must be what it was at that flush or became since, or fail its guard.

use super::sim::{DATA, Sim, World, store_on};
use super::*;

/// What a read of a block gives.
type Content = (Vec<u8>, Vec<u8>);

/// Remembers what every block may hold: by what was asked for, not by how the store does it.
struct Oracle {
    /// Since the last flush.
    allowed: Vec<Vec<Content>>,
    /// What the data file holds.
    raw: Vec<Vec<u8>>,
}

struct Run {
    format: Format,
    blocks: usize,
    dice: Dice,
    data: Sim,
    store: Store,
    oracle: Oracle,
    next_app: u16,
}

const BLOCKS: usize = 60;

impl Run {
    fn new(format: Format, atom: usize, seed: u64) -> (Self, Sim) {
        let mut dice = Dice(seed);
        let interval = format.interval() as usize;
        let stale = dice.bytes(BLOCKS * interval);
        let raw = stale.chunks(interval).map(<[u8]>::to_vec).collect();
        let [side, data] = World::files(&format, BLOCKS as u64, atom, stale);
        let never = (vec![0; interval], vec![0xff; format.meta_size().into()]);
        let oracle = Oracle { allowed: vec![vec![never]; BLOCKS], raw };
        let store = store_on(&side, &format, BLOCKS as u64);
        data.world().steps = Some(1 + dice.below(40) as u32);
        (Run { format, blocks: BLOCKS, dice, data, store, oracle, next_app: 0 }, side)
    }

    fn tags(&mut self, first: usize) -> Tags {
        self.next_app += 1;
        Tags { app: self.next_app, ..all_checks(&self.format, first as u128) }
    }

    /// One operation. `Err`: the power has failed.
    fn operate(&mut self) -> Result<(), Refused> {
        let interval = self.format.interval() as usize;
        let meta_size = usize::from(self.format.meta_size());
        let first = self.dice.below(self.blocks);
        let count = 1 + self.dice.below(9.min(self.blocks - first));
        let (at, len) = ((first * interval) as u64, (count * interval) as u64);
        match self.dice.below(20) {
            0..12 => {
                let tags = self.tags(first);
                let (mut data, mut meta) = blocks(&mut self.dice, &self.format, &tags, count);
                if self.dice.below(4) == 0 {
                    // The same data with other tags.
                    data = self.oracle.raw[first..first + count].concat();
                    let blocks = BlocksMut::Separate { data: &data, meta: &mut meta };
                    Pi::new(&self.format).unwrap().generate(&tags, blocks).unwrap();
                }
                for n in 0..count {
                    let content = (
                        data[n * interval..(n + 1) * interval].to_vec(),
                        meta[n * meta_size..(n + 1) * meta_size].to_vec(),
                    );
                    self.oracle.raw[first + n] = content.0.clone();
                    self.oracle.allowed[first + n].push(content);
                }
                let pieces = self.dice.cut(&data);
                let pieces = pieces.iter().copied();
                self.store.write_to(&self.data, (at, len), &tags, pieces, &meta)?;
            }
            12..15 => {
                for n in first..first + count {
                    self.oracle.raw[n].fill(0);
                    let zeros = (vec![0; interval], vec![0xff; meta_size]);
                    self.oracle.allowed[n].push(zeros);
                }
                self.store.zero_in(&self.data, (at, len))?;
            }
            15 if self.dice.below(4) == 0 => {
                let tags = self.tags(0);
                for (n, data) in self.oracle.raw.iter().enumerate() {
                    let mut meta = vec![0; meta_size];
                    let tags = Tags { reference: n as u128, ..tags };
                    let blocks = BlocksMut::Separate { data, meta: &mut meta };
                    Pi::new(&self.format).unwrap().generate(&tags, blocks).unwrap();
                    self.oracle.allowed[n].push((data.clone(), meta));
                }
                self.store.adopt_from(&self.data, &tags)?;
                self.flushed();
            }
            15..18 => {
                self.store.flush_both(&self.data)?;
                self.flushed();
            }
            _ => {
                for n in first..first + count {
                    let seen = read(&self.store, &self.data, &self.format, n)?;
                    assert!(self.oracle.allowed[n].last() == Some(&seen), "block {n} while up");
                }
            }
        }
        Ok(())
    }

    fn flushed(&mut self) {
        for contents in &mut self.oracle.allowed {
            contents.drain(..contents.len() - 1);
        }
    }
}

fn read(store: &Store, data: &Sim, format: &Format, block: usize) -> Result<Content, Refused> {
    let mut content =
        (vec![0x77; format.interval() as usize], vec![0x77; format.meta_size().into()]);
    // Any application tag: it tells which write it was.
    let tags = Tags { app_ignore: 0xffff, ..all_checks(format, block as u128) };
    let len = u64::from(format.interval());
    let into = std::iter::once(&mut content.0[..]);
    store.read_from(data, (block as u64 * len, len), &tags, into, &mut content.1)?;
    Ok(content)
}

fn crash_often(format: Format, atom: usize, seeds: u64) {
    let (mut old, mut new, mut failed) = (0, 0, 0);
    for seed in 0..seeds {
        let (mut run, side) = Run::new(format, atom, seed);
        while run.operate().is_ok() {}
        {
            let mut world = run.data.world();
            world.steps = Some(1); // however it went: from here on nothing more is done
            world.crash(&mut run.dice);
        }
        let store = store_on(&side, &format, BLOCKS as u64);
        for (n, allowed) in run.oracle.allowed.iter().enumerate() {
            match read(&store, &run.data, &format, n) {
                Ok(seen) => {
                    let at = allowed.iter().position(|content| *content == seen);
                    let at = at.unwrap_or_else(|| panic!("seed {seed}: block {n} was never that"));
                    if at == 0 {
                        old += 1;
                    } else {
                        new += 1;
                    }
                }
                Err(Refused::Check(failure)) if failure.check == Checks::GUARD => {
                    assert!(allowed.len() > 1, "seed {seed}: block {n} was flushed and is lost");
                    failed += 1;
                }
                Err(other) => panic!("seed {seed}: block {n}: {other:?}"),
            }
        }
        // Whatever was left, writing heals it.
        let tags = all_checks(&format, 0);
        let (data, meta) = blocks(&mut run.dice, &format, &tags, BLOCKS);
        let range = (0, data.len() as u64);
        store.write_to(&run.data, range, &tags, std::iter::once(&data[..]), &meta).unwrap();
        let mut back = (vec![0; data.len()], vec![0; meta.len()]);
        let into = std::iter::once(&mut back.0[..]);
        store.read_from(&run.data, range, &tags, into, &mut back.1).unwrap();
        assert!(back == (data, meta));
        assert!(run.data.world().files[DATA].now == back.0);
    }
    assert!(old > seeds && new > seeds && failed > seeds / 4, "{old} {new} {failed}: too tame");
}

#[test]
fn sectors_are_lost() {
    let one = PiType::Type1;
    crash_often(format(1024, 16, Guard::Crc64, one, false, 0), 512, 1000);
    crash_often(format(4096, 8, Guard::T10Dif, one, false, 0), 512, 150);
    crash_often(format(512, 64, Guard::Crc32c, PiType::Type2, true, 16), 512, 500);
}

#[test]
fn records_larger_than_a_sector_are_torn() {
    crash_often(format(1024, 1040, Guard::Crc64, PiType::Type1, false, 0), 512, 300);
    crash_often(format(1024, 600, Guard::Crc64, PiType::Type2, true, 8), 512, 300);
}

#[test]
fn sectors_are_torn() {
    crash_often(format(64, 16, Guard::Crc64, PiType::Type1, false, 0), 8, 500);
    crash_often(format(72, 25, Guard::Crc32c, PiType::Type2, true, 0), 8, 500);
}
