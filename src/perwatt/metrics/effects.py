"""How large a paired difference is, apart from how sure: sizes that do not grow with the items.

- dz, the standardised mean difference of pairs: mean of the items' differences over their standard
  deviation (Cohen 1988, Statistical Power Analysis, §2.3.5; Lakens 2013, Front. Psychol. 4:863).
  For a ratio of two means the differences are those of `differences.paired_differences`. Interval:
  dz ± z·√(1/n + dz²/2n) (Hedges & Olkin 1985, §5).
- h, of two shares: 2·asin √p_b − 2·asin √p_a (Cohen 1988, §6.2). Interval by the delta method over
  items, paired.
- superiority: the chance that of one item b's value is the better one, ties counted half (McGraw &
  Wong 1992, Psychol. Bull. 111:361; Grissom 1994, J. Appl. Psychol. 79:314). Where lower is better,
  the better one is the lower. Wilson's interval, for ties and repeats by its effective items.

All of b against a: positive (or above a half) where b has more of it, or is better.
"""

from __future__ import annotations

import math
from statistics import NormalDist

import numpy as np

from perwatt.core.estimate import Estimate
from perwatt.stats.sample import Column, Floats
from perwatt.stats.score_interval import share_interval

__all__ = ["cohens_h", "standardised_difference", "superiority"]

_Z = NormalDist().inv_cdf(0.975)
_DELTA = "delta method over items, paired"


def standardised_difference(apart: Floats) -> Estimate:
    """dz of (n,) differences b − a. No value where they do not differ from item to item."""
    n = apart.size
    spread = float(apart.std(ddof=1)) if n > 1 else 0.0
    if spread <= 1e-12 * float(np.abs(apart).max(initial=0.0)) or spread == 0.0:
        same = "the difference is the same for every item, so it has no spread to be measured in"
        return Estimate(value=None, n=n, reason=same)
    value = float(apart.mean()) / spread
    half = _Z * math.sqrt(1 / n + value**2 / (2 * n))
    method = "normal, variance 1/n + dz²/2n"
    return Estimate(value=value, low=value - half, high=value + half, method=method, n=n)


def cohens_h(a: Column, b: Column, clusters: int) -> Estimate:
    """h of two columns of values from 0 to 1, none missing, over the same clusters."""
    shares, parts = [], []
    for column in (b, a):
        share = float(column.values.mean())
        shares.append(2 * math.asin(math.sqrt(share)))
        slope = share * (1 - share)
        sums = np.bincount(column.cluster, weights=column.values - share, minlength=clusters)
        scale = column.values.size / clusters
        parts.append(sums / scale / math.sqrt(slope) if slope > 0 else None)
    value = shares[0] - shares[1]
    one, other = parts
    if one is None or other is None or clusters < 2:
        why = "no interval: one of the shares is 0 or 1"
        return Estimate(value=value, n=clusters, reason=why)
    half = _Z * float((one - other).std(ddof=1)) / math.sqrt(clusters)
    return Estimate(value=value, low=value - half, high=value + half, method=_DELTA, n=clusters)


def superiority(a: Column, b: Column, clusters: int, *, lower_is_better: bool) -> Estimate:
    """Chance that b is the better one of an item that both have a value for, ties half."""
    means = []
    for column in (a, b):
        present = ~np.isnan(column.values)
        cluster = column.cluster[present]
        sums = np.bincount(cluster, weights=column.values[present], minlength=clusters)
        counts = np.bincount(cluster, minlength=clusters)
        means.append(np.where(counts > 0, sums / np.maximum(counts, 1), np.nan))
    gap = means[0] - means[1] if lower_is_better else means[1] - means[0]
    gap = gap[~np.isnan(gap)]
    if gap.size < 2:
        return Estimate(value=None, n=int(gap.size), reason="fewer than two items have both")
    wins = (np.sign(gap) + 1) / 2
    column = Column(wins, np.arange(wins.size), "value", share=True)
    low, high, method = share_interval(column, wins.size)
    value = float(wins.mean())
    return Estimate(
        value=value,
        low=min(low, value),
        high=max(high, value),
        unit="share",
        method=method,
        n=wins.size,
    )
