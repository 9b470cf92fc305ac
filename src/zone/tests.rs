//! Files as zones, as zonefs has them: a file's size is its write pointer. Unlike zonefs these take a write anywhere.

use std::collections::HashSet;
use std::fs::{File, OpenOptions, remove_file};
use std::os::unix::fs::FileExt;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::mpsc::{Receiver, channel};
use std::thread::{scope, sleep, spawn};
use std::time::Duration;

use super::lane::Next;
use super::writer::Writer;
use super::*;
use crate::command::Flags;
use crate::geometry::Tags;
use crate::memory::{Buffer, Lent};
use crate::probe::{Kind, probe};
use crate::worker::Afterwork;

const CAPACITY: u64 = 1 << 20;
const BLOCK: u64 = 4096;

pub(super) struct FileZone {
    pub(super) file: File,
    facts: Facts,
    pub(super) zones: Zones,
}

impl FileZone {
    fn new(name: &str) -> Arc<Self> {
        let path = std::env::temp_dir().join(format!("urx-zone-{name}-{}", std::process::id()));
        let mut how = OpenOptions::new();
        let file = how.read(true).write(true).create_new(true).open(&path).unwrap();
        remove_file(path).unwrap();
        Self::of(file, CAPACITY)
    }

    pub(super) fn of(file: File, capacity: u64) -> Arc<Self> {
        let mut facts = probe(&file).unwrap();
        facts.kind = Kind::Zonefs;
        facts.bytes.value = capacity;
        facts.zones.value.bytes = capacity;
        Arc::new(FileZone { file, facts, zones: Zones::default() })
    }

    fn block(&self, at: u64) -> Vec<u8> {
        let mut block = vec![0; BLOCK as usize];
        self.file.read_exact_at(&mut block, at * BLOCK).unwrap();
        block
    }

    fn blocks(&self) -> u64 {
        self.file.metadata().unwrap().len() / BLOCK
    }
}

impl Site for FileZone {
    fn place(&self) -> Place<'_> {
        Place { file: &self.file, facts: &self.facts, device: None }
    }

    fn zones(&self) -> &Zones {
        &self.zones
    }
}

/// Memory for ever, full of one byte.
fn record(blocks: u64, byte: u8) -> Request {
    let memory = Box::leak(Box::new(Buffer::new(blocks * BLOCK)));
    memory.bytes_mut().fill(byte);
    Request {
        op: Op::Append,
        flags: Flags::empty(),
        offset: 0,
        length: blocks * BLOCK,
        data: memory.lend(),
        meta: Lent::NONE,
        buffer: None,
        tags: Tags::NONE,
    }
}

fn engine() -> Engine {
    let engine = Engine::default();
    engine.prepare(&mut |_| Ok(())).unwrap();
    engine
}

fn append(engine: &Engine, zone: &Arc<FileZone>, blocks: u64, byte: u8) -> Receiver<Outcome> {
    let (tell, told) = channel();
    let answer = Box::new(move |outcome| tell.send(outcome).unwrap());
    engine.append(Arc::clone(zone) as _, &record(blocks, byte), answer);
    told
}

/// The block at which a record of so many landed.
fn landed(zone: &FileZone, told: &Receiver<Outcome>, blocks: u64) -> u64 {
    let outcome = told.recv_timeout(Duration::from_secs(30)).expect("an answer");
    assert_eq!(u64::try_from(outcome.res), Ok(blocks * BLOCK));
    let interval = zone.facts.layout.format.value.map_or(1, |format| format.interval());
    outcome.value * u64::from(interval) / BLOCK
}

#[test]
fn a_batch_of_many_zones_is_written_in_order() {
    let engine = engine();
    let zones: Vec<_> = (0..3).map(|n| FileZone::new(&format!("batch{n}"))).collect();
    let told: Vec<_> = (0..24).map(|n| append(&engine, &zones[n % 3], 1, n as u8 + 1)).collect();
    assert!(zones.iter().all(|zone| zone.blocks() == 0), "nothing is written by a job");
    engine.go_on();
    engine.go_on();
    engine.end();
    for (n, told) in told.iter().enumerate() {
        let at = landed(&zones[n % 3], told, 1);
        assert_eq!(at, n as u64 / 3);
        assert_eq!(zones[n % 3].block(at), vec![n as u8 + 1; BLOCK as usize]);
    }
    assert!(zones.iter().all(|zone| Arc::strong_count(zone) == 1), "let go of");
}

/// How many records each write takes, if records of so many blocks wait and every write goes well.
fn gathered(zone: &FileZone, splits: bool, blocks: &[u64]) -> Vec<usize> {
    let (place, lane) = (zone.place(), Lane::default());
    let writer = Writer { place: &place, zone: 0, splits };
    for blocks in blocks {
        lane.add(&record(*blocks, 1), Box::new(|_| ()));
    }
    let (mut answers, mut writes) = (Answers::new(), Vec::new());
    while let Next::Write(turn) = lane.next(&writer, false, &mut answers) {
        writes.push(turn.records.len());
        let bytes: u64 = turn.records.iter().map(|record| record.request.length).sum();
        let written = writer.written(&turn, bytes as i32);
        answers.extend(lane.settle(turn, written));
    }
    assert!(answers.len() == blocks.len() && answers.iter().all(|(_, outcome)| outcome.res > 0));
    writes
}

#[test]
fn a_write_takes_along_what_waits_and_fits() {
    let mut zone = Arc::into_inner(FileZone::new("gathered")).unwrap();
    assert_eq!(gathered(&zone, false, &[1; 5]), [1; 5], "who knows what the device takes");
    assert_eq!(gathered(&zone, true, &[1; 5]), [5]);
    assert_eq!(gathered(&zone, true, &[60, 60, 60]), [2, 1], "half a megabyte is enough");
    let limits = &mut zone.facts.limits.value;
    (limits.max_command, limits.max_append, limits.segments) = (3 * BLOCK as u32, 0, 100);
    assert_eq!(gathered(&zone, false, &[1; 5]), [3, 2], "a command");
    assert_eq!(gathered(&zone, false, &[2, 2, 1, 4, 1]), [1, 2, 1, 1], "in their order");
    assert_eq!(gathered(&zone, true, &[1; 5]), [5]);
}

#[test]
fn what_does_not_fit_is_told_and_what_does_goes_in() {
    let engine = engine();
    let zone = FileZone::new("full");
    let told: Vec<_> = [200, 100, 56, 1].map(|blocks| append(&engine, &zone, blocks, 9)).into();
    engine.end();
    assert_eq!(landed(&zone, &told[0], 200), 0);
    assert_eq!(told[1].recv().unwrap().res, -libc::ENOSPC);
    assert_eq!(landed(&zone, &told[2], 56), 200);
    assert_eq!(told[3].recv().unwrap().res, -libc::ENOSPC);
    assert_eq!(zone.blocks(), 256);
}

/// Many engines, and threads that wait, at one zone: each record lies where its answer says, and there is no gap.
#[test]
fn engines_and_waiting_threads_share_a_zone() {
    let zone = FileZone::new("shared");
    let engines: Vec<Engine> = (0..4).map(|_| engine()).collect();
    let over = AtomicBool::new(false);
    scope(|scope| {
        for engine in &engines {
            scope.spawn(|| {
                while !over.load(Relaxed) {
                    engine.go_on();
                    sleep(Duration::from_micros(50));
                }
                engine.end();
            });
        }
        let callers = engines.iter().zip((1..).step_by(60)).map(|(engine, first)| {
            let zone = &zone;
            scope.spawn(move || {
                for byte in (first..first + 40).step_by(4) {
                    let told = [0, 1, 2].map(|n| append(engine, zone, 1, byte + n));
                    let now = Zones::append_now(zone, &record(1, byte + 3));
                    assert_eq!(now.res, BLOCK as i32);
                    for (told, byte) in told.iter().zip(byte..) {
                        let at = landed(zone, told, 1);
                        assert_eq!(zone.block(at), vec![byte; BLOCK as usize]);
                    }
                }
            })
        });
        let callers: Vec<_> = callers.collect();
        callers.into_iter().for_each(|caller| caller.join().unwrap());
        over.store(true, Relaxed);
    });
    assert_eq!(zone.blocks(), 160);
    let bytes: HashSet<u8> = (0..160).map(|at| zone.block(at)[0]).collect();
    assert_eq!(bytes.len(), 160, "each once");
}

#[test]
fn management_comes_between_two_writes_and_those_who_waited_go_on() {
    let engine = Arc::new(engine());
    let zone = FileZone::new("managed");
    let before = append(&engine, &zone, 1, 1);
    let resets = {
        let zone = Arc::clone(&zone);
        spawn(move || {
            let mut done = Err(Error::Os(0));
            Zones::manage(zone, Op::ZoneReset, 0, |result| done = result);
            done
        })
    };
    sleep(Duration::from_millis(50));
    assert!(!resets.is_finished(), "somebody writes, or is about to");
    let after = append(&engine, &zone, 2, 2);
    engine.end();
    assert!(resets.join().unwrap().is_ok());
    // The first was behind nobody when the reset came: both follow it.
    assert_eq!((landed(&zone, &before, 1), landed(&zone, &after, 2)), (0, 1));
    assert_eq!((zone.blocks(), zone.block(0)[0], zone.block(2)[0]), (3, 1, 2));
}

#[test]
fn a_zone_that_cannot_be_written_says_why() {
    let zone = FileZone::new("read-only");
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o444);
    zone.file.set_permissions(mode).unwrap();
    assert_eq!(Zones::append_now(&zone, &record(1, 1)).res, -libc::EROFS);
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o000);
    zone.file.set_permissions(mode).unwrap();
    assert_eq!(Zones::append_now(&zone, &record(1, 1)).res, -libc::ENODEV);
    assert_eq!(zone.blocks(), 0);
}
