"""Protection information bit by bit, from the specifications, to compare with."""

from __future__ import annotations

from liburing_ext import Format, Guard, Tags


def reflected(data: bytes, poly: int, bits: int) -> int:
    """A CRC of lowest bits first, all ones before and inverted after."""
    crc = (1 << bits) - 1
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (poly if crc & 1 else 0)
    return crc ^ (1 << bits) - 1


def crc16(data: bytes) -> int:
    """CRC-16/T10-DIF."""
    crc = 0
    for byte in data:
        crc ^= byte << 8
        for _ in range(8):
            crc = (crc << 1 ^ (0x8BB7 if crc & 0x8000 else 0)) & 0xFFFF
    return crc


def crc32c(data: bytes) -> int:
    """CRC-32C."""
    return reflected(data, 0x82F63B78, 32)


def crc64(data: bytes) -> int:
    """CRC-64/NVME."""
    return reflected(data, 0x9A6C9329AC4BC9B5, 64)


def ip(data: bytes) -> int:
    """RFC 1071."""
    total = sum(int.from_bytes(data[i : i + 2], "big") for i in range(0, len(data), 2))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return total ^ 0xFFFF


GUARDS = {Guard.T10DIF: (crc16, 2), Guard.IP: (ip, 2), Guard.CRC32C: (crc32c, 4), Guard.CRC64: (crc64, 8)}


def tuple_bytes(format: Format, tags: Tags, block: int, covered: bytes) -> bytes:
    """The tuple of one block, whose guard covers these bytes."""
    guard, width = GUARDS[format.guard]
    space = {2: 4, 4: 10, 8: 6}[width]
    ref_bits = space * 8 - format.storage_bits
    ref = tags.ref + (0 if format.pi_type == 3 else block)
    field = tags.storage << ref_bits | ref & (1 << ref_bits) - 1
    return guard(covered).to_bytes(width, "big") + tags.app.to_bytes(2, "big") + field.to_bytes(space, "big")
