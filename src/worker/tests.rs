//! Requests in real rings of this kernel. What a kernel's rings lack is left out.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{PipeReader, PipeWriter, Read, Write, pipe};
use std::os::fd::{AsFd, BorrowedFd};
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread::{sleep, spawn};
use std::time::{Duration, Instant};

use io_uring::squeue::Flags;

use super::*;
use crate::error::Error;
use crate::sys::ring::{Ring, Setup, in_forked_child, limit_address_space};

const SETUPS: [Setup; 3] = [Setup::Plain, Setup::SqPoll, Setup::DeferTaskrun];
const PLAIN: Flags = Flags::empty();
const PANICKED: u64 = 0xdead;
/// What the CQE of a request says that has not failed.
const WHOLE: i32 = Recv::LEN as i32;
/// Long enough for what must not happen.
const MOMENT: Duration = Duration::from_millis(20);

fn workers(max_workers: u32, max_slots: u32) -> Workers<u64> {
    Workers::new(max_workers, max_slots, || PANICKED)
}

fn gives(outcome: u64) -> Job<u64> {
    Box::new(move || Done { outcome, failed: false })
}

fn fails(outcome: u64) -> Job<u64> {
    Box::new(move || Done { outcome, failed: true })
}

/// Tells that it runs.
fn tells(ran: &Arc<AtomicBool>) -> Job<u64> {
    let ran = Arc::clone(ran);
    Box::new(move || {
        ran.store(true, SeqCst);
        Done { outcome: 1, failed: false }
    })
}

/// A job that runs until it is told to end.
struct Held {
    started: std::sync::mpsc::Receiver<()>,
    end: Sender<()>,
}

impl Held {
    fn new(outcome: u64) -> (Held, Job<u64>) {
        let (starts, started) = channel();
        let (end, ends) = channel();
        let job = Box::new(move || {
            let _ = starts.send(());
            let _ = ends.recv();
            Done { outcome, failed: false }
        });
        (Held { started, end }, job)
    }

    fn wait_for_start(&self) {
        self.started.recv_timeout(Duration::from_secs(30)).expect("started");
    }

    fn end(&self) {
        self.end.send(()).expect("still running");
    }

    fn end_later(self) {
        spawn(move || {
            sleep(MOMENT);
            self.end();
        });
    }
}

/// So many rounds, or fewer in an emulated machine, whose one CPU an SQPOLL thread wants as well.
fn rounds(count: u64) -> u64 {
    if std::env::var_os("URX_VM").is_some() { count / 10 } else { count }
}

fn push(ring: &mut Ring, request: &Request<u64>, tag: u64, flags: Flags) {
    let Recv { fd, address } = request.recv();
    ring.push_recv(fd, address, Recv::LEN, tag, flags);
}

fn rings() -> impl Iterator<Item = Ring> {
    SETUPS.into_iter().filter_map(|setup| {
        let ring = Ring::new(128, setup);
        println!("{setup:?}{}", if ring.is_none() { ": not in this kernel" } else { "" });
        ring
    })
}

fn plain() -> Ring {
    Ring::new(128, Setup::Plain).expect("a ring")
}

/// All CQEs until `count` came, by tag.
fn reap(ring: &mut Ring, count: usize) -> BTreeMap<u64, i32> {
    (0..count).map(|_| ring.wait()).collect()
}

/// Requests, one after the other, each of which must complete after its job and not before.
fn reuse(workers: &Workers<u64>, ring: &mut Ring, times: u64) {
    for i in 0..times {
        let (held, job) = Held::new(i);
        let request = workers.arm(job).expect("a slot");
        push(ring, &request, i, PLAIN);
        ring.submit();
        held.wait_for_start();
        assert_eq!(ring.peek(), None, "completed before its job, round {i}");
        held.end();
        assert_eq!(ring.wait(), (i, WHOLE));
        let outcome = if i % 3 == 0 { request.finish() } else { request.finish_received(WHOLE) };
        assert_eq!(outcome, Some(i));
    }
}

#[test]
fn an_outcome_arrives_with_the_completion() {
    for mut ring in rings() {
        let workers = workers(0, 0);
        for flags in [PLAIN, Flags::ASYNC] {
            let request = workers.arm(gives(7)).expect("a slot");
            push(&mut ring, &request, 1, flags);
            ring.submit();
            assert_eq!(ring.wait(), (1, WHOLE));
            assert_eq!(request.finish(), Some(7));
        }
        reuse(&workers, &mut ring, 50);
    }
}

#[test]
fn nothing_starts_before_its_request_is_issued() {
    for mut ring in rings() {
        let (workers, ran) = (workers(0, 0), Arc::default());
        let request = workers.arm(tells(&ran)).expect("a slot");
        sleep(MOMENT);
        assert!(!ran.load(SeqCst), "started when it was armed");
        push(&mut ring, &request, 1, PLAIN);
        ring.submit();
        ring.wait();
        assert_eq!(request.finish(), Some(1));
        assert!(ran.load(SeqCst));
    }
}

#[test]
fn a_failure_breaks_a_soft_link_and_success_does_not() {
    for mut ring in rings() {
        let workers = workers(0, 0);
        let broken = -libc::ECANCELED;
        for (job, link, good, next) in [
            (gives(1), Flags::IO_LINK, true, 0),
            (fails(2), Flags::IO_LINK, false, broken),
            (gives(3), Flags::IO_LINK | Flags::ASYNC, true, 0),
            (fails(4), Flags::IO_LINK | Flags::ASYNC, false, broken),
            (fails(5), Flags::IO_HARDLINK, false, 0),
        ] {
            let request = workers.arm(job).expect("a slot");
            push(&mut ring, &request, 1, link);
            ring.push_nop(2, PLAIN);
            ring.submit();
            let results = reap(&mut ring, 2);
            assert_eq!((results[&1] == WHOLE, results[&2]), (good, next), "{link:?} {results:?}");
            assert!(request.finish().is_some());
        }
    }
}

#[test]
fn a_linked_request_starts_after_its_predecessor() {
    for mut ring in rings() {
        let (workers, ran) = (workers(0, 0), Arc::default());
        let (reader, mut writer) = pipe().expect("a pipe");
        let request = workers.arm(tells(&ran)).expect("a slot");
        ring.push_read(&reader, 1, Flags::IO_LINK);
        push(&mut ring, &request, 2, PLAIN);
        ring.submit();
        sleep(MOMENT);
        assert!(!ran.load(SeqCst), "started before its predecessor ended");
        writer.write_all(b"x").expect("written");
        assert_eq!(reap(&mut ring, 2), BTreeMap::from([(1, 1), (2, WHOLE)]));
        assert_eq!(request.finish(), Some(1));
    }
}

#[test]
fn a_drained_request_starts_after_all_before_it() {
    for mut ring in rings() {
        let (workers, ran) = (workers(0, 0), Arc::default());
        let (reader, mut writer) = pipe().expect("a pipe");
        let request = workers.arm(tells(&ran)).expect("a slot");
        ring.push_read(&reader, 1, PLAIN);
        push(&mut ring, &request, 2, Flags::IO_DRAIN);
        ring.submit();
        sleep(MOMENT);
        assert!(!ran.load(SeqCst), "started before the drain");
        writer.write_all(b"x").expect("written");
        assert_eq!(reap(&mut ring, 2), BTreeMap::from([(1, 1), (2, WHOLE)]));
        assert_eq!(request.finish(), Some(1));
    }
}

#[test]
fn what_is_never_submitted_never_runs() {
    let (workers, ran) = (workers(0, 1), Arc::default());
    for _ in 0..3 {
        let request = workers.arm(tells(&ran)).expect("a slot");
        sleep(MOMENT);
        assert_eq!(request.abandon(), None);
        let request = workers.arm(tells(&ran)).expect("a slot");
        assert_eq!(request.finish(), None);
        drop(workers.arm(tells(&ran)).expect("a slot"));
    }
    sleep(MOMENT);
    assert!(!ran.load(SeqCst));
    assert_eq!(Arc::strong_count(&ran), 1, "a job was kept");
    reuse(&workers, &mut plain(), 100);
}

#[test]
fn cancelled_before_issue_it_never_runs() {
    for mut ring in rings() {
        let (workers, ran) = (workers(0, 1), Arc::default());
        for _ in 0..3 {
            let (reader, _writer): (_, PipeWriter) = pipe().expect("a pipe");
            let request = workers.arm(tells(&ran)).expect("a slot");
            ring.push_read(&reader, 1, Flags::IO_LINK);
            push(&mut ring, &request, 2, PLAIN);
            ring.submit();
            ring.push_cancel(1, 3);
            ring.submit();
            let results = reap(&mut ring, 3);
            assert_eq!(results[&2], -libc::ECANCELED);
            assert_eq!(request.finish(), None);
        }
        reuse(&workers, &mut ring, rounds(1000));
        assert!(!ran.load(SeqCst));
    }
}

#[test]
fn cancelled_after_its_start_it_still_has_its_outcome() {
    for mut ring in rings() {
        let workers = workers(0, 1);
        for (round, flags) in (100..).zip([PLAIN, Flags::ASYNC, PLAIN]) {
            let (held, job) = Held::new(round);
            let request = workers.arm(job).expect("a slot");
            push(&mut ring, &request, 1, flags);
            ring.submit();
            held.wait_for_start();
            ring.push_cancel(1, 2);
            ring.submit();
            let results = reap(&mut ring, 2);
            assert_ne!(results[&1], WHOLE);
            held.end_later();
            assert_eq!(request.finish_received(results[&1]), Some(round));
            reuse(&workers, &mut ring, rounds(334));
        }
    }
}

/// A cancel that races with issue and start: the outcome is there exactly if the job ran.
#[test]
fn a_cancel_at_any_moment_agrees_with_what_ran() {
    for mut ring in rings() {
        let (workers, runs) = (workers(2, 4), Arc::new(AtomicU64::new(0)));
        let (mut outcomes, mut withdrawn) = (0, 0);
        for i in 0..rounds(4000) {
            let counted = Arc::clone(&runs);
            let job = move || Done { outcome: counted.fetch_add(1, SeqCst), failed: false };
            let request = workers.arm(Box::new(job)).expect("a slot");
            push(&mut ring, &request, 1, PLAIN);
            if i % 2 == 0 {
                ring.submit();
                (0..i % 64).for_each(|_| std::hint::spin_loop());
            }
            ring.push_cancel(1, 2);
            ring.submit();
            reap(&mut ring, 2);
            match request.finish() {
                Some(outcome) => {
                    assert_eq!(outcome, outcomes);
                    outcomes += 1;
                }
                None => withdrawn += 1,
            }
            assert_eq!(runs.load(SeqCst), outcomes, "a withdrawn job ran");
        }
        println!("{outcomes} with an outcome, {withdrawn} withdrawn");
        reuse(&workers, &mut ring, 100);
    }
}

/// The last completion, or a cancelled issue, may be reported when the slot is armed again.
#[test]
fn a_late_report_starts_nothing() {
    let (workers, ran) = (workers(3, 1), Arc::default());
    let mut ring = plain();
    for i in 0..rounds(3000) {
        let request = workers.arm(gives(i)).expect("a slot");
        push(&mut ring, &request, 1, PLAIN);
        ring.submit();
        if i % 3 == 0 {
            ring.push_cancel(1, 1);
            ring.submit();
            ring.wait();
        }
        ring.wait();
        let _ = request.finish();
        let next = workers.arm(tells(&ran)).expect("a slot");
        (0..i % 2000).for_each(|_| std::hint::spin_loop());
        assert_eq!(next.finish(), None, "round {i}");
    }
    assert!(!ran.load(SeqCst));
}

#[test]
fn a_hundred_thousand_requests_at_depth_64() {
    const DEPTH: u64 = 64;
    let total = rounds(100_000);
    for mut ring in rings() {
        let workers = workers(0, DEPTH as u32);
        let mut flying: Vec<Option<(u64, Request<u64>)>> = (0..DEPTH).map(|_| None).collect();
        let (mut next, mut reaped, mut sum) = (0, 0, 0u64);
        let start = Instant::now();
        while reaped < total {
            for (tag, place) in (0..).zip(&mut flying).filter(|(_, place)| place.is_none()) {
                if next < total {
                    let value = next;
                    let job = move || Done { outcome: value * value + 1, failed: value % 97 == 0 };
                    let request = workers.arm(Box::new(job)).expect("a slot");
                    push(&mut ring, &request, tag, PLAIN);
                    *place = Some((value, request));
                    next += 1;
                }
            }
            ring.submit();
            let mut found = Some(ring.wait());
            while let Some((tag, res)) = found {
                let (value, request) = flying[tag as usize].take().expect("in flight");
                assert_eq!(res == WHOLE, value % 97 != 0, "request {value}: {res}");
                let outcome = request.finish().expect("it ran");
                assert_eq!(outcome, value * value + 1);
                sum += outcome;
                reaped += 1;
                found = ring.peek();
            }
        }
        println!("{:?} a request", start.elapsed() / total as u32);
        assert_eq!(sum, (total - 1) * total * (2 * total - 1) / 6 + total);
    }
}

#[test]
fn closing_waits_for_jobs_and_withdraws_the_rest() {
    for mut ring in rings() {
        let (workers, ran) = (workers(1, 0), Arc::default());
        let (held, job) = Held::new(5);
        let running = workers.arm(job).expect("a slot");
        push(&mut ring, &running, 1, PLAIN);
        ring.submit();
        held.wait_for_start();
        // The only worker is busy.
        let issued = workers.arm(gives(6)).expect("a slot");
        push(&mut ring, &issued, 2, PLAIN);
        ring.submit();
        let armed = workers.arm(tells(&ran)).expect("a slot");
        let start = Instant::now();
        held.end_later();
        workers.close();
        assert!(start.elapsed() >= MOMENT, "did not wait");
        assert_eq!(Arc::strong_count(&ran), 1, "a job was kept");
        assert_eq!(workers.arm(gives(1)).err(), Some(Error::Os(libc::ESHUTDOWN)));
        assert_eq!(running.finish(), Some(5));
        let results = reap(&mut ring, 2);
        assert_eq!(results[&1], WHOLE);
        // Whether it got its turn is not said; either way it is over.
        assert_eq!(issued.finish().is_some(), results[&2] == WHOLE);
        drop(workers);
        assert_eq!(armed.abandon(), None);
        assert!(!ran.load(SeqCst));
    }
}

#[test]
fn abandoned_while_it_runs_it_is_waited_for() {
    for mut ring in rings() {
        let workers = workers(0, 1);
        for round in 0..20 {
            let (held, job) = Held::new(round);
            let request = workers.arm(job).expect("a slot");
            push(&mut ring, &request, 1, PLAIN);
            ring.submit();
            held.wait_for_start();
            if round % 2 == 0 {
                held.end();
            } else {
                held.end_later();
            }
            assert_eq!(request.abandon(), Some(round));
            // Its RECV takes nothing from this one.
            let request = workers.arm(gives(round)).expect("a slot");
            push(&mut ring, &request, 2, PLAIN);
            ring.submit();
            assert_eq!(reap(&mut ring, 2)[&2], WHOLE);
            assert_eq!(request.finish(), Some(round));
        }
    }
}

/// Behind a read, given up there, and issued later all the same. In a process where a descriptor that was
/// closed is the next to be made.
#[test]
fn an_abandoned_request_in_the_kernel_ends_short() {
    if !alone("an_abandoned_request_in_the_kernel_ends_short", "") {
        return;
    }
    for mut ring in rings() {
        let (workers, ran) = (workers(1, 2), Arc::default());
        let (reader, mut writer) = pipe().expect("a pipe");
        let request = workers.arm(tells(&ran)).expect("a slot");
        ring.push_read(&reader, 1, Flags::IO_LINK);
        push(&mut ring, &request, 2, PLAIN);
        ring.submit();
        sleep(MOMENT);
        assert_eq!(request.abandon(), None);
        let later = workers.arm(tells(&ran)).expect("a slot");
        writer.write_all(b"x").expect("written");
        assert!(reap(&mut ring, 2)[&2] < WHOLE);
        sleep(MOMENT);
        assert!(!ran.load(SeqCst), "another's RECV started it");

        // Issued, but the only worker is busy.
        let (held, job) = Held::new(5);
        let busy = workers.arm(job).expect("a slot");
        push(&mut ring, &busy, 3, PLAIN);
        ring.submit();
        held.wait_for_start();
        push(&mut ring, &later, 4, PLAIN);
        ring.submit();
        sleep(MOMENT);
        assert_eq!(later.abandon(), None);
        assert!(reap(&mut ring, 1)[&4] < WHOLE);
        held.end();
        assert_eq!(ring.wait(), (3, WHOLE));
        assert_eq!(busy.finish(), Some(5));
        reuse(&workers, &mut ring, 20);
        assert!(!ran.load(SeqCst));
    }
}

/// Their descriptors stay, as long as there are enough. In a process with 64.
#[test]
fn abandoned_requests_take_no_slots() {
    if !alone("abandoned_requests_take_no_slots", "ulimit -n 64;") {
        return;
    }
    let (mut ring, before) = (plain(), descriptors());
    for max_slots in [0, 8] {
        let workers = workers(1, max_slots);
        for _ in 0..200 {
            assert_eq!(workers.arm(gives(1)).expect("a slot").abandon(), None);
        }
        let gate = 2;
        assert!(max_slots != 0 || descriptors() <= before + gate + 16, "{}", descriptors());
        let armed: Vec<_> = (0..8).map(|i| workers.arm(gives(i)).expect("a slot")).collect();
        assert_eq!(workers.arm(gives(1)).err(), Some(Error::Os(libc::EAGAIN)));
        drop(armed);
        reuse(&workers, &mut ring, 3);
    }
    assert_eq!(descriptors(), before, "descriptors were kept");
}

/// In a process that would have room for more.
#[test]
fn abandoned_requests_keep_few_descriptors() {
    if !alone("abandoned_requests_keep_few_descriptors", "ulimit -n 1024;") {
        return;
    }
    let before = descriptors();
    for max_slots in [0, 1] {
        let workers = workers(1, max_slots);
        for _ in 0..200 {
            drop(workers.arm(gives(1)).expect("a slot"));
        }
        let gate = 2;
        assert_eq!(descriptors(), before + gate + 2 * 64);
    }
}

#[test]
fn no_slot_is_free_beyond_the_limit() {
    let mut ring = plain();
    let workers = workers(0, 2);
    let first = workers.arm(gives(1)).expect("a slot");
    let second = workers.arm(gives(2)).expect("a slot");
    assert_eq!(workers.arm(gives(3)).err(), Some(Error::Os(libc::EAGAIN)));
    push(&mut ring, &first, 1, PLAIN);
    push(&mut ring, &second, 2, PLAIN);
    ring.submit();
    reap(&mut ring, 2);
    assert_eq!(workers.arm(gives(3)).err(), Some(Error::Os(libc::EAGAIN)), "not reaped yet");
    assert_eq!(second.finish(), Some(2));
    let third = workers.arm(gives(3)).expect("a slot");
    push(&mut ring, &third, 3, PLAIN);
    ring.submit();
    ring.wait();
    assert_eq!((first.finish(), third.finish()), (Some(1), Some(3)));
}

#[test]
fn a_job_that_panics_fails_its_request_alone() {
    for mut ring in rings() {
        let workers = workers(1, 1);
        for _ in 0..3 {
            let request = workers.arm(Box::new(|| panic!("on purpose"))).expect("a slot");
            push(&mut ring, &request, 1, Flags::IO_LINK);
            ring.push_nop(2, PLAIN);
            ring.submit();
            assert_eq!(reap(&mut ring, 2)[&2], -libc::ECANCELED);
            assert_eq!(request.finish(), Some(PANICKED));
            reuse(&workers, &mut ring, 3);
        }
    }
}

#[test]
fn a_promise_may_be_kept_elsewhere_and_closing_waits_for_it() {
    for mut ring in rings() {
        let workers = workers(1, 4);
        let (give, given) = channel();
        let long = workers.arm_long(Box::new(move |promise| drop(give.send(promise)))).unwrap();
        push(&mut ring, &long, 1, PLAIN);
        ring.submit();
        let promise = given.recv_timeout(Duration::from_secs(30)).expect("started");
        let short = workers.arm(gives(5)).unwrap();
        push(&mut ring, &short, 2, PLAIN);
        ring.submit();
        assert_eq!(ring.wait(), (2, WHOLE), "the only worker is free");
        assert_eq!(short.finish(), Some(5));
        let keeper = spawn(move || {
            sleep(MOMENT);
            promise.keep(Done { outcome: 7, failed: false });
        });
        workers.close();
        assert_eq!(ring.wait(), (1, WHOLE));
        assert_eq!(long.finish(), Some(7));
        keeper.join().expect("kept");
    }
}

#[test]
fn a_promise_that_is_dropped_fails_its_request() {
    let (workers, mut ring) = (workers(1, 1), plain());
    let request = workers.arm_long(Box::new(drop)).unwrap();
    push(&mut ring, &request, 1, PLAIN);
    ring.submit();
    assert_ne!(ring.wait().1, WHOLE);
    assert_eq!(request.finish(), Some(PANICKED));
}

/// Promises that jobs leave to be kept later: when a pipe can be read, or at the end.
struct Later {
    kept: Mutex<Vec<Promise<u64>>>,
    reader: PipeReader,
    /// The pipe can be read.
    told: AtomicBool,
    /// How many waited when the thread came by.
    turns: Mutex<Vec<usize>>,
    /// All of them are kept, a moment before the thread has done with it.
    over: AtomicBool,
}

impl Later {
    fn keep(&self) {
        for (n, promise) in self.kept.lock().unwrap().drain(..).enumerate() {
            promise.keep(Done { outcome: n as u64, failed: n == 7 });
        }
    }
}

impl Afterwork for Later {
    fn prepare(&self, watch: &mut dyn FnMut(BorrowedFd<'_>) -> Result<()>) -> Result<()> {
        watch(self.reader.as_fd())
    }

    fn go_on(&self) {
        self.turns.lock().unwrap().push(self.kept.lock().unwrap().len());
        if self.told.swap(false, SeqCst) {
            (&self.reader).read_exact(&mut [0]).unwrap();
            self.keep();
            self.over.store(true, SeqCst);
            sleep(MOMENT);
        }
    }

    fn end(&self) {
        self.keep();
    }
}

#[test]
fn one_thread_takes_all_jobs_at_once_and_goes_on_with_what_they_left() {
    let mut ring = plain();
    let (reader, mut writer) = pipe().unwrap();
    let later = Later {
        kept: Mutex::default(),
        reader,
        told: AtomicBool::default(),
        turns: Mutex::default(),
        over: AtomicBool::default(),
    };
    let sharing = Sharing::new(0, || PANICKED, later);
    let later = sharing.afterwork();
    let arm = |ring: &mut Ring, tag, first: Option<Job<u64>>| {
        let job = move |promise, later: &Later| {
            first.map(|job| job());
            later.kept.lock().unwrap().push(promise);
        };
        let request = sharing.arm(job).expect("a slot");
        push(ring, &request, tag, PLAIN);
        ring.submit();
        request
    };
    let (held, job) = Held::new(0);
    let first = arm(&mut ring, 0, Some(job));
    held.wait_for_start();
    let others: Vec<_> = (1..40).map(|tag| arm(&mut ring, tag, None)).collect();
    held.end();
    while later.turns.lock().unwrap().last() != Some(&40) {
        sleep(MOMENT / 20);
    }
    assert_eq!(ring.peek(), None, "nobody has gone on yet");
    let all_at_once = later.turns.lock().unwrap().iter().all(|kept| [0, 1, 40].contains(kept));
    later.told.store(true, SeqCst);
    writer.write_all(&[1]).unwrap();
    while !later.over.load(SeqCst) {
        sleep(MOMENT / 20);
    }
    let early: BTreeMap<_, _> = std::iter::from_fn(|| ring.peek()).collect();
    assert!(early.values().all(|res| *res < WHOLE), "told together, but for one that failed");
    let late = reap(&mut ring, 40 - early.len());
    let whole = early.values().chain(late.values()).filter(|res| **res == WHOLE);
    assert_eq!(whole.count(), 39);
    let all = others.into_iter().chain([first]);
    let mut outcomes: Vec<_> = all.map(|request| request.finish().unwrap()).collect();
    outcomes.sort_unstable();
    assert_eq!(outcomes, (0..40).collect::<Vec<_>>());
    assert!(all_at_once);
    let last = arm(&mut ring, 99, None);
    while later.kept.lock().unwrap().is_empty() {
        sleep(MOMENT / 20);
    }
    sharing.close();
    assert_eq!(
        (ring.wait(), last.finish()),
        ((99, WHOLE), Some(0)),
        "the thread ends it before it goes"
    );
}

/// What a job has left is kept by another thread, while the one that they share is busy.
#[test]
fn what_others_end_does_not_wait_for_the_thread() {
    struct Busy {
        kept: Mutex<Option<Promise<u64>>>,
        goes_on: Mutex<std::sync::mpsc::Receiver<()>>,
    }
    impl Afterwork for Busy {
        fn prepare(&self, _: &mut dyn FnMut(BorrowedFd<'_>) -> Result<()>) -> Result<()> {
            Ok(())
        }
        fn go_on(&self) {
            let _ = self.goes_on.lock().unwrap().recv();
        }
        fn end(&self) {}
    }
    let mut ring = plain();
    let (go_on, goes_on) = channel();
    let busy = Busy { kept: Mutex::default(), goes_on: Mutex::new(goes_on) };
    let sharing = Sharing::new(0, || PANICKED, busy);
    let go_on = go_on; // gone before the thread is waited for, whatever happens
    let keep = |promise, busy: &Busy| *busy.kept.lock().unwrap() = Some(promise);
    let request = sharing.arm(keep).expect("a slot");
    push(&mut ring, &request, 1, PLAIN);
    ring.submit();
    let promise = loop {
        if let Some(promise) = sharing.afterwork().kept.lock().unwrap().take() {
            break promise;
        }
        sleep(MOMENT / 20);
    };
    sleep(MOMENT);
    promise.keep(Done { outcome: 3, failed: false });
    assert_eq!(ring.wait(), (1, WHOLE));
    assert_eq!(request.finish(), Some(3));
    drop(go_on);
}

/// A RECV that was given up behind a link may find another socket at its number, and takes what is there.
#[test]
fn a_number_that_went_elsewhere_tells_of_the_issue_and_starts_nothing_there() {
    let mut ring = plain();
    let gate = Arc::new(gate::Gate::new().unwrap());
    let pairs = [0, 1].map(|index| pair::Pair::new(&gate, index).unwrap());
    assert!(!pairs[0].issued() && !pairs[1].issued());
    ring.push_recv(pairs[0].recv().fd, pairs[1].recv().address, Recv::LEN, 1, PLAIN);
    ring.submit();
    assert!(pairs[0].issued() && !pairs[1].issued());
    assert!(pairs[0].complete());
    assert_eq!(ring.wait(), (1, WHOLE));
    assert!(!pairs[0].issued());
}

#[test]
fn what_a_job_holds_is_gone_when_its_request_is_finished() {
    let mut ring = plain();
    let (workers, held) = (workers(0, 0), Arc::new(()));
    for i in 0..2000 {
        let inside = Arc::clone(&held);
        let job = move || {
            let _inside = &inside;
            assert!(i % 500 != 0, "on purpose");
            Done { outcome: 1, failed: i % 3 == 0 }
        };
        let request = workers.arm(Box::new(job)).expect("a slot");
        push(&mut ring, &request, 1, PLAIN);
        ring.submit();
        ring.wait();
        assert!(request.finish().is_some());
        assert_eq!(Arc::strong_count(&held), 1, "round {i}");
    }
}

#[test]
fn many_queues_and_threads_at_a_time() {
    let threads: Vec<_> = (0..6)
        .map(|seed| {
            spawn(move || {
                for round in 0..20 {
                    let (mut ring, workers) = (plain(), workers(2, 8));
                    let mut requests = Vec::new();
                    for i in 0..8 {
                        let request = workers.arm(gives(seed * 1000 + round + i)).expect("a slot");
                        push(&mut ring, &request, i, PLAIN);
                        requests.push(request);
                    }
                    ring.submit();
                    reap(&mut ring, 8);
                    for (i, request) in (0..).zip(requests) {
                        assert_eq!(request.finish(), Some(seed * 1000 + round + i));
                    }
                }
            })
        })
        .collect();
    for thread in threads {
        thread.join().expect("a thread that did not panic");
    }
}

/// Whether this is a process for one test alone. Else it runs the test in one.
fn alone(test: &str, limits: &str) -> bool {
    const HERE: &str = "URX_TEST_ALONE";
    if std::env::var_os(HERE).is_some() {
        return true;
    }
    let name = format!("{}::{test}", module_path!().split_once("::").expect("a crate").1);
    let command = format!("{limits} exec \"$0\" --exact {name} --nocapture");
    let program = std::env::current_exe().expect("a program");
    let mut shell = Command::new("sh");
    let output = shell.env(HERE, "1").arg("-c").arg(command).arg(program).output();
    let output = output.expect("a shell");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
    assert!(text.contains("1 passed"), "{text}");
    false
}

fn descriptors() -> usize {
    fs::read_dir("/proc/self/fd").expect("proc").count()
}

/// The worker threads' entries in `/proc`.
fn threads() -> Vec<String> {
    let tasks = fs::read_dir("/proc/self/task").expect("proc");
    let tasks = tasks.filter_map(|task| fs::read_to_string(task.ok()?.path().join("status")).ok());
    tasks.filter(|status| status.starts_with("Name:\turx-worker\n")).collect()
}

/// A thread names itself, and is seen for a moment after it was joined.
fn expect_threads(wanted: u64) {
    let start = Instant::now();
    while threads().len() as u64 != wanted {
        assert!(start.elapsed().as_secs() < 10, "{} threads", threads().len());
        sleep(Duration::from_millis(1));
    }
}

/// In a process with 64 descriptors.
#[test]
fn few_descriptors_are_few_slots() {
    if !alone("few_descriptors_are_few_slots", "ulimit -n 64;") {
        return;
    }
    let (mut ring, before) = (plain(), descriptors());
    {
        let workers = workers(0, 0);
        let other = self::workers(0, 0);
        for _ in 0..3 {
            let mut armed = Vec::new();
            let error = loop {
                match workers.arm(gives(armed.len() as u64)) {
                    Ok(request) => armed.push(request),
                    Err(error) => break error,
                }
            };
            assert_eq!((armed.len(), error), (8, Error::Os(libc::EAGAIN)));
            // The limit is the process's, but each queue gets one.
            let first = other.arm(gives(100)).expect("a slot");
            assert_eq!(other.arm(gives(100)).err(), Some(Error::Os(libc::EAGAIN)));
            assert_eq!(first.finish(), None);
            for (tag, request) in (0..).zip(&armed) {
                push(&mut ring, request, tag, PLAIN);
            }
            ring.submit();
            reap(&mut ring, armed.len());
            for (i, request) in (0..).zip(armed) {
                assert_eq!(request.finish(), Some(i));
            }
        }
    }
    assert_eq!(descriptors(), before, "descriptors were kept");

    // None left at all, then as many as a slot wants, and its gate.
    let mut taken = Vec::new();
    while let Ok(file) = File::open("/dev/null") {
        taken.push(file);
    }
    let workers = workers(0, 32);
    for _ in 0..4 {
        assert_eq!(workers.arm(gives(1)).err(), Some(Error::Os(libc::EMFILE)));
        taken.pop();
    }
    let request = workers.arm(gives(1)).expect("a slot");
    assert_eq!(workers.arm(gives(1)).err(), Some(Error::Os(libc::EAGAIN)));
    push(&mut ring, &request, 1, PLAIN);
    ring.submit();
    ring.wait();
    assert_eq!(request.finish(), Some(1));
}

/// In a process whose threads can be counted.
#[test]
fn threads_come_on_demand_and_go() {
    if !alone("threads_come_on_demand_and_go", "") {
        return;
    }
    let (mut ring, before) = (plain(), descriptors());
    let workers = workers(3, 0);
    assert_eq!((threads().len(), descriptors()), (0, before), "before the first request");
    for n in 0..rounds(20_000) {
        let request = workers.arm(gives(n)).expect("a slot");
        push(&mut ring, &request, n, PLAIN);
        ring.submit();
        assert_eq!(ring.wait(), (n, WHOLE));
        assert_eq!(request.finish_received(WHOLE), Some(n));
    }
    expect_threads(1);
    let mut requests = Vec::new();
    for wanted in [1, 2, 3, 3, 3] {
        let request = workers.arm(gives(wanted)).expect("a slot");
        push(&mut ring, &request, wanted, PLAIN);
        requests.push(request);
        expect_threads(wanted);
    }
    ring.submit();
    reap(&mut ring, 5);
    for status in threads() {
        let blocked = status.lines().find_map(|line| line.strip_prefix("SigBlk:\t"));
        let blocked = u64::from_str_radix(blocked.expect("a mask"), 16).expect("a number");
        let faults = [libc::SIGSEGV, libc::SIGBUS, libc::SIGILL, libc::SIGFPE, libc::SIGTRAP];
        let faults = faults.iter().fold(1 << (libc::SIGSYS - 1), |mask, s| mask | 1u64 << (s - 1));
        // SIGKILL and SIGSTOP cannot be blocked; libc keeps 32 and 33 for itself.
        let never = 1 << (libc::SIGKILL - 1) | 1 << (libc::SIGSTOP - 1) | 0b11 << 31;
        assert_eq!(blocked | never, !faults, "{blocked:x}");
    }
    drop(requests);
    drop(workers);
    assert_eq!(descriptors(), before, "after the last");
    expect_threads(0);
}

/// In a process without memory for more threads.
#[test]
fn threads_may_be_refused() {
    if !alone("threads_may_be_refused", "") {
        return;
    }
    let (mut ring, first, second) = (plain(), workers(4, 0), workers(4, 0));
    // Room for one stack, not for two.
    limit_address_space(400 << 10);
    let request = first.arm(gives(1)).expect("a slot");
    assert_eq!(second.arm(gives(2)).err(), Some(Error::Os(libc::ENOMEM)));
    let another = first.arm(gives(3)).expect("a slot, and the thread that exists");
    push(&mut ring, &request, 1, PLAIN);
    push(&mut ring, &another, 2, PLAIN);
    ring.submit();
    reap(&mut ring, 2);
    assert_eq!((request.finish(), another.finish()), (Some(1), Some(3)));
    limit_address_space(100 << 20);
    reuse(&second, &mut ring, 3);
}

/// In a process of which a copy can be made.
#[test]
fn a_forked_child_may_end_as_it_likes() {
    if !alone("a_forked_child_may_end_as_it_likes", "") {
        return;
    }
    let (mut ring, ran) = (plain(), Arc::default());
    let workers = workers(1, 2);
    let waits = workers.arm(tells(&ran)).expect("a slot");
    reuse(&workers, &mut ring, 3);
    assert!(in_forked_child(|| workers.close()), "hung");
    reuse(&workers, &mut ring, 3);
    push(&mut ring, &waits, 1, PLAIN);
    ring.submit();
    assert_eq!(ring.wait(), (1, WHOLE));
    assert_eq!(waits.finish(), Some(1));
}
