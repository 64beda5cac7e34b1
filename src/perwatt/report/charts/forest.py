"""Ratios around 1 with their intervals, on a log axis: 2× and ½× lie equally far from 1."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
from markupsafe import Markup

from perwatt.report.charts.axes import Frame, x_axis
from perwatt.report.charts.scale import Scale, fit
from perwatt.report.charts.svg import chart, el, shortened, text, width_of

__all__ = ["Ratio", "forest"]

_ROW, _ROW_NARROW = 26, 42


class Ratio(msgspec.Struct, frozen=True, kw_only=True):
    """One row; `value` > 0, as are `low` and `high` where there is an interval."""

    name: str
    value: float
    low: float | None
    high: float | None
    decided: bool
    shown: str
    """The ratio and its interval in words."""
    says: str
    """`Q4_0 better`, or `undecided`."""
    tip: str


def forest(rows: Sequence[Ratio], width: float, label: str) -> Markup:
    """A filled mark is decided, a hollow one is not. `width` in pixels."""
    narrow = width < 500
    row = _ROW_NARROW if narrow else _ROW
    frame = Frame(
        width=width,
        height=len(rows) * row + 52,
        left=14 if narrow else 22 + min(0.25 * width, max(width_of(r.name) for r in rows)),
        right=14 if narrow else 22 + min(0.45 * width, max(_reading_px(r) for r in rows)),
        top=8,
        bottom=40,
    )
    ends = [v for r in rows for v in (r.value, r.low, r.high, 1.0) if v is not None]
    scale = fit(ends, frame.x0, frame.x1, log=True, pad=0.08, count=4)
    parts: list[object] = [x_axis(frame, scale, "", "ratio, log scale")]
    one = scale(1.0)
    parts.append(el("path", d=f"M{one:.1f},{frame.y0:.1f}V{frame.y1:.1f}", class_="one"))
    for n, r in enumerate(rows):
        y = frame.y0 + (n + 0.5) * row + (9 if narrow else 0)
        parts.append(_row(r, scale, y))
        if narrow:
            parts.append(text(frame.x0, y - 12, r.name, class_="halo", aria_hidden="true"))
            behind = width_of(r.shown) + 4  # the line at 1 would strike the numbers through
            parts.append(el("rect", x=frame.x1 - behind, y=y - 24, width=behind, height=16.0,
                            class_="paper"))  # fmt: skip
            parts.append(text(frame.x1, y - 12, r.shown, class_="halo end", aria_hidden="true"))
        else:
            name = shortened(r.name, frame.left - 20)
            parts.append(text(frame.x0 - 14, y + 4, name, class_="label end", aria_hidden="true"))
            room = frame.right - 20 - width_of(f"{r.shown}  ", strong=True)
            words = el("tspan", r.shown, class_="strong"), f"  {shortened(r.says, room)}"
            parts.append(text(frame.x1 + 14, y + 4, Markup("").join(words), class_="label"))
    return chart(frame.width, frame.height, label, parts, reachable=True)


def _reading_px(r: Ratio) -> float:
    return width_of(r.shown, strong=True) + width_of(f"  {r.says}")


def _row(r: Ratio, scale: Scale, y: float) -> Markup:
    parts: list[object] = [el("title", r.tip)]
    if r.low is not None and r.high is not None:
        parts.append(el("path", d=f"M{scale(r.low):.1f},{y:.1f}H{scale(r.high):.1f}", class_="bar"))
    parts.append(el("circle", cx=scale(r.value), cy=float(y), r=4.5, class_="dot"))
    return el(
        "g",
        *parts,
        class_="ratio decided" if r.decided else "ratio open",
        tabindex=0,
        role="img",
        aria_label=r.tip,
        data_tip=r.tip,
    )
