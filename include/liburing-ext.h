/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * liburing-ext.h - what liburing has no helper for: reads and writes with metadata and protection
 * information (PI). Generated from src/capi/; liburing-ext(7) is the way in.
 *
 * Returns   0 or -errno unless a function says otherwise; errno is never set. Any function may answer
 *           -EINVAL: NULL, an unknown flag, a wrong `size`, a reserved member that is not zero; and
 *           -E2BIG: a member beyond what this library knows is not zero.
 * Units     bytes, unless a name says block or lba. Offsets count from the start of the target (a
 *           partition's own start). A block is one protection interval.
 * Structs   that start with `size`: set it to sizeof, zero the rest. Those without never change. Members
 *           marked (out) are written by the library.
 * Prep      urx_prep() and urx_prep_*() fill the caller's SQE: no allocation, no system call.
 * Buffers   belong to the caller. A request has them until its CQE was seen, and one from urx_plan()
 *           until urx_io_result() or urx_io_drop() has returned.
 * Threads   targets and struct urx_pi may be shared by all threads. A queue is used like its ring: by one
 *           thread at a time. Everything else is pure.
 * Needs     no other header; may come before or after <liburing.h> (2.3 or newer), or without it.
 */
#ifndef LIBURING_EXT_H
#define LIBURING_EXT_H

#include <stddef.h>
#include <stdint.h>

/* The words of a ring that a queue needs: urx_queue_open(&queue, URX_RING(&ring), NULL). */
#define URX_RING(ring) (ring)->ring_fd, (ring)->flags, (ring)->features

#ifdef __cplusplus
#define URX_NOEXCEPT noexcept
extern "C" {
#else
#define URX_NOEXCEPT
#endif

/* ------------------------------------------------------------------ version and names */

#define URX_VERSION_MAJOR 0u /* First part of the version of this header. */
#define URX_VERSION_MINOR 1u /* Second part: before 1.0 a new one may break programs. */
#define URX_VERSION_PATCH 0u /* Third part. */
#define URX_VERSION_NUMBER 1000u /* major * 1000000 + minor * 1000 + patch. */

/** URX_VERSION_NUMBER of the library that runs. */
uint32_t urx_version(void) URX_NOEXCEPT;

/**
 * Name of one URX_CHECK_ bit. This and the other names: static text, "unknown" for other values.
 */
const char *urx_check_str(uint32_t check) URX_NOEXCEPT;

/** Name of one URX_PATH_ bit. */
const char *urx_path_str(uint32_t path) URX_NOEXCEPT;

/** Name of an NVMe status (urx_result.status), as far as reads, writes and zones end with it. */
const char *urx_status_str(uint32_t status) URX_NOEXCEPT;

/** Name of a URX_GUARD_ value. */
const char *urx_guard_str(uint32_t guard) URX_NOEXCEPT;

/** Name of a URX_KIND_ value. */
const char *urx_kind_str(uint32_t kind) URX_NOEXCEPT;

/** Name of a URX_SOURCE_ value. */
const char *urx_source_str(uint32_t source) URX_NOEXCEPT;

/* ------------------------------------------------------------------ formats, tags, failed checks */

struct iovec; /* the C library's */

/**
 * Checks, and the fields that they concern: the guard, over data and metadata before the tuple. The
 * first three bits are the kernel's IO_INTEGRITY_CHK_.
 */
#define URX_CHECK_GUARD 1u
#define URX_CHECK_REF 2u /* The reference tag. */
#define URX_CHECK_APP 4u /* The application tag. */
#define URX_CHECK_STORAGE 8u /* The storage tag. */

#define URX_GUARD_NONE 0u /* Metadata without protection information. */
#define URX_GUARD_T10DIF 1u /* 16 bits, CRC-16/T10-DIF; a tuple of 8 bytes. */
#define URX_GUARD_IP 2u /* 16 bits, IP checksum; 8 bytes. */
#define URX_GUARD_CRC32C 3u /* 32 bits, CRC-32C; 16 bytes. */
#define URX_GUARD_CRC64 4u /* 64 bits, CRC-64/NVME; 16 bytes. */

/** urx_pi_format.flags: metadata follows the data of each block (DIF, extended LBA). */
#define URX_PI_INTERLEAVED 1u

/** How blocks look: from urx_target_query(), or filled by hand. */
struct urx_pi_format {
	uint32_t size; /* sizeof(struct urx_pi_format) */
	uint32_t flags; /* URX_PI_ */
	uint32_t interval; /* data bytes of a block: 8..65536, a multiple of 8 */
	uint16_t meta_size; /* metadata bytes of a block; 0: none */
	/** where the tuple starts in them: 0, or meta_size less the tuple's size */
	uint16_t pi_offset;
	uint8_t guard; /* URX_GUARD_ */
	uint8_t pi_type; /* 1, 2, 3; 0 with URX_GUARD_NONE */
	/** width of the storage tag: T10DIF 0..32, CRC32C 0 or 16..64, CRC64 0..48, else 0 */
	uint8_t storage_bits;
	uint8_t checks; /* (out) URX_CHECK_ that such a format can make; not looked at */
	uint8_t pi_size; /* (out) bytes of the tuple; not looked at */
	/** (out) width of the reference tag; the application tag has 16 bits; not looked at */
	uint8_t ref_bits;
	uint16_t reserved0; /* zero */
	uint32_t reserved[4]; /* zero */
};

/** Tag values, in host byte order. */
struct urx_tags {
	uint32_t checks; /* URX_CHECK_ to make, never more than the format has; 0: none */
	uint32_t keep; /* URX_CHECK_ whose fields are left as they are by what writes tuples */
	uint16_t app; /* application tag */
	uint16_t app_ignore; /* bits of it that are not compared; 0: compare all */
	uint16_t ref_hi; /* bits 64..79 of ref, 32-bit guard only */
	uint16_t reserved0; /* zero */
	/**
	 * reference tag of the first block, +1 a block, as wide as the field is; type 3: the same
	 * in all
	 */
	uint64_t ref;
	uint64_t storage; /* storage tag */
	uint64_t reserved; /* zero */
};

#define URX_ERROR_BLOCK 1u /* urx_pi_error.flags: block and lba are known. */
#define URX_ERROR_VALUES 2u /* urx_pi_error.flags: expected and actual are known. */
/**
 * urx_pi_error.flags: what was written is right when looked at again: it was damaged on its way.
 */
#define URX_ERROR_IN_TRANSIT 4u

/** One failed check. */
struct urx_pi_error {
	uint32_t check; /* one URX_CHECK_ bit; 0: not known which */
	uint32_t flags; /* URX_ERROR_ */
	uint64_t block; /* from the start of the request, or urx_pi_report.first_block on */
	uint64_t lba; /* on the device; requests only */
	uint64_t expected; /* computed, or asked for */
	uint64_t actual; /* found */
	uint16_t expected_hi; /* bits 64..79 of a reference tag */
	uint16_t actual_hi; /* bits 64..79 of a reference tag */
	uint32_t reserved[3]; /* zero */
};

/* ------------------------------------------------------------------ software protection information */

/**
 * A validated format. Caller's memory, plain data: copy it, share it between threads, just drop it.
 */
struct urx_pi {
	uint64_t lib[32]; /* the library's */
};

/** urx_pi_report.flags: go on counting when the array is full; else stop there. */
#define URX_REPORT_COUNT_ALL 1u

/**
 * Where verification puts what it finds. Its counters only grow, so one report serves many calls.
 */
struct urx_pi_report {
	uint32_t size; /* sizeof(struct urx_pi_report) */
	uint32_t flags; /* URX_REPORT_ */
	uint64_t first_block; /* number of the call's first block */
	/** by block, then guard, application, storage, reference tag; NULL if capacity is 0 */
	struct urx_pi_error *errors;
	uint32_t capacity; /* room in errors */
	uint32_t stored; /* (out) failed checks in errors */
	uint64_t failed; /* (out) failed checks */
	uint64_t blocks; /* (out) blocks looked at */
	uint64_t escaped; /* (out) of those, blocks that an escape value exempts from checks */
	uint64_t reserved[2]; /* zero */
};

/** One tuple, decoded. */
struct urx_pi_tuple {
	uint64_t guard; /* checksum */
	uint64_t ref; /* reference tag */
	uint64_t storage; /* storage tag */
	uint16_t ref_hi; /* bits 64..79 of the reference tag */
	uint16_t app; /* application tag */
	uint32_t reserved; /* zero */
};

/**
 * Validates a format with a tuple. -EINVAL, and *why (may be NULL) is a sentence that begins with
 * the name of the wrong member, if it is one.
 */
int urx_pi_init(struct urx_pi *pi, const struct urx_pi_format *format,
		const char **why) URX_NOEXCEPT;

/**
 * Writes the tuples of `blocks` blocks. data: blocks * interval bytes; meta: blocks * meta_size,
 * but NULL when interleaved, where data holds both. No alignment needed. Metadata beside the tuple
 * stays.
 */
int urx_pi_generate(const struct urx_pi *pi, const struct urx_tags *tags, void *data, void *meta,
		size_t blocks) URX_NOEXCEPT;

/**
 * Verifies `blocks` blocks: 0, or -EILSEQ when a check failed. Stops at the first failure, or as
 * report (may be NULL) says. -EINVAL if tags->checks is 0 or asks for more than the format has.
 */
int urx_pi_verify(const struct urx_pi *pi, const struct urx_tags *tags, const void *data,
		const void *meta, size_t blocks, struct urx_pi_report *report) URX_NOEXCEPT;

/** Decodes the tuple in the metadata (meta_size bytes) of one block. */
int urx_pi_tuple_get(const struct urx_pi *pi, const void *meta,
		struct urx_pi_tuple *tuple) URX_NOEXCEPT;

/**
 * Encodes a tuple into the metadata (meta_size bytes) of one block. -EINVAL for a value too wide
 * for its field.
 */
int urx_pi_tuple_set(const struct urx_pi *pi, void *meta,
		const struct urx_pi_tuple *tuple) URX_NOEXCEPT;

/** CRC-16/T10-DIF. Start with 0; the result goes in again to go on. */
uint16_t urx_crc16_t10dif(uint16_t crc, const void *buf, size_t len) URX_NOEXCEPT;

/** CRC-32C. Start with 0; the result goes in again to go on. */
uint32_t urx_crc32c(uint32_t crc, const void *buf, size_t len) URX_NOEXCEPT;

/** CRC-64/NVME. Start with 0; the result goes in again to go on. */
uint64_t urx_crc64_nvme(uint64_t crc, const void *buf, size_t len) URX_NOEXCEPT;

/**
 * The Internet checksum (RFC 1071) as a number. Start with 0xffff; the result of an even number of
 * bytes goes in again to go on.
 */
uint16_t urx_ip_checksum(uint16_t sum, const void *buf, size_t len) URX_NOEXCEPT;

/* ------------------------------------------------------------------ scattered blocks */

/**
 * Protected blocks in pieces. A piece may end anywhere, also inside a tuple. No two pieces that are
 * written may overlap, nor one that is written and one that is read.
 */
struct urx_pi_vec {
	const struct iovec *data; /* whole blocks in all; both data and metadata when interleaved */
	const struct iovec *meta; /* meta_size a block at least; NULL and 0 when interleaved */
	uint32_t data_cnt; /* pieces of data */
	uint32_t meta_cnt; /* pieces of metadata */
	/** for each block, which of the checks asked for to make; NULL: all */
	const uint8_t *checks;
};

#define URX_INJECT_DATA 256u /* urx_pi_injectv(): a bit of the block's data. */

/** urx_pi_generate() for scattered blocks. */
int urx_pi_generatev(const struct urx_pi *pi, const struct urx_tags *tags,
		const struct urx_pi_vec *v) URX_NOEXCEPT;

/** urx_pi_verify() for scattered blocks. */
int urx_pi_verifyv(const struct urx_pi *pi, const struct urx_tags *tags, const struct urx_pi_vec *v,
		struct urx_pi_report *report) URX_NOEXCEPT;

/**
 * Copies bare data (interval bytes a block) into v and protects it in the same pass; inserts the
 * metadata when interleaved.
 */
int urx_pi_copy_generatev(const struct urx_pi *pi, const struct urx_tags *tags,
		const struct urx_pi_vec *v, const struct iovec *bare,
		uint32_t bare_cnt) URX_NOEXCEPT;

/**
 * Verifies v and copies its data out bare in the same pass; strips the metadata when interleaved.
 * All of it is copied, bad blocks too, whatever the report says.
 */
int urx_pi_copy_verifyv(const struct urx_pi *pi, const struct urx_tags *tags,
		const struct urx_pi_vec *v, const struct iovec *bare, uint32_t bare_cnt,
		struct urx_pi_report *report) URX_NOEXCEPT;

/**
 * Replaces tags: in every tuple that passes from->checks (0: any; never the guard), the fields not
 * in to->keep get the values of `to`. Guards stay, and tuples with an escape value; those that do
 * not pass stay and are reported, -EILSEQ. v->data may be NULL and 0 unless interleaved.
 */
int urx_pi_retagv(const struct urx_pi *pi, const struct urx_tags *from, const struct urx_tags *to,
		const struct urx_pi_vec *v, struct urx_pi_report *report) URX_NOEXCEPT;

/**
 * For tests of your own handling: flips one bit of a block. where: one URX_CHECK_, a bit of that
 * field (0: the lowest), or URX_INJECT_DATA, bit n % 8 of data byte n / 8. -ERANGE for a block or
 * bit that is not there.
 */
int urx_pi_injectv(const struct urx_pi *pi, const struct urx_pi_vec *v, uint64_t block,
		uint32_t where, uint64_t bit) URX_NOEXCEPT;

/* ------------------------------------------------------------------ streams of blocks */

/** Generation or verification over calls. Caller's memory, plain data. */
struct urx_pi_stream {
	uint64_t lib[64]; /* the library's */
};

/** Starts a stream of blocks with these tags. */
int urx_pi_stream_init(struct urx_pi_stream *stream, const struct urx_pi *pi,
		const struct urx_tags *tags) URX_NOEXCEPT;

/**
 * The next piece, which may end anywhere. Separate metadata: exactly that of the blocks which end
 * in this piece. A call that fails has done nothing.
 */
int urx_pi_stream_generate(struct urx_pi_stream *stream,
		const struct urx_pi_vec *piece) URX_NOEXCEPT;

/**
 * The same, verified. Blocks are counted from report->first_block at the start of the stream. After
 * -EILSEQ the stream goes on behind the piece.
 */
int urx_pi_stream_verify(struct urx_pi_stream *stream, const struct urx_pi_vec *piece,
		struct urx_pi_report *report) URX_NOEXCEPT;

/** How many blocks end within the next len bytes of data: what metadata a piece takes. */
int urx_pi_stream_blocks(const struct urx_pi_stream *stream, size_t len,
		size_t *blocks) URX_NOEXCEPT;

/** Whether the stream stopped between two blocks: 0, else -EMSGSIZE. */
int urx_pi_stream_end(const struct urx_pi_stream *stream) URX_NOEXCEPT;

/* ------------------------------------------------------------------ preparation (kernel 6.14) */

struct io_uring_sqe; /* the kernel's; its header or liburing's defines it */

/**
 * The kernel's IORING_FEAT_RW_ATTR, a bit of ring.features. A kernel without it drops the attribute
 * and does the plain read or write: urx_attr_check() sees to that, and to IOPOLL rings, where
 * kernels have crashed.
 */
#define URX_FEAT_RW_ATTR 65536u

/**
 * The kernel's struct io_uring_attr_pi byte for byte, under a name of ours: a pointer to that one
 * may be cast. It is read when the SQE is consumed: it must live until io_uring_submit() has
 * returned, with SQPOLL until the kernel has taken the SQE. A write may change the metadata it
 * points to.
 */
struct urx_attr_pi {
	uint16_t flags; /* URX_CHECK_GUARD, _REF, _APP */
	uint16_t app_tag; /* application tag that the device compares */
	uint32_t len; /* metadata bytes, at least meta_size a block */
	/** address of the metadata: one plain buffer, the request's until its CQE; align to 4 */
	uint64_t addr;
	uint64_t seed; /* reference tag of the first block */
	uint64_t rsvd; /* zero */
};

/**
 * Adds the attribute to a read or write SQE, liburing's too, after its preparation: bytes 48..63.
 * With pi NULL the kernel refuses the SQE (-EFAULT).
 */
void urx_prep_rw_attr_pi(struct io_uring_sqe *sqe, const struct urx_attr_pi *pi) URX_NOEXCEPT;

/**
 * The same with a copy of *pi in the second half of the SQE, which lives as long as the SQE. For
 * IORING_SETUP_SQE128 rings only, not for IORING_SETUP_SQE_MIXED.
 */
void urx_prep_rw_attr_pi_inline(struct io_uring_sqe *sqe128,
		const struct urx_attr_pi *pi) URX_NOEXCEPT;

/**
 * Takes any attribute off an SQE. For programs that keep their own SQEs: io_uring_get_sqe() does
 * it.
 */
void urx_sqe_clear_attr(struct io_uring_sqe *sqe) URX_NOEXCEPT;

/**
 * A read with metadata. This and the seven below fill the whole SQE but for user_data; set that,
 * flags, ioprio, rw_flags, personality and write_stream after them.
 */
void urx_prep_read_meta(struct io_uring_sqe *sqe, int fd, void *buf, unsigned nbytes,
		uint64_t offset, const struct urx_attr_pi *pi) URX_NOEXCEPT;

/** A write with metadata. */
void urx_prep_write_meta(struct io_uring_sqe *sqe, int fd, const void *buf, unsigned nbytes,
		uint64_t offset, const struct urx_attr_pi *pi) URX_NOEXCEPT;

/** A read into several buffers. The metadata is one buffer all the same. */
void urx_prep_readv_meta(struct io_uring_sqe *sqe, int fd, const struct iovec *iov, unsigned nr,
		uint64_t offset, const struct urx_attr_pi *pi) URX_NOEXCEPT;

/** A write from several buffers. */
void urx_prep_writev_meta(struct io_uring_sqe *sqe, int fd, const struct iovec *iov, unsigned nr,
		uint64_t offset, const struct urx_attr_pi *pi) URX_NOEXCEPT;

/** A read into registered buffer buf_index. The metadata is never a registered buffer. */
void urx_prep_read_fixed_meta(struct io_uring_sqe *sqe, int fd, void *buf, unsigned nbytes,
		uint64_t offset, int buf_index, const struct urx_attr_pi *pi) URX_NOEXCEPT;

/** A write from registered buffer buf_index. */
void urx_prep_write_fixed_meta(struct io_uring_sqe *sqe, int fd, const void *buf, unsigned nbytes,
		uint64_t offset, int buf_index, const struct urx_attr_pi *pi) URX_NOEXCEPT;

/** A read into pieces of registered buffer buf_index (kernel 6.15). */
void urx_prep_readv_fixed_meta(struct io_uring_sqe *sqe, int fd, const struct iovec *iov,
		unsigned nr, uint64_t offset, int buf_index,
		const struct urx_attr_pi *pi) URX_NOEXCEPT;

/** A write from pieces of registered buffer buf_index (kernel 6.15). */
void urx_prep_writev_fixed_meta(struct io_uring_sqe *sqe, int fd, const struct iovec *iov,
		unsigned nr, uint64_t offset, int buf_index,
		const struct urx_attr_pi *pi) URX_NOEXCEPT;

#ifndef URX_NO_LIBURING_NAMES
/**
 * urx_prep_rw_attr_pi() in liburing's spelling; these names vanish with URX_NO_LIBURING_NAMES
 * defined.
 */
void io_uring_prep_rw_attr_pi(struct io_uring_sqe *sqe, const struct urx_attr_pi *pi) URX_NOEXCEPT;
/** urx_prep_rw_attr_pi_inline(). */
void io_uring_prep_rw_attr_pi_inline(struct io_uring_sqe *sqe128,
		const struct urx_attr_pi *pi) URX_NOEXCEPT;
/** urx_prep_read_meta(). */
void io_uring_prep_read_meta(struct io_uring_sqe *sqe, int fd, void *buf, unsigned nbytes,
		uint64_t offset, const struct urx_attr_pi *pi) URX_NOEXCEPT;
/** urx_prep_write_meta(). */
void io_uring_prep_write_meta(struct io_uring_sqe *sqe, int fd, const void *buf, unsigned nbytes,
		uint64_t offset, const struct urx_attr_pi *pi) URX_NOEXCEPT;
/** urx_prep_readv_meta(). */
void io_uring_prep_readv_meta(struct io_uring_sqe *sqe, int fd, const struct iovec *iov,
		unsigned nr, uint64_t offset, const struct urx_attr_pi *pi) URX_NOEXCEPT;
/** urx_prep_writev_meta(). */
void io_uring_prep_writev_meta(struct io_uring_sqe *sqe, int fd, const struct iovec *iov,
		unsigned nr, uint64_t offset, const struct urx_attr_pi *pi) URX_NOEXCEPT;
/** urx_prep_read_fixed_meta(). */
void io_uring_prep_read_fixed_meta(struct io_uring_sqe *sqe, int fd, void *buf, unsigned nbytes,
		uint64_t offset, int buf_index, const struct urx_attr_pi *pi) URX_NOEXCEPT;
/** urx_prep_write_fixed_meta(). */
void io_uring_prep_write_fixed_meta(struct io_uring_sqe *sqe, int fd, const void *buf,
		unsigned nbytes, uint64_t offset, int buf_index,
		const struct urx_attr_pi *pi) URX_NOEXCEPT;
/** urx_prep_readv_fixed_meta(). */
void io_uring_prep_readv_fixed_meta(struct io_uring_sqe *sqe, int fd, const struct iovec *iov,
		unsigned nr, uint64_t offset, int buf_index,
		const struct urx_attr_pi *pi) URX_NOEXCEPT;
/** urx_prep_writev_fixed_meta(). */
void io_uring_prep_writev_fixed_meta(struct io_uring_sqe *sqe, int fd, const struct iovec *iov,
		unsigned nr, uint64_t offset, int buf_index,
		const struct urx_attr_pi *pi) URX_NOEXCEPT;
#endif

/* ------------------------------------------------------------------ targets */

struct urx_target; /* one open device or file; threads may share it */

#define URX_KIND_FILE 1u /* urx_target_info.kind: regular file. */
#define URX_KIND_BLOCK 2u /* Block device that is not NVMe. */
#define URX_KIND_NVME_BLOCK 3u /* NVMe namespace or a partition of one, as a block device. */
#define URX_KIND_NVME_CHAR 4u /* NVMe namespace as a character device (/dev/ngXnY). */
#define URX_KIND_ZONEFS 5u /* File of a zonefs. */

/** Who told a fact: nobody, since it does not apply or could not be learnt. */
#define URX_SOURCE_NONE 0u
#define URX_SOURCE_LBMD 1u /* FS_IOC_GETLBMD_CAP (kernel 6.17). */
#define URX_SOURCE_SYSFS 2u /* sysfs. */
#define URX_SOURCE_IDENTIFY 3u /* NVMe Identify (needs CAP_SYS_ADMIN before 6.2). */
#define URX_SOURCE_DRIVER 4u /* The device's driver, through another ioctl. */
#define URX_SOURCE_STAT 5u /* fstat or statx. */
#define URX_SOURCE_SIDEFILE 6u /* The header of a side file. */

/**
 * Index into urx_target_info.source: who told interval, metadata, guard and where the tuple lies.
 */
#define URX_FACT_FORMAT 0u
#define URX_FACT_TYPE 1u /* Who told the PI type. All but Identify take type 2 for type 1. */
#define URX_FACT_NSID 2u /* Who told nsid. */
#define URX_FACT_BYTES 3u /* Who told bytes. */
#define URX_FACT_START 4u /* Who told start. */
#define URX_FACT_LIMITS 5u /* Who told data_align, max_command, max_append. */
#define URX_FACT_ZONES 6u /* Who told nr_zones, zone_bytes. */

/** urx_target_opts.flags: open for reading and writing; else for reading. */
#define URX_TARGET_WRITE 1u
#define URX_TARGET_BUFFERED 2u /* urx_target_opts.flags: open without O_DIRECT. */
/** urx_target_opts.flags: make the side file if there is none, mode 0600; with URX_TARGET_WRITE. */
#define URX_TARGET_CREATE_SIDE 4u

#define URX_INFO_WRITABLE 1u /* urx_target_info.flags: open for writing. */
#define URX_INFO_DIRECT 2u /* urx_target_info.flags: open with O_DIRECT. */
/** urx_target_info.flags: the kernel handles the metadata, so a PI attribute can carry it. */
#define URX_INFO_ATTR 4u
/**
 * urx_target_info.flags: who asked may not know how the metadata looks, or whether there is any.
 */
#define URX_INFO_HIDDEN 8u

/** How to open a target. */
struct urx_target_opts {
	uint32_t size; /* sizeof(struct urx_target_opts) */
	uint32_t flags; /* URX_TARGET_ */
	/** file that keeps the metadata of a target without any; opts in to it; NULL: none */
	const char *side_path;
	/** format that it must have, or is to get; NULL: the one it has */
	const struct urx_pi_format *side_format;
	/**
	 * (out) where to put a sentence that tells why the target was refused: static text; NULL:
	 * nowhere
	 */
	const char **why;
	uint64_t reserved[4]; /* zero */
};

/** What is known of a target. */
struct urx_target_info {
	uint32_t size; /* sizeof(struct urx_target_info) */
	uint32_t kind; /* URX_KIND_ */
	uint32_t flags; /* URX_INFO_ */
	int32_t fd; /* descriptor for I/O: the target's, do not close it */
	uint8_t source[8]; /* URX_SOURCE_ of each URX_FACT_ */
	uint32_t nsid; /* NVMe namespace identifier; 0: not NVMe */
	uint32_t data_align; /* required alignment of data; metadata: 4 */
	uint64_t bytes; /* data bytes */
	uint64_t start; /* byte of its device at which a partition starts */
	/**
	 * meta_size 0: no metadata, but see URX_INFO_HIDDEN; interval 0: a regular file, without
	 * blocks
	 */
	struct urx_pi_format format;
	uint32_t max_command; /* bytes of the largest single command; 0: not known */
	uint32_t max_append; /* bytes of the largest zone append; 0: not zoned */
	uint32_t nr_zones; /* number of zones; 0: not zoned */
	uint32_t reserved0; /* zero */
	uint64_t zone_bytes; /* bytes from one zone to the next */
	uint64_t reserved[8]; /* zero */
};

/**
 * Opens a device or file and learns its format and limits; *target is NULL on failure. Asks for no
 * privilege that the kernel does not ask for. opts may be NULL: for reading, with O_DIRECT (a file
 * system without it gives a buffered file). -EOPNOTSUPP: neither a block device, an NVMe namespace
 * nor a regular file, or one that a side file cannot serve; the manual lists what else a side file
 * may meet; else the errno of open(2).
 */
int urx_target_open(struct urx_target **target, const char *path,
		const struct urx_target_opts *opts) URX_NOEXCEPT;

/**
 * The same for what is open already, in agreement with opts; NULL: as it is open. The target has a
 * descriptor of its own for it: fd may be closed.
 */
int urx_target_from_fd(struct urx_target **target, int fd,
		const struct urx_target_opts *opts) URX_NOEXCEPT;

/** Tells what is known. No system call. */
int urx_target_query(const struct urx_target *target, struct urx_target_info *info) URX_NOEXCEPT;

/**
 * Learns everything again, after a format, a new partition table or another size. -EBUSY: requests
 * are in flight. No other call on the target meanwhile. On failure nothing changes.
 */
int urx_target_refresh(struct urx_target *target) URX_NOEXCEPT;

/** Makes durable what was completed: side file and data, or the device's cache. Blocks. */
int urx_target_flush(struct urx_target *target) URX_NOEXCEPT;

/**
 * With a side file: computes the protection information of all that the data file holds now, with
 * the application and storage tag of tags, and marks all blocks written. Durable when it returns.
 * Blocks.
 */
int urx_target_adopt(struct urx_target *target, const struct urx_tags *tags) URX_NOEXCEPT;

/** After the last CQE of every request on it. NULL does nothing. */
void urx_target_close(struct urx_target *target) URX_NOEXCEPT;

/* ------------------------------------------------------------------ requests */

struct io_uring_cqe; /* the kernel's */

#define URX_OP_READ 1u /* urx_rw.op: from the target. */
#define URX_OP_WRITE 2u /* To the target. */
#define URX_OP_COMPARE 3u /* Whether the target holds what data and meta do; -ENODATA if not. */
/** Zeros to the target; data and meta are NULL, the metadata is the device's choice. */
#define URX_OP_WRITE_ZEROES 4u
#define URX_OP_FLUSH 5u /* What was completed becomes durable; no data, no offset. */
/** To wherever the zone at offset goes on; urx_result tells where that was. */
#define URX_OP_APPEND 6u
#define URX_OP_ZONE_RESET 7u /* Empties the zone at offset. */
#define URX_OP_ZONE_OPEN 8u /* Opens it. */
#define URX_OP_ZONE_CLOSE 9u /* Closes it. */
#define URX_OP_ZONE_FINISH 10u /* Fills it: nothing more can be written there. */

/**
 * urx_rw.flags: data is struct iovec[], data_len their number; the array must live until the CQE.
 */
#define URX_RW_IOVEC 1u
/**
 * urx_rw.flags: data lies in registered buffer buf_index. Never one that the kernel lends (ublk).
 */
#define URX_RW_FIXED_BUF 2u
#define URX_RW_FUA 4u /* Durable once completed. */
/**
 * The device makes and strips the tuples; meta is NULL, unless there is more in it than the tuple.
 */
#define URX_RW_PRACT 8u
/** A successor will be linked to the request: only paths on which its failure breaks the link. */
#define URX_RW_LINKED 16u

/** A path, and one bit of a mask of paths; the best first: READ or WRITE with a PI attribute. */
#define URX_PATH_ATTR 1u
#define URX_PATH_URING_CMD 2u /* An NVMe command in the SQE. */
/** NVMe commands from a worker thread, by ioctl or in a ring of its own. */
#define URX_PATH_IOCTL 4u
#define URX_PATH_SOFTWARE 8u /* Plain I/O, a side file and software PI, from a worker thread. */
/** An append as a write where its zone goes on, zones managed by ioctl, from a worker thread. */
#define URX_PATH_EMULATED 16u

/** A request. Looked at during a call only. */
struct urx_rw {
	uint32_t size; /* sizeof(struct urx_rw) */
	uint32_t op; /* URX_OP_ */
	uint32_t flags; /* URX_RW_ */
	/**
	 * bytes of data, a multiple of the interval, at most 1 GiB; or number of iovecs. An
	 * interleaved format may have its metadata in data, too, if meta is NULL: then a multiple
	 * of both
	 */
	uint32_t data_len;
	uint64_t offset; /* byte of the target, a multiple of the interval */
	void *data; /* data, aligned to data_align; or the iovecs */
	/** metadata, one buffer; a write may change it: its reference tags become the device's */
	void *meta;
	uint32_t meta_len; /* bytes of metadata, at least meta_size a block */
	uint16_t buf_index; /* registered buffer */
	uint16_t reserved0; /* zero */
	struct urx_tags tags; /* what to check, and the tags of the first block */
	uint32_t allow; /* URX_PATH_ that may be taken; 0: whatever queue and target allow */
	uint32_t reserved1; /* zero */
	uint64_t reserved[4]; /* zero */
};

/** What became of a request. */
struct urx_result {
	uint32_t size; /* sizeof(struct urx_result) */
	uint32_t path; /* (out) URX_PATH_ by which it went */
	int32_t res; /* (out) as returned */
	uint32_t status; /* (out) NVMe status, its type and code: 11 bits; 0: none */
	struct urx_pi_error pi; /* (out) for -EILSEQ; else zero */
	uint64_t value; /* (out) NVMe completion dwords 0 and 1 */
	uint64_t append_offset; /* (out) where an append went: byte of the target */
	uint64_t append_lba; /* (out) where an append went: block of the device */
	uint64_t reserved[4]; /* zero */
};

/* ------------------------------------------------------------------ requests with a PI attribute */

/**
 * Whether the kernel would honour a PI attribute on this target and ring (ring->flags,
 * ring->features), and this request, unless rw is NULL: 0, or -EOPNOTSUPP, -EINVAL, -ERANGE and
 * *why (may be NULL) a sentence. Submits nothing; no system call.
 */
int urx_attr_check(const struct urx_target *target, uint32_t ring_flags, uint32_t ring_features,
		const struct urx_rw *rw, const char **why) URX_NOEXCEPT;

/**
 * Checks a request as urx_attr_check() does, then fills the SQE and the attribute that it points
 * to, which must live as urx_attr_pi says. On failure nothing is written.
 */
int urx_prep_attr(struct io_uring_sqe *sqe, struct urx_attr_pi *attr,
		const struct urx_target *target, uint32_t ring_flags, uint32_t ring_features,
		const struct urx_rw *rw) URX_NOEXCEPT;

/**
 * Decodes the CQE of a request: bytes, or -errno. On -EILSEQ of a write, data and metadata are
 * verified again and result->pi (result may be NULL) says what is wrong where, or
 * URX_ERROR_IN_TRANSIT; of a read it stays unknown. A reference tag is right as rw has it and as
 * the device has it: the kernel may have remapped it.
 */
int urx_attr_result(const struct urx_target *target, const struct urx_rw *rw,
		const struct io_uring_cqe *cqe, struct urx_result *result) URX_NOEXCEPT;

/* ------------------------------------------------------------------ NVMe commands in an SQE */

/**
 * Fills an SQE of 128 bytes with the NVMe command for a request, for a ring with
 * IORING_SETUP_SQE128 and CQE32 (or CQE_MIXED). Checks the request first: -ERANGE, -EINVAL, or
 * -EOPNOTSUPP where urx_explain() of URX_PATH_URING_CMD tells why; then nothing is written. Nobody
 * remaps reference tags: those of types 1 and 2 have to start at the LBA (-EINVAL).
 */
int urx_prep_nvme(struct io_uring_sqe *sqe128, const struct urx_target *target,
		const struct urx_rw *rw) URX_NOEXCEPT;

/** The same for two slots of a ring with IORING_SETUP_SQE_MIXED (io_uring_get_sqe128()). */
int urx_prep_nvme_mixed(struct io_uring_sqe *sqe128, const struct urx_target *target,
		const struct urx_rw *rw) URX_NOEXCEPT;

/** urx_prep_nvme() of URX_OP_APPEND, without metadata, to the zone that starts at byte `zone`. */
int urx_prep_zone_append(struct io_uring_sqe *sqe128, const struct urx_target *target,
		uint64_t zone, const void *buf, unsigned nbytes) URX_NOEXCEPT;

/**
 * Decodes the CQE (all 32 bytes of it) of a command that one of the above prepared: 0, or -errno as
 * the kernel's own reads and writes end. result (may be NULL) has the status, the value and, of an
 * append, append_lba.
 */
int urx_nvme_result(const struct io_uring_cqe *cqe, struct urx_result *result) URX_NOEXCEPT;

#ifndef URX_NO_LIBURING_NAMES
/** As urx_prep_nvme(). */
int io_uring_prep_nvme(struct io_uring_sqe *sqe128, const struct urx_target *target,
		const struct urx_rw *rw) URX_NOEXCEPT;
/** As urx_prep_nvme_mixed(). */
int io_uring_prep_nvme_mixed(struct io_uring_sqe *sqe128, const struct urx_target *target,
		const struct urx_rw *rw) URX_NOEXCEPT;
/** As urx_prep_zone_append(). */
int io_uring_prep_zone_append(struct io_uring_sqe *sqe128, const struct urx_target *target,
		uint64_t zone, const void *buf, unsigned nbytes) URX_NOEXCEPT;
#endif

/* ------------------------------------------------------------------ queues */

/**
 * one ring, and the workers for what it cannot carry itself; used like its ring, by one thread at a
 * time
 */
struct urx_queue;

/** How a queue carries requests. */
struct urx_queue_opts {
	uint32_t size; /* sizeof(struct urx_queue_opts) */
	uint32_t allow; /* URX_PATH_ that may be taken; 0: all */
	/**
	 * threads that wait, each for one request; 0: 16. Those that have many under way are one
	 * for commands, one for appends
	 */
	uint32_t max_workers;
	/**
	 * requests at a time with those that wait, and with each of the others, two descriptors a
	 * request; 0: a quarter of RLIMIT_NOFILE's descriptors
	 */
	uint32_t max_waiting;
	uint64_t reserved[6]; /* zero */
};

/**
 * A queue for a ring: urx_queue_open(&queue, URX_RING(&ring), NULL). *queue is NULL on failure.
 * ring_fd -1: a small ring of its own, for urx_run() alone (flags and features 0). opts may be
 * NULL. Makes no thread.
 */
int urx_queue_open(struct urx_queue **queue, int ring_fd, uint32_t ring_flags,
		uint32_t ring_features, const struct urx_queue_opts *opts) URX_NOEXCEPT;

/**
 * Waits for workers that have begun; what they have not begun is dropped. NULL does nothing. Before
 * the ring's end: reap or cancel, close the queue, free buffers, io_uring_queue_exit().
 */
void urx_queue_close(struct urx_queue *queue) URX_NOEXCEPT;

/**
 * Whether one path (one URX_PATH_ bit) would carry a request: 0, or -EOPNOTSUPP, -EINVAL, -ERANGE;
 * *why (may be NULL) is a sentence in each case. rw NULL: any request at all. queue NULL: the best
 * ring that this kernel could have. No system call, except with queue NULL.
 */
int urx_explain(const struct urx_queue *queue, const struct urx_target *target,
		const struct urx_rw *rw, uint32_t path, const char **why) URX_NOEXCEPT;

/* ------------------------------------------------------------------ requests on any path */

/**
 * A request under way. The caller's memory, to be embedded; needs no initialisation, and must not
 * move or be freed from urx_plan() until urx_io_result() or urx_io_drop().
 */
struct urx_io {
	uint32_t path; /* (out) URX_PATH_ that it takes */
	/**
	 * (out) bytes of the SQE to get: 64, or 128 (on a ring with SQE_MIXED by
	 * io_uring_get_sqe128())
	 */
	uint32_t sqe_size;
	uint64_t lib[63]; /* the library's */
};

/**
 * Chooses the best allowed path that can carry a request, and reserves what it needs there. Submits
 * nothing. -EOPNOTSUPP: no path can, urx_explain() tells why; -EAGAIN: max_waiting requests wait
 * for workers, reap first; -EINVAL, -ERANGE, -E2BIG (an append): the request is wrong; -EBUSY: io
 * holds one already.
 */
int urx_plan(struct urx_queue *queue, struct urx_target *target, const struct urx_rw *rw,
		struct urx_io *io) URX_NOEXCEPT;

/**
 * Fills the SQE of a planned request, all of it but user_data. The request starts when the kernel
 * issues the SQE. Later only user_data and IOSQE_ASYNC, _IO_LINK, _IO_HARDLINK (see URX_RW_LINKED)
 * and _IO_DRAIN may be set. Cannot fail: where io holds no planned request, the SQE is one that the
 * kernel refuses (-EINVAL).
 */
void urx_prep(struct io_uring_sqe *sqe, struct urx_io *io) URX_NOEXCEPT;

/**
 * Gives back a planned request whose CQE will not come: never prepared, never submitted (its SQE
 * must not be any more), or lost. Waits for a worker that has begun. NULL, or without a request,
 * does nothing.
 */
void urx_io_drop(struct urx_io *io) URX_NOEXCEPT;

/**
 * The result of a request whose CQE came: like cqe->res of a plain read or write, on every path:
 * bytes, or -errno, -EILSEQ for a failed check. `cqe` lies in the ring, before io_uring_cqe_seen(),
 * or is a copy (of 32 bytes where they have so many). A request that was cancelled when a worker
 * had begun: waits, and tells what the worker did. result may be NULL.
 */
int urx_io_result(struct urx_io *io, const struct io_uring_cqe *cqe,
		struct urx_result *result) URX_NOEXCEPT;

/**
 * A request from plan to result, at once, on a queue with a ring of its own (ring_fd -1). Returns
 * as urx_plan() and urx_io_result().
 */
int urx_run(struct urx_queue *queue, struct urx_target *target, const struct urx_rw *rw,
		struct urx_result *result) URX_NOEXCEPT;

/**
 * After -EILSEQ of a read: reads again without checks, into memory of its own, and verifies in
 * software; blocks. 0: result->pi is the first failed check. -EAGAIN: not reproduced, now all
 * checks pass; else why it could not be read. queue tells which paths are allowed, and may be NULL.
 */
int urx_diagnose(const struct urx_queue *queue, struct urx_target *target, const struct urx_rw *rw,
		struct urx_result *result) URX_NOEXCEPT;

/* ------------------------------------------------------------------ zones */

/** urx_zone.type: no write pointer, written anywhere, takes no appends. */
#define URX_ZONE_CONVENTIONAL 1u
#define URX_ZONE_SEQ_REQUIRED 2u /* Written at its write pointer alone. */
#define URX_ZONE_SEQ_PREFERRED 3u /* Better written at its write pointer. */
#define URX_ZONE_NOT_WP 0u /* urx_zone.state: has no write pointer. */
#define URX_ZONE_EMPTY 1u /* Nothing written. */
#define URX_ZONE_IMP_OPEN 2u /* Opened by a write. */
#define URX_ZONE_EXP_OPEN 3u /* Opened by URX_OP_ZONE_OPEN. */
#define URX_ZONE_CLOSED 4u /* Written to and closed. */
#define URX_ZONE_READONLY 13u /* Cannot be written any more: the device is failing. */
#define URX_ZONE_FULL 14u /* Nothing more can be written. */
#define URX_ZONE_OFFLINE 15u /* Lost: the device is failing. */

/** One zone, in bytes of the target. */
struct urx_zone {
	uint64_t start; /* its first byte */
	uint64_t len; /* bytes to the next zone */
	uint64_t capacity; /* bytes that can be written */
	/**
	 * write pointer: where the zone goes on; start + capacity of a full zone, start of one that
	 * has none
	 */
	uint64_t wp;
	uint32_t type; /* URX_ZONE_CONVENTIONAL, _SEQ_ */
	uint32_t state; /* URX_ZONE_NOT_WP and so on */
	uint64_t reserved; /* zero */
};

/**
 * What the device says of its zones from the one that holds offset. *count: in, room in zones; out,
 * zones told: 0 beyond the last. The next ones are at start + len of the last one told.
 * -EOPNOTSUPP: the target has no zones.
 */
int urx_zone_report(struct urx_target *target, uint64_t offset, struct urx_zone *zones,
		uint32_t *count) URX_NOEXCEPT;

/**
 * Resets, opens, closes or finishes (URX_OP_ZONE_) the zone that starts at zone, at once. Waits for
 * an emulated append that is being written there; others come after it.
 */
int urx_zone_manage(struct urx_target *target, uint32_t op, uint64_t zone) URX_NOEXCEPT;

/* ------------------------------------------------------------------ ublk: block devices that this process serves */

/** urx_ublk_device.flags, the kernel's UBLK_F_: buffers of requests can be registered (6.15). */
#define URX_UBLK_F_ZERO_COPY 1u
/** A server that dies can be followed by another; meanwhile requests wait. */
#define URX_UBLK_F_RECOVERY 8u
/** With RECOVERY: requests that the dead server had are given to the next one. */
#define URX_UBLK_F_RECOVERY_REISSUE 16u
/** Data is read and written at urx_ublk_copy_offset() of the character device (6.5). */
#define URX_UBLK_F_USER_COPY 128u
#define URX_UBLK_F_ZONED 256u /* The device has zones (6.6). */
#define URX_UBLK_F_RECOVERY_FAIL_IO 512u /* With RECOVERY: requests fail meanwhile (6.13). */
#define URX_UBLK_F_UPDATE_SIZE 1024u /* urx_ublk_resize() (6.16). */
#define URX_UBLK_F_AUTO_BUF_REG 2048u /* Buffers are registered with the fetch (6.16). */
#define URX_UBLK_F_QUIESCE 4096u /* urx_ublk_quiesce(), with RECOVERY (6.16). */
#define URX_UBLK_F_INTEGRITY 65536u /* Requests have metadata, with USER_COPY (7.0). */
#define URX_UBLK_F_NO_PARTITIONS 262144u /* The kernel looks for no partitions (7.0). */
#define URX_UBLK_ANY 4294967295u /* urx_ublk_device.dev_id: the driver chooses. */
#define URX_UBLK_DEAD 0u /* urx_ublk_device.state: not started, or stopped. */
#define URX_UBLK_LIVE 1u /* The block device is there, and its server. */
#define URX_UBLK_QUIESCED 2u /* The server has gone, requests wait for the next. */
#define URX_UBLK_FAIL_IO 3u /* The server has gone, requests fail until there is another. */
#define URX_UBLK_ATTR_READ_ONLY 1u /* urx_ublk_params.attrs: cannot be written. */
#define URX_UBLK_ATTR_ROTATIONAL 2u /* Like a disk that turns. */
#define URX_UBLK_ATTR_CACHE 4u /* Has a cache: URX_UBLK_OP_FLUSH comes. */
/** With CACHE: writes with URX_UBLK_IO_FUA may come, else a flush comes after them. */
#define URX_UBLK_ATTR_FUA 8u
#define URX_UBLK_OP_READ 0u /* urx_ublk_desc.op_flags & 255. */
#define URX_UBLK_OP_WRITE 1u /* To the device. */
#define URX_UBLK_OP_FLUSH 2u /* What was written before is to be durable. */
#define URX_UBLK_OP_DISCARD 3u /* Not needed any more. */
#define URX_UBLK_OP_WRITE_ZEROES 5u /* Zeros; with URX_UBLK_IO_NOUNMAP allocated ones. */
#define URX_UBLK_IO_FUA 8192u /* urx_ublk_desc.op_flags: durable before it is answered. */
#define URX_UBLK_IO_NOUNMAP 32768u /* Not by discarding. */
#define URX_UBLK_IO_NEED_REG_BUF 131072u /* The buffer could not be registered with the fetch. */
#define URX_UBLK_IO_INTEGRITY 262144u /* Has metadata. */

/** A ublk device. */
struct urx_ublk_device {
	uint32_t size; /* sizeof(struct urx_ublk_device) */
	uint32_t dev_id; /* N of /dev/ublkcN and /dev/ublkbN; URX_UBLK_ANY: the driver chooses */
	uint64_t flags; /* URX_UBLK_F_, and others of the kernel's UBLK_F_ */
	uint16_t nr_queues; /* queues; 0: 1. (out) no more than there are CPUs */
	uint16_t depth; /* requests of each; 0: 64 */
	uint32_t max_request; /* bytes of the largest request, up to 32 MiB; 0: 512 KiB */
	uint32_t state; /* (out) URX_UBLK_DEAD, _LIVE, _QUIESCED, _FAIL_IO */
	int32_t server_pid; /* (out) process that serves it; -1: none */
	uint64_t server_word; /* a word that the driver keeps for the server */
	uint32_t owner_uid; /* (out) user who added it */
	uint32_t owner_gid; /* (out) his group */
	uint64_t reserved[4]; /* zero */
};

/** What a ublk device is like. Sizes are powers of two unless it says otherwise. */
struct urx_ublk_params {
	uint32_t size; /* sizeof(struct urx_ublk_params) */
	uint32_t attrs; /* URX_UBLK_ATTR_ */
	uint64_t bytes; /* size of the device: any number of blocks */
	uint32_t block; /* logical block: 512 to the size of a page */
	uint32_t physical_block; /* physical block; 0: as block */
	uint32_t io_min; /* smallest good request; 0: not known */
	uint32_t io_opt; /* best request; 0: not known */
	/** largest request: a page or more, any multiple of 512; 0: urx_ublk_device.max_request */
	uint32_t max_request;
	uint32_t chunk; /* requests do not cross its multiples; size of a zone; 0: none */
	uint32_t dma_align; /* alignment of buffers, less than a page; 0: 4 */
	uint32_t discard_granularity; /* unit of discards; 0: block */
	uint64_t max_discard; /* largest discard, any multiple of 512; 0: there are none */
	/** largest URX_UBLK_OP_WRITE_ZEROES, any multiple of 512; 0: there are none */
	uint64_t max_write_zeroes;
	uint32_t max_open_zones; /* zones that may be open; 0: any */
	uint32_t max_active_zones; /* zones that may be begun and not full; 0: any */
	uint32_t max_append; /* largest zone append, any multiple of 512, with URX_UBLK_F_ZONED */
	uint32_t char_major; /* (out) major number of /dev/ublkcN */
	uint32_t char_minor; /* (out) minor number */
	uint32_t disk_major; /* (out) major number of /dev/ublkbN; 0: not started */
	uint32_t disk_minor; /* (out) minor number */
	uint32_t reserved0; /* zero */
	/** metadata, with URX_UBLK_F_INTEGRITY: size 0 or meta_size 0: none */
	struct urx_pi_format format;
	uint64_t reserved[4]; /* zero */
};

/** What a request wants: the kernel's struct ublksrv_io_desc. */
struct urx_ublk_desc {
	uint32_t op_flags; /* URX_UBLK_OP_ in the low 8 bits, URX_UBLK_IO_ */
	uint32_t nr_sectors; /* length, in units of 512 bytes */
	uint64_t start_sector; /* where, in units of 512 bytes */
	uint64_t addr; /* the server's buffer, where it gave one */
};

/**
 * What the ublk driver has: the kernel's UBLK_F_ bits. why may be NULL, else *why is static text.
 * -EOPNOTSUPP: there is no ublk driver; -EACCES: this process may not use it.
 */
int urx_ublk_features(uint64_t *features, const char **why) URX_NOEXCEPT;

/**
 * Adds a device; *device tells how it has become, /dev/ublkcN is there. -EEXIST: dev_id is taken;
 * -EOPNOTSUPP: no driver, or one that lacks some of the flags; -EPERM: not root.
 */
int urx_ublk_add(struct urx_ublk_device *device, const char **why) URX_NOEXCEPT;

/** What the driver knows of a device. -ENODEV: there is no such device. */
int urx_ublk_info(uint32_t dev_id, struct urx_ublk_device *device) URX_NOEXCEPT;

/** Says what a device is like, before it is started (-EACCES: it is). */
int urx_ublk_set_params(uint32_t dev_id, const struct urx_ublk_params *params,
		const char **why) URX_NOEXCEPT;

/** The same, as the driver has them. */
int urx_ublk_get_params(uint32_t dev_id, struct urx_ublk_params *params) URX_NOEXCEPT;

/**
 * Makes /dev/ublkbN, once all requests of all queues are fetched. Call it from a thread that does
 * not serve: the kernel may read partitions meanwhile. -ETIMEDOUT: 10 seconds were not enough; it
 * was not started.
 */
int urx_ublk_start(uint32_t dev_id) URX_NOEXCEPT;

/** Takes /dev/ublkbN away, whoever has it open. Fetches end with -ENODEV. */
int urx_ublk_stop(uint32_t dev_id) URX_NOEXCEPT;

/**
 * Stops and deletes a device. -ETIMEDOUT: its character device is still open or mapped after 10
 * seconds; it is gone when that is closed.
 */
int urx_ublk_delete(uint32_t dev_id) URX_NOEXCEPT;

/**
 * This process is to serve a device whose server has gone (URX_UBLK_F_RECOVERY). Then open the
 * character device, and fetch. -EBUSY: the other one is still there.
 */
int urx_ublk_begin_recovery(uint32_t dev_id) URX_NOEXCEPT;

/** What urx_ublk_start() is to a new device. */
int urx_ublk_end_recovery(uint32_t dev_id) URX_NOEXCEPT;

/**
 * Lets the server go while the block device stays, with URX_UBLK_F_QUIESCE: fetches end with
 * -ENODEV. -EBUSY: requests were in flight for timeout_ms milliseconds.
 */
int urx_ublk_quiesce(uint32_t dev_id, uint32_t timeout_ms) URX_NOEXCEPT;

/** Changes the size of a started device, with URX_UBLK_F_UPDATE_SIZE. */
int urx_ublk_resize(uint32_t dev_id, uint64_t bytes) URX_NOEXCEPT;

/**
 * Any control command: cmd_op is a UBLK_U_CMD_ of linux/ublk_cmd.h, value its word, buf of len
 * bytes what it reads or fills. timeout_ms 0: 10 seconds. Returns what the driver answers: 0, an
 * index, or -errno; -ETIMEDOUT.
 */
int urx_ublk_control(uint32_t cmd_op, uint32_t dev_id, uint64_t value, void *buf, uint32_t len,
		uint32_t timeout_ms) URX_NOEXCEPT;

/**
 * Maps the descriptors of queue q_id of a device with so many requests a queue, for reading; fd:
 * its character device.
 */
int urx_ublk_map(int fd, uint16_t q_id, uint16_t depth,
		const struct urx_ublk_desc **descs) URX_NOEXCEPT;

/** Ends such a mapping. NULL does nothing. */
void urx_ublk_unmap(const struct urx_ublk_desc *descs, uint16_t depth) URX_NOEXCEPT;

/**
 * Where byte offset of a request is in the character device, for pread() of a write's data and
 * pwrite() of a read's; integrity not 0: of its metadata (URX_UBLK_F_INTEGRITY).
 */
uint64_t urx_ublk_copy_offset(uint16_t q_id, uint16_t tag, uint32_t offset,
		uint32_t integrity) URX_NOEXCEPT;

/* ------------------------------------------------------------------ fused commands (ublk) */

/** one queue of a ublk device, served by one ring; used like its ring, by one thread at a time */
struct urx_ublk;

#define URX_FUSED_MAX 16u /* Secondaries of one command. */
/**
 * A way of a command to the request's buffer, and one bit of a mask of them: the driver registered
 * it with the request (URX_UBLK_F_AUTO_BUF_REG).
 */
#define URX_FUSED_AUTO_REG 1u
/** Registered, used and unregistered in one chain (URX_UBLK_F_ZERO_COPY). */
#define URX_FUSED_REGISTER 2u
/** Copied from and to memory of the library's (URX_UBLK_F_USER_COPY). */
#define URX_FUSED_USER_COPY 4u
/**
 * Copied by the driver, from and to the buffer that came with the fetch: a device with none of
 * these features.
 */
#define URX_FUSED_BUFFER 8u

/** A queue of a ublk device. */
struct urx_ublk_opts {
	uint32_t size; /* sizeof(struct urx_ublk_opts) */
	uint32_t allow; /* URX_FUSED_ that may be taken; 0: all that the device has */
	/** /dev/ublkcN; stays the caller's, who keeps it open until the last command is over */
	int32_t char_fd;
	uint16_t q_id; /* which queue */
	uint16_t depth; /* its requests */
	/** URX_UBLK_F_ of the device, as urx_ublk_add() or urx_ublk_info() told them */
	uint64_t features;
	const struct urx_ublk_desc *descs; /* its descriptors, from urx_ublk_map() */
	/**
	 * entries of the ring's table of registered buffers, empty ones, that are the library's:
	 * the first
	 */
	uint32_t buf_base;
	/**
	 * and how many: one for each command that is to be under way with URX_FUSED_REGISTER, and
	 * depth more with URX_UBLK_F_AUTO_BUF_REG; 0 for a device without zero copy
	 */
	uint32_t buf_count;
	/**
	 * of commands that URX_FUSED_REGISTER and _USER_COPY can both carry, those that use at most
	 * so many bytes of the buffer are copied; 0: 2048, as measured
	 */
	uint32_t copy_most;
	uint32_t reserved0; /* zero */
	uint64_t reserved[2]; /* zero */
};

/**
 * A fused command under way. The caller's memory, to be embedded; needs no initialisation, and must
 * not move or be freed from urx_fused_plan() until pending is 0, or urx_fused_drop().
 */
struct urx_fused {
	uint32_t path; /* (out) URX_FUSED_ that it takes */
	uint32_t nr_sqes; /* (out) SQEs to get and to prepare now, all in one submit; 0: none */
	/**
	 * (out) SQEs whose last CQE is still to come, those to prepare included; 0: the command is
	 * over
	 */
	uint32_t pending;
	/**
	 * (out) at the end, what to commit: bytes of the request that are done, or the first -errno
	 */
	int32_t res;
	int32_t secondary_res[16]; /* (out) of each secondary its own result, once it has come */
	uint64_t lib[206]; /* the library's */
};

/**
 * Serves a queue of a ublk device on the ring of `queue`, of which only flags matter. *ublk is NULL
 * on failure. *why (may be NULL) is a sentence in each case. -EOPNOTSUPP: an IOPOLL ring, a device
 * that is served in batches, or none of the allowed ways is the device's.
 */
int urx_ublk_open(struct urx_ublk **ublk, const struct urx_queue *queue,
		const struct urx_ublk_opts *opts, const char **why) URX_NOEXCEPT;

/** Commands that are under way go on, and may be ended after it. NULL does nothing. */
void urx_ublk_close(struct urx_ublk *ublk) URX_NOEXCEPT;

/**
 * Asks for the first request of a tag: FETCH_REQ. Its CQE tells (res 0) that descs[tag] is a
 * request. buf is the tag's buffer on a device with neither zero nor user copy (URX_FUSED_BUFFER),
 * else NULL. Fills the SQE but for user_data; writes nothing on failure.
 */
int urx_prep_ublk_fetch(struct io_uring_sqe *sqe, struct urx_ublk *ublk, uint16_t tag,
		void *buf) URX_NOEXCEPT;

/**
 * Ends the request of a tag with its result (bytes, or -errno), and asks for the next:
 * COMMIT_AND_FETCH_REQ. Submit it only when each fused command on the tag is over.
 */
int urx_prep_ublk_commit(struct io_uring_sqe *sqe, struct urx_ublk *ublk, uint16_t tag,
		int32_t res) URX_NOEXCEPT;

/**
 * Registers the buffer of a request by hand, at an index from urx_ublk_buf_get(): REGISTER_IO_BUF.
 */
int urx_prep_ublk_register(struct io_uring_sqe *sqe, struct urx_ublk *ublk, uint16_t tag,
		uint16_t buf_index) URX_NOEXCEPT;

/** Ends that: UNREGISTER_IO_BUF. The index can be put back when its CQE has come. */
int urx_prep_ublk_unregister(struct io_uring_sqe *sqe, struct urx_ublk *ublk, uint16_t tag,
		uint16_t buf_index) URX_NOEXCEPT;

/** An index of the ring's table that nobody uses. -EAGAIN: none. */
int urx_ublk_buf_get(struct urx_ublk *ublk, uint16_t *buf_index) URX_NOEXCEPT;

/** Gives it back. -EINVAL: it was not handed out by that function, or is back already. */
int urx_ublk_buf_put(struct urx_ublk *ublk, uint16_t buf_index) URX_NOEXCEPT;

/**
 * Chooses a way for the request `tag` to lend its buffer to `nr` secondaries: SQEs of 64 bytes, one
 * behind the other, as prepared for READ, WRITE, READV, WRITEV, SEND, SEND_ZC or RECV, whose
 * address (or iov_base) is an offset in the buffer. They are copied, iovecs too; none may depend on
 * another. Submits nothing. Of their flags IOSQE_FIXED_FILE and _ASYNC are kept, others refused.
 * -EFAULT: a range not all in the buffer, or not the request's direction; -EOPNOTSUPP: no way can
 * carry them; -EAGAIN: no index is free; -EBUSY: fused holds a command already, or the driver could
 * not register. URX_FUSED_USER_COPY copies here what was written to the device. *why (may be NULL)
 * is a sentence in each case.
 */
int urx_fused_plan(struct urx_ublk *ublk, struct urx_fused *fused, uint16_t tag,
		const struct io_uring_sqe *secondaries, uint32_t nr, const char **why) URX_NOEXCEPT;

/**
 * Fills `nr` SQEs, which has to be fused->nr_sqes, got one after the other with nothing between
 * them, but for their user_data: set that to tell which command and which of its SQEs it is, and
 * change nothing else. Have room for all before the first is got. -EINVAL: NULL among them, or
 * another number; then nothing is written.
 */
int urx_prep_fused_cmd(struct io_uring_sqe *const *sqes, uint32_t nr,
		struct urx_fused *fused) URX_NOEXCEPT;

/**
 * To be called for each CQE of the command; `index` tells of which SQE of the last preparation.
 * Returns fused->pending. At 0 the command is over: commit fused->res. Where fused->nr_sqes is not
 * 0, prepare and submit these, as at first: the buffer is still registered. -EINVAL: no such CQE is
 * to come.
 */
int urx_fused_result(struct urx_fused *fused, uint32_t index,
		const struct io_uring_cqe *cqe) URX_NOEXCEPT;

/**
 * Gives back a planned command whose CQEs will not come: its SQEs were never submitted and will not
 * be, or their ring is gone. NULL, or without a command, does nothing. The index of one that was
 * prepared is not used again.
 */
void urx_fused_drop(struct urx_fused *fused) URX_NOEXCEPT;

#ifndef URX_NO_LIBURING_NAMES
/** As urx_prep_fused_cmd(). */
int io_uring_prep_fused_cmd(struct io_uring_sqe *const *sqes, uint32_t nr,
		struct urx_fused *fused) URX_NOEXCEPT;
#endif

/* ------------------------------------------------------------------ for programs written to a patch series */

/**
 * The check bits of the READ_META series of 2024 (guard 1, application tag 2, reference tag 4) as
 * URX_CHECK_ bits for urx_attr_pi.flags: the kernel has the last two the other way round. Bits that
 * the series does not have stay, for the kernel to refuse. Its opcodes never reach an SQE: they are
 * other operations now.
 */
uint16_t urx_rfc_checks(uint16_t meta_flags) URX_NOEXCEPT;

/**
 * Where an append landed, as the zone append series of 2020 told it (cqe->flags, or aio's res2:
 * 512-byte units from the zone's start), in bytes like urx_result.append_offset. Zones beyond the
 * range of 64 bits give UINT64_MAX.
 */
uint64_t urx_rfc_append_offset(uint64_t zone, uint32_t units) URX_NOEXCEPT;

/**
 * The reverse. -EINVAL: offset is not a multiple of 512 bytes behind zone; -ERANGE: too far for 32
 * bits.
 */
int urx_rfc_append_units(uint64_t zone, uint64_t offset, uint32_t *units) URX_NOEXCEPT;

/**
 * Layouts of the fused command series of 2023: one SQE of 128 bytes, the secondary in its second
 * half.
 */
#define URX_RFC_FUSED_HALVES 1u
/** Two SQEs of 64 bytes in a row, on a ring that the series sets up for it. */
#define URX_RFC_FUSED_PAIR 2u
/** To be said for urx_rfc_prep_fused(): the kernel carries that series, under this opcode. */
#define URX_RFC_KERNEL_HAS_IT 1u

/**
 * Fills 128 bytes with a fused command as that series has it: `opcode`, which the kernel at hand
 * gave the operation, `fd` and `cmd_op` of the driver, its 16 bytes of payload (NULL: zeros), and a
 * secondary READ, WRITE, SEND, SEND_ZC or RECV whose address is an offset in the primary's buffer.
 * user_data of the first half stays, and that of secondary. Writes nothing on failure. -EINVAL: an
 * opcode below 65, which Linux 7.3 has for other operations, or flags not URX_RFC_KERNEL_HAS_IT.
 * Everywhere else urx_fused_plan() is the way.
 */
int urx_rfc_prep_fused(struct io_uring_sqe *sqes, uint32_t layout, uint32_t flags, uint8_t opcode,
		int fd, uint32_t cmd_op, const void *payload,
		const struct io_uring_sqe *secondary) URX_NOEXCEPT;

#ifdef __cplusplus
}
#endif
#endif /* LIBURING_EXT_H */
