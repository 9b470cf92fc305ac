//! Reads and writes with protection information in a ring of the program's own, from the `io-uring` crate: the same
//! code on a ring of small and on one of large entries, on whatever there is. Overwrites the first blocks.
//!
//! ```text
//! pi_uring FILE      any file: metadata beside it in FILE.pi, checked by software
//! pi_uring DEVICE    a device with protection information: by a PI attribute, an NVMe command in
//!                    the SQE, or NVMe ioctls, whichever this kernel has
//! ```
#![allow(unsafe_code, reason = "an SQE is pushed")]

use std::error::Error;
use std::process::ExitCode;

use io_uring::{IoUring, cqueue, squeue};
use uring_ext::{
    Blocks, BlocksMut, Buffer, Done, Failed, Format, Guard, Pi, Request, RingCqe, RingQueue,
    RingSqe, Tags, Target,
};

const BLOCKS: usize = 16;
const IN_FLIGHT: usize = 4;

/// A request that owns its memory, so that it may be kept anywhere.
type Owned = Request<Buffer, Buffer>;

/// What became of one, and it itself.
type Ended = (Result<Done, Failed>, Owned);

struct Storage<S: RingSqe, C: RingCqe> {
    ring: IoUring<S, C>,
    queue: RingQueue<S, C>,
    target: Target,
    pi: Pi,
}

impl<S: RingSqe, C: RingCqe> Storage<S, C> {
    fn new(ring: IoUring<S, C>, target: Target) -> Result<Self, Box<dyn Error>> {
        let pi = Pi::new(&target.format()?)?;
        Ok(Storage { queue: RingQueue::new(&ring)?, ring, target, pi })
    }

    /// Submits all, then waits for all. Each comes back with what became of it.
    fn submit(
        &mut self,
        requests: impl IntoIterator<Item = Owned>,
    ) -> Result<Vec<Ended>, Box<dyn Error>> {
        let mut planned = Vec::new();
        for request in requests {
            let mut plan = self.queue.plan(&self.target, request)?;
            let mut sqe = plan.sqe();
            sqe.set_user_data(planned.len() as u64);
            planned.push(Some(plan));
            // SAFETY: `planned` owns the memory; each SQE is pushed once, and gets its own CQE below.
            unsafe { self.ring.submission().push(&sqe) }?;
        }
        let mut ended: Vec<_> = planned.iter().map(|_| None).collect();
        while ended.iter().any(Option::is_none) {
            match self.ring.submit_and_wait(1) {
                Err(error) if error.raw_os_error() != Some(4) => return Err(error.into()), // EINTR
                _ => {}
            }
            for cqe in self.ring.completion() {
                let n = cqe_index(&cqe);
                if let Some(plan) = planned[n].take() {
                    ended[n] = Some(plan.finish(&cqe));
                }
            }
        }
        Ok(ended.into_iter().flatten().collect())
    }

    fn roundtrip(&mut self) -> Result<(), Box<dyn Error>> {
        let (interval, meta_size) = (self.pi.interval(), self.pi.meta_size());
        let first_lba = self.target.info().start / interval as u64;
        let checks = self.target.format()?.checks();
        let tags = |part: usize| Tags {
            checks,
            app: 0xcafe,
            reference: u128::from(first_lba) + (part * BLOCKS) as u128,
            ..Tags::default()
        };
        let mut writes = Vec::new();
        for part in 0..IN_FLIGHT {
            let mut data = Buffer::new(BLOCKS * interval);
            let mut meta = Buffer::new(BLOCKS * meta_size);
            data.iter_mut().enumerate().for_each(|(i, byte)| *byte = (i * 31 + part) as u8);
            let blocks = BlocksMut::Separate { data: &data, meta: &mut meta };
            self.pi.generate(&tags(part), blocks)?;
            let offset = (part * data.len()) as u64;
            writes.push(Request::write(offset, data).meta(meta).tags(tags(part)));
        }
        let mut reads = Vec::new();
        for (part, (result, request)) in self.submit(writes)?.into_iter().enumerate() {
            println!("  written: {}", result?);
            let (mut data, mut meta) = request.into_parts();
            let offset = (part * data.len()) as u64;
            data.fill(0);
            meta.fill(0);
            reads.push(Request::read(offset, data).meta(meta).tags(tags(part)));
        }
        let mut read = Vec::new();
        for (part, (result, request)) in self.submit(reads)?.into_iter().enumerate() {
            println!("  read: {}", result?);
            let (data, meta) = request.into_parts();
            let blocks = Blocks::Separate { data: &data, meta: &meta };
            self.pi.check(&tags(part), blocks)?.into_result()?;
            read.push((data, meta));
        }
        println!("  verified in software: right");

        let (mut data, meta) = read.swap_remove(0);
        data[5 * interval + 100] ^= 0x10;
        let write = Request::write(0, data).meta(meta).tags(tags(0));
        let (result, _) = self.submit([write])?.pop().ok_or("no result")?;
        let failed = result.err().ok_or("a wrong bit was written")?;
        println!("  one bit flipped: {failed}");
        match failed.failure() {
            Some(failure) if failure.block == 5 => Ok(()),
            _ => Err("the wrong bit in block 5 was not named".into()),
        }
    }
}

/// The user data of a CQE of either size.
fn cqe_index<C: RingCqe>(cqe: &C) -> usize {
    let small: cqueue::Entry = cqe.clone().into();
    small.user_data() as usize
}

fn open(path: &str) -> Result<Target, Box<dyn Error>> {
    if !std::fs::metadata(path)?.is_file() {
        return Ok(Target::options().write().open(path)?);
    }
    let format = Format::builder(4096).guard(Guard::T10Dif).build()?;
    Ok(Target::options().write().side_file(format!("{path}.pi")).create(format).open(path)?)
}

fn run(path: &str) -> Result<ExitCode, Box<dyn Error>> {
    let target = open(path)?;
    if !target.format()?.checks().contains(uring_ext::Checks::GUARD) {
        println!("{path}: no protection information");
        return Ok(ExitCode::from(77));
    }
    println!("{path}, small entries");
    let small: IoUring<squeue::Entry, cqueue::Entry> = IoUring::builder().build(8)?;
    Storage::new(small, target.clone())?.roundtrip()?;

    let large: IoUring<squeue::Entry128, cqueue::Entry32> = match IoUring::builder().build(8) {
        Err(error) if error.raw_os_error() == Some(22) => {
            println!("no ring of large entries before Linux 5.19");
            return Ok(ExitCode::SUCCESS);
        }
        ring => ring?,
    };
    println!("{path}, large entries");
    Storage::new(large, target)?.roundtrip()?;
    Ok(ExitCode::SUCCESS)
}

fn main() -> ExitCode {
    let Some(path) = std::env::args().nth(1) else {
        eprintln!("usage: pi_uring FILE|DEVICE");
        return ExitCode::from(2);
    };
    run(&path).unwrap_or_else(|error| {
        eprintln!("{path}: {error}");
        ExitCode::FAILURE
    })
}
