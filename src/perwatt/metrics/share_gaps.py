"""Differences and ratios of shares where resampling sees too little: few items answered unlike."""

from __future__ import annotations

import numpy as np

from perwatt.stats.intervals import Interval
from perwatt.stats.paired_share import tango_bounds
from perwatt.stats.sample import Column

__all__ = ["share_gap", "share_ratio"]


def share_gap(a: Column, b: Column, clusters: int, drawn: Interval) -> Interval:
    """b − a. Tango's score interval of right and wrong asked once; `drawn`, the bootstrap's, of all
    else, unless no cluster differs: then that of as many items that all came out alike."""
    sums = [np.bincount(c.cluster, weights=c.values, minlength=clusters) for c in (a, b)]
    once = all(np.bincount(c.cluster, minlength=clusters).max() == 1 for c in (a, b))
    if drawn.value is None or clusters < 2:
        return drawn
    if once and all(np.isin(c.values, (0.0, 1.0)).all() for c in (a, b)):
        gap = sums[1] - sums[0]
        low, high = tango_bounds(int((gap > 0).sum()), int((gap < 0).sum()), clusters)
        method = "Tango's score interval of paired shares"
    elif drawn.low is None or drawn.low == drawn.high:
        low, high = tango_bounds(0, 0, clusters)
        low, high = drawn.value + low, drawn.value + high
        method = "Tango's score interval, no item unlike"
    else:
        return drawn
    return Interval(
        value=drawn.value,
        low=min(low, drawn.value),
        high=max(high, drawn.value),
        n=clusters,
        method=method,
    )


def share_ratio(ratio: Interval, gap: Interval, share_a: float | None) -> Interval:
    """b / a. Where resampling saw no spread, the difference's interval over a's share."""
    degenerate = ratio.low is None or ratio.low == ratio.high
    if ratio.value is None or not degenerate or gap.low is None or gap.high is None or not share_a:
        return ratio
    return Interval(
        value=ratio.value,
        low=max(0.0, ratio.value + (gap.low - (gap.value or 0.0)) / share_a),
        high=ratio.value + (gap.high - (gap.value or 0.0)) / share_a,
        n=ratio.n,
        method=f"{gap.method}, over a's share",
    )
