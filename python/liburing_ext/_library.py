"""Finds the shared library, sees whether it is new enough, and declares its functions."""

from __future__ import annotations

import ctypes
import os
from ctypes import c_char_p, c_int, c_size_t, c_uint16, c_uint32, c_uint64, c_void_p
from pathlib import Path
from typing import Any

SONAME = "liburing-ext.so.0"
ENVIRONMENT = "LIBURING_EXT_LIBRARY"
NEEDED = 1000  # as URX_VERSION_NUMBER: major * 1000000 + minor * 1000 + patch

# name: result, arguments. All pointers are void here: ctypes takes byref() and addresses for them.
FUNCTIONS: dict[str, tuple[Any, list[Any]]] = {
    "urx_version": (c_uint32, []),
    "urx_check_str": (c_char_p, [c_uint32]),
    "urx_path_str": (c_char_p, [c_uint32]),
    "urx_status_str": (c_char_p, [c_uint32]),
    "urx_pi_init": (c_int, [c_void_p] * 3),
    "urx_pi_tuple_get": (c_int, [c_void_p] * 3),
    "urx_pi_tuple_set": (c_int, [c_void_p] * 3),
    "urx_crc16_t10dif": (c_uint16, [c_uint16, c_void_p, c_size_t]),
    "urx_crc32c": (c_uint32, [c_uint32, c_void_p, c_size_t]),
    "urx_crc64_nvme": (c_uint64, [c_uint64, c_void_p, c_size_t]),
    "urx_ip_checksum": (c_uint16, [c_uint16, c_void_p, c_size_t]),
    "urx_pi_generatev": (c_int, [c_void_p] * 3),
    "urx_pi_verifyv": (c_int, [c_void_p] * 4),
    "urx_pi_copy_generatev": (c_int, [c_void_p] * 4 + [c_uint32]),
    "urx_pi_copy_verifyv": (c_int, [c_void_p] * 4 + [c_uint32, c_void_p]),
    "urx_pi_retagv": (c_int, [c_void_p] * 5),
    "urx_pi_injectv": (c_int, [c_void_p, c_void_p, c_uint64, c_uint32, c_uint64]),
    "urx_target_open": (c_int, [c_void_p, c_char_p, c_void_p]),
    "urx_target_from_fd": (c_int, [c_void_p, c_int, c_void_p]),
    "urx_target_query": (c_int, [c_void_p] * 2),
    "urx_target_refresh": (c_int, [c_void_p]),
    "urx_target_flush": (c_int, [c_void_p]),
    "urx_target_adopt": (c_int, [c_void_p] * 2),
    "urx_target_close": (None, [c_void_p]),
    "urx_queue_open": (c_int, [c_void_p, c_int, c_uint32, c_uint32, c_void_p]),
    "urx_queue_close": (None, [c_void_p]),
    "urx_explain": (c_int, [c_void_p, c_void_p, c_void_p, c_uint32, c_void_p]),
    "urx_plan": (c_int, [c_void_p] * 4),
    "urx_prep": (None, [c_void_p] * 2),
    "urx_io_drop": (None, [c_void_p]),
    "urx_io_result": (c_int, [c_void_p] * 3),
    "urx_run": (c_int, [c_void_p] * 4),
    "urx_zone_report": (c_int, [c_void_p, c_uint64, c_void_p, c_void_p]),
    "urx_zone_manage": (c_int, [c_void_p, c_uint32, c_uint64]),
    "urx_diagnose": (c_int, [c_void_p] * 4),
}


def version_text(number: int) -> str:
    """1000 is 0.1.0."""
    return f"{number // 1000000}.{number // 1000 % 1000}.{number % 1000}"


def is_served_by(found: int, needed: int) -> bool:
    """Whether a library is new enough, and not of another, incompatible line (before 1.0: another minor)."""
    line = 1000 if needed < 1000000 else 1000000
    return found >= needed and found // line == needed // line


def candidates() -> list[str]:
    """Where to look. The first that is there counts."""
    chosen = os.environ.get(ENVIRONMENT)
    if chosen:
        return [chosen]
    return [str(Path(__file__).with_name(SONAME)), SONAME]


def load() -> ctypes.CDLL:
    """The library. ImportError says what was tried, or that it is too old."""
    tried = []
    for name in candidates():
        if os.sep in name and not os.path.exists(name):
            tried.append(f"{name}: not there")
            continue
        try:
            return declare(ctypes.CDLL(name), name)
        except OSError as error:
            tried.append(str(error))
    raise ImportError(
        f"{SONAME} was not found; install liburing-ext, or set {ENVIRONMENT} to the path of the library "
        f"({'; '.join(tried)})"
    )


def declare(library: ctypes.CDLL, name: str) -> ctypes.CDLL:
    """Argument types for ctypes, once the version is known to be right."""
    try:
        library.urx_version.restype = c_uint32
        found = library.urx_version()
    except AttributeError:
        raise ImportError(f"{name} is not liburing-ext: it has no urx_version()") from None
    if not is_served_by(found, NEEDED):
        raise ImportError(
            f"{name} is liburing-ext {version_text(found)}; this package needs {version_text(NEEDED)} or a "
            "compatible later one"
        )
    for function, (result, arguments) in FUNCTIONS.items():
        try:
            bound = getattr(library, function)
        except AttributeError:
            raise ImportError(f"{name} is liburing-ext {version_text(found)} but lacks {function}()") from None
        bound.restype, bound.argtypes = result, arguments
    return library


lib = load()
