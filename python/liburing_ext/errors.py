"""Everything that fails is an OSError with its errno."""

from __future__ import annotations

import errno
import os
from typing import Mapping, Optional

from .values import Check, Explanation, Failure, Path, Report


class UrxError(OSError):
    """Base of all. explanations tells of each path why it would not carry the request, if it was one."""

    explanations: Mapping[Path, Explanation] = {}
    path: Optional[Path] = None  # by which a request went
    status: int = 0  # NVMe status of a request

    def __init__(self, number: int, why: str = "") -> None:
        super().__init__(number, why or os.strerror(number))


class CheckError(UrxError):
    """EILSEQ: a check failed. Members that are not known are None."""

    failure: Optional[Failure] = None
    report: Optional[Report] = None
    in_transit: bool = False  # what was written is right when looked at again

    @property
    def block(self) -> Optional[int]:
        """Block of the first failure, from the start of the buffer or request."""
        return self.failure.block if self.failure else None

    @property
    def lba(self) -> Optional[int]:
        """Its block on the device."""
        return self.failure.lba if self.failure else None

    @property
    def check(self) -> Optional[Check]:
        """The check that failed."""
        return self.failure.check if self.failure else None

    @property
    def expected(self) -> Optional[int]:
        """Computed, or asked for."""
        return self.failure.expected if self.failure else None

    @property
    def actual(self) -> Optional[int]:
        """Found."""
        return self.failure.actual if self.failure else None


class NotCarried(UrxError):
    """EOPNOTSUPP: no path can carry the request; explanations says why. Of a target: it cannot be one."""


class ArgumentError(UrxError, ValueError):
    """EINVAL: the request or an argument is wrong by itself."""


class RangeError(UrxError):
    """ERANGE: beyond the end."""


class BusyError(UrxError):
    """EBUSY: in use, or requests are under way."""


class QueueFull(UrxError, BlockingIOError):
    """EAGAIN: too many requests wait for workers; take some results first."""


class NotFoundError(UrxError, FileNotFoundError):
    """ENOENT."""


class AccessError(UrxError, PermissionError):
    """EACCES, EPERM."""


_CLASSES: dict[int, type[UrxError]] = {
    errno.EILSEQ: CheckError,
    errno.EOPNOTSUPP: NotCarried,
    errno.EINVAL: ArgumentError,
    errno.E2BIG: ArgumentError,
    errno.ERANGE: RangeError,
    errno.EBUSY: BusyError,
    errno.EAGAIN: QueueFull,
    errno.ENOENT: NotFoundError,
    errno.EACCES: AccessError,
    errno.EPERM: AccessError,
}


def error(ret: int, why: str = "") -> UrxError:
    """The exception for a negative return value."""
    return _CLASSES.get(-ret, UrxError)(-ret, why)


def check(ret: int, why: str = "") -> None:
    """Raises it, if it is one."""
    if ret < 0:
        raise error(ret, why)
