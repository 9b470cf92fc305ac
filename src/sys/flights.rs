//! A ring of the library's own for many operations at a time, each with what its SQE points to.

use std::collections::VecDeque;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::thread::sleep;
use std::time::Duration;

use io_uring::{IoUring, cqueue, squeue};

use super::entry::{entry, entry128};
use crate::abi::{Sqe, SqeNvme};
use crate::error::Result;

/// Operations at a time.
const MOST: u32 = 128;

/// Until the kernel may have what it lacked.
const MOMENT: Duration = Duration::from_millis(1);

/// What SQEs and CQEs are like.
pub(crate) trait Shape {
    type Sqe;
    type Entry: squeue::EntryMarker;
    type Cqe: cqueue::EntryMarker;

    /// An SQE with the number of its operation.
    fn entry(sqe: &Self::Sqe, number: u32) -> Self::Entry;

    fn told(cqe: &Self::Cqe) -> (u64, Ended);
}

/// Every kernel's.
pub(crate) struct Small;

impl Shape for Small {
    type Sqe = Sqe;
    type Entry = squeue::Entry;
    type Cqe = cqueue::Entry;

    fn entry(sqe: &Sqe, number: u32) -> squeue::Entry {
        entry(&Sqe { user_data: number.into(), ..*sqe })
    }

    fn told(cqe: &cqueue::Entry) -> (u64, Ended) {
        (cqe.user_data(), Ended { res: cqe.result(), value: 0 })
    }
}

/// With room for an NVMe command and its result (5.19).
pub(crate) struct Large;

impl Shape for Large {
    type Sqe = SqeNvme;
    type Entry = squeue::Entry128;
    type Cqe = cqueue::Entry32;

    fn entry(sqe: &SqeNvme, number: u32) -> squeue::Entry128 {
        entry128(&SqeNvme { user_data: number.into(), ..*sqe })
    }

    fn told(cqe: &cqueue::Entry32) -> (u64, Ended) {
        (cqe.user_data(), Ended { res: cqe.result(), value: cqe.big_cqe()[0] })
    }
}

/// How an operation has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Ended {
    pub(crate) res: i32,
    /// The first word beyond the usual CQE.
    pub(crate) value: u64,
}

/// Operations and what belongs to each of them.
pub(crate) struct Flights<P, S: Shape = Small> {
    ring: IoUring<S::Entry, S::Cqe>,
    /// By the operations' numbers.
    under_way: Vec<Option<P>>,
    free: Vec<u32>,
    /// Numbers of what the kernel was not told of yet, the oldest first.
    pushed: VecDeque<u32>,
    /// What it refuses to be told of, and why.
    refused: VecDeque<(P, i32)>,
    /// Since when it refuses everything.
    broken: Option<i32>,
}

impl<P, S: Shape> Flights<P, S> {
    pub(crate) fn new() -> Result<Self> {
        Ok(Flights {
            ring: IoUring::builder().build(MOST)?,
            under_way: (0..MOST).map(|_| None).collect(),
            free: (0..MOST).rev().collect(),
            pushed: VecDeque::new(),
            refused: VecDeque::new(),
            broken: None,
        })
    }

    pub(crate) fn has_room(&self) -> bool {
        !self.free.is_empty()
    }

    /// Nothing is under way, and nothing to be had by `reap`.
    pub(crate) fn is_idle(&self) -> bool {
        self.free.len() == MOST as usize && self.refused.is_empty()
    }

    /// The kernel may refuse all operations from some time on (a seccomp filter).
    pub(crate) const fn is_broken(&self) -> bool {
        self.broken.is_some()
    }

    /// Takes an operation, for which there must be room. What its SQE points to is memory lent to a request, or on
    /// the heap and owned by `payload`, which is kept until the operation has ended.
    pub(crate) fn push(&mut self, sqe: &S::Sqe, payload: P) {
        let number = match (self.broken, self.free.pop()) {
            (None, Some(number)) => number,
            (errno, free) => {
                self.free.extend(free);
                return self.refused.push_back((payload, errno.unwrap_or(libc::EBUSY)));
            }
        };
        let entry = S::entry(sqe, number);
        // SAFETY: memory lent to a request stays valid until that has ended, and the payload outlives the operation.
        let queued = unsafe { self.ring.submission().push(&entry) };
        match (queued, self.under_way.get_mut(number as usize)) {
            (Ok(()), Some(place)) => {
                *place = Some(payload);
                self.pushed.push_back(number);
            }
            // There are as many entries as numbers.
            _ => {
                self.free.push(number);
                self.refused.push_back((payload, libc::EBUSY));
            }
        }
    }

    /// Tells the kernel of everything, without waiting for its end.
    pub(crate) fn submit(&mut self) {
        self.enter(0);
    }

    /// Until there is something to reap.
    pub(crate) fn wait(&mut self) {
        while !self.is_idle() && self.refused.is_empty() && self.ring.completion().is_empty() {
            self.enter(1);
        }
    }

    fn enter(&mut self, wanted: usize) {
        if self.broken.is_some() {
            return sleep(MOMENT); // what is under way ends nevertheless
        }
        loop {
            let told = self.pushed.len();
            let entered = match (told, wanted) {
                (0, 0) => return,
                (_, 0) => self.ring.submit(),
                (_, wanted) => self.ring.submit_and_wait(wanted),
            };
            let left = self.ring.submission().len();
            self.pushed.drain(..told.saturating_sub(left));
            match entered.map_err(|error| error.raw_os_error()) {
                Ok(_) if left == 0 => return,
                Ok(_) | Err(Some(libc::EINTR)) => {}
                Err(Some(libc::EAGAIN | libc::EBUSY | libc::ENOMEM)) => sleep(MOMENT),
                Err(errno) => return self.give_up(errno.unwrap_or(libc::EIO)),
            }
            if wanted != 0 {
                return; // the caller looks
            }
        }
    }

    fn give_up(&mut self, errno: i32) {
        self.broken = Some(errno);
        for number in self.pushed.drain(..) {
            let payload = self.under_way.get_mut(number as usize).and_then(Option::take);
            self.free.push(number);
            self.refused.extend(payload.map(|payload| (payload, errno)));
        }
    }

    /// An operation that has ended, and how.
    pub(crate) fn reap(&mut self) -> Option<(P, Ended)> {
        if let Some((payload, errno)) = self.refused.pop_front() {
            return Some((payload, Ended { res: -errno, value: 0 }));
        }
        let (number, ended) = S::told(&self.ring.completion().next()?);
        let number = u32::try_from(number).ok()?;
        let payload = self.under_way.get_mut(number as usize)?.take()?;
        self.free.push(number);
        Some((payload, ended))
    }
}

impl<P, S: Shape> AsFd for Flights<P, S> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        // SAFETY: the ring's, which lives as long as `self`.
        unsafe { BorrowedFd::borrow_raw(self.ring.as_raw_fd()) }
    }
}

impl<P, S: Shape> Drop for Flights<P, S> {
    /// What the payloads own the kernel may still look at.
    fn drop(&mut self) {
        self.submit();
        while !self.is_idle() {
            self.wait();
            while self.reap().is_some() {}
        }
    }
}

impl<P, S: Shape> std::fmt::Debug for Flights<P, S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Flights").field("free", &self.free.len()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    use std::fs::File;
    use std::io::{Write, pipe};

    use crate::memory::Buffer;
    use crate::sqe;

    /// A read of one byte into memory that is its payload.
    fn push(flights: &mut Flights<Buffer>, file: &impl AsRawFd) {
        let mut byte = Buffer::new(1);
        let read = sqe::read(file.as_raw_fd(), byte.address(), 1, 0);
        flights.push(&read, byte);
    }

    fn reap(flights: &mut Flights<Buffer>) -> (u8, i32) {
        flights.wait();
        let (byte, ended) = flights.reap().expect("one has ended");
        (byte.bytes()[0], ended.res)
    }

    #[test]
    fn each_result_comes_with_its_own_memory() {
        let mut flights = Flights::<_>::new().unwrap();
        let mut pipes: Vec<_> = (0..MOST).map(|_| pipe().unwrap()).collect();
        for (reader, _) in &pipes {
            assert!(flights.has_room());
            push(&mut flights, reader);
        }
        assert!(!flights.has_room() && !flights.is_idle());
        push(&mut flights, &pipes[0].0);
        assert_eq!(reap(&mut flights), (0, -libc::EBUSY), "one too many");
        flights.submit();
        for (n, (_, writer)) in pipes.iter_mut().enumerate().rev() {
            writer.write_all(&[n as u8]).unwrap();
            assert_eq!(reap(&mut flights), (n as u8, 1));
        }
        assert!(flights.is_idle() && flights.reap().is_none());
    }

    #[test]
    fn memory_outlives_the_operation() {
        let (reader, mut writer) = pipe().unwrap();
        let mut flights = Flights::<_>::new().unwrap();
        push(&mut flights, &reader);
        flights.submit();
        std::thread::scope(|scope| {
            let dropped = scope.spawn(move || drop(flights));
            sleep(20 * MOMENT);
            assert!(!dropped.is_finished(), "while the kernel may write there");
            writer.write_all(&[1]).unwrap();
        });
    }

    #[test]
    fn a_kernel_that_refuses_everything_loses_nothing() {
        let (reader, mut writer) = pipe().unwrap();
        let mut flights = Flights::<_>::new().unwrap();
        push(&mut flights, &reader);
        flights.submit();
        // No ring any more for system calls.
        let other = File::open("/dev/null").unwrap();
        // SAFETY: descriptors of this test.
        unsafe { libc::dup2(other.as_raw_fd(), flights.as_fd().as_raw_fd()) };
        push(&mut flights, &reader);
        flights.submit();
        push(&mut flights, &reader);
        for _ in 0..2 {
            assert_eq!(reap(&mut flights), (0, -libc::EOPNOTSUPP));
        }
        assert!(flights.is_broken() && !flights.is_idle());
        writer.write_all(&[7]).unwrap();
        assert_eq!(reap(&mut flights), (7, 1), "what was under way");
        assert!(flights.is_idle());
    }
}
