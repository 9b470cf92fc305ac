"""The structs of liburing-ext.h, member for member: tests/test_layout.py compares them with a C compiler's."""

from __future__ import annotations

import ctypes
from ctypes import c_int32, c_uint8, c_uint16, c_uint32, c_uint64, c_void_p


class Struct(ctypes.Structure):
    """One that may begin with `size`, which is then filled in."""

    def __init__(self) -> None:
        super().__init__()
        if self._fields_[0][0] == "size":
            self.size = ctypes.sizeof(self)


class iovec(Struct):
    _fields_ = [("iov_base", c_void_p), ("iov_len", ctypes.c_size_t)]


class urx_pi_format(Struct):
    _fields_ = [
        ("size", c_uint32),
        ("flags", c_uint32),
        ("interval", c_uint32),
        ("meta_size", c_uint16),
        ("pi_offset", c_uint16),
        ("guard", c_uint8),
        ("pi_type", c_uint8),
        ("storage_bits", c_uint8),
        ("checks", c_uint8),
        ("pi_size", c_uint8),
        ("ref_bits", c_uint8),
        ("reserved0", c_uint16),
        ("reserved", c_uint32 * 4),
    ]


class urx_tags(Struct):
    _fields_ = [
        ("checks", c_uint32),
        ("keep", c_uint32),
        ("app", c_uint16),
        ("app_ignore", c_uint16),
        ("ref_hi", c_uint16),
        ("reserved0", c_uint16),
        ("ref", c_uint64),
        ("storage", c_uint64),
        ("reserved", c_uint64),
    ]


class urx_pi_error(Struct):
    _fields_ = [
        ("check", c_uint32),
        ("flags", c_uint32),
        ("block", c_uint64),
        ("lba", c_uint64),
        ("expected", c_uint64),
        ("actual", c_uint64),
        ("expected_hi", c_uint16),
        ("actual_hi", c_uint16),
        ("reserved", c_uint32 * 3),
    ]


class urx_pi(Struct):
    _fields_ = [("lib", c_uint64 * 32)]


class urx_pi_report(Struct):
    _fields_ = [
        ("size", c_uint32),
        ("flags", c_uint32),
        ("first_block", c_uint64),
        ("errors", c_void_p),
        ("capacity", c_uint32),
        ("stored", c_uint32),
        ("failed", c_uint64),
        ("blocks", c_uint64),
        ("escaped", c_uint64),
        ("reserved", c_uint64 * 2),
    ]


class urx_pi_tuple(Struct):
    _fields_ = [
        ("guard", c_uint64),
        ("ref", c_uint64),
        ("storage", c_uint64),
        ("ref_hi", c_uint16),
        ("app", c_uint16),
        ("reserved", c_uint32),
    ]


class urx_pi_vec(Struct):
    _fields_ = [
        ("data", c_void_p),
        ("meta", c_void_p),
        ("data_cnt", c_uint32),
        ("meta_cnt", c_uint32),
        ("checks", c_void_p),
    ]


class urx_target_opts(Struct):
    _fields_ = [
        ("size", c_uint32),
        ("flags", c_uint32),
        ("side_path", ctypes.c_char_p),
        ("side_format", c_void_p),
        ("why", c_void_p),
        ("reserved", c_uint64 * 4),
    ]


class urx_target_info(Struct):
    _fields_ = [
        ("size", c_uint32),
        ("kind", c_uint32),
        ("flags", c_uint32),
        ("fd", c_int32),
        ("source", c_uint8 * 8),
        ("nsid", c_uint32),
        ("data_align", c_uint32),
        ("bytes", c_uint64),
        ("start", c_uint64),
        ("format", urx_pi_format),
        ("max_command", c_uint32),
        ("max_append", c_uint32),
        ("nr_zones", c_uint32),
        ("reserved0", c_uint32),
        ("zone_bytes", c_uint64),
        ("reserved", c_uint64 * 8),
    ]


class urx_zone(Struct):
    _fields_ = [
        ("start", c_uint64),
        ("len", c_uint64),
        ("capacity", c_uint64),
        ("wp", c_uint64),
        ("type", c_uint32),
        ("state", c_uint32),
        ("reserved", c_uint64),
    ]


class urx_rw(Struct):
    _fields_ = [
        ("size", c_uint32),
        ("op", c_uint32),
        ("flags", c_uint32),
        ("data_len", c_uint32),
        ("offset", c_uint64),
        ("data", c_void_p),
        ("meta", c_void_p),
        ("meta_len", c_uint32),
        ("buf_index", c_uint16),
        ("reserved0", c_uint16),
        ("tags", urx_tags),
        ("allow", c_uint32),
        ("reserved1", c_uint32),
        ("reserved", c_uint64 * 4),
    ]


class urx_result(Struct):
    _fields_ = [
        ("size", c_uint32),
        ("path", c_uint32),
        ("res", c_int32),
        ("status", c_uint32),
        ("pi", urx_pi_error),
        ("value", c_uint64),
        ("append_offset", c_uint64),
        ("append_lba", c_uint64),
        ("reserved", c_uint64 * 4),
    ]


class urx_queue_opts(Struct):
    _fields_ = [
        ("size", c_uint32),
        ("allow", c_uint32),
        ("max_workers", c_uint32),
        ("max_waiting", c_uint32),
        ("reserved", c_uint64 * 6),
    ]


class urx_io(Struct):
    _fields_ = [("path", c_uint32), ("sqe_size", c_uint32), ("lib", c_uint64 * 63)]
