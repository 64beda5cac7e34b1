"""One mark per pair with both its intervals; the Pareto front drawn through those on it."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
from markupsafe import Markup

from perwatt.core.estimate import Estimate
from perwatt.report.charts.axes import Frame, x_axis, y_axis
from perwatt.report.charts.labels import place_labels
from perwatt.report.charts.scale import Linear, Scale, fit
from perwatt.report.charts.svg import COLOURS, chart, el, marker, path, shortened, text, width_of

__all__ = ["MOST_NAMED", "Point", "bounds", "scatter", "unnamed", "wants_log"]

MOST_NAMED = 12
"""With more points than this only those on the front are named; the rest say theirs on hover."""


class Point(msgspec.Struct, frozen=True, kw_only=True):
    """A pair's place. Both estimates have values."""

    pair: int
    label: str
    x: Estimate
    y: Estimate
    on_front: bool
    tip: str


def bounds(estimate: Estimate) -> list[float]:
    """The value and the ends of its interval, where it has them."""
    return [v for v in (estimate.value, estimate.low, estimate.high) if v is not None]


def wants_log(values: Sequence[float]) -> bool:
    """More than a factor of 8 between positive values hides the small ones on a linear axis."""
    return bool(values) and min(values) > 0 and max(values) / min(values) > 8


def scatter(
    points: Sequence[Point], x_title: str, y_title: str, width: float, label: str
) -> Markup:
    """`width` in pixels; the height follows. Raises ValueError when there are no points."""
    if not points:
        msg = "a scatter plot needs at least one point"
        raise ValueError(msg)
    frame = _frame(width)
    xs = [v for p in points for v in bounds(p.x)]
    ys = [v for p in points for v in bounds(p.y)]
    log = wants_log(xs)
    sx = fit(xs, frame.x0, frame.x1, log=log, pad=0.12, zero=not log, count=6)
    sy = fit(ys, frame.y1, frame.y0, zero=min(ys) < max(ys) / 3, pad=0.1)
    if points[0].y.unit == "share":  # no share lies below 0 or above 1
        low, high = max(sy.low, 0.0), min(sy.high, 1.0)
        sy = Linear(low, max(high, low + 0.1), frame.y1, frame.y0)
    parts: list[object] = [
        x_axis(frame, sx, points[0].x.unit, x_title + (", log scale" if log else "")),
        y_axis(frame, sy, points[0].y.unit, y_title),
        _front(points, sx, sy),
    ]
    parts += [_bars(p, sx, sy) for p in points]
    parts += [marker(p.pair, sx(_value(p.x)), sy(_value(p.y)), p.tip) for p in points]
    parts.append(_labels(points, sx, sy, frame))
    return chart(frame.width, frame.height, label, parts, reachable=True)


def unnamed(points: Sequence[Point], width: float) -> list[int]:
    """The pairs of those marks whose names have no room in a chart so wide: a key says them. None
    of more than MOST_NAMED, which the table beside names."""
    named = {p.pair for p, _ in _named(points, _frame(width))}
    return [p.pair for p in points if p.pair not in named] if len(points) <= MOST_NAMED else []


def _frame(width: float) -> Frame:
    return Frame(width=width, height=min(380, width * 0.95), top=34, left=52)


def _value(estimate: Estimate) -> float:
    assert estimate.value is not None  # a Point has values
    return estimate.value


def _bars(p: Point, sx: Scale, sy: Scale) -> Markup:
    x, y = sx(_value(p.x)), sy(_value(p.y))
    lines = ""
    if p.x.low is not None and p.x.high is not None:
        lines += f"M{sx(p.x.low):.1f},{y:.1f}H{sx(p.x.high):.1f}"
    if p.y.low is not None and p.y.high is not None:
        lines += f"M{x:.1f},{sy(p.y.low):.1f}V{sy(p.y.high):.1f}"
    return el("path", d=lines, class_=f"bar c{p.pair % COLOURS}") if lines else Markup("")


def _front(points: Sequence[Point], sx: Scale, sy: Scale) -> Markup:
    """Steps: between two pairs of the front, only the cheaper one's accuracy can be had."""
    front = sorted((p for p in points if p.on_front), key=lambda p: (_value(p.x), _value(p.y)))
    if len(front) < 2:
        return Markup("")
    steps: list[tuple[float, float]] = []
    for p in front:
        x, y = sx(_value(p.x)), sy(_value(p.y))
        if steps:
            steps.append((x, steps[-1][1]))
        steps.append((x, y))
    return path(steps, class_="front")


def _labels(points: Sequence[Point], sx: Scale, sy: Scale, frame: Frame) -> Markup:
    """Names beside the marks, where they cover least."""
    bars = [box for p in points for box in _boxes(p, sx, sy)]
    named = sorted(_named(points, frame), key=lambda found: sy(_value(found[0].y)))
    names = [name for _, name in named]
    marks = [(sx(_value(p.x)), sy(_value(p.y))) for p, _ in named]
    widths = [width_of(name, strong=True) for name in names]
    places = place_labels(marks, widths, bars, frame)
    parts = [
        el("path", d=f"M{x:.1f},{y:.1f}L{at.x:.1f},{at.y - 4:.1f}", class_="leader")
        for (x, y), at in zip(marks, places, strict=True)
        if at.far
    ]
    parts += [
        text(at.x, at.y, name, class_="strong halo end" if at.ends else "strong halo")
        for name, at in zip(names, places, strict=True)
    ]
    return el("g", *parts, aria_hidden="true")


def _named(points: Sequence[Point], frame: Frame) -> list[tuple[Point, str]]:
    """Those that are named in the chart, and by what."""
    if len(points) > MOST_NAMED:
        points = [p for p in points if p.on_front]
    room = 0.55 * (frame.x1 - frame.x0)
    cut = {p.pair: shortened(p.label, room, strong=True) for p in points}
    if len(set(cut.values())) < len(cut):  # cut names that are alike tell nothing
        points = [p for p in points if cut[p.pair] == p.label]
    return [(p, cut[p.pair]) for p in points]


def _boxes(p: Point, sx: Scale, sy: Scale) -> list[tuple[float, float, float, float]]:
    """Its intervals as boxes without breadth."""
    (x0, x1), (y0, y1) = (
        sorted(scale(v) for v in (min(ends), max(ends)))
        for scale, ends in ((sx, bounds(p.x)), (sy, bounds(p.y)))
    )
    x, y = sx(_value(p.x)), sy(_value(p.y))
    return [(x0, y, x1, y), (x, y0, x, y1)]
