//! NVMe ioctls.

use std::io::{self, IoSliceMut};
use std::os::fd::{AsRawFd, BorrowedFd};

use super::ioctl;
use crate::abi;
use crate::error::{Error, Result};

/// `NVME_IOCTL_ID`: the namespace identifier, which a node's name does not tell.
pub(crate) fn nvme_nsid(fd: BorrowedFd<'_>) -> Result<u32> {
    // SAFETY: the request takes no argument; 0 stands in its place.
    let nsid = unsafe { libc::ioctl(fd.as_raw_fd(), abi::NVME_IOCTL_ID as _, 0) };
    match u32::try_from(nsid) {
        Ok(0) => Err(Error::Os(libc::ENOTTY)),
        Ok(nsid) => Ok(nsid),
        Err(_) => Err(io::Error::last_os_error().into()),
    }
}

/// Bytes of every Identify data structure.
pub(crate) const IDENTIFY_SIZE: usize = 4096;

/// The NVMe Identify command: which structure (CNS), of which command set (CSI).
pub(crate) fn nvme_identify(
    fd: BorrowedFd<'_>,
    nsid: u32,
    cns: u8,
    csi: u8,
) -> Result<Box<[u8; IDENTIFY_SIZE]>> {
    let mut page = Box::new([0u8; IDENTIFY_SIZE]);
    let mut command = abi::NvmePassthru {
        opcode: 0x06,
        nsid,
        addr: page.as_mut_ptr() as u64,
        data_len: IDENTIFY_SIZE as u32,
        cdw10: [cns.into(), u32::from(csi) << 24, 0, 0, 0, 0],
        ..Default::default()
    };
    // SAFETY: the request's number encodes the 72 bytes of NvmePassthru; Identify writes 4096 bytes to
    // `addr`, which is the page's own memory.
    let status = unsafe { ioctl(fd, abi::NVME_IOCTL_ADMIN_CMD, &mut command) }?;
    // A positive value is the controller's refusal.
    if status == 0 { Ok(page) } else { Err(Error::Os(libc::EIO)) }
}

/// Which ioctl passes a command through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Via {
    /// `NVME_IOCTL_IO64_CMD`, and `NVME_IOCTL_IO64_CMD_VEC` where that is known.
    Io64,
    /// `NVME_IOCTL_IO_CMD`.
    Io,
    /// `NVME_IOCTL_SUBMIT_IO`: reads, writes and compares with tags of 32 bits.
    SubmitIo,
}

impl Via {
    /// Whether it is more than reads, writes and compares.
    pub const fn takes_any_command(self) -> bool {
        !matches!(self, Via::SubmitIo)
    }
}

/// What a command answered: its status field, and completion dwords 0 and 1.
pub(crate) type Answer = (u32, u64);

/// Passes a command through whose buffers are these. More than one piece of data wants
/// [`Via::Io64`] on a kernel with `NVME_IOCTL_IO64_CMD_VEC`.
///
/// # Safety
/// The command's blocks take exactly the bytes of `data` and of `meta`.
pub(crate) unsafe fn pass_through(
    fd: BorrowedFd<'_>,
    via: Via,
    command: &abi::NvmePassthru,
    data: &mut [IoSliceMut<'_>],
    meta: &mut [u8],
) -> Result<Answer> {
    let mut command = *command;
    if !meta.is_empty() {
        command.metadata = meta.as_mut_ptr() as u64;
        command.metadata_len = meta.len() as u32;
    }
    let scattered = data.len() > 1;
    match data {
        [] => {}
        [one] => {
            command.addr = one.as_mut_ptr() as u64;
            command.data_len = one.len() as u32;
        }
        many => {
            command.addr = many.as_mut_ptr() as u64; // IoSliceMut is struct iovec
            command.data_len = many.len() as u32;
        }
    }
    match (via, scattered) {
        (Via::Io64, _) => {
            let mut both = abi::NvmePassthru64 { command, result: 0 };
            let request = match scattered {
                true => abi::NVME_IOCTL_IO64_CMD_VEC,
                false => abi::NVME_IOCTL_IO64_CMD,
            };
            // SAFETY: both numbers encode the 80 bytes; the addresses in them are of exclusive slices,
            // as long as the command takes, the caller says.
            let status = unsafe { ioctl(fd, request, &mut both) }?;
            Ok((status as u32, both.result))
        }
        (_, true) => Err(Error::Os(libc::EINVAL)),
        (Via::Io, false) => {
            // SAFETY: the number encodes the 72 bytes; as above.
            let status = unsafe { ioctl(fd, abi::NVME_IOCTL_IO_CMD, &mut command) }?;
            Ok((status as u32, command.result.into()))
        }
        (Via::SubmitIo, false) => {
            let [slba, slba_high, cdw12, dsmgmt, reftag, app] = command.cdw10;
            let mut io = abi::NvmeUserIo {
                opcode: command.opcode,
                control: (cdw12 >> 16) as u16,
                nblocks: cdw12 as u16,
                metadata: command.metadata,
                addr: command.addr,
                slba: u64::from(slba) | u64::from(slba_high) << 32,
                dsmgmt,
                reftag,
                apptag: app as u16,
                appmask: (app >> 16) as u16,
                ..abi::NvmeUserIo::default()
            };
            // SAFETY: the number encodes the 48 bytes; as above, the kernel computes the same lengths.
            let status = unsafe { ioctl(fd, abi::NVME_IOCTL_SUBMIT_IO, &mut io) }?;
            Ok((status as u32, 0))
        }
    }
}

/// Lowest address that no process has memory at, and which is aligned for every device.
const NOWHERE: u64 = 4096;

/// Whether the kernel would pass such a command through for this process. It is asked with a buffer that
/// does not exist: what it allows ends at that (`EFAULT`), before the device hears of it.
pub(crate) fn may_pass(
    fd: BorrowedFd<'_>,
    via: Via,
    write: bool,
    nsid: u32,
    interval: u32,
) -> bool {
    let opcode = if write { 1 } else { 2 };
    let command = abi::NvmePassthru {
        opcode,
        nsid,
        addr: NOWHERE,
        data_len: interval,
        ..abi::NvmePassthru::default()
    };
    let answer = match via {
        Via::Io64 => {
            let mut both = abi::NvmePassthru64 { command, result: 0 };
            // SAFETY: the number encodes the 80 bytes. Nobody maps the zero page's neighbour by chance; who
            // does so on purpose has a block written to it or read from it.
            unsafe { ioctl(fd, abi::NVME_IOCTL_IO64_CMD, &mut both) }
        }
        Via::Io => {
            let mut command = command;
            // SAFETY: the number encodes the 72 bytes; as above.
            unsafe { ioctl(fd, abi::NVME_IOCTL_IO_CMD, &mut command) }
        }
        Via::SubmitIo => {
            let mut io = abi::NvmeUserIo { opcode, addr: NOWHERE, ..abi::NvmeUserIo::default() };
            // SAFETY: the number encodes the 48 bytes; as above.
            unsafe { ioctl(fd, abi::NVME_IOCTL_SUBMIT_IO, &mut io) }
        }
    };
    matches!(answer, Err(Error::Os(libc::EFAULT)))
}

/// Whether the kernel knows `NVME_IOCTL_IO64_CMD_VEC` (5.16): it refuses a namespace that is none.
pub(crate) fn knows_vectors(fd: BorrowedFd<'_>) -> bool {
    let mut none = abi::NvmePassthru64::default();
    // SAFETY: the number encodes the 80 bytes; namespace 0 is never the one of this descriptor.
    let answer = unsafe { ioctl(fd, abi::NVME_IOCTL_IO64_CMD_VEC, &mut none) };
    !matches!(answer, Err(Error::Os(libc::ENOTTY)))
}
