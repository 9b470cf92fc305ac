"""Software PI over all kinds of buffers, compared with checksums made bit by bit."""

from __future__ import annotations

import array
import dataclasses
import mmap
import random
import tracemalloc
from typing import Any, Callable

import numpy
import oracle
import pytest

from liburing_ext import ArgumentError, Check, CheckError, Failure, Format, Guard, Pi, RangeError, Tags, Tuple, pi

FORMATS = [
    Format(512),
    Format(4096, 64, pi_offset=56, pi_type=2),
    Format(512, guard=Guard.IP),
    Format(512, 16, Guard.CRC32C),
    Format(520, 16, Guard.CRC64, storage_bits=16),
    Format(512, 24, Guard.CRC64, pi_offset=8, pi_type=3),
    Format(512, interleaved=True, storage_bits=8),
    Format(512, 32, Guard.CRC32C, pi_offset=16, storage_bits=64, interleaved=True),
]


def noise(nbytes: int, seed: int = 1) -> bytes:
    return random.Random(seed).getrandbits(nbytes * 8).to_bytes(nbytes, "little")


def some_tags(format: Format) -> Tags:
    wide = {Guard.CRC32C: 80, Guard.CRC64: 48}.get(format.guard, 32) - format.storage_bits
    return Tags(ref=(1 << wide) - 2, app=0xA55A, storage=(1 << format.storage_bits) // 3)  # wraps within 4 blocks


def expected(format: Format, tags: Tags, data: bytes, meta: bytes, blocks: int) -> tuple[bytes, bytes]:
    """data and meta with their tuples."""
    if format.interleaved:
        step = format.interval + format.meta_size
        apart = dataclasses.replace(format, interleaved=False)
        bare = b"".join(data[i * step : i * step + format.interval] for i in range(blocks))
        beside = b"".join(data[i * step + format.interval : (i + 1) * step] for i in range(blocks))
        bare, beside = expected(apart, tags, bare, beside, blocks)
        size, n = format.meta_size, format.interval
        return b"".join(bare[i * n : (i + 1) * n] + beside[i * size : (i + 1) * size] for i in range(blocks)), b""
    out = bytearray(meta)
    for block in range(blocks):
        at = block * format.meta_size + format.pi_offset
        covered = data[block * format.interval :][: format.interval] + meta[at - format.pi_offset : at]
        out[at : at + format.pi_size] = oracle.tuple_bytes(format, tags, block, covered)
    return data, bytes(out)


def buffers(format: Format, blocks: int = 4) -> tuple[bytearray, Any]:
    if format.interleaved:
        return bytearray(noise((format.interval + format.meta_size) * blocks)), None
    return bytearray(noise(format.interval * blocks)), bytearray(noise(format.meta_size * blocks, 2))


@pytest.mark.parametrize("format", FORMATS)
def test_generate_and_verify(format: Format) -> None:
    one, tags = Pi(format), some_tags(format)
    data, meta = buffers(format)
    want_data, want_meta = expected(format, tags, bytes(data), bytes(meta or b""), 4)
    one.generate(data, meta, tags)
    assert data == want_data and bytes(meta or b"") == want_meta
    report = one.verify(bytes(data), None if meta is None else bytes(meta), tags)
    assert report.ok and report.blocks == 4 and report.failures == ()


@pytest.mark.parametrize("format", FORMATS)
def test_every_field_is_checked_and_named(format: Format) -> None:
    one, tags = Pi(format), some_tags(format)
    for check in Check.__members__.values():
        data, meta = buffers(format)
        one.generate(data, meta, tags)
        if check not in (Check.REF, Check.STORAGE) or check & format.checks:
            one.inject(data, meta, 2, check, 3)
        if not check & format.checks:
            with pytest.raises(ArgumentError):
                one.verify(data, meta, dataclasses.replace(tags, checks=check))
            continue
        with pytest.raises(CheckError) as caught:
            one.verify(data, meta, tags)
        failure = caught.value.failure
        assert failure and (failure.block, failure.check) == (2, check)
        assert failure.expected is not None and failure.actual == failure.expected ^ 8
        assert caught.value.block == 2 and caught.value.check == check and caught.value.lba is None
        assert f"{failure.actual:#x} for {failure.expected:#x}" in str(caught.value)


def test_data_bit() -> None:
    one, (data, meta) = Pi(Format(512)), buffers(Format(512))
    one.generate(data, meta)
    before = bytes(data)
    one.inject(data, bytes(meta), 1, None, 8 * 100 + 2)
    assert [(at, old ^ new) for at, (old, new) in enumerate(zip(before, data)) if old != new] == [(612, 4)]
    with pytest.raises(CheckError) as caught:
        one.verify(data, meta)
    assert caught.value.errno == 84
    assert caught.value.failure == Failure(1, Check.GUARD, oracle.crc16(bytes(data[512:1024])), oracle.crc16(before[512:1024]))
    with pytest.raises(RangeError):
        one.inject(data, meta, 4, Check.APP)


def from_mmap(nbytes: int) -> mmap.mmap:
    memory = mmap.mmap(-1, nbytes)
    memory.write(noise(nbytes))
    return memory


WRITABLE: dict[str, Callable[[int], Any]] = {
    "bytearray": lambda n: bytearray(noise(n)),
    "memoryview": lambda n: memoryview(bytearray(noise(n))),
    "mmap": from_mmap,
    "array": lambda n: array.array("L", noise(n)),
    "numpy": lambda n: numpy.frombuffer(bytearray(noise(n)), numpy.uint16).reshape(-1, 4),
}


@pytest.mark.parametrize("kind", WRITABLE)
def test_writable_buffers(kind: str) -> None:
    """Written in place, whatever they are."""
    one, data, meta = Pi(Format(512)), WRITABLE[kind](4096), WRITABLE[kind](64)
    want = expected(one.format, Tags(ref=5), bytes(data), bytes(meta), 8)[1]
    one.generate(data, meta, Tags(ref=5))
    assert bytes(meta) == want
    assert one.verify(data, meta, Tags(ref=5)).blocks == 8
    target, target_meta = WRITABLE[kind](4096), WRITABLE[kind](64)
    one.copy_generate(data, target, target_meta, Tags(ref=5))
    assert bytes(target) == bytes(data) and bytes(target_meta) == want


@pytest.mark.parametrize("kind", WRITABLE)
def test_read_only_buffers(kind: str) -> None:
    """Enough wherever nothing is written, and refused elsewhere."""
    one, data, meta = Pi(Format(512)), WRITABLE[kind](1024), WRITABLE[kind](16)
    one.generate(data, meta)
    if kind == "numpy":
        data.flags.writeable = meta.flags.writeable = False
    elif kind == "mmap":
        data, meta = bytes(data), bytes(meta)
    else:
        data, meta = memoryview(data).toreadonly(), memoryview(meta).toreadonly()
    one.verify(data, meta)
    one.generate(data, bytearray(16))
    one.copy_verify(data, meta, bytearray(1024))
    one.decode(meta)
    calls: list[Callable[[], Any]] = [
        lambda: one.generate(data, meta),
        lambda: one.retag(meta, Tags(), Tags(ref=1)),
        lambda: one.copy_generate(bytearray(1024), data, bytearray(16)),
        lambda: one.copy_verify(bytes(1024), meta, data),
        lambda: one.encode(meta, Tuple(0, 0, 0)),
    ]
    for call in calls:
        with pytest.raises((BufferError, ValueError)) as caught:
            call()
        assert not isinstance(caught.value, OSError)  # it did not get as far as the library
    assert one.verify(data, meta).ok


def test_what_is_no_buffer() -> None:
    one = Pi(Format(512))
    for wrong in ("text", 7, object(), ["a"]):
        with pytest.raises(TypeError):
            one.verify(wrong, b"")  # type: ignore[arg-type]
    with pytest.raises((BufferError, ValueError)):
        one.verify(numpy.zeros((512, 4), numpy.uint8)[:, :2], bytes(16))
    with pytest.raises(ValueError):
        pi.crc32c([b"a", b"b"])  # type: ignore[arg-type]


def test_nothing_is_copied_or_kept() -> None:
    """A verification allocates next to nothing, and its buffers may be resized afterwards."""
    one, data, meta = Pi(Format(4096)), bytearray(8 << 20), bytearray(8 * 2048)
    one.generate(data, meta)
    frozen = bytes(data)
    tracemalloc.start()
    one.verify(data, meta)
    one.verify(frozen, meta)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 64 << 10
    with pytest.raises(ArgumentError):
        one.verify(data, meta[:8])
    with pytest.raises(BufferError):
        one.copy_generate(frozen, [data, frozen], meta)
    data.append(0)
    meta.append(0)


def test_scattered() -> None:
    """Pieces that end anywhere."""
    one = Pi(Format(512))
    data, meta = buffers(one.format)
    want = expected(one.format, Tags(ref=9), bytes(data), bytes(meta), 4)[1]
    pieces = [bytes(data[:700]), bytes(data[700:701]), bytes(data[701:])]
    first, second = bytearray(13), bytearray(19)
    one.generate(pieces, (first, second), Tags(ref=9))
    assert first + second == want
    assert one.verify(tuple(pieces), [first, second], Tags(ref=9)).blocks == 4
    assert one.verify([], []).blocks == 0


def test_scan_finds_all() -> None:
    """Each planted error by block, field and values."""
    one, chance = Pi(Format(512)), random.Random(3)
    data, meta = bytearray(noise(512 * 2000)), bytearray(8 * 2000)
    one.generate(data, meta, Tags(ref=1000, app=7))
    planted = {}
    for block in chance.sample(range(2000), 100):
        check = chance.choice([Check.GUARD, Check.APP, Check.REF])
        one.inject(data, meta, block, check, chance.randrange(16))
        planted[block] = check
    report = one.scan(data, meta, Tags(ref=1000, app=7), first_block=50000)
    assert {f.block - 50000: f.check for f in report.failures if f.block} == planted
    assert (report.failed, report.blocks, report.ok) == (100, 2000, False)
    for found in report.failures:
        assert found.block
        block = found.block - 50000
        field = {Check.GUARD: slice(0, 2), Check.APP: slice(2, 4), Check.REF: slice(4, 8)}[found.check]
        right = oracle.tuple_bytes(one.format, Tags(ref=1000, app=7), block, bytes(data[block * 512 :][:512]))
        assert found.actual == int.from_bytes(meta[block * 8 :][field], "big")
        assert found.expected == int.from_bytes(right[field], "big")
    few = one.scan(data, meta, Tags(ref=1000, app=7), limit=3)
    assert (len(few.failures), few.failed) == (3, 100)
    assert one.scan(data, meta, Tags(ref=1000, app=7), limit=0).failed == 100
    with pytest.raises(CheckError) as caught:
        one.verify(data, meta, Tags(ref=1000, app=7), limit=2)
    assert caught.value.report and len(caught.value.report.failures) == 2 and caught.value.report.blocks < 2000
    assert str(caught.value).endswith(", and 1 more")


def test_escaped_blocks_are_counted() -> None:
    one, data = Pi(Format(512)), noise(1024)
    meta = bytearray(16)
    one.generate(data, meta)
    one.encode(memoryview(meta)[8:], Tuple(guard=0, app=0xFFFF, ref=0))
    assert one.verify(data, meta).escaped == 1


def test_retag_and_remap() -> None:
    one, data = Pi(Format(512)), noise(2048)
    meta = bytearray(32)
    one.generate(data, meta, Tags(ref=8, app=1))
    one.retag(meta, Tags(ref=8, app=1), Tags(ref=100, app=2))
    assert bytes(meta) == expected(one.format, Tags(ref=100, app=2), data, bytes(32), 4)[1]
    one.remap(meta, 100, 7)
    assert bytes(meta) == expected(one.format, Tags(ref=7, app=2), data, bytes(32), 4)[1]
    one.inject(data, meta, 3, Check.REF, 20)
    before = bytes(meta)
    with pytest.raises(CheckError) as caught:
        one.remap(meta, 7, 1)
    assert caught.value.failure == Failure(3, Check.REF, 10, 10 ^ 1 << 20)
    assert bytes(meta[24:]) == before[24:] and one.decode(meta[:8]).ref == 1

    both = Pi(Format(512, interleaved=True))
    blocks = bytearray(520 * 2)
    both.generate(blocks, tags=Tags(ref=4))
    both.remap(None, 4, 9, data=blocks)
    assert both.verify(blocks, tags=Tags(ref=9)).ok


def test_keep() -> None:
    one, data, meta = Pi(Format(512)), noise(512), bytearray(b"\xaa" * 8)
    one.generate(data, meta, Tags(ref=1, app=2, keep=Check.APP))
    assert one.decode(meta) == Tuple(guard=oracle.crc16(data), app=0xAAAA, ref=1)


def test_copy() -> None:
    """Inserted, stripped, and bad blocks copied all the same."""
    one, bare = Pi(Format(512, interleaved=True)), noise(2048)
    blocks = bytearray(520 * 4)
    one.copy_generate(bare, blocks, tags=Tags(ref=3))
    assert blocks == expected(one.format, Tags(ref=3), b"".join(
        bare[i * 512 : (i + 1) * 512] + bytes(8) for i in range(4)), b"", 4)[0]
    out = bytearray(2048)
    assert one.copy_verify(blocks, None, out, Tags(ref=3)).blocks == 4
    assert out == bare
    one.inject(blocks, None, 1, None, 0)
    with pytest.raises(CheckError) as caught:
        one.copy_verify(blocks, None, out, Tags(ref=3))
    assert caught.value.block == 1
    assert out == bare[:512] + bytes([bare[512] ^ 1]) + bare[513:]


def test_tuples() -> None:
    one = Pi(Format(512, 16, Guard.CRC32C, storage_bits=16))
    meta = bytearray(16)
    value = Tuple(guard=0x12345678, app=0x9ABC, ref=0xFEDC_BA98_7654_3210, storage=0x1357)
    one.encode(meta, value)
    assert meta.hex() == "123456789abc1357fedcba9876543210" and one.decode(meta) == value
    with pytest.raises(ArgumentError):
        one.encode(meta, dataclasses.replace(value, guard=1 << 32))
    with pytest.raises(ValueError):
        one.encode(meta, dataclasses.replace(value, ref=1 << 80))
    with pytest.raises(ValueError):
        one.decode(meta[:15])
    wide = Pi(Format(512, 16, Guard.CRC32C))
    wide.encode(meta, Tuple(1, 2, (1 << 80) - 2))
    assert wide.decode(meta).ref == (1 << 80) - 2
    data, big = noise(1024), bytearray(32)
    wide.generate(data, big, Tags(ref=(1 << 80) - 1))
    with pytest.raises(CheckError) as caught:
        wide.verify(data, big, Tags(ref=(1 << 80) - 2))
    assert (caught.value.expected, caught.value.actual) == ((1 << 80) - 2, (1 << 80) - 1)


def test_checksums() -> None:
    data = noise(999)
    assert pi.crc16_t10dif(b"123456789") == 0xD0DB and pi.crc16_t10dif(data) == oracle.crc16(data)
    assert pi.crc32c(b"123456789") == 0xE3069283 and pi.crc32c(data) == oracle.crc32c(data)
    assert pi.crc64_nvme(b"123456789") == 0xAE8B14860A799888 and pi.crc64_nvme(data) == oracle.crc64(data)
    assert pi.ip_checksum(data[:998]) == oracle.ip(data[:998])
    view = memoryview(data)
    assert pi.crc16_t10dif(view[500:], pi.crc16_t10dif(view[:500])) == oracle.crc16(data)
    assert pi.crc32c(view[500:], pi.crc32c(view[:500])) == oracle.crc32c(data)
    assert pi.crc64_nvme(view[500:], pi.crc64_nvme(view[:500])) == oracle.crc64(data)
    assert pi.ip_checksum(view[500:998], pi.ip_checksum(view[:500])) == oracle.ip(data[:998])
    assert pi.crc32c(b"") == 0
    with pytest.raises(ValueError):
        pi.crc16_t10dif(data, 1 << 16)


def test_wrong_arguments() -> None:
    for format, word in (
        (Format(513), "interval"),
        (Format(512, 4), "meta_size"),
        (Format(512, 64, pi_offset=5), "pi_offset"),
        (Format(512, storage_bits=33), "storage_bits"),
        (Format(512, pi_type=4), "pi_type"),
    ):
        with pytest.raises(ArgumentError, match=word) as caught:
            Pi(format)
        assert isinstance(caught.value, OSError) and caught.value.errno == 22
    with pytest.raises(ValueError, match="meta_size"):
        Pi(Format(512, 1 << 16))
    one = Pi(Format(512))
    for tags in (Tags(app=1 << 16), Tags(ref=-1), Tags(ref=1 << 80), Tags(storage=1 << 64)):
        with pytest.raises(ValueError):
            one.generate(bytes(512), bytearray(8), tags)
    with pytest.raises(ArgumentError):
        one.verify(bytes(513), bytes(8))
    with pytest.raises(ArgumentError):
        one.verify(bytes(512), bytes(8), Tags(checks=Check.STORAGE))
