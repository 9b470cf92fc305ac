//! Which path can carry a request: pure, from what is known of target, ring and request.

use crate::abi::{FEAT_RW_ATTR, SETUP_IOPOLL};
use crate::command::{Direction, Request};
use crate::error::{Error, Result};
use crate::geometry::{Checks, Format};
use crate::probe::{Facts, Kind};

/// What matters of a ring.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ring {
    /// `IORING_SETUP_*`.
    pub flags: u32,
    /// `IORING_FEAT_*`.
    pub features: u32,
}

/// What matters of how a target was opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mode {
    /// With `O_DIRECT`.
    pub direct: bool,
    /// For writing.
    pub writable: bool,
}

/// Whether READ and WRITE with a PI attribute can carry metadata between this target and this ring;
/// the format that they then have. The kernel would drop the attribute, or worse, where this says no.
pub fn attribute(ring: &Ring, facts: &Facts, mode: &Mode) -> Result<Format> {
    let no = |why| Err(Error::Unsupported(why));
    if ring.features & FEAT_RW_ATTR == 0 {
        return no(c"kernel lacks IORING_FEAT_RW_ATTR (6.14)");
    }
    if ring.flags & SETUP_IOPOLL != 0 {
        return no(c"ring is IORING_SETUP_IOPOLL, on which kernels have crashed at a PI attribute");
    }
    if !matches!(facts.kind, Kind::Block | Kind::NvmeBlock) {
        return no(c"target is not a block device");
    }
    let Some(format) = facts.layout.attribute else {
        return no(c"target has no metadata that the kernel handles");
    };
    if !mode.direct {
        return no(c"target is not open with O_DIRECT");
    }
    Ok(format)
}

/// The same for one request, which is checked too. Returns its number of blocks.
pub fn attribute_request(
    ring: &Ring,
    facts: &Facts,
    mode: &Mode,
    request: &Request,
) -> Result<u64> {
    let format = attribute(ring, facts, mode)?;
    let tags = &request.tags;
    if request.direction == Direction::Write && !mode.writable {
        return Err(Error::Invalid(c"op: a write, but the target is not open for writing"));
    }
    if tags.checks.contains(Checks::STORAGE) {
        return Err(Error::Unsupported(c"the PI attribute has no storage tag"));
    }
    if tags.checks.contains(Checks::APP) && tags.app_ignore != 0 {
        return Err(Error::Unsupported(
            c"the PI attribute compares all bits of the application tag",
        ));
    }
    if tags.storage != 0 || tags.reference >> 64 != 0 {
        return Err(Error::Invalid(c"tags: storage and ref_hi have no place in the PI attribute"));
    }
    if !format.checks().contains(tags.checks) {
        let by_device = facts.layout.format.value.is_some_and(|f| f.checks().contains(tags.checks));
        return Err(match by_device {
            true => Error::Unsupported(c"the kernel takes this protection information for opaque"),
            false => Error::Invalid(c"tags: a check that this format cannot make"),
        });
    }
    request.check(&format, facts.bytes.value, facts.limits.value.data_align)
}
