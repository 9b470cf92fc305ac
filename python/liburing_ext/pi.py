"""Protection information in software, over any buffers, without copying them.

A buffer is whatever has the buffer protocol in one piece (bytes, bytearray, memoryview, mmap, array, numpy), or
a list or tuple of such: pieces of one scattered buffer, which may end anywhere. Read-only ones will do wherever
nothing is written. Metadata of interleaved formats lies in the data; leave meta away then.
"""

from __future__ import annotations

import ctypes
import errno
from ctypes import byref
from typing import Optional

from ._abi import urx_pi, urx_pi_error, urx_pi_report, urx_pi_tuple, urx_pi_vec
from ._library import lib
from ._memory import Buffer, Buffers, Pinned
from .errors import CheckError, check, error
from .values import Check, Failure, Format, Guard, Report, Tags, Tuple, unsigned

__all__ = [
    "Buffer", "Buffers", "Check", "CheckError", "Failure", "Format", "Guard", "Pi", "Report", "Tags", "Tuple",
    "crc16_t10dif", "crc32c", "crc64_nvme", "ip_checksum",
]

_INJECT_DATA = 256
_COUNT_ALL = 1
_NO_FIT = "data, metadata and tags must fit the format, and what is written must overlap nothing"
_LOW = (1 << 64) - 1


def _check(ret: int) -> None:
    check(ret, _NO_FIT if ret == -errno.EINVAL else "")


def _vec(data: Pinned, meta: Pinned) -> urx_pi_vec:
    vec = urx_pi_vec()
    vec.data, vec.data_cnt = data.iovecs, data.count
    vec.meta, vec.meta_cnt = meta.iovecs, meta.count
    return vec


class _Found:
    """A report while C fills it."""

    def __init__(self, limit: int, count_all: bool, first_block: int) -> None:
        self.errors = (urx_pi_error * unsigned("limit", limit, 32))()
        self.c = urx_pi_report()
        self.c.flags = _COUNT_ALL if count_all else 0
        self.c.first_block = unsigned("first_block", first_block, 64)
        self.c.capacity = limit
        self.c.errors = ctypes.addressof(self.errors) if limit else None

    def report(self) -> Report:
        listed = [Failure.from_c(c, False) for c in self.errors[: self.c.stored]]
        failures = tuple(one for one in listed if one)
        return Report(failures, self.c.failed, self.c.blocks, self.c.escaped)

    def outcome(self, ret: int) -> Report:
        """The report, or the exception that carries it."""
        if ret == 0:
            return Report((), 0, self.c.blocks, self.c.escaped)
        if ret != -errno.EILSEQ:
            raise error(ret, _NO_FIT if ret == -errno.EINVAL else "")
        report = self.report()
        first = report.failures[0] if report.failures else None
        more = f", and {report.failed - 1} more" if report.failed > 1 else ""
        failed = CheckError(errno.EILSEQ, f"{first}{more}" if first else "")
        failed.failure, failed.report = first, report
        raise failed


class Pi:
    """A validated format. May be shared by threads."""

    def __init__(self, format: Format) -> None:
        why = ctypes.c_char_p()
        self.format = format
        self._checks = int(format.checks)
        self._c = urx_pi()
        ret = lib.urx_pi_init(byref(self._c), byref(format.to_c()), byref(why))
        check(ret, (why.value or b"").decode())

    def generate(self, data: Buffers, meta: Optional[Buffers] = None, tags: Tags = Tags()) -> None:
        """Writes the tuples of all blocks in data. Metadata beside the tuple stays."""
        with Pinned(data, self.format.interleaved) as d, Pinned(meta, True) as m:
            tags_c = tags.to_c(self._checks)
            _check(lib.urx_pi_generatev(byref(self._c), byref(tags_c), byref(_vec(d, m))))

    def verify(
        self,
        data: Buffers,
        meta: Optional[Buffers] = None,
        tags: Tags = Tags(),
        *,
        limit: int = 1,
        count_all: bool = False,
        first_block: int = 0,
    ) -> Report:
        """CheckError if a check fails, with up to `limit` failures; it stops there unless it is to count all."""
        found = _Found(limit, count_all, first_block)
        with Pinned(data, False) as d, Pinned(meta, False) as m:
            tags_c = tags.to_c(self._checks)
            ret = lib.urx_pi_verifyv(byref(self._c), byref(tags_c), byref(_vec(d, m)), byref(found.c))
        return found.outcome(ret)

    def scan(
        self,
        data: Buffers,
        meta: Optional[Buffers] = None,
        tags: Tags = Tags(),
        *,
        limit: int = 1000,
        first_block: int = 0,
    ) -> Report:
        """The same of all blocks, and the report is returned, whatever it says: look at its `ok`."""
        try:
            return self.verify(data, meta, tags, limit=limit, count_all=True, first_block=first_block)
        except CheckError as failed:
            assert failed.report is not None
            return failed.report

    def copy_generate(
        self, bare: Buffers, data: Buffers, meta: Optional[Buffers] = None, tags: Tags = Tags()
    ) -> None:
        """Copies bare data and protects it in the same pass; inserts the metadata when interleaved."""
        with Pinned(bare, False) as b, Pinned(data, True) as d, Pinned(meta, True) as m:
            tags_c = tags.to_c(self._checks)
            _check(
                lib.urx_pi_copy_generatev(byref(self._c), byref(tags_c), byref(_vec(d, m)), b.iovecs, b.count)
            )

    def copy_verify(
        self,
        data: Buffers,
        meta: Optional[Buffers],
        bare: Buffers,
        tags: Tags = Tags(),
        *,
        limit: int = 1,
        count_all: bool = False,
        first_block: int = 0,
    ) -> Report:
        """Verifies and copies the data out bare in the same pass: all of it, bad blocks too."""
        found = _Found(limit, count_all, first_block)
        with Pinned(data, False) as d, Pinned(meta, False) as m, Pinned(bare, True) as b:
            tags_c, vec = tags.to_c(self._checks), _vec(d, m)
            ret = lib.urx_pi_copy_verifyv(
                byref(self._c), byref(tags_c), byref(vec), b.iovecs, b.count, byref(found.c)
            )
        return found.outcome(ret)

    def retag(
        self,
        meta: Optional[Buffers],
        old: Tags,
        new: Tags,
        *,
        data: Optional[Buffers] = None,
        limit: int = 1,
        first_block: int = 0,
    ) -> Report:
        """Replaces tags, all but those in new.keep, of every tuple that passes old.checks (None: all but the
        guard's). Tuples that do not pass stay; CheckError reports them when all others are done."""
        found = _Found(limit, True, first_block)
        with Pinned(data, self.format.interleaved) as d, Pinned(meta, True) as m:
            old_c = old.to_c(self._checks & ~Check.GUARD)
            new_c = new.to_c(0)
            vec = _vec(d, m)
            ret = lib.urx_pi_retagv(byref(self._c), byref(old_c), byref(new_c), byref(vec), byref(found.c))
        return found.outcome(ret)

    def remap(
        self, meta: Optional[Buffers], old_ref: int, new_ref: int, *, data: Optional[Buffers] = None, limit: int = 1
    ) -> Report:
        """Reference tags alone: those from old_ref on become those from new_ref on."""
        old = Tags(ref=old_ref, checks=Check.REF)
        return self.retag(meta, old, Tags(ref=new_ref, keep=Check.APP | Check.STORAGE), data=data, limit=limit)

    def inject(
        self, data: Optional[Buffers], meta: Optional[Buffers], block: int, where: Optional[Check], bit: int = 0
    ) -> None:
        """For tests: flips one bit of a field of a block's tuple or, where None, of its data."""
        in_data = where is None
        with Pinned(data, in_data or self.format.interleaved) as d, Pinned(meta, not in_data) as m:
            at = _INJECT_DATA if where is None else unsigned("where", where, 32)
            block, bit = unsigned("block", block, 64), unsigned("bit", bit, 64)
            check(lib.urx_pi_injectv(byref(self._c), byref(_vec(d, m)), block, at, bit))

    def decode(self, meta: Buffer) -> Tuple:
        """The tuple in the metadata of one block."""
        c = urx_pi_tuple()
        with Pinned(meta, False) as m:
            self._room(m)
            check(lib.urx_pi_tuple_get(byref(self._c), m.address, byref(c)))
        return Tuple(guard=c.guard, app=c.app, ref=c.ref_hi << 64 | c.ref, storage=c.storage)

    def encode(self, meta: Buffer, tuple: Tuple) -> None:
        """Puts a tuple into the metadata of one block."""
        c = urx_pi_tuple()
        c.guard = unsigned("guard", tuple.guard, 64)
        c.app = unsigned("app", tuple.app, 16)
        c.ref = unsigned("ref", tuple.ref, 80) & _LOW
        c.ref_hi = tuple.ref >> 64
        c.storage = unsigned("storage", tuple.storage, 64)
        with Pinned(meta, True) as m:
            self._room(m)
            check(lib.urx_pi_tuple_set(byref(self._c), m.address, byref(c)), "a value too wide for its field")

    def _room(self, meta: Pinned) -> None:
        if meta.count != 1 or meta.bytes < self.format.meta_size:
            raise ValueError(f"meta: not {self.format.meta_size} bytes in one piece")

    def __repr__(self) -> str:
        return f"Pi({self.format!r})"


def crc16_t10dif(buffer: Buffer, crc: int = 0) -> int:
    """CRC-16/T10-DIF. The result goes in again to go on."""
    with Pinned(buffer, False) as b:
        return int(lib.urx_crc16_t10dif(unsigned("crc", crc, 16), b.address, b.bytes))


def crc32c(buffer: Buffer, crc: int = 0) -> int:
    """CRC-32C."""
    with Pinned(buffer, False) as b:
        return int(lib.urx_crc32c(unsigned("crc", crc, 32), b.address, b.bytes))


def crc64_nvme(buffer: Buffer, crc: int = 0) -> int:
    """CRC-64/NVME."""
    with Pinned(buffer, False) as b:
        return int(lib.urx_crc64_nvme(unsigned("crc", crc, 64), b.address, b.bytes))


def ip_checksum(buffer: Buffer, checksum: int = 0xFFFF) -> int:
    """The Internet checksum (RFC 1071). The result of an even number of bytes goes in again to go on."""
    with Pinned(buffer, False) as b:
        return int(lib.urx_ip_checksum(unsigned("checksum", checksum, 16), b.address, b.bytes))
