"""Requests under the power trace: in lanes by phase or, where they are many, as a count."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

from perwatt.report.charts.scale import Linear
from perwatt.report.charts.svg import el, num, text
from perwatt.report.charts.timeaxis import TimeAxis

__all__ = ["Span", "draw_requests", "mean_active"]

WIDE_ENOUGH_PX = 3.0
"""Below this a request's phases cannot be seen, and the number in flight is drawn instead."""
MOST_SPANS = 1500
MOST_LANES = 40
"""At 3 px each; more would be a tall block in which nobody follows one request."""
IN_FLIGHT_PX = 64.0
BUCKET_PX = 2.0


class Span(msgspec.Struct, frozen=True, kw_only=True):
    """A request on the time axis. `first_ns` parts prefill from decode; None: no answer came."""

    start_ns: int
    first_ns: int | None
    end_ns: int
    lane: int
    pair: int
    failed: bool
    tip: str


def draw_requests(
    spans: Sequence[Span], axis: TimeAxis, top: float, left: float, right: float
) -> tuple[Markup, float]:
    """The markup and its height in pixels; nothing and 0 without requests."""
    if not spans:
        return Markup(""), 0.0
    shown = [clip for span in spans if (clip := axis.clip(span.start_ns, span.end_ns))]
    typical = float(np.median([x1 - x0 for x0, x1 in shown])) if shown else 0.0
    count = max(span.lane + 1 for span in spans)
    if typical < WIDE_ENOUGH_PX or len(shown) > MOST_SPANS or count > MOST_LANES:
        return _in_flight(spans, axis, top, left, right), IN_FLIGHT_PX
    lane = min(14.0, max(3.0, 120.0 / count))
    return _lanes(spans, axis, top, lane), lane * count


def _lanes(spans: Sequence[Span], axis: TimeAxis, top: float, lane: float) -> Markup:
    """Prefill is tall, decode is low: the phases differ without their colours."""
    parts: list[object] = [text(4, top - 9, "requests", class_="axis name")]
    for span in spans:
        if (clip := axis.clip(span.start_ns, span.end_ns)) is None:
            continue
        x0, x1 = clip
        y = top + span.lane * lane
        middle = x1
        if span.first_ns is not None:
            # The first chunk may have come before the part of the axis that is shown.
            prefill = axis.clip(span.start_ns, span.first_ns)
            middle = prefill[1] if prefill else x0
        inside: list[object] = [el("title", span.tip)]
        if span.failed:
            inside.append(_box(x0, x1, y + 1, lane - 2, "failed"))
        else:
            inside.append(_box(x0, middle, y + 1, lane - 2, "prefill"))
            inside.append(_box(middle, x1, y + lane * 0.25, lane * 0.5, "decode"))
        parts.append(el("g", *inside, data_tip=span.tip))
    return el("g", *parts, class_="lanes")


def _box(x0: float, x1: float, y: float, height: float, name: str) -> Markup:
    return el("rect", x=x0, y=y, width=max(x1 - x0, 0.4), height=max(height, 1.0), class_=name)


def _in_flight(
    spans: Sequence[Span], axis: TimeAxis, top: float, left: float, right: float
) -> Markup:
    """Mean requests in flight per bucket: in prefill below, in decode on top of it."""
    most = max(span.lane + 1 for span in spans)
    scale = Linear(0.0, float(most), top + IN_FLIGHT_PX, top, 2)
    parts: list[object] = [text(4, top - 9, "requests in flight", class_="axis name")]
    for tick in (0, most):
        y = scale(tick)
        parts.append(text(left - 7, y + 4, tick, class_="axis end"))
        parts.append(el("path", d=f"M{left:.1f},{y:.1f}H{right:.1f}", class_="grid"))
    done = [s for s in spans if not s.failed]
    kinds = (
        ("prefill", [(s.start_ns, s.first_ns or s.end_ns) for s in done]),
        ("decode", [(s.first_ns, s.end_ns) for s in done if s.first_ns is not None]),
        ("failed", [(s.start_ns, s.end_ns) for s in spans if s.failed]),
    )
    for n, (_, _, x0, x1) in enumerate(axis.stretches):
        edges = axis.edges_ns(n, BUCKET_PX)
        places = np.linspace(x0, x1, len(edges))
        base = np.zeros(len(edges) - 1)
        for name, found in kinds:
            active = mean_active(found, edges)
            if active.any():
                parts.append(_area(places, base, base + active, scale, name))
            base = base + active
    return el("g", *parts, class_="lanes")


def mean_active(
    spans: Sequence[tuple[int, int]], edges_ns: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Seconds that `spans` spend in each bucket ÷ the bucket's seconds, shape (b,)."""
    zero = edges_ns[0]
    at = (edges_ns - zero).astype(np.float64)
    starts = np.sort(np.array([s - zero for s, _ in spans], dtype=np.float64))
    ends = np.sort(np.array([e - zero for _, e in spans], dtype=np.float64))
    # Σ max(0, t − start) − Σ max(0, t − end) is the time that spans took before t.
    spent = _ramps(starts, at) - _ramps(ends, at)
    shares: NDArray[np.float64] = np.maximum(np.diff(spent) / np.diff(at), 0.0)
    return shares


def _ramps(marks: NDArray[np.float64], at: NDArray[np.float64]) -> NDArray[np.float64]:
    """Σ max(0, t − mark) for each t of `at`; `marks` rise."""
    before = np.searchsorted(marks, at)
    sums = np.concatenate([[0.0], marks.cumsum()])
    ramps: NDArray[np.float64] = before * at - sums[before]
    return ramps


def _area(
    places: NDArray[np.float64],
    low: NDArray[np.float64],
    high: NDArray[np.float64],
    scale: Linear,
    name: str,
) -> Markup:
    """Stepped bands from `low` to `high`; none, and so no outline, where there is nothing."""
    bands: list[str] = []
    upper: list[str] = []
    lower: list[str] = []
    for n in range(len(low)):
        if high[n] > low[n]:
            for x in (places[n], places[n + 1]):
                upper.append(f"{num(x)},{num(scale(high[n]))}")
                lower.append(f"{num(x)},{num(scale(low[n]))}")
        if upper and (n + 1 == len(low) or high[n] <= low[n]):
            bands.append(f"M{' '.join(upper)} {' '.join(reversed(lower))}Z")
            upper, lower = [], []
    return el("path", d="".join(bands), class_=name)
