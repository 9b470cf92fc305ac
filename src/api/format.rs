//! Formats, one word at a time.

use crate::error::{Error, Result};
use crate::geometry::{Format, Guard, PiType, Protection};

/// A [`Format`] in the making; [`build`](Self::build) refuses what cannot be.
#[derive(Debug, Clone, Copy)]
#[must_use]
pub struct FormatBuilder {
    interval: u32,
    meta_size: Option<u16>,
    interleaved: bool,
    guard: Option<Guard>,
    pi_type: PiType,
    last: bool,
    storage_bits: u8,
}

impl Format {
    /// Blocks of so many data bytes, without metadata so far.
    ///
    /// ```
    /// use uring_ext::{Checks, Format, Guard, PiType};
    ///
    /// let plain = Format::builder(4096).guard(Guard::T10Dif).build()?;
    /// assert_eq!((plain.meta_size(), plain.checks()), (8, Checks::GUARD | Checks::REF | Checks::APP));
    ///
    /// let format = Format::builder(4096).metadata(64).guard(Guard::Crc64).tuple_last().storage_bits(16);
    /// let format = format.pi_type(PiType::Type2).build()?;
    /// assert_eq!(format.protection().map(|p| (p.offset, p.ref_bits())), Some((48, 32)));
    ///
    /// let error = Format::builder(4095).build().unwrap_err();
    /// assert_eq!((error.errno(), &error.to_string()[..8]), (22, "interval"));
    /// # Ok::<(), uring_ext::Error>(())
    /// ```
    pub const fn builder(interval: u32) -> FormatBuilder {
        FormatBuilder {
            interval,
            meta_size: None,
            interleaved: false,
            guard: None,
            pi_type: PiType::Type1,
            last: false,
            storage_bits: 0,
        }
    }
}

impl FormatBuilder {
    /// Metadata bytes of a block; without this, as many as the tuple has.
    pub const fn metadata(mut self, bytes: u16) -> Self {
        self.meta_size = Some(bytes);
        self
    }

    /// The metadata follows the data of each block.
    pub const fn interleaved(mut self) -> Self {
        self.interleaved = true;
        self
    }

    /// There is a tuple, with this guard.
    pub const fn guard(mut self, guard: Guard) -> Self {
        self.guard = Some(guard);
        self
    }

    /// The protection type; without this, type 1.
    pub const fn pi_type(mut self, pi_type: PiType) -> Self {
        self.pi_type = pi_type;
        self
    }

    /// The tuple lies at the end of the metadata, not at its beginning.
    pub const fn tuple_last(mut self) -> Self {
        self.last = true;
        self
    }

    /// Width of the storage tag.
    pub const fn storage_bits(mut self, bits: u8) -> Self {
        self.storage_bits = bits;
        self
    }

    /// The format, or the field that is wrong.
    pub fn build(self) -> Result<Format> {
        let tuple = self.guard.map_or(0, |guard| guard.tuple_size() as u16);
        let meta_size = self.meta_size.unwrap_or(tuple);
        if self.guard.is_none() && (self.last || self.storage_bits != 0) {
            return Err(Error::Invalid(c"guard: none, but something is said of a tuple"));
        }
        let protection = self.guard.map(|guard| Protection {
            guard,
            pi_type: self.pi_type,
            offset: if self.last { meta_size.saturating_sub(tuple) } else { 0 },
            storage_bits: self.storage_bits,
        });
        Format::new(self.interval, meta_size, self.interleaved, protection)
    }
}
