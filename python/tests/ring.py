"""The least of an io_uring: one request at a time, as a program that drives its own ring would."""

from __future__ import annotations

import ctypes
import mmap
import os
import struct
from typing import Optional

_libc = ctypes.CDLL(None, use_errno=True)
_SETUP, _ENTER, _GETEVENTS = 425, 426, 1
_SQES = 0x10000000


def _syscall(number: int, *arguments: Optional[int]) -> int:
    ret = _libc.syscall(ctypes.c_long(number), *(ctypes.c_long(one or 0) for one in arguments))
    if ret < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return int(ret)


class Ring:
    """Of kernels with IORING_FEAT_SINGLE_MMAP, and without other flags."""

    def __init__(self, entries: int = 8) -> None:
        params = (ctypes.c_uint32 * 30)()
        self.fd = _syscall(_SETUP, entries, ctypes.addressof(params))
        self.flags, self.features = params[2], params[5]
        self._sq, self._cq = params[10:16], params[20:26]  # head, tail, mask, entries, then array or cqes
        self._array, self._cqes = params[16], params[25]
        size = max(self._array + params[0] * 4, self._cqes + params[1] * 16)
        self._rings = mmap.mmap(self.fd, size)
        self._sqes = mmap.mmap(self.fd, params[0] * 64, offset=_SQES)
        self._base = ctypes.addressof(ctypes.c_char.from_buffer(self._rings))
        self._sqe_base = ctypes.addressof(ctypes.c_char.from_buffer(self._sqes))

    def _word(self, offset: int) -> ctypes.c_uint32:
        return ctypes.c_uint32.from_address(self._base + offset)

    def sqe(self) -> int:
        """Address of the next SQE, zeroed."""
        slot = self._word(self._sq[1]).value & self._word(self._sq[2]).value
        ctypes.memset(self._sqe_base + slot * 64, 0, 64)
        return self._sqe_base + slot * 64

    def submit_and_wait(self) -> int:
        """Of that SQE. Address of its CQE."""
        tail = self._word(self._sq[1])
        slot = tail.value & self._word(self._sq[2]).value
        struct.pack_into("I", self._rings, self._array + slot * 4, slot)
        tail.value += 1
        if _syscall(_ENTER, self.fd, 1, 1, _GETEVENTS, None, 0) != 1:
            raise RuntimeError("not taken")
        return self._base + self._cqes + (self._word(self._cq[0]).value & self._word(self._cq[2]).value) * 16

    def seen(self) -> None:
        """Done with that CQE."""
        self._word(self._cq[0]).value += 1

    def close(self) -> None:
        """Ends it."""
        os.close(self.fd)
