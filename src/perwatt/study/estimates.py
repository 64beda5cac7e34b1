"""Estimates of what is known item by item, by the same intervals as a single run's summary has.

Arrays are (items,), `cluster` numbers (items,) from 0. NaN makes the number None with a reason:
an item without a value never leaves silently.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import msgspec
import numpy as np

from perwatt.core.estimate import Estimate, worst_grade
from perwatt.stats.intervals import Interval
from perwatt.stats.sample import Column, Floats, Ints, Sample
from perwatt.stats.score_interval import score_intervals
from perwatt.stats.student import t_quantile
from perwatt.study.footing import Footing

__all__ = ["Factor", "LogMeans", "Term", "log_ratio", "mean_of", "nothing", "ratio_of", "share_of"]

_NO_SPREAD = 1e-8
"""Of a sum of squares of numbers near 1, rounding leaves so much."""


class Factor(msgspec.Struct, frozen=True):
    """One mean in a product of means."""

    values: Floats
    power: float
    """1 multiplies, −1 divides."""
    noun: str
    footing: Footing | None = None
    """Of joules and watts: their sensor, whose error is drawn apart from the other factors'."""


class Term(msgspec.Struct, frozen=True):
    """A factor whose values are a column of LogMeans."""

    column: int
    power: float
    footing: Footing | None = None


def nothing(reason: str, unit: str = "", n: int = 0) -> Estimate:
    """A number that cannot be had, and why."""
    return Estimate(value=None, unit=unit, n=n, reason=reason)


def share_of(values: Floats, cluster: Ints, noun: str = "score") -> Estimate:
    """The mean of values from 0 to 1."""
    column = Column(values, cluster, noun, share=True)
    return _estimate(_interval({"x": column}, ("x", None)), "share", None)


def mean_of(
    values: Floats, cluster: Ints, unit: str, footing: Footing | None = None, noun: str = "energy"
) -> Estimate:
    """The mean of any values; with `footing`, of joules or watts and their sensor's error."""
    if footing is not None and footing.why_not:
        return nothing(footing.why_not, unit, _count(cluster))
    column = Column(values, cluster, noun, scaled=footing is not None)
    return _estimate(_interval({"x": column}, ("x", None), footing), unit, footing)


def ratio_of(score: Floats, below: Floats, cluster: Ints, unit: str, footing: Footing) -> Estimate:
    """Mean score over mean joules (IPJ) or watts (IPW), both over the same items."""
    if footing.why_not:
        return nothing(footing.why_not, unit, _count(cluster))
    columns = {
        "score": Column(score, cluster, "score", share=True),
        "below": Column(below, cluster, "energy", scaled=True),
    }
    return _estimate(_interval(columns, ("score", "below"), footing), unit, footing)


def log_ratio(factors: Sequence[Factor], cluster: Ints, unit: str = "") -> Estimate:
    """Π meanᵢ^powerᵢ, all over the same items: see `LogMeans`."""
    means = LogMeans([(f.values, f.noun) for f in factors], cluster)
    terms = [Term(at, f.power, f.footing) for at, f in enumerate(factors)]
    return means.ratio(terms, unit)


class LogMeans:
    """Columns (items,) over the same items, from which any product of powers of their means
    follows with its interval, by the delta method on its logarithm.

    An item's part in the logarithm of a mean is x / mean − 1, summed within its cluster. Those of
    several means are added before they are squared, so that what items have in common cancels.
    """

    def __init__(self, columns: Sequence[tuple[Floats, str]], cluster: Ints) -> None:
        sizes = np.bincount(cluster)
        present = sizes > 0
        self.n = int(present.sum())
        self._why = [_why_no_logarithm(values, noun) for values, noun in columns]
        self._mean = [1.0 if why else float(np.mean(v)) for (v, _), why in self._whys(columns)]
        parts = [
            np.zeros(self.n) if why else np.bincount(cluster, weights=values / mean - 1.0)[present]
            for ((values, _), why), mean in zip(self._whys(columns), self._mean, strict=True)
        ]
        table = np.stack(parts, axis=1)
        self._second = table.T @ table / max(1, cluster.size) ** 2
        """(k, k) Σ over clusters of the products of their parts in two logarithms."""

    def _whys(
        self, columns: Sequence[tuple[Floats, str]]
    ) -> list[tuple[tuple[Floats, str], str | None]]:
        return list(zip(columns, self._why, strict=True))

    def ratio(self, terms: Sequence[Term], unit: str = "") -> Estimate:
        """Π meanᵢ^powerᵢ. The errors of sensors are added on the logarithm."""
        footings = [(t.footing, t.power) for t in terms if t.footing is not None]
        reasons = [f.why_not for f, _ in footings] + [self._why[t.column] for t in terms]
        if why := next(filter(None, reasons), None):
            return nothing(why, unit, self.n)
        value = math.exp(sum(t.power * math.log(self._mean[t.column]) for t in terms))
        power = np.zeros(len(self._mean))
        for term in terms:
            power[term.column] += term.power
        n = self.n
        spread = math.sqrt(max(0.0, float(power @ self._second @ power)) * n / max(1, n - 1))
        boundaries = list(dict.fromkeys(f.boundary for f, _ in footings if f.boundary is not None))
        found = Estimate(
            value=value,
            unit=unit,
            n=n,
            grade=worst_grade([f.grade for f, _ in footings if f.grade is not None]),
            boundary=" / ".join(boundaries) or None,
            reason=next((f.caution for f, _ in footings if f.caution), None),
        )
        if n < 2 or spread < _NO_SPREAD:
            alone = "one item alone gives no interval"
            even = "no interval: every item gives the same, so there is no spread"
            return msgspec.structs.replace(found, reason=alone if n < 2 else even)
        middle, half = 0.0, t_quantile(0.975, n - 1) * spread
        for footing, sign in footings:
            low, high = (math.log(bound) for bound in footing.gain)
            middle += sign * (low + high) / 2
            half = math.hypot(half, sign * (high - low) / 2)
        return msgspec.structs.replace(
            found,
            low=min(value, value * math.exp(middle - half)),
            high=max(value, value * math.exp(middle + half)),
            method="delta method on the logarithm, paired over items, Student's t",
        )


def _why_no_logarithm(values: Floats, noun: str) -> str | None:
    if not values.size:
        return "no item is common to both"
    if gone := int(np.isnan(values).sum()):
        return f"{gone} of {values.size} items have no {noun}"
    if not float(np.mean(values)) > 0:
        return f"the mean {noun} is not above zero"
    return None


def _interval(
    columns: dict[str, Column], means: tuple[str, str | None], footing: Footing | None = None
) -> Interval:
    cluster = columns[means[0]].cluster
    if not cluster.size:
        return Interval(value=None, n=0, reason="no item was asked of all of them and judged")
    above, below = means

    def metric(sample: Sample) -> Floats:
        top = sample.mean(above)
        return top if below is None else top / sample.mean(below)

    with np.errstate(divide="ignore", invalid="ignore"):
        found = score_intervals(
            columns,
            int(cluster.max()) + 1,
            {"m": metric},
            {"m": means},
            gain=footing.gain if footing else (1.0, 1.0),
        )
    return found["m"]


def _estimate(found: Interval, unit: str, footing: Footing | None) -> Estimate:
    return Estimate(
        value=found.value,
        low=found.low,
        high=found.high,
        unit=unit,
        method=found.method,
        n=found.n,
        grade=footing.grade if footing else None,
        boundary=footing.boundary if footing else None,
        reason=found.reason or (footing.caution if footing else None),
    )


def _count(cluster: Ints) -> int:
    return int(np.unique(cluster).size)
