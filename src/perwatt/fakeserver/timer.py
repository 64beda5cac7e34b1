"""One heap of due times for all streams, woken to the microsecond.

The event loops round their timers up to a millisecond (epoll's own unit), which is half of the
time between two chunks here. Linux's timerfd does not round; elsewhere the loop's timers serve, and
the truth then says by how much chunks were late.
"""

from __future__ import annotations

import asyncio
import ctypes
import os
import sys
from collections.abc import Callable
from heapq import heappop, heappush
from itertools import count

from perwatt.core.clock import now_ns

__all__ = ["Timer"]

Due = Callable[[int], None]
"""Called with the time it was due, ns."""

CLOCK_MONOTONIC, TFD_TIMER_ABSTIME = 1, 1
TFD_NONBLOCK, TFD_CLOEXEC = 0o4000, 0o2000000
NEVER = 1 << 62
AT_ONCE = 256
"""Due calls served before the loop may read from sockets again."""


class Timer:
    """Calls back at monotonic times. Not safe to share between threads."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._heap: list[tuple[int, int, Due]] = []
        self._order = count()
        self._armed_ns = NEVER
        self._ringing = False
        self._closed = False
        self._handle: asyncio.TimerHandle | None = None
        self._fd = -1
        if sys.platform == "linux":
            self._libc = ctypes.CDLL(None, use_errno=True)
            self._spec = (ctypes.c_long * 4)()  # itimerspec: interval, then first, each s and ns
            self._fd = self._libc.timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC)
        if self._fd >= 0:
            loop.add_reader(self._fd, self._ring)

    def at(self, due_ns: int, call: Due) -> None:
        """`call(due_ns)` once `due_ns` has come. There is no cancelling: `call` must look."""
        if self._closed:
            return
        heappush(self._heap, (due_ns, next(self._order), call))
        if due_ns < self._armed_ns and not self._ringing:
            self._arm(due_ns)

    def close(self) -> None:
        """Forget all that is due. Safe to call twice."""
        self._closed = True
        self._heap.clear()
        if self._handle:
            self._handle.cancel()
        if self._fd >= 0:
            self._loop.remove_reader(self._fd)
            os.close(self._fd)
            self._fd = -1

    def _ring(self) -> None:
        heap = self._heap
        self._ringing = True
        try:
            for _ in range(AT_ONCE):
                if not heap or heap[0][0] > now_ns():
                    break
                due_ns, _, call = heappop(heap)
                call(due_ns)
        finally:
            self._ringing = False
            self._arm(heap[0][0] if heap else NEVER)

    def _arm(self, due_ns: int) -> None:
        self._armed_ns = due_ns
        if self._fd < 0:
            if self._handle:
                self._handle.cancel()
            wait_s = max(0.0, (due_ns - now_ns()) / 1e9)
            self._handle = None if due_ns == NEVER else self._loop.call_later(wait_s, self._ring)
            return
        # Setting it also clears the expiry that woke us, so it need not be read. 0: disarmed.
        at_ns = 0 if due_ns == NEVER else max(1, due_ns)
        self._spec[2], self._spec[3] = divmod(at_ns, 1_000_000_000)
        self._libc.timerfd_settime(self._fd, TFD_TIMER_ABSTIME, ctypes.byref(self._spec), None)
