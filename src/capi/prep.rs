//! preparation (kernel 6.14)

use std::ffi::{c_int, c_uint, c_void};

use super::boundary::Plain;
use super::format::iovec;
use crate::abi::{AttrPi, FEAT_RW_ATTR, RW_ATTR_PI, Sqe, Sqe128};
use crate::sqe::{Op, Rw, rw_meta};

/// the kernel's; its header or liburing's defines it
pub struct io_uring_sqe(());

/// The kernel's IORING_FEAT_RW_ATTR, a bit of ring.features. A kernel without it drops the attribute
/// and does the plain read or write: urx_attr_check() sees to that, and to IOPOLL rings, where
/// kernels have crashed.
pub const URX_FEAT_RW_ATTR: u32 = 65536;
const _: () = assert!(URX_FEAT_RW_ATTR == FEAT_RW_ATTR);

/// The kernel's struct io_uring_attr_pi byte for byte, under a name of ours: a pointer to that one may
/// be cast. It is read when the SQE is consumed: it must live until io_uring_submit() has returned,
/// with SQPOLL until the kernel has taken the SQE. A write may change the metadata it points to.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct urx_attr_pi {
    /// URX_CHECK_GUARD, _REF, _APP
    pub flags: u16,
    /// application tag that the device compares
    pub app_tag: u16,
    /// metadata bytes, at least meta_size a block
    pub len: u32,
    /// address of the metadata: one plain buffer, the request's until its CQE; align to 4
    pub addr: u64,
    /// reference tag of the first block
    pub seed: u64,
    /// zero
    pub rsvd: u64,
}
// SAFETY: integers, 32 bytes without padding.
unsafe impl Plain for urx_attr_pi {}
const _: () = assert!(size_of::<urx_attr_pi>() == size_of::<AttrPi>());

/// Adds the attribute to a read or write SQE, liburing's too, after its preparation: bytes 48..63.
/// With pi NULL the kernel refuses the SQE (-EFAULT).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn urx_prep_rw_attr_pi(sqe: *mut io_uring_sqe, pi: *const urx_attr_pi) {
    // SAFETY: src/capi/mod.rs, as for every pointer of an exported function.
    unsafe { edit(sqe, |sqe| set_attr(sqe, pi.addr() as u64)) }
}

/// The same with a copy of *pi in the second half of the SQE, which lives as long as the SQE. For
/// IORING_SETUP_SQE128 rings only, not for IORING_SETUP_SQE_MIXED.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn urx_prep_rw_attr_pi_inline(
    sqe128: *mut io_uring_sqe,
    pi: *const urx_attr_pi,
) {
    let both = sqe128.cast::<Sqe128>();
    if both.is_null() {
        return;
    }
    let attr = match pi.is_null() {
        true => AttrPi::default(),
        // SAFETY: not NULL; an AttrPi in all but name; src/capi/mod.rs.
        false => unsafe { pi.cast::<AttrPi>().read_unaligned() },
    };
    // SAFETY: 128 bytes, not NULL; a place inside them.
    let place = unsafe { &raw mut (*both).attr };
    // SAFETY: as above.
    unsafe {
        place.write_unaligned(attr);
        (&raw mut (*both).pad).write_unaligned([0; 4]);
        edit(sqe128, |sqe| set_attr(sqe, if pi.is_null() { 0 } else { place.addr() as u64 }));
    }
}

/// Takes any attribute off an SQE. For programs that keep their own SQEs: io_uring_get_sqe() does it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn urx_sqe_clear_attr(sqe: *mut io_uring_sqe) {
    let clear = |sqe: &mut Sqe| {
        sqe.attr_ptr = 0;
        sqe.attr_type_mask = 0;
    };
    // SAFETY: src/capi/mod.rs.
    unsafe { edit(sqe, clear) }
}

/// A read with metadata. This and the seven below fill the whole SQE but for user_data; set that, flags,
/// ioprio, rw_flags, personality and write_stream after them.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn urx_prep_read_meta(
    sqe: *mut io_uring_sqe,
    fd: c_int,
    buf: *mut c_void,
    nbytes: c_uint,
    offset: u64,
    pi: *const urx_attr_pi,
) {
    // SAFETY: src/capi/mod.rs.
    unsafe { fill(sqe, pi, Op::Read, fd, buf.addr(), nbytes, offset, 0) }
}

/// A write with metadata.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn urx_prep_write_meta(
    sqe: *mut io_uring_sqe,
    fd: c_int,
    buf: *const c_void,
    nbytes: c_uint,
    offset: u64,
    pi: *const urx_attr_pi,
) {
    // SAFETY: src/capi/mod.rs.
    unsafe { fill(sqe, pi, Op::Write, fd, buf.addr(), nbytes, offset, 0) }
}

/// A read into several buffers. The metadata is one buffer all the same.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn urx_prep_readv_meta(
    sqe: *mut io_uring_sqe,
    fd: c_int,
    iov: *const iovec,
    nr: c_uint,
    offset: u64,
    pi: *const urx_attr_pi,
) {
    // SAFETY: src/capi/mod.rs.
    unsafe { fill(sqe, pi, Op::Readv, fd, iov.addr(), nr, offset, 0) }
}

/// A write from several buffers.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn urx_prep_writev_meta(
    sqe: *mut io_uring_sqe,
    fd: c_int,
    iov: *const iovec,
    nr: c_uint,
    offset: u64,
    pi: *const urx_attr_pi,
) {
    // SAFETY: src/capi/mod.rs.
    unsafe { fill(sqe, pi, Op::Writev, fd, iov.addr(), nr, offset, 0) }
}

/// A read into registered buffer buf_index. The metadata is never a registered buffer.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn urx_prep_read_fixed_meta(
    sqe: *mut io_uring_sqe,
    fd: c_int,
    buf: *mut c_void,
    nbytes: c_uint,
    offset: u64,
    buf_index: c_int,
    pi: *const urx_attr_pi,
) {
    // SAFETY: src/capi/mod.rs.
    unsafe { fill(sqe, pi, Op::ReadFixed, fd, buf.addr(), nbytes, offset, buf_index) }
}

/// A write from registered buffer buf_index.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn urx_prep_write_fixed_meta(
    sqe: *mut io_uring_sqe,
    fd: c_int,
    buf: *const c_void,
    nbytes: c_uint,
    offset: u64,
    buf_index: c_int,
    pi: *const urx_attr_pi,
) {
    // SAFETY: src/capi/mod.rs.
    unsafe { fill(sqe, pi, Op::WriteFixed, fd, buf.addr(), nbytes, offset, buf_index) }
}

/// A read into pieces of registered buffer buf_index (kernel 6.15).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn urx_prep_readv_fixed_meta(
    sqe: *mut io_uring_sqe,
    fd: c_int,
    iov: *const iovec,
    nr: c_uint,
    offset: u64,
    buf_index: c_int,
    pi: *const urx_attr_pi,
) {
    // SAFETY: src/capi/mod.rs.
    unsafe { fill(sqe, pi, Op::ReadvFixed, fd, iov.addr(), nr, offset, buf_index) }
}

/// A write from pieces of registered buffer buf_index (kernel 6.15).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn urx_prep_writev_fixed_meta(
    sqe: *mut io_uring_sqe,
    fd: c_int,
    iov: *const iovec,
    nr: c_uint,
    offset: u64,
    buf_index: c_int,
    pi: *const urx_attr_pi,
) {
    // SAFETY: src/capi/mod.rs.
    unsafe { fill(sqe, pi, Op::WritevFixed, fd, iov.addr(), nr, offset, buf_index) }
}

/// Changes the first 64 bytes of the caller's SQE; NULL is left alone.
///
/// # Safety
/// `sqe` is NULL or 64 bytes to read and write.
unsafe fn edit(sqe: *mut io_uring_sqe, change: impl FnOnce(&mut Sqe)) {
    let place = sqe.cast::<Sqe>();
    if place.is_null() {
        return;
    }
    // SAFETY: not NULL; integers only; the rest is the caller's.
    let mut value = unsafe { place.read_unaligned() };
    change(&mut value);
    // SAFETY: as above.
    unsafe { place.write_unaligned(value) };
}

fn set_attr(sqe: &mut Sqe, attr: u64) {
    sqe.attr_ptr = attr;
    sqe.attr_type_mask = RW_ATTR_PI;
}

/// # Safety
/// As [`edit`].
#[expect(clippy::too_many_arguments, reason = "the widest of liburing's prep calls")]
unsafe fn fill(
    sqe: *mut io_uring_sqe,
    pi: *const urx_attr_pi,
    op: Op,
    fd: c_int,
    addr: usize,
    len: c_uint,
    offset: u64,
    buf_index: c_int,
) {
    // A table index beyond 16 bits cannot be: the kernel refuses the last one as it would that.
    let buf_index = u16::try_from(buf_index).unwrap_or(u16::MAX);
    let rw = Rw { op, fd, addr: addr as u64, len, offset, buf_index };
    // SAFETY: the caller's.
    unsafe { edit(sqe, |sqe| *sqe = rw_meta(&rw, pi.addr() as u64, sqe.user_data)) }
}

// liburing's spelling of the same calls. It owns the prefix: should a release of it bring one of these
// names, the macro hides ours from the header; the symbols stay.

/// urx_prep_rw_attr_pi() in liburing's spelling; these names vanish with URX_NO_LIBURING_NAMES defined.
#[cfg(not(urx_no_liburing_names))]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn io_uring_prep_rw_attr_pi(sqe: *mut io_uring_sqe, pi: *const urx_attr_pi) {
    // SAFETY: the same contract.
    unsafe { urx_prep_rw_attr_pi(sqe, pi) }
}

/// urx_prep_rw_attr_pi_inline().
#[cfg(not(urx_no_liburing_names))]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn io_uring_prep_rw_attr_pi_inline(
    sqe128: *mut io_uring_sqe,
    pi: *const urx_attr_pi,
) {
    // SAFETY: the same contract.
    unsafe { urx_prep_rw_attr_pi_inline(sqe128, pi) }
}

/// urx_prep_read_meta().
#[cfg(not(urx_no_liburing_names))]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn io_uring_prep_read_meta(
    sqe: *mut io_uring_sqe,
    fd: c_int,
    buf: *mut c_void,
    nbytes: c_uint,
    offset: u64,
    pi: *const urx_attr_pi,
) {
    // SAFETY: the same contract.
    unsafe { urx_prep_read_meta(sqe, fd, buf, nbytes, offset, pi) }
}

/// urx_prep_write_meta().
#[cfg(not(urx_no_liburing_names))]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn io_uring_prep_write_meta(
    sqe: *mut io_uring_sqe,
    fd: c_int,
    buf: *const c_void,
    nbytes: c_uint,
    offset: u64,
    pi: *const urx_attr_pi,
) {
    // SAFETY: the same contract.
    unsafe { urx_prep_write_meta(sqe, fd, buf, nbytes, offset, pi) }
}

/// urx_prep_readv_meta().
#[cfg(not(urx_no_liburing_names))]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn io_uring_prep_readv_meta(
    sqe: *mut io_uring_sqe,
    fd: c_int,
    iov: *const iovec,
    nr: c_uint,
    offset: u64,
    pi: *const urx_attr_pi,
) {
    // SAFETY: the same contract.
    unsafe { urx_prep_readv_meta(sqe, fd, iov, nr, offset, pi) }
}

/// urx_prep_writev_meta().
#[cfg(not(urx_no_liburing_names))]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn io_uring_prep_writev_meta(
    sqe: *mut io_uring_sqe,
    fd: c_int,
    iov: *const iovec,
    nr: c_uint,
    offset: u64,
    pi: *const urx_attr_pi,
) {
    // SAFETY: the same contract.
    unsafe { urx_prep_writev_meta(sqe, fd, iov, nr, offset, pi) }
}

/// urx_prep_read_fixed_meta().
#[cfg(not(urx_no_liburing_names))]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn io_uring_prep_read_fixed_meta(
    sqe: *mut io_uring_sqe,
    fd: c_int,
    buf: *mut c_void,
    nbytes: c_uint,
    offset: u64,
    buf_index: c_int,
    pi: *const urx_attr_pi,
) {
    // SAFETY: the same contract.
    unsafe { urx_prep_read_fixed_meta(sqe, fd, buf, nbytes, offset, buf_index, pi) }
}

/// urx_prep_write_fixed_meta().
#[cfg(not(urx_no_liburing_names))]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn io_uring_prep_write_fixed_meta(
    sqe: *mut io_uring_sqe,
    fd: c_int,
    buf: *const c_void,
    nbytes: c_uint,
    offset: u64,
    buf_index: c_int,
    pi: *const urx_attr_pi,
) {
    // SAFETY: the same contract.
    unsafe { urx_prep_write_fixed_meta(sqe, fd, buf, nbytes, offset, buf_index, pi) }
}

/// urx_prep_readv_fixed_meta().
#[cfg(not(urx_no_liburing_names))]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn io_uring_prep_readv_fixed_meta(
    sqe: *mut io_uring_sqe,
    fd: c_int,
    iov: *const iovec,
    nr: c_uint,
    offset: u64,
    buf_index: c_int,
    pi: *const urx_attr_pi,
) {
    // SAFETY: the same contract.
    unsafe { urx_prep_readv_fixed_meta(sqe, fd, iov, nr, offset, buf_index, pi) }
}

/// urx_prep_writev_fixed_meta().
#[cfg(not(urx_no_liburing_names))]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn io_uring_prep_writev_fixed_meta(
    sqe: *mut io_uring_sqe,
    fd: c_int,
    iov: *const iovec,
    nr: c_uint,
    offset: u64,
    buf_index: c_int,
    pi: *const urx_attr_pi,
) {
    // SAFETY: the same contract.
    unsafe { urx_prep_writev_fixed_meta(sqe, fd, iov, nr, offset, buf_index, pi) }
}
