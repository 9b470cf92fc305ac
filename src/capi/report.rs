//! A verification's report while it is filled.

use std::ops::ControlFlow;

use super::boundary::{Segments, bytes, read_sized, reserved, write_sized};
use super::format::urx_pi_error;
use super::pi::{URX_REPORT_COUNT_ALL, urx_pi_report};
use crate::error::{Error, Result};
use crate::pi::{Counts, Failure};

/// The caller's report, if he has one.
pub(super) struct Found {
    report: Option<(*mut urx_pi_report, urx_pi_report)>,
}

impl Found {
    /// Without a report the first failure ends it. `looked_at` is what is read or written meanwhile:
    /// neither the report nor its array may lie there.
    ///
    /// # Safety
    /// `report` is NULL or valid, and so is the array in it.
    pub(super) unsafe fn new(report: *mut urx_pi_report, looked_at: &[&Segments]) -> Result<Self> {
        if report.is_null() {
            return Ok(Found { report: None });
        }
        // SAFETY: the caller's.
        let r = unsafe { read_sized(report) }?;
        if r.flags & !URX_REPORT_COUNT_ALL != 0 {
            return Err(Error::Invalid(c"report: an unknown flag is set"));
        }
        if r.stored > r.capacity {
            return Err(Error::Invalid(c"report: stored is more than capacity"));
        }
        reserved(&r.reserved)?;
        let room = bytes(r.capacity as usize, size_of::<urx_pi_error>())?;
        let errors = Segments::one(r.errors.cast(), room)?;
        let own = Segments::one(report.cast(), r.size as usize)?;
        errors.not_overlapping(&[&own])?;
        errors.not_overlapping(looked_at)?;
        own.not_overlapping(looked_at)?;
        Ok(Found { report: Some((report, r)) })
    }

    pub(super) fn put(&mut self, failure: &Failure) -> ControlFlow<()> {
        let Some((_, r)) = &mut self.report else {
            return ControlFlow::Break(());
        };
        if r.stored < r.capacity {
            let error = urx_pi_error::show(failure, r.first_block);
            // SAFETY: `stored` is below the capacity of the array, which overlaps nothing that is
            // looked at.
            unsafe { r.errors.add(r.stored as usize).write_unaligned(error) };
            r.stored += 1;
        }
        match r.stored < r.capacity || r.flags & URX_REPORT_COUNT_ALL != 0 {
            true => ControlFlow::Continue(()),
            false => ControlFlow::Break(()),
        }
    }

    /// Adds to the counters. An error if a check failed.
    pub(super) fn finish(self, counts: &Counts) -> Result<()> {
        if let Some((place, mut r)) = self.report {
            r.failed = r.failed.wrapping_add(counts.failed);
            r.blocks = r.blocks.wrapping_add(counts.blocks);
            r.escaped = r.escaped.wrapping_add(counts.escaped);
            // SAFETY: `new` has read from there, and its caller vouches for writes.
            unsafe { write_sized(place, &r) }?;
        }
        if counts.failed == 0 { Ok(()) } else { Err(Error::Check) }
    }
}
