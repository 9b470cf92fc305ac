//! The one place that hands buffers to a device past the block layer, which checks no lengths.
#![allow(unsafe_code, reason = "memory for a device")]

use std::io::IoSliceMut;

use super::Device;
use crate::abi::NvmePassthru;
use crate::error::{Error, Result};
use crate::memory::own_pages;
use crate::sys::nvme::{Answer, pass_through};

/// Issues a command whose blocks take `wire` bytes of data and of metadata, and refuses to if the
/// buffers are not exactly that.
pub(super) fn issue(
    device: &Device<'_>,
    command: &NvmePassthru,
    data: &mut [IoSliceMut<'_>],
    meta: &mut [u8],
    wire: (usize, usize),
) -> Result<Answer> {
    let bytes: usize = data.iter().map(|piece| piece.len()).sum();
    let (_, meta) = match meta.len() {
        len if len >= wire.1 => ((), meta.get_mut(..wire.1).unwrap_or(&mut [])),
        _ => return Err(Error::Invalid(c"meta_len: less than meta_size a block")),
    };
    if bytes != wire.0 {
        return Err(Error::Invalid(c"data: shorter than the request says"));
    }
    const TO_HOST: u8 = 2; // NVM Express base specification: data transfer in bits 1:0 of an opcode
    if command.opcode & 3 == TO_HOST {
        own_pages(meta);
    }
    // SAFETY: compared just now; `wire` is counted from the same number of blocks as the command's NLB.
    unsafe { pass_through(device.fd, device.via, command, data, meta) }
}
