//! Reset, open, close and finish, without NVMe commands of our own: the kernel's idea of a zone stays right.

use std::os::fd::AsFd;

use super::report::one;
use super::{Place, Zone};
use crate::abi::BlkZoneRange;
use crate::command::Op;
use crate::error::{Error, Result};
use crate::probe::Kind;
use crate::sys::zone::{self, Action};

const SECTOR: u64 = 512;

/// Does it to the zone that starts at `start`. A zone that refuses because of its state says so.
pub(super) fn manage(place: &Place<'_>, op: Op, start: u64) -> Result<()> {
    let action = match op {
        Op::ZoneReset => Action::Reset,
        Op::ZoneOpen => Action::Open,
        Op::ZoneClose => Action::Close,
        Op::ZoneFinish => Action::Finish,
        _ => return Err(Error::Invalid(c"op: does not manage a zone")),
    };
    let zone = one(place, start)?;
    let done = match place.facts.kind {
        Kind::Zonefs => truncate(place, action, &zone),
        _ => {
            let range = BlkZoneRange { sector: start / SECTOR, nr_sectors: zone.len / SECTOR };
            zone::manage(place.file.as_fd(), action, &range)
        }
    };
    done.map_err(|error| zone.check().err().unwrap_or(error))
}

/// A file of zonefs has two sizes that can be asked for: none and all (`zonefs_file_truncate`).
fn truncate(place: &Place<'_>, action: Action, zone: &Zone) -> Result<()> {
    let size = match action {
        Action::Reset => 0,
        Action::Finish => zone.capacity,
        Action::Open | Action::Close => {
            return Err(Error::Unsupported(
                c"a zonefs file is opened and closed by open(2) and close(2)",
            ));
        }
    };
    Ok(place.file.set_len(size)?)
}
