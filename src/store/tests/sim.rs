//! Two files in memory that forget: what was not made durable may be lost, atom by atom, in any order, and
//! writes may fail.

use std::collections::HashMap;
use std::io::{IoSlice, IoSliceMut};
use std::sync::{Arc, Mutex, MutexGuard};

use super::*;
use crate::store::header::Header;
use crate::store::medium::{Landed, Written};
use crate::store::records::Records;

/// Both files.
#[derive(Debug)]
pub(super) struct World {
    /// What is written at once or not at all.
    atom: usize,
    pub(super) files: [Image; 2],
    /// Writes and flushes until the power fails.
    pub(super) steps: Option<u32>,
    pub(super) fault: Option<Fault>,
    /// The next flush of this file fails.
    pub(super) sync_fails: Option<usize>,
}

#[derive(Debug, Default)]
pub(super) struct Image {
    pub(super) now: Vec<u8>,
    /// What every atom was since the last flush, the flushed one first.
    versions: HashMap<usize, Vec<Vec<u8>>>,
    /// Writes so far.
    pub(super) writes: u32,
}

/// The `write`-th write to a file from now on fails after some bytes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Fault {
    pub(super) which: usize,
    pub(super) write: u32,
    pub(super) landed: usize,
    /// And all later ones with it.
    pub(super) for_good: bool,
}

pub(super) const SIDE: usize = 0;
pub(super) const DATA: usize = 1;

/// One of the files.
#[derive(Debug, Clone)]
pub(super) struct Sim {
    pub(super) world: Arc<Mutex<World>>,
    which: usize,
}

pub(super) const ID: [u8; 16] = *b"a simulated file";

impl World {
    /// A new side file and data that no store has written.
    pub(super) fn files(format: &Format, blocks: u64, atom: usize, stale: Vec<u8>) -> [Sim; 2] {
        let side = Records::new(format, &ID).file_bytes(blocks).unwrap();
        let image = |now| Image { now, ..Image::default() };
        let files = [image(vec![0; side as usize]), image(stale)];
        let world =
            Arc::new(Mutex::new(World { atom, files, steps: None, fault: None, sync_fails: None }));
        [SIDE, DATA].map(|which| Sim { world: Arc::clone(&world), which })
    }

    fn alive(&self) -> Result<()> {
        if self.steps == Some(0) { Err(Error::Os(libc::EIO)) } else { Ok(()) }
    }

    fn put(&mut self, which: usize, at: usize, bytes: &[u8]) {
        let (atom, image) = (self.atom, &mut self.files[which]);
        let atoms = at / atom..(at + bytes.len()).div_ceil(atom);
        let of = |n: usize, now: &[u8]| now[n * atom..now.len().min((n + 1) * atom)].to_vec();
        for n in atoms.clone() {
            image.versions.entry(n).or_insert_with(|| vec![of(n, &image.now)]);
        }
        image.now[at..at + bytes.len()].copy_from_slice(bytes);
        for n in atoms {
            image.versions.get_mut(&n).unwrap().push(of(n, &image.now));
        }
    }

    /// The power fails and comes back: of every atom some version is there.
    pub(super) fn crash(&mut self, dice: &mut Dice) {
        let style = dice.below(4);
        for (which, image) in self.files.iter_mut().enumerate() {
            let mut all: Vec<_> = std::mem::take(&mut image.versions).into_iter().collect();
            all.sort();
            for (n, versions) in all {
                let last = versions.len() - 1;
                let chosen = match style {
                    0 if which == SIDE => last,
                    1 if which == DATA => last,
                    0 | 1 => 0,
                    2 => [last, last, dice.below(last + 1)][dice.below(3)],
                    _ => dice.below(last + 1),
                };
                let at = n * self.atom;
                image.now[at..at + versions[chosen].len()].copy_from_slice(&versions[chosen]);
            }
        }
        self.steps = None;
    }
}

impl Sim {
    pub(super) fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap()
    }
}

/// A store on them.
pub(super) fn store_on(side: &Sim, format: &Format, blocks: u64) -> Store {
    let header = Header { format: *format, blocks, id: ID };
    Store::new(Box::new(side.clone()), &header, true, None).unwrap()
}

impl Medium for Sim {
    fn read(&self, pieces: &mut [IoSliceMut<'_>], offset: u64) -> Result<()> {
        let world = self.world();
        world.alive()?;
        let mut at = offset as usize;
        for piece in pieces {
            let bytes = world.files[self.which].now.get(at..at + piece.len());
            piece.copy_from_slice(bytes.ok_or(Error::Os(libc::EIO))?);
            at += piece.len();
        }
        Ok(())
    }

    fn write(&self, pieces: &mut [IoSlice<'_>], offset: u64) -> Written {
        let mut world = self.world();
        world.alive().map_err(|error| Landed { bytes: 0, error })?;
        let bytes: Vec<u8> = pieces.iter().flat_map(|piece| piece.iter()).copied().collect();
        let count = world.files[self.which].writes;
        world.files[self.which].writes += 1;
        let fails = |fault: &Fault| count == fault.write || fault.for_good && count > fault.write;
        let fault = world.fault.filter(|fault| fault.which == self.which && fails(fault));
        if let Some(fault) = fault {
            let landed = if count == fault.write { fault.landed.min(bytes.len()) } else { 0 };
            world.put(self.which, offset as usize, &bytes[..landed]);
            let error = Error::Os(libc::ENOSPC);
            return Err(Landed { bytes: landed as u64, error });
        }
        world.put(self.which, offset as usize, &bytes);
        world.step().map_err(|error| Landed { bytes: 0, error })
    }

    fn zero(&self, offset: u64, len: u64) -> Result<()> {
        let zeros = vec![0; len as usize];
        self.write(&mut [IoSlice::new(&zeros)], offset).map_err(|landed| landed.error)
    }

    fn sync(&self) -> Result<()> {
        let mut world = self.world();
        world.alive()?;
        world.step()?;
        if world.sync_fails == Some(self.which) {
            world.sync_fails = None;
            return Err(Error::Os(libc::EIO));
        }
        world.files[self.which].versions.clear();
        Ok(())
    }

    fn length(&self) -> Result<Option<u64>> {
        Ok(Some(self.world().files[self.which].now.len() as u64))
    }
}

impl World {
    /// One more; the one at which the power fails is as good as begun.
    fn step(&mut self) -> Result<()> {
        if let Some(steps) = &mut self.steps {
            *steps -= 1;
        }
        self.alive()
    }
}
