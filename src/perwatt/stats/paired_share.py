"""95% score interval of the difference of two shares on the same items.

A bootstrap of items that nobody answered differently has no spread, and says that two pairs are
alike to the last digit. The score interval does not: none of n items unlike still leaves
z²/(n + z²), 0.75 points for 506 items.
"""

from __future__ import annotations

import math
from statistics import NormalDist

__all__ = ["tango_bounds"]

_Z = NormalDist().inv_cdf(0.975)


def tango_bounds(only_a: int, only_b: int, n: int) -> tuple[float, float]:
    """(low, high) of share a − share b, −1 to 1; `only_a` of `n` items only a got right.

    Tango (1998), Statist. Med. 17:891: the difference Δ is in the interval when what was seen lies
    within z standard errors of it, the chance of `only_b` being the likeliest one under Δ. At Δ = 0
    this is McNemar's statistic. ValueError unless the counts are of `n` ≥ 1 items.
    """
    if n < 1 or only_a < 0 or only_b < 0 or only_a + only_b > n:
        msg = f"of {n} items cannot be {only_a} and {only_b}"
        raise ValueError(msg)
    seen = (only_a - only_b) / n
    return _edge(only_a, only_b, n, seen, -1.0), _edge(only_a, only_b, n, seen, 1.0)


def _edge(only_a: int, only_b: int, n: int, within: float, without: float) -> float:
    if within == without:
        return without
    for _ in range(60):
        middle = (within + without) / 2
        inside = abs(_statistic(only_a, only_b, n, middle)) <= _Z
        within, without = (middle, without) if inside else (within, middle)
    return within


def _statistic(only_a: int, only_b: int, n: int, delta: float) -> float:
    b = -only_a - only_b + (2 * n - only_a + only_b) * delta
    c = -only_b * delta * (1 - delta)
    chance = (math.sqrt(max(b * b - 8 * n * c, 0.0)) - b) / (4 * n)
    variance = n * (2 * chance + delta * (1 - delta))
    gap = only_a - only_b - n * delta
    if variance <= 0:
        return 0.0 if gap == 0 else math.copysign(math.inf, gap)
    return gap / math.sqrt(variance)
