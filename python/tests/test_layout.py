"""What ctypes mirrors is what a C compiler makes of the header."""

from __future__ import annotations

import ctypes
import re
import subprocess
from pathlib import Path
from typing import Any

from liburing_ext import Check, Guard, Kind, Op, Source, ZoneState, ZoneType, _abi, _library, errors, pi, queue, target, values

STRUCTS = {
    name: struct
    for name, struct in vars(_abi).items()
    if isinstance(struct, type) and issubclass(struct, _abi.Struct) and struct is not _abi.Struct
}

# Of the header, but of no use here. A server of a block device is no Python program.
NOT_HERE = {"urx_attr_pi", "urx_pi_stream"}
NO_SERVERS = re.compile(r"urx_(ublk|fused|rfc)_?.*", re.I)


def header(root: Path) -> str:
    text = (root / "include/liburing-ext.h").read_text()
    return re.sub(r"/\*.*?\*/", "", text, flags=re.S)


def test_structs(root: Path, tmp_path: Path) -> None:
    """Sizes, and offset and size of each member."""
    lines = []
    for name, struct in STRUCTS.items():
        lines.append(f'printf("{name} %zu\\n", sizeof(struct {name}));')
        for member, *_ in struct._fields_:
            at = f"offsetof(struct {name}, {member}), sizeof(((struct {name} *)0)->{member})"
            lines.append(f'printf("{name}.{member} %zu %zu\\n", {at});')
    source = tmp_path / "layout.c"
    source.write_text(
        "#include <liburing-ext.h>\n#include <stdio.h>\n#include <sys/uio.h>\n"
        "int main(void)\n{\n" + "\n".join(lines) + "\nreturn 0;\n}\n"
    )
    program = tmp_path / "layout"
    subprocess.run(["cc", "-Wall", "-Werror", f"-I{root}/include", source, "-o", program], check=True)
    said = subprocess.run([program], check=True, capture_output=True, text=True).stdout
    ours = ""
    for name, struct in STRUCTS.items():
        ours += f"{name} {ctypes.sizeof(struct)}\n"
        for member, *_ in struct._fields_:
            field = getattr(struct, member)
            ours += f"{name}.{member} {field.offset} {field.size}\n"
    assert ours == said


def test_all_structs_and_members(root: Path) -> None:
    """None was forgotten."""
    text = header(root)
    in_header = dict(re.findall(r"^struct (\w+) \{$(.*?)^\};$", text, re.M | re.S))
    in_header = {name: body for name, body in in_header.items() if not NO_SERVERS.fullmatch(name)}
    assert set(in_header) == set(STRUCTS) - {"iovec"} | NOT_HERE
    for name, body in in_header.items():
        if name in STRUCTS:
            members = re.findall(r"(\w+)(?:\[\d+\])?;", body)
            assert members == [field[0] for field in STRUCTS[name]._fields_], name


def test_constants(root: Path) -> None:
    """Each has the header's value, and each of the header is known here."""
    ours: dict[str, int] = {}
    for prefix, names in (
        ("CHECK", Check),
        ("GUARD", Guard),
        ("PATH", values.Path),
        ("KIND", Kind),
        ("SOURCE", Source),
        ("OP", Op),
        ("ZONE", ZoneType),
        ("ZONE", ZoneState),
    ):
        ours.update({f"URX_{prefix}_{name}": int(value) for name, value in names.__members__.items()})
    ours.update({f"URX_FACT_{name.upper()}": index for index, name in enumerate(target._FACTS)})
    for prefix, module, names_ in (
        ("TARGET", target, ["WRITE", "BUFFERED", "CREATE_SIDE"]),
        ("RW", queue, ["IOVEC", "FIXED_BUF", "FUA", "PRACT", "LINKED"]),
        ("INFO", target, ["WRITABLE", "DIRECT", "ATTR", "HIDDEN"]),
        ("ERROR", values, ["BLOCK", "VALUES", "IN_TRANSIT"]),
        ("PI", values, ["INTERLEAVED"]),
        ("REPORT", pi, ["COUNT_ALL"]),
    ):
        ours.update({f"URX_{prefix}_{name}": getattr(module, f"_{name}") for name in names_})
    ours["URX_INJECT_DATA"] = pi._INJECT_DATA
    ours["URX_VERSION_NUMBER"] = _library.NEEDED
    found = re.findall(r"^#define (URX_\w+) (\d+)u\b", header(root), re.M)
    theirs = {name: int(value) for name, value in found if not NO_SERVERS.fullmatch(name)}
    for unused in ("URX_FEAT_RW_ATTR", "URX_VERSION_MAJOR", "URX_VERSION_MINOR", "URX_VERSION_PATCH"):
        del theirs[unused]
    assert ours == theirs


def ctypes_of(parameter: str) -> Any:
    if "*" in parameter:
        return ctypes.c_char_p if re.fullmatch(r"const char \*path", parameter) else ctypes.c_void_p
    kind = parameter.rsplit(" ", 1)[0]
    plain = {"int": ctypes.c_int, "unsigned": ctypes.c_uint, "size_t": ctypes.c_size_t}
    return plain.get(kind) or getattr(ctypes, f"c_{kind[:-2]}")


def test_functions(root: Path) -> None:
    """Arguments and results."""
    found = re.findall(r"^([\w ]+[ *])(urx_\w+)\(([^)]*)\) URX_NOEXCEPT;", header(root), re.M)
    theirs = {}
    for result, name, parameters in found:
        kinds = [ctypes_of(" ".join(one.split())) for one in parameters.split(",")] if parameters != "void" else []
        result = result.strip()
        kind = None if result == "void" else ctypes.c_char_p if "*" in result else ctypes_of(f"{result} x")
        theirs[name] = (kind, kinds)
    for name, ours in _library.FUNCTIONS.items():
        assert ours == theirs[name], name


def test_sentence_of_the_kernel(root: Path) -> None:
    """The one that is replaced by strerror() is still that."""
    assert target._KERNEL_REFUSED in (root / "src/error.rs").read_text()


def test_every_errno_has_its_class() -> None:
    """And is an OSError with that errno."""
    for number, kind in errors._CLASSES.items():
        raised = errors.error(-number)
        assert type(raised) is kind and isinstance(raised, OSError) and raised.errno == number
        assert raised.strerror
