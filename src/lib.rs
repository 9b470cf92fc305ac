//! Reads and writes with metadata and protection information through io_uring: what liburing has no
//! helper for.
//!
//! This crate is first of all a C library: `include/liburing-ext.h` and the man pages describe it as its
//! users see it. Rust has the same core without C types:
//!
//! * [`Format`] says how blocks are protected, [`Pi`] makes and verifies their tuples,
//! * [`Target`] opens a device or file, with a side file if it has no metadata of its own,
//! * [`Queue`] does a [`Request`] at a time by the best path there is,
//! * [`RingQueue`] prepares requests for your own ring of the `io-uring` crate,
//! * [`prep`] fills SQEs and does nothing else.
//!
//! ```
//! use uring_ext::{Buffer, BlocksMut, Format, Guard, Pi, Queue, Request, Tags, Target};
//!
//! # let dir = std::env::temp_dir().join(format!("urx-doc-{}", std::process::id()));
//! # std::fs::create_dir_all(&dir)?;
//! # let (path, side) = (dir.join("data"), dir.join("data.pi"));
//! # std::fs::File::create(&path)?.set_len(65536)?;
//! let format = Format::builder(4096).guard(Guard::T10Dif).build()?;
//! let target = Target::options().write().side_file(&side).create(format).open(&path)?;
//! let (queue, pi) = (Queue::new()?, Pi::new(&format)?);
//!
//! let (mut data, mut meta) = (Buffer::new(8192), Buffer::new(16));
//! let tags = Tags { checks: format.checks(), app: 0xcafe, reference: 2, ..Tags::default() };
//! data.fill(7);
//! pi.generate(&tags, BlocksMut::Separate { data: &data, meta: &mut meta })?;
//! let done = queue.run(&target, &mut Request::write(8192, &mut data).meta(&mut meta).tags(tags))?;
//! assert_eq!(done.to_string(), "8192 bytes by software");
//!
//! data.fill(0);
//! queue.run(&target, &mut Request::read(8192, &mut data).meta(&mut meta).tags(tags))?;
//! assert!(data.iter().all(|byte| *byte == 7));
//!
//! data[5000] ^= 1; // and written as it is now, it is refused
//! let mut write = Request::write(8192, &mut data).meta(&mut meta).tags(tags);
//! let failed = queue.run(&target, &mut write).unwrap_err();
//! assert_eq!(failed.failure().map(|failure| failure.block), Some(1));
//! assert!(failed.to_string().starts_with("block 1: guard is 0x"), "{failed}");
//! # std::fs::remove_dir_all(&dir)?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
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

#[allow(dead_code, reason = "the kernel's numbers are written down whole")]
mod abi;
mod api;
mod capi;
mod command;
mod completion;
mod error;
mod fused;
mod geometry;
mod memory;
mod passthru;
mod path;
mod pi;
mod probe;
mod queue;
mod sqe;
mod store;
mod sys;
mod target;
mod ublk;
mod worker;
mod zone;

pub use api::prep;
pub use api::{
    Area, Buffer, Done, Failed, FormatBuilder, Info, Location, Memory, OpenOptions, Planned, Queue,
    Refused, Request, RingCqe, RingOptions, RingQueue, RingSqe, Target, Zone,
};
pub use error::{Error, Result};
pub use geometry::{Checks, Format, Guard, PiType, Protection, Tags};
pub use path::Paths;
pub use pi::{Blocks, BlocksMut, Counts, Failure, Pi, Report, Room, Tuple};
pub use probe::Kind;

/// For tests of the checksum kernels, and for nobody else.
#[doc(hidden)]
pub mod kernels {
    pub use crate::pi::crc::{Cpu, start};
}
