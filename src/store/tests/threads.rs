//! Many threads on one store: a block is one thing to all of them.

use std::io::{IoSlice, IoSliceMut};
use std::sync::{Condvar, Mutex};
use std::thread::scope;
use std::time::Duration;

use super::*;
use crate::store::header::Header;
use crate::store::medium::Written;

/// Every block says in its data and in its metadata which write it is from.
#[test]
fn nobody_sees_half_of_a_write() {
    for (flags, interval) in [(0, 512), (libc::O_DIRECT, 512), (0, 4104)] {
        let f = format(interval, 24, Guard::Crc64, PiType::Type1, true, 0);
        let rig = Rig::new(&f, 700, flags);
        scope(|scope| {
            for thread in 0..4u64 {
                let rig = &rig;
                scope.spawn(move || {
                    for round in 0..120u64 {
                        work(rig, &f, &mut Dice(thread << 32 | round), thread << 32 | round);
                    }
                });
            }
        });
        rig.store.flush(&rig.data).unwrap();
    }
}

fn work(rig: &Rig, f: &Format, dice: &mut Dice, stamp: u64) {
    let interval = f.interval() as usize;
    let (first, most) = match dice.below(4) {
        0 => (dice.below(60), 640), // more than one batch
        _ => (dice.below(30), 10),
    };
    let count = 1 + dice.below(most);
    let tags = all_checks(f, first as u128);
    match dice.below(5) {
        0..2 => {
            let data = stamp.to_le_bytes().repeat(count * interval / 8);
            let mut meta = vec![0; count * 24];
            meta.chunks_mut(24).for_each(|meta| meta[..8].copy_from_slice(&stamp.to_le_bytes()));
            let blocks = BlocksMut::Separate { data: &data, meta: &mut meta };
            Pi::new(f).unwrap().generate(&tags, blocks).unwrap();
            rig.write(first as u64, &tags, &data, &meta).unwrap();
        }
        2 if dice.below(3) == 0 => drop(rig.zero(first as u64, count as u64).unwrap()),
        _ => {
            let (data, meta) = rig.read(first as u64, count, &tags).unwrap();
            for (data, meta) in data.chunks(interval).zip(meta.chunks(24)) {
                let stamp =
                    if meta[23] == 0xff && meta[..24] == [0xff; 24] { &[0; 8] } else { &meta[..8] };
                assert!(data.chunks(8).all(|eight| eight == stamp), "two writes in one block");
            }
        }
    }
}

/// A file whose writes wait until two of them are there.
#[derive(Debug)]
struct Together {
    inside: Mutex<(u32, bool)>,
    met: Condvar,
    bytes: u64,
}

impl Medium for Together {
    fn read(&self, pieces: &mut [IoSliceMut<'_>], _: u64) -> Result<()> {
        pieces.iter_mut().for_each(|piece| piece.fill(0));
        Ok(())
    }
    fn write(&self, _: &mut [IoSlice<'_>], _: u64) -> Written {
        let mut inside = self.inside.lock().unwrap();
        inside.0 += 1;
        inside.1 |= inside.0 == 2;
        self.met.notify_all();
        let wait = Duration::from_secs(1);
        inside = self.met.wait_timeout_while(inside, wait, |inside| !inside.1).unwrap().0;
        inside.0 -= 1;
        Ok(())
    }
    fn zero(&self, _: u64, _: u64) -> Result<()> {
        Ok(())
    }
    fn sync(&self) -> Result<()> {
        Ok(())
    }
    fn length(&self) -> Result<Option<u64>> {
        Ok(Some(self.bytes))
    }
}

/// Whether writes to two ranges of blocks are under way at the same time.
fn meet(first: (u64, u64), second: (u64, u64)) -> bool {
    let f = format(512, 8, Guard::T10Dif, PiType::Type1, false, 0);
    let data = Together { inside: Mutex::default(), met: Condvar::new(), bytes: 1000 * 512 };
    let side = Box::new(File::options().read(true).write(true).open("/dev/zero").unwrap());
    let header = Header { format: f, blocks: 1000, id: [1; 16] };
    let store = Store::new(side, &header, true, None).unwrap();
    let write = |(first, count): (u64, u64)| {
        let tags = all_checks(&f, first.into());
        let (bytes, meta) = blocks(&mut Dice(first), &f, &tags, count as usize);
        let range = (first * 512, count * 512);
        store.write_to(&data, range, &tags, std::iter::once(&bytes[..]), &meta).unwrap();
    };
    scope(|scope| {
        scope.spawn(|| write(first));
        scope.spawn(|| write(second));
    });
    data.inside.into_inner().unwrap().1
}

#[test]
fn writers_of_different_blocks_do_not_wait() {
    assert!(meet((0, 1), (1, 1)), "neighbours wait for each other");
    assert!(meet((0, 200), (200, 200)));
    assert!(!meet((0, 10), (9, 10)), "two write the same block");
}
