//! Memory as devices want it.

use std::fmt;
use std::ops::{Deref, DerefMut, Range};

/// Bytes at a multiple of 4096, which every device takes: zero at first, never moved, as many as asked for.
pub struct Buffer {
    memory: Box<[u8]>,
    place: Range<usize>,
}

const PAGE: usize = 4096;

impl Buffer {
    /// `len` zeros.
    pub fn new(len: usize) -> Self {
        let memory = vec![0; len.saturating_add(PAGE)].into_boxed_slice();
        let start = memory.as_ptr().addr().wrapping_neg() % PAGE;
        Buffer { memory, place: start..start + len }
    }
}

impl Deref for Buffer {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        self.memory.get(self.place.clone()).unwrap_or_default()
    }
}

impl DerefMut for Buffer {
    fn deref_mut(&mut self) -> &mut [u8] {
        self.memory.get_mut(self.place.clone()).unwrap_or_default()
    }
}

impl fmt::Debug for Buffer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Buffer").field("len", &self.len()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_lie_at_a_page() {
        for len in [0, 1, 4095, 4096, 100_000] {
            let mut buffer = Buffer::new(len);
            assert_eq!((buffer.len(), buffer.as_ptr().addr() % 4096), (len, 0));
            buffer.fill(7);
            assert!(buffer.iter().all(|byte| *byte == 7));
        }
    }
}
