"""A time axis of several stretches side by side; the pauses between them are cut out and marked."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

from perwatt.core.units import format_duration
from perwatt.report.charts.scale import multiples, nice_step
from perwatt.report.charts.svg import el, text

__all__ = ["BREAK_PX", "TimeAxis", "draw_time_axis", "time_axis"]

BREAK_PX = 22.0


class TimeAxis(msgspec.Struct, frozen=True, kw_only=True):
    """Stretches as (start_ns, end_ns, x0, x1), all at one number of pixels per second."""

    zero_ns: int
    stretches: tuple[tuple[int, int, float, float], ...]

    def x(self, t_ns: int) -> float | None:
        """The pixel of a mark; None where the axis is cut."""
        for start, end, x0, x1 in self.stretches:
            if start <= t_ns <= end:
                return x0 + (t_ns - start) / (end - start) * (x1 - x0)
        return None

    def clip(self, start_ns: int, end_ns: int) -> tuple[float, float] | None:
        """Pixels of the part of a span that is shown; None when none of it is."""
        for start, end, *_ in self.stretches:
            if start_ns <= end and end_ns >= start:
                a, b = self.x(max(start, start_ns)), self.x(min(end, end_ns))
                return None if a is None or b is None else (a, b)
        return None

    def edges_ns(self, index: int, bucket_px: float) -> NDArray[np.int64]:
        """Edges of a stretch's buckets, each about `bucket_px` wide."""
        start, end, x0, x1 = self.stretches[index]
        count = max(1, min(int((x1 - x0) / bucket_px), end - start))
        return np.linspace(start, end, count + 1).astype(np.int64)


def time_axis(stretches: Sequence[tuple[int, int]], x0: float, x1: float, zero_ns: int) -> TimeAxis:
    """Share the pixels from `x0` to `x1` among the stretches by their length."""
    total = sum(end - start for start, end in stretches)
    room = x1 - x0 - BREAK_PX * (len(stretches) - 1)
    placed, at = [], x0
    for start, end in stretches:
        width = room * (end - start) / total
        placed.append((start, end, at, at + width))
        at += width + BREAK_PX
    return TimeAxis(zero_ns=zero_ns, stretches=tuple(placed))


def draw_time_axis(axis: TimeAxis, top: float, y: float) -> Markup:
    """Ticks in seconds since `zero_ns`, and a sign at each cut with the time left out."""
    parts: list[object] = []
    spans_s = [(end - start) / 1e9 for start, end, *_ in axis.stretches]
    pixels = sum(x1 - x0 for *_, x0, x1 in axis.stretches)
    # One step for all stretches, so that equal distances are equal times.
    count = max(4, int(pixels / 80))
    step = nice_step(sum(spans_s), count)
    last_x = -1e9
    for n, (start, end, x0, x1) in enumerate(axis.stretches):
        parts.append(el("path", d=f"M{x0:.1f},{y:.1f}H{x1:.1f}", class_="baseline"))
        low, high = ((t - axis.zero_ns) / 1e9 for t in (start, end))
        for tick in multiples(low, high, step):
            x = x0 + (tick - low) / (high - low) * (x1 - x0)
            parts.append(el("path", d=f"M{x:.1f},{top:.1f}V{y:.1f}", class_="grid"))
            label = f"{tick:.6g}".replace("-", "\N{MINUS SIGN}")
            if x - last_x > 12 + 7 * len(label):
                parts.append(text(x, y + 16, label, class_="axis mid"))
                last_x = x
        if n:
            pause = format_duration((start - axis.stretches[n - 1][1]) / 1e9)
            middle = x0 - BREAK_PX / 2
            zig = f"M{middle - 6:.1f},{y + 5:.1f}l4,-10M{middle + 2:.1f},{y + 5:.1f}l4,-10"
            parts.append(el("path", d=zig, class_="cut"))
            parts.append(text(middle, top - 5, f"{pause} cut", class_="axis mid"))
    return el("g", *parts, aria_hidden="true")
