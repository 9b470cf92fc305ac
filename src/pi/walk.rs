//! Bytes that lie scattered over segments, taken in order. Segments may end anywhere.

use std::mem::take;

/// Reads over shared segments.
pub(crate) struct Reader<'a, I> {
    head: &'a [u8],
    rest: I,
}

impl<'a, I: Iterator<Item = &'a [u8]>> Reader<'a, I> {
    pub(crate) fn new(rest: I) -> Self {
        Reader { head: &[], rest }
    }

    /// Shows the next `n` bytes to `sink`, piece by piece. `None`: there are not so many.
    pub(crate) fn take(&mut self, mut n: usize, mut sink: impl FnMut(&[u8])) -> Option<()> {
        loop {
            if let Some((piece, tail)) = self.head.split_at_checked(n) {
                sink(piece);
                self.head = tail;
                return Some(());
            }
            n -= self.head.len();
            sink(self.head);
            self.head = self.rest.next()?;
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
        Writer {
            head: &mut [],
            rest,
        }
    }

    /// Lends the next `n` bytes to `edit`, piece by piece. `None`: there are not so many.
    pub(crate) fn take(&mut self, mut n: usize, mut edit: impl FnMut(&mut [u8])) -> Option<()> {
        loop {
            let head = take(&mut self.head);
            if n <= head.len() {
                let (piece, tail) = head.split_at_mut_checked(n)?;
                edit(piece);
                self.head = tail;
                return Some(());
            }
            n -= head.len();
            edit(head);
            self.head = self.rest.next()?;
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
                assert!(
                    reader
                        .take(n, |piece| seen.extend_from_slice(piece))
                        .is_some()
                );
                assert_eq!(seen.len() - before, n);
            }
            assert_eq!(seen, b"abcdefghij"[..10 / n * n]);
            assert!(reader.take(n, |_| ()).is_none());
        }
    }

    #[test]
    fn writes_land_in_order() {
        let mut segments = SEGMENTS.map(<[u8]>::to_vec);
        let mut writer = Writer::new(segments.iter_mut().map(Vec::as_mut_slice));
        let mut next = b'0';
        for n in [3, 0, 4, 3] {
            let edit = |piece: &mut [u8]| {
                for byte in piece {
                    *byte = next;
                    next += 1;
                }
            };
            assert!(writer.take(n, edit).is_some());
        }
        assert!(writer.take(1, |_| ()).is_none());
        assert_eq!(segments.concat(), b"0123456789");
    }
}
