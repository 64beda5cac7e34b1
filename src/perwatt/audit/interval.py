"""Closed intervals: what a printed number may have been before it was rounded.

Arithmetic keeps every value that the true operands could give (Moore 1966), so a recomputed
interval that misses the printed one cannot be explained by rounding.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import product
from math import isfinite

__all__ = ["Interval", "hull", "total", "weighted_mean"]

_SLACK = 1e-9
"""Of a bound: 1.395 in binary is not the 1.395 that was printed."""


@dataclass(frozen=True, slots=True)
class Interval:
    """Values from `low` to `high`, both included."""

    low: float
    high: float

    def __add__(self, other: Interval) -> Interval:
        return Interval(self.low + other.low, self.high + other.high)

    def __sub__(self, other: Interval) -> Interval:
        return Interval(self.low - other.high, self.high - other.low)

    def __mul__(self, other: Interval | float) -> Interval:
        sides = (other, other) if isinstance(other, float | int) else (other.low, other.high)
        ends = [a * b for a, b in product((self.low, self.high), sides)]
        return Interval(min(ends), max(ends))

    def __truediv__(self, other: Interval) -> Interval:
        """Everything, where the divisor may be 0."""
        if other.low <= 0 <= other.high:
            return Interval(float("-inf"), float("inf"))
        return self * Interval(1 / other.high, 1 / other.low)

    @property
    def middle(self) -> float:
        return (self.low + self.high) / 2

    @property
    def half_width(self) -> float:
        return (self.high - self.low) / 2

    def meets(self, other: Interval) -> bool:
        """True where one value can be both."""
        ends = (self.low, self.high, other.low, other.high)
        # An open end has no binary digits: it must not make the slack of the others endless.
        slack = _SLACK * max((abs(end) for end in ends if isfinite(end)), default=0.0)
        return self.low <= other.high + slack and other.low <= self.high + slack

    def common(self, other: Interval) -> Interval | None:
        """The values in both; None where there are none."""
        if not self.meets(other):
            return None
        low, high = max(self.low, other.low), min(self.high, other.high)
        return Interval(min(low, high), max(low, high))


def hull(parts: Iterable[Interval]) -> Interval:
    """The smallest interval around all of `parts`, of which there is at least one."""
    every = list(parts)
    return Interval(min(p.low for p in every), max(p.high for p in every))


def total(parts: Iterable[Interval]) -> Interval:
    """Their sum; 0 of none."""
    added = Interval(0.0, 0.0)
    for part in parts:
        added = added + part
    return added


def weighted_mean(parts: Sequence[Interval], weights: Sequence[Interval]) -> Interval:
    """Every Σ w x / Σ w that parts and weights in their intervals could give.

    A weight below 0 counts as 0; some weight's upper end is above it. The mean is largest with the
    heaviest weights on the largest parts and the lightest on the rest, wherever the line between
    them is best drawn; so every line is tried.
    """

    def largest(values: Iterable[float]) -> float:
        pairs = sorted(zip(values, weights, strict=True), key=lambda pair: -pair[0])
        found = []
        for heavy in range(1, len(pairs) + 1):
            given = [w.high if n < heavy else max(0.0, w.low) for n, (_, w) in enumerate(pairs)]
            whole = sum(given)
            if whole > 0:
                found.append(sum(w * x for w, (x, _) in zip(given, pairs, strict=True)) / whole)
        return max(found)

    return Interval(-largest(-part.low for part in parts), largest(part.high for part in parts))
