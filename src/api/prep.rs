//! SQEs prepared alone, for a ring of whose kernel and device you know what they can carry. Where you do not,
//! [`RingQueue`](crate::RingQueue) does.
//!
//! Making an entry is safe, pushing it is not, as with all entries of `io-uring`: what it points to has to stay valid until its
//! CQE has come, and an attribute until the kernel has taken the SQE.

use io_uring::squeue::{Entry, Entry128};

use super::memory::Memory;
use super::request::Request;
use super::target::Target;
use crate::abi::{AttrPi, RW_ATTR_PI, Sqe};
use crate::error::{Error, Result};
use crate::geometry::{Checks, Tags};
use crate::queue::passthrough;
use crate::sys::entry;

/// The kernel's `struct io_uring_attr_pi`: the metadata of a read or write, and what to check of it.
#[derive(Debug, Clone, Copy)]
pub struct Attr(AttrPi);

impl Attr {
    /// For metadata that holds tuples with these tags. The kernel compares whole application tags and knows no storage
    /// tags.
    pub fn new(meta: &mut [u8], tags: &Tags) -> Result<Self> {
        if tags.checks.contains(Checks::STORAGE) || tags.app_ignore != 0 {
            return Err(Error::Invalid(c"tags: the kernel's attribute has no such check"));
        }
        let Ok(len) = u32::try_from(meta.len()) else {
            return Err(Error::Invalid(c"meta: longer than an attribute can tell"));
        };
        Ok(Attr(AttrPi {
            flags: tags.checks.bits() as u16,
            app_tag: tags.app,
            len,
            addr: meta.as_mut_ptr().expose_provenance() as u64,
            seed: tags.reference as u64,
            rsvd: 0,
        }))
    }
}

/// A read or write of any kind with an attribute. Kernels before 6.14 drop it without a word, and some crash
/// at it on an IOPOLL ring: ask [`RingQueue::explain`](crate::RingQueue::explain) once.
///
/// ```
/// use io_uring::{opcode, types};
/// use uring_ext::{Checks, Tags, prep};
///
/// let (mut data, mut meta) = ([0u8; 4096], [0u8; 8]);
/// let attr = prep::Attr::new(&mut meta, &Tags { checks: Checks::GUARD, ..Tags::default() })?;
/// let read = opcode::Read::new(types::Fd(3), data.as_mut_ptr(), 4096).offset(0).build();
/// let entry = prep::with_attr(read.user_data(7), &attr);
/// assert_eq!(entry.get_user_data(), 7);
/// # Ok::<(), uring_ext::Error>(())
/// ```
pub fn with_attr(rw: Entry, attr: &Attr) -> Entry {
    let attr_ptr = std::ptr::from_ref(&attr.0).expose_provenance() as u64;
    entry::entry(&Sqe { attr_ptr, attr_type_mask: RW_ATTR_PI, ..entry::sqe(rw) })
}

/// A command of NVMe: a whole request in an SQE of 128 bytes for a ring of large SQEs and CQEs. Nobody
/// remaps reference tags: those of types 1 and 2 have to start at the LBA.
pub fn nvme<D: Memory, M: Memory>(
    target: &Target,
    request: &mut Request<D, M>,
) -> Result<Entry128> {
    passthrough(target.core(), &request.addresses()?, false, 0).map(|sqe| entry::entry128(&sqe))
}
