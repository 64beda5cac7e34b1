"""Queries per second over a day or a trace, in bins: what the machines must be sized for."""

from __future__ import annotations

import math
from collections.abc import Sequence

import msgspec
import numpy as np

from perwatt.core.errors import SpecError

__all__ = ["Demand", "demand_of", "level_demand", "shaped_demand"]

HOUR_S = 3600.0
SHORTEST_S = 1e-3
"""A trace that is shorter came at one moment: clocks of traces tell no finer."""


class Demand(msgspec.Struct, frozen=True, kw_only=True):
    """Arrivals by bin of equal length."""

    per_s: tuple[float, ...]
    """Mean queries per second of each bin."""
    bin_s: float
    source: str

    def __post_init__(self) -> None:
        rates = all(0 <= rate < math.inf for rate in self.per_s)
        if not rates or not any(self.per_s) or not 0 < self.bin_s < math.inf:
            msg = f"The demand {self.source} needs bins of some length, and a query in one of them."
            raise SpecError(msg, "Give a trace with at least one request.")

    @property
    def queries(self) -> float:
        return sum(self.per_s) * self.bin_s

    @property
    def peak_per_s(self) -> float:
        return max(self.per_s)


def demand_of(arrivals_s: Sequence[float], source: str, *, bin_s: float | None = None) -> Demand:
    """A trace's arrivals (seconds, in any order) in equal bins of about `bin_s`.

    None: an hour, or a twenty-fourth of a trace that is shorter than a day.
    """
    if not arrivals_s:
        msg = f"The trace {source} holds no request."
        raise SpecError(msg, "Give one with at least one request.")
    arrivals = np.asarray(arrivals_s, dtype=np.float64)
    first = float(arrivals.min())
    end = float(arrivals.max()) - first
    if not math.isfinite(end):
        msg = f"The trace {source} has an arrival that is no time."
        raise SpecError(msg, "Leave it out.")
    if end < SHORTEST_S:
        # All at one moment: there is no rate, so they are said to come within a second.
        return Demand(per_s=(float(len(arrivals_s)),), bin_s=1.0, source=source)
    bins = max(1, round(end / bin_s)) if bin_s else max(24, round(end / HOUR_S))
    counts, _ = np.histogram(arrivals - first, bins=bins, range=(0.0, end))
    width = end / bins
    return Demand(per_s=tuple(float(c) / width for c in counts), bin_s=width, source=source)


def level_demand(queries: float, *, hours: float = 24.0) -> Demand:
    """The same rate in every hour."""
    if not 0 < hours < math.inf:
        msg = f"Queries are spread over some hours, not {hours:g}."
        raise SpecError(msg)
    bins = max(1, round(hours))
    rate = queries / (hours * HOUR_S)
    source = f"{queries:,.0f} queries spread evenly over {hours:g} h"
    return Demand(per_s=(rate,) * bins, bin_s=hours * HOUR_S / bins, source=source)


def shaped_demand(queries: float, shape: Sequence[float], source: str) -> Demand:
    """`queries` over one day in the proportions of `shape`, one number for each equal bin."""
    total = float(sum(shape))
    if not 0 < total < math.inf:
        msg = f"The daily shape {source} sums to {total:g}."
        raise SpecError(msg, "Give at least one positive number.")
    bin_s = 24 * HOUR_S / len(shape)
    per_s = tuple(queries * float(x) / total / bin_s for x in shape)
    return Demand(per_s=per_s, bin_s=bin_s, source=source)
