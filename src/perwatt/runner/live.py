"""Watts of the last second or so, for the progress line."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence

from perwatt.core.clock import now_ns, seconds
from perwatt.core.records import Domain, PowerSample

__all__ = ["LiveWatts"]

SPAN_NS = 1_500_000_000
FRESH_NS = 200_000_000
"""Worked out no more often than this: thousands of requests a second each ask for it."""


class LiveWatts:
    """Keeps the latest samples of the domains that are summed."""

    def __init__(self) -> None:
        self._recent: deque[PowerSample] = deque(maxlen=4096)
        self._said: tuple[int, float | None] | None = None

    def clear(self) -> None:
        """Forget: what comes next is another stretch."""
        self._recent.clear()
        self._said = None

    def take(self, samples: Iterable[PowerSample]) -> None:
        self._recent.extend(samples)

    def power_w(self, domains: Sequence[Domain]) -> float | None:
        """Their sum, at most a fifth of a second old; None while any of them is unknown."""
        t_ns = now_ns()
        if self._said is None or t_ns - self._said[0] > FRESH_NS:
            self._said = (t_ns, self._sum(domains))
        return self._said[1]

    def _sum(self, domains: Sequence[Domain]) -> float | None:
        newest = self._recent[-1].t_ns if self._recent else 0
        near = [sample for sample in self._recent if newest - sample.t_ns < SPAN_NS]
        watts = [_watts([s for s in near if s.domain == domain.name]) for domain in domains]
        known = [each for each in watts if each is not None]
        return sum(known) if known and len(known) == len(watts) else None


def _watts(near: Sequence[PowerSample]) -> float | None:
    counted = [(s.t_ns, s.counter_j) for s in near if s.counter_j is not None]
    if len(counted) >= 2 and counted[-1][0] > counted[0][0]:
        return (counted[-1][1] - counted[0][1]) / seconds(counted[0][0], counted[-1][0])
    gauges = [s.power_w for s in near if s.power_w is not None]
    return sum(gauges) / len(gauges) if gauges else None
