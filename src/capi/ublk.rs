//! ublk: block devices that this process serves

use std::ffi::{c_char, c_int, c_void};
use std::time::Duration;

use super::boundary::{
    Plain, Sized, guard, guard_why, read_sized, reserved, slice_mut, write, write_sized,
};
use super::format::urx_pi_format;
use crate::abi::ublk as abi;
use crate::error::{Error, Result};
use crate::sys::{keeping_errno, ublk as sys};
use crate::ublk::{self, Parameters};

/// urx_ublk_device.flags, the kernel's UBLK_F_: buffers of requests can be registered (6.15).
pub const URX_UBLK_F_ZERO_COPY: u32 = 1;
/// A server that dies can be followed by another; meanwhile requests wait.
pub const URX_UBLK_F_RECOVERY: u32 = 8;
/// With RECOVERY: requests that the dead server had are given to the next one.
pub const URX_UBLK_F_RECOVERY_REISSUE: u32 = 16;
/// Data is read and written at urx_ublk_copy_offset() of the character device (6.5).
pub const URX_UBLK_F_USER_COPY: u32 = 128;
/// The device has zones (6.6).
pub const URX_UBLK_F_ZONED: u32 = 256;
/// With RECOVERY: requests fail meanwhile (6.13).
pub const URX_UBLK_F_RECOVERY_FAIL_IO: u32 = 512;
/// urx_ublk_resize() (6.16).
pub const URX_UBLK_F_UPDATE_SIZE: u32 = 1024;
/// Buffers are registered with the fetch (6.16).
pub const URX_UBLK_F_AUTO_BUF_REG: u32 = 2048;
/// urx_ublk_quiesce(), with RECOVERY (6.16).
pub const URX_UBLK_F_QUIESCE: u32 = 4096;
/// Requests have metadata, with USER_COPY (7.0).
pub const URX_UBLK_F_INTEGRITY: u32 = 65536;
/// The kernel looks for no partitions (7.0).
pub const URX_UBLK_F_NO_PARTITIONS: u32 = 262_144;

/// urx_ublk_device.dev_id: the driver chooses.
pub const URX_UBLK_ANY: u32 = 4_294_967_295;

/// urx_ublk_device.state: not started, or stopped.
pub const URX_UBLK_DEAD: u32 = 0;
/// The block device is there, and its server.
pub const URX_UBLK_LIVE: u32 = 1;
/// The server has gone, requests wait for the next.
pub const URX_UBLK_QUIESCED: u32 = 2;
/// The server has gone, requests fail until there is another.
pub const URX_UBLK_FAIL_IO: u32 = 3;

/// urx_ublk_params.attrs: cannot be written.
pub const URX_UBLK_ATTR_READ_ONLY: u32 = 1;
/// Like a disk that turns.
pub const URX_UBLK_ATTR_ROTATIONAL: u32 = 2;
/// Has a cache: URX_UBLK_OP_FLUSH comes.
pub const URX_UBLK_ATTR_CACHE: u32 = 4;
/// With CACHE: writes with URX_UBLK_IO_FUA may come, else a flush comes after them.
pub const URX_UBLK_ATTR_FUA: u32 = 8;

/// urx_ublk_desc.op_flags & 255.
pub const URX_UBLK_OP_READ: u32 = 0;
/// To the device.
pub const URX_UBLK_OP_WRITE: u32 = 1;
/// What was written before is to be durable.
pub const URX_UBLK_OP_FLUSH: u32 = 2;
/// Not needed any more.
pub const URX_UBLK_OP_DISCARD: u32 = 3;
/// Zeros; with URX_UBLK_IO_NOUNMAP allocated ones.
pub const URX_UBLK_OP_WRITE_ZEROES: u32 = 5;

/// urx_ublk_desc.op_flags: durable before it is answered.
pub const URX_UBLK_IO_FUA: u32 = 8192;
/// Not by discarding.
pub const URX_UBLK_IO_NOUNMAP: u32 = 32768;
/// The buffer could not be registered with the fetch.
pub const URX_UBLK_IO_NEED_REG_BUF: u32 = 131_072;
/// Has metadata.
pub const URX_UBLK_IO_INTEGRITY: u32 = 262_144;

const _: () = assert!(
    URX_UBLK_F_ZERO_COPY as u64 == abi::F_SUPPORT_ZERO_COPY
        && URX_UBLK_F_RECOVERY as u64 == abi::F_USER_RECOVERY
        && URX_UBLK_F_RECOVERY_REISSUE as u64 == abi::F_USER_RECOVERY_REISSUE
        && URX_UBLK_F_USER_COPY as u64 == abi::F_USER_COPY
        && URX_UBLK_F_ZONED as u64 == abi::F_ZONED
        && URX_UBLK_F_RECOVERY_FAIL_IO as u64 == abi::F_USER_RECOVERY_FAIL_IO
        && URX_UBLK_F_UPDATE_SIZE as u64 == abi::F_UPDATE_SIZE
        && URX_UBLK_F_AUTO_BUF_REG as u64 == abi::F_AUTO_BUF_REG
        && URX_UBLK_F_QUIESCE as u64 == abi::F_QUIESCE
        && URX_UBLK_F_INTEGRITY as u64 == abi::F_INTEGRITY
        && URX_UBLK_F_NO_PARTITIONS as u64 == abi::F_NO_AUTO_PART_SCAN
        && URX_UBLK_DEAD == abi::S_DEV_DEAD as u32
        && URX_UBLK_LIVE == abi::S_DEV_LIVE as u32
        && URX_UBLK_QUIESCED == abi::S_DEV_QUIESCED as u32
        && URX_UBLK_FAIL_IO == abi::S_DEV_FAIL_IO as u32
        && URX_UBLK_ATTR_READ_ONLY == abi::ATTR_READ_ONLY
        && URX_UBLK_ATTR_ROTATIONAL == abi::ATTR_ROTATIONAL
        && URX_UBLK_ATTR_CACHE == abi::ATTR_VOLATILE_CACHE
        && URX_UBLK_ATTR_FUA == abi::ATTR_FUA
        && URX_UBLK_OP_READ == abi::OP_READ as u32
        && URX_UBLK_OP_WRITE == abi::OP_WRITE as u32
        && URX_UBLK_OP_FLUSH == abi::OP_FLUSH as u32
        && URX_UBLK_OP_DISCARD == abi::OP_DISCARD as u32
        && URX_UBLK_OP_WRITE_ZEROES == abi::OP_WRITE_ZEROES as u32
        && URX_UBLK_IO_FUA == abi::IO_F_FUA
        && URX_UBLK_IO_NOUNMAP == abi::IO_F_NOUNMAP
        && URX_UBLK_IO_NEED_REG_BUF == abi::IO_F_NEED_REG_BUF
        && URX_UBLK_IO_INTEGRITY == abi::IO_F_INTEGRITY
);

/// A ublk device.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct urx_ublk_device {
    /// sizeof(struct urx_ublk_device)
    pub size: u32,
    /// N of /dev/ublkcN and /dev/ublkbN; URX_UBLK_ANY: the driver chooses
    pub dev_id: u32,
    /// URX_UBLK_F_, and others of the kernel's UBLK_F_
    pub flags: u64,
    /// queues; 0: 1. (out) no more than there are CPUs
    pub nr_queues: u16,
    /// requests of each; 0: 64
    pub depth: u16,
    /// bytes of the largest request, up to 32 MiB; 0: 512 KiB
    pub max_request: u32,
    /// (out) URX_UBLK_DEAD, _LIVE, _QUIESCED, _FAIL_IO
    pub state: u32,
    /// (out) process that serves it; -1: none
    pub server_pid: i32,
    /// a word that the driver keeps for the server
    pub server_word: u64,
    /// (out) user who added it
    pub owner_uid: u32,
    /// (out) his group
    pub owner_gid: u32,
    /// zero
    pub reserved: [u64; 4],
}
// SAFETY: integers, 80 bytes without padding; `size` comes first.
unsafe impl Plain for urx_ublk_device {}
// SAFETY: as above.
unsafe impl Sized for urx_ublk_device {
    const FIRST: usize = 80;
}
const _: () = assert!(size_of::<urx_ublk_device>() == 80);

/// What a ublk device is like. Sizes are powers of two unless it says otherwise.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct urx_ublk_params {
    /// sizeof(struct urx_ublk_params)
    pub size: u32,
    /// URX_UBLK_ATTR_
    pub attrs: u32,
    /// size of the device: any number of blocks
    pub bytes: u64,
    /// logical block: 512 to the size of a page
    pub block: u32,
    /// physical block; 0: as block
    pub physical_block: u32,
    /// smallest good request; 0: not known
    pub io_min: u32,
    /// best request; 0: not known
    pub io_opt: u32,
    /// largest request: a page or more, any multiple of 512; 0: urx_ublk_device.max_request
    pub max_request: u32,
    /// requests do not cross its multiples; size of a zone; 0: none
    pub chunk: u32,
    /// alignment of buffers, less than a page; 0: 4
    pub dma_align: u32,
    /// unit of discards; 0: block
    pub discard_granularity: u32,
    /// largest discard, any multiple of 512; 0: there are none
    pub max_discard: u64,
    /// largest URX_UBLK_OP_WRITE_ZEROES, any multiple of 512; 0: there are none
    pub max_write_zeroes: u64,
    /// zones that may be open; 0: any
    pub max_open_zones: u32,
    /// zones that may be begun and not full; 0: any
    pub max_active_zones: u32,
    /// largest zone append, any multiple of 512, with URX_UBLK_F_ZONED
    pub max_append: u32,
    /// (out) major number of /dev/ublkcN
    pub char_major: u32,
    /// (out) minor number
    pub char_minor: u32,
    /// (out) major number of /dev/ublkbN; 0: not started
    pub disk_major: u32,
    /// (out) minor number
    pub disk_minor: u32,
    /// zero
    pub reserved0: u32,
    /// metadata, with URX_UBLK_F_INTEGRITY: size 0 or meta_size 0: none
    pub format: urx_pi_format,
    /// zero
    pub reserved: [u64; 4],
}
// SAFETY: integers, 168 bytes without padding; `size` comes first.
unsafe impl Plain for urx_ublk_params {}
// SAFETY: as above.
unsafe impl Sized for urx_ublk_params {
    const FIRST: usize = 168;
}
const _: () = assert!(size_of::<urx_ublk_params>() == 168);

/// What a request wants: the kernel's struct ublksrv_io_desc.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct urx_ublk_desc {
    /// URX_UBLK_OP_ in the low 8 bits, URX_UBLK_IO_
    pub op_flags: u32,
    /// length, in units of 512 bytes
    pub nr_sectors: u32,
    /// where, in units of 512 bytes
    pub start_sector: u64,
    /// the server's buffer, where it gave one
    pub addr: u64,
}
const _: () = assert!(size_of::<urx_ublk_desc>() == size_of::<abi::IoDesc>());

impl urx_ublk_device {
    const fn parse(&self) -> abi::DevInfo {
        abi::DevInfo {
            nr_hw_queues: self.nr_queues,
            queue_depth: self.depth,
            state: 0,
            pad0: 0,
            max_io_buf_bytes: self.max_request,
            dev_id: self.dev_id,
            ublksrv_pid: -1,
            pad1: 0,
            flags: self.flags,
            ublksrv_flags: self.server_word,
            owner_uid: 0,
            owner_gid: 0,
            reserved: [0; 2],
        }
    }

    const fn show(info: &abi::DevInfo) -> Self {
        urx_ublk_device {
            size: size_of::<Self>() as u32,
            dev_id: info.dev_id,
            flags: info.flags,
            nr_queues: info.nr_hw_queues,
            depth: info.queue_depth,
            max_request: info.max_io_buf_bytes,
            state: info.state as u32,
            server_pid: info.ublksrv_pid,
            server_word: info.ublksrv_flags,
            owner_uid: info.owner_uid,
            owner_gid: info.owner_gid,
            reserved: [0; 4],
        }
    }
}

impl urx_ublk_params {
    fn parse(&self) -> Result<Parameters> {
        reserved(&[self.reserved0.into()])?;
        reserved(&self.reserved)?;
        let format = match self.format.size as usize {
            _ if self.format.meta_size == 0 => None,
            size if size != size_of::<urx_pi_format>() => {
                return Err(Error::Invalid(c"format.size: not sizeof(struct urx_pi_format)"));
            }
            _ => Some(self.format.parse()?),
        };
        Ok(Parameters {
            attrs: self.attrs,
            bytes: self.bytes,
            block: self.block,
            physical_block: self.physical_block,
            io_min: self.io_min,
            io_opt: self.io_opt,
            max_request: self.max_request,
            chunk: self.chunk,
            dma_align: self.dma_align,
            discard_granularity: self.discard_granularity,
            max_discard: self.max_discard,
            max_write_zeroes: self.max_write_zeroes,
            max_open_zones: self.max_open_zones,
            max_active_zones: self.max_active_zones,
            max_append: self.max_append,
            format,
            char_device: (0, 0),
            disk: (0, 0),
        })
    }

    fn show(all: &Parameters) -> Self {
        urx_ublk_params {
            size: size_of::<Self>() as u32,
            attrs: all.attrs,
            bytes: all.bytes,
            block: all.block,
            physical_block: all.physical_block,
            io_min: all.io_min,
            io_opt: all.io_opt,
            max_request: all.max_request,
            chunk: all.chunk,
            dma_align: all.dma_align,
            discard_granularity: all.discard_granularity,
            max_discard: all.max_discard,
            max_write_zeroes: all.max_write_zeroes,
            max_open_zones: all.max_open_zones,
            max_active_zones: all.max_active_zones,
            max_append: all.max_append,
            char_major: all.char_device.0,
            char_minor: all.char_device.1,
            disk_major: all.disk.0,
            disk_minor: all.disk.1,
            reserved0: 0,
            format: urx_pi_format::show(all.format.as_ref()),
            reserved: [0; 4],
        }
    }
}

/// What the ublk driver has: the kernel's UBLK_F_ bits. why may be NULL, else *why is static text. -EOPNOTSUPP: there is no ublk
/// driver; -EACCES: this process may not use it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn urx_ublk_features(features: *mut u64, why: *mut *const c_char) -> c_int {
    let ask = || {
        if features.is_null() {
            return Err(Error::Invalid(c"features: NULL"));
        }
        let told = keeping_errno(ublk::features)?;
        // SAFETY: src/capi/mod.rs, as for every pointer of an exported function.
        unsafe { write(features, told) }
    };
    // SAFETY: src/capi/mod.rs.
    unsafe { guard_why(why, ask, c"the driver has told its features") }
}

/// Adds a device; *device tells how it has become, /dev/ublkcN is there. -EEXIST: dev_id is taken; -EOPNOTSUPP: no driver,
/// or one that lacks some of the flags; -EPERM: not root.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn urx_ublk_add(
    device: *mut urx_ublk_device,
    why: *mut *const c_char,
) -> c_int {
    let add = || {
        // SAFETY: src/capi/mod.rs.
        let wanted = unsafe { read_sized(device) }?;
        reserved(&wanted.reserved)?;
        let mut info = wanted.parse();
        keeping_errno(|| ublk::add(&mut info))?;
        // SAFETY: src/capi/mod.rs.
        unsafe { write_sized(device, &urx_ublk_device::show(&info)) }
    };
    // SAFETY: src/capi/mod.rs.
    unsafe { guard_why(why, add, c"the device was added") }
}

/// What the driver knows of a device. -ENODEV: there is no such device.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn urx_ublk_info(dev_id: u32, device: *mut urx_ublk_device) -> c_int {
    guard(|| {
        // SAFETY: src/capi/mod.rs.
        unsafe { read_sized(device) }?;
        let info = keeping_errno(|| ublk::info(dev_id))?;
        // SAFETY: src/capi/mod.rs.
        unsafe { write_sized(device, &urx_ublk_device::show(&info)) }
    })
}

/// Says what a device is like, before it is started (-EACCES: it is).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn urx_ublk_set_params(
    dev_id: u32,
    params: *const urx_ublk_params,
    why: *mut *const c_char,
) -> c_int {
    let set = || {
        // SAFETY: src/capi/mod.rs.
        let all = unsafe { read_sized(params) }?.parse()?;
        keeping_errno(|| ublk::set_parameters(dev_id, &all))
    };
    // SAFETY: src/capi/mod.rs.
    unsafe { guard_why(why, set, c"the parameters were taken") }
}

/// The same, as the driver has them.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn urx_ublk_get_params(dev_id: u32, params: *mut urx_ublk_params) -> c_int {
    guard(|| {
        // SAFETY: src/capi/mod.rs.
        unsafe { read_sized(params) }?;
        let all = keeping_errno(|| ublk::parameters(dev_id))?;
        // SAFETY: src/capi/mod.rs.
        unsafe { write_sized(params, &urx_ublk_params::show(&all)) }
    })
}

/// Makes /dev/ublkbN, once all requests of all queues are fetched. Call it from a thread that does not serve: the kernel may read
/// partitions meanwhile. -ETIMEDOUT: 10 seconds were not enough; it was not started.
#[unsafe(no_mangle)]
pub extern "C" fn urx_ublk_start(dev_id: u32) -> c_int {
    guard(|| keeping_errno(|| ublk::start(dev_id)))
}

/// Takes /dev/ublkbN away, whoever has it open. Fetches end with -ENODEV.
#[unsafe(no_mangle)]
pub extern "C" fn urx_ublk_stop(dev_id: u32) -> c_int {
    guard(|| keeping_errno(|| ublk::stop(dev_id)))
}

/// Stops and deletes a device. -ETIMEDOUT: its character device is still open or mapped after 10 seconds; it is gone
/// when that is closed.
#[unsafe(no_mangle)]
pub extern "C" fn urx_ublk_delete(dev_id: u32) -> c_int {
    guard(|| keeping_errno(|| ublk::delete(dev_id)))
}

/// This process is to serve a device whose server has gone (URX_UBLK_F_RECOVERY). Then open the character device, and fetch.
/// -EBUSY: the other one is still there.
#[unsafe(no_mangle)]
pub extern "C" fn urx_ublk_begin_recovery(dev_id: u32) -> c_int {
    guard(|| keeping_errno(|| ublk::begin_recovery(dev_id)))
}

/// What urx_ublk_start() is to a new device.
#[unsafe(no_mangle)]
pub extern "C" fn urx_ublk_end_recovery(dev_id: u32) -> c_int {
    guard(|| keeping_errno(|| ublk::end_recovery(dev_id)))
}

/// Lets the server go while the block device stays, with URX_UBLK_F_QUIESCE: fetches end with -ENODEV. -EBUSY: requests were in flight for
/// timeout_ms milliseconds.
#[unsafe(no_mangle)]
pub extern "C" fn urx_ublk_quiesce(dev_id: u32, timeout_ms: u32) -> c_int {
    let limit = Duration::from_millis(timeout_ms.into());
    guard(|| keeping_errno(|| ublk::quiesce(dev_id, limit)))
}

/// Changes the size of a started device, with URX_UBLK_F_UPDATE_SIZE.
#[unsafe(no_mangle)]
pub extern "C" fn urx_ublk_resize(dev_id: u32, bytes: u64) -> c_int {
    guard(|| keeping_errno(|| ublk::resize(dev_id, bytes)))
}

/// Any control command: cmd_op is a UBLK_U_CMD_ of linux/ublk_cmd.h, value its word, buf of len bytes what it reads or
/// fills. timeout_ms 0: 10 seconds. Returns what the driver answers: 0, an index, or -errno; -ETIMEDOUT.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn urx_ublk_control(
    cmd_op: u32,
    dev_id: u32,
    value: u64,
    buf: *mut c_void,
    len: u32,
    timeout_ms: u32,
) -> c_int {
    let limit = match timeout_ms {
        0 => ublk::LIMIT,
        _ => Duration::from_millis(timeout_ms.into()),
    };
    let mut answer = 0;
    let ret = guard(|| {
        // SAFETY: src/capi/mod.rs: buf has len bytes.
        let buffer = unsafe { slice_mut(buf.cast::<u8>(), len as usize) }?;
        answer = keeping_errno(|| ublk::control(cmd_op, dev_id, value, buffer, limit))?;
        Ok(())
    });
    if ret < 0 { ret } else { c_int::try_from(answer).unwrap_or(c_int::MAX) }
}

/// Maps the descriptors of queue q_id of a device with so many requests a queue, for reading; fd: its character device.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn urx_ublk_map(
    fd: c_int,
    q_id: u16,
    depth: u16,
    descs: *mut *const urx_ublk_desc,
) -> c_int {
    guard(|| {
        // SAFETY: src/capi/mod.rs. Finds out about NULL before anything is mapped.
        unsafe { write(descs, std::ptr::null()) }?;
        if depth == 0 {
            return Err(Error::Invalid(c"depth: 0"));
        }
        let mapped = keeping_errno(|| sys::map_descriptors(fd, q_id, depth))?;
        // SAFETY: as above.
        unsafe { write(descs, mapped.cast()) }
    })
}

/// Ends such a mapping. NULL does nothing.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn urx_ublk_unmap(descs: *const urx_ublk_desc, depth: u16) {
    if !descs.is_null() {
        // SAFETY: src/capi/mod.rs: from urx_ublk_map() with the same depth, and used no more.
        keeping_errno(|| unsafe { sys::unmap_descriptors(descs.cast(), depth) });
    }
}

/// Where byte offset of a request is in the character device, for pread() of a write's data and pwrite() of a read's; integrity
/// not 0: of its metadata (URX_UBLK_F_INTEGRITY).
#[unsafe(no_mangle)]
pub extern "C" fn urx_ublk_copy_offset(q_id: u16, tag: u16, offset: u32, integrity: u32) -> u64 {
    ublk::copy_offset(q_id, tag, offset, integrity != 0)
}
