//! A caller's segments, cut into batches: what the walk over blocks in `pi` is to memory, this is to
//! files.

use std::io::{IoSlice, IoSliceMut};
use std::mem::take;

use super::medium::{Aligned, Landed, Medium, Written};
use crate::error::{Error, Result};
use crate::sys::file::Direct;

/// The caller's segments are fewer bytes than the request.
const SHORT: Error = Error::Invalid(c"data: shorter than the request");

/// Pieces of one preadv(2): more go through memory of our own when the kernel asks for whole sectors.
const MOST: usize = 1024;

/// A slice that can be cut.
pub(super) trait Piece: Default {
    fn len(&self) -> usize;
    fn cut(self, at: usize) -> (Self, Self);
}

impl Piece for &[u8] {
    fn len(&self) -> usize {
        <[u8]>::len(self)
    }
    fn cut(self, at: usize) -> (Self, Self) {
        self.split_at_checked(at).unwrap_or((self, &[]))
    }
}

impl Piece for &mut [u8] {
    fn len(&self) -> usize {
        <[u8]>::len(self)
    }
    fn cut(self, at: usize) -> (Self, Self) {
        let at = at.min(self.len());
        self.split_at_mut_checked(at).unwrap_or_default()
    }
}

/// Takes segments batch by batch.
pub(super) struct Cutter<S, I> {
    head: S,
    rest: I,
}

impl<S: Piece, I: Iterator<Item = S>> Cutter<S, I> {
    pub(super) fn new(rest: I) -> Self {
        Cutter { head: S::default(), rest }
    }

    /// The next `n` bytes, without empty pieces.
    pub(super) fn take(&mut self, mut n: usize, pieces: &mut Vec<S>) -> Result<()> {
        pieces.clear();
        while n > 0 {
            if self.head.len() == 0 {
                self.head = self.rest.next().ok_or(SHORT)?;
                continue;
            }
            let (piece, head) = take(&mut self.head).cut(n);
            n -= piece.len();
            pieces.push(piece);
            self.head = head;
        }
        Ok(())
    }
}

/// Reads into the pieces.
pub(super) fn read(
    file: &dyn Medium,
    direct: Option<Direct>,
    pieces: &mut [&mut [u8]],
    offset: u64,
) -> Result<()> {
    let Some(align) = bounce(direct, pieces.iter().map(|piece| &**piece)) else {
        let mut slices: Vec<IoSliceMut<'_>> =
            pieces.iter_mut().map(|piece| IoSliceMut::new(piece)).collect();
        return file.read(&mut slices, offset);
    };
    let mut memory = Aligned::new(pieces.iter().map(|piece| piece.len()).sum(), align)?;
    file.read(&mut [IoSliceMut::new(memory.bytes_mut())], offset)?;
    let mut rest = memory.bytes();
    for piece in pieces {
        let (bytes, later) = rest.split_at_checked(piece.len()).ok_or(SHORT)?;
        piece.copy_from_slice(bytes);
        rest = later;
    }
    Ok(())
}

/// Writes the pieces.
pub(super) fn write(
    file: &dyn Medium,
    direct: Option<Direct>,
    pieces: &[&[u8]],
    offset: u64,
) -> Written {
    let Some(align) = bounce(direct, pieces.iter().copied()) else {
        let mut slices: Vec<IoSlice<'_>> = pieces.iter().map(|piece| IoSlice::new(piece)).collect();
        return file.write(&mut slices, offset);
    };
    let nothing = |error| Landed { bytes: 0, error };
    let memory = Aligned::new(pieces.iter().map(|piece| piece.len()).sum(), align);
    let mut memory = memory.map_err(nothing)?;
    let mut rest = memory.bytes_mut();
    for piece in pieces {
        let (place, later) = rest.split_at_mut_checked(piece.len()).ok_or(nothing(SHORT))?;
        place.copy_from_slice(piece);
        rest = later;
    }
    file.write(&mut [IoSlice::new(memory.bytes())], offset)
}

/// The alignment of the memory through which direct I/O has to go, if these pieces cannot be
/// handed to the kernel.
fn bounce<'p>(
    direct: Option<Direct>,
    mut pieces: impl ExactSizeIterator<Item = &'p [u8]>,
) -> Option<usize> {
    let Direct { memory, block } = direct?;
    let (memory, block) = (memory as usize, block as usize);
    let fits = |piece: &[u8]| {
        piece.as_ptr().addr().is_multiple_of(memory) && piece.len().is_multiple_of(block)
    };
    (pieces.len() > MOST || !pieces.all(fits)).then_some(memory.max(block).max(4096))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn batches_are_the_bytes_in_order() {
        let segments: [&[u8]; 5] = [b"ab", b"", b"cdefg", b"h", b"ij"];
        for n in 1..=10 {
            let mut cutter = Cutter::new(segments.into_iter());
            let (mut pieces, mut seen) = (vec![], vec![]);
            for _ in 0..10 / n {
                cutter.take(n, &mut pieces).unwrap();
                assert!(pieces.iter().all(|piece| !piece.is_empty()));
                assert_eq!(pieces.iter().map(|piece| piece.len()).sum::<usize>(), n);
                seen.extend(pieces.concat());
            }
            assert_eq!(seen, b"abcdefghij"[..10 / n * n]);
            assert_eq!(cutter.take(n, &mut pieces), Err(SHORT));
        }
        let mut bytes = *b"0123456789";
        let (a, b) = bytes.split_at_mut(3);
        let mut cutter = Cutter::new([a, &mut [], b].into_iter());
        let mut pieces: Vec<&mut [u8]> = vec![];
        for n in [2, 5] {
            cutter.take(n, &mut pieces).unwrap();
            pieces.iter_mut().for_each(|piece| piece.fill(b'0' + n as u8));
        }
        drop((cutter, pieces));
        assert_eq!(&bytes, b"2255555789");
    }

    #[test]
    fn what_direct_io_refuses_is_bounced() {
        let direct = Some(Direct { memory: 4, block: 512 });
        let memory = Aligned::new(2048, 4096).unwrap();
        let bytes = memory.bytes();
        let bounced = |pieces: &[&[u8]]| bounce(direct, pieces.iter().copied()).is_some();
        assert!(!bounced(&[&bytes[4..516], &bytes[1024..]]));
        assert!(bounced(&[&bytes[2..514]]));
        assert!(bounced(&[&bytes[..256], &bytes[256..512]]));
        assert!(bounced(&vec![&bytes[..512]; 1025]) && !bounced(&vec![&bytes[..512]; 1024]));
        assert_eq!(bounce(None, [&bytes[1..2]].into_iter()), None);
    }
}
