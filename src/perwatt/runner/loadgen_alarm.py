"""Waking an event loop at a given moment, to a tenth of a millisecond, without burning a core.

Timers of asyncio and uvloop are whole milliseconds on Linux, so a request due between two of them
would leave late. A timer of the kernel's own (timerfd, man 2 timerfd_create) wakes epoll in time.
Elsewhere the last millisecond is spent letting other tasks run until the moment has come.
"""

from __future__ import annotations

import asyncio
import ctypes
import os
import sys
from functools import cache
from types import TracebackType

from perwatt.core.clock import now_ns

__all__ = ["Alarm"]

_CLOCK_MONOTONIC, _NONBLOCK_CLOEXEC, _ABSOLUTE = 1, 0o2004000, 1
COARSE_NS = 2_000_000
"""By how much a loop's own timer may be late."""


class _Spec(ctypes.Structure):
    """struct itimerspec."""

    _fields_ = (
        ("interval_s", ctypes.c_long),
        ("interval_ns", ctypes.c_long),
        ("value_s", ctypes.c_long),
        ("value_ns", ctypes.c_long),
    )


class Alarm:
    """`with Alarm() as alarm:` in the loop that waits; one waiter at a time."""

    def __init__(self) -> None:
        self._fd = _timer()
        self._rung: asyncio.Future[None] | None = None

    async def until(self, due_ns: int) -> None:
        """Return at `due_ns` of `clock.now_ns`; at once where that has passed."""
        if now_ns() >= due_ns:
            return
        if self._fd is not None and _set(self._fd, due_ns):
            self._rung = asyncio.get_running_loop().create_future()
            await self._rung
            return
        if (coarse_ns := due_ns - now_ns() - COARSE_NS) > 0:
            await asyncio.sleep(coarse_ns / 1e9)
        while now_ns() < due_ns:
            await asyncio.sleep(0)

    def __enter__(self) -> Alarm:
        if self._fd is not None:
            asyncio.get_running_loop().add_reader(self._fd, self._ring)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        fd, self._fd = self._fd, None
        if fd is not None:
            asyncio.get_running_loop().remove_reader(fd)
            os.close(fd)

    def _ring(self) -> None:
        assert self._fd is not None
        try:
            os.read(self._fd, 8)
        except BlockingIOError:
            return  # set anew since it rang
        if self._rung is not None and not self._rung.done():
            self._rung.set_result(None)


def _timer() -> int | None:
    """A file descriptor that becomes readable at a set time; None where there is no such thing."""
    if sys.platform != "linux":
        return None
    fd: int = _libc().timerfd_create(_CLOCK_MONOTONIC, _NONBLOCK_CLOEXEC)
    return fd if fd >= 0 else None


@cache
def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None)


def _set(fd: int, due_ns: int) -> bool:
    spec = _Spec(0, 0, due_ns // 1_000_000_000, due_ns % 1_000_000_000)
    code: int = _libc().timerfd_settime(fd, _ABSOLUTE, ctypes.byref(spec), None)
    return code == 0
