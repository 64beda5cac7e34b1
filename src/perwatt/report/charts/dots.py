"""Dots with intervals, one row per slice and one mark per pair in it."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
from markupsafe import Markup

from perwatt.core.estimate import Estimate
from perwatt.report.charts.axes import Frame, x_axis
from perwatt.report.charts.scale import Linear
from perwatt.report.charts.svg import COLOURS, chart, el, marker, shortened, text, width_of

__all__ = ["Dot", "DotRow", "dots"]


class Dot(msgspec.Struct, frozen=True, kw_only=True):
    """One pair's share in one slice, in [0, 1]."""

    pair: int
    estimate: Estimate
    tip: str


class DotRow(msgspec.Struct, frozen=True, kw_only=True):
    """A slice, such as the kind `knowledge`."""

    name: str
    dots: tuple[Dot, ...]


def dots(rows: Sequence[DotRow], width: float, label: str, title: str) -> Markup:
    """Shares from 0 to 100%; one without an interval is hollow. `width` in pixels; the height
    follows the rows."""
    narrow = width < 500
    pairs = max((len(row.dots) for row in rows), default=1)
    lane = 12.0
    head = 18.0 if narrow else 0.0
    row_px = head + pairs * lane + 8
    longest = max((width_of(row.name) for row in rows), default=0.0)
    frame = Frame(
        width=width,
        height=len(rows) * row_px + 52,
        left=12 if narrow else min(width * 0.45, 18 + longest),
        right=16,
        top=8,
        bottom=40,
    )
    scale = Linear(0.0, 1.0, frame.x0 + 6, frame.x1 - 6)
    parts: list[object] = [x_axis(frame, scale, "share", title)]
    for n, row in enumerate(rows):
        top = frame.y0 + n * row_px
        if n:
            parts.append(el("path", d=f"M{frame.x0:.1f},{top:.1f}H{frame.x1:.1f}", class_="grid"))
        if narrow:
            name = shortened(row.name, frame.x1 - frame.x0)
            parts.append(text(frame.x0, top + 15, name, class_="label", aria_hidden="true"))
        else:
            middle = top + row_px / 2 + 4
            name = shortened(row.name, frame.left - 16)
            parts.append(text(frame.x0 - 12, middle, name, class_="label end", aria_hidden="true"))
        for k, dot in enumerate(row.dots):
            parts.append(_dot(dot, scale, top + head + 4 + (k + 0.5) * lane))
    return chart(frame.width, frame.height, label, parts, reachable=True)


def _dot(dot: Dot, scale: Linear, y: float) -> Markup:
    e = dot.estimate
    if e.value is None:
        return Markup("")
    parts: list[object] = []
    known = e.low is not None and e.high is not None
    if e.low is not None and e.high is not None:
        line = f"M{scale(e.low):.1f},{y:.1f}H{scale(e.high):.1f}"
        parts.append(el("path", d=line, class_=f"bar c{dot.pair % COLOURS}"))
    classes = "small" if known else "small hollow"
    parts.append(marker(dot.pair, scale(e.value), y, dot.tip, class_=classes))
    return el("g", *parts)
