//! Rings for writes and reads of our own, as many as are used at a time.

use std::sync::{Mutex, PoisonError};

use crate::abi::Sqe;
use crate::error::{Error, Result};
use crate::sys::own_ring::{OwnRing, widened};

#[derive(Debug, Default)]
pub(super) struct Rings(Mutex<Vec<OwnRing>>);

impl Rings {
    /// Does one operation and waits for it: what a CQE of it says, if that is no error.
    pub(super) fn submit(&self, sqe: &Sqe) -> Result<u32> {
        let idle = self.0.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let mut ring = match idle {
            Some(ring) => ring,
            None => OwnRing::new()?,
        };
        let (res, _) = ring.submit(&widened(sqe))?;
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(ring);
        u32::try_from(res).map_err(|_| Error::Os(res.saturating_neg()))
    }
}
