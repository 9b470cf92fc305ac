"""Names and plain values: checks, paths, formats, tags, reports."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Optional

from ._abi import urx_pi_error, urx_pi_format, urx_tags, urx_zone

_LOW = (1 << 64) - 1
_INTERLEAVED = 1
_BLOCK, _VALUES, _IN_TRANSIT = 1, 2, 4


class Check(enum.IntFlag):
    """Checks, and the fields of a tuple that they concern."""

    GUARD = 1
    REF = 2
    APP = 4
    STORAGE = 8


class Guard(enum.IntEnum):
    """What the guard field holds."""

    NONE = 0
    T10DIF = 1
    IP = 2
    CRC32C = 3
    CRC64 = 4


class Path(enum.IntFlag):
    """Ways to carry a request; the best first."""

    ATTR = 1
    URING_CMD = 2
    IOCTL = 4
    SOFTWARE = 8
    EMULATED = 16


class Kind(enum.IntEnum):
    """What a target is."""

    FILE = 1
    BLOCK = 2
    NVME_BLOCK = 3
    NVME_CHAR = 4
    ZONEFS = 5


class Source(enum.IntEnum):
    """Who told a fact."""

    NONE = 0
    LBMD = 1
    SYSFS = 2
    IDENTIFY = 3
    DRIVER = 4
    STAT = 5
    SIDEFILE = 6


class Op(enum.IntEnum):
    """What a request does."""

    READ = 1
    WRITE = 2
    COMPARE = 3
    WRITE_ZEROES = 4
    FLUSH = 5
    APPEND = 6
    ZONE_RESET = 7
    ZONE_OPEN = 8
    ZONE_CLOSE = 9
    ZONE_FINISH = 10


class ZoneType(enum.IntEnum):
    """How a zone may be written."""

    CONVENTIONAL = 1
    SEQ_REQUIRED = 2
    SEQ_PREFERRED = 3


class ZoneState(enum.IntEnum):
    """What a zone is in."""

    NOT_WP = 0
    EMPTY = 1
    IMP_OPEN = 2
    EXP_OPEN = 3
    CLOSED = 4
    READONLY = 13
    FULL = 14
    OFFLINE = 15


def unsigned(name: str, value: int, bits: int) -> int:
    """The value, if it fits: ctypes would cut it without a word."""
    if not 0 <= value < 1 << bits:
        raise ValueError(f"{name}: {value} does not fit into {bits} bits")
    return value


@dataclass(frozen=True)
class Format:
    """How blocks look. pi_type is 0 where there is no guard."""

    interval: int
    meta_size: int = 8
    guard: Guard = Guard.T10DIF
    pi_type: int = 1
    pi_offset: int = 0
    storage_bits: int = 0
    interleaved: bool = False

    @property
    def pi_size(self) -> int:
        """Bytes of the tuple."""
        return {Guard.NONE: 0, Guard.T10DIF: 8, Guard.IP: 8}.get(self.guard, 16)

    @property
    def ref_bits(self) -> int:
        """Width of the reference tag: what the storage tag leaves of their common space."""
        space = {Guard.NONE: 0, Guard.CRC32C: 80, Guard.CRC64: 48}.get(self.guard, 32)
        return space - self.storage_bits

    @property
    def checks(self) -> Check:
        """Checks that such a format can make."""
        if self.guard == Guard.NONE:
            return Check(0)
        checks = Check.GUARD | Check.APP
        if self.pi_type != 3 and self.ref_bits > 0:
            checks |= Check.REF
        if self.storage_bits > 0:
            checks |= Check.STORAGE
        return checks

    def to_c(self) -> urx_pi_format:
        """As C has it."""
        c = urx_pi_format()
        c.flags = _INTERLEAVED * self.interleaved
        c.interval = unsigned("interval", self.interval, 32)
        c.meta_size = unsigned("meta_size", self.meta_size, 16)
        c.pi_offset = unsigned("pi_offset", self.pi_offset, 16)
        c.guard = unsigned("guard", self.guard, 8)
        c.pi_type = unsigned("pi_type", self.pi_type, 8)
        c.storage_bits = unsigned("storage_bits", self.storage_bits, 8)
        return c

    @classmethod
    def from_c(cls, c: urx_pi_format) -> Format:
        """As Python has it."""
        return cls(
            interval=c.interval,
            meta_size=c.meta_size,
            guard=Guard(c.guard),
            pi_type=c.pi_type,
            pi_offset=c.pi_offset,
            storage_bits=c.storage_bits,
            interleaved=bool(c.flags & _INTERLEAVED),
        )


@dataclass(frozen=True)
class Tags:
    """Tag values. ref is that of the first block. checks None: all that the format can make."""

    ref: int = 0
    app: int = 0
    storage: int = 0
    app_ignore: int = 0
    checks: Optional[Check] = None
    keep: Check = Check(0)

    def to_c(self, default: int) -> urx_tags:
        """As C has it."""
        c = urx_tags()
        checks = default if self.checks is None else self.checks
        if not (
            0 <= self.app < 1 << 16
            and 0 <= self.app_ignore < 1 << 16
            and 0 <= self.ref < 1 << 80
            and 0 <= self.storage < 1 << 64
            and 0 <= checks < 1 << 32
            and 0 <= self.keep < 1 << 32
        ):
            raise ValueError(f"{self}: a value that is negative or too wide")  # ctypes would cut it without a word
        c.checks, c.keep = checks, self.keep
        c.app, c.app_ignore, c.storage = self.app, self.app_ignore, self.storage
        c.ref, c.ref_hi = self.ref & _LOW, self.ref >> 64
        return c


@dataclass(frozen=True)
class Failure:
    """One failed check. None: not known. lba is known of requests only."""

    block: Optional[int]
    check: Check
    expected: Optional[int]
    actual: Optional[int]
    lba: Optional[int] = None

    def __str__(self) -> str:
        name = {2: "reference tag", 4: "application tag", 8: "storage tag"}.get(self.check, "guard")
        place = "" if self.block is None else f"block {self.block}: "
        lba = "" if self.lba is None else f" (lba {self.lba})"
        if self.expected is None or self.actual is None:
            return f"{place}wrong {name}{lba}"
        return f"{place}wrong {name}, {self.actual:#x} for {self.expected:#x}{lba}"

    @classmethod
    def from_c(cls, c: urx_pi_error, request: bool) -> Optional[Failure]:
        """As Python has it; None where nobody knows what it was."""
        if not c.check:
            return None
        has_block, has_values = c.flags & _BLOCK, c.flags & _VALUES
        return cls(
            block=c.block if has_block else None,
            check=Check(c.check),
            expected=c.expected_hi << 64 | c.expected if has_values else None,
            actual=c.actual_hi << 64 | c.actual if has_values else None,
            lba=c.lba if request and has_block else None,
        )


def was_in_transit(c: urx_pi_error) -> bool:
    """What was written is right when looked at again."""
    return bool(c.flags & _IN_TRANSIT)


@dataclass(frozen=True)
class Report:
    """What a verification found. failures lists the first of the `failed` ones."""

    failures: tuple[Failure, ...]
    failed: int
    blocks: int
    escaped: int

    @property
    def ok(self) -> bool:
        """Whether all checks passed."""
        return self.failed == 0


@dataclass(frozen=True)
class Tuple:
    """One tuple, decoded."""

    guard: int
    app: int
    ref: int
    storage: int = 0


@dataclass(frozen=True)
class Explanation:
    """Whether a path would carry a request, and why (not)."""

    path: Path
    errno: int
    why: str

    @property
    def carries(self) -> bool:
        """Whether it would."""
        return self.errno == 0


@dataclass(frozen=True)
class Result:
    """What became of a request. offset and lba: where an append went."""

    path: Path
    bytes: int
    status: int
    value: int
    offset: Optional[int] = None
    lba: Optional[int] = None


@dataclass(frozen=True)
class Zone:
    """One zone, in bytes of the target. wp: where it goes on."""

    start: int
    len: int
    capacity: int
    wp: int
    type: ZoneType
    state: ZoneState

    @classmethod
    def from_c(cls, c: urx_zone) -> Zone:
        """As Python has it."""
        return cls(c.start, c.len, c.capacity, c.wp, ZoneType(c.type), ZoneState(c.state))


@dataclass(frozen=True)
class TargetInfo:
    """What is known of a target; zero and NONE where nothing is."""

    kind: Kind
    writable: bool
    direct: bool
    attr: bool
    hidden: bool
    fd: int
    nsid: int
    data_align: int
    bytes: int
    start: int
    format: Format
    max_command: int
    max_append: int
    nr_zones: int
    zone_bytes: int
    sources: dict[str, Source]
