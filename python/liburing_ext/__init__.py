"""Reads and writes with metadata and protection information, by liburing-ext. See README.md."""

from . import pi
from ._library import lib as _lib
from ._library import version_text as _version_text
from ._memory import Buffer, Buffers, allocate
from .errors import (
    AccessError,
    ArgumentError,
    BusyError,
    CheckError,
    NotCarried,
    NotFoundError,
    QueueFull,
    RangeError,
    UrxError,
)
from .pi import Pi
from .queue import Queue, Request, explain
from .target import Target
from .values import (
    Check,
    Explanation,
    Failure,
    Format,
    Guard,
    Kind,
    Op,
    Path,
    Report,
    Result,
    Source,
    Tags,
    TargetInfo,
    Tuple,
    Zone,
    ZoneState,
    ZoneType,
)

__version__ = "0.1.0"


def library_version() -> str:
    """Version of the library that was loaded."""
    return _version_text(_lib.urx_version())


__all__ = [
    "AccessError", "ArgumentError", "Buffer", "Buffers", "BusyError", "Check", "CheckError", "Explanation", "Failure",
    "Format", "Guard", "Kind", "NotCarried", "NotFoundError", "Op", "Path", "Pi", "Queue", "QueueFull", "RangeError",
    "Report", "Request", "Result", "Source", "Tags", "Target", "TargetInfo", "Tuple", "UrxError", "Zone", "ZoneState",
    "ZoneType", "allocate", "explain", "library_version", "pi",
]
