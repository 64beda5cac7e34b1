"""How a source behaves in time: how often its value changes, what a read costs, how far it lags.

Ticks and read costs are seen by reading fast for a moment. The lag is seen at a step of known time:
the starts of load phases after the fact (`lag_from_steps`), or a step of CPU load made for the
purpose (`timing_lag.measure_lag`).
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import pairwise
from statistics import median
from typing import NamedTuple

import numpy as np

from perwatt.core.clock import now_ns, seconds
from perwatt.core.protocols import Sensor
from perwatt.core.records import Domain, Reading, SensorTiming

__all__ = ["Watched", "measure_timing", "timing_of", "watch", "worth_s"]

NAP_S = 0.0005
"""At most 2,000 reads a second: fine enough for the 1 ms of RAPL, and a bound on the CPU taken."""
COST_S = 0.02
"""Some tens of reads, enough for what one of them takes."""


class Watched(NamedTuple):
    """What one source gave while it was read as fast as is polite."""

    readings: tuple[Reading, ...]
    read_s: tuple[float, ...]
    """How long each call of `read` took."""
    most: int = 1
    """So many readings of one domain came with one call, at the most."""

    def every(self, period_ns: int) -> Iterator[Reading]:
        """The readings, of a source that answers each call at most one in a period per domain.

        One that keeps its own log gives all: what it leaves out now it never gives again.
        """
        count = Counter(reading.domain for reading in self.readings)
        taken_ns: dict[str, int] = {}
        for reading in self.readings:
            last_ns = taken_ns.get(reading.domain)
            polled = self.most <= 1 and count[reading.domain] == len(self.read_s)
            if not polled or last_ns is None or reading.t_ns - last_ns >= period_ns:
                taken_ns[reading.domain] = reading.t_ns
                yield reading


def watch(sensor: Sensor, duration_s: float) -> Watched:
    """Read a probed sensor for `duration_s` seconds, at 2 kHz at most. What `read` raises passes.

    Nothing is thrown away: a source that keeps its own log gives each reading only once.
    """
    readings: list[Reading] = []
    costs: list[float] = []
    most = 1
    end_ns = now_ns() + round(duration_s * 1e9)
    while True:
        begun_ns = now_ns()
        if begun_ns >= end_ns:
            return Watched(tuple(readings), tuple(costs), most)
        got = sensor.read()
        costs.append(seconds(begun_ns, now_ns()))
        readings += got
        if len(got) > most:
            most = max(most, *Counter(reading.domain for reading in got).values())
        time.sleep(NAP_S)


def worth_s(domains: Sequence[Domain], duration_s: float) -> float:
    """How much of `duration_s` to watch a source: estimates (grade D) have no tick to be seen."""
    estimate = all(domain.grade == "D" for domain in domains)
    return min(duration_s, COST_S) if estimate else duration_s


def timing_of(domain: Domain, watched: Watched) -> SensorTiming:
    """The tick and read cost of one domain of a watched source.

    The first change is not counted from the start, since the tick it ends began unseen. An estimate
    (grade D) has no tick of its own: it changes whenever it is asked.
    """
    read_s = median(watched.read_s) if watched.read_s else None
    if domain.grade == "D":
        return SensorTiming(domain=domain.name, read_s=read_s)
    changed_ns: list[int] = []
    last: float | None = None
    for reading in watched.readings:
        value = reading.counter_j if domain.kind == "counter" else reading.power_w
        if reading.domain != domain.name or value is None:
            continue
        if last is not None and value != last:
            changed_ns.append(reading.t_ns)
        last = value
    gaps = [seconds(a, b) for a, b in pairwise(changed_ns)]
    return SensorTiming(
        domain=domain.name,
        tick_s=median(gaps) if gaps else None,
        tick_high_s=float(np.quantile(gaps, 0.95)) if gaps else None,
        changes=len(changed_ns),
        read_s=read_s,
    )


def measure_timing(
    sensor: Sensor, domains: Sequence[Domain], duration_s: float
) -> tuple[SensorTiming, ...]:
    """Tick and read cost of each domain of a probed sensor, seen over `duration_s` seconds."""
    watched = watch(sensor, worth_s(domains, duration_s))
    return tuple(timing_of(domain, watched) for domain in domains)
