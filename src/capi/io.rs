//! requests on any path

use std::ffi::c_int;
use std::mem::{MaybeUninit, offset_of, size_of};

use super::boundary::{guard, object, read, read_sized, write, write_sized};
use super::embedded::{self, is_sealed, spare};
use super::prep::io_uring_sqe;
use super::queue::urx_queue;
use super::rw::{io_uring_cqe, read_rw, urx_result, urx_rw};
use super::target::urx_target;
use crate::abi::{AttrPi, Sqe};
use crate::error::{Error, Result};
use crate::queue::{Completed, Filled, Finished, Io};
use crate::sqe;
use crate::sys::keeping_errno;

/// A request under way. The caller's memory, to be embedded; needs no initialisation, and must not move or be freed
/// from urx_plan() until urx_io_result() or urx_io_drop().
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct urx_io {
    /// (out) URX_PATH_ that it takes
    pub path: u32,
    /// (out) bytes of the SQE to get: 64, or 128 (on a ring with SQE_MIXED by io_uring_get_sqe128())
    pub sqe_size: u32,
    /// the library's
    pub lib: [u64; 63],
}

/// What a struct urx_io holds.
#[repr(C)]
struct Lib {
    path: u32,
    sqe_size: u32,
    /// Its mark while there is a request.
    seal: u64,
    /// What the SQE points to.
    attr: AttrPi,
    /// An [`Io`], at the first address in it that is aligned for one.
    io: [MaybeUninit<u8>; size_of::<Io>() + SPARE],
}
const SPARE: usize = spare::<Io, urx_io>();
const _: () = assert!(size_of::<Lib>() <= size_of::<urx_io>() && align_of::<Lib>() <= 8);
const _: () = assert!(offset_of!(Lib, seal) == offset_of!(urx_io, lib));
const _: () = assert!(offset_of!(Lib, io).is_multiple_of(align_of::<urx_io>()));

const PLANNED: u64 = 0x7572_785f_696f_2e31;

const NOT_PLANNED: Error = Error::Invalid(c"io: holds no planned request");

/// Chooses the best allowed path that can carry a request, and reserves what it needs there. Submits nothing.
/// -EOPNOTSUPP: no path can, urx_explain() tells why; -EAGAIN: max_waiting requests wait for workers, reap first;
/// -EINVAL, -ERANGE, -E2BIG (an append): the request is wrong; -EBUSY: io holds one already.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn urx_plan(
    queue: *mut urx_queue,
    target: *mut urx_target,
    rw: *const urx_rw,
    io: *mut urx_io,
) -> c_int {
    guard(|| {
        // SAFETY: src/capi/mod.rs, as for every pointer of an exported function.
        let (queue, target) = unsafe { (&object(queue)?.0, &object(target)?.0) };
        // SAFETY: src/capi/mod.rs.
        let call = unsafe { read_rw(rw) };
        // Hundreds of bytes, so not moved.
        let call = call.as_ref().map_err(|error| *error)?;
        // SAFETY: src/capi/mod.rs.
        match unsafe { place(io) }? {
            lib if is_planned(lib, io) => Err(Error::Os(libc::EBUSY)),
            lib => {
                // SAFETY: it holds no request, and is the library's.
                let room = unsafe { &mut *room(lib) };
                let planned =
                    keeping_errno(|| queue.plan(target, &call.request, call.allow, room))?;
                let (path, sqe_size, attr) = (planned.path(), planned.sqe_size(), planned.attr());
                // SAFETY: members of `lib`, none of them in `room`.
                unsafe {
                    (&raw mut (*lib).path).write(path.bits());
                    (&raw mut (*lib).sqe_size).write(sqe_size);
                    (&raw mut (*lib).attr).write(attr);
                    (&raw mut (*lib).seal).write(embedded::seal(io, PLANNED));
                }
                Ok(())
            }
        }
    })
}

/// Fills the SQE of a planned request, all of it but user_data. The request starts when the kernel issues the SQE. Later
/// only user_data and IOSQE_ASYNC, _IO_LINK, _IO_HARDLINK (see URX_RW_LINKED) and _IO_DRAIN may be set. Cannot fail:
/// where io holds no planned request, the SQE is one that the kernel refuses (-EINVAL).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn urx_prep(sqe: *mut io_uring_sqe, io: *mut urx_io) {
    guard(|| {
        // SAFETY: src/capi/mod.rs. Only user_data of it is used.
        let user_data = unsafe { read(sqe.cast::<Sqe>()) }?.user_data;
        // SAFETY: src/capi/mod.rs.
        let lib = unsafe { place(io) }.ok().filter(|lib| is_planned(*lib, io));
        let Some(lib) = lib else {
            // SAFETY: src/capi/mod.rs.
            return unsafe { write(sqe.cast(), sqe::refused(user_data)) };
        };
        // SAFETY: it holds a request.
        let request = unsafe { (*room(lib)).assume_init_ref() };
        // SAFETY: a member of the caller's memory.
        let attr = unsafe { &raw const (*lib).attr }.expose_provenance() as u64;
        match request.fill(attr, user_data) {
            // SAFETY: src/capi/mod.rs.
            Filled::Small(small) => unsafe { write(sqe.cast(), small) },
            // SAFETY: src/capi/mod.rs: sqe_size said 128.
            Filled::Big(big) => unsafe { write(sqe.cast(), big) },
        }
    });
}

/// Gives back a planned request whose CQE will not come: never prepared, never submitted (its SQE must not be any
/// more), or lost. Waits for a worker that has begun. NULL, or without a request, does nothing.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn urx_io_drop(io: *mut urx_io) {
    guard(|| {
        // SAFETY: src/capi/mod.rs.
        let request = unsafe { take(io) }?;
        keeping_errno(|| request.abandon());
        Ok(())
    });
}

/// The result of a request whose CQE came: like cqe->res of a plain read or write, on every path: bytes, or
/// -errno, -EILSEQ for a failed check. `cqe` lies in the ring, before io_uring_cqe_seen(), or is a copy (of 32 bytes
/// where they have so many). A request that was cancelled when a worker had begun: waits, and tells what the
/// worker did. result may be NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn urx_io_result(
    io: *mut urx_io,
    cqe: *const io_uring_cqe,
    result: *mut urx_result,
) -> c_int {
    answer(result, || {
        // SAFETY: src/capi/mod.rs; a CQE has 16 bytes at least.
        let words = unsafe { read(cqe.cast::<[u32; 4]>()) }?;
        // SAFETY: src/capi/mod.rs.
        let request = unsafe { take(io) }?;
        // A command that never reached the driver has a small CQE on a ring of both sizes.
        let value = match request.has_value() && words[2].cast_signed() >= 0 {
            // SAFETY: the driver's answer has 32 bytes: its path wants such a ring.
            true => unsafe { read(cqe.cast::<[u64; 4]>()) }?[2],
            false => 0,
        };
        let completed = Completed { res: words[2].cast_signed(), value };
        Ok(keeping_errno(|| request.finish(&completed)))
    })
}

/// A request from plan to result, at once, on a queue with a ring of its own (ring_fd -1). Returns as
/// urx_plan() and urx_io_result().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn urx_run(
    queue: *mut urx_queue,
    target: *mut urx_target,
    rw: *const urx_rw,
    result: *mut urx_result,
) -> c_int {
    answer(result, || {
        // SAFETY: src/capi/mod.rs.
        let (queue, target) = unsafe { (&object(queue)?.0, &object(target)?.0) };
        // SAFETY: src/capi/mod.rs.
        let call = unsafe { read_rw(rw) }?;
        keeping_errno(|| queue.run(target, &call.request, call.allow))
    })
}

/// After -EILSEQ of a read: reads again without checks, into memory of its own, and verifies in software; blocks.
/// 0: result->pi is the first failed check. -EAGAIN: not reproduced, now all checks pass; else why it
/// could not be read. queue tells which paths are allowed, and may be NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn urx_diagnose(
    queue: *const urx_queue,
    target: *mut urx_target,
    rw: *const urx_rw,
    result: *mut urx_result,
) -> c_int {
    guard(|| {
        // SAFETY: src/capi/mod.rs.
        let (target, call) = unsafe { (&object(target)?.0, read_rw(rw)?) };
        let allow = match queue.is_null() {
            true => crate::path::Paths::all(),
            // SAFETY: not NULL; src/capi/mod.rs.
            false => unsafe { object(queue) }?.0.allow(),
        };
        // SAFETY: src/capi/mod.rs.
        unsafe { read_sized(result) }?;
        let finished = keeping_errno(|| {
            crate::queue::diagnose_read(target, &call.request, allow & call.allow)
        })?;
        // SAFETY: src/capi/mod.rs.
        unsafe { write_sized(result, &show(&finished)) }
    })
}

/// Finishes a request, and tells how: what it returns, and in `result`, which is NULL or the caller's.
fn answer(result: *mut urx_result, finish: impl FnOnce() -> Result<Finished>) -> c_int {
    let mut res = 0;
    let failed = guard(|| {
        if !result.is_null() {
            // SAFETY: src/capi/mod.rs. A result that cannot be written must not cost the request.
            unsafe { read_sized(result) }?;
        }
        let finished = finish()?;
        res = finished.outcome.res;
        match result.is_null() {
            true => Ok(()),
            // SAFETY: src/capi/mod.rs.
            false => unsafe { write_sized(result, &show(&finished)) },
        }
    });
    if failed == 0 { res } else { failed }
}

fn show(finished: &Finished) -> urx_result {
    let shown = urx_result::show(finished.path.bits(), &finished.outcome, finished.lba);
    let Finished { append_offset, append_lba, .. } = *finished;
    urx_result { append_offset, append_lba, ..shown }
}

/// # Safety
/// `io` is NULL or valid.
unsafe fn place(io: *mut urx_io) -> Result<*mut Lib> {
    match io {
        _ if io.is_null() => Err(Error::Invalid(c"io: NULL")),
        _ if !io.is_aligned() => Err(Error::Invalid(c"io: not aligned to 8 bytes")),
        _ => Ok(io.cast()),
    }
}

fn is_planned(lib: *mut Lib, io: *const urx_io) -> bool {
    // SAFETY: `lib` comes from `place`, and is `io`.
    unsafe { is_sealed(&raw const (*lib).seal, io, PLANNED) }
}

/// Where the request lies.
///
/// # Safety
/// `lib` comes from `place`.
unsafe fn room(lib: *mut Lib) -> *mut MaybeUninit<Io> {
    // SAFETY: the caller's; a member of `Lib`, whose other members keep it aligned as urx_io is.
    unsafe { embedded::room((&raw mut (*lib).io).cast()) }
}

/// The request, which is there no more for any other call. It has to be left by `finish` or `abandon`.
///
/// # Safety
/// `io` is NULL or valid, and used by nobody else during `'a`.
unsafe fn take<'a>(io: *mut urx_io) -> Result<&'a mut Io> {
    // SAFETY: the caller's.
    let lib = unsafe { place(io) }?;
    if !is_planned(lib, io) {
        return Err(NOT_PLANNED);
    }
    // SAFETY: it holds a request, and from now on says that it does not.
    unsafe {
        (&raw mut (*lib).seal).write(0);
        Ok((*room(lib)).assume_init_mut())
    }
}
