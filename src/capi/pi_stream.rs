//! streams of blocks

use std::ffi::c_int;

use super::boundary::{Plain, guard, read, write};
use super::format::urx_tags;
use super::pi::{urx_pi, urx_pi_report};
use super::pi_vec::{Vec, urx_pi_vec};
use super::report::Found;
use crate::error::{Error, Result};
use crate::pi::{Pi, State, Stream, Sum};

/// Generation or verification over calls. Caller's memory, plain data.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct urx_pi_stream {
    /// the library's
    pub lib: [u64; 64],
}
// SAFETY: integers.
unsafe impl Plain for urx_pi_stream {}

/// First word of a stream that [`urx_pi_stream_init`] has filled.
const MAGIC: u64 = u64::from_be_bytes(*b"urx_str1");

/// Starts a stream of blocks with these tags.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn urx_pi_stream_init(
    stream: *mut urx_pi_stream,
    pi: *const urx_pi,
    tags: *const urx_tags,
) -> c_int {
    guard(|| {
        // SAFETY: src/capi/mod.rs, as for every pointer of an exported function.
        let (pi, tags) = unsafe { (read(pi)?, read(tags)?) };
        let start = Stream::new(&pi.parse()?, &tags.parse()?)?;
        // SAFETY: src/capi/mod.rs.
        unsafe { write(stream, Saved { pi, tags, state: start.state }.show()) }
    })
}

/// The next piece, which may end anywhere. Separate metadata: exactly that of the blocks which end in this
/// piece. A call that fails has done nothing.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn urx_pi_stream_generate(
    stream: *mut urx_pi_stream,
    piece: *const urx_pi_vec,
) -> c_int {
    guard(|| {
        // SAFETY: src/capi/mod.rs.
        let (mut saved, v) = unsafe { (Saved::parse(&read(stream)?)?, Vec::read(piece)?) };
        let (mut now, len) = saved.at(&v)?;
        if saved.pi.parse()?.interleaved() {
            v.data.apart()?;
            // SAFETY: src/capi/mod.rs, and no two segments overlap.
            now.generate_interleaved(len, unsafe { v.data.slices_mut() })?;
        } else {
            v.meta.apart()?;
            v.meta.not_overlapping(&[&v.data])?;
            // SAFETY: src/capi/mod.rs, and what is written overlaps nothing.
            let (data, meta) = unsafe { (v.data.slices(), v.meta.slices_mut()) };
            now.generate_separate(len, data, meta)?;
        }
        saved.state = now.state;
        // SAFETY: src/capi/mod.rs.
        unsafe { write(stream, saved.show()) }
    })
}

/// The same, verified. Blocks are counted from report->first_block at the start of the stream. After -EILSEQ
/// the stream goes on behind the piece.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn urx_pi_stream_verify(
    stream: *mut urx_pi_stream,
    piece: *const urx_pi_vec,
    report: *mut urx_pi_report,
) -> c_int {
    guard(|| {
        // SAFETY: src/capi/mod.rs.
        let (mut saved, v) = unsafe { (Saved::parse(&read(stream)?)?, Vec::read(piece)?) };
        let (mut now, len) = saved.at(&v)?;
        // SAFETY: src/capi/mod.rs.
        let mut found = unsafe { Found::new(report, &[&v.data, &v.meta]) }?;
        // SAFETY: src/capi/mod.rs.
        let (data, meta) = unsafe { (v.data.slices(), v.meta.slices()) };
        let counts = now.verify(len, data, meta, |failure| found.put(&failure))?;
        saved.state = now.state;
        // SAFETY: src/capi/mod.rs.
        unsafe { write(stream, saved.show()) }?;
        found.finish(&counts)
    })
}

/// How many blocks end within the next len bytes of data: what metadata a piece takes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn urx_pi_stream_blocks(
    stream: *const urx_pi_stream,
    len: usize,
    blocks: *mut usize,
) -> c_int {
    guard(|| {
        // SAFETY: src/capi/mod.rs.
        let saved = Saved::parse(&unsafe { read(stream) }?)?;
        // SAFETY: src/capi/mod.rs.
        unsafe { write(blocks, saved.resume()?.ending(len)) }
    })
}

/// Whether the stream stopped between two blocks: 0, else -EMSGSIZE.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn urx_pi_stream_end(stream: *const urx_pi_stream) -> c_int {
    guard(|| {
        // SAFETY: src/capi/mod.rs.
        let saved = Saved::parse(&unsafe { read(stream) }?)?;
        match saved.resume()?.at_boundary() {
            true => Ok(()),
            false => Err(Error::Os(libc::EMSGSIZE)),
        }
    })
}

/// A stream as it lies in the caller's memory.
struct Saved {
    pi: urx_pi,
    tags: urx_tags,
    state: State,
}

impl Saved {
    fn show(&self) -> urx_pi_stream {
        let t = &self.tags;
        let (sum, odd) = self.state.sum.save();
        let [_, shape, kind, ..] = self.pi.lib;
        let tuple = u128::from_ne_bytes(self.state.tuple);
        let words = [
            MAGIC,
            shape,
            kind,
            u64::from(t.checks) << 32 | u64::from(t.keep),
            u64::from(t.app) << 32 | u64::from(t.app_ignore) << 16 | u64::from(t.ref_hi),
            t.r#ref,
            t.storage,
            self.state.block,
            self.state.position as u64,
            sum,
            odd.into(),
            tuple as u64,
            (tuple >> 64) as u64,
        ];
        let mut lib = [0; 64];
        lib.iter_mut().zip(words).for_each(|(to, from)| *to = from);
        urx_pi_stream { lib }
    }

    fn parse(stream: &urx_pi_stream) -> Result<Self> {
        let [
            magic,
            shape,
            kind,
            checks,
            app,
            r#ref,
            storage,
            block,
            position,
            sum,
            odd,
            low,
            high,
            ..,
        ] = stream.lib;
        if magic != MAGIC {
            return Err(Error::Invalid(c"stream: not initialised by urx_pi_stream_init"));
        }
        let pi = urx_pi::of_words(shape, kind);
        let tags = urx_tags {
            checks: (checks >> 32) as u32,
            keep: checks as u32,
            app: (app >> 32) as u16,
            app_ignore: (app >> 16) as u16,
            ref_hi: app as u16,
            reserved0: 0,
            r#ref,
            storage,
            reserved: 0,
        };
        let tuple = (u128::from(high) << 64 | u128::from(low)).to_ne_bytes();
        let sum = Sum::restore(pi.parse()?.guard(), sum, odd != 0);
        let position = usize::try_from(position).unwrap_or(usize::MAX);
        Ok(Saved { pi, tags, state: State { block, position, sum, tuple } })
    }

    fn resume(&self) -> Result<Stream> {
        let pi: Pi = self.pi.parse()?;
        Stream::resume(&pi, &self.tags.parse()?, self.state)
            .ok_or(Error::Invalid(c"stream: not initialised by urx_pi_stream_init"))
    }

    /// Where it stands, and the length of a piece that fits.
    fn at(&self, piece: &Vec) -> Result<(Stream, usize)> {
        let stream = self.resume()?;
        let pi = self.pi.parse()?;
        if !piece.checks.is_null() {
            return Err(Error::Invalid(c"checks: not in a stream"));
        }
        let len = usize::try_from(piece.data.bytes)
            .map_err(|_| Error::Invalid(c"data: more than memory can hold"))?;
        let meta =
            if pi.interleaved() { 0 } else { stream.ending(len).saturating_mul(pi.meta_size()) };
        match piece.meta.bytes == meta as u64 {
            true => Ok((stream, len)),
            false => Err(Error::Invalid(c"meta: not that of the blocks which end in this piece")),
        }
    }
}
