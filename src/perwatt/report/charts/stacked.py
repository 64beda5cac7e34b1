"""One bar per pair, cut into parts that sum to the whole."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
from markupsafe import Markup

from perwatt.report.charts.axes import Frame, x_axis
from perwatt.report.charts.scale import fit
from perwatt.report.charts.svg import chart, el, shortened, text, width_of

__all__ = ["Bar", "Part", "stacked"]


class Part(msgspec.Struct, frozen=True, kw_only=True):
    """`name` is also its class in the style sheet: prefill, decode, rest, idle, unattributed."""

    name: str
    value: float
    share: float
    tip: str


class Bar(msgspec.Struct, frozen=True, kw_only=True):
    """A whole and its parts, all ≥ 0, in `unit`."""

    label: str
    total: str
    parts: tuple[Part, ...]


def stacked(bars: Sequence[Bar], unit: str, title: str, width: float, label: str) -> Markup:
    """`width` in pixels; names stand above the bars, so that long ones fit a phone."""
    row = 62.0
    frame = Frame(width=width, height=len(bars) * row + 50, left=8, right=20, top=4, bottom=42)
    sums = [sum(part.value for part in bar.parts) for bar in bars]
    scale = fit(sums, frame.x0, frame.x1, zero=True, pad=0.02)
    parts: list[object] = [x_axis(frame, scale, unit, title)]
    for n, bar in enumerate(bars):
        top = frame.y0 + n * row
        room = frame.x1 - frame.x0 - width_of(bar.total) - 12
        name = shortened(bar.label, room, strong=True)
        parts.append(text(frame.x0, top + 17, name, class_="strong", aria_hidden="true"))
        parts.append(text(frame.x1, top + 17, bar.total, class_="axis end", aria_hidden="true"))
        at = 0.0
        for part in bar.parts:
            parts.append(_part(part, scale(at), scale(at + part.value), top + 24))
            at += part.value
    return chart(frame.width, frame.height, label, parts, reachable=True)


def _part(part: Part, x0: float, x1: float, y: float) -> Markup:
    inside: list[object] = [
        el("title", part.tip),
        el("rect", x=x0, y=y, width=max(x1 - x0, 0.0), height=26.0, class_=part.name),
    ]
    words = f"{part.name} {part.share:.0%}"
    if x1 - x0 > width_of(words) + 10:
        inside.append(text(x0 + 7, y + 17.5, words, class_=f"on-{part.name}"))
    return el(
        "g",
        *inside,
        class_="part",
        tabindex=0,
        role="img",
        aria_label=part.tip,
        data_tip=part.tip,
    )
