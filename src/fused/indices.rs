//! Which indices of the ring's table of registered buffers are free.

use std::collections::VecDeque;

/// Who has an index.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Owner {
    Nobody,
    Command,
    Caller,
}

/// A range of indices.
#[derive(Debug)]
pub(crate) struct Indices {
    base: u32,
    owners: Vec<Owner>,
    /// The one that was free the longest comes first: a buffer that outlives its command by mistake is found late.
    free: VecDeque<u16>,
}

impl Indices {
    /// `base..base + count`, below 65537.
    pub(crate) fn new(base: u32, count: u32) -> Self {
        let free = (base..base + count).filter_map(|index| u16::try_from(index).ok()).collect();
        Indices { base, owners: vec![Owner::Nobody; count as usize], free }
    }

    fn owner(&mut self, index: u16) -> Option<&mut Owner> {
        let place = u32::from(index).checked_sub(self.base)?;
        self.owners.get_mut(place as usize)
    }

    /// None: all are in use.
    pub(crate) fn take(&mut self, owner: Owner) -> Option<u16> {
        let index = self.free.pop_front()?;
        *self.owner(index)? = owner;
        Some(index)
    }

    /// False: it is not that owner's. An index that is never put back is never handed out again.
    pub(crate) fn put(&mut self, index: u16, owner: Owner) -> bool {
        match self.owner(index) {
            Some(known) if *known == owner => *known = Owner::Nobody,
            _ => return false,
        }
        self.free.push_back(index);
        true
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// Random calls against a set of what is out.
    #[test]
    fn an_index_has_one_owner() {
        let mut state = 0x2545_f491_4f6c_dd1du64;
        let mut random = move || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state >> 16
        };
        for (base, count) in [(0, 1), (0, 7), (100, 64), (65500, 36), (9, 0)] {
            let mut indices = Indices::new(base, count);
            let mut out = BTreeSet::new();
            for _ in 0..4000 {
                let owner = [Owner::Command, Owner::Caller][random() as usize % 2];
                if random() % 2 == 0 {
                    match indices.take(owner) {
                        Some(index) => {
                            assert!((base..base + count).contains(&u32::from(index)));
                            let others =
                                [Owner::Command, Owner::Caller].map(|one| (index, one as u8));
                            assert!(others.iter().all(|one| !out.contains(one)), "{index} twice");
                            out.insert((index, owner as u8));
                        }
                        None => assert_eq!(out.len(), count as usize),
                    }
                } else {
                    let index = (u64::from(base) + random() % (u64::from(count) + 3)) as u16;
                    assert_eq!(indices.put(index, owner), out.remove(&(index, owner as u8)));
                }
            }
        }
    }

    #[test]
    fn the_longest_free_comes_first() {
        let take = |indices: &mut Indices| indices.take(Owner::Caller);
        let mut indices = Indices::new(5, 3);
        assert_eq!(take(&mut indices), Some(5));
        assert!(indices.put(5, Owner::Caller));
        assert_eq!([(); 3].map(|()| take(&mut indices)), [Some(6), Some(7), Some(5)]);
        assert_eq!(take(&mut indices), None);
    }
}
