//! Which way a fused command can take. Pure, but for one question to the kernel, which is asked until it is answered.

use std::sync::OnceLock;

use io_uring::opcode;

use crate::abi::ublk::{F_AUTO_BUF_REG, F_SUPPORT_ZERO_COPY, F_USER_COPY};
use crate::abi::{RECVSEND_FIXED_BUF, SETUP_ATTACH_WQ, SETUP_IOPOLL, SETUP_SQPOLL, Sqe};
use crate::error::{Error, Result};
use crate::sys::own_ring::{OwnRing, widened};

bitflags::bitflags! {
    /// How the secondaries get at a request's buffer.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
    pub(crate) struct Ways: u32 {
        /// The driver registers it with each request.
        const AUTO_REG = 1;
        /// Registered before them, in the same chain.
        const REGISTER = 2;
        /// Copied by us.
        const USER_COPY = 4;
        /// Copied by the driver.
        const BUFFER = 8;
    }
}

impl Ways {
    /// Those of a device.
    pub(super) fn of(features: u64) -> Self {
        let has = |bit, way| if features & bit != 0 { way } else { Ways::empty() };
        let new = has(F_AUTO_BUF_REG, Ways::AUTO_REG)
            | has(F_SUPPORT_ZERO_COPY, Ways::REGISTER)
            | has(F_USER_COPY, Ways::USER_COPY);
        if new.is_empty() { Ways::BUFFER } else { new }
    }
}

/// What a choice depends on.
#[derive(Debug, Clone, Copy)]
pub(super) struct Choice {
    /// Device and caller allow them.
    pub(super) ways: Ways,
    /// The driver has registered this request.
    pub(super) automatic: bool,
    /// Largest range that is better copied.
    pub(super) copy_most: u32,
    /// The range that the secondaries use.
    pub(super) bytes: u32,
    /// The ring leaves chains whole.
    pub(super) chains: bool,
    /// There is a SEND or a RECV, which know registered buffers later than the rest.
    pub(super) sockets: bool,
}

/// `registered_sockets` says whether this kernel has those.
pub(super) fn choose(choice: &Choice, registered_sockets: impl FnOnce() -> bool) -> Result<Ways> {
    let mut why = Error::Unsupported(c"allow: no way that is left can carry this");
    let mut ways = choice.ways;
    let mut without = |way: Ways, lacks: bool, error| {
        if lacks && ways.intersects(way) {
            ways.remove(way);
            why = error;
        }
    };
    let failed = Error::Because(libc::EBUSY, c"tag: the driver could not register its buffer");
    without(Ways::AUTO_REG, !choice.automatic, failed);
    let cut = Error::Unsupported(c"queue: a ring that shares its SQPOLL thread cuts chains");
    without(Ways::REGISTER, !choice.chains, cut);
    if choice.sockets && choice.ways.intersects(Ways::AUTO_REG | Ways::REGISTER) {
        let old = Error::Unsupported(
            c"secondaries: this kernel has no SEND and RECV with registered buffers",
        );
        without(Ways::AUTO_REG | Ways::REGISTER, !registered_sockets(), old);
    }
    // What the driver has done is done; two commands more are worth it from some size on.
    let best = match choice.bytes <= choice.copy_most {
        true => [Ways::AUTO_REG, Ways::USER_COPY, Ways::REGISTER, Ways::BUFFER],
        false => [Ways::AUTO_REG, Ways::REGISTER, Ways::USER_COPY, Ways::BUFFER],
    };
    best.into_iter().find(|way| ways.contains(*way)).ok_or(why)
}

/// An SQPOLL thread that serves several rings takes a few SQEs of each in turn, and a link does not reach beyond what
/// it takes. Whether another ring joins this one later nobody can know here.
pub(super) const fn chains(ring_flags: u32) -> bool {
    let shared = SETUP_SQPOLL | SETUP_ATTACH_WQ;
    ring_flags & shared != shared
}

/// Whether the driver's commands work on a ring at all.
pub(super) const fn ring_carries(ring_flags: u32) -> Result<()> {
    match ring_flags & SETUP_IOPOLL {
        0 => Ok(()),
        _ => Err(Error::Unsupported(c"queue: ublk has no commands for an IOPOLL ring")),
    }
}

/// Whether SEND and RECV know registered buffers. A kernel that does not refuses the flag before it looks at the
/// descriptor.
pub(super) fn registered_sockets() -> bool {
    static KNOWN: OnceLock<bool> = OnceLock::new();
    if let Some(known) = KNOWN.get() {
        return *known;
    }
    let send =
        Sqe { opcode: opcode::Send::CODE, fd: -1, ioprio: RECVSEND_FIXED_BUF, ..Sqe::default() };
    // Without a ring to ask with it is no, for now.
    let answer = OwnRing::new().and_then(|mut ring| ring.submit(&widened(&send)));
    answer.is_ok_and(|(res, _)| *KNOWN.get_or_init(|| res == -libc::EBADF))
}

#[cfg(test)]
mod tests {
    use super::*;

    const CHOICE: Choice = Choice {
        ways: Ways::all(),
        automatic: true,
        copy_most: 100,
        bytes: 101,
        chains: true,
        sockets: false,
    };

    #[test]
    fn ways_follow_the_features() {
        assert_eq!(Ways::of(0), Ways::BUFFER);
        assert_eq!(Ways::of(1 << 6), Ways::BUFFER);
        assert_eq!(Ways::of(1), Ways::REGISTER);
        assert_eq!(Ways::of(1 | 1 << 7), Ways::REGISTER | Ways::USER_COPY);
        assert_eq!(Ways::of(1 << 11 | 1), Ways::REGISTER | Ways::AUTO_REG);
    }

    #[test]
    fn the_best_that_is_left() {
        let pick = |choice: Choice| choose(&choice, || false).map_err(Error::errno);
        let (auto, register) = (Ways::AUTO_REG, Ways::REGISTER);
        assert_eq!(pick(CHOICE), Ok(auto));
        assert_eq!(pick(Choice { bytes: 1, ..CHOICE }), Ok(auto));
        let by_hand = Choice { automatic: false, ..CHOICE };
        assert_eq!(pick(by_hand), Ok(register));
        assert_eq!(pick(Choice { bytes: 100, ..by_hand }), Ok(Ways::USER_COPY));
        assert_eq!(pick(Choice { bytes: 1, ways: register, ..by_hand }), Ok(register));
        assert_eq!(pick(Choice { automatic: false, ways: auto, ..CHOICE }), Err(libc::EBUSY));
        let cut = Choice { automatic: false, chains: false, ..CHOICE };
        assert_eq!(pick(cut), Ok(Ways::USER_COPY));
        assert_eq!(pick(Choice { ways: register, ..cut }), Err(libc::EOPNOTSUPP));
        let sockets = Choice { sockets: true, ..CHOICE };
        assert_eq!(pick(sockets), Ok(Ways::USER_COPY));
        assert_eq!(pick(Choice { ways: register, ..sockets }), Err(libc::EOPNOTSUPP));
        assert_eq!(choose(&sockets, || true), Ok(auto));
        assert_eq!(pick(Choice { ways: Ways::BUFFER, ..sockets }), Ok(Ways::BUFFER));
        assert_eq!(choose(&CHOICE, || panic!("asked without need")), Ok(auto));
    }

    #[test]
    fn a_shared_thread_cuts_chains() {
        assert!(chains(0) && chains(SETUP_SQPOLL) && chains(SETUP_ATTACH_WQ));
        assert!(!chains(SETUP_SQPOLL | SETUP_ATTACH_WQ));
        assert!(ring_carries(SETUP_SQPOLL).is_ok() && ring_carries(SETUP_IOPOLL).is_err());
    }
}
