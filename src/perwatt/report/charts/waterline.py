"""Measured joules of a token beside the least that the device's roofline allows, on a log axis."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
from markupsafe import Markup

from perwatt.core.estimate import Estimate
from perwatt.report.charts.axes import Frame, x_axis
from perwatt.report.charts.scale import Scale, fit
from perwatt.report.charts.svg import COLOURS, chart, el, marker, shortened, text, width_of

__all__ = ["Level", "waterline"]

ROW, HEAD, BAR = 50.0, 20.0, 14.0


class Level(msgspec.Struct, frozen=True, kw_only=True):
    """One pair: its waterline from `low` to `high`, both > 0, and what was measured."""

    pair: int
    label: str
    low: float
    high: float
    measured: Estimate | None
    says: str
    """Beside the label, such as `7.4× to 59×`."""
    tip: str
    """Of the band."""
    measured_tip: str


def waterline(levels: Sequence[Level], title: str, width: float, label: str) -> Markup:
    """`width` in pixels; names stand above the rows."""
    frame = Frame(width=width, height=len(levels) * ROW + 48, left=10, right=18, top=4, bottom=40)
    ends = [v for level in levels for v in (level.low, level.high, *_ends(level.measured))]
    scale = fit(ends, frame.x0, frame.x1, log=True, pad=0.06)
    parts: list[object] = [x_axis(frame, scale, "J", title)]
    for n, level in enumerate(levels):
        parts += _row(level, scale, frame.y0 + n * ROW, frame)
    return chart(frame.width, frame.height, label, parts, reachable=True)


def _ends(measured: Estimate | None) -> list[float]:
    if measured is None:
        return []
    ends = (measured.value, measured.low, measured.high)
    return [v for v in ends if v is not None and v > 0]


def _row(level: Level, scale: Scale, top: float, frame: Frame) -> list[object]:
    y = top + HEAD
    room = frame.x1 - frame.x0 - width_of(level.says) - 12
    name = shortened(level.label, room, strong=True)
    x0, x1 = scale(level.low), scale(level.high)
    band = el(
        "g",
        el("title", level.tip),
        el("rect", x=x0, y=y, width=max(x1 - x0, 2.0), height=BAR, class_="water"),
        tabindex=0,
        role="img",
        aria_label=level.tip,
        data_tip=level.tip,
    )
    parts: list[object] = [
        band,
        text(frame.x0, top + 14, name, class_="strong halo", aria_hidden="true"),
    ]
    if level.says:
        parts.append(
            text(frame.x1, top + 14, level.says, class_="axis end halo", aria_hidden="true")
        )
    measured = level.measured
    if measured is None or measured.value is None or measured.value <= 0:
        return parts
    at, middle = scale(measured.value), y + BAR / 2
    if measured.low is not None and measured.high is not None and measured.low > 0:
        line = f"M{scale(measured.low):.1f},{middle:.1f}H{scale(measured.high):.1f}"
        parts.append(el("path", d=line, class_=f"bar c{level.pair % COLOURS}"))
    parts.append(marker(level.pair, at, middle, level.measured_tip))
    return parts
