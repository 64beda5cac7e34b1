"""Joules and seconds of a query against how many are in flight, from measured points.

Between points both are straight lines on logarithms: a batch that doubles costs a fixed factor.
Beyond the points nothing is extrapolated: the nearest point stands, and `beyond` says so.
"""

from __future__ import annotations

import math

import msgspec
import numpy as np

from perwatt.core.errors import SpecError
from perwatt.routing.savings_mix import Floats

__all__ = ["BatchCurve", "BatchPoint"]


class BatchPoint(msgspec.Struct, frozen=True, kw_only=True):
    """One measured load."""

    in_flight: float
    energy_j: float
    """Per query, gross: the machine's idle draw is in it."""
    seconds: float
    """Per query, from dispatch to the last token."""

    @property
    def per_s(self) -> float:
        """Queries per second that one machine finishes (Little's law)."""
        return self.in_flight / self.seconds


class BatchCurve(msgspec.Struct, frozen=True):
    """Measured points of one machine by rising load. Raises SpecError for any that cannot be."""

    points: tuple[BatchPoint, ...]

    def __post_init__(self) -> None:
        if not self.points:
            msg = "A batch curve needs at least one measured load."
            raise SpecError(msg, "Measure one, such as --load closed:1.")
        for point in self.points:
            values = (point.in_flight, point.energy_j, point.seconds)
            if not all(0 < value < math.inf for value in values):
                msg = f"A batch curve's point has a value that is no positive number: {point}."
                raise SpecError(msg, "Leave it out.")
        for before, after in zip(self.points, self.points[1:], strict=False):
            if after.in_flight <= before.in_flight:
                msg = f"A batch curve's loads must rise: {before.in_flight}, {after.in_flight}."
                raise SpecError(msg, "Sort them, and give each load once.")

    @property
    def rising(self) -> tuple[BatchPoint, ...]:
        """Points up to the one of the highest rate: more in flight than that only waits."""
        top = max(range(len(self.points)), key=lambda n: self.points[n].per_s)
        kept = [self.points[0]]
        for point in self.points[1 : top + 1]:
            if point.per_s > kept[-1].per_s:
                kept.append(point)
        return tuple(kept)

    def energy_j(self, in_flight: Floats | float) -> Floats:
        """Per query, at one load or at many."""
        return self._at(in_flight, [p.energy_j for p in self.points])

    def seconds(self, in_flight: Floats | float) -> Floats:
        return self._at(in_flight, [p.seconds for p in self.points])

    def per_s(self, in_flight: float) -> float:
        """Queries per second of one machine at that load, which must be within the points."""
        return min(in_flight, self.points[-1].in_flight) / float(self.seconds(in_flight))

    def in_flight_at(self, per_s: Floats | float) -> Floats:
        """The load at which one machine finishes `per_s`; the smallest measured one below it (the
        machine is then idle for part of the time), the largest useful one above it."""
        rising = self.rising
        rates = np.log([p.per_s for p in rising])
        loads = np.log([p.in_flight for p in rising])
        wanted = np.log(np.maximum(per_s, rising[0].per_s))
        return np.exp(np.interp(wanted, rates, loads))

    def beyond(self, in_flight: float) -> bool:
        """Is this load outside what was measured?"""
        slack = 1e-9
        first, last = self.points[0].in_flight, self.points[-1].in_flight
        return not first * (1 - slack) <= in_flight <= last * (1 + slack)

    def _at(self, in_flight: Floats | float, values: list[float]) -> Floats:
        loads = np.log([p.in_flight for p in self.points])
        return np.exp(np.interp(np.log(in_flight), loads, np.log(values)))
