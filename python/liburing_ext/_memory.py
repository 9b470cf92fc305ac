"""Addresses of other objects' memory, without copying it."""

from __future__ import annotations

import ctypes
import mmap
from ctypes import addressof, byref
from types import TracebackType
from typing import TYPE_CHECKING, Any, Optional, Protocol, Sequence, Union

from ._abi import iovec

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

    class _Array(Protocol):
        """numpy's arrays, which are no buffers to a type checker of their time."""

        @property
        def __array_interface__(self) -> dict[str, Any]: ...

    Buffer = Union[ReadableBuffer, _Array]
else:
    Buffer = Any

Buffers = Union[Buffer, Sequence[Buffer]]


class _PyBuffer(ctypes.Structure):
    """CPython's Py_buffer, which is part of its stable ABI."""

    _fields_ = [
        ("buf", ctypes.c_void_p),
        ("obj", ctypes.c_void_p),
        ("len", ctypes.c_ssize_t),
        ("itemsize", ctypes.c_ssize_t),
        ("readonly", ctypes.c_int),
        ("ndim", ctypes.c_int),
        ("format", ctypes.c_char_p),
        ("shape", ctypes.c_void_p),
        ("strides", ctypes.c_void_p),
        ("suboffsets", ctypes.c_void_p),
        ("internal", ctypes.c_void_p),
    ]


# pythonapi keeps the GIL and raises what the call raised: TypeError for no buffer, BufferError for one that is
# read-only or not in one piece.
_get = ctypes.pythonapi.PyObject_GetBuffer
_get.argtypes = [ctypes.py_object, ctypes.POINTER(_PyBuffer), ctypes.c_int]
_get.restype = ctypes.c_int
_release = ctypes.pythonapi.PyBuffer_Release
_release.argtypes = [ctypes.POINTER(_PyBuffer)]
_release.restype = None
_WRITABLE = 1  # PyBUF_WRITABLE


class Pinned:
    """Buffers that stay where they are until release(): nobody can resize or close them meanwhile."""

    def __init__(self, buffers: Optional[Buffers], writable: bool) -> None:
        self._views: list[_PyBuffer] = []
        self.scattered = isinstance(buffers, (list, tuple))
        pieces: Any = buffers if self.scattered else () if buffers is None else (buffers,)
        flags = _WRITABLE if writable else 0
        self.count, self.bytes = len(pieces), 0
        self._iovecs = (iovec * self.count)()
        try:
            for piece, place in zip(pieces, self._iovecs):
                view = _PyBuffer()
                _get(piece, byref(view), flags)
                self._views.append(view)
                place.iov_base, place.iov_len = view.buf, view.len
                self.bytes += view.len
        except BaseException:
            self.release()
            raise

    @property
    def address(self) -> Optional[int]:
        """Of the only piece."""
        if self.count > 1:
            raise ValueError("a buffer in one piece is wanted here")
        address: Optional[int] = self._views[0].buf if self._views else None
        return address

    @property
    def iovecs(self) -> Optional[int]:
        """Address of an array of struct iovec."""
        return addressof(self._iovecs) if self.count else None

    def release(self) -> None:
        """Lets go of them."""
        while self._views:
            _release(byref(self._views.pop()))

    def __del__(self) -> None:
        self.release()

    def __enter__(self) -> Pinned:
        return self

    def __exit__(
        self,
        kind: Optional[type[BaseException]],
        error: Optional[BaseException],
        trace: Optional[TracebackType],
    ) -> None:
        self.release()


def allocate(nbytes: int) -> memoryview:
    """Zeroed memory that starts on a page: what O_DIRECT and devices want."""
    return memoryview(mmap.mmap(-1, max(nbytes, 1)))[:nbytes]
