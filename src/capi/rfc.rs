//! the 2024 READ_META series

use super::format::{URX_CHECK_APP, URX_CHECK_GUARD, URX_CHECK_REF};

/// The series' check bits (guard 1, application tag 2, reference tag 4) as URX_CHECK_ bits for
/// urx_attr_pi.flags: the kernel has the last two the other way round. Bits that the series does not have
/// stay, for the kernel to refuse. Its opcodes never reach an SQE: they are other operations now.
#[unsafe(no_mangle)]
pub extern "C" fn urx_rfc_checks(meta_flags: u16) -> u16 {
    const KNOWN: [(u16, u32); 3] = [(1, URX_CHECK_GUARD), (2, URX_CHECK_APP), (4, URX_CHECK_REF)];
    let unknown = meta_flags & !7;
    let known = KNOWN.iter().filter(|(rfc, _)| meta_flags & rfc != 0);
    known.fold(unknown, |checks, (_, check)| checks | *check as u16)
}
