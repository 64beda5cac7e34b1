"""Scales from data to pixels, and ticks at round numbers.

The ticks are Heckbert's "nice numbers" (Graphics Gems, 1990): steps of 1, 2 or 5 times a power of
ten.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

import msgspec

__all__ = ["Linear", "Log", "Scale", "fit", "multiples", "nice_step", "nice_ticks"]

_TINY = 1e-290
"""Below this a span is as good as none: its step would underflow."""
_RELATIVE = 1e-9
"""A span this small beside its values leaves no room for distinct ticks in a double."""


class Linear(msgspec.Struct, frozen=True):
    """Maps [low, high] to [start_px, end_px] in proportion."""

    low: float
    high: float
    start_px: float
    end_px: float
    count: int = 5
    """About how many ticks are wanted."""

    def __call__(self, value: float) -> float:
        share = (value - self.low) / (self.high - self.low)
        return self.start_px + share * (self.end_px - self.start_px)

    def ticks(self) -> list[float]:
        return nice_ticks(self.low, self.high, self.count)


class Log(msgspec.Struct, frozen=True):
    """Maps [low, high], both above 0, to [start_px, end_px] by logarithm."""

    low: float
    high: float
    start_px: float
    end_px: float
    count: int = 5

    def __call__(self, value: float) -> float:
        span = math.log(self.high) - math.log(self.low)
        share = (math.log(value) - math.log(self.low)) / span
        return self.start_px + share * (self.end_px - self.start_px)

    def ticks(self) -> list[float]:
        """Powers of ten, with 2 and 5 between them where these are few; never fewer than two."""
        first, last = math.floor(math.log10(self.low)), math.ceil(math.log10(self.high))
        widest = max(1, math.ceil((last - first) / max(self.count, 1)))
        # Powers of ten ever closer together, and only then something between them.
        tries: list[tuple[tuple[float, ...], int]] = [
            ((1.0,), every) for every in range(widest, 0, -1)
        ]
        tries += [(steps, 1) for steps in ((1.0, 3.0), (1.0, 2.0, 5.0), (1, 1.5, 2, 3, 5, 7))]
        for steps, every in tries:
            found = [
                tick
                for power in range(first, last + 1, every)
                for step in steps
                if self.low <= (tick := step * 10.0**power) <= self.high
            ]
            if len(found) >= min(self.count, 3):
                return found
        return nice_ticks(self.low, self.high, self.count)


Scale = Linear | Log


def nice_step(span: float, count: int) -> float:
    """The round step that cuts `span` into about `count` parts."""
    raw = span / max(count, 1)
    power = 10.0 ** math.floor(math.log10(raw))
    return next((m * power for m in (1, 2, 5) if raw <= m * power * (1 + 1e-9)), 10 * power)


def nice_ticks(low: float, high: float, count: int = 5) -> list[float]:
    """Multiples of a round step inside [low, high], rising; at least one. `low < high`."""
    ticks = multiples(low, high, nice_step(high - low, count))
    # With few asked for, the step may be wider than half the span and have no multiple in it.
    return ticks or multiples(low, high, nice_step(high - low, 2 * count))


def multiples(low: float, high: float, step: float) -> list[float]:
    """Multiples of `step` inside [low, high], rising."""
    first = math.ceil(low / step - 1e-9)
    ticks = [n * step for n in range(first, math.floor(high / step + 1e-9) + 1)]
    return [min(max(tick, low), high) for tick in ticks]


def fit(
    values: Iterable[float],
    start_px: float,
    end_px: float,
    *,
    count: int = 5,
    log: bool = False,
    zero: bool = False,
    pad: float = 0.05,
) -> Scale:
    """A scale on which all `values` lie, with `pad` of the span free at both ends.

    `zero`: a linear axis begins at 0. `log` needs every value above 0. A constant is given a span
    around it, and no values at all the span 0 to 1.
    """
    seen = [v for v in values if math.isfinite(v)]
    low, high = (min(seen), max(seen)) if seen else (0.0, 1.0)
    if log:
        if math.log(high) - math.log(low) < math.log(1.05):
            low, high = low / 1.5, high * 1.5
        spread = math.exp((math.log(high) - math.log(low)) * pad)
        return Log(low / spread, high * spread, start_px, end_px, count)
    if zero:
        low, high = min(low, 0.0), max(high, 0.0)
    if high - low <= max(_TINY, _RELATIVE * max(abs(low), abs(high))):
        around = abs(high) / 2 or 0.5
        around = max(around, _TINY)
        low, high = low - around, high + around
        return Linear(0.0 if zero and low > 0 else low, high, start_px, end_px, count)
    room = (high - low) * pad
    return Linear(
        low if zero and low == 0 else low - room,
        high if zero and high == 0 else high + room,
        start_px,
        end_px,
        count,
    )
