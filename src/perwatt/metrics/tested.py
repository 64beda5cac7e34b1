"""Two pairs' columns over the same clusters: each metric's ratio, difference and paired test."""

from __future__ import annotations

import math
from collections.abc import Mapping
from statistics import NormalDist

import msgspec
import numpy as np

from perwatt.metrics.differences import paired_differences
from perwatt.metrics.metric import Metric
from perwatt.stats.compare import flip_test, paired_bootstrap
from perwatt.stats.intervals import Gain, Interval
from perwatt.stats.sample import Column, Floats

__all__ = ["Tested", "tested"]


class Tested(msgspec.Struct, frozen=True, kw_only=True):
    """One metric of a against b."""

    ratio: Interval
    """a / b."""
    difference: Interval
    """a − b."""
    apart: Floats | None = None
    """(clusters,) differences a − b that the test was made on; None: it is no mean or ratio of
    means, or cannot be had."""
    p: float | None = None
    errors: float | None = None
    """Those differences' mean in standard errors; None also where more items would not help."""


def tested(
    a: Mapping[str, Column],
    b: Mapping[str, Column],
    clusters: int,
    metrics: Mapping[str, Metric],
    *,
    gain_a: Gain,
    gain_b: Gain,
    same_sensor: bool,
    rng: np.random.Generator,
    draws: int,
) -> dict[str, Tested]:
    """Every metric, tested in the order of `metrics`. `same_sensor` as in `paired_bootstrap`."""
    spread = 0.0 if same_sensor else math.hypot(_spread(gain_a), _spread(gain_b))
    with np.errstate(invalid="ignore"):  # no value on either side of a draw: no interval
        ratios, differences = paired_bootstrap(
            a,
            b,
            clusters,
            metrics,
            rng=rng,
            draws=draws,
            gain_a=gain_a,
            gain_b=gain_b,
            same_sensor=same_sensor,
        )
    found = {}
    for name, metric in metrics.items():
        ratio, gap = ratios[name], differences[name]
        if gap.value is None or clusters < 2 or metric.means is None:
            found[name] = Tested(ratio=ratio, difference=gap)
            continue
        apart = paired_differences(a, b, clusters, metric.means)
        p, errors = flip_test(apart, rng=rng)
        kept: float | None = errors if math.isfinite(errors) else None
        if metric.energy and spread != 0:
            # More items make the sensors no better, so none are promised to decide it.
            p, kept = max(p, _sensors_p(ratio.value, apart, spread)), None
        found[name] = Tested(ratio=ratio, difference=gap, apart=apart, p=p, errors=kept)
    return found


def _spread(gain: Gain) -> float:
    """Standard deviation of the logarithm of the gain."""
    low, high = gain
    return math.log(high / low) / (2 * NormalDist().inv_cdf(0.975))


def _sensors_p(ratio: float | None, apart: Floats, spread: float) -> float:
    """That two sensors' own errors, and the items drawn, make a ratio as far from 1."""
    if ratio is None or not 0 < ratio < math.inf:
        return 0.0
    # d is half the logarithm of the ratio, item by item, to first order.
    own = 2 * math.sqrt(float(np.var(apart, ddof=1)) * apart.size)
    return math.erfc(abs(math.log(ratio)) / math.hypot(own, spread) / math.sqrt(2))
