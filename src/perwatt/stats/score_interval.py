"""95% intervals of means and of ratios of two means that hold the truth with few items as well.

One idea, three corrections. A candidate value r is in the interval when what was seen does not lie
too far from it, in standard errors:

    T(r) = (ā − r·ē) / √(v(r) / n),   q_low ≤ T(r) ≤ q_high,   n clusters

- For a share, v is what the candidate implies, p₀(1 − p₀) × the design effect (how much more than
  coin tosses clusters vary): Wilson's interval (1927) with an effective number of items (Korn &
  Graubard 1998). Right answers that are 0 of n still leave an upper bound.
- A ratio is not divided: ā − r·ē is linear in the means, and r is solved for (Fieller 1954). In
  correct answers per joule the candidate's share is p₀ = r·ē.
- q are Student's quantiles; the skew of joules and seconds is taken out of them by Hall's transform
  (1992, J. R. Statist. Soc. B 54:221). The skew of counts is in Wilson's variance already.

A cluster is an item with all its repeats, or a group of items; sizes may differ. The sensor's own
gain is added on the logarithm by Zou & Donner's rule (2008): distances from the value, squared.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from statistics import NormalDist

import msgspec
import numpy as np

from perwatt.stats.intervals import Gain, Interval, wilson_bounds
from perwatt.stats.sample import Column, Floats, MissingValueError, Sample
from perwatt.stats.student import t_quantile

__all__ = ["Means", "Part", "part_interval", "score_intervals", "share_interval"]

_Z = NormalDist().inv_cdf(0.975)
_SKEW = 3.0
"""Moments of few values say no more than this."""

Means = tuple[str, str | None]
"""Columns whose means are divided; None: the mean of the first alone."""
Bounds = tuple[float, float, str]
"""Low, high, and how they were had."""


class Part(msgspec.Struct, frozen=True):
    """What an interval needs to know of one column: moments of its clusters.

    A cluster's residual is what it adds beyond the mean, in units of one cluster's mean size.
    """

    mean: float
    variance: float
    """Σ residual² / (n − 1)."""
    third: float
    """Mean of residual³; not asked of a share."""
    n: int
    """Clusters with a value."""
    most: float
    """Effective items there can be at most: independent 0/1 answers."""
    coins: bool
    """One 0/1 answer to a cluster."""
    share: bool = False
    """Does every value lie between 0 and 1?"""
    scaled: bool = False
    """Is it proportional to the energy sensor's gain?"""


def score_intervals(
    columns: Mapping[str, Column],
    clusters: int,
    metrics: Mapping[str, Callable[[Sample], Floats]],
    means: Mapping[str, Means],
    *,
    gain: Gain = (1.0, 1.0),
) -> dict[str, Interval]:
    """Each metric named in `means` with its interval; its value is what the metric itself says."""
    found: dict[str, Interval] = {}
    whole = Sample(columns, np.ones((1, clusters)), np.ones(1))
    for name, (above, below) in means.items():
        try:
            value = float(metrics[name](whole)[0])
        except MissingValueError as missing:
            found[name] = Interval(value=None, n=clusters, reason=str(missing))
            continue
        part, residual = _part(columns[above], clusters)
        other, cross = None, 0.0
        if below is not None:
            other, beside = _part(columns[below], clusters)
            # Clusters without a value on one side have residual 0 there.
            cross = float(residual @ beside)
        found[name] = part_interval(value, part, other, cross, clusters=clusters, gain=gain)
    return found


def share_interval(column: Column, clusters: int) -> Bounds:
    """(low, high, method) of the mean of values from 0 to 1, in two or more clusters."""
    return _share(_part(column, clusters)[0])


def part_interval(
    value: float,
    above: Part,
    below: Part | None = None,
    cross: float = 0.0,
    *,
    clusters: int,
    gain: Gain = (1.0, 1.0),
) -> Interval:
    """The interval of `value`, the mean of `above` or its ratio to that of `below`.

    `cross`: Σ above's residual × below's over clusters.
    """
    if not math.isfinite(value):
        return Interval(value=None, n=clusters, reason="its denominator is zero")
    if clusters < 2 or above.n < 2:
        return Interval(value=value, n=clusters, reason="one item alone gives no interval")
    if below is None and above.share and 0 <= above.mean <= 1:  # a foreign score may be no share
        low, high, method = _share(above)
    elif below is None:
        low, high = _mean(above)
        method = "skewness-corrected t over items"
    elif below.share and not above.share:
        if above.mean <= 0:
            why = "no interval: what it measures is not above zero"
            return Interval(value=value, n=clusters, reason=why)
        upside = _ratio(below, above, cross)
        low, high = (1 / x if x > 0 else math.inf for x in reversed(upside))
        method = "score interval of a ratio over items"
    else:
        low, high = _ratio(above, below, cross)
        method = "score interval of a ratio over items"
    if low == high == value == 0.0:
        why = "no interval: every item gives 0, so there is no spread"
        return Interval(value=value, n=clusters, reason=why)
    scaled = (above.scaled, below is not None and below.scaled)
    if scaled[0] != scaled[1]:
        low, high = _with_gain(value, low, high, gain if scaled[0] else (1 / gain[1], 1 / gain[0]))
    if not math.isfinite(high):
        why = "no interval: its denominator may as well be zero, so there is no upper bound"
        return Interval(value=value, n=clusters, reason=why)
    # Bisection stops a hair short of the value where there is no spread.
    return Interval(
        value=value, low=min(low, value), high=max(high, value), n=clusters, method=method
    )


def _part(column: Column, clusters: int) -> tuple[Part, Floats]:
    """And the residual of each cluster, (clusters,)."""
    present = ~np.isnan(column.values)
    values, cluster = column.values[present], column.cluster[present]
    sizes = np.bincount(cluster, minlength=clusters).astype(np.float64)
    sums = np.bincount(cluster, weights=values, minlength=clusters)
    mean = float(sums.sum() / sizes.sum())
    n = int((sizes > 0).sum())
    residual = (sums - mean * sizes) / (sizes.sum() / n)
    binary = bool(np.isin(values, (0.0, 1.0)).all())
    part = Part(
        mean=mean,
        variance=float(residual @ residual) / max(1, n - 1),
        third=float(np.mean(residual**3)),
        n=n,
        most=float(values.size) if binary else math.inf,
        coins=binary and bool((sizes <= 1).all()),
        share=column.share,
        scaled=column.scaled,
    )
    return part, residual


def _share(part: Part) -> Bounds:
    if part.coins:
        return (*wilson_bounds(part.mean, part.n, _Z), "Wilson score")
    effective = min(part.n / _design(part), part.most)
    bounds = wilson_bounds(part.mean, effective, t_quantile(0.975, part.n - 1))
    return (*bounds, f"Wilson score, clustered: worth {effective:.0f} independent answers")


def _design(part: Part) -> float:
    """Variance between clusters over that of one coin toss each; 1 where all agree."""
    toss = part.mean * (1 - part.mean)
    if part.coins or toss <= 0:
        return 1.0
    return max(part.variance / toss, 1e-12)


def _mean(part: Part) -> tuple[float, float]:
    error = math.sqrt(part.variance / part.n)
    low, high = _quantiles(part.third, part.variance, part.n)
    return part.mean - high * error, part.mean - low * error


def _ratio(above: Part, below: Part, cross: float) -> tuple[float, float]:
    """Bounds of above.mean / below.mean, which must be positive below; inf where there is none."""
    n, middle = below.n, above.mean / below.mean
    design = _design(above)
    both = math.sqrt(above.variance * below.variance)
    together = cross / max(1, n - 1)
    correlation = together / both if both > 0 else 0.0
    whole = above.variance + middle**2 * below.variance - 2 * middle * together
    skew = -(middle**3) * below.third
    if not above.share:
        skew += above.third
    q_low, q_high = _quantiles(skew, max(whole, 0.0), n)

    def inside(r: float) -> bool:
        guess = min(max(r * below.mean, 0.0), 1.0)
        own = guess * (1 - guess) * design if above.share else above.variance
        spread = own + r**2 * below.variance - 2 * r * correlation * math.sqrt(own * below.variance)
        gap = above.mean - r * below.mean
        if spread <= 0:
            return abs(gap) <= 1e-12 * abs(above.mean)
        return q_low <= gap / math.sqrt(spread / n) <= q_high

    # Below any bound of interest: a share of 1, or many standard errors.
    top = (
        1.0 if above.share else abs(above.mean) + 40 * math.sqrt(above.variance / n)
    ) / below.mean
    # Mostly no farther than this, which saves a third of the search.
    step = 4 * math.sqrt(max(whole, 0.0) / n) / below.mean
    low = 0.0
    if middle > 0 and not inside(0.0):
        low = _edge(inside, middle, 0.0, max(0.0, middle - step))
    far = max(20 * top, 20 * middle)
    high = math.inf if inside(far) else _edge(inside, middle, far, min(far, middle + step))
    return low, high


def _edge(inside: Callable[[float], bool], within: float, without: float, near: float) -> float:
    """Where `inside` ends between `within` and `without`; `near`: a guess beyond the edge."""
    within, without = (near, without) if inside(near) else (within, near)
    for _ in range(60):
        middle = (within + without) / 2
        if middle in (within, without):
            break
        within, without = (middle, without) if inside(middle) else (within, middle)
    return within


def _quantiles(third: float, variance: float, n: int) -> tuple[float, float]:
    """Student's ∓t, moved by the skew third / variance^1.5 of what is averaged (Hall 1992)."""
    t = t_quantile(0.975, max(1, n - 1))
    skew = third / variance**1.5 if variance > 0 else 0.0
    step = min(max(skew, -_SKEW), _SKEW) / math.sqrt(n)
    if abs(step) < 1e-6:
        return -t, t
    low, high = (3 / step * (np.cbrt(1 + step * (x - step / 6)) - 1) for x in (-t, t))
    return float(low), float(high)


def _with_gain(value: float, low: float, high: float, gain: Gain) -> tuple[float, float]:
    """Bounds of value × gain, the gain lognormal with its central 95% in `gain`."""
    if gain == (1.0, 1.0) or value <= 0:
        return low * gain[0], high * gain[1]
    middle, half = math.log(gain[0] * gain[1]) / 2, math.log(gain[1] / gain[0]) / 2
    down = math.log(value / low) if low > 0 else math.inf
    up = math.log(high / value)
    return (
        value * math.exp(middle - math.hypot(down, half)),
        value * math.exp(middle + math.hypot(up, half)),
    )
