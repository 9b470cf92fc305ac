//! Which path can carry a request: pure, from what is known of target, ring and request.

use std::num::NonZero;

use crate::abi::{
    FEAT_NO_IOWAIT, FEAT_RECVSEND_BUNDLE, FEAT_RW_ATTR, SETUP_CQE_MIXED, SETUP_CQE32, SETUP_IOPOLL,
    SETUP_SQE_MIXED, SETUP_SQE128,
};
use crate::command::{Extent, Flags, Op, Request};
use crate::error::{Error, Result};
use crate::geometry::{Checks, Format, mask};
use crate::passthru::Access;
use crate::probe::{Facts, Kind};

bitflags::bitflags! {
    /// Paths, the best first.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
    pub struct Paths: u32 {
        /// READ or WRITE with a PI attribute.
        const ATTR = 1;
        /// An NVMe command in the SQE.
        const URING_CMD = 2;
        /// NVMe commands by ioctl, from a worker.
        const IOCTL = 4;
        /// Plain I/O, a side file and software PI, from a worker.
        const SOFTWARE = 8;
        /// An append as a write where the zone goes on, and its management by ioctl, from a worker.
        const EMULATED = 16;
    }
}

impl Paths {
    /// What one path is called.
    pub(crate) const fn title(self) -> Option<&'static std::ffi::CStr> {
        Some(match self {
            Paths::ATTR => c"attr",
            Paths::URING_CMD => c"uring_cmd",
            Paths::IOCTL => c"ioctl",
            Paths::SOFTWARE => c"software",
            Paths::EMULATED => c"emulated",
            _ => return None,
        })
    }

    /// The same for Rust, "unknown" for none and for several.
    pub fn name(self) -> &'static str {
        self.title().and_then(|title| title.to_str().ok()).unwrap_or("unknown")
    }
}

/// What matters of a ring.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ring {
    /// `IORING_SETUP_*`.
    pub flags: u32,
    /// `IORING_FEAT_*`.
    pub features: u32,
    /// Paths for which it has what they want of a ring.
    paths: Paths,
}

impl Ring {
    /// Has what every path wants.
    const BEST: Self = Ring::new(SETUP_SQE128 | SETUP_CQE32, u32::MAX);

    /// Of these flags and features.
    pub const fn new(flags: u32, features: u32) -> Self {
        let mut ring = Ring { flags, features, paths: Paths::empty() };
        if ring.takes_attributes().is_ok() {
            ring.paths = ring.paths.union(Paths::ATTR);
        }
        if ring.takes_commands().is_ok() {
            ring.paths = ring.paths.union(Paths::URING_CMD);
        }
        if ring.waits().is_ok() {
            ring.paths =
                ring.paths.union(Paths::IOCTL).union(Paths::SOFTWARE).union(Paths::EMULATED);
        }
        ring
    }

    const fn has(&self, flags: u32) -> bool {
        self.flags & flags != 0
    }

    /// Whether an SQE for [`Paths::URING_CMD`] takes two slots of this ring.
    pub const fn is_mixed(&self) -> bool {
        self.has(SETUP_SQE_MIXED) && !self.has(SETUP_SQE128)
    }

    const fn takes_attributes(&self) -> Verdict {
        if self.features & FEAT_RW_ATTR == 0 {
            return no(c"kernel lacks IORING_FEAT_RW_ATTR (6.14)");
        }
        match self.has(SETUP_IOPOLL) {
            true => {
                no(c"ring is IORING_SETUP_IOPOLL, on which kernels have crashed at a PI attribute")
            }
            false => Ok(()),
        }
    }

    const fn takes_commands(&self) -> Verdict {
        if !self.has(SETUP_SQE128 | SETUP_SQE_MIXED) {
            return no(c"ring lacks IORING_SETUP_SQE128 or SQE_MIXED");
        }
        match self.has(SETUP_CQE32 | SETUP_CQE_MIXED) {
            true => Ok(()),
            false => no(c"ring lacks IORING_SETUP_CQE32 or CQE_MIXED"),
        }
    }

    /// The rendezvous with a worker.
    const fn waits(&self) -> Verdict {
        match self.has(SETUP_IOPOLL) {
            true => no(c"ring is IORING_SETUP_IOPOLL, on which nothing can wait for a worker"),
            false => Ok(()),
        }
    }
}

/// What matters of how a target was opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mode {
    /// With `O_DIRECT`.
    pub direct: bool,
    /// For writing.
    pub writable: bool,
}

/// What a target offers.
#[derive(Debug)]
pub struct Offer {
    /// What it is.
    pub facts: Facts,
    /// How it is open.
    pub mode: Mode,
    /// NVMe commands past the block layer.
    pub access: Access,
    /// It was opened with a side file.
    has_store: bool,
    /// Bytes of a block; 1 where there are none.
    interval: NonZero<u64>,
    /// What addresses of data are multiples of.
    data_align: u32,
    /// Blocks of the largest NVMe command.
    most_blocks: u64,
    /// Paths that the best ring could use.
    paths: Paths,
}

/// A ring that cannot be known takes part in nothing that depends on it.
type Verdict = Result<()>;

const fn no(why: &'static std::ffi::CStr) -> Verdict {
    Err(Error::Unsupported(why))
}

impl Offer {
    /// Looks at what does not change from request to request.
    pub fn new(facts: Facts, mode: Mode, access: Access, has_store: bool) -> Self {
        let (limits, format) = (&facts.limits.value, facts.layout.format.value);
        let interval = format.and_then(|format| NonZero::new(format.interval().into()));
        let mut offer = Offer {
            interval: interval.unwrap_or(NonZero::<u64>::MIN),
            // What a side file's data is read from through the page cache lies anywhere.
            data_align: if has_store && !mode.direct { 1 } else { limits.data_align },
            most_blocks: format.map_or(0, |format| limits.blocks_per_command(&format).into()),
            paths: Paths::empty(),
            facts,
            mode,
            access,
            has_store,
        };
        let some_ring = |path: &Paths| offer.offers(*path, &Ring::BEST).is_ok();
        offer.paths = Paths::all().iter().filter(some_ring).collect();
        offer
    }

    /// The format that requests are in.
    pub fn format(&self) -> Result<&Format> {
        match &self.facts.layout.format.value {
            Some(_) if self.facts.layout.hidden => Err(Error::Unsupported(
                c"nobody may tell how the metadata looks (Identify needs CAP_SYS_ADMIN before 6.2)",
            )),
            Some(format) => Ok(format),
            None => Err(Error::Unsupported(c"a regular file has no blocks without a side file")),
        }
    }

    /// Refuses a request that is wrong on every path. Then what it covers.
    #[inline(always)] // on every request's way
    pub(crate) fn check(&self, request: &Request) -> Result<Extent> {
        if request.op.writes() && !self.mode.writable {
            return Err(Error::Invalid(c"op: a write, but the target is not open for writing"));
        }
        let facts = &self.facts;
        let zone = facts.zones.value.bytes;
        let (bytes, align) = (facts.bytes.value, self.data_align);
        let extent = request.check(self.format()?, bytes, align, zone)?;
        if request.op == Op::Append && request.length > facts.limits.value.max_append.into() {
            let why = c"length: more than one append takes (max_append)";
            return Err(Error::Because(libc::E2BIG, why));
        }
        Ok(extent)
    }

    /// The best of these paths that can carry a request that was checked.
    #[inline(always)] // on every request's way
    pub(crate) fn choose(
        &self,
        ring: &Ring,
        allow: Paths,
        request: &Request,
        extent: &Extent,
    ) -> Result<Paths> {
        let mut open = allow & self.paths & ring.paths;
        while !open.is_empty() {
            let best = Paths::from_bits_retain(1 << open.bits().trailing_zeros());
            if self.fits(best, ring, request, extent).is_ok() {
                return Ok(best);
            }
            open -= best;
        }
        Err(Error::Unsupported(c"no path can carry it: urx_explain() tells why"))
    }

    /// Whether one path could carry any request at all on such a ring.
    pub fn offers(&self, path: Paths, ring: &Ring) -> Verdict {
        match path {
            Paths::ATTR => self.attribute(ring).map(drop),
            Paths::URING_CMD => self.uring_cmd(ring),
            Paths::IOCTL => self.ioctl(ring),
            Paths::SOFTWARE => self.software(ring),
            Paths::EMULATED => self.emulated(ring),
            _ => Err(Error::Invalid(c"path: not one URX_PATH_ bit")),
        }
    }

    /// Whether one path can carry a request that was checked.
    #[inline]
    pub(crate) fn carries(
        &self,
        path: Paths,
        ring: &Ring,
        request: &Request,
        extent: &Extent,
    ) -> Verdict {
        self.offers(path, ring)?;
        self.fits(path, ring, request, extent)
    }

    /// Whether a request that was checked has nothing that a path cannot express.
    #[inline(always)] // on every request's way
    fn fits(&self, path: Paths, ring: &Ring, request: &Request, extent: &Extent) -> Verdict {
        match path {
            Paths::ATTR => self.attribute_carries(ring, request),
            Paths::URING_CMD => self.uring_cmd_carries(ring, request, extent),
            Paths::IOCTL => self.nvme_carries(request),
            Paths::EMULATED => self.emulated_carries(ring, request),
            _ => software_carries(request),
        }
    }

    fn is_nvme(&self) -> Verdict {
        match self.facts.kind {
            Kind::NvmeBlock | Kind::NvmeChar if !self.has_store => Ok(()),
            _ => no(c"target is not an NVMe namespace"),
        }
    }

    fn uring_cmd(&self, ring: &Ring) -> Verdict {
        self.is_nvme()?;
        ring.takes_commands()?;
        if self.access.char_fd.is_none() {
            return no(c"the namespace's character device (/dev/ngXnY, 5.13) could not be opened");
        }
        self.format()?;
        match self.access.char_read {
            true => Ok(()),
            false => no(c"the kernel lets this process pass no commands through (CAP_SYS_ADMIN)"),
        }
    }

    fn ioctl(&self, ring: &Ring) -> Verdict {
        self.is_nvme()?;
        ring.waits()?;
        self.format()?;
        match self.access.read {
            Some(_) => Ok(()),
            None => no(c"the kernel lets this process pass no commands through (CAP_SYS_ADMIN)"),
        }
    }

    fn software(&self, ring: &Ring) -> Verdict {
        match self.has_store {
            true => ring.waits(),
            false => no(c"target was opened without a side file"),
        }
    }

    /// What both ways of passing a command through want.
    fn nvme_carries(&self, request: &Request) -> Verdict {
        let (op, access) = (request.op, &self.access);
        if op.writes() && access.write.is_none() {
            return no(c"the kernel lets this process pass no writing commands through");
        }
        let whole = if op.writes() { access.write } else { access.read };
        let simple = matches!(op, Op::Read | Op::Write | Op::Compare);
        if whole.is_some_and(|via| !via.takes_any_command()) {
            if !simple {
                return no(
                    c"unprivileged, the kernel passes through only reads, writes and compares",
                );
            }
            let format = self.format()?;
            if format.protection().is_some_and(|p| p.guard.tuple_size() > 8) {
                return no(c"unprivileged, the kernel passes through no tags wider than 32 bits");
            }
        }
        Ok(())
    }

    fn uring_cmd_carries(&self, ring: &Ring, request: &Request, extent: &Extent) -> Verdict {
        self.nvme_carries(request)?;
        let format = self.format()?;
        if request.op.writes() && !self.access.char_write {
            return no(c"the kernel lets this process pass no writing commands through");
        }
        if request.flags.contains(Flags::LINKED) {
            return no(c"a failed NVMe command does not break a link");
        }
        // Such a command has no bio. Before 6.5 (nvme_ns_chr_uring_cmd_iopoll) its completion, should it come
        // before the poll, leaves a function's address where the poll looks for one: seen on 6.1.
        if ring.has(SETUP_IOPOLL)
            && !request.op.has_data()
            && ring.features & FEAT_RECVSEND_BUNDLE == 0
        {
            return no(c"kernel (before 6.10) may crash when it polls for a command without data");
        }
        let scattered = request.data.segments().vector().is_some();
        if scattered && request.buffer.is_some() && ring.features & FEAT_NO_IOWAIT == 0 {
            return no(c"kernel lacks vectored commands on registered buffers (6.15)");
        }
        if request.op.has_data()
            && format.interleaved()
            && !extent.interleaved
            && format.meta_size() != 0
            && !request.flags.contains(Flags::PRACT)
        {
            return no(c"the format interleaves metadata: separate buffers need a worker's copy");
        }
        let lba = self.lba(request.offset);
        // Those of a read are remapped when it is over.
        if request.op != Op::Read && request.needs_remap(format, lba) {
            return no(c"reference tags on their way differ from the LBA: nobody would remap them");
        }
        // The kernel copies such data, and then (seen on 6.18) follows a NULL pointer at the metadata.
        let apart = request.meta.segments().bytes != 0;
        if apart && request.data.segments().has_gaps(PAGE_SHIFT) {
            return no(c"scattered data ends inside pages, at whose metadata kernels have crashed");
        }
        let pages = request.data.segments().pages(PAGE_SHIFT);
        match extent.blocks > self.most_blocks || pages > self.facts.limits.value.pieces() {
            true => no(c"longer than one command of this device"),
            false => Ok(()),
        }
    }

    fn emulated(&self, ring: &Ring) -> Verdict {
        match self.facts.kind {
            Kind::NvmeChar => return no(c"only a block device or a zonefs file can be written"),
            _ if self.facts.zones.value.bytes == 0 => return no(c"target has no zones"),
            _ if !self.mode.direct => return no(c"target is not open with O_DIRECT"),
            _ => {}
        }
        self.format()?;
        ring.waits()
    }

    fn emulated_carries(&self, ring: &Ring, request: &Request) -> Verdict {
        match request.op {
            Op::ZoneOpen | Op::ZoneClose if self.facts.kind == Kind::Zonefs => {
                return no(c"a zonefs file is opened and closed by open(2) and close(2)");
            }
            Op::ZoneReset | Op::ZoneOpen | Op::ZoneClose | Op::ZoneFinish => return Ok(()),
            Op::Append => {}
            _ => return no(c"this path appends to zones and manages them, nothing else"),
        }
        let unit = u64::from(self.facts.zones.value.unit.max(1));
        if !request.length.is_multiple_of(unit) {
            return no(c"length: not a multiple of what the zones are written in");
        }
        let interval = self.format()?.interval() as usize;
        if request.data.segments().areas().any(|(_, len)| !len.is_multiple_of(interval)) {
            return no(c"data: a write takes pieces of whole blocks");
        }
        if self.format()?.meta_size() == 0 && request.flags.contains(Flags::PRACT) {
            return no(c"PRACT asks a device for its protection information");
        }
        if self.format()?.meta_size() == 0 {
            return Ok(());
        }
        // The write goes through a ring of the library's own.
        let own = Ring::new(0, ring.features);
        self.attribute(&own)?;
        self.attribute_carries(&own, &Request { op: Op::Write, buffer: None, ..*request })
    }

    /// Whether READ and WRITE with a PI attribute can carry metadata between this target and this ring;
    /// the format that they then have. The kernel would drop the attribute, or worse, where this says no.
    pub fn attribute(&self, ring: &Ring) -> Result<&Format> {
        let no = |why| Err(Error::Unsupported(why));
        ring.takes_attributes()?;
        if !matches!(self.facts.kind, Kind::Block | Kind::NvmeBlock) {
            return no(c"target is not a block device");
        }
        let Some(format) = &self.facts.layout.attribute else {
            return no(c"target has no metadata that the kernel handles");
        };
        if !self.mode.direct {
            return no(c"target is not open with O_DIRECT");
        }
        Ok(format)
    }

    fn attribute_carries(&self, ring: &Ring, request: &Request) -> Verdict {
        let tags = &request.tags;
        match request.op {
            Op::Read if request.flags.contains(Flags::FUA) => {
                return no(c"the PI attribute has no FUA for reads");
            }
            Op::Read | Op::Write | Op::Flush => {}
            _ => return no(c"READ and WRITE with a PI attribute do not express this operation"),
        }
        if request.flags.contains(Flags::PRACT) {
            return no(c"the PI attribute has no PRACT");
        }
        if tags.checks.contains(Checks::STORAGE) {
            return no(c"the PI attribute has no storage tag");
        }
        if tags.checks.contains(Checks::APP) && tags.app_ignore != 0 {
            return no(c"the PI attribute compares all bits of the application tag");
        }
        let scattered = request.data.segments().vector().is_some();
        if scattered && request.buffer.is_some() && ring.features & FEAT_NO_IOWAIT == 0 {
            return no(c"kernel lacks vectored reads and writes on registered buffers (6.15)");
        }
        let Some(format) = &self.facts.layout.attribute else {
            return no(c"target has no metadata that the kernel handles");
        };
        // A kernel that protects whole pieces alone asks for as much alignment as a block has.
        let unit = self.facts.limits.value.data_align.min(format.interval()).max(1);
        if scattered && !request.data.segments().are_whole(unit as usize) {
            return no(c"scattered data ends inside blocks, which this kernel does not take");
        }
        // The kernel's own have 32 bits.
        if request.op == Op::Write && format.ref_bits() > 32 && wraps(format, request) {
            return no(
                c"the reference tags wrap at 48 bits, beyond which not every kernel remaps them",
            );
        }
        match format.checks().contains(tags.checks) {
            true => Ok(()),
            false => no(c"the kernel takes this protection information for opaque"),
        }
    }

    /// The same for one request, which is checked too: on its own, without the ladder.
    pub(crate) fn attribute_request(&self, ring: &Ring, request: &Request) -> Result<Extent> {
        self.attribute(ring)?;
        let extent = self.check(request)?;
        self.attribute_carries(ring, request)?;
        Ok(extent)
    }

    /// The block of the namespace at which a byte of the target lies.
    pub(crate) fn lba(&self, offset: u64) -> u64 {
        self.facts.start.value.saturating_add(offset) / self.interval
    }
}

/// Pages are counted in the smallest size there is, which every larger one is a multiple of.
const PAGE_SHIFT: u32 = 12;

/// Whether reference tags pass their highest number inside the request.
fn wraps(format: &Format, request: &Request) -> bool {
    let last = mask(format.ref_bits());
    let blocks = request.length / u64::from(format.interval());
    let first = request.tags.reference & last;
    format.checks().contains(Checks::REF) && first + u128::from(blocks) > last + 1
}

fn software_carries(request: &Request) -> Verdict {
    match request.op {
        Op::Read | Op::Write | Op::WriteZeroes | Op::Flush => {}
        _ => return no(c"a side file does not express this operation"),
    }
    match request.flags.contains(Flags::PRACT) {
        true => no(c"PRACT asks a device for its protection information, not a side file"),
        false => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::geometry::{Guard, PiType, Protection, Tags};
    use crate::memory::Lent;
    use crate::probe::{Known, Layout, Limits};
    use crate::sys::nvme::Via;

    const ALL: u32 = u32::MAX;
    const PLAIN: Ring = Ring::new(0, ALL);
    const LARGE: Ring = Ring::new(SETUP_SQE128 | SETUP_CQE32, ALL);
    const MIXED: Ring = Ring::new(SETUP_SQE_MIXED | SETUP_CQE_MIXED, ALL);
    const POLLED: Ring = Ring::new(SETUP_IOPOLL | LARGE.flags, ALL);
    const OLD: Ring = Ring::new(0, 0x7ff);
    const ROOT: Access = Access {
        char_fd: Some(9),
        char_read: true,
        char_write: true,
        read: Some(Via::Io64),
        write: Some(Via::Io64),
        vectors: true,
        ..Access::NONE
    };
    const MODE: Mode = Mode { direct: true, writable: true };

    fn facts() -> Facts {
        let (guard, pi_type) = (Guard::T10Dif, PiType::Type1);
        let p = Protection { guard, pi_type, offset: 0, storage_bits: 0 };
        let format = Format::new(4096, 8, false, Some(p)).unwrap();
        Facts {
            kind: Kind::NvmeBlock,
            nsid: Known { value: 1, ..Known::default() },
            bytes: Known { value: 1 << 30, ..Known::default() },
            start: Known::default(),
            layout: Layout {
                format: Known { value: Some(format), ..Known::default() },
                type_source: crate::probe::Source::None,
                attribute: Some(format),
                hidden: false,
            },
            limits: Known {
                value: Limits {
                    data_align: 4,
                    max_command: 512 << 10,
                    segments: 128,
                    max_append: 0,
                },
                ..Known::default()
            },
            zones: Known::default(),
        }
    }

    fn read(blocks: usize) -> Request {
        Request {
            op: Op::Read,
            flags: Flags::empty(),
            offset: 0,
            length: blocks as u64 * 4096,
            data: Lent::nowhere(1 << 20, blocks * 4096),
            meta: Lent::nowhere(1 << 16, blocks * 8),
            buffer: None,
            tags: Tags { checks: Checks::GUARD, ..Tags::NONE },
        }
    }

    fn offer(facts: &Facts, mode: Mode, access: &Access) -> Offer {
        Offer::new(*facts, mode, Access { node: None, ..*access }, false)
    }

    /// The path taken, 0 for none.
    fn taken(facts: &Facts, mode: Mode, access: &Access, ring: &Ring, request: &Request) -> u32 {
        let offer = offer(facts, mode, access);
        let extent = offer.check(request).unwrap();
        let carries = |path: &Paths| offer.carries(*path, ring, request, &extent).is_ok();
        let taken = offer.choose(ring, Paths::all(), request, &extent).ok();
        assert_eq!(taken, Paths::all().iter().find(carries), "chosen as explained");
        taken.map_or(0, |path| path.bits())
    }

    #[test]
    fn the_best_path_of_each_ring() {
        let of = |access, ring: &Ring| taken(&facts(), MODE, access, ring, &read(1));
        for (ring, as_root, as_nobody) in [
            (PLAIN, 1, 1),
            (LARGE, 1, 1),
            (MIXED, 1, 1),
            (POLLED, 2, 0),
            (OLD, 4, 0),
            (Ring::new(LARGE.flags, 0xffff), 2, 0),
            (Ring::new(MIXED.flags, 0xffff), 2, 0),
            (Ring::new(SETUP_SQE128, 0xffff), 4, 0),
            (Ring::new(SETUP_CQE32, 0xffff), 4, 0),
            (Ring::new(SETUP_IOPOLL, ALL), 0, 0),
        ] {
            assert_eq!(
                (of(&ROOT, &ring), of(&Access::NONE, &ring)),
                (as_root, as_nobody),
                "{ring:x?}"
            );
        }
    }

    #[test]
    fn nobody_polls_for_a_command_without_data_where_that_crashes() {
        let flush = Request { op: Op::Flush, length: 0, ..read(0) };
        let write_zeroes = Request { op: Op::WriteZeroes, ..read(1) };
        let of = |ring: &Ring, request: &Request| taken(&facts(), MODE, &ROOT, ring, request);
        let old = Ring::new(POLLED.flags, 0x3fff);
        for request in [flush, write_zeroes] {
            let request = Request { data: Lent::NONE, meta: Lent::NONE, ..request };
            assert_eq!(of(&old, &request), 0);
            assert_eq!(of(&Ring::new(POLLED.flags, 0x7fff), &request), 2);
            assert_eq!(of(&Ring::new(LARGE.flags, 0x3fff), &request), 2);
        }
        assert_eq!(of(&old, &read(1)), 2);
    }

    #[test]
    fn what_a_request_asks_for_may_need_another_path() {
        let with = |change: fn(&mut Request)| {
            let mut request = read(1);
            change(&mut request);
            taken(&facts(), MODE, &ROOT, &LARGE, &request)
        };
        assert_eq!(with(|_| ()), 1);
        assert_eq!(with(|r| r.op = Op::Write), 1);
        assert_eq!(with(|r| r.tags.app_ignore = 1), 1, "not compared");
        let app = |r: &mut Request| {
            r.tags = Tags { checks: Checks::APP, app_ignore: 1, ..Tags::NONE };
        };
        assert_eq!(with(app), 2);
        assert_eq!(with(|r| r.op = Op::Compare), 2);
        assert_eq!(with(|r| r.flags = Flags::FUA), 2);
        let compare_linked = |r: &mut Request| (r.op, r.flags) = (Op::Compare, Flags::LINKED);
        assert_eq!(with(compare_linked), 4);
        let pract = |r: &mut Request| (r.flags, r.meta) = (Flags::PRACT, Lent::NONE);
        assert_eq!(with(pract), 2);
    }

    #[test]
    fn what_kernels_do_wrong_takes_another_path() {
        let mut facts = facts();
        let of = |facts: &Facts, request: &Request| taken(facts, MODE, &ROOT, &LARGE, request);
        let scattered = |pieces| Request { data: Lent::nowhere_in(pieces), ..read(2) };
        assert_eq!(of(&facts, &scattered(&[(1 << 20, 4096), (3 << 20, 4096)])), 1);
        let inside_blocks = scattered(&[(1 << 20, 512), (3 << 20, 7680)]);
        assert_eq!(of(&facts, &inside_blocks), 1, "aligned as the target asks");
        facts.limits.value.data_align = 4096;
        assert_eq!(of(&facts, &inside_blocks), 4);
        let write = |reference, blocks| {
            let tags = Tags { checks: Checks::REF, reference, ..Tags::NONE };
            Request {
                op: Op::Write,
                tags,
                meta: Lent::nowhere(1 << 16, 16 * blocks),
                ..read(blocks)
            }
        };
        assert_eq!(of(&facts, &write((1 << 32) - 1, 2)), 1, "32 bits wrap");
        let p =
            Protection { guard: Guard::Crc64, pi_type: PiType::Type1, offset: 0, storage_bits: 0 };
        let wide = Format::new(4096, 16, false, Some(p)).unwrap();
        (facts.layout.attribute, facts.layout.format.value) = (Some(wide), Some(wide));
        assert_eq!(of(&facts, &write((1 << 48) - 2, 2)), 1, "the last number is one");
        assert_eq!(of(&facts, &write((1 << 48) - 1, 2)), 4);
        let reads = Request { op: Op::Read, ..write((1 << 48) - 1, 2) };
        assert_eq!(of(&facts, &reads), 1);
    }

    #[test]
    fn passthrough_is_bounded() {
        let of = |request: &Request| {
            let attribute = Ring::new(LARGE.flags, 0xffff);
            taken(&facts(), MODE, &ROOT, &attribute, request)
        };
        assert_eq!(of(&read(128)), 2);
        assert_eq!(of(&read(129)), 4, "longer than a command");
        let unaligned = Request { data: Lent::nowhere((1 << 20) + 4, 128 * 4096), ..read(128) };
        assert_eq!(of(&unaligned), 4, "one piece more than a command takes");
        let scattered = |pieces| Request { data: Lent::nowhere_in(pieces), ..read(2) };
        assert_eq!(of(&scattered(&[(1 << 20, 4096), (3 << 20, 4096)])), 2);
        assert_eq!(of(&scattered(&[(1 << 20, 4096), ((3 << 20) + 512, 4096)])), 4, "has gaps");
        let tags = |reference| Tags { checks: Checks::REF, reference, ..Tags::NONE };
        let write = |reference| Request { op: Op::Write, tags: tags(reference), ..read(1) };
        assert_eq!(of(&write(0)), 2);
        assert_eq!(of(&write(7)), 4, "has to be remapped");
        assert_eq!(of(&Request { op: Op::Compare, ..write(0) }), 2);
        assert_eq!(of(&Request { op: Op::Compare, ..write(7) }), 4, "has to be remapped");
        assert_eq!(of(&Request { tags: tags(7), ..read(1) }), 2, "can be, afterwards");
        let pract = Request { flags: Flags::PRACT, meta: Lent::NONE, ..write(7) };
        assert_eq!(of(&pract), 2, "the device makes them");
    }

    #[test]
    fn nothing_is_checked_less_than_asked() {
        let mut facts = facts();
        let opaque = Format::new(4096, 8, false, None).unwrap();
        facts.layout.attribute = Some(opaque);
        assert_eq!(taken(&facts, MODE, &Access::NONE, &PLAIN, &read(1)), 0);
        let unchecked = Request { tags: Tags::NONE, ..read(1) };
        assert_eq!(taken(&facts, MODE, &Access::NONE, &PLAIN, &unchecked), 1);
        facts.layout.hidden = true;
        let offer = offer(&facts, MODE, &ROOT);
        assert_eq!(offer.check(&unchecked).unwrap_err().errno(), libc::EOPNOTSUPP);
    }

    #[test]
    fn unprivileged_on_old_kernels_only_the_simplest_ioctl_is_left() {
        let submit =
            Access { read: Some(Via::SubmitIo), write: Some(Via::SubmitIo), ..Access::NONE };
        let of = |request: &Request| taken(&facts(), MODE, &submit, &OLD, request);
        assert_eq!(of(&read(1)), 4);
        let flush =
            Request { op: Op::Flush, length: 0, data: Lent::NONE, meta: Lent::NONE, ..read(1) };
        assert_eq!(of(&flush), 0);
        let buffered = Mode { direct: false, writable: false };
        assert_eq!(taken(&facts(), buffered, &ROOT, &PLAIN, &read(1)), 4);
    }

    #[test]
    fn a_side_file_takes_what_files_can() {
        let mut facts = facts();
        facts.kind = Kind::File;
        facts.layout.attribute = None;
        let offer = Offer::new(facts, MODE, Access::NONE, true);
        let of = |ring: &Ring, request: &Request| {
            let extent = offer.check(request).unwrap();
            offer.choose(ring, Paths::all(), request, &extent).map_or(0, |path| path.bits())
        };
        assert_eq!(of(&PLAIN, &read(1000)), 8);
        assert_eq!(of(&OLD, &Request { op: Op::Write, ..read(1) }), 8);
        assert_eq!(of(&POLLED, &read(1)), 0);
        assert_eq!(of(&PLAIN, &Request { op: Op::Compare, ..read(1) }), 0);
    }

    fn zoned(kind: Kind) -> Facts {
        let mut facts = facts();
        facts.kind = kind;
        facts.layout.attribute = None;
        facts.layout.format.value = Format::new(4096, 0, false, None).ok();
        facts.limits.value.max_append = 128 << 10;
        facts.zones.value =
            crate::probe::Zones { count: 4, bytes: 4 << 20, unit: 4096, in_order: false };
        facts
    }

    fn append(blocks: usize) -> Request {
        let tags = Tags::NONE;
        Request { op: Op::Append, meta: Lent::NONE, tags, ..read(blocks) }
    }

    fn reset() -> Request {
        Request { op: Op::ZoneReset, length: 0, data: Lent::NONE, ..append(1) }
    }

    #[test]
    fn appends_and_zones() {
        let nvme = zoned(Kind::NvmeBlock);
        let of = |facts: &Facts, access: &Access, ring: &Ring, request: &Request| {
            taken(facts, MODE, access, ring, request)
        };
        for request in [append(1), append(32), reset()] {
            assert_eq!(of(&nvme, &ROOT, &LARGE, &request), 2);
            assert_eq!(of(&nvme, &ROOT, &PLAIN, &request), 4);
            assert_eq!(of(&nvme, &Access::NONE, &LARGE, &request), 16);
            assert_eq!(of(&nvme, &Access::NONE, &POLLED, &request), 0);
            assert_eq!(of(&zoned(Kind::Block), &Access::NONE, &OLD, &request), 16);
            assert_eq!(of(&zoned(Kind::Zonefs), &Access::NONE, &PLAIN, &request), 16);
            assert_eq!(of(&zoned(Kind::NvmeChar), &Access::NONE, &LARGE, &request), 0);
            let buffered = Mode { direct: false, ..MODE };
            assert_eq!(taken(&nvme, buffered, &Access::NONE, &LARGE, &request), 0);
        }
        let open = Request { op: Op::ZoneOpen, ..reset() };
        assert_eq!(of(&zoned(Kind::Block), &Access::NONE, &PLAIN, &open), 16);
        assert_eq!(of(&zoned(Kind::Zonefs), &Access::NONE, &PLAIN, &open), 0);
        let write = Request { op: Op::Write, ..append(1) };
        assert_eq!(of(&nvme, &Access::NONE, &PLAIN, &write), 0, "appends alone");
        let mut coarse = nvme;
        coarse.zones.value.unit = 16384;
        assert_eq!(of(&coarse, &Access::NONE, &PLAIN, &append(4)), 16);
        assert_eq!(
            of(&coarse, &Access::NONE, &PLAIN, &append(3)),
            0,
            "less than is written at once"
        );
    }

    #[test]
    fn an_append_is_whole_and_in_a_zone() {
        let facts = zoned(Kind::NvmeBlock);
        let offer = offer(&facts, MODE, &ROOT);
        let of = |request: &Request| offer.check(request).map(drop).map_err(Error::errno);
        assert_eq!(of(&append(32)), Ok(()));
        assert_eq!(of(&append(33)), Err(libc::E2BIG));
        assert_eq!(of(&Request { offset: 4096, ..append(1) }), Err(libc::EINVAL));
        assert_eq!(of(&Request { offset: 4 << 20, ..append(1) }), Ok(()));
        assert_eq!(of(&Request { offset: 1 << 30, ..append(1) }), Err(libc::ERANGE));
        let mut flat = facts;
        flat.zones = Known::default();
        let offer = self::offer(&flat, MODE, &ROOT);
        assert_eq!(offer.check(&append(1)).unwrap_err().errno(), libc::EOPNOTSUPP);
    }

    #[test]
    fn an_emulated_append_has_protection_where_the_kernel_writes_it() {
        let mut facts = zoned(Kind::NvmeBlock);
        facts.layout = self::facts().layout;
        let protected = Request { op: Op::Append, ..read(1) };
        let of = |facts: &Facts, ring: &Ring, request: &Request| {
            taken(facts, MODE, &Access::NONE, ring, request)
        };
        assert_eq!(of(&facts, &PLAIN, &protected), 16);
        assert_eq!(of(&facts, &OLD, &protected), 0);
        let pract = Request { flags: Flags::PRACT, meta: Lent::NONE, ..protected };
        assert_eq!(of(&facts, &PLAIN, &pract), 0);
        let shifted =
            Request { tags: Tags { checks: Checks::REF, reference: 9, ..Tags::NONE }, ..protected };
        assert_eq!(taken(&facts, MODE, &ROOT, &LARGE, &protected), 2);
        assert_eq!(taken(&facts, MODE, &ROOT, &LARGE, &shifted), 4, "has to be remapped");
        let made = Request { flags: Flags::PRACT, meta: Lent::NONE, offset: 4 << 20, ..shifted };
        assert_eq!(taken(&facts, MODE, &ROOT, &LARGE, &made), 2, "by the device, from the LBA");
    }
}
