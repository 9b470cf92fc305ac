//! What a device is like, in bytes as everywhere in this library, and as the driver has it.

use crate::abi::ublk::{
    ATTR_FUA, ATTR_READ_ONLY, ATTR_ROTATIONAL, ATTR_VOLATILE_CACHE, PARAM_BASIC, PARAM_DISCARD,
    PARAM_DMA_ALIGN, PARAM_INTEGRITY, PARAM_ZONED, ParamBasic, ParamDiscard, ParamDmaAlign,
    ParamIntegrity, ParamZoned, Params,
};
use crate::abi::{
    LBMD_PI_CAP_INTEGRITY, LBMD_PI_CAP_REFTAG, LBMD_PI_CSUM_CRC16, LBMD_PI_CSUM_CRC64,
    LBMD_PI_CSUM_IP,
};
use crate::error::{Error, Result};
use crate::geometry::{Format, Guard, PiType, Protection};

const SECTOR: u64 = 512;
/// Segments of a discard, which the driver wants to be told.
const DISCARD_SEGMENTS: u16 = 1;

/// What a device is like. 0 is the driver's choice, or none.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Parameters {
    /// `ATTR_*`.
    pub attrs: u32,
    /// Size.
    pub bytes: u64,
    /// Logical block.
    pub block: u32,
    /// Physical block; 0: as `block`.
    pub physical_block: u32,
    /// Smallest good request.
    pub io_min: u32,
    /// Best request.
    pub io_opt: u32,
    /// Largest request; 0: as large as the device was added for.
    pub max_request: u32,
    /// What no request crosses; size of a zone.
    pub chunk: u32,
    /// Alignment of memory.
    pub dma_align: u32,
    /// Unit of discards; 0: `block`.
    pub discard_granularity: u32,
    /// Largest discard; 0: there are none.
    pub max_discard: u64,
    /// Largest request to write zeros; 0: there are none.
    pub max_write_zeroes: u64,
    /// Zones open at a time.
    pub max_open_zones: u32,
    /// Zones begun at a time.
    pub max_active_zones: u32,
    /// Largest zone append; 0: the device has no zones.
    pub max_append: u32,
    /// Metadata and protection information.
    pub format: Option<Format>,
    /// Major and minor number of the character device, told by the driver.
    pub char_device: (u32, u32),
    /// The same of the block device, once it is started.
    pub disk: (u32, u32),
}

/// Whole sectors.
fn sectors(bytes: u64, why: Error) -> Result<u32> {
    sectors64(bytes, why).and_then(|sectors| u32::try_from(sectors).map_err(|_| why))
}

fn sectors64(bytes: u64, why: Error) -> Result<u64> {
    if bytes.is_multiple_of(SECTOR) { Ok(bytes / SECTOR) } else { Err(why) }
}

/// A power of two as its exponent; 0 as 0.
fn shift(bytes: u32, why: Error) -> Result<u8> {
    match bytes {
        0 => Ok(0),
        _ if bytes.is_power_of_two() => Ok(bytes.trailing_zeros() as u8),
        _ => Err(why),
    }
}

/// The reverse. A unit of one byte is none.
fn unshift(shift: u8) -> u32 {
    if shift == 0 { 0 } else { 1u32.checked_shl(shift.into()).unwrap_or(0) }
}

impl Parameters {
    /// As the driver wants them, for a device whose requests have at most so many bytes.
    pub fn encode(&self, most: u32) -> Result<Params> {
        let block = shift(self.block, Error::Invalid(c"block: not a power of two"))?;
        if !(9..=16).contains(&block) {
            return Err(Error::Invalid(c"block: not 512 to the size of a page"));
        }
        if !self.bytes.is_multiple_of(self.block.into()) || self.bytes == 0 {
            return Err(Error::Invalid(c"bytes: not whole blocks"));
        }
        let physical = if self.physical_block == 0 { self.block } else { self.physical_block };
        if physical < self.block {
            return Err(Error::Invalid(c"physical_block: smaller than block"));
        }
        if self.attrs & !(ATTR_READ_ONLY | ATTR_ROTATIONAL | ATTR_VOLATILE_CACHE | ATTR_FUA) != 0 {
            return Err(Error::Invalid(c"attrs: an unknown bit is set"));
        }
        let request = if self.max_request == 0 { most } else { self.max_request };
        if request > most {
            return Err(Error::Invalid(c"max_request: more than the device was added for"));
        }
        let basic = ParamBasic {
            attrs: self.attrs,
            logical_bs_shift: block,
            physical_bs_shift: shift(
                physical,
                Error::Invalid(c"physical_block: not a power of two"),
            )?,
            io_opt_shift: shift(self.io_opt, Error::Invalid(c"io_opt: not a power of two"))?,
            io_min_shift: shift(self.io_min, Error::Invalid(c"io_min: not a power of two"))?,
            max_sectors: sectors(
                request.into(),
                Error::Invalid(c"max_request: not a multiple of 512"),
            )?,
            chunk_sectors: sectors(
                self.chunk.into(),
                Error::Invalid(c"chunk: not a multiple of 512"),
            )?,
            dev_sectors: self.bytes / SECTOR,
            virt_boundary_mask: 0,
        };
        let mut params = Params {
            len: size_of::<Params>() as u32,
            types: PARAM_BASIC,
            basic,
            ..Params::default()
        };
        if self.max_discard != 0 || self.max_write_zeroes != 0 || self.discard_granularity != 0 {
            params.types |= PARAM_DISCARD;
            params.discard = self.discard()?;
        }
        if self.max_append != 0 || self.max_open_zones != 0 || self.max_active_zones != 0 {
            let why = Error::Invalid(c"max_append: not a multiple of 512 and more than 0");
            params.types |= PARAM_ZONED;
            params.zoned = ParamZoned {
                max_open_zones: self.max_open_zones,
                max_active_zones: self.max_active_zones,
                max_zone_append_sectors: sectors(self.max_append.into(), why)?,
                reserved: [0; 5],
            };
            if self.max_append == 0 {
                return Err(why);
            }
        }
        if self.dma_align != 0 {
            if !self.dma_align.is_power_of_two() {
                return Err(Error::Invalid(c"dma_align: not a power of two"));
            }
            params.types |= PARAM_DMA_ALIGN;
            params.dma = ParamDmaAlign { alignment: self.dma_align - 1, pad: 0 };
        }
        if let Some(format) = &self.format {
            params.types |= PARAM_INTEGRITY;
            params.integrity = integrity(format, self.block)?;
        }
        Ok(params)
    }

    fn discard(&self) -> Result<ParamDiscard> {
        let granularity =
            if self.discard_granularity == 0 { self.block } else { self.discard_granularity };
        Ok(ParamDiscard {
            discard_alignment: 0,
            discard_granularity: granularity,
            max_discard_sectors: sectors(
                self.max_discard,
                Error::Invalid(c"max_discard: not a multiple of 512, or too much"),
            )?,
            max_write_zeroes_sectors: sectors(
                self.max_write_zeroes,
                Error::Invalid(c"max_write_zeroes: not a multiple of 512, or too much"),
            )?,
            max_discard_segments: DISCARD_SEGMENTS,
            reserved0: 0,
        })
    }

    /// What the driver told. Parts that it does not say it has are not looked at.
    pub fn decode(params: &Params) -> Result<Self> {
        let has = |part: u32| params.types & part != 0;
        let mut all = Parameters {
            char_device: (params.devt.char_major, params.devt.char_minor),
            disk: (params.devt.disk_major, params.devt.disk_minor),
            ..Parameters::default()
        };
        if has(PARAM_BASIC) {
            let ParamBasic { attrs, max_sectors, chunk_sectors, dev_sectors, .. } = params.basic;
            all.attrs = attrs;
            all.bytes = dev_sectors.saturating_mul(SECTOR);
            all.block = unshift(params.basic.logical_bs_shift);
            all.physical_block = unshift(params.basic.physical_bs_shift);
            all.io_opt = unshift(params.basic.io_opt_shift);
            all.io_min = unshift(params.basic.io_min_shift);
            all.max_request = max_sectors.saturating_mul(SECTOR as u32);
            all.chunk = chunk_sectors.saturating_mul(SECTOR as u32);
        }
        if has(PARAM_DISCARD) {
            let ParamDiscard { max_discard_sectors, max_write_zeroes_sectors, .. } = params.discard;
            all.discard_granularity = params.discard.discard_granularity;
            all.max_discard = u64::from(max_discard_sectors) * SECTOR;
            all.max_write_zeroes = u64::from(max_write_zeroes_sectors) * SECTOR;
        }
        if has(PARAM_ZONED) {
            let ParamZoned { max_open_zones, max_active_zones, max_zone_append_sectors, .. } =
                params.zoned;
            all.max_open_zones = max_open_zones;
            all.max_active_zones = max_active_zones;
            all.max_append = max_zone_append_sectors.saturating_mul(SECTOR as u32);
        }
        if has(PARAM_DMA_ALIGN) {
            all.dma_align = params.dma.alignment.saturating_add(1);
        }
        if has(PARAM_INTEGRITY) {
            all.format = Some(format(&params.integrity)?);
        }
        Ok(all)
    }
}

/// A format as the driver wants it, for a device with such blocks.
fn integrity(format: &Format, block: u32) -> Result<ParamIntegrity> {
    if format.interleaved() {
        return Err(Error::Unsupported(c"format: ublk has metadata beside its data only"));
    }
    let metadata_size = u8::try_from(format.meta_size());
    let metadata_size =
        metadata_size.map_err(|_| Error::Unsupported(c"format: ublk has 255 bytes of metadata"))?;
    let interval_exp = shift(format.interval(), Error::Unsupported(NOT_A_BLOCK))?;
    if format.interval() > block || interval_exp < 9 {
        return Err(Error::Unsupported(NOT_A_BLOCK));
    }
    let plain = ParamIntegrity { interval_exp, metadata_size, ..ParamIntegrity::default() };
    let Some(protection) = format.protection() else { return Ok(plain) };
    if protection.storage_bits != 0 {
        return Err(Error::Unsupported(c"format: ublk has no storage tags"));
    }
    let csum_type = match protection.guard {
        Guard::T10Dif => LBMD_PI_CSUM_CRC16,
        Guard::Ip => LBMD_PI_CSUM_IP,
        Guard::Crc64 => LBMD_PI_CSUM_CRC64,
        Guard::Crc32c => return Err(Error::Unsupported(c"format: ublk has no CRC-32C guard")),
    };
    let (reference, tag_size) = match protection.pi_type {
        PiType::Type1 => (LBMD_PI_CAP_REFTAG, 2),
        // The reference tag is the application's as well.
        PiType::Type3 => (0, 2 + protection.ref_bits() / 8),
        PiType::Type2 => return Err(Error::Unsupported(c"format: ublk has types 1 and 3")),
    };
    Ok(ParamIntegrity {
        flags: LBMD_PI_CAP_INTEGRITY | reference,
        pi_offset: protection.offset as u8, // in the metadata, which fits
        csum_type,
        tag_size: tag_size as u8,
        ..plain
    })
}

const NOT_A_BLOCK: &std::ffi::CStr = c"format: ublk has intervals of 512 to block, powers of two";

fn format(integrity: &ParamIntegrity) -> Result<Format> {
    let guard = match integrity.csum_type {
        0 => None,
        LBMD_PI_CSUM_IP => Some(Guard::Ip),
        LBMD_PI_CSUM_CRC16 => Some(Guard::T10Dif),
        LBMD_PI_CSUM_CRC64 => Some(Guard::Crc64),
        _ => return Err(Error::Unsupported(c"format: a guard that this library does not know")),
    };
    let checks_ref = integrity.flags & LBMD_PI_CAP_REFTAG != 0;
    let protection = guard.map(|guard| Protection {
        guard,
        pi_type: if checks_ref { PiType::Type1 } else { PiType::Type3 },
        offset: integrity.pi_offset.into(),
        storage_bits: 0,
    });
    Format::new(unshift(integrity.interval_exp), integrity.metadata_size.into(), false, protection)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pi(guard: Guard, pi_type: PiType, meta_size: u16, offset: u16) -> Option<Format> {
        let protection = Protection { guard, pi_type, offset, storage_bits: 0 };
        Some(Format::new(4096, meta_size, false, Some(protection)).unwrap())
    }

    const PLAIN: Parameters = Parameters {
        attrs: ATTR_VOLATILE_CACHE,
        bytes: 16 << 20,
        block: 4096,
        physical_block: 4096,
        io_min: 4096,
        io_opt: 65536,
        max_request: 1 << 19,
        chunk: 0,
        dma_align: 512,
        discard_granularity: 4096,
        max_discard: 1 << 30,
        max_write_zeroes: 1 << 20,
        max_open_zones: 0,
        max_active_zones: 0,
        max_append: 0,
        format: None,
        char_device: (0, 0),
        disk: (0, 0),
    };

    #[test]
    fn what_the_driver_is_told_is_what_it_tells() {
        let formats = [
            None,
            pi(Guard::T10Dif, PiType::Type1, 8, 0),
            pi(Guard::Ip, PiType::Type3, 64, 56),
            pi(Guard::Crc64, PiType::Type1, 16, 0),
            Some(Format::new(4096, 255, false, None).unwrap()),
        ];
        for format in formats {
            let zoned =
                Parameters { chunk: 4 << 20, max_append: 1 << 19, max_open_zones: 9, ..PLAIN };
            for all in [Parameters { format, ..PLAIN }, Parameters { format, ..zoned }] {
                assert_eq!(Parameters::decode(&all.encode(1 << 20).unwrap()), Ok(all));
            }
        }
        let few = Parameters { bytes: 512, block: 512, ..Parameters::default() };
        let told = Parameters::decode(&few.encode(1 << 20).unwrap()).unwrap();
        assert_eq!(told, Parameters { physical_block: 512, max_request: 1 << 20, ..few });
    }

    #[test]
    fn bytes_as_in_the_kernels_header() {
        let all = Parameters { format: pi(Guard::T10Dif, PiType::Type3, 64, 56), ..PLAIN };
        let params = all.encode(1 << 19).unwrap();
        assert_eq!((params.len, params.types), (152, 1 | 2 | 16 | 64));
        let Params { basic, discard, dma, integrity, .. } = params;
        assert_eq!((basic.attrs, basic.logical_bs_shift, basic.io_opt_shift), (4, 12, 16));
        assert_eq!((basic.max_sectors, basic.dev_sectors), (1024, 32768));
        assert_eq!((discard.max_discard_sectors, discard.max_discard_segments), (1 << 21, 1));
        assert_eq!(dma.alignment, 511);
        let expected = ParamIntegrity {
            flags: 1,
            max_integrity_segments: 0,
            interval_exp: 12,
            metadata_size: 64,
            pi_offset: 56,
            csum_type: 2,
            tag_size: 6,
            pad: [0; 5],
        };
        assert_eq!(integrity, expected);
    }

    #[test]
    fn a_wrong_field_is_named() {
        let named = |all: Parameters, name: &str| {
            let error = all.encode(1 << 19).unwrap_err();
            assert!(error.to_string().starts_with(name), "{error}: {all:?}");
        };
        named(Parameters { block: 0, ..PLAIN }, "block");
        named(Parameters { block: 1536, ..PLAIN }, "block");
        named(Parameters { block: 256, ..PLAIN }, "block");
        named(Parameters { bytes: 4095, ..PLAIN }, "bytes");
        named(Parameters { bytes: 0, ..PLAIN }, "bytes");
        named(Parameters { physical_block: 512, ..PLAIN }, "physical_block");
        named(Parameters { physical_block: 12288, ..PLAIN }, "physical_block");
        named(Parameters { attrs: 16, ..PLAIN }, "attrs");
        named(Parameters { max_request: 1 << 20, ..PLAIN }, "max_request");
        named(Parameters { max_request: 4097, ..PLAIN }, "max_request");
        named(Parameters { max_discard: 100, ..PLAIN }, "max_discard");
        named(Parameters { max_write_zeroes: 512 << 32, ..PLAIN }, "max_write_zeroes");
        named(Parameters { max_open_zones: 1, ..PLAIN }, "max_append");
        named(Parameters { dma_align: 3, ..PLAIN }, "dma_align");
        named(Parameters { format: pi(Guard::Crc32c, PiType::Type1, 16, 0), ..PLAIN }, "format");
        named(Parameters { format: pi(Guard::Crc64, PiType::Type2, 16, 0), ..PLAIN }, "format");
        named(Parameters { format: pi(Guard::Crc64, PiType::Type1, 256, 0), ..PLAIN }, "format");
        let small = Parameters { block: 512, physical_block: 0, ..PLAIN };
        named(Parameters { format: pi(Guard::Ip, PiType::Type1, 8, 0), ..small }, "format");
    }
}
