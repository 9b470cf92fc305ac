"""Targets: files with a side file, and what may be wrong with them."""

from __future__ import annotations

import ctypes
import gc
import os
from pathlib import Path
from typing import Callable

import oracle
import pytest

from liburing_ext import (
    AccessError,
    ArgumentError,
    BusyError,
    Format,
    Guard,
    Kind,
    NotCarried,
    NotFoundError,
    Op,
    Queue,
    Source,
    Tags,
    Target,
    UrxError,
    allocate,
    explain,
)
from liburing_ext import Path as Way
from liburing_ext._abi import urx_target_info
from liburing_ext._library import lib

OpenTarget = Callable[..., Target]


@pytest.mark.parametrize(
    "format",
    [
        Format(512),
        Format(4096, 64, Guard.CRC64, pi_type=2, pi_offset=48, storage_bits=48),
        Format(4096, 16, Guard.CRC32C, pi_type=3, storage_bits=64),
        Format(512, 16, Guard.IP, pi_offset=8),
    ],
)
def test_query(open_target: OpenTarget, tmp_path: Path, format: Format) -> None:
    """What the library says of a format is also what Format computes."""
    target = open_target(format)
    info = target.query()
    assert (info.kind, info.writable, info.hidden, info.nsid) == (Kind.FILE, True, False, 0)
    assert info.bytes == 1 << 20 and info.format == format
    assert info.sources["format"] == Source.SIDEFILE and info.sources["bytes"] == Source.STAT
    assert os.fstat(info.fd).st_ino == (tmp_path / "data").stat().st_ino
    c = urx_target_info()
    with target._used() as pointer:
        assert lib.urx_target_query(pointer, ctypes.byref(c)) == 0
    assert (c.format.checks, c.format.pi_size, c.format.ref_bits) == (format.checks, format.pi_size, format.ref_bits)


def test_tags_of_an_offset(open_target: OpenTarget) -> None:
    assert open_target().tags(4096, app=3) == Tags(ref=8, app=3)


def test_adopt_and_flush(open_target: OpenTarget, tmp_path: Path) -> None:
    """What is in the file already becomes protected, as the bit by bit checksum has it."""
    content = bytes(range(256)) * 4096
    (tmp_path / "data").write_bytes(content)
    target = open_target()
    target.adopt(Tags(app=9))
    target.flush()
    data, meta = allocate(4096), bytearray(64)
    with Queue() as queue:
        queue.read(target, 8192, data, meta, target.tags(8192, app=9))
    assert data == content[8192 : 8192 + 4096]
    tags = Tags(ref=16, app=9)
    assert meta == b"".join(
        oracle.tuple_bytes(Format(512), tags, n, content[(16 + n) * 512 :][:512]) for n in range(8)
    )


def test_refresh(open_target: OpenTarget, tmp_path: Path) -> None:
    target = open_target()
    target.refresh()
    os.truncate(tmp_path / "data", (1 << 20) + 512)
    with pytest.raises(UrxError) as caught:
        target.refresh()
    assert caught.value.errno == 116  # ESTALE
    assert target.query().bytes == 1 << 20


def test_from_fd(tmp_path: Path) -> None:
    (tmp_path / "data").write_bytes(bytes(8192))
    fd = os.open(tmp_path / "data", os.O_RDWR)
    try:
        with Target.from_fd(fd, write=True, side=tmp_path / "side", side_format=Format(512), create_side=True) as one:
            os.close(fd)
            assert one.query().bytes == 8192
            fd = os.open(tmp_path / "data", os.O_RDONLY)
        with pytest.raises(ArgumentError, match="flags"):
            Target.from_fd(fd, write=True)
    finally:
        os.close(fd)


def test_what_cannot_be_opened(open_target: OpenTarget, tmp_path: Path) -> None:
    with pytest.raises(NotFoundError) as missing:
        Target(tmp_path / "none")
    assert isinstance(missing.value, FileNotFoundError) and missing.value.filename == str(tmp_path / "none")
    assert "No such file" in str(missing.value)
    with pytest.raises(NotCarried, match="neither a block device"):
        Target("/dev/null")
    with pytest.raises(ArgumentError, match="side_format"):
        open_target(Format(65536, guard=Guard.NONE, pi_type=0))
    with pytest.raises(ArgumentError, match="side_path"):
        Target(tmp_path / "data", side_format=Format(512))
    target = open_target()
    with pytest.raises(BusyError, match="side file"):
        open_target()
    target.close()
    with pytest.raises(UrxError, match="side file") as other:
        open_target(Format(4096))
    assert other.value.errno == 17  # EEXIST
    with pytest.raises(ValueError):
        Target("a\0b")
    if os.geteuid():
        (tmp_path / "data").chmod(0)
        with pytest.raises(AccessError) as denied:
            Target(tmp_path / "data")
        assert isinstance(denied.value, PermissionError)


def test_closed(open_target: OpenTarget) -> None:
    target = open_target()
    target.close()
    target.close()
    assert target.closed
    calls: list[Callable[[], object]] = [target.query, target.flush, target.refresh, target.adopt]
    for call in calls:
        with pytest.raises(ValueError, match="closed"):
            call()


def test_not_closed_while_in_use(open_target: OpenTarget) -> None:
    target = open_target()
    with target._used():
        for call in (target.close, target.refresh):
            with pytest.raises(BusyError):
                call()
        assert target.query().bytes == 1 << 20
    target.refresh()
    target.close()


def test_forgotten(tmp_path: Path) -> None:
    """Closed all the same, with a warning."""
    (tmp_path / "data").write_bytes(bytes(512))
    with pytest.warns(ResourceWarning):
        Target(tmp_path / "data")
        gc.collect()


def test_no_zones(open_target: OpenTarget) -> None:
    target = open_target()
    with pytest.raises(NotCarried):
        target.zones()
    with pytest.raises(NotCarried):
        target.zone(Op.ZONE_RESET, 0)
    with pytest.raises(ArgumentError):
        target.zone(Op.READ, 0)


def test_explain_without_queue(open_target: OpenTarget) -> None:
    told = explain(open_target())
    assert list(told) == list(Way.__members__.values())
    assert told[Way.SOFTWARE].carries and not told[Way.ATTR].carries
    assert "not a block device" in told[Way.ATTR].why and told[Way.ATTR].errno == 95
