"""How the library is found, and what is said if it is not, or is too old."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import liburing_ext
from liburing_ext import _library

LIBRARY = _library.lib._name


def run(directory: Path, code: str, **environment: str) -> str:
    """In a copy of the package in that directory; what it prints, or its last line if it fails."""
    if not (directory / "liburing_ext").exists():
        package = Path(liburing_ext.__file__).parent
        shutil.copytree(package, directory / "liburing_ext", ignore=shutil.ignore_patterns("*.so.0", "__pycache__"))
    clean = {k: v for k, v in os.environ.items() if k not in ("LIBURING_EXT_LIBRARY", "LD_LIBRARY_PATH", "PYTHONPATH")}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=directory, env={**clean, **environment}, capture_output=True, text=True
    )
    return done.stdout.strip() if done.returncode == 0 else done.stderr.strip().splitlines()[-1]


WHERE = "import liburing_ext._library as l; print(l.lib._name)"


def fake(directory: Path, name: str, version: int, more: str = "") -> Path:
    """A library that says it is of this version."""
    (directory / "fake.c").write_text(f"unsigned urx_version(void) {{ return {version}; }}\n{more}\n")
    made = directory / name
    subprocess.run(["cc", "-shared", "-fPIC", directory / "fake.c", "-o", made], check=True)
    return made


def test_order(tmp_path: Path) -> None:
    """The variable, beside the package, the loader's path."""
    elsewhere = tmp_path / "lib"
    elsewhere.mkdir()
    shutil.copy(LIBRARY, elsewhere / "liburing-ext.so.0")
    path = str(elsewhere)
    assert run(tmp_path, WHERE, LD_LIBRARY_PATH=path) == "liburing-ext.so.0"
    beside = tmp_path / "liburing_ext/liburing-ext.so.0"
    shutil.copy(LIBRARY, beside)
    assert run(tmp_path, WHERE, LD_LIBRARY_PATH=path) == str(beside)
    named = str(elsewhere / "liburing-ext.so.0")
    assert run(tmp_path, WHERE, LD_LIBRARY_PATH=path, LIBURING_EXT_LIBRARY=named) == named


def test_not_found(tmp_path: Path) -> None:
    said = run(tmp_path, WHERE)
    if not said.startswith("ImportError"):
        pytest.skip("liburing-ext is installed here")
    assert "LIBURING_EXT_LIBRARY" in said and "install liburing-ext" in said
    said = run(tmp_path, WHERE, LIBURING_EXT_LIBRARY="/nowhere/lib.so")
    assert said.startswith("ImportError") and "/nowhere/lib.so: not there" in said


def test_too_old(tmp_path: Path) -> None:
    old = fake(tmp_path, "old.so", _library.NEEDED - 1)
    said = run(tmp_path, WHERE, LIBURING_EXT_LIBRARY=str(old))
    assert said == (
        f"ImportError: {old} is liburing-ext 0.0.999; this package needs 0.1.0 or a compatible later one"
    )


def test_something_else(tmp_path: Path) -> None:
    other = fake(tmp_path, "less.so", _library.NEEDED)
    assert "lacks urx_" in run(tmp_path, WHERE, LIBURING_EXT_LIBRARY=str(other))
    (tmp_path / "empty.c").write_text("int nothing;\n")
    subprocess.run(["cc", "-shared", "-fPIC", tmp_path / "empty.c", "-o", tmp_path / "empty.so"], check=True)
    said = run(tmp_path, WHERE, LIBURING_EXT_LIBRARY=str(tmp_path / "empty.so"))
    assert said.startswith("ImportError") and "is not liburing-ext" in said
    (tmp_path / "text.so").write_text("no library\n")
    assert run(tmp_path, WHERE, LIBURING_EXT_LIBRARY=str(tmp_path / "text.so")).startswith("ImportError")


@pytest.mark.parametrize(
    ("found", "needed", "serves"),
    [
        (1000, 1000, True),
        (1001, 1000, True),
        (999, 1000, False),
        (2000, 1000, False),
        (1000000, 1000, False),
        (1005000, 1002003, True),
        (1002002, 1002003, False),
        (2000000, 1002003, False),
    ],
)
def test_versions(found: int, needed: int, serves: bool) -> None:
    assert _library.is_served_by(found, needed) is serves


def test_one_version(root: Path) -> None:
    """The package has the library's."""
    cargo = re.search(r'^version = "(.+)"$', (root / "Cargo.toml").read_text(), re.M)
    assert cargo and cargo[1] == liburing_ext.__version__ == liburing_ext.library_version()
