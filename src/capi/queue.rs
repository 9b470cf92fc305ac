//! queues

use std::ffi::{c_char, c_int};

use super::boundary::{Plain, Sized, guard, guard_why, hand_out, object, read_sized, reserved};
use super::rw::{paths, read_rw, urx_rw};
use super::target::urx_target;
use crate::error::{Error, Result};
use crate::path::{Paths, Ring};
use crate::queue::{Queue, best_ring};
use crate::sys::keeping_errno;

/// one ring, and the workers for what it cannot carry itself; used like its ring, by one thread at a time
pub struct urx_queue(pub(super) Queue);

/// How a queue carries requests.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct urx_queue_opts {
    /// sizeof(struct urx_queue_opts)
    pub size: u32,
    /// URX_PATH_ that may be taken; 0: all
    pub allow: u32,
    /// threads that wait, each for one request; 0: 16. Those that have many under way are one for commands, one for appends
    pub max_workers: u32,
    /// requests at a time with those that wait, and with each of the others, two descriptors a request; 0: a quarter of
    /// RLIMIT_NOFILE's descriptors
    pub max_waiting: u32,
    /// zero
    pub reserved: [u64; 6],
}
// SAFETY: integers, 64 bytes without padding; `size` comes first.
unsafe impl Plain for urx_queue_opts {}
// SAFETY: as above.
unsafe impl Sized for urx_queue_opts {
    const FIRST: usize = 64;
}
const _: () = assert!(size_of::<urx_queue_opts>() == 64);

/// A queue for a ring: urx_queue_open(&queue, URX_RING(&ring), NULL). *queue is NULL on failure. ring_fd -1: a
/// small ring of its own, for urx_run() alone (flags and features 0). opts may be NULL. Makes no thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn urx_queue_open(
    queue: *mut *mut urx_queue,
    ring_fd: c_int,
    ring_flags: u32,
    ring_features: u32,
    opts: *const urx_queue_opts,
) -> c_int {
    let make = || {
        // SAFETY: src/capi/mod.rs, as for every pointer of an exported function.
        let (allow, workers, waiting) = unsafe { options(opts) }?;
        let ring = Ring::new(ring_flags, ring_features);
        let queue = match ring_fd {
            0.. => Queue::new(ring, allow, workers, waiting),
            -1 if ring_flags == 0 && ring_features == 0 => Queue::private(allow)?,
            _ => return Err(Error::Invalid(c"ring_fd: neither a descriptor nor -1 alone")),
        };
        Ok(urx_queue(queue))
    };
    // SAFETY: src/capi/mod.rs.
    guard(|| unsafe { hand_out(queue, || keeping_errno(make)) })
}

/// Waits for workers that have begun; what they have not begun is dropped. NULL does nothing. Before the ring's
/// end: reap or cancel, close the queue, free buffers, io_uring_queue_exit().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn urx_queue_close(queue: *mut urx_queue) {
    if !queue.is_null() {
        // SAFETY: it came from `hand_out`, and the caller gives it back.
        let queue = unsafe { Box::from_raw(queue) };
        guard(|| {
            keeping_errno(|| {
                queue.0.close();
                drop(queue);
            });
            Ok(())
        });
    }
}

/// Whether one path (one URX_PATH_ bit) would carry a request: 0, or -EOPNOTSUPP, -EINVAL, -ERANGE; *why (may be
/// NULL) is a sentence in each case. rw NULL: any request at all. queue NULL: the best ring that this kernel
/// could have. No system call, except with queue NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn urx_explain(
    queue: *const urx_queue,
    target: *const urx_target,
    rw: *const urx_rw,
    path: u32,
    why: *mut *const c_char,
) -> c_int {
    let body = || {
        // SAFETY: src/capi/mod.rs.
        let target = &unsafe { object(target) }?.0;
        let path = Paths::from_bits(path).filter(|path| path.bits().is_power_of_two());
        let path = path.ok_or(Error::Invalid(c"path: not one URX_PATH_ bit"))?;
        let (ring, allow) = match queue.is_null() {
            true => (keeping_errno(best_ring)?, Paths::all()),
            // SAFETY: not NULL; src/capi/mod.rs.
            false => unsafe { object(queue).map(|q| (*q.0.ring(), q.0.allow())) }?,
        };
        let offer = target.offer();
        let (asked, allowed) = match rw.is_null() {
            true => (None, Paths::all()),
            // SAFETY: not NULL; src/capi/mod.rs.
            false => unsafe { read_rw(rw).map(|call| (Some(call.request), call.allow)) }?,
        };
        if !(allow & allowed).contains(path) {
            return Err(Error::Unsupported(c"the queue or the request does not allow this path"));
        }
        match asked {
            None => offer.offers(path, &ring),
            Some(request) => offer.carries(path, &ring, &request, &offer.check(&request)?),
        }
    };
    // SAFETY: src/capi/mod.rs.
    unsafe { guard_why(why, body, c"this path would carry it") }
}

/// # Safety
/// `opts` is NULL or valid.
unsafe fn options(opts: *const urx_queue_opts) -> Result<(Paths, u32, u32)> {
    if opts.is_null() {
        return Ok((Paths::all(), 0, 0));
    }
    // SAFETY: the caller's.
    let opts = unsafe { read_sized(opts) }?;
    reserved(&opts.reserved)?;
    Ok((paths(opts.allow)?, opts.max_workers, opts.max_waiting))
}
