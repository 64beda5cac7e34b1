"""One number for each row with its interval, on an axis of its own unit."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
from markupsafe import Markup

from perwatt.core.estimate import Estimate
from perwatt.report.charts.axes import Frame, x_axis
from perwatt.report.charts.scale import Scale, fit
from perwatt.report.charts.scatter import bounds, wants_log
from perwatt.report.charts.svg import chart, el, marker, text, width_of

__all__ = ["StripRow", "strip"]

_ROW, _ROW_NARROW = 24, 40


class StripRow(msgspec.Struct, frozen=True, kw_only=True):
    """`estimate` has a value."""

    name: str
    estimate: Estimate
    tip: str


def strip(rows: Sequence[StripRow], title: str, width: float, label: str) -> Markup:
    """`width` in pixels; the height follows. Raises ValueError when there are no rows."""
    if not rows:
        msg = "a strip needs at least one row"
        raise ValueError(msg)
    narrow = width < 500
    row_px = _ROW_NARROW if narrow else _ROW
    frame = Frame(
        width=width,
        height=len(rows) * row_px + 52,
        left=14 if narrow else min(width * 0.45, 22 + max(width_of(r.name) for r in rows)),
        right=18,
        top=8,
        bottom=40,
    )
    values = [v for r in rows for v in bounds(r.estimate)]
    log = wants_log(values)
    zero = not log and min(values) >= 0
    scale = fit(values, frame.x0, frame.x1, log=log, pad=0.06, zero=zero, count=5)
    shown = title + (", log scale" if log else "")
    parts: list[object] = [x_axis(frame, scale, rows[0].estimate.unit, shown)]
    for n, r in enumerate(rows):
        y = frame.y0 + (n + 0.5) * row_px + (9 if narrow else 0)
        if narrow:
            name = _fitted(r.name, frame.x1 - frame.x0)
            parts.append(text(frame.x0, y - 12, name, class_="halo", aria_hidden="true"))
        else:
            name = _fitted(r.name, frame.x0 - 14)
            parts.append(text(frame.x0 - 12, y + 4, name, class_="label end", aria_hidden="true"))
        parts.append(_row(r, scale, y))
    return chart(frame.width, frame.height, label, parts, reachable=True)


def _row(r: StripRow, scale: Scale, y: float) -> Markup:
    parts: list[object] = []
    e = r.estimate
    if e.low is not None and e.high is not None:
        line = f"M{scale(e.low):.1f},{y:.1f}H{scale(e.high):.1f}"
        parts.append(el("path", d=line, class_="bar c0"))
    assert e.value is not None  # a StripRow has one
    parts.append(marker(0, scale(e.value), y, r.tip, class_="small"))
    return el("g", *parts)


def _fitted(name: str, room_px: float) -> str:
    """Cut in the middle where it is too long: a pair's two ends tell it from its neighbours."""
    while width_of(name) > room_px and len(name) > 12:
        half = len(name) // 2
        name = name[: half - 2].rstrip(" …") + "…" + name[half + 2 :].lstrip(" …")
    return name
