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

