"""For the test machine (tests/python-vm): requests to emulated NVMe, which checks PI itself. Standard library alone."""

from __future__ import annotations

import os
import random
from typing import Callable, Optional

import oracle
from ring import Ring

from liburing_ext import (
    Check,
    CheckError,
    Kind,
    NotCarried,
    Op,
    Path,
    Pi,
    Queue,
    Result,
    Tags,
    Target,
    ZoneState,
    ZoneType,
    allocate,
)

KERNEL = os.environ["URX_KERNEL"]


def must_fail(call: Callable[[], object]) -> CheckError:
    """It does, with this."""
    try:
        call()
    except CheckError as failed:
        return failed
    raise AssertionError("no check failed")


def blocks(target: Target, offset: int, count: int) -> tuple[memoryview, memoryview, Tags]:
    """Noise, its metadata and tags, as the bit by bit checksum has it, too."""
    format = target.query().format
    data, meta = allocate(format.interval * count), allocate(format.meta_size * count)
    data[:] = random.Random(offset).getrandbits(len(data) * 8).to_bytes(len(data), "little")
    tags = target.tags(offset, app=0x1234)
    Pi(format).generate(data, meta, tags)
    first = oracle.tuple_bytes(format, tags, 0, bytes(data[: format.interval]) + bytes(format.pi_offset))
    assert meta[format.pi_offset : format.pi_offset + format.pi_size] == first
    return data, meta, tags


def paths(queue: Queue, target: Target) -> list[Path]:
    """Those that carry a read and a write of all checks."""
    data, meta, tags = blocks(target, 0, 1)
    told = [queue.explain(target, op, 0, data, meta, tags) for op in (Op.READ, Op.WRITE)]
    return [path for path in told[0] if all(one[path].carries for one in told)]


def all_paths(queue: Queue, label: str) -> None:
    """Written by one path, read by each other; a bad guard and a bad tag are told by each."""
    with Target(f"/dev/urx/{label}", write=True) as target:
        info = target.query()
        assert (info.kind, info.writable, info.hidden) == (Kind.NVME_BLOCK, True, False)
        pi, n = Pi(info.format), info.format.interval
        found = paths(queue, target)
        print(f"{KERNEL} {label}:", *(f"{path.name}".lower() for path in found), flush=True)
        assert Path.IOCTL in found
        assert (Path.ATTR in found) == (KERNEL in ("6.18", "latest"))
        for path in found:
            data, meta, tags = blocks(target, 16 * n, 4)
            assert queue.write(target, 16 * n, data, meta, tags, allow=path).path == path
            for other in found:
                back, back_meta = allocate(len(data)), allocate(len(meta))
                done = queue.read(target, 16 * n, back, back_meta, tags, allow=other)
                assert (done.path, done.bytes) == (other, 4 * n)
                assert back == data and back_meta == meta
            wrong = must_fail(lambda: queue.read(target, 16 * n, back, back_meta, Tags(tags.ref, 0x1235), allow=path))
            assert (wrong.path, wrong.block, wrong.lba, wrong.check) == (path, 0, info.start // n + 16, Check.APP)
            assert (wrong.expected, wrong.actual) == (0x1235, 0x1234)
            data[2 * n + 5] ^= 0x10
            wrong = must_fail(lambda: queue.write(target, 16 * n, data, meta, tags, allow=path))
            assert (wrong.path, wrong.block, wrong.lba, wrong.check) == (path, 2, info.start // n + 18, Check.GUARD)
            assert wrong.actual == pi.decode(meta[2 * info.format.meta_size :]).guard != wrong.expected
            # Let in unchecked, found by the reader.
            queue.write(target, 16 * n, data, meta, Tags(tags.ref, checks=Check(0)), allow=path)
            wrong = must_fail(lambda: queue.read(target, 16 * n, back, back_meta, tags, allow=path))
            assert (wrong.path, wrong.block, wrong.check) == (path, 2, Check.GUARD)
        data, meta, tags = blocks(target, 64 * n, 2)
        queue.write(target, 64 * n, data, meta, tags)
        assert queue.compare(target, 64 * n, data, meta, tags)
        data[0] ^= 1
        pi.generate(data, meta, tags)
        assert not queue.compare(target, 64 * n, data, meta, tags)
        queue.write_zeroes(target, 64 * n, n)
        queue.flush(target)
        back = allocate(2 * n)
        queue.read(target, 64 * n, back, meta, Tags(tags.ref, checks=Check(0)))
        assert back[:n] == bytes(n) and back[n:] == data[n:]


def zones(queue: Queue) -> None:
    """Told as they are, and appends tell where they went: a zone for each path."""
    with Target("/dev/urx/znspi", write=True) as target:
        info = target.query()
        n, size = info.format.interval, info.zone_bytes
        told = target.zones()
        assert size == 4 << 20 and [one.start for one in told] == [size * i for i in range(info.nr_zones)]
        assert {(one.len, one.capacity, one.type) for one in told} == {(size, 3 << 20, ZoneType.SEQ_REQUIRED)}
        assert target.zones(size + 5, 2) == told[1:3]
        # No check of reference tags: the emulated controller makes it as if they counted from where an append goes.
        some = Check.GUARD | Check.APP
        tags = Tags(size // n, app=0x1234, checks=some)
        data, meta, _ = blocks(target, size, 2)
        explained = queue.explain(target, Op.APPEND, size, data, meta, tags)
        found = [path for path, one in explained.items() if one.carries]
        print(f"{KERNEL} appends:", *(f"{path.name}".lower() for path in found), flush=True)
        assert Path.IOCTL in found
        for number, path in enumerate(found, 1):
            zone = number * size
            tags = Tags(zone // n, app=0x1234, checks=some)
            target.zone(Op.ZONE_OPEN, zone)
            assert target.zones(zone, 1)[0].state == ZoneState.EXP_OPEN
            queue.zone(Op.ZONE_RESET, target, zone)
            assert target.zones(zone, 1)[0].state == ZoneState.EMPTY
            for turn in range(3):
                data, meta, _ = blocks(target, zone + turn, 2)
                done = queue.append(target, zone, data, meta, tags, allow=path)
                at = zone + turn * 2 * n
                assert (done.path, done.offset, done.lba) == (path, at, at // n)
                back = allocate(2 * n)
                queue.read(target, at, back, meta, tags)
                assert back == data
            assert target.zones(zone, 1)[0].wp == zone + 6 * n
            if path == Path.EMULATED:
                continue  # the kernel answers EIO to a write of a zone that this controller refuses
            data[7] ^= 1
            wrong = must_fail(lambda: queue.append(target, zone, data, meta, tags, allow=path))
            assert (wrong.path, wrong.block, wrong.check) == (path, 0, Check.GUARD)


def own_ring() -> None:
    """The same on a ring of the program's."""
    ring = Ring()
    with Target("/dev/urx/pi4k", write=True) as target, Queue.for_ring(ring.fd, ring.flags, ring.features) as queue:

        def run(op: Op, data: memoryview, meta: memoryview, tags: Optional[Tags], diagnose: bool = False) -> Result:
            request = queue.plan(op, target, 8192, data, meta, tags)
            assert request.path == (Path.ATTR if KERNEL in ("6.18", "latest") else Path.IOCTL)
            request.prep(ring.sqe())
            cqe = ring.submit_and_wait()
            try:
                return request.result(cqe, diagnose=diagnose)
            finally:
                ring.seen()

        data, meta, tags = blocks(target, 8192, 2)
        assert run(Op.WRITE, data, meta, tags).bytes == 8192
        back = allocate(8192)
        assert run(Op.READ, back, meta, tags).bytes == 8192
        assert back == data
        wrong = must_fail(lambda: run(Op.READ, back, meta, Tags(tags.ref, 1)))
        assert wrong.failure is None or wrong.check == Check.APP
        wrong = must_fail(lambda: run(Op.READ, back, meta, Tags(tags.ref, 1), diagnose=True))
        assert (wrong.block, wrong.check, wrong.actual) == (0, Check.APP, 0x1234)
    ring.close()


def main() -> None:
    with Queue() as queue:
        for label in ("pi4k", "pi512", "type2", "part1"):
            all_paths(queue, label)
        zones(queue)
        with Target("/dev/urx/plain") as target:
            try:
                queue.write(target, 0, allocate(4096))
                raise AssertionError("written without leave")
            except ValueError as refused:
                assert "not open for writing" in str(refused)
            try:
                queue.read(target, 0, allocate(4096), allow=Path.SOFTWARE)
                raise AssertionError("carried")
            except NotCarried as refused:
                print(refused.explanations[Path.SOFTWARE].why)
    own_ring()


if __name__ == "__main__":
    main()
