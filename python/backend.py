#!/usr/bin/env python3
"""Builds wheels (PEP 517) from nothing but the standard library.

pip calls build_wheel(): Python alone, for any machine, which finds an installed library. By hand,
`backend.py LIBRARY DIRECTORY` puts the library into the wheel, with the platform tag that it deserves.
"""

from __future__ import annotations

import base64
import hashlib
import os
import re
import struct
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path
from typing import Any, Optional

HERE = Path(__file__).resolve().parent
PACKAGE = HERE / "liburing_ext"
NAME = "liburing_ext"
SONAME = "liburing-ext.so.0"

# What a manylinux wheel may need of the system, as far as this library does (PEP 600).
SYSTEM = {"libc.so.6", "libm.so.6", "libdl.so.2", "libpthread.so.0", "librt.so.1", "libgcc_s.so.1"}
SYSTEM_LOADER = re.compile(r"ld-linux.*\.so\.\d+")
MACHINES = {62: "x86_64", 183: "aarch64", 243: "riscv64", 21: "ppc64le"}


def version() -> str:
    found = re.search(r'^__version__ = "(.+)"$', (PACKAGE / "__init__.py").read_text(), re.M)
    assert found
    return found[1]


def metadata() -> str:
    project = (HERE / "pyproject.toml").read_text()

    def field(name: str) -> str:
        found = re.search(rf'^{name} = "(.+)"$', project, re.M)
        assert found
        return found[1]

    return (
        f"Metadata-Version: 2.1\nName: {field('name')}\nVersion: {version()}\nSummary: {field('description')}\n"
        f"License: {field('license')}\nRequires-Python: {field('requires-python')}\n"
        f"Description-Content-Type: text/markdown\n\n{(HERE / 'README.md').read_text()}"
    )


def platform_tag(dynamic: str, machine: str) -> str:
    """From the output of `objdump -p`: manylinux with the newest glibc that a symbol wants, or, should the
    library need anything else, plain linux."""
    needed = set(re.findall(r"^ *NEEDED +(\S+)$", dynamic, re.M))
    strangers = [name for name in needed - SYSTEM if not SYSTEM_LOADER.fullmatch(name)]
    references = dynamic.partition("Version References:")[2]
    versions = re.findall(r" GLIBC_(\d+)\.(\d+)(?:\.\d+)?$", references, re.M)
    if "GLIBC_ABI_DT_RELR" in references:
        versions.append(("2", "36"))
    if strangers or not versions or "GLIBC_PRIVATE" in references:
        return f"linux_{machine}"
    major, minor = max((int(major), int(minor)) for major, minor in versions)
    return f"manylinux_{major}_{max(minor, 17)}_{machine}"  # PEP 600 has none older than 2.17 for all machines


def library_tag(library: Path) -> str:
    header = library.read_bytes()[:20]
    if header[:6] != b"\x7fELF\x02\x01":
        raise SystemExit(f"{library}: not a shared library of 64 bits, low byte first")
    number = struct.unpack("<H", header[18:20])[0]
    dynamic = subprocess.run(
        ["objdump", "-p", str(library)], check=True, capture_output=True, text=True, env={**os.environ, "LC_ALL": "C"}
    ).stdout
    return platform_tag(dynamic, MACHINES.get(number) or os.uname().machine)


def write_wheel(directory: str, tag: str, files: dict[str, bytes]) -> str:
    info = f"{NAME}-{version()}.dist-info"
    pure = str(tag.endswith("-any")).lower()
    files = dict(files)
    files[f"{info}/METADATA"] = metadata().encode()
    files[f"{info}/WHEEL"] = f"Wheel-Version: 1.0\nGenerator: backend\nRoot-Is-Purelib: {pure}\nTag: {tag}\n".encode()
    record = "".join(
        f"{name},sha256={base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b'=').decode()},"
        f"{len(content)}\n"
        for name, content in files.items()
    )
    files[f"{info}/RECORD"] = f"{record}{info}/RECORD,,\n".encode()
    wheel = f"{NAME}-{version()}-{tag}.whl"
    with zipfile.ZipFile(Path(directory) / wheel, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            member = zipfile.ZipInfo(name)  # of 1980: the same input gives the same file
            member.external_attr = (0o100755 if ".so" in name else 0o100644) << 16
            member.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(member, content)
    return wheel


def package() -> dict[str, bytes]:
    paths = [*sorted(PACKAGE.glob("*.py")), PACKAGE / "py.typed"]
    return {f"{NAME}/{path.name}": path.read_bytes() for path in paths}


def build_wheel(
    wheel_directory: str, config_settings: Optional[dict[str, Any]] = None, metadata_directory: Optional[str] = None
) -> str:
    return write_wheel(wheel_directory, "py3-none-any", package())


def build_sdist(sdist_directory: str, config_settings: Optional[dict[str, Any]] = None) -> str:
    name = f"{NAME}-{version()}"
    (Path(sdist_directory) / "PKG-INFO").write_text(metadata())
    with tarfile.open(Path(sdist_directory) / f"{name}.tar.gz", "w:gz") as archive:
        for file in ("pyproject.toml", "README.md", "backend.py", *package()):
            archive.add(HERE / file, f"{name}/{file}")
        archive.add(Path(sdist_directory) / "PKG-INFO", f"{name}/PKG-INFO")
    (Path(sdist_directory) / "PKG-INFO").unlink()
    return f"{name}.tar.gz"


def main() -> None:
    if len(sys.argv) != 3:
        raise SystemExit("usage: backend.py LIBRARY DIRECTORY")
    library = Path(sys.argv[1])
    files = {**package(), f"{NAME}/{SONAME}": library.read_bytes()}
    print(Path(sys.argv[2]) / write_wheel(sys.argv[2], f"py3-none-{library_tag(library)}", files))


if __name__ == "__main__":
    main()
