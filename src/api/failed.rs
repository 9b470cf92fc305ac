//! Why a request failed.

use std::fmt;

use super::request::Request;
use crate::completion::Diagnosis;
use crate::error::Error;
use crate::path::Paths;
use crate::pi::Failure;
use crate::queue::Finished;

/// What became of a request that was refused, or that failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failed(Box<Story>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct Story {
    error: Error,
    path: Paths,
    status: u16,
    diagnosis: Diagnosis,
    lba: u64,
    reasons: Vec<(Paths, Error)>,
}

impl Failed {
    /// Before it was submitted.
    pub(super) fn early(error: Error, reasons: Vec<(Paths, Error)>) -> Self {
        let (path, diagnosis) = (Paths::empty(), Diagnosis::Unknown);
        Failed(Box::new(Story { error, path, status: 0, diagnosis, lba: 0, reasons }))
    }

    /// Of a result below 0.
    pub(super) fn late(finished: &Finished) -> Self {
        let Finished { path, outcome, lba, .. } = *finished;
        let error = match -outcome.res {
            libc::EILSEQ => Error::Check,
            errno => Error::Os(errno),
        };
        let (status, diagnosis, reasons) = (outcome.status, outcome.diagnosis, Vec::new());
        Failed(Box::new(Story { error, path, status, diagnosis, lba, reasons }))
    }

    /// What went wrong in general.
    pub fn error(&self) -> Error {
        self.0.error
    }

    /// Its errno: `EILSEQ` for a failed check.
    pub fn errno(&self) -> i32 {
        self.0.error.errno()
    }

    /// The path by which it went; none if it was refused.
    pub fn path(&self) -> Paths {
        self.0.path
    }

    /// The NVMe status, its type and code: 11 bits; 0: none.
    pub fn status(&self) -> u16 {
        self.0.status
    }

    /// The check that failed, if it is known which: always of a write, of a read where software verified. For other
    /// reads there is [`Queue::diagnose`](crate::Queue::diagnose).
    pub fn failure(&self) -> Option<&Failure> {
        match &self.0.diagnosis {
            Diagnosis::Wrong(failure) => Some(failure),
            _ => None,
        }
    }

    /// Block of the device at which [`failure`](Self::failure) is.
    pub fn lba(&self) -> Option<u64> {
        self.failure().map(|failure| self.0.lba.wrapping_add(failure.block))
    }

    /// A check failed, but what was to be written is right: it was damaged on its way.
    pub fn in_transit(&self) -> bool {
        self.0.diagnosis == Diagnosis::InTransit
    }

    /// Where no path could carry it: of each that was allowed, why.
    pub fn reasons(&self) -> &[(Paths, Error)] {
        &self.0.reasons
    }
}

impl fmt::Display for Failed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Story { error, path, status, diagnosis, reasons, .. } = &*self.0;
        match diagnosis {
            Diagnosis::Wrong(failure) => {
                write!(f, "{failure}, LBA {}", self.lba().unwrap_or(0))?;
            }
            Diagnosis::InTransit => f.write_str("damaged on its way to the device")?,
            Diagnosis::Unknown if !reasons.is_empty() => f.write_str("no path can carry it")?,
            Diagnosis::Unknown => write!(f, "{error}")?,
        }
        for (path, why) in reasons {
            write!(f, "; {}: {why}", path.name())?;
        }
        if *status != 0 {
            write!(f, ", NVMe status {status:#x}")?;
        }
        match path.is_empty() {
            true => Ok(()),
            false => write!(f, ", by {}", path.name()),
        }
    }
}

impl std::error::Error for Failed {}

impl From<Error> for Failed {
    fn from(error: Error) -> Self {
        Failed::early(error, Vec::new())
    }
}

impl From<Failed> for std::io::Error {
    fn from(failed: Failed) -> Self {
        std::io::Error::other(failed)
    }
}

/// A request that was not planned, and why. Nothing has been done with it.
pub struct Refused<D, M> {
    /// The request, for another try: after `EAGAIN` when another one has ended.
    pub request: Request<D, M>,
    /// Why.
    pub failed: Failed,
}

impl<D, M> fmt::Debug for Refused<D, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.failed, f)
    }
}

impl<D, M> fmt::Display for Refused<D, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.failed, f)
    }
}

impl<D, M> std::error::Error for Refused<D, M> {}

impl<D, M> From<Refused<D, M>> for Failed {
    fn from(refused: Refused<D, M>) -> Self {
        refused.failed
    }
}
