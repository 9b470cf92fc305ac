//! What is to be done, as plain data: one request, whether it can be, and the NVMe command for it. No other
//! file spells command dwords.

use crate::abi::NvmePassthru;
use crate::error::{Error, Result};
use crate::geometry::{Checks, Format, PiType, Tags, mask};
use crate::memory::Lent;

/// What can be asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Op {
    /// From the target.
    Read,
    /// To the target.
    Write,
    /// Whether the target holds what the buffers do.
    Compare,
    /// Zeros to the target, without data.
    WriteZeroes,
    /// What was completed becomes durable.
    Flush,
    /// To wherever the zone goes on.
    Append,
    /// Empties a zone.
    ZoneReset,
    /// Opens a zone.
    ZoneOpen,
    /// Closes a zone.
    ZoneClose,
    /// Fills a zone.
    ZoneFinish,
}

impl Op {
    /// Whether there are buffers.
    pub const fn has_data(self) -> bool {
        matches!(self, Op::Read | Op::Write | Op::Compare | Op::Append)
    }

    /// Whether it changes the target.
    pub const fn writes(self) -> bool {
        !matches!(self, Op::Read | Op::Compare | Op::Flush)
    }

    /// Whether it is about blocks, as many as `length` holds.
    pub const fn has_blocks(self) -> bool {
        self.has_data() || matches!(self, Op::WriteZeroes)
    }

    /// Whether it is about one zone, which `offset` names.
    pub const fn in_zone(self) -> bool {
        self.zone_action().is_some() || matches!(self, Op::Append)
    }

    /// The NVMe opcode (NVM and Zoned Namespace command set specifications).
    const fn code(self) -> u8 {
        match self {
            Op::Flush => 0x00,
            Op::Write => 0x01,
            Op::Read => 0x02,
            Op::Compare => 0x05,
            Op::WriteZeroes => 0x08,
            Op::ZoneReset | Op::ZoneOpen | Op::ZoneClose | Op::ZoneFinish => 0x79,
            Op::Append => 0x7d,
        }
    }

    /// Zone Send Action of Zone Management Send.
    const fn zone_action(self) -> Option<u32> {
        match self {
            Op::ZoneClose => Some(1),
            Op::ZoneFinish => Some(2),
            Op::ZoneOpen => Some(3),
            Op::ZoneReset => Some(4),
            _ => None,
        }
    }
}

bitflags::bitflags! {
    /// What a request asks for besides.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
    pub struct Flags: u32 {
        /// Durable once completed.
        const FUA = 1;
        /// The device makes and strips the protection information.
        const PRACT = 2;
        /// A successor will be linked to it: its failure has to break the link.
        const LINKED = 4;
    }
}

/// A request as it was asked for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Request {
    pub(crate) op: Op,
    pub(crate) flags: Flags,
    /// Byte of the target at which it starts.
    pub(crate) offset: u64,
    /// Bytes of data, which are those of `data` where there is any.
    pub(crate) length: u64,
    pub(crate) data: Lent,
    /// One piece.
    pub(crate) meta: Lent,
    /// The registered buffer that `data` lies in.
    pub(crate) buffer: Option<u16>,
    pub(crate) tags: Tags,
}

/// What a request covers once it was checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Extent {
    pub(crate) blocks: u64,
    /// Metadata lies between the data, as the format has it.
    pub(crate) interleaved: bool,
}

impl Extent {
    /// The target's format as the caller's buffers have it.
    pub(crate) const fn lent(&self, format: &Format) -> Format {
        if self.interleaved { *format } else { format.apart() }
    }
}

/// Bytes of the largest request: the kernel cuts at 2 GiB less a page, silently.
pub const MAX_BYTES: u64 = 1 << 30;

impl Request {
    /// What was completed becomes durable.
    pub(crate) const FLUSH: Self = Request {
        op: Op::Flush,
        flags: Flags::empty(),
        offset: 0,
        length: 0,
        data: Lent::NONE,
        meta: Lent::NONE,
        buffer: None,
        tags: Tags::NONE,
    };

    /// Refuses what does not fit blocks of this format on a target of `bytes` whose zones have
    /// `zone_bytes`.
    pub(crate) fn check(
        &self,
        format: &Format,
        bytes: u64,
        data_align: u32,
        zone_bytes: u64,
    ) -> Result<Extent> {
        let extent = self.extent(format)?;
        let data_bytes = extent.blocks.saturating_mul(format.interval().into());
        if self.offset.checked_add(data_bytes).is_none_or(|end| end > bytes) {
            return Err(Error::Range(c"offset: the request ends beyond the target"));
        }
        if self.op.in_zone() {
            self.check_zone(bytes, zone_bytes)?;
        }
        if self.data.segments().addresses() & u64::from(data_align.saturating_sub(1)) != 0 {
            return Err(Error::Invalid(c"data: not aligned as the target asks (data_align)"));
        }
        self.check_tags(format)?;
        Ok(extent)
    }

    fn check_zone(&self, bytes: u64, zone_bytes: u64) -> Result<()> {
        if zone_bytes == 0 {
            return Err(Error::Unsupported(c"op: the target has no zones"));
        }
        if !self.offset.is_multiple_of(zone_bytes) {
            return Err(Error::Invalid(c"offset: not the start of a zone"));
        }
        match self.offset >= bytes {
            true => Err(Error::Range(c"offset: beyond the last zone")),
            false => Ok(()),
        }
    }

    #[inline]
    fn extent(&self, format: &Format) -> Result<Extent> {
        if !self.op.has_blocks() {
            return match self.length == 0 && self.meta.segments().bytes == 0 {
                true => Ok(Extent { blocks: 0, interleaved: false }),
                false => Err(Error::Invalid(c"length: an operation without data has none")),
            };
        }
        if self.length > MAX_BYTES {
            return Err(Error::Invalid(c"length: more than 1 GiB"));
        }
        let meta_size = u64::from(format.meta_size());
        let meta_bytes = self.meta.segments().bytes;
        let meta = self.meta.segments().pointer().is_some_and(|p| !p.is_null());
        if self.flags.contains(Flags::PRACT) {
            let tuple = format.protection().map(|p| p.guard.tuple_size() as u64);
            match tuple {
                None => return Err(Error::Invalid(c"flags: PRACT, but there is no tuple")),
                Some(tuple) if tuple == meta_size => {
                    return match meta || meta_bytes != 0 {
                        true => Err(Error::Invalid(c"meta: the device makes all of it (PRACT)")),
                        false => Ok(Extent {
                            blocks: format.blocks(self.offset, self.length)?,
                            interleaved: false,
                        }),
                    };
                }
                Some(_) => {}
            }
        }
        if self.op == Op::WriteZeroes || meta_size == 0 {
            if meta_bytes != 0 {
                return Err(Error::Invalid(c"meta_len: not 0, but there is no metadata"));
            }
            let blocks = format.blocks(self.offset, self.length)?;
            return Ok(Extent { blocks, interleaved: false });
        }
        if format.interleaved() && meta_bytes == 0 && !meta {
            // Whole blocks of both; the offset counts data alone.
            format.blocks(self.offset, format.interval().into())?;
            let both = u64::from(format.interval()) + meta_size;
            return match self.length != 0 && self.length.is_multiple_of(both) {
                true => Ok(Extent { blocks: self.length / both, interleaved: true }),
                false => Err(Error::Invalid(c"length: not whole blocks of interval and metadata")),
            };
        }
        let blocks = format.blocks(self.offset, self.length)?;
        if !meta {
            return Err(Error::Invalid(c"meta: NULL"));
        }
        if meta_bytes < blocks.saturating_mul(meta_size) {
            return Err(Error::Invalid(c"meta_len: less than meta_size a block"));
        }
        Ok(Extent { blocks, interleaved: false })
    }

    #[inline]
    fn check_tags(&self, format: &Format) -> Result<()> {
        if !format.checks().contains(self.tags.checks) {
            return Err(Error::Invalid(c"tags: a check that this format cannot make"));
        }
        let bits = format.protection().map_or(0, |p| p.storage_bits.into());
        if self.tags.storage.checked_shr(bits).is_some_and(|beyond| beyond != 0) {
            return Err(Error::Invalid(c"tags: storage is wider than the storage tag"));
        }
        Ok(())
    }

    /// Whether it brings metadata apart from its data.
    pub(crate) fn has_meta(&self) -> bool {
        self.meta.segments().bytes != 0
    }

    /// The reference tag of its first block as the device has it, which are low bits of this: for types 1 and 2
    /// the LBA, whatever the caller counts from.
    pub(crate) fn device_reference(&self, format: &Format, lba: u64) -> u128 {
        match format.protection() {
            Some(p) if p.pi_type != PiType::Type3 => lba.into(),
            _ => self.tags.reference,
        }
    }

    /// Whether the reference tags in the caller's metadata are other than the device's, so that
    /// somebody has to remap them.
    #[inline]
    pub(crate) fn needs_remap(&self, format: &Format, lba: u64) -> bool {
        // As nearly always.
        if self.tags.reference == u128::from(lba) {
            return false;
        }
        let made_by_device = self.flags.contains(Flags::PRACT) && self.meta.segments().bytes == 0;
        self.op.has_data()
            && !made_by_device
            && format.checks().contains(Checks::REF)
            && (self.device_reference(format, lba) ^ self.tags.reference) & mask(format.ref_bits())
                != 0
    }
}

/// Blocks of a namespace that a command is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Span {
    pub(crate) nsid: u32,
    pub(crate) lba: u64,
    /// 1 to [`MAX_BLOCKS`]; 0 for commands without.
    pub(crate) blocks: u32,
}

/// Blocks of the largest command: NLB has 16 bits.
pub(crate) const MAX_BLOCKS: u32 = 1 << 16;

/// The NVMe command for a part of a request, its buffers' addresses and lengths still open. `reference` is
/// the tag of its first block.
pub(crate) fn nvme(
    request: &Request,
    span: &Span,
    format: &Format,
    reference: u128,
) -> NvmePassthru {
    let (op, flags, tags) = (request.op, request.flags, &request.tags);
    let mut command =
        NvmePassthru { opcode: op.code(), nsid: span.nsid, ..NvmePassthru::default() };
    if op == Op::Flush {
        return command;
    }
    let lba = [span.lba as u32, (span.lba >> 32) as u32];
    if let Some(action) = op.zone_action() {
        command.cdw10 = [lba[0], lba[1], 0, action, 0, 0];
        return command;
    }
    let bit = |set: bool, n: u32| u32::from(set) << n;
    let remaps = format.protection().is_some_and(|p| p.pi_type != PiType::Type3);
    let zeroes = op == Op::WriteZeroes && format.protection().is_some();
    let checks = if zeroes { tags.checks & Checks::STORAGE } else { tags.checks };
    let cdw12 = span.blocks.saturating_sub(1)
        | bit(checks.contains(Checks::STORAGE), 24)
        | bit(op == Op::Append && remaps, 25)
        | bit(checks.contains(Checks::REF), 26)
        | bit(checks.contains(Checks::APP), 27)
        | bit(checks.contains(Checks::GUARD), 28)
        | bit(flags.contains(Flags::PRACT) || zeroes, 29)
        | bit(flags.contains(Flags::FUA), 30);
    let field = tag_field(format, reference, tags.storage);
    let app = u32::from(tags.app) | u32::from(!tags.app_ignore) << 16;
    command.cdw2 = [(field >> 64) as u32, (field >> 32) as u32];
    command.cdw10 = [lba[0], lba[1], cdw12, 0, field as u32, app];
    command
}

/// Zone Management Receive: a report of zones from the one at `lba` on, in `bytes`, its address still open.
pub(crate) fn report_zones(nsid: u32, lba: u64, bytes: u32) -> NvmePassthru {
    const PARTIAL: u32 = 1 << 16; // counts the zones in the buffer, not all that follow
    let dwords = (bytes / 4).saturating_sub(1);
    NvmePassthru {
        opcode: 0x7a,
        nsid,
        cdw10: [lba as u32, (lba >> 32) as u32, dwords, PARTIAL, 0, 0],
        ..NvmePassthru::default()
    }
}

/// Storage and reference tag as they share their space, which lies in dwords 2, 3 and 14.
fn tag_field(format: &Format, reference: u128, storage: u64) -> u128 {
    let bits = format.ref_bits();
    let reference = reference & mask(bits);
    match storage {
        0 => reference,
        // Checked to fit into what the reference tag leaves.
        _ => reference | u128::from(storage) << bits,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::geometry::{Guard, Protection};

    fn request(op: Op, offset: u64, data: (usize, usize), meta: (usize, usize)) -> Request {
        Request {
            op,
            flags: Flags::empty(),
            offset,
            length: data.1 as u64,
            data: if op.has_data() { Lent::nowhere(data.0, data.1) } else { Lent::NONE },
            meta: Lent::nowhere(meta.0, meta.1),
            buffer: None,
            tags: Tags::default(),
        }
    }

    fn protected(guard: Guard, pi_type: PiType, storage_bits: u8, meta: u16) -> Format {
        let p = Protection { guard, pi_type, offset: 0, storage_bits };
        Format::new(512, meta, false, Some(p)).unwrap()
    }

    fn check(r: Request, format: &Format) -> std::result::Result<u64, i32> {
        r.check(format, 2048, 512, 0).map(|extent| extent.blocks).map_err(Error::errno)
    }

    #[test]
    fn each_bound() {
        let format = Format::new(512, 8, false, None).unwrap();
        let read = |offset, data, meta| check(request(Op::Read, offset, data, meta), &format);
        let (data, meta) = ((4096 | 512, 1024), (1, 16));
        assert_eq!(read(1024, data, meta), Ok(2));
        assert_eq!(read(1024, data, (1, 17)), Ok(2));
        for bad in [
            read(1025, data, meta),
            read(1024, (4096, 0), meta),
            read(1024, (4096, 513), meta),
            read(0, (4096, 2 << 30), meta),
            read(1024, (4, 1024), meta),
            read(1024, data, (0, 0)),
            read(1024, data, (1, 15)),
        ] {
            assert_eq!(bad, Err(libc::EINVAL));
        }
        for far in [1536, 2048, u64::MAX - 511] {
            assert_eq!(read(far, data, meta), Err(libc::ERANGE), "{far}");
        }
    }

    #[test]
    fn interleaved_data_may_hold_both() {
        let format = Format::new(512, 16, true, None).unwrap();
        let both = request(Op::Write, 512, (4096, 1056), (0, 0));
        let extent = both.check(&format, 2048, 4, 0).unwrap();
        assert_eq!(extent, Extent { blocks: 2, interleaved: true });
        let apart = request(Op::Write, 512, (4096, 1024), (1, 32));
        let extent = apart.check(&format, 2048, 4, 0).unwrap();
        assert_eq!(extent, Extent { blocks: 2, interleaved: false });
        let neither = request(Op::Write, 512, (4096, 1024), (0, 0));
        assert_eq!(neither.check(&format, 2048, 4, 0).unwrap_err().errno(), libc::EINVAL);
    }

    #[test]
    fn pract_takes_metadata_only_where_some_is_not_the_tuple() {
        let whole = protected(Guard::T10Dif, PiType::Type1, 0, 8);
        let part = protected(Guard::T10Dif, PiType::Type1, 0, 64);
        let none = Format::new(512, 8, false, None).unwrap();
        let with =
            |meta| Request { flags: Flags::PRACT, ..request(Op::Write, 0, (4096, 512), meta) };
        assert_eq!(check(with((0, 0)), &whole), Ok(1));
        assert_eq!(check(with((4, 8)), &whole), Err(libc::EINVAL));
        assert_eq!(check(with((0, 0)), &part), Err(libc::EINVAL));
        assert_eq!(check(with((4, 64)), &part), Ok(1));
        assert_eq!(check(with((4, 8)), &none), Err(libc::EINVAL));
    }

    #[test]
    fn tags_must_fit_the_format() {
        let format = protected(Guard::T10Dif, PiType::Type1, 16, 8);
        let with = |checks, storage| {
            let tags = Tags { checks, storage, ..Tags::default() };
            check(Request { tags, ..request(Op::Read, 0, (4096, 512), (4, 8)) }, &format)
        };
        assert_eq!(with(Checks::all(), 0xffff), Ok(1));
        assert_eq!(with(Checks::all(), 0x10000), Err(libc::EINVAL));
        let plain = Format::new(512, 8, false, None).unwrap();
        let tags = Tags { checks: Checks::GUARD, ..Tags::default() };
        let checked = Request { tags, ..request(Op::Read, 0, (4096, 512), (4, 8)) };
        assert_eq!(check(checked, &plain), Err(libc::EINVAL));
    }

    #[test]
    fn zones_start_where_they_start() {
        let format = Format::new(512, 0, false, None).unwrap();
        let at = |offset, zone| {
            let append = request(Op::Append, offset, (4096, 512), (0, 0));
            append.check(&format, 4096, 4, zone).map_err(Error::errno).map(drop)
        };
        assert_eq!(at(2048, 2048), Ok(()));
        assert_eq!(at(512, 2048), Err(libc::EINVAL));
        assert_eq!(at(4096, 2048), Err(libc::ERANGE));
        assert_eq!(at(0, 0), Err(libc::EOPNOTSUPP));
    }

    /// Dwords as the NVM command set specification lays them out, worked out by hand.
    #[test]
    fn dwords_of_each_guard() {
        let span = Span { nsid: 7, lba: 0x1_2345_6789, blocks: 4 };
        let tags = Tags {
            checks: Checks::all(),
            app: 0x1234,
            app_ignore: 0x000f,
            storage: 0xabcd,
            ..Tags::default()
        };
        let base = request(Op::Write, 0, (4096, 2048), (4, 64));
        let write = Request { tags, flags: Flags::FUA, ..base };
        let of = |guard, storage_bits, reference| {
            let format = protected(guard, PiType::Type2, storage_bits, 16);
            let c = nvme(&write, &span, &format, reference);
            assert_eq!((c.opcode, c.nsid), (1, 7));
            assert_eq!(c.cdw10[..2], [0x2345_6789, 1]);
            assert_eq!(c.cdw10[2], 1 << 30 | 7 << 26 | 1 << 24 | 3);
            assert_eq!(c.cdw10[3], 0);
            assert_eq!(c.cdw10[5], 0xfff0_1234);
            (c.cdw2[0], c.cdw2[1], c.cdw10[4])
        };
        assert_eq!(of(Guard::T10Dif, 16, 0x6789), (0, 0, 0xabcd_6789));
        assert_eq!(of(Guard::Crc64, 16, 0x8765_4321), (0, 0xabcd, 0x8765_4321));
        let wide = 0x1122_3344_5566_7788_u128;
        assert_eq!(of(Guard::Crc32c, 16, wide), (0xabcd, 0x1122_3344, 0x5566_7788));
        assert_eq!(of(Guard::Crc32c, 64, 0x99ff), (0, 0, 0xabcd_99ff));
    }

    #[test]
    fn commands_without_buffers() {
        let format = protected(Guard::T10Dif, PiType::Type1, 0, 8);
        let span = Span { nsid: 1, lba: 0x30, blocks: 2 };
        let of = |op, blocks| {
            let tags = Tags { checks: Checks::GUARD | Checks::REF, ..Tags::default() };
            let request = Request { tags, ..request(op, 0, (0, 0), (0, 0)) };
            nvme(&request, &Span { blocks, ..span }, &format, 0x30)
        };
        let flush = of(Op::Flush, 0);
        assert_eq!((flush.opcode, flush.cdw10), (0, [0; 6]));
        let zeroes = of(Op::WriteZeroes, 2);
        assert_eq!((zeroes.opcode, zeroes.cdw10[2]), (8, 1 << 29 | 1), "the device makes the PI");
        assert_eq!(zeroes.cdw10[4], 0x30);
        for (op, action) in
            [(Op::ZoneClose, 1), (Op::ZoneFinish, 2), (Op::ZoneOpen, 3), (Op::ZoneReset, 4)]
        {
            let manage = of(op, 0);
            assert_eq!((manage.opcode, manage.cdw10), (0x79, [0x30, 0, 0, action, 0, 0]));
        }
        let append = of(Op::Append, 2);
        assert_eq!((append.opcode, append.cdw10[2] >> 24 & 0x3f), (0x7d, 0b010110));
    }
}
