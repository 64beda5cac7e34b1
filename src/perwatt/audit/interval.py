"""Closed intervals: what a printed number may have been before it was rounded.

Arithmetic keeps every value that the true operands could give (Moore 1966), so a recomputed
interval that misses the printed one cannot be explained by rounding.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import product

__all__ = ["Interval", "hull", "total"]

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
        slack = _SLACK * max(abs(self.low), abs(self.high), abs(other.low), abs(other.high), 1e-30)
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
