//! For `make bench`: appends to files as zones against writes serialised by hand, on this machine's own processor and
//! disk, where no zoned device needs to be.

use std::collections::VecDeque;
use std::fs::{File, OpenOptions, remove_file};
use std::os::fd::AsRawFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::Instant;

use super::tests::FileZone;
use super::*;
use crate::command::Flags;
use crate::geometry::Tags;
use crate::memory::{Buffer, Lent};
use crate::sqe;
use crate::sys::flights::Flights;
use crate::worker::{self, Done, Recv, Sharing};

const ZONES: usize = 4;
const DEPTH: usize = 32;
const ROUNDS: usize = 7;
const CAPACITY: u64 = 3 << 20;

type Armed = worker::Request<Outcome>;

struct Bench {
    zones: Vec<Arc<FileZone>>,
    data: Buffer,
    len: u64,
}

impl Bench {
    fn records(&self) -> usize {
        (CAPACITY / self.len) as usize * ZONES
    }

    fn reset(&self) {
        for zone in &self.zones {
            zone.file.set_len(0).unwrap();
            zone.zones.forget(0);
        }
    }

    fn emulated(&mut self) -> f64 {
        let panicked = || Outcome::failed(libc::ENOTRECOVERABLE);
        let queue = Sharing::new(0, panicked, Engine::default());
        let mut ring = Flights::new().unwrap();
        // Before the clock runs: the thread and its sockets.
        self.reset();
        self.append(DEPTH, &queue, &mut ring);
        self.reset();
        let start = Instant::now();
        self.append(self.records(), &queue, &mut ring);
        self.rate(start)
    }

    fn append(
        &mut self,
        total: usize,
        queue: &Sharing<Outcome, Engine>,
        ring: &mut Flights<Armed>,
    ) {
        let request = Request {
            op: Op::Append,
            flags: Flags::empty(),
            offset: 0,
            length: self.len,
            data: self.data.lend(),
            meta: Lent::NONE,
            buffer: None,
            tags: Tags::NONE,
        };
        let (mut begun, mut done) = (0, 0);
        while done < total {
            while begun < total && begun - done < DEPTH {
                let zone = Arc::clone(&self.zones[begun % ZONES]);
                let armed = queue.arm(move |promise, engine| {
                    let keep = |outcome| promise.keep(Done { outcome, failed: false });
                    engine.append(zone, &request, Box::new(keep));
                });
                let armed = armed.unwrap();
                let Recv { fd, address } = armed.recv();
                ring.push(&sqe::recv(fd, address, Recv::LEN, 0), armed);
                begun += 1;
            }
            ring.submit();
            ring.wait();
            while let Some((armed, ended)) = ring.reap() {
                let outcome = armed.finish_received(ended.res).unwrap();
                assert_eq!(u64::try_from(outcome.res), Ok(self.len));
                done += 1;
            }
        }
    }

    fn by_hand(&mut self) -> f64 {
        self.reset();
        let mut ring = Flights::<usize>::new().unwrap();
        let iovec = Box::new(libc::iovec {
            iov_base: self.data.bytes_mut().as_mut_ptr().cast(),
            iov_len: self.len as usize,
        });
        let mut next: VecDeque<usize> = (0..ZONES).collect();
        let mut pointers = [0; ZONES];
        let (total, mut done) = (self.records(), 0);
        let start = Instant::now();
        while done < total {
            while let Some(zone) = next.pop_front() {
                if pointers[zone] + self.len > CAPACITY {
                    continue;
                }
                let file = self.zones[zone].file.as_raw_fd();
                let at = std::ptr::from_ref(&*iovec).addr() as u64;
                ring.push(&sqe::writev(file, at, 1, pointers[zone], false), zone);
                pointers[zone] += self.len;
            }
            ring.submit();
            ring.wait();
            while let Some((zone, ended)) = ring.reap() {
                assert_eq!(u64::try_from(ended.res), Ok(self.len));
                next.push_back(zone);
                done += 1;
            }
        }
        self.rate(start)
    }

    fn rate(&self, start: Instant) -> f64 {
        (self.records() as u64 * self.len) as f64 / start.elapsed().as_secs_f64() / 1e6
    }
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn file(dir: &Path, direct: bool) -> File {
    let path = dir.join(format!("urx-zone-figures-{}", std::process::id()));
    let mut how = OpenOptions::new();
    let flags = if direct { libc::O_DIRECT } else { 0 };
    let file = how.read(true).write(true).create_new(true).custom_flags(flags).open(&path).unwrap();
    remove_file(path).unwrap();
    file
}

#[test]
#[ignore = "figures: make bench"]
fn appends_against_writes_by_hand() {
    println!(); // behind what the harness has printed
    for (name, dir, direct) in
        [("memory", Path::new("/dev/shm"), false), ("disk", Path::new("target"), true)]
    {
        for len in [4096, 16384, 65536] {
            let zones = (0..ZONES).map(|_| FileZone::of(file(dir, direct), CAPACITY)).collect();
            let mut bench = Bench { zones, data: Buffer::new(len), len };
            bench.data.bytes_mut().fill(0x5a);
            let rounds = (0..ROUNDS).map(|_| (bench.emulated(), bench.by_hand()));
            let (ours, theirs): (Vec<_>, Vec<_>) = rounds.unzip();
            let ratio = ours.iter().zip(&theirs).map(|(ours, theirs)| ours / theirs).collect();
            let (ours, theirs, ratio) = (median(ours), median(theirs), median(ratio));
            println!("{name},{len},{ours:.1},{theirs:.1},{ratio:.2}");
        }
    }
}
