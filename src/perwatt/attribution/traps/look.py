"""What the detectors look at: one sitting of a run, and the arrays drawn from it once."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from functools import cached_property
from typing import Any, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from perwatt.attribution.integrate import Curve, curve_of
from perwatt.attribution.traps.catalogue import TRAPS, Found
from perwatt.core.records import Domain, Phase, PowerSample, SensorTiming

__all__ = ["Attempt", "Look", "Mark", "Series", "View", "found", "merged", "overlap_ns"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Span = tuple[int, int]


class Mark(NamedTuple):
    """One request: when it was in flight, and what work it was."""

    pair_id: str
    start_ns: int
    end_ns: int
    work: Hashable = None
    """Equal for equal work: item and token counts, say. None: not known to be like any other."""


class Attempt(NamedTuple):
    """What became of one sensor that was tried."""

    name: str
    ok: bool
    reason: str | None = None
    mend: str | None = None


class Look(msgspec.Struct, frozen=True, kw_only=True):
    """One sitting of a run, as far as its joules are concerned."""

    domains: tuple[Domain, ...]
    """All that were sampled."""
    counted: tuple[str, ...]
    """Names of those that make the joule figures."""
    samples: Sequence[PowerSample]
    """Of this sitting, each domain's in order of time."""
    phases: tuple[Phase, ...]
    """Of this sitting, those that ended."""
    marks: tuple[Mark, ...] = ()
    timings: tuple[SensorTiming, ...] = ()
    tried: tuple[Attempt, ...] = ()
    hosting: tuple[str, ...] | None = None
    """Accelerator domains that host the processes under test. None: it could not be told."""


class Series(NamedTuple):
    """The samples of one domain as arrays of (n,); NaN where there is no value."""

    t_ns: Ints
    value: Floats
    """Joules of a counter, watts of a gauge."""
    power_w: Floats
    temperature_c: Floats
    clock_error_ns: Floats
    flag: list[str | None]
    throttle: list[str | None]

    @property
    def good(self) -> NDArray[np.bool_]:
        return ~np.isnan(self.value)

    def at(self, flag: str) -> Ints:
        """Positions of the samples that carry a flag."""
        return np.array([k for k, each in enumerate(self.flag) if each == flag], dtype=np.int64)


class View:
    """A look with what several detectors need of it, worked out once."""

    def __init__(self, look: Look) -> None:
        self.look = look
        self.domains = {domain.name: domain for domain in look.domains}
        self.counted = [self.domains[name] for name in look.counted if name in self.domains]
        self.timings = {timing.domain: timing for timing in look.timings}
        self._curves: dict[str, Curve | None] = {}

    @cached_property
    def rows(self) -> dict[str, list[PowerSample]]:
        """The samples of each domain that has any."""
        rows: dict[str, list[PowerSample]] = {name: [] for name in self.domains}
        for sample in self.look.samples:
            if sample.domain in rows:
                rows[sample.domain].append(sample)
        return {name: own for name, own in rows.items() if own}

    @cached_property
    def series(self) -> dict[str, Series]:
        return {name: _series(self.domains[name], own) for name, own in self.rows.items()}

    @cached_property
    def loads(self) -> list[tuple[str, Span]]:
        """(pair, window) of each load phase that has any length."""
        spans = [(p.pair_id or "", _span(p)) for p in self.look.phases if p.kind == "load"]
        return [(pair, span) for pair, span in spans if span[1] > span[0]]

    @cached_property
    def busy(self) -> list[Span]:
        """When any request was in flight; all of the load where none is known."""
        spans = [(m.start_ns, m.end_ns) for m in self.look.marks]
        return merged(spans or [span for _, span in self.loads])

    @cached_property
    def request_s(self) -> float | None:
        """Median length of a request."""
        lengths = [(m.end_ns - m.start_ns) / 1e9 for m in self.look.marks]
        return float(np.median(lengths)) if lengths else None

    def phases(self, *kinds: str) -> list[Phase]:
        return [p for p in self.look.phases if p.kind in kinds and p.end_ns is not None]

    def curve(self, name: str) -> Curve | None:
        if name not in self._curves:
            self._curves[name] = curve_of(self.rows.get(name, []), self.domains[name])
        return self._curves[name]

    def changes_ns(self, name: str) -> Ints:
        """When the value of a domain was seen to change."""
        series = self.series[name]
        t, value = series.t_ns[series.good], series.value[series.good]
        changed: Ints = t[1:][np.diff(value) != 0]
        return changed

    def tick_s(self, name: str) -> float | None:
        """Seconds between changes: as measured at the start, else as far as the samples show.

        A gauge may show equal watts twice in a row, so the short gaps between its changes are
        taken; one that hands over a few readings a second has a tick of at least their distance.
        """
        timing = self.timings.get(name)
        if timing is not None and timing.tick_s is not None and timing.changes >= 3:
            return timing.tick_s
        if name not in self.series:
            return None
        gaps = np.diff(self.changes_ns(name)) / 1e9
        if self.domains[name].kind == "counter":
            return float(np.median(gaps)) if len(gaps) >= 3 else None
        apart = np.diff(self.series[name].t_ns) / 1e9
        if len(apart) < 3:
            return None
        short = float(np.quantile(gaps, 0.1)) if len(gaps) >= 10 else 0.0
        return max(float(np.median(apart)), short)

    def resolution_s(self, name: str) -> float | None:
        """Seconds between two values that we have: its tick, or our own rate if that is slower."""
        tick_s = self.tick_s(name)
        if name not in self.series:
            return tick_s
        series = self.series[name]
        seen = self.changes_ns(name) if self.domains[name].kind == "counter" else series.t_ns
        apart = np.diff(seen) / 1e9
        ours_s = float(np.median(apart)) if len(apart) >= 3 else None
        known = [each for each in (tick_s, ours_s) if each is not None]
        return max(known, default=None)


def found(
    code: str,
    *,
    domain: str | None = None,
    pair_id: str | None = None,
    span: Span | None = None,
    words: dict[str, str] | None = None,
    **numbers: float,
) -> Found:
    """The trap of that name, its sentence filled in."""
    trap = TRAPS[code]
    places: dict[str, Any] = {"domain": domain, **(words or {}), **numbers}
    return Found(
        code=code,
        severity=trap.severity,
        sentence=trap.sentence.format(**places),
        mend=trap.mend.format(**places),
        domain=domain,
        pair_id=pair_id or None,
        start_ns=span[0] if span else None,
        end_ns=span[1] if span else None,
        numbers={name: float(value) for name, value in numbers.items()},
    )


def merged(spans: Iterable[Span]) -> list[Span]:
    """The union of spans, in order."""
    result: list[Span] = []
    for start, end in sorted(spans):
        if result and start <= result[-1][1]:
            result[-1] = (result[-1][0], max(result[-1][1], end))
        else:
            result.append((start, end))
    return result


def overlap_ns(span: Span, others: Iterable[Span]) -> int:
    """How much of a span lies in others, which do not overlap one another."""
    return sum(max(0, min(span[1], end) - max(span[0], start)) for start, end in others)


def _span(phase: Phase) -> Span:
    return phase.start_ns, phase.end_ns if phase.end_ns is not None else phase.start_ns


def _series(domain: Domain, rows: Sequence[PowerSample]) -> Series:
    def column(values: Iterable[float | None]) -> Floats:
        return np.array([np.nan if value is None else value for value in values], dtype=np.float64)

    power = column(row.power_w for row in rows)
    counter = domain.kind == "counter"
    return Series(
        t_ns=np.array([row.t_ns for row in rows], dtype=np.int64),
        value=column(row.counter_j for row in rows) if counter else power,
        power_w=power,
        temperature_c=column(row.temperature_c for row in rows),
        clock_error_ns=column(row.clock_error_ns for row in rows),
        flag=[row.flag for row in rows],
        throttle=[row.throttle for row in rows],
    )
