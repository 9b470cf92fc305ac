"""Requests: at once on a queue with a ring of its own, or for the ring that a program has."""

from __future__ import annotations

import ctypes
import errno
import threading
from ctypes import byref
from typing import Optional

from ._abi import urx_io, urx_queue_opts, urx_result, urx_rw
from ._handle import Handle
from ._library import lib
from ._memory import Buffer, Buffers, Pinned
from .errors import CheckError, UrxError, check, error
from .target import Target
from .values import Explanation, Failure, Op, Path, Result, Tags, unsigned, was_in_transit

__all__ = ["Explanation", "Op", "Path", "Queue", "Request", "Result", "explain"]

_IOVEC, _FIXED_BUF, _FUA, _PRACT, _LINKED = 1, 2, 4, 8, 16
_FILLS_DATA = (Op.READ,)
_CHANGES_META = (Op.READ, Op.WRITE, Op.APPEND)  # a write may rewrite reference tags


class _Call:
    """A struct urx_rw and the buffers that it points to, which stay where they are until release()."""

    def __init__(
        self,
        op: Op,
        target: Target,
        offset: int = 0,
        data: Optional[Buffers] = None,
        meta: Optional[Buffer] = None,
        tags: Optional[Tags] = None,
        *,
        length: int = 0,
        fua: bool = False,
        pract: bool = False,
        linked: bool = False,
        buf_index: Optional[int] = None,
        allow: Path = Path(0),
    ) -> None:
        self.op = op
        rw = self.rw = urx_rw()
        rw.op = op
        rw.flags = _FUA * fua | _PRACT * pract | _LINKED * linked
        rw.offset = unsigned("offset", offset, 64)
        rw.allow = unsigned("allow", allow, 32)
        if op in (Op.READ, Op.WRITE, Op.COMPARE, Op.APPEND):
            rw.tags = (tags or Tags()).to_c(target.query().format.checks)
        if buf_index is not None:
            rw.flags |= _FIXED_BUF
            rw.buf_index = unsigned("buf_index", buf_index, 16)
        self.data = Pinned(data, op in _FILLS_DATA)
        try:
            self.meta = Pinned(meta, op in _CHANGES_META)
        except BaseException:
            self.data.release()
            raise
        try:
            if self.data.scattered:
                rw.flags |= _IOVEC
                rw.data, rw.data_len = self.data.iovecs, self.data.count
            else:
                rw.data = self.data.address
                rw.data_len = unsigned("data", length if data is None else self.data.bytes, 32)
            rw.meta = self.meta.address
            rw.meta_len = unsigned("meta", self.meta.bytes, 32)
        except BaseException:
            self.release()
            raise

    def release(self) -> None:
        self.data.release()
        self.meta.release()


def _paths(queue: Optional[int], target: int, call: Optional[_Call]) -> dict[Path, Explanation]:
    told = {}
    for path in Path.__members__.values():
        why = ctypes.c_char_p()
        ret = lib.urx_explain(queue, target, None if call is None else byref(call.rw), path, byref(why))
        told[path] = Explanation(path, -ret, (why.value or b"").decode())
    return told


def _not_planned(ret: int, queue: int, target: int, call: _Call) -> UrxError:
    """With the sentences of all paths, or the one that fits."""
    told = _paths(queue, target, call)
    if ret == -errno.EOPNOTSUPP:
        why = "; ".join(f"{(path.name or '').lower()}: {one.why}" for path, one in told.items())
    else:
        why = next((one.why for one in told.values() if one.errno == -ret), "")
    failed = error(ret, why)
    failed.explanations = told
    return failed


def _failed(ret: int, c: urx_result) -> UrxError:
    """Of a request that was carried."""
    path = Path(c.path)
    failure = Failure.from_c(c.pi, True)
    status = lib.urx_status_str(c.status).decode() if c.status else ""
    in_transit = was_in_transit(c.pi)
    why = str(failure) if failure else "damaged on its way" if in_transit else status
    failed = error(ret, why)
    failed.path, failed.status = path, c.status
    if isinstance(failed, CheckError):
        failed.failure, failed.in_transit = failure, in_transit
    return failed


def _diagnosed(ret: int, c: urx_result, queue: int, target: int, call: _Call) -> urx_result:
    """Reads again, if that may tell what was wrong."""
    if ret != -errno.EILSEQ or call.op != Op.READ or c.pi.check:
        return c
    again = urx_result()
    if lib.urx_diagnose(queue, target, byref(call.rw), byref(again)) == 0:
        c.pi = again.pi
    return c


def _result(ret: int, c: urx_result, op: Op) -> Result:
    appended = op == Op.APPEND
    return Result(
        path=Path(c.path),
        bytes=ret,
        status=c.status,
        value=c.value,
        offset=c.append_offset if appended else None,
        lba=c.append_lba if appended else None,
    )


class Request:
    """A planned request on a ring of the caller's: prep() its SQE, submit that, result() of its CQE. It keeps its
    buffers, target and queue until result() or drop(), and so does this module it, should you lose it."""

    _under_way: set[Request] = set()

    def __init__(self, queue: Queue, target: Target, call: _Call) -> None:
        self._queue, self._target, self._call = queue, target, call
        self._io = urx_io()
        self._queue_pointer = queue._hold()
        try:
            self._target_pointer = target._hold()
        except BaseException:
            queue._let_go()
            raise
        try:
            rw, io = byref(call.rw), byref(self._io)
            with queue._one:
                ret = lib.urx_plan(self._queue_pointer, self._target_pointer, rw, io)
                if ret < 0:
                    raise _not_planned(ret, self._queue_pointer, self._target_pointer, call)
        except BaseException:
            target._let_go()
            queue._let_go()
            raise
        Request._under_way.add(self)

    @property
    def path(self) -> Path:
        """The path that it takes."""
        return Path(self._io.path)

    @property
    def sqe_size(self) -> int:
        """Bytes of the SQE: 64 or 128."""
        return int(self._io.sqe_size)

    def prep(self, sqe: int) -> None:
        """Fills the SQE at this address, all of it but user_data."""
        with self._queue._one:
            self._planned(sqe)
            lib.urx_prep(sqe, byref(self._io))

    def result(self, cqe: int, *, diagnose: bool = False) -> Result:
        """What became of it, when its CQE (at this address) has come. diagnose: reads again, which blocks, where
        that may tell which check of a read failed."""
        c = urx_result()
        with self._queue._one:
            self._planned(cqe)
            ret = lib.urx_io_result(byref(self._io), cqe, byref(c))
            Request._under_way.discard(self)
        try:
            if ret >= 0:
                return _result(ret, c, self._call.op)
            if diagnose:
                c = _diagnosed(ret, c, self._queue_pointer, self._target_pointer, self._call)
            raise _failed(ret, c)
        finally:
            self._end()

    def drop(self) -> None:
        """Gives it up: its CQE will not come. Again, or after result(), does nothing."""
        with self._queue._one:
            if self not in Request._under_way:
                return
            lib.urx_io_drop(byref(self._io))
            Request._under_way.discard(self)
        self._end()

    def _planned(self, address: int) -> None:
        if self not in Request._under_way:
            raise ValueError("the request is over")
        if not address:
            raise ValueError("the address is 0")

    def _end(self) -> None:
        self._call.release()
        self._target._let_go()
        self._queue._let_go()


class Queue(Handle):
    """A ring and the workers for what it cannot carry itself. Queue() has a small ring of its own, each request is
    over when its method returns, and threads take turns. Queue.for_ring() is for plan() alone."""

    _name = "queue"

    def __init__(self, *, allow: Path = Path(0), max_workers: int = 0, max_waiting: int = 0) -> None:
        self._open(-1, 0, 0, allow, max_workers, max_waiting)

    @classmethod
    def for_ring(
        cls,
        fd: int,
        flags: int,
        features: int,
        *,
        allow: Path = Path(0),
        max_workers: int = 0,
        max_waiting: int = 0,
    ) -> Queue:
        """For a ring with these words of struct io_uring_params. Close the queue before the ring."""
        if fd < 0:
            raise ValueError("fd: not a descriptor")
        self = cls.__new__(cls)
        self._open(fd, flags, features, allow, max_workers, max_waiting)
        return self

    def _open(
        self, fd: int, flags: int, features: int, allow: Path, max_workers: int, max_waiting: int
    ) -> None:
        opts, pointer = urx_queue_opts(), ctypes.c_void_p()
        opts.allow = unsigned("allow", allow, 32)
        opts.max_workers = unsigned("max_workers", max_workers, 32)
        opts.max_waiting = unsigned("max_waiting", max_waiting, 32)
        check(lib.urx_queue_open(byref(pointer), fd, flags, features, byref(opts)))
        self._own = fd < 0
        self._one = threading.RLock()  # used by one thread at a time
        super().__init__(pointer.value)

    def _close(self, pointer: int) -> None:
        lib.urx_queue_close(pointer)

    def run(
        self,
        op: Op,
        target: Target,
        offset: int = 0,
        data: Optional[Buffers] = None,
        meta: Optional[Buffer] = None,
        tags: Optional[Tags] = None,
        *,
        length: int = 0,
        fua: bool = False,
        pract: bool = False,
        allow: Path = Path(0),
    ) -> Result:
        """Any operation; those below are made of it. data may be a list of buffers. tags None: all zero, all checks
        that the target's format can make. length: of an operation without data."""
        if not self._own:
            raise ValueError("this queue is for a ring of yours: plan()")
        call = _Call(
            op, target, offset, data, meta, tags, length=length, fua=fua, pract=pract, allow=allow
        )
        try:
            with self._used() as queue, target._used() as pointer, self._one:
                c = urx_result()
                ret = lib.urx_run(queue, pointer, byref(call.rw), byref(c))
                if ret >= 0:
                    return _result(ret, c, op)
                if not c.path:
                    raise _not_planned(ret, queue, pointer, call)
                raise _failed(ret, _diagnosed(ret, c, queue, pointer, call))
        finally:
            call.release()

    def read(
        self,
        target: Target,
        offset: int,
        data: Buffers,
        meta: Optional[Buffer] = None,
        tags: Optional[Tags] = None,
        *,
        fua: bool = False,
        pract: bool = False,
        allow: Path = Path(0),
    ) -> Result:
        """Reads whole blocks. CheckError tells what was wrong, read again where the device does not."""
        return self.run(Op.READ, target, offset, data, meta, tags, fua=fua, pract=pract, allow=allow)

    def write(
        self,
        target: Target,
        offset: int,
        data: Buffers,
        meta: Optional[Buffer] = None,
        tags: Optional[Tags] = None,
        *,
        fua: bool = False,
        pract: bool = False,
        allow: Path = Path(0),
    ) -> Result:
        """Writes whole blocks. meta must be writable: its reference tags may become the device's."""
        return self.run(Op.WRITE, target, offset, data, meta, tags, fua=fua, pract=pract, allow=allow)

    def append(
        self,
        target: Target,
        zone: int,
        data: Buffers,
        meta: Optional[Buffer] = None,
        tags: Optional[Tags] = None,
        *,
        fua: bool = False,
        pract: bool = False,
        allow: Path = Path(0),
    ) -> Result:
        """Writes to where the zone that starts at this byte goes on; offset and lba of the result tell where."""
        return self.run(Op.APPEND, target, zone, data, meta, tags, fua=fua, pract=pract, allow=allow)

    def compare(
        self,
        target: Target,
        offset: int,
        data: Buffers,
        meta: Optional[Buffer] = None,
        tags: Optional[Tags] = None,
        *,
        allow: Path = Path(0),
    ) -> bool:
        """Whether the target holds just that."""
        try:
            self.run(Op.COMPARE, target, offset, data, meta, tags, allow=allow)
        except UrxError as failed:
            if failed.errno == errno.ENODATA:
                return False
            raise
        return True

    def write_zeroes(
        self, target: Target, offset: int, length: int, *, fua: bool = False, allow: Path = Path(0)
    ) -> Result:
        """Zeros; their metadata is the device's choice."""
        return self.run(Op.WRITE_ZEROES, target, offset, length=length, fua=fua, allow=allow)

    def flush(self, target: Target, *, allow: Path = Path(0)) -> Result:
        """What was completed becomes durable."""
        return self.run(Op.FLUSH, target, allow=allow)

    def zone(self, op: Op, target: Target, zone: int, *, allow: Path = Path(0)) -> Result:
        """Op.ZONE_RESET, _OPEN, _CLOSE or _FINISH of the zone that starts at this byte."""
        return self.run(op, target, zone, allow=allow)

    def explain(
        self,
        target: Target,
        op: Optional[Op] = None,
        offset: int = 0,
        data: Optional[Buffers] = None,
        meta: Optional[Buffer] = None,
        tags: Optional[Tags] = None,
        *,
        length: int = 0,
        fua: bool = False,
        pract: bool = False,
        linked: bool = False,
        buf_index: Optional[int] = None,
        allow: Path = Path(0),
    ) -> dict[Path, Explanation]:
        """Of each path, whether it would carry this request, or without op any request at all, and why not."""
        call = None
        if op is not None:
            call = _Call(
                op, target, offset, data, meta, tags, length=length, fua=fua, pract=pract,
                linked=linked, buf_index=buf_index, allow=allow,
            )
        try:
            with self._used() as queue, target._used() as pointer, self._one:
                return _paths(queue, pointer, call)
        finally:
            if call is not None:
                call.release()

    def plan(
        self,
        op: Op,
        target: Target,
        offset: int = 0,
        data: Optional[Buffers] = None,
        meta: Optional[Buffer] = None,
        tags: Optional[Tags] = None,
        *,
        length: int = 0,
        fua: bool = False,
        pract: bool = False,
        linked: bool = False,
        buf_index: Optional[int] = None,
        allow: Path = Path(0),
    ) -> Request:
        """Chooses a path for a request on the caller's ring. Submits nothing."""
        if self._own:
            raise ValueError("this queue has a ring of its own: run(), or Queue.for_ring()")
        call = _Call(
            op, target, offset, data, meta, tags, length=length, fua=fua, pract=pract,
            linked=linked, buf_index=buf_index, allow=allow,
        )
        try:
            return Request(self, target, call)
        except BaseException:
            call.release()
            raise


def explain(target: Target) -> dict[Path, Explanation]:
    """What each path could do for a target on the best ring that this kernel has."""
    with target._used() as pointer:
        return _paths(None, pointer, None)
