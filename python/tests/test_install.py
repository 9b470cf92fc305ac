"""What pip and `make wheel` make, used from an empty directory; the program in README.md is run there."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import backend
import pytest

from liburing_ext import _library

LIBRARY = _library.lib._name


def pip(*arguments: str) -> None:
    """Without a network."""
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "-q", "install", "--no-index", *arguments]
    subprocess.run(command, check=True)


def run(directory: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    clean = {k: v for k, v in os.environ.items() if k not in ("LIBURING_EXT_LIBRARY", "LD_LIBRARY_PATH")}
    clean["PYTHONPATH"] = str(directory / "site")
    command = [sys.executable, *arguments]
    return subprocess.run(command, cwd=directory, env={**clean, **environment}, capture_output=True, text=True)


def readme(root: Path) -> str:
    found = re.search(r"^```python\n(.*?)^```", (root / "python/README.md").read_text(), re.M | re.S)
    assert found
    return found[1]


def catches_a_flipped_bit(root: Path, directory: Path, **environment: str) -> None:
    """The program in README.md, where only the installed package is."""
    program = readme(root)
    assert len(program.splitlines()) <= 15
    (directory / "program.py").write_text(program)
    (directory / "data").write_bytes(bytes(1 << 20))
    done = run(directory, "program.py", "data", **environment)
    assert done.returncode == 1, done.stderr
    assert done.stderr == "data: [Errno 84] block 3: wrong guard, 0x0 for 0x4a36 (lba 3)\n" and done.stdout == ""
    assert done.stderr.strip() in " ".join((root / "python/README.md").read_text().split())
    done = run(directory, "program.py", "missing", **environment)
    assert done.returncode == 1 and done.stderr == "missing: [Errno 2] No such file or directory: 'missing'\n"


def test_wheel(root: Path, tmp_path: Path) -> None:
    """With the library in it: nothing else is needed."""
    command = [sys.executable, str(root / "python/backend.py"), LIBRARY, str(tmp_path)]
    wheel = subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()
    assert re.fullmatch(r"liburing_ext-[\d.]+-py3-none-(many)?linux_\w+\.whl", Path(wheel).name)
    again = tmp_path / "again"
    again.mkdir()
    subprocess.run([*command[:-1], str(again)], check=True, capture_output=True)
    assert Path(wheel).read_bytes() == (again / Path(wheel).name).read_bytes()
    with zipfile.ZipFile(wheel) as archive:
        assert archive.read("liburing_ext/liburing-ext.so.0") == Path(LIBRARY).read_bytes()
    pip("--target", str(tmp_path / "site"), wheel)
    done = run(tmp_path, "-c", "import liburing_ext._library as l; print(l.lib._name)")
    assert done.stdout.strip() == str(tmp_path / "site/liburing_ext/liburing-ext.so.0"), done.stderr
    catches_a_flipped_bit(root, tmp_path)


def test_checkout(root: Path, tmp_path: Path) -> None:
    """pip install ./python: finds an installed library. And from a source distribution."""
    source = tmp_path / "source"
    source.mkdir()
    made = subprocess.run(
        [sys.executable, "-c", f"import backend; print(backend.build_sdist({str(source)!r}))"],
        check=True, capture_output=True, text=True, cwd=root / "python",
    ).stdout.strip()
    for place in (str(root / "python"), str(source / made)):
        shutil.rmtree(tmp_path / "site", ignore_errors=True)
        pip("--target", str(tmp_path / "site"), place)
        assert (tmp_path / "site/liburing_ext/py.typed").exists()
        assert not list((tmp_path / "site").glob("**/*.so*"))
    library = tmp_path / "lib"
    library.mkdir()
    shutil.copy(LIBRARY, library / "liburing-ext.so.0")
    catches_a_flipped_bit(root, tmp_path, LD_LIBRARY_PATH=str(library))


REFERENCES = "  NEEDED               {}\n\nVersion References:\n  required from libc.so.6:\n"


@pytest.mark.parametrize(
    ("needed", "symbols", "tag"),
    [
        ("libc.so.6", ["GLIBC_2.2.5", "GLIBC_2.34", "GLIBC_2.9"], "manylinux_2_34_x86_64"),
        ("libc.so.6", ["GLIBC_2.2.5"], "manylinux_2_17_x86_64"),
        ("libc.so.6", ["GLIBC_2.34", "GLIBC_ABI_DT_RELR"], "manylinux_2_36_x86_64"),
        ("liburing.so.2", ["GLIBC_2.2.5"], "linux_x86_64"),
        ("libc.so.6", ["GLIBC_2.34", "GLIBC_PRIVATE"], "linux_x86_64"),
        ("libc.musl-x86_64.so.1", [], "linux_x86_64"),
    ],
)
def test_tag(needed: str, symbols: list[str], tag: str) -> None:
    lines = "".join(f"    0x09691a75 0x00 02 {symbol}\n" for symbol in symbols)
    assert backend.platform_tag(REFERENCES.format(needed) + lines, "x86_64") == tag


def test_tag_of_the_library() -> None:
    """As readelf sees it, and not older than the machine that built it could have."""
    said = subprocess.run(
        ["readelf", "--dyn-syms", "-W", LIBRARY], check=True, capture_output=True, text=True
    ).stdout
    newest = max(int(minor) for minor in re.findall(r"UND .*@GLIBC_2\.(\d+)", said))
    assert backend.library_tag(Path(LIBRARY)) == f"manylinux_2_{max(newest, 17)}_{os.uname().machine}"
