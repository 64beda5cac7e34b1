"""Is the client itself late? A timer in its event loop sees how late it wakes, and what it costs.

A reply that has arrived waits until the loop comes round to it, and that wait is in every mark: a
busy client reports a slow server. The probe waits in the same queue, so it is late by as much.
"""

from __future__ import annotations

import asyncio
import gc
import time
from array import array
from types import TracebackType
from typing import NamedTuple

import numpy as np

from perwatt.core.clock import now_ns, seconds
from perwatt.core.records import ClientAudit

__all__ = ["LAG_QUANTILES", "LoopWatch"]

LAG_QUANTILES = (0.5, 0.9, 0.99, 0.999, 1.0)
"""Those of `ClientAudit.loop_lag_s`."""

_WORKS_MS, _RESTS_MS = 10, 100
"""Mean time between probes while the loop works, and while it has nothing to do: one wake of an
idle loop takes 0.1 ms in a virtual machine."""
_GOLDEN = 0.6180339887498949
"""Steps are half to one and a half times their mean, spread as multiples of this are: a probe that
keeps step with the loop's own turns would always wait equally long. They are whole milliseconds, as
epoll and libuv wait; in a loop that others keep waking the rounding still shows, so that lags below
1 ms mean nothing."""
_WORKS_SHARE, _LATE_NS = 0.05, 2_000_000
"""The loop has something to do when it takes so much of a core, or was so late."""
_SLIPPED_NS = 10_000_000


class LoopWatch:
    """`async with LoopWatch() as watch:` around a load phase; then `watch.audit(phase_id)`.

    Enter and leave in the thread of the loop that asks. Asked before the end, `audit` speaks of the
    time so far.
    """

    def __init__(self) -> None:
        self._lags_ns = array("q")
        self._weights_ns = array("q")
        """How much time each lag speaks for."""
        self._gc_ns = 0
        self._gc_since_ns = 0
        self._began: _Marks | None = None
        self._ended: _Marks | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._due_ns = 0
        self._steps = 0
        self._step_ns = 0
        self._last = (0, 0)
        """Time and the thread's CPU time at the probe before."""

    async def __aenter__(self) -> LoopWatch:
        self._loop = asyncio.get_running_loop()
        gc.callbacks.append(self._collecting)
        self._began, self._ended = _marks(), None
        self._next(now_ns())
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._timer is not None:
            self._timer.cancel()
        if now_ns() > self._due_ns:  # a loop that was blocked up to the end was late too
            self._late(now_ns())
        gc.callbacks.remove(self._collecting)
        self._ended = _marks()

    def audit(self, phase_id: str, worker: int = 0) -> ClientAudit:
        """What was seen. RuntimeError where nothing was watched."""
        if self._began is None:
            msg = "audit() before the watch began"
            raise RuntimeError(msg)
        began, ended = self._began, self._ended or _marks()
        loop_cpu_s = None
        if began.thread_ns is not None and ended.thread_ns is not None:
            loop_cpu_s = seconds(began.thread_ns, ended.thread_ns)
        return ClientAudit(
            phase_id=phase_id,
            worker=worker,
            wall_s=seconds(began.t_ns, ended.t_ns),
            cpu_s=seconds(began.process_ns, ended.process_ns),
            loop_cpu_s=loop_cpu_s,
            loop_lag_s=tuple(self._lag_s()),
            probes=len(self._lags_ns),
            gc_s=self._gc_ns / 1e9,
        )

    def _lag_s(self) -> list[float]:
        if not self._lags_ns:
            return []
        lags_ns, weights = np.array(self._lags_ns), np.array(self._weights_ns)
        order = np.argsort(lags_ns)
        share = np.cumsum(weights[order]) / weights.sum()
        # The least lag that was not exceeded for that share of the time: one that was seen.
        at = np.searchsorted(share, np.array(LAG_QUANTILES) - 1e-12)
        return [float(lag) / 1e9 for lag in lags_ns[order][at]]

    def _probe(self) -> None:
        t_ns = now_ns()
        self._late(t_ns)
        self._next(t_ns)

    def _late(self, t_ns: int) -> None:
        """Note this probe, and those that a blocked loop let slip: each would have waited as well.

        One long wait would otherwise count as one probe, and hardly show (HdrHistogram's correction
        for coordinated omission).
        """
        lag_ns = max(0, t_ns - self._due_ns)  # libuv's clock is cut to milliseconds: may be early
        self._note(lag_ns, self._step_ns)
        while (lag_ns := lag_ns - _SLIPPED_NS) > 0:
            self._note(lag_ns, _SLIPPED_NS)

    def _note(self, lag_ns: int, for_ns: int) -> None:
        self._lags_ns.append(lag_ns)
        self._weights_ns.append(for_ns)

    def _next(self, t_ns: int) -> None:
        cpu_ns = _thread_ns()
        works = (
            cpu_ns is None
            or cpu_ns - self._last[1] > _WORKS_SHARE * (t_ns - self._last[0])
            or t_ns - self._due_ns > _LATE_NS
        )
        self._last = (t_ns, cpu_ns or 0)
        self._steps += 1
        spread = 0.5 + self._steps * _GOLDEN % 1
        step_ms = round((_WORKS_MS if works else _RESTS_MS) * spread)
        self._step_ns = step_ms * 1_000_000
        self._due_ns = t_ns + self._step_ns
        self._timer = self._loop.call_later(step_ms / 1e3, self._probe)

    def _collecting(self, when: str, _: dict[str, int]) -> None:
        if when == "start":
            self._gc_since_ns = now_ns()
        elif self._gc_since_ns:
            self._gc_ns += now_ns() - self._gc_since_ns


class _Marks(NamedTuple):
    t_ns: int
    process_ns: int
    thread_ns: int | None


def _marks() -> _Marks:
    return _Marks(now_ns(), time.process_time_ns(), _thread_ns())


def _thread_ns() -> int | None:
    """CPU time of this thread; None where the system does not count it."""
    read = getattr(time, "thread_time_ns", None)
    return int(read()) if read else None
