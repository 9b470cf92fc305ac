"""What tests share."""

from __future__ import annotations

from pathlib import Path
from typing import Callable, Iterator

import pytest

from liburing_ext import Format, Queue, Target

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def root() -> Path:
    """The checkout."""
    return ROOT


@pytest.fixture
def open_target(tmp_path: Path) -> Iterator[Callable[..., Target]]:
    """Opens a file of 1 MiB with a side file; tmp_path has it as `data` and `side`."""
    opened = []

    def make(format: Format = Format(512), **options: bool) -> Target:
        data = tmp_path / "data"
        if not data.exists():
            data.write_bytes(bytes(1 << 20))
        options = {"write": True, "create_side": True, **options}
        target = Target(data, side=tmp_path / "side", side_format=format, **options)
        opened.append(target)
        return target

    yield make
    for target in opened:
        target.close()


@pytest.fixture
def queue() -> Iterator[Queue]:
    """One with its own ring."""
    with Queue() as one:
        yield one
