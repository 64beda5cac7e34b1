"""Samples as they come → ticks of the counted domains' joules, while the run lives.

The same reading of samples as `attribution.integrate`, but for one thing: a tick is closed when it
is seen, and not moved to halfway between two looks, since nobody can wait for the next.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import NamedTuple

from perwatt.attribution.integrate import LOST
from perwatt.core.records import Domain, PowerSample

__all__ = ["LiveCurve", "Tick"]


class Tick(NamedTuple):
    """Joules of all counted domains between two moments, ns."""

    start_ns: int
    end_ns: int
    energy_j: float
    trusted: bool


class LiveCurve:
    """Feed samples in order; get the ticks that all domains have reached by then."""

    def __init__(self, domains: Sequence[Domain], beside: Sequence[Domain] = ()) -> None:
        """`domains` are summed; of those `beside` them only the totals are kept."""
        self._tracks = {domain.name: _Track(domain) for domain in domains}
        self._beside = {d.name: _Track(d) for d in beside if d.name not in self._tracks}
        self._done_ns: int | None = None

    def totals(self) -> dict[str, tuple[float, float | None]]:
        """Joules since the first sample and the latest watts, by domain."""
        return {name: track.total() for name, track in (self._tracks | self._beside).items()}

    def take(self, samples: Iterable[PowerSample]) -> list[Tick]:
        """The ticks that have ended. Other domains are left out."""
        for sample in samples:
            track = self._tracks.get(sample.domain) or self._beside.get(sample.domain)
            if track is not None:
                track.take(sample)
        for track in self._beside.values():
            track.forget(track.t_ns[-2] if len(track.t_ns) > 2 else 0)
        tracks = list(self._tracks.values())
        if not tracks or any(not track.t_ns for track in tracks):
            return []
        if self._done_ns is None:  # before this, some domain had not been read yet
            self._done_ns = max(track.t_ns[0] for track in tracks)
        until_ns = min(track.t_ns[-1] for track in tracks)
        edges = [self._done_ns]
        edges += [t for t in tracks[0].t_ns if self._done_ns < t < until_ns]
        if until_ns > self._done_ns:
            edges.append(until_ns)
        ticks = []
        for start_ns, end_ns in pairwise(edges):
            parts = [track.between(start_ns, end_ns) for track in tracks]
            joules = sum(part[0] for part in parts)
            ticks.append(Tick(start_ns, end_ns, joules, all(part[1] for part in parts)))
        self._done_ns = edges[-1]
        for track in tracks:
            track.forget(self._done_ns)
        return ticks


class _Track:
    """One domain's joules so far at the moments its value was new."""

    def __init__(self, domain: Domain) -> None:
        self._name = domain.name
        self._counter = domain.kind == "counter"
        self.t_ns: list[int] = []
        self._joules: list[float] = []
        self._trusted: list[bool] = []
        """Of the tick that ends at each moment."""
        self._value: float | None = None
        self._broken = False

    def take(self, sample: PowerSample) -> None:
        value = sample.counter_j if self._counter else sample.power_w
        if value is None or (self.t_ns and sample.t_ns <= self.t_ns[-1]):
            lost = not self._counter or sample.flag in LOST
            self._broken |= value is None and lost
            return
        self._broken |= sample.flag in LOST or (not self._counter and sample.flag is not None)
        before, self._value = self._value, value
        if before is None:
            self._add(sample.t_ns, 0.0)
        elif not self._counter:
            seconds = (sample.t_ns - self.t_ns[-1]) / 1e9
            self._add(sample.t_ns, self._joules[-1] + seconds * (before + value) / 2)
        elif value != before or self._broken:
            # A slow counter is read many times between two ticks: those looks say nothing new.
            self._add(sample.t_ns, self._joules[-1] + value - before)

    def total(self) -> tuple[float, float | None]:
        """Joules since the first sample, and the watts of its last tick."""
        if len(self.t_ns) < 2:
            return 0.0, None
        seconds = (self.t_ns[-1] - self.t_ns[-2]) / 1e9
        return self._joules[-1], (self._joules[-1] - self._joules[-2]) / seconds

    def between(self, start_ns: int, end_ns: int) -> tuple[float, bool]:
        """Joules from one moment to another within those known, and are they to be trusted?"""
        first = bisect_right(self.t_ns, start_ns)
        last = min(bisect_right(self.t_ns, end_ns - 1), len(self.t_ns) - 1)
        return self._at(end_ns) - self._at(start_ns), all(self._trusted[first : last + 1])

    def forget(self, before_ns: int) -> None:
        """Keep the last two moments at or before this, and all after it."""
        gone = bisect_right(self.t_ns, before_ns) - 2
        if gone > 0:
            del self.t_ns[:gone], self._joules[:gone], self._trusted[:gone]

    def _add(self, t_ns: int, joules: float) -> None:
        self.t_ns.append(t_ns)
        self._joules.append(joules)
        self._trusted.append(not self._broken)
        self._broken = False

    def _at(self, t_ns: int) -> float:
        n = bisect_right(self.t_ns, t_ns) - 1
        if n + 1 == len(self.t_ns) or self.t_ns[n] == t_ns:
            return self._joules[n]
        part = (t_ns - self.t_ns[n]) / (self.t_ns[n + 1] - self.t_ns[n])
        return self._joules[n] + part * (self._joules[n + 1] - self._joules[n])
