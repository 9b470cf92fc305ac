//! Reads and writes with metadata and protection information through io_uring: what liburing has no
//! helper for.
//!
//! This crate is first of all a C library: `include/liburing-ext.h` and the man pages describe it as its
//! users see it. The same core serves Rust:
//!
//! * [`pi`] generates and verifies protection information in memory,
//! * [`target`] opens a device and tells its format,
//! * [`path`] says whether a ring and a target can carry a request,
//! * [`sqe`] fills submission queue entries,
//! * [`completion`] finds the block and tag that made a write fail,
//! * [`store`] keeps the protection information of a plain file in a file at its side,
//! * [`ublk`] makes block devices that this process serves.
//!
//! ```
//! use std::ops::ControlFlow;
//! use uring_ext::geometry::{Checks, Format, Guard, PiType, Protection, Tags};
//! use uring_ext::pi::{Blocks, BlocksMut, Pi};
//!
//! let protection =
//!     Protection { guard: Guard::T10Dif, pi_type: PiType::Type1, offset: 0, storage_bits: 0 };
//! let pi = Pi::new(&Format::new(512, 8, false, Some(protection))?)?;
//! let tags = Tags { checks: Checks::GUARD | Checks::REF, reference: 7, ..Tags::default() };
//!
//! let (mut data, mut meta) = ([0u8; 1024], [0u8; 16]);
//! pi.generate(&tags, BlocksMut::Separate { data: &data, meta: &mut meta })?;
//!
//! data[600] ^= 1;
//! let mut failures = Vec::new();
//! pi.verify(&tags, Blocks::Separate { data: &data, meta: &meta }, |failure| {
//!     failures.push((failure.block, failure.check));
//!     ControlFlow::Continue(())
//! })?;
//! assert_eq!(failures, [(1, Checks::GUARD)]);
//! # Ok::<(), uring_ext::error::Error>(())
//! ```
#![cfg_attr(
    not(test),
    deny(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing,
        clippy::todo,
        clippy::unreachable
    )
)]

#[cfg(not(all(target_os = "linux", target_pointer_width = "64")))]
compile_error!("the kernel interfaces and struct layouts here are those of 64-bit Linux");

pub mod abi;
mod capi;
pub mod command;
pub mod completion;
pub mod error;
mod fused;
pub mod geometry;
mod memory;
pub mod passthru;
pub mod path;
pub mod pi;
pub mod probe;
pub mod queue;
pub mod sqe;
pub mod store;
mod sys;
pub mod target;
pub mod ublk;
mod worker;
mod zone;
