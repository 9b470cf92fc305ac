//! Ranges of blocks in use: readers share, a writer has his range alone. First come, first served, so nobody
//! waits for ever; a thread holds one range at a time, so no two wait for each other.

use std::ops::Range;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// All ranges that are held or waited for.
#[derive(Debug, Default)]
pub(super) struct Ranges {
    queue: Mutex<Queue>,
    left: Condvar,
}

#[derive(Debug, Default)]
struct Queue {
    next: u64,
    waiting: usize,
    /// In the order in which they came.
    all: Vec<Entry>,
}

#[derive(Debug)]
struct Entry {
    ticket: u64,
    range: Range<u64>,
    alone: bool,
}

/// A range that is held until this is dropped.
#[derive(Debug)]
#[must_use]
pub(super) struct Held<'r> {
    ranges: &'r Ranges,
    ticket: u64,
}

impl Ranges {
    /// For reading.
    pub(super) fn share(&self, range: Range<u64>) -> Held<'_> {
        self.hold(range, false)
    }

    /// For writing.
    pub(super) fn alone(&self, range: Range<u64>) -> Held<'_> {
        self.hold(range, true)
    }

    fn hold(&self, range: Range<u64>, alone: bool) -> Held<'_> {
        let mut queue = self.queue();
        let ticket = queue.next;
        queue.next += 1;
        queue.all.push(Entry { ticket, range, alone });
        while !queue.is_next(ticket) {
            queue.waiting += 1;
            queue = self.left.wait(queue).unwrap_or_else(PoisonError::into_inner);
            queue.waiting -= 1;
        }
        Held { ranges: self, ticket }
    }

    /// Nothing that a panic could leave half changed is done while it is held.
    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Queue {
    /// Whether nobody who came earlier is in the way.
    fn is_next(&self, ticket: u64) -> bool {
        let Some(at) = self.all.iter().position(|entry| entry.ticket == ticket) else {
            return true;
        };
        let (earlier, rest) = self.all.split_at(at);
        rest.first().is_none_or(|mine| !earlier.iter().any(|other| other.excludes(mine)))
    }
}

impl Entry {
    fn excludes(&self, other: &Entry) -> bool {
        let overlap = self.range.start < other.range.end && other.range.start < self.range.end;
        overlap && (self.alone || other.alone)
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        let mut queue = self.ranges.queue();
        queue.all.retain(|entry| entry.ticket != self.ticket);
        if queue.waiting > 0 {
            self.ranges.left.notify_all();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
    use std::thread::{scope, sleep};
    use std::time::Duration;

    /// Whether one who comes now gets the range at once.
    fn free(ranges: &Ranges, range: Range<u64>, alone: bool) -> bool {
        let mut queue = ranges.queue();
        let ticket = queue.next;
        queue.all.push(Entry { ticket, range, alone });
        let free = queue.is_next(ticket);
        queue.all.pop();
        free
    }

    #[test]
    fn only_what_overlaps_excludes() {
        let ranges = Ranges::default();
        let (a, b) = (ranges.alone(10..20), ranges.share(30..40));
        assert!(free(&ranges, 0..10, true) && free(&ranges, 20..30, true));
        assert!(free(&ranges, 35..36, false));
        assert!(!free(&ranges, 35..36, true) && !free(&ranges, 19..21, false));
        assert!(!free(&ranges, 0..u64::MAX, false));
        drop(a);
        assert!(free(&ranges, 0..u64::MAX, false));
        drop(b);
        assert!(free(&ranges, 0..u64::MAX, true));
    }

    #[test]
    fn a_writer_who_waits_is_not_overtaken() {
        let ranges = Ranges::default();
        let got = AtomicBool::new(false);
        scope(|scope| {
            let reader = ranges.share(0..10);
            scope.spawn(|| {
                let _held = ranges.alone(5..15);
                got.store(true, SeqCst);
            });
            while ranges.queue().waiting == 0 {
                sleep(Duration::from_millis(1));
            }
            assert!(!free(&ranges, 9..10, false), "a later reader goes first");
            assert!(!got.load(SeqCst));
            drop(reader);
        });
        assert!(got.load(SeqCst) && ranges.queue().all.is_empty());
    }

    #[test]
    fn nobody_is_in_a_range_with_a_writer() {
        let ranges = Ranges::default();
        let cells: Vec<AtomicU64> = (0..16).map(|_| AtomicU64::new(0)).collect();
        scope(|scope| {
            for seed in 0..4u64 {
                let (ranges, cells) = (&ranges, &cells);
                scope.spawn(move || {
                    let mut x = seed + 1;
                    for _ in 0..5000 {
                        x = x.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
                        let (start, len) = (x >> 33 & 15, 1 + (x >> 40 & 3));
                        let range = start..(start + len).min(16);
                        let mine = &cells[range.start as usize..range.end as usize];
                        if x >> 50 & 1 == 0 {
                            let _held = ranges.alone(range);
                            assert!(mine.iter().all(|cell| cell.swap(1 << 32, SeqCst) == 0));
                            mine.iter().for_each(|cell| cell.store(0, SeqCst));
                        } else {
                            let _held = ranges.share(range);
                            assert!(mine.iter().all(|cell| cell.fetch_add(1, SeqCst) < 1 << 32));
                            mine.iter().for_each(|cell| {
                                cell.fetch_sub(1, SeqCst);
                            });
                        }
                    }
                });
            }
        });
    }
}
