"""Empirical distribution functions: each line's height is the share of requests that were done."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
from markupsafe import Markup

from perwatt.report.charts.axes import Frame, x_axis, y_axis
from perwatt.report.charts.scale import Linear, Scale, fit
from perwatt.report.charts.scatter import wants_log
from perwatt.report.charts.svg import COLOURS, chart, dash, marker, path

__all__ = ["Curve", "ecdf", "steps"]

MAX_STEPS = 160


class Curve(msgspec.Struct, frozen=True, kw_only=True):
    """One pair's sorted values, and the quantiles to mark: (value, share, tip)."""

    pair: int
    label: str
    values: Sequence[float]
    marks: tuple[tuple[float, float, str], ...]


def steps(values: Sequence[float], most: int = MAX_STEPS) -> list[tuple[float, float]]:
    """(value, share ≤ value), rising; thinned to `most` points that all lie on the true curve."""
    n = len(values)
    if n <= most:
        return [(v, (k + 1) / n) for k, v in enumerate(values)]
    picks = sorted({round(k * (n - 1) / (most - 1)) for k in range(most)})
    return [(values[k], (k + 1) / n) for k in picks]


def ecdf(curves: Sequence[Curve], unit: str, title: str, width: float, label: str) -> Markup:
    """`width` in pixels. Every curve has at least one value."""
    frame = Frame(width=width, height=250, top=30, left=46, right=18)
    values = [v for c in curves for v in (c.values[0], c.values[-1])]
    starts = [start for c in curves if (start := _start(c.values)) is not None]
    if log := wants_log([*starts, *(c.values[-1] for c in curves)]):
        values = [*starts, *(c.values[-1] for c in curves if c.values[-1] > 0)]
    few = 3 if width < 320 else 5
    sx = fit(values, frame.x0, frame.x1, log=log, zero=not log, pad=0.04, count=few)
    sy = Linear(0.0, 1.0, frame.y1, frame.y0, 4)
    parts: list[object] = [
        x_axis(frame, sx, unit, title + (", log scale" if log else "")),
        y_axis(frame, sy, "share", "share of all"),
    ]
    for c in curves:
        line = {"class_": f"line c{c.pair % COLOURS}", "stroke_dasharray": dash(c.pair)}
        parts.append(path(_staircase(steps(c.values), sx, sy), **line))
    for c in curves:
        parts += [
            marker(c.pair, sx(max(v, sx.low)), sy(q), tip, class_="small") for v, q, tip in c.marks
        ]
    return chart(frame.width, frame.height, label, parts, reachable=True)


def _start(values: Sequence[float]) -> float | None:
    """Where a logarithmic axis begins for sorted `values`: at their first hundredth, for two
    chunks that came at once would else take most of the axis. None: there is no place."""
    return next((value for value in values[len(values) // 100 :] if value > 0), None)


def _staircase(
    points: Sequence[tuple[float, float]], sx: Scale, sy: Scale
) -> list[tuple[float, float]]:
    """What lies left of the axis is at its edge."""
    line = [(sx(max(points[0][0], sx.low)), sy(0.0))]
    for value, share in points:
        x = sx(max(value, sx.low))
        line.append((x, line[-1][1]))
        line.append((x, sy(share)))
    return line
