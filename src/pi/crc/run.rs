//! A run of equally spaced blocks: what a kernel is given to work on.

/// Blocks to be read, and perhaps copied. All of them lie inside the slices: [`Run::new`] sees to it.
#[derive(Debug)]
pub(super) struct Run<'a> {
    data: &'a [u8],
    stride: usize,
    interval: usize,
    copy: Option<(&'a mut [u8], usize)>,
    count: usize,
    /// Part of so much that it comes from beyond the nearer caches.
    #[allow(dead_code, reason = "kernels that have no use for it")]
    pub(super) far: bool,
}

/// Where a block starts: [`Run::interval`] bytes can be read from `from` and, if the run copies, be
/// written to `to`. No part of them overlaps.
#[derive(Debug, Clone, Copy)]
#[allow(dead_code, reason = "only tables on other architectures")]
pub(super) struct Block {
    pub(super) from: *const u8,
    pub(super) to: *mut u8,
}

/// Blocks of `interval` bytes, one every `stride`, that lie in `len` bytes.
const fn fit(len: usize, interval: usize, stride: usize) -> usize {
    match len.checked_sub(interval) {
        None => 0,
        Some(_) if stride < interval || stride == 0 => 1,
        Some(rest) => rest / stride + 1,
    }
}

impl<'a> Run<'a> {
    /// At most `count` blocks, fewer if the slices hold fewer.
    pub(super) fn new(
        data: &'a [u8],
        stride: usize,
        copy: Option<(&'a mut [u8], usize)>,
        interval: usize,
        count: usize,
    ) -> Self {
        let mut count = count.min(fit(data.len(), interval, stride));
        if let Some((to, to_stride)) = &copy {
            count = count.min(fit(to.len(), interval, *to_stride));
        }
        Run { data, stride, interval, copy, count, far: false }
    }

    /// Bytes of a block.
    pub(super) const fn interval(&self) -> usize {
        self.interval
    }

    /// Bytes from one block to the next.
    #[allow(dead_code, reason = "only tables on other architectures")]
    pub(super) const fn stride(&self) -> usize {
        self.stride
    }

    /// Number of blocks.
    pub(super) const fn count(&self) -> usize {
        self.count
    }

    /// The bytes of block `i`, copied if the run copies. Empty when there is no such block.
    pub(super) fn bytes(&mut self, i: usize) -> &'a [u8] {
        fn block(i: usize, stride: usize, interval: usize) -> Option<std::ops::Range<usize>> {
            let start = i.checked_mul(stride)?;
            Some(start..start.checked_add(interval)?)
        }
        let range = block(i, self.stride, self.interval);
        let bytes = range.and_then(|r| self.data.get(r)).unwrap_or_default();
        if let Some((to, to_stride)) = &mut self.copy
            && let Some(to) = block(i, *to_stride, self.interval).and_then(|r| to.get_mut(r))
            && to.len() == bytes.len()
        {
            to.copy_from_slice(bytes);
        }
        bytes
    }

    /// Every block.
    #[allow(dead_code, reason = "only tables on other architectures")]
    pub(super) fn blocks(&mut self) -> impl Iterator<Item = Block> {
        let (from, stride) = (self.data.as_ptr(), self.stride);
        let (to, to_stride) = match &mut self.copy {
            Some((to, to_stride)) => (to.as_mut_ptr(), *to_stride),
            None => (std::ptr::null_mut(), 0),
        };
        (0..self.count).map(move |i| Block {
            from: from.wrapping_add(i * stride),
            to: to.wrapping_add(i * to_stride),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::fit;

    #[test]
    fn only_whole_blocks_fit() {
        assert_eq!(fit(511, 512, 520), 0);
        assert_eq!(fit(512, 512, 520), 1);
        assert_eq!(fit(1031, 512, 520), 1);
        assert_eq!(fit(1032, 512, 520), 2);
        assert_eq!(fit(1024, 512, 512), 2);
        assert_eq!(fit(1024, 512, 0), 1);
        assert_eq!(fit(usize::MAX, 8, 8), usize::MAX / 8);
    }
}
