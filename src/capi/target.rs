//! targets

use std::ffi::{OsStr, c_char, c_int};
use std::os::fd::AsRawFd;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::Arc;

use super::boundary::{
    Plain, Sized, guard, hand_out, object, read_sized, reserved, text, write_sized,
};
use super::format::urx_pi_format;
use crate::error::{Error, Result};
use crate::probe::{Facts, Kind, Source};
use crate::sys::keeping_errno;
use crate::target::{Options, Target};

/// one open device or file; threads may share it
pub struct urx_target(pub(super) Arc<Target>);

/// urx_target_info.kind: regular file.
pub const URX_KIND_FILE: u32 = 1;
/// Block device that is not NVMe.
pub const URX_KIND_BLOCK: u32 = 2;
/// NVMe namespace or a partition of one, as a block device.
pub const URX_KIND_NVME_BLOCK: u32 = 3;
/// NVMe namespace as a character device (/dev/ngXnY).
pub const URX_KIND_NVME_CHAR: u32 = 4;
/// File of a zonefs.
pub const URX_KIND_ZONEFS: u32 = 5;

/// Who told a fact: nobody, since it does not apply or could not be learnt.
pub const URX_SOURCE_NONE: u32 = 0;
/// FS_IOC_GETLBMD_CAP (kernel 6.17).
pub const URX_SOURCE_LBMD: u32 = 1;
/// sysfs.
pub const URX_SOURCE_SYSFS: u32 = 2;
/// NVMe Identify (needs CAP_SYS_ADMIN before 6.2).
pub const URX_SOURCE_IDENTIFY: u32 = 3;
/// The device's driver, through another ioctl.
pub const URX_SOURCE_DRIVER: u32 = 4;
/// fstat or statx.
pub const URX_SOURCE_STAT: u32 = 5;

/// Index into urx_target_info.source: who told interval, metadata, guard and where the tuple lies.
pub const URX_FACT_FORMAT: u32 = 0;
/// Who told the PI type. All but Identify take type 2 for type 1.
pub const URX_FACT_TYPE: u32 = 1;
/// Who told nsid.
pub const URX_FACT_NSID: u32 = 2;
/// Who told bytes.
pub const URX_FACT_BYTES: u32 = 3;
/// Who told start.
pub const URX_FACT_START: u32 = 4;
/// Who told data_align, max_command, max_append.
pub const URX_FACT_LIMITS: u32 = 5;
/// Who told nr_zones, zone_bytes.
pub const URX_FACT_ZONES: u32 = 6;

/// urx_target_opts.flags: open for reading and writing; else for reading.
pub const URX_TARGET_WRITE: u32 = 1;
/// urx_target_opts.flags: open without O_DIRECT.
pub const URX_TARGET_BUFFERED: u32 = 2;

/// urx_target_info.flags: open for writing.
pub const URX_INFO_WRITABLE: u32 = 1;
/// urx_target_info.flags: open with O_DIRECT.
pub const URX_INFO_DIRECT: u32 = 2;
/// urx_target_info.flags: the kernel handles the metadata, so a PI attribute can carry it.
pub const URX_INFO_ATTR: u32 = 4;
/// urx_target_info.flags: who asked may not know how the metadata looks, or whether there is any.
pub const URX_INFO_HIDDEN: u32 = 8;

/// How to open a target.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct urx_target_opts {
    /// sizeof(struct urx_target_opts)
    pub size: u32,
    /// URX_TARGET_
    pub flags: u32,
    /// zero
    pub reserved: [u64; 7],
}
// SAFETY: integers, 64 bytes without padding; `size` comes first.
unsafe impl Plain for urx_target_opts {}
// SAFETY: as above.
unsafe impl Sized for urx_target_opts {
    const FIRST: usize = 64;
}
const _: () = assert!(size_of::<urx_target_opts>() == 64);

/// What is known of a target.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct urx_target_info {
    /// sizeof(struct urx_target_info)
    pub size: u32,
    /// URX_KIND_
    pub kind: u32,
    /// URX_INFO_
    pub flags: u32,
    /// descriptor for I/O: the target's, do not close it
    pub fd: i32,
    /// URX_SOURCE_ of each URX_FACT_
    pub source: [u8; 8],
    /// NVMe namespace identifier; 0: not NVMe
    pub nsid: u32,
    /// required alignment of data; metadata: 4
    pub data_align: u32,
    /// data bytes
    pub bytes: u64,
    /// byte of its device at which a partition starts
    pub start: u64,
    /// meta_size 0: no metadata, but see URX_INFO_HIDDEN; interval 0: a regular file, without blocks
    pub format: urx_pi_format,
    /// bytes of the largest single command; 0: not known
    pub max_command: u32,
    /// bytes of the largest zone append; 0: not zoned
    pub max_append: u32,
    /// number of zones; 0: not zoned
    pub nr_zones: u32,
    /// zero
    pub reserved0: u32,
    /// bytes from one zone to the next
    pub zone_bytes: u64,
    /// zero
    pub reserved: [u64; 8],
}
// SAFETY: integers, 176 bytes without padding; `size` comes first.
unsafe impl Plain for urx_target_info {}
// SAFETY: as above.
unsafe impl Sized for urx_target_info {
    const FIRST: usize = 176;
}
const _: () = assert!(size_of::<urx_target_info>() == 176);

/// Opens a device or file and learns its format and limits; *target is NULL on failure. Asks for no privilege that the kernel does not
/// ask for. opts may be NULL: for reading, with O_DIRECT (a file system without it gives a buffered file).
/// -EOPNOTSUPP: neither a block device, an NVMe namespace nor a regular file; else the errno of open(2).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn urx_target_open(
    target: *mut *mut urx_target,
    path: *const c_char,
    opts: *const urx_target_opts,
) -> c_int {
    let make = || {
        // SAFETY: src/capi/mod.rs, as for every pointer of an exported function.
        let (path, options) = unsafe { (text(path)?, options(opts)?) };
        Target::open(Path::new(OsStr::from_bytes(path.to_bytes())), options).map(shared)
    };
    // SAFETY: src/capi/mod.rs.
    guard(|| unsafe { hand_out(target, || keeping_errno(make)) })
}

/// The same for what is open already. The target has a descriptor of its own for it: fd may be closed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn urx_target_from_fd(target: *mut *mut urx_target, fd: c_int) -> c_int {
    // SAFETY: src/capi/mod.rs.
    guard(|| unsafe { hand_out(target, || keeping_errno(|| Target::from_fd(fd).map(shared))) })
}

/// Tells what is known. No system call.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn urx_target_query(
    target: *const urx_target,
    info: *mut urx_target_info,
) -> c_int {
    guard(|| {
        // SAFETY: src/capi/mod.rs.
        unsafe { write_sized(info, &show(&object(target)?.0)) }
    })
}

/// After the last CQE of every request on it. NULL does nothing.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn urx_target_close(target: *mut urx_target) {
    if !target.is_null() {
        // SAFETY: it came from `hand_out`, and the caller gives it back.
        let target = unsafe { Box::from_raw(target) };
        guard(|| {
            keeping_errno(|| drop(target));
            Ok(())
        });
    }
}

/// # Safety
/// `opts` is NULL or valid.
unsafe fn options(opts: *const urx_target_opts) -> Result<Options> {
    if opts.is_null() {
        return Ok(Options::default());
    }
    // SAFETY: the caller's.
    let opts = unsafe { read_sized(opts) }?;
    reserved(&opts.reserved)?;
    if opts.flags & !(URX_TARGET_WRITE | URX_TARGET_BUFFERED) != 0 {
        return Err(Error::Invalid(c"flags: an unknown bit is set"));
    }
    Ok(Options {
        write: opts.flags & URX_TARGET_WRITE != 0,
        buffered: opts.flags & URX_TARGET_BUFFERED != 0,
    })
}

fn shared(target: Target) -> urx_target {
    urx_target(Arc::new(target))
}

fn show(target: &Target) -> urx_target_info {
    let Facts { kind, nsid, bytes, start, layout, limits, zones } = *target.facts();
    let sources = [
        layout.format.source,
        layout.type_source,
        nsid.source,
        bytes.source,
        start.source,
        limits.source,
        zones.source,
        Source::None,
    ];
    let flag = |set, bit| if set { bit } else { 0 };
    urx_target_info {
        size: size_of::<urx_target_info>() as u32,
        kind: match kind {
            Kind::File => URX_KIND_FILE,
            Kind::Block => URX_KIND_BLOCK,
            Kind::NvmeBlock => URX_KIND_NVME_BLOCK,
            Kind::NvmeChar => URX_KIND_NVME_CHAR,
            Kind::Zonefs => URX_KIND_ZONEFS,
        },
        flags: flag(target.mode().writable, URX_INFO_WRITABLE)
            | flag(target.mode().direct, URX_INFO_DIRECT)
            | flag(layout.attribute.is_some(), URX_INFO_ATTR)
            | flag(layout.hidden, URX_INFO_HIDDEN),
        fd: target.as_raw_fd(),
        source: sources.map(|source| source_number(source) as u8),
        nsid: nsid.value,
        data_align: limits.value.data_align,
        bytes: bytes.value,
        start: start.value,
        format: urx_pi_format::show(layout.format.value.as_ref()),
        max_command: limits.value.max_command,
        max_append: limits.value.max_append,
        nr_zones: zones.value.count,
        reserved0: 0,
        zone_bytes: zones.value.bytes,
        reserved: [0; 8],
    }
}

fn source_number(source: Source) -> u32 {
    match source {
        Source::None => URX_SOURCE_NONE,
        Source::Lbmd => URX_SOURCE_LBMD,
        Source::Sysfs => URX_SOURCE_SYSFS,
        Source::Identify => URX_SOURCE_IDENTIFY,
        Source::Driver => URX_SOURCE_DRIVER,
        Source::Stat => URX_SOURCE_STAT,
    }
}
