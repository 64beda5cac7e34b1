"""Two pairs' means against each other from their sums alone: as if they had no item in common.

What items have in common is not taken out, so an interval is too wide where the pairs find the
same items dear or hard, which they mostly do.
"""

from __future__ import annotations

import math

from perwatt.core.estimate import Estimate
from perwatt.stats.intervals import Gain
from perwatt.stats.moments import Moments
from perwatt.stats.student import t_quantile

__all__ = ["difference", "unpaired_ratio"]


def difference(a: Moments, b: Moments, column: str, unit: str) -> Estimate:
    """Mean of a less that of b: Welch's interval."""
    if why := a.reason(column) or b.reason(column):
        return Estimate(value=None, unit=unit, reason=why)
    errors = [_error(m, column) for m in (a, b)]
    value = a.part(column).mean - b.part(column).mean
    spread = math.hypot(*errors)
    n = min(a.part(column).n, b.part(column).n)
    if n < 2 or spread <= 0:
        return Estimate(value=value, unit=unit, n=n, reason="no interval: no spread is seen")
    half = t_quantile(0.975, _degrees(a, b, column, errors)) * spread
    return Estimate(
        value=value, low=value - half, high=value + half, unit=unit, n=n, method="Welch, unpaired"
    )


def unpaired_ratio(a: Moments, b: Moments, column: str, *, gain: Gain = (1.0, 1.0)) -> Estimate:
    """Mean of a over that of b: the delta method on its logarithm. `gain`: of each one's sensor."""
    if why := a.reason(column) or b.reason(column):
        return Estimate(value=None, reason=why)
    means = [m.part(column).mean for m in (a, b)]
    n = min(a.part(column).n, b.part(column).n)
    if min(means) <= 0:
        return Estimate(value=None, n=n, reason="what is divided is not above zero")
    value = means[0] / means[1]
    errors = [_error(m, column) / mean for m, mean in zip((a, b), means, strict=True)]
    if n < 2 or math.hypot(*errors) <= 0:
        return Estimate(value=value, n=n, reason="no interval: no spread is seen")
    half = t_quantile(0.975, _degrees(a, b, column, errors)) * math.hypot(*errors)
    sensor = math.log(gain[1] / gain[0]) / 2
    reach = math.hypot(half, sensor, sensor)
    return Estimate(
        value=value,
        low=value * math.exp(-reach),
        high=value * math.exp(reach),
        n=n,
        method="delta method on the logarithm, unpaired, Student's t",
    )


def _error(m: Moments, column: str) -> float:
    part = m.part(column)
    return math.sqrt(part.variance / part.n)


def _degrees(a: Moments, b: Moments, column: str, errors: list[float]) -> float:
    """Welch and Satterthwaite's."""
    sizes = [max(1, m.part(column).n - 1) for m in (a, b)]
    below = sum(e**4 / size for e, size in zip(errors, sizes, strict=True))
    return sum(e**2 for e in errors) ** 2 / below
