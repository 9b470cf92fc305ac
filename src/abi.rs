//! Kernel layouts and numbers that `libc` and `io-uring` lack, their sizes asserted here.

use std::mem::{offset_of, size_of};
use std::time::Duration;

pub mod ublk;

/// `IORING_FEAT_RW_ATTR`: reads and writes look at their attribute (io_uring, 6.14).
pub const FEAT_RW_ATTR: u32 = 1 << 16;
/// `IORING_RW_ATTR_FLAG_PI`, the only attribute type there is.
pub const RW_ATTR_PI: u64 = 1;
/// `IORING_FEAT_NO_IOWAIT`: came with the vectored operations on registered buffers (6.15).
pub const FEAT_NO_IOWAIT: u32 = 1 << 17;
/// `IORING_FEAT_RECVSEND_BUNDLE`: says that the kernel is 6.10 or newer.
pub const FEAT_RECVSEND_BUNDLE: u32 = 1 << 14;
/// `IORING_SETUP_IOPOLL`.
pub const SETUP_IOPOLL: u32 = 1;
/// `IORING_SETUP_SQE128` (5.19).
pub const SETUP_SQE128: u32 = 1 << 10;
/// `IORING_SETUP_CQE32` (5.19).
pub const SETUP_CQE32: u32 = 1 << 11;
/// `IORING_SETUP_CQE_MIXED` (6.18).
pub const SETUP_CQE_MIXED: u32 = 1 << 18;
/// `IORING_SETUP_SQE_MIXED` (6.19).
pub const SETUP_SQE_MIXED: u32 = 1 << 19;
/// `IORING_OP_URING_CMD128`, two slots of a mixed ring (6.19).
pub const OP_URING_CMD128: u8 = 64;
/// `IORING_URING_CMD_FIXED`.
pub const URING_CMD_FIXED: u32 = 1;
/// `IORING_OP_LAST` of Linux 7.3: opcodes below it are operations.
pub const OP_LAST: u8 = 65;
/// `IORING_RECVSEND_POLL_FIRST`.
pub const RECVSEND_POLL_FIRST: u16 = 1;
/// `IORING_RECVSEND_FIXED_BUF`: of SEND_ZC 6.0, of SEND and RECV later.
pub const RECVSEND_FIXED_BUF: u16 = 4;
/// `IORING_SEND_ZC_REPORT_USAGE`.
pub const SEND_ZC_REPORT_USAGE: u16 = 8;
/// `IORING_CQE_F_MORE`: another CQE of the same SQE will come.
pub const CQE_F_MORE: u32 = 2;
/// `IORING_CQE_F_NOTIF`: the second of SEND_ZC, whose buffer is free now.
pub const CQE_F_NOTIF: u32 = 8;
/// `IORING_SETUP_SQPOLL`.
pub const SETUP_SQPOLL: u32 = 2;
/// `IORING_SETUP_ATTACH_WQ`: with another ring's workers and SQPOLL thread.
pub const SETUP_ATTACH_WQ: u32 = 32;
/// An opcode of no kernel, which each refuses (`-EINVAL`).
pub const OP_NONE: u8 = 0xff;

/// `struct io_uring_attr_pi` (include/uapi/linux/io_uring.h).
#[repr(C)]
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct AttrPi {
    /// `IO_INTEGRITY_CHK_*`.
    pub flags: u16,
    /// Application tag that the device compares.
    pub app_tag: u16,
    /// Metadata bytes at `addr`.
    pub len: u32,
    /// User address of the metadata.
    pub addr: u64,
    /// Reference tag of the first block, before the kernel's remap.
    pub seed: u64,
    /// Zero.
    pub rsvd: u64,
}
const _: () = assert!(size_of::<AttrPi>() == 32 && offset_of!(AttrPi, seed) == 16);

/// The first 64 bytes of `struct io_uring_sqe`, spelled for reads and writes.
#[repr(C)]
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Sqe {
    /// `IORING_OP_*`.
    pub opcode: u8,
    /// `IOSQE_*`.
    pub flags: u8,
    /// I/O priority.
    pub ioprio: u16,
    /// File descriptor.
    pub fd: i32,
    /// Offset in the file.
    pub off: u64,
    /// Data or `struct iovec` array.
    pub addr: u64,
    /// Bytes, or entries of the array.
    pub len: u32,
    /// `RWF_*`.
    pub rw_flags: u32,
    /// The application's word.
    pub user_data: u64,
    /// Registered buffer.
    pub buf_index: u16,
    /// Registered credentials.
    pub personality: u16,
    /// `write_stream` (6.16) and padding; older: `file_index`.
    pub stream: u32,
    /// Address of the attribute.
    pub attr_ptr: u64,
    /// `IORING_RW_ATTR_FLAG_*`.
    pub attr_type_mask: u64,
}
const _: () = assert!(
    size_of::<Sqe>() == 64
        && offset_of!(Sqe, user_data) == 32
        && offset_of!(Sqe, buf_index) == 40
        && offset_of!(Sqe, attr_ptr) == 48
        && offset_of!(Sqe, attr_type_mask) == 56
);

/// An SQE of an `IORING_SETUP_SQE128` ring whose second half holds the attribute.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct Sqe128 {
    /// What the kernel reads as the SQE.
    pub sqe: Sqe,
    /// What `sqe.attr_ptr` then points to.
    pub attr: AttrPi,
    /// Not looked at.
    pub pad: [u64; 4],
}
const _: () = assert!(size_of::<Sqe128>() == 128 && offset_of!(Sqe128, attr) == 64);

/// An SQE of 128 bytes that passes an NVMe command through.
#[repr(C)]
#[derive(Debug, Clone, Copy, Default)]
pub struct SqeNvme {
    /// `IORING_OP_URING_CMD`, or [`OP_URING_CMD128`].
    pub opcode: u8,
    /// `IOSQE_*`.
    pub flags: u8,
    /// I/O priority.
    pub ioprio: u16,
    /// The namespace's character device.
    pub fd: i32,
    /// `NVME_URING_CMD_*`.
    pub cmd_op: u32,
    /// Zero.
    pub pad: [u32; 4],
    /// `IORING_URING_CMD_*`.
    pub uring_cmd_flags: u32,
    /// The application's word.
    pub user_data: u64,
    /// Registered buffer.
    pub buf_index: u16,
    /// Registered credentials.
    pub personality: u16,
    /// Zero.
    pub file_index: u32,
    /// The command.
    pub command: NvmePassthru,
    /// Zero.
    pub rest: u64,
}
const _: () = assert!(
    size_of::<SqeNvme>() == 128
        && offset_of!(SqeNvme, cmd_op) == 8
        && offset_of!(SqeNvme, uring_cmd_flags) == 28
        && offset_of!(SqeNvme, user_data) == 32
        && offset_of!(SqeNvme, buf_index) == 40
        && offset_of!(SqeNvme, command) == 48
);

/// `struct logical_block_metadata_cap` (include/uapi/linux/fs.h), what `FS_IOC_GETLBMD_CAP` fills.
#[repr(C)]
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LbmdCap {
    /// `LBMD_PI_CAP_*`.
    pub flags: u32,
    /// Data bytes of one protection interval.
    pub interval: u16,
    /// Metadata bytes of one interval; 0: the kernel sees none.
    pub size: u8,
    /// Metadata bytes that are not the tuple.
    pub opaque_size: u8,
    /// Where they start.
    pub opaque_offset: u8,
    /// Bytes of the tuple.
    pub pi_size: u8,
    /// Where it starts.
    pub pi_offset: u8,
    /// `LBMD_PI_CSUM_*`.
    pub guard_tag_type: u8,
    /// Bytes of the application tag.
    pub app_tag_size: u8,
    /// Bytes of the reference tag; 0: not checked (type 3).
    pub ref_tag_size: u8,
    /// Bytes of the storage tag.
    pub storage_tag_size: u8,
    /// Padding.
    pub pad: u8,
}
const _: () = assert!(size_of::<LbmdCap>() == 16 && offset_of!(LbmdCap, guard_tag_type) == 11);

/// `_IOWR(0x15, 2, struct logical_block_metadata_cap)` (6.17).
pub const FS_IOC_GETLBMD_CAP: libc::c_ulong = 0xc010_1502;
/// `LBMD_PI_CAP_INTEGRITY`.
pub const LBMD_PI_CAP_INTEGRITY: u32 = 1;
/// `LBMD_PI_CAP_REFTAG`.
pub const LBMD_PI_CAP_REFTAG: u32 = 2;
/// `LBMD_PI_CSUM_IP`.
pub const LBMD_PI_CSUM_IP: u8 = 1;
/// `LBMD_PI_CSUM_CRC16_T10DIF`.
pub const LBMD_PI_CSUM_CRC16: u8 = 2;
/// `LBMD_PI_CSUM_CRC64_NVME`.
pub const LBMD_PI_CSUM_CRC64: u8 = 4;

/// `BLKROGET`.
pub const BLKROGET: libc::c_ulong = 0x125e;
/// `BLKGETSIZE64`.
pub const BLKGETSIZE64: libc::c_ulong = 0x8008_1272;

/// `struct blk_zone` (include/uapi/linux/blkzoned.h). Lengths in 512-byte sectors.
#[repr(C)]
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct BlkZone {
    /// Its first sector.
    pub start: u64,
    /// Sectors to the next.
    pub len: u64,
    /// Write pointer.
    pub wp: u64,
    /// `BLK_ZONE_TYPE_*`.
    pub kind: u8,
    /// `BLK_ZONE_COND_*`.
    pub cond: u8,
    /// Written out of order, where that is allowed.
    pub non_seq: u8,
    /// A reset is recommended.
    pub reset: u8,
    /// Padding.
    pub resv: [u8; 4],
    /// Sectors that can be written.
    pub capacity: u64,
    /// Zero.
    pub reserved: [u64; 3],
}
const _: () = assert!(size_of::<BlkZone>() == 64 && offset_of!(BlkZone, capacity) == 32);

/// Zones that are asked for at a time.
pub const ZONES_AT_ONCE: usize = 64;

/// `struct __kernel_timespec`.
#[derive(Debug, Clone, Copy)]
#[repr(C)]
pub struct KernelTimespec {
    /// Seconds.
    pub tv_sec: i64,
    /// Nanoseconds.
    pub tv_nsec: i64,
}
const _: () = assert!(size_of::<KernelTimespec>() == 16);

impl From<Duration> for KernelTimespec {
    fn from(time: Duration) -> Self {
        KernelTimespec { tv_sec: time.as_secs() as i64, tv_nsec: time.subsec_nanos().into() }
    }
}

/// `struct blk_zone_report` with room for zones.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct BlkZoneReport {
    /// Any sector of the first zone.
    pub sector: u64,
    /// In: room; out: zones told.
    pub nr_zones: u32,
    /// Out: `BLK_ZONE_REP_*`.
    pub flags: u32,
    /// The zones.
    pub zones: [BlkZone; ZONES_AT_ONCE],
}
const _: () = assert!(offset_of!(BlkZoneReport, zones) == 16);

/// `struct blk_zone_range`.
#[repr(C)]
#[derive(Debug, Clone, Copy, Default)]
pub struct BlkZoneRange {
    /// First sector.
    pub sector: u64,
    /// Sectors.
    pub nr_sectors: u64,
}
const _: () = assert!(size_of::<BlkZoneRange>() == 16);

/// `BLKREPORTZONE`. Its second version (6.19) can answer from what the kernel remembers, which is no help
/// here: only a report from the device makes the kernel believe in a write pointer again.
pub const BLKREPORTZONE: libc::c_ulong = 0xc010_1282;
/// `BLKRESETZONE`.
pub const BLKRESETZONE: libc::c_ulong = 0x4010_1283;
/// `BLKOPENZONE`.
pub const BLKOPENZONE: libc::c_ulong = 0x4010_1286;
/// `BLKCLOSEZONE`.
pub const BLKCLOSEZONE: libc::c_ulong = 0x4010_1287;
/// `BLKFINISHZONE`.
pub const BLKFINISHZONE: libc::c_ulong = 0x4010_1288;
/// `BLK_ZONE_REP_CAPACITY`: capacities were told (5.9).
pub const BLK_ZONE_REP_CAPACITY: u32 = 1;
/// `BLK_ZONE_TYPE_CONVENTIONAL`.
pub const BLK_ZONE_TYPE_CONVENTIONAL: u8 = 1;
/// `BLK_ZONE_TYPE_SEQWRITE_REQ`.
pub const BLK_ZONE_TYPE_SEQWRITE_REQ: u8 = 2;
/// `BLK_ZONE_TYPE_SEQWRITE_PREF`.
pub const BLK_ZONE_TYPE_SEQWRITE_PREF: u8 = 3;
/// `BLK_ZONE_COND_NOT_WP`.
pub const BLK_ZONE_COND_NOT_WP: u8 = 0;
/// `BLK_ZONE_COND_EMPTY`.
pub const BLK_ZONE_COND_EMPTY: u8 = 1;
/// `BLK_ZONE_COND_IMP_OPEN`.
pub const BLK_ZONE_COND_IMP_OPEN: u8 = 2;
/// `BLK_ZONE_COND_EXP_OPEN`.
pub const BLK_ZONE_COND_EXP_OPEN: u8 = 3;
/// `BLK_ZONE_COND_CLOSED`.
pub const BLK_ZONE_COND_CLOSED: u8 = 4;
/// `BLK_ZONE_COND_READONLY`.
pub const BLK_ZONE_COND_READONLY: u8 = 13;
/// `BLK_ZONE_COND_FULL`.
pub const BLK_ZONE_COND_FULL: u8 = 14;
/// `BLK_ZONE_COND_OFFLINE`.
pub const BLK_ZONE_COND_OFFLINE: u8 = 15;

/// `struct nvme_passthru_cmd` (include/uapi/linux/nvme_ioctl.h), and `struct nvme_uring_cmd`.
#[repr(C)]
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct NvmePassthru {
    /// Opcode.
    pub opcode: u8,
    /// Zero.
    pub flags: u8,
    /// Zero.
    pub rsvd1: u16,
    /// Namespace.
    pub nsid: u32,
    /// Command dwords 2 and 3.
    pub cdw2: [u32; 2],
    /// Metadata address.
    pub metadata: u64,
    /// Data address.
    pub addr: u64,
    /// Bytes at `metadata`.
    pub metadata_len: u32,
    /// Bytes at `addr`.
    pub data_len: u32,
    /// Command dwords 10 to 15.
    pub cdw10: [u32; 6],
    /// 0: the driver's.
    pub timeout_ms: u32,
    /// Completion dword 0.
    pub result: u32,
}
const _: () = assert!(size_of::<NvmePassthru>() == 72 && offset_of!(NvmePassthru, cdw10) == 40);

/// `struct nvme_passthru_cmd64`: the same with a result of 64 bits.
#[repr(C)]
#[derive(Debug, Clone, Copy, Default)]
pub struct NvmePassthru64 {
    /// As in [`NvmePassthru`], whose `result` is zero here.
    pub command: NvmePassthru,
    /// Completion dwords 0 and 1.
    pub result: u64,
}
const _: () = assert!(size_of::<NvmePassthru64>() == 80);

/// `struct nvme_user_io`.
#[repr(C)]
#[derive(Debug, Clone, Copy, Default)]
pub struct NvmeUserIo {
    /// Opcode: read, write or compare.
    pub opcode: u8,
    /// Zero.
    pub flags: u8,
    /// The high half of command dword 12.
    pub control: u16,
    /// Blocks, less one.
    pub nblocks: u16,
    /// Zero.
    pub rsvd: u16,
    /// Metadata address.
    pub metadata: u64,
    /// Data address.
    pub addr: u64,
    /// First block.
    pub slba: u64,
    /// Command dword 13.
    pub dsmgmt: u32,
    /// Command dword 14.
    pub reftag: u32,
    /// Application tag.
    pub apptag: u16,
    /// Bits of it that are compared.
    pub appmask: u16,
    /// Padding.
    pub pad: u32,
}
const _: () = assert!(size_of::<NvmeUserIo>() == 48 && offset_of!(NvmeUserIo, reftag) == 36);

/// `NVME_IOCTL_SUBMIT_IO`.
pub const NVME_IOCTL_SUBMIT_IO: libc::c_ulong = 0x4030_4e42;
/// `NVME_IOCTL_IO_CMD`.
pub const NVME_IOCTL_IO_CMD: libc::c_ulong = 0xc048_4e43;
/// `NVME_IOCTL_IO64_CMD` (5.4).
pub const NVME_IOCTL_IO64_CMD: libc::c_ulong = 0xc050_4e48;
/// `NVME_IOCTL_IO64_CMD_VEC` (5.16).
pub const NVME_IOCTL_IO64_CMD_VEC: libc::c_ulong = 0xc050_4e49;
/// `NVME_URING_CMD_IO` (5.19).
pub const NVME_URING_CMD_IO: u32 = 0xc048_4e80;
/// `NVME_URING_CMD_IO_VEC` (5.19).
pub const NVME_URING_CMD_IO_VEC: u32 = 0xc048_4e81;
/// `NVME_IOCTL_ID`: the namespace identifier as the return value.
pub const NVME_IOCTL_ID: libc::c_ulong = 0x4e40;
/// `NVME_IOCTL_ADMIN_CMD`.
pub const NVME_IOCTL_ADMIN_CMD: libc::c_ulong = 0xc048_4e41;
/// `ZONEFS_MAGIC` (include/uapi/linux/magic.h).
pub const ZONEFS_MAGIC: i64 = 0x5a4f_4653;
