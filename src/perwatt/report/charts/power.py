"""Power over time, one panel per domain, with the requests that drew it in lanes below."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise

import numpy as np
from markupsafe import Markup

from perwatt.report.charts.axes import tick_labels
from perwatt.report.charts.phases import STRIP_PX, PhaseMark, draw_phases
from perwatt.report.charts.requests import Span, draw_requests
from perwatt.report.charts.scale import Scale, fit
from perwatt.report.charts.svg import COLOURS, chart, el, num, text, width_of
from perwatt.report.charts.timeaxis import TimeAxis, draw_time_axis, time_axis
from perwatt.report.timeline import Buckets, Ticks, bucketed

__all__ = ["own_word", "power_chart"]

LEFT, RIGHT = 46.0, 12.0
PANEL, PANEL_GAP = 132.0, 30.0
BUCKET_PX = 2.0


def power_chart(
    ticks: Sequence[Ticks],
    spans: Sequence[Span],
    stretches: Sequence[tuple[int, int]],
    labels: Sequence[str],
    zero_ns: int,
    width: float,
    label: str,
    phases: Sequence[PhaseMark] = (),
    since: str = "the run's first mark",
) -> Markup:
    """`stretches`, `spans` and `phases` in ns, `labels` per pair; `since`: what `zero_ns` is. At
    least one stretch."""
    axis = time_axis(stretches, LEFT, width - RIGHT, zero_ns)
    band_y, top = 6.0, 46.0 + (STRIP_PX if phases else 0.0)
    lanes_y = top + len(ticks) * (PANEL + PANEL_GAP)
    drawn, below = draw_requests(spans, axis, lanes_y, LEFT, width - RIGHT)
    bottom = lanes_y + below + 8 if below else lanes_y - PANEL_GAP + 6
    parts: list[object] = [draw_time_axis(axis, top, bottom)]
    parts.append(text((LEFT + width - RIGHT) / 2, bottom + 34, f"seconds since {since}",
                      class_="axis mid name", aria_hidden="true"))  # fmt: skip
    parts.append(_bands(spans, axis, labels, band_y, top, bottom))
    parts.append(draw_phases(phases, axis, band_y + 20))
    for n, series in enumerate(ticks):
        parts.append(_panel(series, axis, top + n * (PANEL + PANEL_GAP), width))
    parts.append(drawn)
    return chart(width, bottom + 42, label, parts)


def _bands(
    spans: Sequence[Span],
    axis: TimeAxis,
    labels: Sequence[str],
    y: float,
    top: float,
    bottom: float,
) -> Markup:
    """Which pair was asked when: a strip with its name, for each unbroken turn."""
    turns: list[tuple[int, int, int, int]] = []
    for span in spans:
        where = next(
            (
                k
                for k, s in enumerate(axis.stretches)
                if s[0] <= span.end_ns and span.start_ns <= s[1]
            ),
            None,
        )
        if where is None:
            continue
        if turns and turns[-1][:2] == (span.pair, where):
            _, _, start, end = turns[-1]
            turns[-1] = (span.pair, where, start, max(end, span.end_ns))
        else:
            turns.append((span.pair, where, span.start_ns, span.end_ns))
    parts: list[object] = []
    for pair, _, start, end in turns:
        if (clip := axis.clip(start, end)) is None:
            continue
        x0, x1 = clip
        colour = f"c{pair % COLOURS}"
        parts.append(el("rect", el("title", labels[pair]), x=x0, y=y, width=max(x1 - x0, 1.0),
                        height=18.0, class_=f"band {colour}", data_tip=labels[pair]))  # fmt: skip
        tall = max(bottom - top, 0.0)
        parts.append(el("rect", x=x0, y=top, width=max(x1 - x0, 1.0), height=tall,
                        class_=f"wash {colour}"))  # fmt: skip
        for name in (labels[pair], own_word(pair, labels)):
            if x1 - x0 > width_of(name, strong=True) + 8:
                parts.append(text(x0 + 5, y + 13, name, class_="on-band"))
                break
    return el("g", *parts)


def own_word(pair: int, labels: Sequence[str]) -> str:
    """The first word that no other label has, which tells the pair where there is room for one.

    >>> own_word(1, ["M-135M Q4_1", "M-135M Q8_0 (from Q4_1)"])
    'Q8_0'
    """
    others = {word for n, label in enumerate(labels) if n != pair for word in label.split()}
    words = labels[pair].split() or [""]
    return next((word for word in words if word not in others), words[-1])


def _panel(series: Ticks, axis: TimeAxis, top: float, width: float) -> Markup:
    buckets = [
        (edges, bucketed(series, edges))
        for n in range(len(axis.stretches))
        if len(edges := axis.edges_ns(n, BUCKET_PX)) > 1
    ]
    highs = [float(v) for _, b in buckets for v in b.high_w if np.isfinite(v)]
    scale = fit(highs, top + PANEL, top, zero=True, count=4)
    ticks = scale.ticks()
    written, unit = tick_labels(ticks, "W")
    parts: list[object] = []
    for tick, words in zip(ticks, written, strict=True):
        y = scale(tick)
        parts.append(el("path", d=f"M{LEFT:.1f},{y:.1f}H{width - RIGHT:.1f}", class_="grid"))
        parts.append(text(LEFT - 7, y + 4, words, class_="axis end"))
    parts.append(text(4, top - 9, f"{series.domain} power ({unit})", class_="axis name"))
    for edges, bucket in buckets:
        places = [axis.x(int((a + b) // 2)) for a, b in pairwise(edges)]
        parts += _trace(places, bucket, scale)
    return el("g", *parts, class_="power")


def _trace(places: Sequence[float | None], b: Buckets, scale: Scale) -> list[Markup]:
    """The mean as a line in its envelope; a hole in the readings is a hole in both."""
    parts: list[Markup] = []
    run: list[tuple[float, float, float, float]] = []
    for n in [*range(len(places)), None]:
        x = None if n is None else places[n]
        if n is not None and x is not None and np.isfinite(b.mean_w[n]):
            mean, low, high = (float(side[n]) for side in (b.mean_w, b.low_w, b.high_w))
            run.append((x, scale(mean), scale(low), scale(high)))
        elif run:
            if len(run) == 1:  # a lone bucket is as wide as it is
                at, *ys = run[0]
                run = [(at + side, ys[0], ys[1], ys[2]) for side in (-BUCKET_PX / 2, BUCKET_PX / 2)]
            around = [(x, high) for x, _, _, high in run]
            around += [(x, low) for x, _, low, _ in reversed(run)]
            parts.append(el("path", d=f"M{_joined(around)}Z", class_="envelope"))
            parts.append(el("path", d=f"M{_joined((x, y) for x, y, *_ in run)}", class_="mean"))
            run = []
    return parts


def _joined(points: Iterable[tuple[float, float]]) -> str:
    return " ".join(f"{num(x)},{num(y)}" for x, y in points)
