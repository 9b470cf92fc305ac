"""Requests for a ring that the program drives itself."""

from __future__ import annotations

import ctypes
import gc
import weakref
from pathlib import Path
from typing import Callable, Iterator

import pytest
from ring import Ring
from test_queue import protected

from liburing_ext import BusyError, Check, CheckError, Op, Queue, Request, Result, Target, allocate
from liburing_ext import Path as Way

OpenTarget = Callable[..., Target]


@pytest.fixture
def ring() -> Iterator[Ring]:
    one = Ring()
    yield one
    one.close()


@pytest.fixture
def queue(ring: Ring) -> Iterator[Queue]:
    with Queue.for_ring(ring.fd, ring.flags, ring.features) as one:
        yield one


def finish(ring: Ring, request: Request) -> Result:
    """From planned to done."""
    sqe = ring.sqe()
    request.prep(sqe)
    ctypes.c_uint64.from_address(sqe + 32).value = 77
    cqe = ring.submit_and_wait()
    assert ctypes.c_uint64.from_address(cqe).value == 77
    try:
        return request.result(cqe)
    finally:
        ring.seen()


def test_write_and_read(ring: Ring, queue: Queue, open_target: OpenTarget) -> None:
    target = open_target()
    data, meta, tags = protected(target, 4096, 8)
    request = queue.plan(Op.WRITE, target, 4096, data, meta, tags)
    assert (request.path, request.sqe_size) == (Way.SOFTWARE, 64)
    done = finish(ring, request)
    assert (done.path, done.bytes) == (Way.SOFTWARE, 4096)
    back, back_meta = allocate(4096), bytearray(64)
    assert finish(ring, queue.plan(Op.READ, target, 4096, back, back_meta, tags)).bytes == 4096
    assert back == data and back_meta == meta
    with pytest.raises(ValueError, match="over"):
        request.result(1)
    with pytest.raises(ValueError, match="over"):
        request.prep(1)
    request.drop()


def test_flipped_bit(ring: Ring, queue: Queue, open_target: OpenTarget, tmp_path: Path) -> None:
    target = open_target()
    data, meta, tags = protected(target, 0, 8)
    finish(ring, queue.plan(Op.WRITE, target, 0, data, meta, tags))
    with open(tmp_path / "data", "r+b") as file:
        file.seek(5 * 512)
        file.write(bytes([data[5 * 512] ^ 1]))
    with pytest.raises(CheckError) as caught:
        finish(ring, queue.plan(Op.READ, target, 0, data, meta, tags))
    assert (caught.value.block, caught.value.check, caught.value.path) == (5, Check.GUARD, Way.SOFTWARE)


def test_buffers_are_held_until_the_end(ring: Ring, queue: Queue, open_target: OpenTarget) -> None:
    """And so are target and queue, also when nobody keeps the request."""
    target = open_target()
    data, meta, tags = protected(target, 0, 1)
    request = queue.plan(Op.READ, target, 0, data, meta, tags)
    calls: list[Callable[[], None]] = [
        target.close, target.refresh, queue.close, lambda: meta.append(0), data.release
    ]
    for call in calls:
        with pytest.raises((BusyError, BufferError)):
            call()
    known = weakref.ref(request)
    del request
    gc.collect()
    request_ = known()
    assert request_ is not None
    with pytest.raises(ValueError, match="address"):
        request_.result(0)
    request_.drop()
    request_.drop()
    meta.append(0)
    data.release()
    target.refresh()
    del request_
    gc.collect()
    assert known() is None


def test_nothing_is_held_after_a_refusal(queue: Queue, open_target: OpenTarget) -> None:
    target = open_target()
    data, meta, tags = protected(target, 0, 1)
    with pytest.raises(OSError):
        queue.plan(Op.COMPARE, target, 0, data, meta, tags)
    meta.append(0)
    target.close()
    with pytest.raises(ValueError, match="closed"):
        queue.plan(Op.READ, target, 0, data, meta, tags)
    queue.close()


def test_full(ring: Ring, open_target: OpenTarget) -> None:
    target = open_target()
    with Queue.for_ring(ring.fd, ring.flags, ring.features, max_waiting=1) as one:
        first = one.plan(Op.FLUSH, target)
        with pytest.raises(BlockingIOError):
            one.plan(Op.FLUSH, target)
        first.drop()
        one.plan(Op.FLUSH, target).drop()


def test_run_is_for_the_other_kind(queue: Queue, open_target: OpenTarget) -> None:
    target = open_target()
    with pytest.raises(ValueError, match="plan"):
        queue.flush(target)
    with Queue() as own, pytest.raises(ValueError, match="for_ring"):
        own.plan(Op.FLUSH, target)
    with pytest.raises(ValueError):
        Queue.for_ring(-1, 0, 0)
