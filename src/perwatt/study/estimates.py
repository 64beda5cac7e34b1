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

__all__ = ["Factor", "log_ratio", "mean_of", "nothing", "ratio_of", "share_of"]


class Factor(msgspec.Struct, frozen=True):
    """One mean in a product of means."""

    values: Floats
    power: float
    """1 multiplies, −1 divides."""
    noun: str
    footing: Footing | None = None
    """Of joules and watts: their sensor, whose error is drawn apart from the other factors'."""


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
    """Π meanᵢ^powerᵢ, all over the same items, by the delta method on its logarithm.

    Each item's part in ln(value) is Σ powerᵢ (xᵢ / meanᵢ − 1), summed within its cluster, so that
    what items have in common cancels. Errors of sensors are added on the logarithm.
    """
    n = _count(cluster)
    footings = [(f.footing, f.power) for f in factors if f.footing is not None]
    if why := _why_not(factors, [footing for footing, _ in footings]):
        return nothing(why, unit, n)
    means = [float(np.mean(f.values)) for f in factors]
    value = math.exp(sum(f.power * math.log(m) for f, m in zip(factors, means, strict=True)))
    part = np.zeros(factors[0].values.size)
    for factor, mean in zip(factors, means, strict=True):
        part += factor.power * (factor.values / mean - 1)
    size = np.bincount(cluster)
    sums = np.bincount(cluster, weights=part)[size > 0]
    spread = math.sqrt(float(sums @ sums) / n / max(1, n - 1)) * n / part.size
    grades = [f.grade for f, _ in footings if f.grade is not None]
    boundaries = list(dict.fromkeys(f.boundary for f, _ in footings if f.boundary is not None))
    found = Estimate(
        value=value,
        unit=unit,
        n=n,
        grade=worst_grade(grades),
        boundary=" / ".join(boundaries) or None,
        reason=next((f.caution for f, _ in footings if f.caution), None),
    )
    if n < 2 or spread < 1e-12:
        alone = "one item alone gives no interval"
        even = "no interval: every item gives the same, so there is no spread"
        return msgspec.structs.replace(found, reason=alone if n < 2 else even)
    middle, half = 0.0, t_quantile(0.975, n - 1) * spread
    for footing, power in footings:
        low, high = (math.log(bound) for bound in footing.gain)
        middle += power * (low + high) / 2
        half = math.hypot(half, (high - low) / 2)
    return msgspec.structs.replace(
        found,
        low=min(value, value * math.exp(middle - half)),
        high=max(value, value * math.exp(middle + half)),
        method="delta method on the logarithm, paired over items, Student's t",
    )


def _why_not(factors: Sequence[Factor], footings: Sequence[Footing]) -> str | None:
    for footing in footings:
        if footing.why_not:
            return footing.why_not
    for factor in factors:
        if not factor.values.size:
            return "no item is common to both"
        if gone := int(np.isnan(factor.values).sum()):
            return f"{gone} of {factor.values.size} items have no {factor.noun}"
        if not float(np.mean(factor.values)) > 0:
            return f"the mean {factor.noun} is not above zero"
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
