//! The API for Rust: what `capi` is for C, over the same core. `lib.rs` exports what is public of it.

mod buffer;
mod failed;
mod format;
mod memory;
mod queue;
mod request;
mod ring;
mod target;
#[cfg(test)]
mod tests;

pub mod prep;

pub use buffer::Buffer;
pub use failed::{Failed, Refused};
pub use format::FormatBuilder;
pub use memory::{Area, Memory};
pub use queue::{Done, Location, Queue};
pub use request::Request;
pub use ring::{Planned, RingCqe, RingOptions, RingQueue, RingSqe};
pub use target::{Info, OpenOptions, Target, Zone};
