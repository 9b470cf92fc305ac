//! targets

use std::ffi::{OsStr, c_char, c_int};
use std::os::fd::AsRawFd;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::Arc;

use super::boundary::{
    Plain, Sized, guard, guard_why, hand_out, object, read, read_sized, reserved, text, write,
    write_sized,
};
use super::format::{urx_pi_format, urx_tags};
use crate::error::{Error, Result};
use crate::geometry::Format;
use crate::probe::{Facts, Kind, Source};
use crate::store::Side;
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
/// The header of a side file.
pub const URX_SOURCE_SIDEFILE: u32 = 6;

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
/// urx_target_opts.flags: make the side file if there is none, mode 0600; with URX_TARGET_WRITE.
pub const URX_TARGET_CREATE_SIDE: u32 = 4;

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
    /// file that keeps the metadata of a target without any; opts in to it; NULL: none
    pub side_path: *const c_char,
    /// format that it must have, or is to get; NULL: the one it has
    pub side_format: *const urx_pi_format,
    /// (out) where to put a sentence that tells why the target was refused: static text; NULL: nowhere
    pub why: *mut *const c_char,
    /// zero
    pub reserved: [u64; 4],
}
// SAFETY: integers and raw pointers, 64 bytes without padding; `size` comes first.
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
/// -EOPNOTSUPP: neither a block device, an NVMe namespace nor a regular file, or one that a side file cannot serve;
/// the manual lists what else a side file may meet; else the errno of open(2).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn urx_target_open(
    target: *mut *mut urx_target,
    path: *const c_char,
    opts: *const urx_target_opts,
) -> c_int {
    // SAFETY: src/capi/mod.rs, as for every pointer of an exported function.
    let make = |options: Option<&Options<'_>>| unsafe {
        let path = Path::new(OsStr::from_bytes(text(path)?.to_bytes()));
        Target::open(path, options.unwrap_or(&Options::default()))
    };
    // SAFETY: src/capi/mod.rs.
    unsafe { open(target, opts, make) }
}

/// The same for what is open already, in agreement with opts; NULL: as it is open. The target has a descriptor of its own for it:
/// fd may be closed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn urx_target_from_fd(
    target: *mut *mut urx_target,
    fd: c_int,
    opts: *const urx_target_opts,
) -> c_int {
    // SAFETY: src/capi/mod.rs.
    unsafe { open(target, opts, |options| Target::from_fd(fd, options)) }
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

/// Learns everything again, after a format, a new partition table or another size. -EBUSY: requests are in
/// flight. No other call on the target meanwhile. On failure nothing changes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn urx_target_refresh(target: *mut urx_target) -> c_int {
    guard(|| {
        // SAFETY: src/capi/mod.rs: NULL, or an object of ours that nobody else uses during the call.
        let target = unsafe { target.as_mut() }.ok_or(NULL)?;
        let target = Arc::get_mut(&mut target.0).ok_or(Error::Os(libc::EBUSY))?;
        keeping_errno(|| target.refresh())
    })
}

/// Makes durable what was completed: side file and data, or the device's cache. Blocks.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn urx_target_flush(target: *mut urx_target) -> c_int {
    guard(|| {
        // SAFETY: src/capi/mod.rs.
        let target = &unsafe { object(target) }?.0;
        keeping_errno(|| target.flush())
    })
}

/// With a side file: computes the protection information of all that the data file holds now, with the application
/// and storage tag of tags, and marks all blocks written. Durable when it returns. Blocks.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn urx_target_adopt(target: *mut urx_target, tags: *const urx_tags) -> c_int {
    guard(|| {
        // SAFETY: src/capi/mod.rs.
        let (target, tags) = unsafe { (&object(target)?.0, read(tags)?.parse()?) };
        keeping_errno(|| target.adopt(&tags))
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

const NULL: Error = Error::Invalid(c"a pointer that must not be NULL is");

/// Makes a target of what was opened, and tells why if that fails.
///
/// # Safety
/// `place` is NULL or valid for a write, `opts` NULL or valid.
unsafe fn open(
    place: *mut *mut urx_target,
    opts: *const urx_target_opts,
    make: impl FnOnce(Option<&Options<'_>>) -> Result<Target>,
) -> c_int {
    let mut given = None;
    let prepare = guard(|| {
        // SAFETY: the caller's. Finds out about NULL before anything is opened.
        unsafe { write(place, std::ptr::null_mut()) }?;
        if !opts.is_null() {
            // SAFETY: the caller's.
            given = Some(unsafe { read_sized(opts) }?);
        }
        Ok(())
    });
    if prepare < 0 {
        return prepare;
    }
    let body = || {
        let made = || match given.as_ref() {
            None => keeping_errno(|| make(None)),
            // SAFETY: the caller's.
            Some(opts) => unsafe { opts.with(|options| keeping_errno(|| make(Some(options)))) },
        };
        // SAFETY: as above.
        unsafe { hand_out(place, || made().map(|target| urx_target(Arc::new(target)))) }
    };
    let why = given.as_ref().map_or(std::ptr::null_mut(), |opts| opts.why);
    // SAFETY: the caller's.
    unsafe { guard_why(why, body, c"the target is open") }
}

impl urx_target_opts {
    /// Calls `make` with what the caller asks for.
    ///
    /// # Safety
    /// `side_path` and `side_format` are NULL or valid.
    unsafe fn with<T>(&self, make: impl FnOnce(&Options<'_>) -> Result<T>) -> Result<T> {
        const KNOWN: u32 = URX_TARGET_WRITE | URX_TARGET_BUFFERED | URX_TARGET_CREATE_SIDE;
        reserved(&self.reserved)?;
        if self.flags & !KNOWN != 0 {
            return Err(Error::Invalid(c"flags: an unknown bit is set"));
        }
        let (write, create) =
            (self.flags & URX_TARGET_WRITE != 0, self.flags & URX_TARGET_CREATE_SIDE != 0);
        if self.side_path.is_null() && (create || !self.side_format.is_null()) {
            return Err(Error::Invalid(c"side_path: NULL"));
        }
        if create && !write {
            return Err(Error::Invalid(c"flags: URX_TARGET_CREATE_SIDE, but not URX_TARGET_WRITE"));
        }
        let format: Option<Format> = match self.side_format.is_null() {
            true => None,
            // SAFETY: the caller's.
            false => Some(unsafe { read_sized(self.side_format) }?.parse()?),
        };
        let side = match self.side_path.is_null() {
            true => None,
            // SAFETY: the caller's.
            false => Some(OsStr::from_bytes(unsafe { text(self.side_path) }?.to_bytes())),
        };
        let format = format.as_ref();
        let side = side.map(|path| Side { path: Path::new(path), create, format });
        make(&Options { write, buffered: self.flags & URX_TARGET_BUFFERED != 0, side })
    }
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
        Source::SideFile => URX_SOURCE_SIDEFILE,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_in_use_is_not_refreshed() {
        let file = std::env::current_exe().unwrap();
        let target = Target::open(&file, &Options::default()).unwrap();
        let mut target = urx_target(Arc::new(target));
        let job = Arc::clone(&target.0);
        // SAFETY: an object that nobody else uses.
        assert_eq!(unsafe { urx_target_refresh(&mut target) }, -libc::EBUSY);
        drop(job);
        // SAFETY: as above.
        assert_eq!(unsafe { urx_target_refresh(&mut target) }, 0);
    }
}
