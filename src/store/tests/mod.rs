//! The store on real files: what goes in comes out, checked as a device checks it.

mod crash;
mod faults;
mod files;
mod requests;
mod sim;
mod threads;

use std::fs::{File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};

use super::*;
use crate::geometry::{Checks, Guard, PiType, Protection};
use crate::pi::BlocksMut;

/// A directory of a test's own, removed when it ends well.
struct Dir(PathBuf);

impl Dir {
    fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!("store-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let dir = std::env::current_exe().unwrap().with_file_name(name);
        std::fs::create_dir_all(&dir).unwrap();
        Dir(dir)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    fn file(&self, name: &str, bytes: u64, flags: i32) -> File {
        let mut how = OpenOptions::new();
        how.read(true).write(true).create(true).custom_flags(flags);
        let file = how.open(self.path(name)).unwrap();
        file.set_len(bytes).unwrap();
        file
    }
}

impl Drop for Dir {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            std::fs::remove_dir_all(&self.0).unwrap();
        }
    }
}

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

fn format(interval: u32, meta: u16, guard: Guard, pi_type: PiType, last: bool, sts: u8) -> Format {
    let offset = if last { meta - guard.tuple_size() as u16 } else { 0 };
    let protection = Protection { guard, pi_type, offset, storage_bits: sts };
    Format::new(interval, meta, false, Some(protection)).unwrap()
}

/// Blocks of random bytes with tuples for `tags`.
fn blocks(dice: &mut Dice, format: &Format, tags: &Tags, count: usize) -> (Vec<u8>, Vec<u8>) {
    let data = dice.bytes(count * format.interval() as usize);
    let mut meta = dice.bytes(count * usize::from(format.meta_size()));
    let blocks = BlocksMut::Separate { data: &data, meta: &mut meta };
    Pi::new(format).unwrap().generate(tags, blocks).unwrap();
    (data, meta)
}

fn all_checks(format: &Format, reference: u128) -> Tags {
    let storage = format.protection().map_or(0, |p| 0x5a5a_5a5a_5a5a_5a5a & mask(p.storage_bits));
    Tags { checks: format.checks(), app: 0x1234, reference, storage, ..Tags::default() }
}

fn mask(bits: u8) -> u64 {
    if bits == 0 { 0 } else { u64::MAX >> (64 - bits) }
}

/// A store on real files.
struct Rig {
    dir: Dir,
    data: File,
    store: Store,
    interval: u64,
    meta_size: usize,
}

impl Rig {
    fn new(format: &Format, blocks: u64, flags: i32) -> Self {
        let dir = Dir::new();
        let interval = u64::from(format.interval());
        let bytes = blocks * interval;
        let data = dir.file("data", bytes, flags);
        let direct = flags & libc::O_DIRECT != 0;
        let file = DataFile { file: &data, bytes, direct, writable: true };
        let path = dir.path("side");
        let side = Side { path: &path, create: true, format: Some(format) };
        let store = Store::open(&file, &side).unwrap();
        Rig { dir, data, store, interval, meta_size: format.meta_size().into() }
    }

    fn write(&self, first: u64, tags: &Tags, data: &[u8], meta: &[u8]) -> Outcome {
        let (at, len) = (first * self.interval, data.len() as u64);
        self.store.write(&self.data, at, len, tags, std::iter::once(data), meta)
    }

    fn read(&self, first: u64, count: usize, tags: &Tags) -> Result<(Vec<u8>, Vec<u8>), Refused> {
        let mut data = vec![0x77; count * self.interval as usize];
        let mut meta = vec![0x77; count * self.meta_size];
        let (at, len) = (first * self.interval, data.len() as u64);
        let into = std::iter::once(&mut data[..]);
        let read = self.store.read(&self.data, at, len, tags, into, &mut meta)?;
        assert_eq!(read, len);
        Ok((data, meta))
    }

    fn zero(&self, first: u64, count: u64) -> Outcome {
        self.store.write_zeroes(&self.data, first * self.interval, count * self.interval)
    }

    /// Closes it and opens it again.
    fn again(self) -> Self {
        let Rig { dir, data, store, interval, meta_size } = self;
        let (bytes, direct) = (store.bytes(), store.direct.is_some());
        drop(store);
        let file = DataFile { file: &data, bytes, direct, writable: true };
        let path = dir.path("side");
        let side = Side { path: &path, create: false, format: None };
        let store = Store::open(&file, &side).unwrap();
        Rig { dir, data, store, interval, meta_size }
    }
}

type Result<T, E = Error> = std::result::Result<T, E>;
