"""Targets: an open device or file and what is known of it."""

from __future__ import annotations

import ctypes
import os
from ctypes import byref
from typing import Any, Callable, Optional, Union

from ._abi import urx_target_info, urx_target_opts, urx_zone
from ._handle import Handle
from ._library import lib
from .errors import UrxError, check, error
from .values import Check, Format, Kind, Op, Source, Tags, TargetInfo, Zone, unsigned

__all__ = ["Target", "TargetInfo", "Zone"]

_WRITE, _BUFFERED, _CREATE_SIDE = 1, 2, 4
_WRITABLE, _DIRECT, _ATTR, _HIDDEN = 1, 2, 4, 8
_FACTS = ("format", "type", "nsid", "bytes", "start", "limits", "zones")
_KERNEL_REFUSED = "the kernel refused it: the errno is its answer"  # strerror() says more
PathName = Union[str, bytes, "os.PathLike[str]", "os.PathLike[bytes]"]


def _open(
    make: Callable[[Any, Any], int],
    write: bool,
    buffered: bool,
    side: Optional[PathName],
    side_format: Optional[Format],
    create_side: bool,
) -> int:
    opts, why, pointer = urx_target_opts(), ctypes.c_char_p(), ctypes.c_void_p()
    opts.flags = _WRITE * write | _BUFFERED * buffered | _CREATE_SIDE * create_side
    opts.side_path = None if side is None else os.fsencode(side)
    format_c = None if side_format is None else side_format.to_c()
    opts.side_format = None if format_c is None else ctypes.addressof(format_c)
    opts.why = ctypes.addressof(why)
    ret = make(byref(pointer), byref(opts))
    if ret < 0 or pointer.value is None:
        sentence = (why.value or b"").decode()
        raise error(ret, "" if sentence == _KERNEL_REFUSED else sentence)
    return pointer.value


class Target(Handle):
    """A device or file, open. Threads may share it.

    side: path of a file that keeps the metadata of a target without any of its own; create_side makes it, with
    side_format, if there is none.
    """

    _name = "target"

    def __init__(
        self,
        path: PathName,
        *,
        write: bool = False,
        buffered: bool = False,
        side: Optional[PathName] = None,
        side_format: Optional[Format] = None,
        create_side: bool = False,
    ) -> None:
        name = os.fsencode(path)
        if b"\0" in name or (side is not None and b"\0" in os.fsencode(side)):
            raise ValueError("embedded null byte")

        def make(pointer: Any, opts: Any) -> int:
            return int(lib.urx_target_open(pointer, name, opts))

        try:
            super().__init__(_open(make, write, buffered, side, side_format, create_side))
        except UrxError as failed:
            failed.filename = os.fsdecode(name)
            raise

    @classmethod
    def from_fd(
        cls,
        fd: int,
        *,
        write: bool = False,
        buffered: bool = False,
        side: Optional[PathName] = None,
        side_format: Optional[Format] = None,
        create_side: bool = False,
    ) -> Target:
        """For what is open already, in agreement with these options. fd stays yours and may be closed."""

        def make(pointer: Any, opts: Any) -> int:
            return int(lib.urx_target_from_fd(pointer, fd, opts))

        self = cls.__new__(cls)
        Handle.__init__(self, _open(make, write, buffered, side, side_format, create_side))
        return self

    def query(self) -> TargetInfo:
        """What is known. No system call."""
        c = urx_target_info()
        with self._used() as pointer:
            check(lib.urx_target_query(pointer, byref(c)))
        return TargetInfo(
            kind=Kind(c.kind),
            writable=bool(c.flags & _WRITABLE),
            direct=bool(c.flags & _DIRECT),
            attr=bool(c.flags & _ATTR),
            hidden=bool(c.flags & _HIDDEN),
            fd=c.fd,
            nsid=c.nsid,
            data_align=c.data_align,
            bytes=c.bytes,
            start=c.start,
            format=Format.from_c(c.format),
            max_command=c.max_command,
            max_append=c.max_append,
            nr_zones=c.nr_zones,
            zone_bytes=c.zone_bytes,
            sources={name: Source(told) for name, told in zip(_FACTS, c.source)},
        )

    def tags(self, offset: int, *, app: int = 0, storage: int = 0, checks: Optional[Check] = None) -> Tags:
        """Tags of the block at a byte of the target, with the device's reference tag: the LBA."""
        info = self.query()
        lba = (info.start + offset) // (info.format.interval or 1)
        return Tags(ref=lba & ((1 << info.format.ref_bits) - 1), app=app, storage=storage, checks=checks)

    def flush(self) -> None:
        """Makes durable what was completed. Blocks."""
        with self._used() as pointer:
            check(lib.urx_target_flush(pointer))

    def adopt(self, tags: Tags = Tags()) -> None:
        """With a side file: computes the protection information of all that the data file holds now, with the
        application and storage tag of tags. Durable when it returns."""
        with self._used() as pointer:
            check(lib.urx_target_adopt(pointer, byref(tags.to_c(Check(0)))))

    def refresh(self) -> None:
        """Learns everything again. BusyError while anything else uses the target."""
        with self._used(alone=True) as pointer:
            check(lib.urx_target_refresh(pointer))

    def zones(self, offset: int = 0, limit: int = 1 << 32) -> list[Zone]:
        """What the device says of its zones, from the one that holds this byte on."""
        told: list[Zone] = []
        with self._used() as pointer:
            while len(told) < limit:
                count = ctypes.c_uint32(min(limit - len(told), 512))
                room = (urx_zone * count.value)()
                at = unsigned("offset", offset, 64)
                check(lib.urx_zone_report(pointer, at, byref(room), byref(count)))
                if not count.value:
                    break
                told += map(Zone.from_c, room[: count.value])
                offset = told[-1].start + told[-1].len
        return told

    def zone(self, op: Op, zone: int) -> None:
        """Op.ZONE_RESET, _OPEN, _CLOSE or _FINISH of the zone that starts at this byte, at once."""
        with self._used() as pointer:
            check(lib.urx_zone_manage(pointer, op, unsigned("zone", zone, 64)))

    def _close(self, pointer: int) -> None:
        lib.urx_target_close(pointer)
