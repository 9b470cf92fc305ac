//! fused commands (ublk)

use std::ffi::{c_char, c_int, c_void};
use std::mem::{MaybeUninit, offset_of, size_of};

use super::boundary::{
    Plain, Sized, guard, guard_why, hand_out, object, read, read_sized, reserved, write,
};
use super::embedded::{self, is_sealed, spare};
use super::prep::io_uring_sqe;
use super::queue::urx_queue;
use super::rw::io_uring_cqe;
use super::ublk::urx_ublk_desc;
use crate::abi::Sqe;
use crate::abi::ublk::IoDesc;
use crate::error::{Error, Result};
use crate::fused::{COPY_MOST, Command, Given, Iovec, Kind, MOST, Options, Ublk, Ways};
use crate::sys::keeping_errno;

/// one queue of a ublk device, served by one ring; used like its ring, by one thread at a time
pub struct urx_ublk {
    core: Ublk,
    descs: *const IoDesc,
}

/// Secondaries of one command.
pub const URX_FUSED_MAX: u32 = 16;
const _: () = assert!(URX_FUSED_MAX as usize == MOST);

/// A way of a command to the request's buffer, and one bit of a mask of them: the driver registered it with the request
/// (URX_UBLK_F_AUTO_BUF_REG).
pub const URX_FUSED_AUTO_REG: u32 = 1;
/// Registered, used and unregistered in one chain (URX_UBLK_F_ZERO_COPY).
pub const URX_FUSED_REGISTER: u32 = 2;
/// Copied from and to memory of the library's (URX_UBLK_F_USER_COPY).
pub const URX_FUSED_USER_COPY: u32 = 4;
/// Copied by the driver, from and to the buffer that came with the fetch: a device with none of these features.
pub const URX_FUSED_BUFFER: u32 = 8;
const _: () = assert!(
    URX_FUSED_AUTO_REG == Ways::AUTO_REG.bits()
        && URX_FUSED_REGISTER == Ways::REGISTER.bits()
        && URX_FUSED_USER_COPY == Ways::USER_COPY.bits()
        && URX_FUSED_BUFFER == Ways::BUFFER.bits()
);

/// A queue of a ublk device.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct urx_ublk_opts {
    /// sizeof(struct urx_ublk_opts)
    pub size: u32,
    /// URX_FUSED_ that may be taken; 0: all that the device has
    pub allow: u32,
    /// /dev/ublkcN; stays the caller's, who keeps it open until the last command is over
    pub char_fd: i32,
    /// which queue
    pub q_id: u16,
    /// its requests
    pub depth: u16,
    /// URX_UBLK_F_ of the device, as urx_ublk_add() or urx_ublk_info() told them
    pub features: u64,
    /// its descriptors, from urx_ublk_map()
    pub descs: *const urx_ublk_desc,
    /// entries of the ring's table of registered buffers, empty ones, that are the library's: the first
    pub buf_base: u32,
    /// and how many: one for each command that is to be under way with URX_FUSED_REGISTER, and depth more with
    /// URX_UBLK_F_AUTO_BUF_REG; 0 for a device without zero copy
    pub buf_count: u32,
    /// of commands that URX_FUSED_REGISTER and _USER_COPY can both carry, those that use at most so many bytes of the buffer
    /// are copied; 0: 2048, as measured
    pub copy_most: u32,
    /// zero
    pub reserved0: u32,
    /// zero
    pub reserved: [u64; 2],
}
// SAFETY: integers and a raw pointer, 64 bytes without padding; `size` comes first.
unsafe impl Plain for urx_ublk_opts {}
// SAFETY: as above.
unsafe impl Sized for urx_ublk_opts {
    const FIRST: usize = 64;
}
const _: () = assert!(size_of::<urx_ublk_opts>() == 64);

/// A fused command under way. The caller's memory, to be embedded; needs no initialisation, and must not move or be
/// freed from urx_fused_plan() until pending is 0, or urx_fused_drop().
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct urx_fused {
    /// (out) URX_FUSED_ that it takes
    pub path: u32,
    /// (out) SQEs to get and to prepare now, all in one submit; 0: none
    pub nr_sqes: u32,
    /// (out) SQEs whose last CQE is still to come, those to prepare included; 0: the command is over
    pub pending: u32,
    /// (out) at the end, what to commit: bytes of the request that are done, or the first -errno
    pub res: i32,
    /// (out) of each secondary its own result, once it has come
    pub secondary_res: [i32; 16],
    /// the library's
    pub lib: [u64; 206],
}

/// What a struct urx_fused holds.
#[repr(C)]
struct Lib {
    shown: Shown,
    /// Its mark while there is a command.
    seal: u64,
    /// A [`Command`], at the first address in it that is aligned for one.
    command: [MaybeUninit<u8>; size_of::<Command>() + SPARE],
}
/// The members before `lib`.
#[repr(C)]
#[derive(Clone, Copy)]
struct Shown {
    path: u32,
    nr_sqes: u32,
    pending: u32,
    res: i32,
    secondary_res: [i32; MOST],
}
const SPARE: usize = spare::<Command, urx_fused>();
const _: () = assert!(size_of::<Lib>() <= size_of::<urx_fused>() && align_of::<Lib>() <= 8);
const _: () = assert!(offset_of!(Lib, seal) == offset_of!(urx_fused, lib));
const _: () = assert!(offset_of!(Lib, command).is_multiple_of(align_of::<urx_fused>()));

const PLANNED: u64 = 0x7572_785f_6675_7331;

/// Serves a queue of a ublk device on the ring of `queue`, of which only flags matter. *ublk is NULL on failure.
/// *why (may be NULL) is a
/// sentence in each case. -EOPNOTSUPP: an IOPOLL ring, a device that is served in batches, or none of the allowed ways is
/// the device's.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn urx_ublk_open(
    ublk: *mut *mut urx_ublk,
    queue: *const urx_queue,
    opts: *const urx_ublk_opts,
    why: *mut *const c_char,
) -> c_int {
    let make = || {
        // SAFETY: src/capi/mod.rs, as for every pointer of an exported function.
        let (ring, opts) = unsafe { (object(queue)?.0.ring(), read_sized(opts)?) };
        reserved(&opts.reserved)?;
        reserved(&[opts.reserved0.into()])?;
        if opts.descs.is_null() || !opts.descs.is_aligned() {
            return Err(Error::Invalid(c"descs: NULL, or not from urx_ublk_map()"));
        }
        let allow = Ways::from_bits(opts.allow).ok_or(Error::Invalid(c"allow: an unknown way"))?;
        let options = Options {
            allow: if allow.is_empty() { Ways::all() } else { allow },
            char_fd: opts.char_fd,
            q_id: opts.q_id,
            depth: opts.depth,
            features: opts.features,
            buf_base: opts.buf_base,
            buf_count: opts.buf_count,
            copy_most: if opts.copy_most == 0 { COPY_MOST } else { opts.copy_most },
            ring_flags: ring.flags,
        };
        Ok(urx_ublk { core: Ublk::open(&options)?, descs: opts.descs.cast() })
    };
    // SAFETY: src/capi/mod.rs.
    unsafe { guard_why(why, || hand_out(ublk, || keeping_errno(make)), c"the queue can be served") }
}

/// Commands that are under way go on, and may be ended after it. NULL does nothing.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn urx_ublk_close(ublk: *mut urx_ublk) {
    if !ublk.is_null() {
        // SAFETY: it came from `hand_out`, and the caller gives it back.
        let ublk = unsafe { Box::from_raw(ublk) };
        guard(|| {
            keeping_errno(|| drop(ublk));
            Ok(())
        });
    }
}

/// Asks for the first request of a tag: FETCH_REQ. Its CQE tells (res 0) that descs[tag] is a request. buf is the
/// tag's buffer on a device with neither zero nor user copy (URX_FUSED_BUFFER), else NULL. Fills the SQE but for
/// user_data; writes nothing on failure.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn urx_prep_ublk_fetch(
    sqe: *mut io_uring_sqe,
    ublk: *mut urx_ublk,
    tag: u16,
    buf: *mut c_void,
) -> c_int {
    // SAFETY: src/capi/mod.rs.
    guard(|| unsafe {
        fill(sqe, ublk, |core, word| core.fetch(tag, buf.expose_provenance() as u64, word))
    })
}

/// Ends the request of a tag with its result (bytes, or -errno), and asks for the next: COMMIT_AND_FETCH_REQ. Submit
/// it only when each fused command on the tag is over.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn urx_prep_ublk_commit(
    sqe: *mut io_uring_sqe,
    ublk: *mut urx_ublk,
    tag: u16,
    res: i32,
) -> c_int {
    // SAFETY: src/capi/mod.rs.
    guard(|| unsafe { fill(sqe, ublk, |core, word| core.commit(tag, res, word)) })
}

/// Registers the buffer of a request by hand, at an index from urx_ublk_buf_get(): REGISTER_IO_BUF.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn urx_prep_ublk_register(
    sqe: *mut io_uring_sqe,
    ublk: *mut urx_ublk,
    tag: u16,
    buf_index: u16,
) -> c_int {
    // SAFETY: src/capi/mod.rs.
    guard(|| unsafe { fill(sqe, ublk, |core, word| core.register(tag, buf_index, word)) })
}

/// Ends that: UNREGISTER_IO_BUF. The index can be put back when its CQE has come.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn urx_prep_ublk_unregister(
    sqe: *mut io_uring_sqe,
    ublk: *mut urx_ublk,
    tag: u16,
    buf_index: u16,
) -> c_int {
    // SAFETY: src/capi/mod.rs.
    guard(|| unsafe { fill(sqe, ublk, |core, word| core.unregister(tag, buf_index, word)) })
}

/// An index of the ring's table that nobody uses. -EAGAIN: none.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn urx_ublk_buf_get(ublk: *mut urx_ublk, buf_index: *mut u16) -> c_int {
    guard(|| {
        // SAFETY: src/capi/mod.rs. NULL is found before an index is taken.
        unsafe { write(buf_index, 0) }?;
        // SAFETY: src/capi/mod.rs.
        let index = unsafe { object(ublk) }?.core.take_index()?;
        // SAFETY: src/capi/mod.rs.
        unsafe { write(buf_index, index) }
    })
}

/// Gives it back. -EINVAL: it was not handed out by that function, or is back already.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn urx_ublk_buf_put(ublk: *mut urx_ublk, buf_index: u16) -> c_int {
    // SAFETY: src/capi/mod.rs.
    guard(|| unsafe { object(ublk) }?.core.put_index(buf_index))
}

/// Chooses a way for the request `tag` to lend its buffer to `nr` secondaries: SQEs of 64 bytes, one behind the other,
/// as prepared for READ, WRITE, READV, WRITEV, SEND, SEND_ZC or RECV, whose address (or iov_base) is an offset in the
/// buffer. They are copied, iovecs too; none may depend on another. Submits nothing. Of their flags IOSQE_FIXED_FILE
/// and _ASYNC are kept, others refused. -EFAULT: a range not all in the buffer, or not the request's direction;
/// -EOPNOTSUPP: no way can carry them; -EAGAIN: no index is free; -EBUSY: fused holds a command already, or the driver
/// could not register. URX_FUSED_USER_COPY copies here what was written to the device. *why (may be NULL) is a
/// sentence in each case.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn urx_fused_plan(
    ublk: *mut urx_ublk,
    fused: *mut urx_fused,
    tag: u16,
    secondaries: *const io_uring_sqe,
    nr: u32,
    why: *mut *const c_char,
) -> c_int {
    let plan = || {
        // SAFETY: src/capi/mod.rs.
        let ublk = unsafe { object(ublk) }?;
        // SAFETY: src/capi/mod.rs.
        let lib = unsafe { place(fused) }?;
        if is_planned(lib, fused) {
            return Err(Error::Os(libc::EBUSY));
        }
        // SAFETY: src/capi/mod.rs.
        let given = unsafe { read_secondaries(secondaries.cast(), nr) }?;
        if tag >= ublk.core.depth() {
            return Err(Error::Invalid(c"tag: the queue has fewer requests"));
        }
        // SAFETY: so many descriptors, the caller said when he opened. The driver writes them, but none of a request that
        // is being served.
        let desc = unsafe { ublk.descs.add(tag.into()).read_volatile() };
        // SAFETY: it holds no command, and is the library's.
        let room = unsafe { &mut *room(lib) };
        let command = keeping_errno(|| ublk.core.plan(tag, &desc, &given, room))?;
        let shown = show(command);
        // SAFETY: members of `lib`, neither of them in `room`.
        unsafe {
            (&raw mut (*lib).shown).write(shown);
            (&raw mut (*lib).seal).write(embedded::seal(fused, PLANNED));
        }
        Ok(())
    };
    // SAFETY: src/capi/mod.rs.
    unsafe { guard_why(why, plan, c"planned: fused->path tells how") }
}

/// Fills `nr` SQEs, which has to be fused->nr_sqes, got one after the other with nothing between them, but for their
/// user_data: set that to tell which command and which of its SQEs it is, and change nothing else. Have room for all
/// before the first is got. -EINVAL: NULL among them, or another number; then nothing is written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn urx_prep_fused_cmd(
    sqes: *const *mut io_uring_sqe,
    nr: u32,
    fused: *mut urx_fused,
) -> c_int {
    guard(|| {
        // SAFETY: src/capi/mod.rs.
        let (lib, command) = unsafe { planned(fused) }?;
        if nr as usize != command.sqes() || nr == 0 {
            return Err(Error::Invalid(c"nr: not fused->nr_sqes"));
        }
        if sqes.is_null() {
            return Err(Error::Invalid(c"sqes: NULL"));
        }
        let mut all = [std::ptr::null_mut::<Sqe>(); MOST + 2];
        for (n, sqe) in all.iter_mut().take(nr as usize).enumerate() {
            // SAFETY: `nr` pointers, the caller says.
            *sqe = unsafe { sqes.add(n).read_unaligned() }.cast();
            if sqe.is_null() {
                return Err(Error::Invalid(c"sqes: a NULL among them"));
            }
        }
        for (n, place) in all.into_iter().take(nr as usize).enumerate() {
            let filled = command.sqe(n).ok_or(NOT_PLANNED)?;
            // SAFETY: src/capi/mod.rs. Only user_data of it is used.
            let user_data = unsafe { read(place) }?.user_data;
            // SAFETY: src/capi/mod.rs.
            unsafe { write(place, Sqe { user_data, ..filled }) }?;
        }
        command.issue();
        // SAFETY: a member of the caller's memory.
        unsafe { (&raw mut (*lib).shown).write(show(command)) };
        Ok(())
    })
}

/// To be called for each CQE of the command; `index` tells of which SQE of the last preparation. Returns fused->pending.
/// At 0 the command is over: commit fused->res. Where fused->nr_sqes is not 0, prepare and submit these, as at first:
/// the buffer is still registered. -EINVAL: no such CQE is to come.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn urx_fused_result(
    fused: *mut urx_fused,
    index: u32,
    cqe: *const io_uring_cqe,
) -> c_int {
    let mut pending = 0;
    let failed = guard(|| {
        // SAFETY: src/capi/mod.rs.
        let (lib, command) = unsafe { planned(fused) }?;
        // SAFETY: src/capi/mod.rs; a CQE has 16 bytes at least.
        let [_, _, res, flags] = unsafe { read(cqe.cast::<[u32; 4]>()) }?;
        keeping_errno(|| command.completed(index as usize, res.cast_signed(), flags))?;
        let shown = show(command);
        pending = shown.pending.cast_signed();
        if pending == 0 {
            // SAFETY: it is not used again.
            unsafe { end(lib) };
        }
        // SAFETY: a member of the caller's memory.
        unsafe { (&raw mut (*lib).shown).write(shown) };
        Ok(())
    });
    if failed == 0 { pending } else { failed }
}

/// Gives back a planned command whose CQEs will not come: its SQEs were never submitted and will not be, or their ring is
/// gone. NULL, or without a command, does nothing. The index of one that was prepared is not used again.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn urx_fused_drop(fused: *mut urx_fused) {
    guard(|| {
        // SAFETY: src/capi/mod.rs.
        let (lib, command) = unsafe { planned(fused) }?;
        command.abandon();
        let shown = show(command);
        // SAFETY: it is not used again; a member of the caller's memory.
        unsafe {
            keeping_errno(|| end(lib));
            (&raw mut (*lib).shown).write(shown);
        }
        Ok(())
    });
}

fn show(command: &Command) -> Shown {
    Shown {
        path: command.way().bits(),
        nr_sqes: command.sqes() as u32,
        pending: command.pending(),
        res: command.res(),
        secondary_res: *command.results(),
    }
}

/// Fills an SQE, all of it but `user_data`, or nothing.
///
/// # Safety
/// As of an exported function.
unsafe fn fill(
    sqe: *mut io_uring_sqe,
    ublk: *mut urx_ublk,
    make: impl FnOnce(&Ublk, u64) -> Result<Sqe>,
) -> Result<()> {
    // SAFETY: the caller's. Only user_data of the SQE is used.
    let (core, user_data) = unsafe { (&object(ublk)?.core, read(sqe.cast::<Sqe>())?.user_data) };
    let filled = make(core, user_data)?;
    // SAFETY: the caller's.
    unsafe { write(sqe.cast(), filled) }
}

/// The kernel's UIO_MAXIOV.
const MAX_IOVECS: u32 = 1024;

/// # Safety
/// `sqes` is NULL or valid for `nr` SQEs; the iovecs of those that have some are valid.
unsafe fn read_secondaries(sqes: *const Sqe, nr: u32) -> Result<Vec<Given>> {
    if nr == 0 || nr > URX_FUSED_MAX {
        return Err(Error::Invalid(c"nr: not 1 to 16 secondaries"));
    }
    if sqes.is_null() {
        return Err(Error::Invalid(c"secondaries: NULL"));
    }
    let mut all = Vec::with_capacity(nr as usize);
    for n in 0..nr as usize {
        // SAFETY: `nr` of them, the caller says.
        let sqe = unsafe { sqes.add(n).read_unaligned() };
        let iovecs = match Kind::of(sqe.opcode)?.is_vectored() {
            // SAFETY: the caller's.
            true => unsafe { read_iovecs(&sqe) }?,
            false => Vec::new(),
        };
        all.push(Given { sqe, iovecs });
    }
    Ok(all)
}

/// # Safety
/// `sqe.addr` is 0 or the address of `sqe.len` iovecs.
unsafe fn read_iovecs(sqe: &Sqe) -> Result<Vec<Iovec>> {
    let iovecs = std::ptr::with_exposed_provenance::<libc::iovec>(sqe.addr as usize);
    if sqe.len > MAX_IOVECS {
        return Err(Error::Invalid(c"secondaries: len: more than 1024 iovecs"));
    }
    if iovecs.is_null() {
        return Err(Error::Invalid(c"secondaries: addr: NULL instead of iovecs"));
    }
    let one = |n| {
        // SAFETY: `n` is below their number.
        let iovec = unsafe { iovecs.add(n).read_unaligned() };
        Iovec { base: iovec.iov_base.addr() as u64, len: iovec.iov_len as u64 }
    };
    Ok((0..sqe.len as usize).map(one).collect())
}

const NOT_PLANNED: Error = Error::Invalid(c"fused: holds no planned command");

/// # Safety
/// `fused` is NULL or valid.
unsafe fn place(fused: *mut urx_fused) -> Result<*mut Lib> {
    match fused {
        _ if fused.is_null() => Err(Error::Invalid(c"fused: NULL")),
        _ if !fused.is_aligned() => Err(Error::Invalid(c"fused: not aligned to 8 bytes")),
        _ => Ok(fused.cast()),
    }
}

fn is_planned(lib: *mut Lib, fused: *const urx_fused) -> bool {
    // SAFETY: `lib` comes from `place`, and is `fused`.
    unsafe { is_sealed(&raw const (*lib).seal, fused, PLANNED) }
}

/// Where the command lies.
///
/// # Safety
/// `lib` comes from `place`.
unsafe fn room(lib: *mut Lib) -> *mut MaybeUninit<Command> {
    // SAFETY: the caller's; a member of `Lib`, whose other members keep it aligned as urx_fused is.
    unsafe { embedded::room((&raw mut (*lib).command).cast()) }
}

/// # Safety
/// `fused` is NULL or valid, and used by nobody else during `'a`.
unsafe fn planned<'a>(fused: *mut urx_fused) -> Result<(*mut Lib, &'a mut Command)> {
    // SAFETY: the caller's.
    let lib = unsafe { place(fused) }?;
    if !is_planned(lib, fused) {
        return Err(NOT_PLANNED);
    }
    // SAFETY: it holds a command.
    Ok((lib, unsafe { (*room(lib)).assume_init_mut() }))
}

/// Ends the command, which is there no more.
///
/// # Safety
/// `lib` comes from `planned`, whose command is not used again.
unsafe fn end(lib: *mut Lib) {
    // SAFETY: the caller's: it holds a command, and from now on says that it does not.
    unsafe {
        (&raw mut (*lib).seal).write(0);
        (*room(lib)).assume_init_drop();
    }
}

/// As urx_prep_fused_cmd().
#[cfg(not(urx_no_liburing_names))]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn io_uring_prep_fused_cmd(
    sqes: *const *mut io_uring_sqe,
    nr: u32,
    fused: *mut urx_fused,
) -> c_int {
    // SAFETY: the caller's.
    unsafe { urx_prep_fused_cmd(sqes, nr, fused) }
}
