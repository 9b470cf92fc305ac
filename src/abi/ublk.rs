//! The ublk driver's layouts and numbers (include/uapi/linux/ublk_cmd.h of Linux 7.2).

use std::mem::{offset_of, size_of};

/// `UBLK_U_CMD_GET_QUEUE_AFFINITY`: like all commands here, the number of ioctl's kind, which any driver takes.
pub const CMD_GET_QUEUE_AFFINITY: u32 = 0x8020_7501;
/// `UBLK_U_CMD_GET_DEV_INFO`.
pub const CMD_GET_DEV_INFO: u32 = 0x8020_7502;
/// `UBLK_U_CMD_ADD_DEV`.
pub const CMD_ADD_DEV: u32 = 0xc020_7504;
/// `UBLK_U_CMD_DEL_DEV`.
pub const CMD_DEL_DEV: u32 = 0xc020_7505;
/// `UBLK_U_CMD_START_DEV`.
pub const CMD_START_DEV: u32 = 0xc020_7506;
/// `UBLK_U_CMD_STOP_DEV`.
pub const CMD_STOP_DEV: u32 = 0xc020_7507;
/// `UBLK_U_CMD_SET_PARAMS`.
pub const CMD_SET_PARAMS: u32 = 0xc020_7508;
/// `UBLK_U_CMD_GET_PARAMS`.
pub const CMD_GET_PARAMS: u32 = 0x8020_7509;
/// `UBLK_U_CMD_START_USER_RECOVERY`.
pub const CMD_START_USER_RECOVERY: u32 = 0xc020_7510;
/// `UBLK_U_CMD_END_USER_RECOVERY`.
pub const CMD_END_USER_RECOVERY: u32 = 0xc020_7511;
/// `UBLK_U_CMD_GET_FEATURES` (6.5).
pub const CMD_GET_FEATURES: u32 = 0x8020_7513;
/// `UBLK_U_CMD_UPDATE_SIZE` (6.16).
pub const CMD_UPDATE_SIZE: u32 = 0xc020_7515;
/// `UBLK_U_CMD_QUIESCE_DEV` (6.16).
pub const CMD_QUIESCE_DEV: u32 = 0xc020_7516;

/// `UBLK_U_IO_FETCH_REQ`.
pub const IO_FETCH_REQ: u32 = 0xc010_7520;
/// `UBLK_U_IO_COMMIT_AND_FETCH_REQ`.
pub const IO_COMMIT_AND_FETCH_REQ: u32 = 0xc010_7521;
/// `UBLK_U_IO_REGISTER_IO_BUF` (6.15).
pub const IO_REGISTER_IO_BUF: u32 = 0xc010_7523;
/// `UBLK_U_IO_UNREGISTER_IO_BUF` (6.15).
pub const IO_UNREGISTER_IO_BUF: u32 = 0xc010_7524;

/// `UBLK_F_SUPPORT_ZERO_COPY`: buffers can be registered (6.15; the bit is older and did nothing).
pub const F_SUPPORT_ZERO_COPY: u64 = 1 << 0;
/// `UBLK_F_NEED_GET_DATA`.
pub const F_NEED_GET_DATA: u64 = 1 << 2;
/// `UBLK_F_USER_RECOVERY`.
pub const F_USER_RECOVERY: u64 = 1 << 3;
/// `UBLK_F_USER_RECOVERY_REISSUE`.
pub const F_USER_RECOVERY_REISSUE: u64 = 1 << 4;
/// `UBLK_F_UNPRIVILEGED_DEV`.
pub const F_UNPRIVILEGED_DEV: u64 = 1 << 5;
/// `UBLK_F_CMD_IOCTL_ENCODE`.
pub const F_CMD_IOCTL_ENCODE: u64 = 1 << 6;
/// `UBLK_F_USER_COPY` (6.5).
pub const F_USER_COPY: u64 = 1 << 7;
/// `UBLK_F_ZONED` (6.6).
pub const F_ZONED: u64 = 1 << 8;
/// `UBLK_F_USER_RECOVERY_FAIL_IO` (6.13).
pub const F_USER_RECOVERY_FAIL_IO: u64 = 1 << 9;
/// `UBLK_F_UPDATE_SIZE` (6.16).
pub const F_UPDATE_SIZE: u64 = 1 << 10;
/// `UBLK_F_AUTO_BUF_REG` (6.16).
pub const F_AUTO_BUF_REG: u64 = 1 << 11;
/// `UBLK_F_QUIESCE` (6.16).
pub const F_QUIESCE: u64 = 1 << 12;
/// `UBLK_F_BATCH_IO` (7.0).
pub const F_BATCH_IO: u64 = 1 << 15;
/// `UBLK_F_INTEGRITY` (7.0).
pub const F_INTEGRITY: u64 = 1 << 16;
/// `UBLK_F_NO_AUTO_PART_SCAN` (7.0).
pub const F_NO_AUTO_PART_SCAN: u64 = 1 << 18;

/// `UBLK_S_DEV_DEAD`.
pub const S_DEV_DEAD: u16 = 0;
/// `UBLK_S_DEV_LIVE`.
pub const S_DEV_LIVE: u16 = 1;
/// `UBLK_S_DEV_QUIESCED`.
pub const S_DEV_QUIESCED: u16 = 2;
/// `UBLK_S_DEV_FAIL_IO`.
pub const S_DEV_FAIL_IO: u16 = 3;

/// `UBLK_MAX_QUEUE_DEPTH`: a queue's descriptors lie so many apart from the next queue's.
pub const MAX_QUEUE_DEPTH: u16 = 4096;
/// `UBLK_MAX_NR_QUEUES`.
pub const MAX_NR_QUEUES: u16 = 4096;
/// `UBLKSRV_IO_BUF_OFFSET`: where the requests' bytes begin in the character device.
pub const IO_BUF_OFFSET: u64 = 0x8000_0000;
/// `UBLK_TAG_OFF`, which is `UBLK_IO_BUF_BITS`: width of an offset in a request.
pub const TAG_OFF: u32 = 25;
/// `UBLK_QID_OFF`.
pub const QID_OFF: u32 = 41;
/// `UBLKSRV_IO_INTEGRITY_FLAG`: the request's metadata instead of its data.
pub const IO_INTEGRITY_FLAG: u64 = 1 << 62;

/// `UBLK_IO_OP_READ`.
pub const OP_READ: u8 = 0;
/// `UBLK_IO_OP_WRITE`.
pub const OP_WRITE: u8 = 1;
/// `UBLK_IO_OP_FLUSH`.
pub const OP_FLUSH: u8 = 2;
/// `UBLK_IO_OP_DISCARD`.
pub const OP_DISCARD: u8 = 3;
/// `UBLK_IO_OP_WRITE_ZEROES`.
pub const OP_WRITE_ZEROES: u8 = 5;
/// `UBLK_IO_OP_ZONE_APPEND`.
pub const OP_ZONE_APPEND: u8 = 13;

/// `UBLK_IO_F_FUA`.
pub const IO_F_FUA: u32 = 1 << 13;
/// `UBLK_IO_F_NOUNMAP`.
pub const IO_F_NOUNMAP: u32 = 1 << 15;
/// `UBLK_IO_F_NEED_REG_BUF`: the automatic registration failed (6.16).
pub const IO_F_NEED_REG_BUF: u32 = 1 << 17;
/// `UBLK_IO_F_INTEGRITY`: the request has metadata (7.0).
pub const IO_F_INTEGRITY: u32 = 1 << 18;

/// `UBLK_AUTO_BUF_REG_FALLBACK`.
pub const AUTO_BUF_REG_FALLBACK: u8 = 1;

/// `struct ublksrv_ctrl_cmd`: a control command, in the second half of an SQE of 128 bytes.
#[repr(C)]
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CtrlCmd {
    /// Device; all ones: any (`CMD_ADD_DEV`).
    pub dev_id: u32,
    /// All ones: no queue.
    pub queue_id: u16,
    /// Bytes at `addr`.
    pub len: u16,
    /// What the command reads or fills.
    pub addr: u64,
    /// Its word.
    pub data: u64,
    /// Bytes at `addr` that are the path of an unprivileged device.
    pub dev_path_len: u16,
    /// Zero.
    pub pad: u16,
    /// Zero.
    pub reserved: u32,
}
const _: () = assert!(
    size_of::<CtrlCmd>() == 32
        && offset_of!(CtrlCmd, len) == 6
        && offset_of!(CtrlCmd, addr) == 8
        && offset_of!(CtrlCmd, data) == 16
        && offset_of!(CtrlCmd, dev_path_len) == 24
);

/// An SQE of 128 bytes with a control command.
#[repr(C)]
#[derive(Debug, Clone, Copy, Default)]
pub struct SqeCtrl {
    /// `IORING_OP_URING_CMD`.
    pub opcode: u8,
    /// `IOSQE_*`.
    pub flags: u8,
    /// Zero.
    pub ioprio: u16,
    /// `/dev/ublk-control`.
    pub fd: i32,
    /// `CMD_*`.
    pub cmd_op: u32,
    /// Zero.
    pub pad: [u32; 5],
    /// The submitter's word.
    pub user_data: u64,
    /// Zero.
    pub rest: u64,
    /// The command.
    pub command: CtrlCmd,
    /// Zero.
    pub tail: [u64; 6],
}
const _: () = assert!(
    size_of::<SqeCtrl>() == 128
        && offset_of!(SqeCtrl, cmd_op) == 8
        && offset_of!(SqeCtrl, user_data) == 32
        && offset_of!(SqeCtrl, command) == 48
);

/// `struct ublksrv_ctrl_dev_info`.
#[repr(C)]
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct DevInfo {
    /// Queues.
    pub nr_hw_queues: u16,
    /// Requests of each.
    pub queue_depth: u16,
    /// `S_*`.
    pub state: u16,
    /// Zero.
    pub pad0: u16,
    /// Bytes of the largest request.
    pub max_io_buf_bytes: u32,
    /// Its number.
    pub dev_id: u32,
    /// The server's process; -1: none.
    pub ublksrv_pid: i32,
    /// Zero.
    pub pad1: u32,
    /// `F_*`.
    pub flags: u64,
    /// The server's own word.
    pub ublksrv_flags: u64,
    /// Who added it.
    pub owner_uid: u32,
    /// Its group.
    pub owner_gid: u32,
    /// Zero.
    pub reserved: [u64; 2],
}
const _: () = assert!(
    size_of::<DevInfo>() == 64
        && offset_of!(DevInfo, max_io_buf_bytes) == 8
        && offset_of!(DevInfo, flags) == 24
        && offset_of!(DevInfo, owner_uid) == 40
);

/// `struct ublk_param_basic`.
#[repr(C)]
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ParamBasic {
    /// `UBLK_ATTR_*`.
    pub attrs: u32,
    /// Logical block, as a power of two; 9 to 12.
    pub logical_bs_shift: u8,
    /// Physical block.
    pub physical_bs_shift: u8,
    /// Best size of a request.
    pub io_opt_shift: u8,
    /// Smallest good size of one.
    pub io_min_shift: u8,
    /// Largest request, in sectors.
    pub max_sectors: u32,
    /// What no request crosses, in sectors; a zone's size.
    pub chunk_sectors: u32,
    /// Size of the device, in sectors.
    pub dev_sectors: u64,
    /// What no piece of memory crosses.
    pub virt_boundary_mask: u64,
}

/// `struct ublk_param_discard`.
#[repr(C)]
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ParamDiscard {
    /// Bytes.
    pub discard_alignment: u32,
    /// Bytes.
    pub discard_granularity: u32,
    /// Sectors.
    pub max_discard_sectors: u32,
    /// Sectors.
    pub max_write_zeroes_sectors: u32,
    /// 1.
    pub max_discard_segments: u16,
    /// Zero.
    pub reserved0: u16,
}

/// `struct ublk_param_devt`, which the kernel fills.
#[repr(C)]
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ParamDevt {
    /// Of `/dev/ublkcN`.
    pub char_major: u32,
    /// Of `/dev/ublkcN`.
    pub char_minor: u32,
    /// Of `/dev/ublkbN`; 0 until it is started.
    pub disk_major: u32,
    /// Of `/dev/ublkbN`.
    pub disk_minor: u32,
}

/// `struct ublk_param_zoned`.
#[repr(C)]
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ParamZoned {
    /// 0: no limit.
    pub max_open_zones: u32,
    /// 0: no limit.
    pub max_active_zones: u32,
    /// Sectors.
    pub max_zone_append_sectors: u32,
    /// Zero.
    pub reserved: [u32; 5],
}

/// `struct ublk_param_dma_align`.
#[repr(C)]
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ParamDmaAlign {
    /// A power of two less one.
    pub alignment: u32,
    /// Zero.
    pub pad: u32,
}

/// `struct ublk_param_segment`.
#[repr(C)]
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ParamSegment {
    /// A power of two less one.
    pub seg_boundary_mask: u64,
    /// At least 4096.
    pub max_segment_size: u32,
    /// Pieces of a request.
    pub max_segments: u16,
    /// Zero.
    pub pad: u16,
}

/// `struct ublk_param_integrity` (7.0).
#[repr(C)]
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ParamIntegrity {
    /// `LBMD_PI_CAP_*`.
    pub flags: u32,
    /// 0: no limit.
    pub max_integrity_segments: u16,
    /// Data bytes of an interval, as a power of two.
    pub interval_exp: u8,
    /// Metadata bytes of one; not 0.
    pub metadata_size: u8,
    /// Where the tuple starts in them.
    pub pi_offset: u8,
    /// `LBMD_PI_CSUM_*`.
    pub csum_type: u8,
    /// Bytes of the tuple that are an application's.
    pub tag_size: u8,
    /// Zero.
    pub pad: [u8; 5],
}

/// `struct ublk_params`. A driver that knows less of it takes the beginning and clears the types it does not know.
#[repr(C)]
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Params {
    /// Bytes of this.
    pub len: u32,
    /// `PARAM_*` of the parts that count.
    pub types: u32,
    /// [`PARAM_BASIC`].
    pub basic: ParamBasic,
    /// [`PARAM_DISCARD`].
    pub discard: ParamDiscard,
    /// [`PARAM_DEVT`].
    pub devt: ParamDevt,
    /// [`PARAM_ZONED`].
    pub zoned: ParamZoned,
    /// [`PARAM_DMA_ALIGN`].
    pub dma: ParamDmaAlign,
    /// The C compiler's padding.
    pub hole: u32,
    /// [`PARAM_SEGMENT`].
    pub seg: ParamSegment,
    /// [`PARAM_INTEGRITY`].
    pub integrity: ParamIntegrity,
}
const _: () = assert!(
    size_of::<ParamBasic>() == 32
        && size_of::<ParamDiscard>() == 20
        && size_of::<ParamDevt>() == 16
        && size_of::<ParamZoned>() == 32
        && size_of::<ParamDmaAlign>() == 8
        && size_of::<ParamSegment>() == 16
        && size_of::<ParamIntegrity>() == 16
        && offset_of!(ParamIntegrity, csum_type) == 9
        && offset_of!(Params, discard) == 40
        && offset_of!(Params, zoned) == 76
        && offset_of!(Params, dma) == 108
        && offset_of!(Params, seg) == 120
        && offset_of!(Params, integrity) == 136
        && size_of::<Params>() == 152
);

/// `UBLK_PARAM_TYPE_BASIC`, without which there are no others.
pub const PARAM_BASIC: u32 = 1 << 0;
/// `UBLK_PARAM_TYPE_DISCARD`.
pub const PARAM_DISCARD: u32 = 1 << 1;
/// `UBLK_PARAM_TYPE_DEVT`.
pub const PARAM_DEVT: u32 = 1 << 2;
/// `UBLK_PARAM_TYPE_ZONED`.
pub const PARAM_ZONED: u32 = 1 << 3;
/// `UBLK_PARAM_TYPE_DMA_ALIGN`.
pub const PARAM_DMA_ALIGN: u32 = 1 << 4;
/// `UBLK_PARAM_TYPE_SEGMENT`.
pub const PARAM_SEGMENT: u32 = 1 << 5;
/// `UBLK_PARAM_TYPE_INTEGRITY` (7.0).
pub const PARAM_INTEGRITY: u32 = 1 << 6;

/// `UBLK_ATTR_READ_ONLY`.
pub const ATTR_READ_ONLY: u32 = 1 << 0;
/// `UBLK_ATTR_ROTATIONAL`.
pub const ATTR_ROTATIONAL: u32 = 1 << 1;
/// `UBLK_ATTR_VOLATILE_CACHE`: flushes are wanted.
pub const ATTR_VOLATILE_CACHE: u32 = 1 << 2;
/// `UBLK_ATTR_FUA`.
pub const ATTR_FUA: u32 = 1 << 3;

/// `struct ublksrv_io_desc`: what a request wants.
#[repr(C)]
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct IoDesc {
    /// `OP_*` in the low 8 bits, `IO_F_*`.
    pub op_flags: u32,
    /// Length in sectors.
    pub nr_sectors: u32,
    /// Where.
    pub start_sector: u64,
    /// The server's buffer, without user copy and zero copy.
    pub addr: u64,
}
const _: () = assert!(size_of::<IoDesc>() == 24 && offset_of!(IoDesc, start_sector) == 8);

/// `struct ublksrv_io_cmd`: a command to the character device, at byte 48 of the SQE.
#[repr(C)]
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct IoCmd {
    /// Queue.
    pub q_id: u16,
    /// Request.
    pub tag: u16,
    /// Bytes done or a negative errno, with a commit.
    pub result: i32,
    /// Buffer, index of a registered buffer, or what [`AUTO_BUF_REG_FALLBACK`] goes along with.
    pub addr: u64,
}
const _: () = assert!(size_of::<IoCmd>() == 16 && offset_of!(IoCmd, addr) == 8);
