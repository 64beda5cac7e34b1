"""Joules given out while requests are still in flight. Pure: no clock, no sensor, no I/O.

Each tick of the sensor is shared as `attribution` will share it in the end: the idle watts by
residency, what is above them by work. Work is half seconds and half tokens, since what a token
costs is only fitted when the run is over; the interval spans the rules that could turn out right:
by seconds alone, and by tokens with a prompt token at 1/50 or at 1/2 of one that is written.

Σ given out + idle + unattributed = the device's joules, to rounding, at every tick.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from math import hypot
from typing import NamedTuple

from perwatt.gateway.live_curve import Tick

__all__ = ["FORGET_NS", "Figure", "Ledger", "LiveRequest"]

LIGHT, HEAVY = 0.02, 0.5
"""A prompt token's work over that of a written one: a wide batch on a GPU, and a CPU."""
RECENT_NS = 2_000_000_000
"""The watts of this long ago bound what the sensor has not shown yet."""
FORGET_NS = 30_000_000_000
"""A request that ended so long ago is settled even if the sensor has stopped."""
NEW_RATE = 0.2
"""Weight of the newest prompt in the mean speed of prefill."""
Z_UNIFORM = 1.96 / 12**0.5
"""95% half-width of an edge that lies anywhere within a tick, in ticks."""


class Figure(NamedTuple):
    """One request's joules, as far as they are known."""

    energy_j: float
    low_j: float
    high_j: float
    energy_net_j: float | None
    """None: no idle is known."""
    provisional: bool
    """The sensor has not shown all of it yet: the end is extrapolated from its latest watts."""
    trusted: bool


class LiveRequest:
    """What the ledger knows of one request. Marks are monotonic ns."""

    __slots__ = (
        "chunks_ns", "end_ns", "first_chunk_ns", "heavy_j", "idle_j", "light_j", "prefilled",
        "prompt_tokens", "start_ns", "time_j", "trusted", "work_j",
    )  # fmt: skip

    def __init__(self, start_ns: int, prompt_tokens: float) -> None:
        self.start_ns = start_ns
        self.end_ns: int | None = None
        self.first_chunk_ns: int | None = None
        self.prompt_tokens = prompt_tokens
        """A guess by length until the server has counted."""
        self.prefilled = 0.0
        self.chunks_ns: deque[int] = deque()
        """Chunks that no tick has reached yet."""
        self.idle_j = 0.0
        self.work_j = 0.0
        """By the rule that is published; the next three by those that bound it."""
        self.time_j = 0.0
        self.light_j = 0.0
        self.heavy_j = 0.0
        self.trusted = True

    def chunk(self, t_ns: int) -> None:
        """A piece of the answer came."""
        if self.first_chunk_ns is None:
            self.first_chunk_ns = t_ns
        self.chunks_ns.append(t_ns)


class Ledger:
    """Requests in flight, and where every joule since the first tick went."""

    def __init__(
        self,
        gain: tuple[float, float] = (1.0, 1.0),
        settled: Callable[[LiveRequest], None] | None = None,
    ) -> None:
        """`gain`: the true joules lie in [low, high] × the reading. `settled` hears of each request
        whose last joules are known."""
        self.idle_power_w: float | None = None
        self.device_j = 0.0
        self.idle_j = 0.0
        self.unattributed_j = 0.0
        self.requests_j = 0.0
        self.until_ns: int | None = None
        """Joules are known up to here."""
        self.power_w: float | None = None
        """Of the latest tick."""
        self.in_flight = 0
        self._gain = gain
        self._settled = settled
        self._open: list[LiveRequest] = []
        self._recent: deque[tuple[int, float]] = deque()
        self._tick_s = 0.0
        self._prefill_per_s: float | None = None

    def begin(self, start_ns: int, prompt_tokens: float = 0.0) -> LiveRequest:
        """A request is in flight from now on."""
        request = LiveRequest(start_ns, prompt_tokens)
        self._open.append(request)
        self.in_flight += 1
        return request

    def end(self, request: LiveRequest, end_ns: int) -> None:
        """It is not in flight any more. The tick that reaches its end settles it."""
        request.end_ns = end_ns
        self.in_flight -= 1
        first = request.first_chunk_ns
        if first is not None and first > request.start_ns and request.prompt_tokens:
            rate = request.prompt_tokens / ((first - request.start_ns) / 1e9)
            known = self._prefill_per_s
            self._prefill_per_s = rate if known is None else known + NEW_RATE * (rate - known)

    def take(self, tick: Tick) -> bool:
        """Share one tick out. True: nobody was in flight in any of it."""
        present = [r for r in self._open if _held_ns(r, tick) > 0]
        self.device_j += tick.energy_j
        self._remember(tick)
        if not tick.trusted:
            self.unattributed_j += tick.energy_j
            for request in present:
                request.trusted = False
        elif not present:
            self.idle_j += tick.energy_j
        else:
            self._share(tick, present)
        self._settle(tick.end_ns)
        return not present

    def figure(self, request: LiveRequest, now_ns: int) -> Figure:
        """Its joules by now, those the sensor has not shown yet extrapolated."""
        end_ns = now_ns if request.end_ns is None else request.end_ns
        rules = (request.time_j, request.light_j, request.heavy_j, request.work_j)
        low, high = (request.idle_j + pick(rules) for pick in (min, max))
        watts = [power_w for _, power_w in self._recent]
        least, most = min(watts, default=0.0), max(watts, default=0.0)
        from_ns = request.start_ns if self.until_ns is None else self.until_ns
        tail_s = max(0, end_ns - max(from_ns, request.start_ns)) / 1e9
        gross, net = request.idle_j + request.work_j, request.work_j
        if tail_s:
            others = self.in_flight + (request.end_ns is not None) - 1
            power_w = self.power_w or 0.0
            idle_w = min(self.idle_power_w or 0.0, power_w)
            gross += power_w * tail_s / (others + 1)
            net += (power_w - idle_w) * tail_s / (others + 1)
            low += 0.0 if others else least * tail_s
            high += most * tail_s
        # Within the ticks that hold its start and its end nobody knows when the watts were drawn.
        edges = hypot(1.0, 0.0 if tail_s else 1.0) * Z_UNIFORM * self._tick_s * (most - least)
        return Figure(
            gross,
            max(0.0, min(gross, low * self._gain[0] - edges)),
            max(gross, high * self._gain[1] + edges),
            None if self.idle_power_w is None else net,
            bool(tail_s) or request.end_ns is None,
            request.trusted and self.power_w is not None,
        )

    def _share(self, tick: Tick, present: list[LiveRequest]) -> None:
        length_ns = tick.end_ns - tick.start_ns
        held = [_held_ns(r, tick) for r in present]
        busy_ns = length_ns if max(held) == length_ns else _covered_ns(tick, present)
        during = tick.energy_j * (busy_ns / length_ns)
        self.idle_j += tick.energy_j - during
        # A tick that drew less than idle has no work to speak of: all of it goes by residency.
        base = 0.0
        if self.idle_power_w is not None:
            base = min(during, self.idle_power_w * busy_ns / 1e9)
        work = during - base
        decoded = [float(_pop(r.chunks_ns, tick.end_ns)) for r in present]
        prefilled = [self._prefilled(r, tick) for r in present]
        time = _weights([float(ns) for ns in held])
        assert time is not None  # whoever is present is so for a nanosecond at least
        tokens = list(zip(decoded, prefilled, strict=True))
        light = _weights([d + LIGHT * p for d, p in tokens]) or time
        heavy = _weights([d + HEAVY * p for d, p in tokens]) or time
        for request, t, a, b in zip(present, time, light, heavy, strict=True):
            request.idle_j += base * t
            request.time_j += work * t
            request.light_j += work * a
            request.heavy_j += work * b
            request.work_j += work * (t / 2 + a / 4 + b / 4)
        self.requests_j += during

    def _prefilled(self, request: LiveRequest, tick: Tick) -> float:
        """Prompt tokens worked on in the tick, at the speed of those before it."""
        first = request.first_chunk_ns
        if first is not None and first <= tick.start_ns:
            return 0.0
        end_ns = min(tick.end_ns, first or tick.end_ns, request.end_ns or tick.end_ns)
        worked_ns = end_ns - max(tick.start_ns, request.start_ns)
        if worked_ns <= 0:
            return 0.0
        if first is not None:
            tokens = request.prompt_tokens * worked_ns / (first - request.start_ns)
        elif self._prefill_per_s is not None:
            tokens = self._prefill_per_s * worked_ns / 1e9
        else:
            return 0.0
        tokens = max(0.0, min(tokens, request.prompt_tokens - request.prefilled))
        request.prefilled += tokens
        return tokens

    def _remember(self, tick: Tick) -> None:
        self.until_ns = tick.end_ns
        self._tick_s = (tick.end_ns - tick.start_ns) / 1e9
        if tick.trusted:
            self.power_w = tick.energy_j / self._tick_s
            self._recent.append((tick.end_ns, self.power_w))
        while self._recent and self._recent[0][0] < tick.end_ns - RECENT_NS:
            self._recent.popleft()

    def forget(self, now_ns: int) -> None:
        """Settle what ended long ago, for a sensor that gives no ticks any more."""
        self._settle(now_ns - FORGET_NS)

    def _settle(self, until_ns: int) -> None:
        done = [r for r in self._open if r.end_ns is not None and r.end_ns <= until_ns]
        if done:
            gone = set(map(id, done))
            self._open = [r for r in self._open if id(r) not in gone]
            for request in done if self._settled else ():
                assert self._settled is not None
                self._settled(request)


def _held_ns(request: LiveRequest, tick: Tick) -> int:
    """How much of the tick it was in flight; 0 or less: not at all."""
    end_ns = tick.end_ns
    if request.end_ns is not None and request.end_ns < end_ns:
        end_ns = request.end_ns
    return end_ns - max(tick.start_ns, request.start_ns)


def _covered_ns(tick: Tick, present: list[LiveRequest]) -> int:
    """How much of the tick anybody was in flight."""
    covered, reached = 0, tick.start_ns
    for request in sorted(present, key=lambda r: r.start_ns):
        end_ns = tick.end_ns if request.end_ns is None else min(tick.end_ns, request.end_ns)
        start_ns = max(reached, request.start_ns)
        if end_ns > start_ns:
            covered += end_ns - start_ns
            reached = end_ns
    return covered


def _pop(marks_ns: deque[int], until_ns: int) -> int:
    """Take out the marks up to that moment; how many."""
    count = 0
    while marks_ns and marks_ns[0] <= until_ns:
        marks_ns.popleft()
        count += 1
    return count


def _weights(values: list[float]) -> list[float] | None:
    """Normalised; None where all are 0."""
    total = sum(values)
    return [value / total for value in values] if total > 0 else None
