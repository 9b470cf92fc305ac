"""Requests on a queue with a ring of its own, for files with a side file."""

from __future__ import annotations

import gc
import os
import random
import threading
from pathlib import Path
from typing import Any, Callable

import numpy
import pytest

from liburing_ext import (
    ArgumentError,
    Check,
    CheckError,
    Format,
    Guard,
    NotCarried,
    Op,
    Pi,
    Queue,
    RangeError,
    Tags,
    Target,
    allocate,
)
from liburing_ext import Path as Way

OpenTarget = Callable[..., Target]


def protected(target: Target, offset: int, blocks: int, app: int = 0) -> tuple[memoryview, bytearray, Tags]:
    """Noise, its metadata and tags."""
    format = target.query().format
    data, meta = allocate(format.interval * blocks), bytearray(format.meta_size * blocks)
    data[:] = random.Random(offset).getrandbits(len(data) * 8).to_bytes(len(data), "little")
    tags = target.tags(offset, app=app)
    Pi(format).generate(data, meta, tags)
    return data, meta, tags


@pytest.mark.parametrize("format", [Format(512), Format(4096, 16, Guard.CRC64, storage_bits=16)])
def test_write_and_read(open_target: OpenTarget, queue: Queue, tmp_path: Path, format: Format) -> None:
    target = open_target(format)
    data, meta, tags = protected(target, 8192, 4, app=5)
    done = queue.write(target, 8192, data, meta, tags)
    assert (done.path, done.bytes, done.status, done.offset) == (Way.SOFTWARE, len(data), 0, None)
    assert (tmp_path / "data").read_bytes()[8192 : 8192 + len(data)] == data
    back, back_meta = allocate(len(data)), bytearray(len(meta))
    assert queue.read(target, 8192, back, back_meta, tags).bytes == len(data)
    assert back == data and back_meta == meta
    assert queue.flush(target).bytes == 0


def test_buffers(open_target: OpenTarget, queue: Queue) -> None:
    """Read-only where only read, numpy, and data in pieces."""
    target = open_target(buffered=True)
    data, meta, tags = protected(target, 0, 4)
    queue.write(target, 0, bytes(data), meta, tags)
    array: Any = numpy.zeros((4, 128), numpy.uint32)
    queue.read(target, 0, array, meta, tags)
    assert array.tobytes() == data
    pieces = [bytearray(512), bytearray(1024), bytearray(512)]
    assert queue.read(target, 0, pieces, meta, tags).bytes == 2048
    assert b"".join(pieces) == data
    queue.write(target, 2048, tuple(map(bytes, pieces)), meta, tags)
    with pytest.raises(BufferError):
        queue.read(target, 0, bytes(2048), meta, tags)
    with pytest.raises(BufferError):
        queue.read(target, 0, array, bytes(32), tags)
    with pytest.raises(BufferError):
        queue.write(target, 0, data, bytes(32), tags)
    with pytest.raises(ValueError, match="one piece"):
        queue.write(target, 0, data, [bytearray(16), bytearray(16)], tags)  # type: ignore[arg-type]
    meta.append(0)
    pieces[0].append(0)


def test_flipped_bit(open_target: OpenTarget, queue: Queue, tmp_path: Path) -> None:
    """In the file: the read tells block, check, values and path."""
    target = open_target()
    data, meta, tags = protected(target, 4096, 8)
    queue.write(target, 4096, data, meta, tags)
    right = Pi(Format(512)).decode(meta[16:24]).guard
    with open(tmp_path / "data", "r+b") as file:
        file.seek(4096 + 2 * 512 + 7)
        file.write(bytes([data[1031] ^ 4]))
    with pytest.raises(CheckError) as caught:
        queue.read(target, 4096, data, meta, tags)
    bad = caught.value
    assert (bad.block, bad.lba, bad.check, bad.path) == (2, 10, Check.GUARD, Way.SOFTWARE)
    assert bad.actual == right and bad.expected not in (None, right)
    assert str(bad).startswith("[Errno 84] block 2: wrong guard")
    good = Tags(ref=tags.ref, checks=Check(0))
    assert queue.read(target, 4096, data, meta, good).bytes == 4096


def test_wrong_tuple_of_a_write(open_target: OpenTarget, queue: Queue) -> None:
    target = open_target()
    data, meta, tags = protected(target, 0, 4, app=7)
    with pytest.raises(CheckError) as caught:
        queue.write(target, 0, data, meta, Tags(ref=0, app=8))
    assert (caught.value.block, caught.value.check) == (0, Check.APP)
    assert (caught.value.expected, caught.value.actual) == (8, 7)
    meta[8 * 3 + 7] ^= 1
    with pytest.raises(CheckError) as caught:
        queue.write(target, 0, data, meta, tags)
    assert (caught.value.lba, caught.value.check, caught.value.expected) == (3, Check.REF, 3)


def test_write_zeroes(open_target: OpenTarget, queue: Queue, tmp_path: Path) -> None:
    target = open_target()
    data, meta, tags = protected(target, 0, 8)
    queue.write(target, 0, data, meta, tags, fua=True)
    assert queue.write_zeroes(target, 512, 1024).bytes == 1024
    queue.read(target, 0, data, meta, Tags())
    assert data[512:1536] == bytes(1024) and data[:512] != bytes(512) != data[1536:2048]


def test_not_carried(open_target: OpenTarget, queue: Queue) -> None:
    """Every path says why."""
    target = open_target()
    data, meta, tags = protected(target, 0, 1)
    calls: list[Callable[[], object]] = [
        lambda: queue.compare(target, 0, data, meta, tags),
        lambda: queue.append(target, 0, data, meta, tags),
        lambda: queue.zone(Op.ZONE_RESET, target, 0),
        lambda: queue.write(target, 0, data, None, tags, pract=True),
        lambda: queue.read(target, 0, data, meta, tags, allow=Way.ATTR | Way.IOCTL),
    ]
    for call in calls:
        with pytest.raises(NotCarried) as caught:
            call()
        told = caught.value.explanations
        assert list(told) == list(Way.__members__.values()) and caught.value.path is None
        for path, one in told.items():
            assert not one.carries and one.why and f"{one.path.name}".lower() + ": " + one.why in str(caught.value)
            assert path == one.path
    assert "does not allow this path" in told[Way.SOFTWARE].why
    with Queue(allow=Way.ATTR) as other, pytest.raises(NotCarried):
        other.read(target, 0, data, meta, tags)


def test_wrong_requests(open_target: OpenTarget, queue: Queue) -> None:
    target = open_target()
    data, meta, tags = protected(target, 0, 2)
    wrong: list[tuple[type[Exception], str, Callable[[], object]]] = [
        (RangeError, "beyond the target", lambda: queue.read(target, 1 << 20, data, meta, tags)),
        (ArgumentError, "offset", lambda: queue.read(target, 100, data, meta, tags)),
        (ArgumentError, "data", lambda: queue.read(target, 0, data[1:513], meta, tags)),
        (ArgumentError, "meta", lambda: queue.read(target, 0, data, meta[:8], tags)),
        (ValueError, "offset", lambda: queue.read(target, -1, data, meta, tags)),
        (ValueError, "buffers? overlap", lambda: queue.write(target, 0, data, data[:16], tags)),
        (ValueError, "app", lambda: queue.write(target, 0, data, meta, Tags(app=-1))),
    ]
    for error, word, call in wrong:
        with pytest.raises(error, match=word):
            call()
    with pytest.raises(ValueError, match="closed"):
        target.close()
        queue.read(target, 0, data, meta, tags)


def test_explain(open_target: OpenTarget, queue: Queue) -> None:
    target = open_target()
    data, meta, tags = protected(target, 0, 1)
    assert queue.explain(target)[Way.SOFTWARE].carries
    told = queue.explain(target, Op.READ, 0, data, meta, tags)
    assert told[Way.SOFTWARE].carries and told[Way.SOFTWARE].why
    told = queue.explain(target, Op.READ, 1 << 40, data, meta, tags)
    assert {one.errno for one in told.values()} >= {34} and not any(one.carries for one in told.values())
    assert not queue.explain(target, Op.COMPARE, 0, data, meta, tags)[Way.SOFTWARE].carries
    meta.append(0)  # let go of


def test_threads(open_target: OpenTarget, queue: Queue) -> None:
    """Share a queue and a target; nobody sees another's blocks."""
    target = open_target()
    failed = []

    def work(number: int) -> None:
        try:
            for turn in range(20):
                offset = number * 65536 + turn * 512
                data, meta, tags = protected(target, offset, 8)
                queue.write(target, offset, data, meta, tags)
                back = allocate(4096)
                queue.read(target, offset, back, meta, tags)
                assert back == data
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []


def test_threads_take_turns(open_target: OpenTarget, queue: Queue) -> None:
    """The library's queues are for one thread at a time."""
    target = open_target()
    data, meta, tags = protected(target, 0, 1)
    calls: list[Callable[[], object]] = [
        lambda: queue.flush(target), lambda: queue.explain(target, Op.READ, 0, data, meta, tags)
    ]
    for call in calls:
        thread = threading.Thread(target=call)
        with queue._one:
            thread.start()
            thread.join(0.1)
            assert thread.is_alive()
        thread.join(10)
        assert not thread.is_alive()


def test_no_descriptor_is_left(open_target: OpenTarget) -> None:
    target = open_target()
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(3):
        with Queue() as one:
            one.flush(target)
    assert len(os.listdir("/proc/self/fd")) == before


def test_closed(open_target: OpenTarget) -> None:
    one = Queue()
    one.close()
    one.close()
    with pytest.raises(ValueError, match="queue is closed"):
        one.flush(open_target())
    with pytest.warns(ResourceWarning):
        Queue()
        gc.collect()
