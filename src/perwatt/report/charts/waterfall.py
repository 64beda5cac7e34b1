"""Steps that add up to a whole, one under the other, each beginning where the last one ended."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
from markupsafe import Markup

from perwatt.report.charts.axes import Frame, x_axis
from perwatt.report.charts.scale import Scale, fit
from perwatt.report.charts.svg import chart, el, text, width_of

__all__ = ["Step", "waterfall"]

ROW, BAR, HEAD = 42.0, 16.0, 18.0


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """One part; `name` is also its class in the style sheet. It may be below 0."""

    name: str
    value: float
    shown: str
    """In words, such as `1.2 kJ (40.0%)`."""
    tip: str


def waterfall(
    steps: Sequence[Step], whole: Step, unit: str, title: str, width: float, label: str
) -> Markup:
    """Rows of `steps` and one of `whole`, which begins at 0. `width` in pixels."""
    rows = [*steps, whole]
    frame = Frame(width=width, height=len(rows) * ROW + 46, left=6, right=16, top=2, bottom=40)
    edges = [0.0]
    for step in steps:
        edges.append(edges[-1] + step.value)
    scale = fit([*edges, whole.value], frame.x0, frame.x1, zero=True, pad=0.02)
    parts: list[object] = [x_axis(frame, scale, unit, title)]
    tops = [frame.y0 + n * ROW + HEAD for n in range(len(rows))]
    for step, at, y in zip(rows[1:], edges[1:], tops[1:], strict=True):
        # From the end of a step to where the next one begins; to that of the whole, at last.
        x, above = scale(at), y - ROW + BAR
        line = f"M{x:.1f},{above:.1f}V{y:.1f}"
        if x < frame.x0 + _named_px(step) + 4:  # it would run through the words
            line = f"M{x:.1f},{above:.1f}V{above + 3:.1f}M{x:.1f},{y - 2:.1f}V{y:.1f}"
        parts.append(el("path", d=line, class_="step"))
    starts = [*edges[:-1], 0.0]
    for step, start, y in zip(rows, starts, tops, strict=True):
        parts.append(_row(step, scale, start, y, frame))
    return chart(frame.width, frame.height, label, parts, reachable=True)


def _named_px(step: Step) -> float:
    """How far its name and number reach to the right."""
    return width_of(step.name, strong=True) + 10 + width_of(step.shown)


def _row(step: Step, scale: Scale, start: float, y: float, frame: Frame) -> Markup:
    x0, x1 = sorted((scale(start), scale(start + step.value)))
    words = step.name.capitalize()
    inside = [
        el("title", step.tip),
        el("rect", x=x0, y=y, width=max(x1 - x0, 1.0), height=BAR, class_=step.name),
        text(frame.x0, y - 5, words, class_="strong halo"),
        text(frame.x0 + width_of(words, strong=True) + 10, y - 5, step.shown, class_="axis halo"),
    ]
    return el(
        "g",
        *inside,
        class_="part",
        tabindex=0,
        role="img",
        aria_label=step.tip,
        data_tip=step.tip,
    )
