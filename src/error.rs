//! The one error type, and the single place where an error becomes an errno.

use std::ffi::CStr;
use std::fmt;

/// Why a call was refused. Every variant but [`Error::Os`] carries one sentence of static text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Error {
    /// An argument that is wrong by itself (`EINVAL`).
    Invalid(&'static CStr),
    /// A request beyond the end of its target (`ERANGE`).
    Range(&'static CStr),
    /// A right request that this target, ring or kernel cannot carry (`EOPNOTSUPP`).
    Unsupported(&'static CStr),
    /// A struct from a newer header that uses fields unknown here (`E2BIG`).
    Newer(&'static CStr),
    /// A check of the protection information failed (`EILSEQ`).
    Check,
    /// Anything else that has an errno of its own.
    Because(i32, &'static CStr),
    /// What the kernel answered.
    Os(i32),
}

/// The result of everything that can be refused.
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    /// The positive errno.
    pub const fn errno(self) -> i32 {
        match self {
            Error::Invalid(_) => libc::EINVAL,
            Error::Range(_) => libc::ERANGE,
            Error::Unsupported(_) => libc::EOPNOTSUPP,
            Error::Newer(_) => libc::E2BIG,
            Error::Check => libc::EILSEQ,
            Error::Because(errno, _) | Error::Os(errno) => errno,
        }
    }

    /// The sentence that tells why.
    pub const fn why(self) -> &'static CStr {
        match self {
            Error::Invalid(why) | Error::Range(why) => why,
            Error::Unsupported(why) | Error::Newer(why) | Error::Because(_, why) => why,
            Error::Check => c"a check of the protection information failed",
            Error::Os(_) => c"the kernel refused it: the errno is its answer",
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Os(errno) => std::io::Error::from_raw_os_error(*errno).fmt(f),
            other => f.write_str(&other.why().to_string_lossy()),
        }
    }
}

impl std::error::Error for Error {}

impl From<std::io::Error> for Error {
    fn from(error: std::io::Error) -> Self {
        Error::Os(error.raw_os_error().unwrap_or(libc::EIO))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_error_has_its_errno() {
        assert_eq!(Error::Invalid(c"x").errno(), 22);
        assert_eq!(Error::Range(c"x").errno(), 34);
        assert_eq!(Error::Unsupported(c"x").errno(), 95);
        assert_eq!(Error::Newer(c"x").errno(), 7);
        assert_eq!(Error::Check.errno(), 84);
        assert_eq!(Error::Because(16, c"x").errno(), 16);
        assert_eq!(Error::Os(5).errno(), 5);
        assert_eq!(Error::Invalid(c"a sentence").to_string(), "a sentence");
    }
}
