//! Control commands.

use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::time::Duration;

use super::params::Parameters;
use crate::abi::ublk::*;
use crate::error::{Error, Result};
use crate::sys::ublk as sys;

/// How long a command may take, if nothing else was said. Of those that wait, starting and ending a recovery wait
/// for the server to have fetched every request, and deleting for the character device to be closed.
pub const LIMIT: Duration = Duration::from_secs(10);

/// What a request has at most, if nothing else was said, and at all.
const REQUEST: u32 = 512 << 10;
const LARGEST_REQUEST: u32 = 1 << TAG_OFF;

/// Flags that the driver sets and clears as it likes.
const DRIVERS: u64 = F_NEED_GET_DATA;

/// Sends one command (`CMD_*`): what the driver answered. `value` is its word, `buffer` what it reads or fills.
pub fn control(
    cmd_op: u32,
    dev_id: u32,
    value: u64,
    buffer: &mut [u8],
    limit: Duration,
) -> Result<u32> {
    let options = File::options().read(true).write(true).open("/dev/ublk-control");
    let driver = options.map_err(no_driver)?;
    let command = CtrlCmd { dev_id, queue_id: u16::MAX, data: value, ..CtrlCmd::default() };
    sys::control(driver.as_fd(), cmd_op, &command, buffer, limit)
}

fn no_driver(error: io::Error) -> Error {
    match error.raw_os_error() {
        Some(libc::ENOENT | libc::ENXIO | libc::ENODEV) => Error::Unsupported(
            c"driver: no /dev/ublk-control: ublk_drv is not loaded, or this kernel has none",
        ),
        Some(errno @ (libc::EACCES | libc::EPERM)) => Error::Because(
            errno,
            c"permission: the driver is there, but this process may not open /dev/ublk-control",
        ),
        _ => error.into(),
    }
}

/// One without memory.
fn simple(cmd_op: u32, dev_id: u32, value: u64) -> Result<()> {
    control(cmd_op, dev_id, value, &mut [], LIMIT).map(drop)
}

/// `F_*` of the driver (6.5).
pub fn features() -> Result<u64> {
    let mut features = 0u64;
    match control(CMD_GET_FEATURES, u32::MAX, 0, sys::bytes_of(&mut features), LIMIT) {
        Ok(_) => Ok(features),
        Err(Error::Os(libc::EOPNOTSUPP | libc::ENODEV)) => {
            Err(Error::Unsupported(c"driver: older than Linux 6.5, which tells no features"))
        }
        Err(error) => Err(error),
    }
}

/// Adds a device as `device` wants it (`dev_id` all ones: with any number), and tells in it what became of that.
/// The driver drops flags that it does not know; here they are refused.
pub fn add(device: &mut DevInfo) -> Result<()> {
    if device.flags & F_UNPRIVILEGED_DEV != 0 {
        return Err(Error::Unsupported(c"flags: devices of unprivileged processes"));
    }
    if device.flags & F_INTEGRITY != 0 && device.flags & F_USER_COPY == 0 {
        return Err(Error::Invalid(c"flags: metadata is reached by user copy alone"));
    }
    let recoveries = F_USER_RECOVERY_REISSUE | F_USER_RECOVERY_FAIL_IO | F_QUIESCE;
    if device.flags & recoveries != 0 && device.flags & F_USER_RECOVERY == 0 {
        return Err(Error::Invalid(c"flags: a kind of recovery without F_USER_RECOVERY"));
    }
    let lacking = device.flags & !features()?;
    if lacking != 0 {
        return Err(Error::Unsupported(c"flags: this driver does not have all of them"));
    }
    let or = |value, default| if value == 0 { default } else { value };
    let wanted = DevInfo {
        nr_hw_queues: or(device.nr_hw_queues, 1),
        queue_depth: or(device.queue_depth, 64),
        max_io_buf_bytes: if device.max_io_buf_bytes == 0 {
            REQUEST
        } else {
            device.max_io_buf_bytes
        },
        dev_id: device.dev_id,
        flags: device.flags | F_CMD_IOCTL_ENCODE,
        ublksrv_flags: device.ublksrv_flags,
        ublksrv_pid: -1,
        ..DevInfo::default()
    };
    if wanted.nr_hw_queues > MAX_NR_QUEUES {
        return Err(Error::Invalid(c"nr_queues: more than 4096"));
    }
    if wanted.queue_depth > MAX_QUEUE_DEPTH {
        return Err(Error::Invalid(c"depth: more than 4096"));
    }
    if wanted.max_io_buf_bytes > LARGEST_REQUEST {
        return Err(Error::Invalid(c"max_request: more than 32 MiB"));
    }
    let mut given = wanted;
    match control(CMD_ADD_DEV, wanted.dev_id, 0, sys::bytes_of(&mut given), LIMIT) {
        Ok(_) => {}
        Err(Error::Os(libc::EPERM)) => {
            return Err(Error::Because(
                libc::EPERM,
                c"permission: devices are added with CAP_SYS_ADMIN",
            ));
        }
        Err(Error::Os(libc::EEXIST)) => {
            return Err(Error::Because(libc::EEXIST, c"dev_id: there is such a device"));
        }
        Err(error) => return Err(error),
    }
    if device.flags & !given.flags & !DRIVERS != 0 {
        delete(given.dev_id)?;
        return Err(Error::Unsupported(c"flags: this driver does not have all of them"));
    }
    *device = given;
    Ok(())
}

/// What the driver knows of a device.
pub fn info(dev_id: u32) -> Result<DevInfo> {
    let mut device = DevInfo::default();
    control(CMD_GET_DEV_INFO, dev_id, 0, sys::bytes_of(&mut device), LIMIT)?;
    Ok(device)
}

/// Says what a device is like, before it is started. The driver drops parts that it does not know; here they are
/// refused.
pub fn set_parameters(dev_id: u32, parameters: &Parameters) -> Result<()> {
    let device = info(dev_id)?;
    if parameters.format.is_some() && device.flags & F_INTEGRITY == 0 {
        return Err(Error::Unsupported(c"format: the device was added without F_INTEGRITY"));
    }
    if (parameters.max_append != 0) != (device.flags & F_ZONED != 0) {
        return Err(Error::Invalid(c"max_append: wanted with F_ZONED, and with nothing else"));
    }
    let mut params = parameters.encode(device.max_io_buf_bytes)?;
    control(CMD_SET_PARAMS, dev_id, 0, sys::bytes_of(&mut params), LIMIT)?;
    match params.types & !told(dev_id)?.types {
        0 => Ok(()),
        PARAM_DMA_ALIGN => Err(Error::Unsupported(c"dma_align: this driver does not have it")),
        _ => Err(Error::Unsupported(c"params: this driver does not have all of them")),
    }
}

fn told(dev_id: u32) -> Result<Params> {
    let mut params = Params { len: size_of::<Params>() as u32, ..Params::default() };
    control(CMD_GET_PARAMS, dev_id, 0, sys::bytes_of(&mut params), LIMIT)?;
    Ok(params)
}

/// What a device is like.
pub fn parameters(dev_id: u32) -> Result<Parameters> {
    told(dev_id).and_then(|params| Parameters::decode(&params))
}

/// Makes the block device. This process is its server; another thread of it must serve meanwhile.
pub fn start(dev_id: u32) -> Result<()> {
    simple(CMD_START_DEV, dev_id, std::process::id().into())
}

/// Takes the block device away. Requests in flight are waited for while there is a server, and fail without one.
pub fn stop(dev_id: u32) -> Result<()> {
    simple(CMD_STOP_DEV, dev_id, 0)
}

/// Stops and deletes a device.
pub fn delete(dev_id: u32) -> Result<()> {
    simple(CMD_DEL_DEV, dev_id, 0)
}

/// The server has died, this process is the next: before it opens the character device.
pub fn begin_recovery(dev_id: u32) -> Result<()> {
    simple(CMD_START_USER_RECOVERY, dev_id, 0)
}

/// As [`start`] for a device that is being recovered.
pub fn end_recovery(dev_id: u32) -> Result<()> {
    simple(CMD_END_USER_RECOVERY, dev_id, std::process::id().into())
}

/// Lets the server go while the block device stays: its fetches end with `-ENODEV`, requests wait for the next
/// server. Waits so long for those in flight (`F_QUIESCE`, 6.16).
pub fn quiesce(dev_id: u32, limit: Duration) -> Result<()> {
    let patience = u64::try_from(limit.as_millis()).unwrap_or(u64::MAX).max(1);
    control(CMD_QUIESCE_DEV, dev_id, patience, &mut [], limit + LIMIT).map(drop)
}

/// Changes the size of a started device (`F_UPDATE_SIZE`, 6.16).
pub fn resize(dev_id: u32, bytes: u64) -> Result<()> {
    let device = info(dev_id)?;
    if device.flags & F_UPDATE_SIZE == 0 {
        return Err(Error::Unsupported(c"the device was added without F_UPDATE_SIZE"));
    }
    let block = parameters(dev_id)?.block;
    if bytes == 0 || !bytes.is_multiple_of(block.max(512).into()) {
        return Err(Error::Invalid(c"bytes: not whole blocks"));
    }
    simple(CMD_UPDATE_SIZE, dev_id, bytes / 512)
}
