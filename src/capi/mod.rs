//! The C API: translation only. One file per man page; `include/liburing-ext.h` is generated from these
//! files and follows their order.
//!
//! # Safety
//!
//! What a caller owes is the same everywhere and is not repeated: a pointer is NULL or points to
//! as much memory as the type or the length beside it says, which nobody else writes during the call. NULL
//! where something is needed is answered, not read; so is memory that overlaps where it must not.
#![allow(
    unsafe_code,
    reason = "raw pointers from C; src/capi/boundary.rs says how they are checked"
)]
#![allow(dead_code, reason = "constants for C that nothing here needs")]
#![allow(non_camel_case_types, reason = "C names")]
#![allow(clippy::missing_safety_doc, reason = "above, once for all")]

mod boundary;
mod embedded;
mod report;

// In the order of the header.
pub mod version;

pub mod format;

pub mod pi;

pub mod pi_vec;

pub mod pi_stream;

pub mod prep;

pub mod target;

pub mod rw;

pub mod attr;

pub mod nvme;

pub mod queue;

pub mod io;

pub mod zone;

pub mod ublk;

pub mod fused;

pub mod rfc;

#[cfg(test)]
mod figures;
