//! Bytes that lie scattered over segments, taken in order. Segments may end anywhere.
//!
//! Most callers have one long segment: [`Reader::whole`] says how many blocks lie in one piece, so that
//! those can be had at once. What is cut by the end of a segment is taken piece by piece.

use std::mem::take;

/// How many times `len` goes into `all`, `most` at most: mostly that, which saves the division.
#[inline]
fn times(all: usize, len: usize, most: usize) -> usize {
    match len.checked_mul(most) {
        Some(wanted) if wanted <= all => most,
        _ => all.checked_div(len).unwrap_or(most),
    }
}

/// Reads over shared segments.
pub(crate) struct Reader<'a, I> {
    head: &'a [u8],
    rest: I,
}

impl<'a, I: Iterator<Item = &'a [u8]>> Reader<'a, I> {
    pub(crate) fn new(rest: I) -> Self {
        Reader { head: &[], rest }
    }

    /// How many times `len` bytes lie ahead in one piece, `most` at most.
    pub(crate) fn whole(&mut self, len: usize, most: usize) -> usize {
        self.refill();
        times(self.head.len(), len, most)
    }

    /// The next `len` bytes, known to lie in one piece.
    pub(crate) fn run(&mut self, len: usize) -> Option<&'a [u8]> {
        let (run, tail) = self.head.split_at_checked(len)?;
        self.head = tail;
        Some(run)
    }

    /// Shows the next `n` bytes to `sink`, piece by piece. `None`: there are not so many.
    pub(crate) fn take(&mut self, mut n: usize, mut sink: impl FnMut(&'a [u8])) -> Option<()> {
        loop {
            if let Some(piece) = self.run(n) {
                sink(piece);
                return Some(());
            }
            n -= self.head.len();
            sink(take(&mut self.head));
            self.head = self.rest.next()?;
        }
    }

    /// Fills a buffer with the next bytes.
    pub(crate) fn copy_to(&mut self, buffer: &mut [u8]) -> Option<()> {
        let (n, mut place) = (buffer.len(), buffer);
        self.take(n, |piece| {
            if let Some((to, left)) = take(&mut place).split_at_mut_checked(piece.len()) {
                to.copy_from_slice(piece);
                place = left;
            }
        })
    }

    fn refill(&mut self) {
        while self.head.is_empty() {
            match self.rest.next() {
                Some(next) => self.head = next,
                None => return,
            }
        }
    }
}

/// The same over segments that may be changed.
pub(crate) struct Writer<'a, I> {
    head: &'a mut [u8],
    rest: I,
}

impl<'a, I: Iterator<Item = &'a mut [u8]>> Writer<'a, I> {
    pub(crate) fn new(rest: I) -> Self {
        Writer { head: &mut [], rest }
    }

    /// As [`Reader::whole`].
    pub(crate) fn whole(&mut self, len: usize, most: usize) -> usize {
        self.refill();
        times(self.head.len(), len, most)
    }

    /// As [`Reader::run`].
    pub(crate) fn run(&mut self, len: usize) -> Option<&'a mut [u8]> {
        if len > self.head.len() {
            return None;
        }
        let (run, tail) = take(&mut self.head).split_at_mut_checked(len)?;
        self.head = tail;
        Some(run)
    }

    /// Lends the next `n` bytes to `edit`, piece by piece. `None`: there are not so many.
    pub(crate) fn take(&mut self, mut n: usize, mut edit: impl FnMut(&'a mut [u8])) -> Option<()> {
        loop {
            if let Some(piece) = self.run(n) {
                edit(piece);
                return Some(());
            }
            n -= self.head.len();
            edit(take(&mut self.head));
            self.head = self.rest.next()?;
        }
    }

    fn refill(&mut self) {
        while self.head.is_empty() {
            match self.rest.next() {
                Some(next) => self.head = next,
                None => return,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SEGMENTS: [&[u8]; 5] = [b"ab", b"", b"cdefg", b"h", b"ij"];

    #[test]
    fn any_cut_reads_the_same_bytes() {
        for n in 1..=10 {
            let mut reader = Reader::new(SEGMENTS.into_iter());
            let mut seen = Vec::new();
            for _ in 0..10 / n {
                let before = seen.len();
                assert!(reader.take(n, |piece| seen.extend_from_slice(piece)).is_some());
                assert_eq!(seen.len() - before, n);
            }
            assert_eq!(seen, b"abcdefghij"[..10 / n * n]);
            assert!(reader.take(n, |_| ()).is_none());
        }
    }

    #[test]
    fn whole_blocks_lie_in_one_piece() {
        let mut reader = Reader::new(SEGMENTS.into_iter());
        assert_eq!((reader.whole(2, 9), reader.whole(3, 9)), (1, 0));
        assert_eq!(reader.run(2), Some(&b"ab"[..]));
        assert_eq!((reader.whole(2, 9), reader.whole(6, 9)), (2, 0));
        assert_eq!(reader.run(6), None);
        assert_eq!(reader.run(4), Some(&b"cdef"[..]));
        let mut rest = [0; 4];
        assert!(reader.copy_to(&mut rest).is_some());
        assert_eq!(&rest, b"ghij");
        assert_eq!(reader.whole(1, 9), 0);
        assert!(reader.copy_to(&mut rest).is_none());
    }

    #[test]
    fn writes_land_in_order() {
        let mut segments = SEGMENTS.map(<[u8]>::to_vec);
        let mut writer = Writer::new(segments.iter_mut().map(Vec::as_mut_slice));
        let mut next = b'0';
        let mut edit = |piece: &mut [u8]| {
            for byte in piece {
                *byte = next;
                next += 1;
            }
        };
        assert!(writer.take(3, &mut edit).is_some());
        assert_eq!((writer.whole(4, 9), writer.whole(5, 9)), (1, 0));
        edit(writer.run(4).unwrap());
        assert!(writer.take(3, &mut edit).is_some());
        assert!(writer.take(1, |_| ()).is_none());
        assert_eq!(segments.concat(), b"0123456789");
    }
}
