"""Owners of the library's objects: closed once, never while a call or a request uses them."""

from __future__ import annotations

import contextlib
import errno
import threading
import warnings
from types import TracebackType
from typing import Any, Iterator, Optional, TypeVar

from .errors import BusyError

_Self = TypeVar("_Self", bound="Handle")


class Handle:
    """A pointer and how many use it."""

    _name = ""

    def __init__(self, pointer: Optional[int]) -> None:
        self._pointer = pointer
        self._users = 0
        self._guard = threading.Lock()

    def _close(self, pointer: int) -> None:
        raise NotImplementedError

    def _hold(self, alone: bool = False) -> int:
        """Takes part in it; _let_go() ends that."""
        with self._guard:
            if self._pointer is None:
                raise ValueError(f"{self._name} is closed")
            if alone and self._users:
                raise BusyError(errno.EBUSY, f"{self._name}: requests are under way")
            self._users += 1
            return self._pointer

    def _let_go(self) -> None:
        with self._guard:
            self._users -= 1

    @contextlib.contextmanager
    def _used(self, alone: bool = False) -> Iterator[int]:
        pointer = self._hold(alone)
        try:
            yield pointer
        finally:
            self._let_go()

    @property
    def closed(self) -> bool:
        """Whether it is."""
        return self._pointer is None

    def close(self) -> None:
        """Ends it. BusyError while requests are under way. Again does nothing."""
        with self._guard:
            if self._users:
                raise BusyError(errno.EBUSY, f"{self._name}: requests are under way")
            pointer, self._pointer = self._pointer, None
        if pointer is not None:
            self._close(pointer)

    def __enter__(self: _Self) -> _Self:
        return self

    def __exit__(
        self,
        kind: Optional[type[BaseException]],
        error: Optional[BaseException],
        trace: Optional[TracebackType],
    ) -> None:
        self.close()

    def __del__(self, warn: Any = warnings.warn) -> None:
        if getattr(self, "_pointer", None) is not None:
            warn(f"unclosed {self!r}", ResourceWarning, source=self)
            self.close()
