//! Other tags for tuples that are there already: remapping reference tags, replacing application and
//! storage tags. Guards stay.

use std::ops::ControlFlow;

use super::crc::Sum;
use super::tuple::{Tuple, Words};
use super::verify::{Counts, Failure, Judge, Wanted};
use super::walk::Writer;
use super::{Pi, SHORT};
use crate::error::{Error, Result};
use crate::geometry::{Checks, Tags};

impl Pi {
    /// In every tuple that passes `from`, the fields not in `keep` get the values of `to`. Others are left
    /// alone and told to `found`; so are, untold, those with an escape value. Segments are of metadata,
    /// or of both when interleaved.
    pub(crate) fn retag_scattered<'a>(
        &self,
        from: &Wanted<'_>,
        to: &Tags,
        count: u64,
        segments: impl Iterator<Item = &'a mut [u8]>,
        mut found: impl FnMut(Failure) -> ControlFlow<()>,
    ) -> Result<Counts> {
        if from.tags.checks.contains(Checks::GUARD) {
            return Err(Error::Invalid(c"from: retagging does not look at guards"));
        }
        self.check_storage(to)?;
        let mut heard = ControlFlow::Continue(());
        let found = |failure| {
            if heard.is_continue() {
                heard = found(failure);
            }
            ControlFlow::Continue(()) // all tuples are gone through, told or not
        };
        let mut judge = Judge::of_any(self, from, 0, found)?;
        let words = Words::new(&self.protection, to);
        let keep = Tuple::field_mask(&self.protection, to.keep | Checks::GUARD);
        let mut meta = Writer::new(segments);
        for block in 0..count {
            if self.interleaved {
                meta.take(self.interval, |_| ()).ok_or(SHORT)?;
            }
            // The checksum is not looked at: nothing is fed to it but what lies before a tuple.
            let edit = |_, old| match judge.passes(old) {
                true => (words.word(0, block) & !keep) | (old & keep),
                false => old,
            };
            match meta.whole(self.meta_size, 1) {
                0 => self.edit_scattered_meta(Sum::new(self.protection.guard), &mut meta, edit),
                _ => meta.run(self.meta_size).and_then(|meta| self.edit_word(meta, edit)),
            }
            .ok_or(SHORT)?;
        }
        Ok(judge.counts)
    }

    /// The tuple in the metadata of one block in one piece, without its guard.
    pub(super) fn edit_word(
        &self,
        meta: &mut [u8],
        edit: impl FnOnce(u64, u128) -> u128,
    ) -> Option<()> {
        let bytes = meta.get_mut(self.offset()..self.offset() + self.tuple_size())?;
        super::tuple::store(bytes, edit(0, super::tuple::load(bytes)));
        Some(())
    }
}
