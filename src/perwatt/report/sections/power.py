"""Power over time with the requests that drew it: the whole run, then each pair from nearer."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import numpy as np
from markupsafe import Markup

from perwatt.core.units import format_si, format_value
from perwatt.report.charts.power import power_chart
from perwatt.report.charts.requests import Span
from perwatt.report.charts.svg import COLOURS
from perwatt.report.format import DASH, joules, seconds_text
from perwatt.report.legend import fills
from perwatt.report.rows import Row
from perwatt.report.sections.phases import KEYS as PHASE_KEYS
from perwatt.report.sections.phases import phase_marks, phase_table
from perwatt.report.timeline import Ticks, bucketed, lanes, stretches
from perwatt.report.view import Figure, Section, Table, View, figure

__all__ = ["power"]

Stretch = tuple[int, int]

CLOSE_REQUESTS = 8
"""Requests in a closer look, times those in flight."""
MOST_CLOSE = 4
"""Pairs that get one."""
JSON_BUCKETS = 300
MOST_KEYS = 8
"""Pairs in the key; of more, each band says its own name."""

KEYS = (
    ("mean power of the interval", "mean-key"),
    ("lowest to highest reading in it", "envelope"),
    ("prefill", "prefill"),
    ("decode", "decode"),
)


def power(view: View) -> Section:
    ticks = view.ticks
    shown = stretches(view.rows, ticks)
    figures = [_overview(view, ticks, shown)] if shown else []
    if ticks:
        figures += _closer_looks(view, ticks, shown)
    return Section(
        name="power",
        title="Power over time",
        template="power.html",
        data={
            "figures": figures,
            "measured": bool(ticks),
            "cuts": max(0, len(shown) - 1),
            "phases": phase_table(view, shown[0][0]) if shown else None,
        },
    )


def _overview(view: View, ticks: Sequence[Ticks], shown: list[Stretch]) -> Figure:
    names = ", ".join(series.domain for series in ticks) or "no domain"
    caption = (
        f"The whole run: power of {names}, and the requests in flight. Each bucket of the"
        " line is the mean of its joules, the shade its lowest and highest reading."
        if ticks
        else "The whole run: the requests in flight. No power was read."
    )
    spans = _spans(view)
    data = Table(
        caption="Watts and requests in each stretch of the run",
        head=("Pair", "Domain", "From (s)", "To (s)", "Requests", "Mean", "Lowest", "Highest"),
        rows=_summary_rows(view, ticks, shown),
    )
    json = _json(ticks, shown)
    return _draw(view, "timeline", caption, ticks, spans, shown, shown[0][0], data, json)


def _closer_looks(view: View, ticks: Sequence[Ticks], shown: list[Stretch]) -> list[Figure]:
    found = []
    spans = _spans(view)
    for n, label in enumerate(view.labels[:MOST_CLOSE]):
        rows = [row for row in view.rows_of(n) if row.ok]
        if len(rows) < 2:
            continue
        window = _window(rows, shown)
        inside = [s for s in spans if s.start_ns <= window[1] and s.end_ns >= window[0]]
        caption = f"A closer look at {label}: {len(inside)} requests from the middle of its turn."
        data = Table(
            caption="The requests in this figure",
            head=("Item", "Pair", "At (s)", "First chunk", "Whole", "Energy", "Score"),
            rows=[
                _request_row(view, row, shown[0][0])
                for row in view.rows
                if row.dispatched_ns <= window[1] and row.last_chunk_ns >= window[0]
            ],
        )
        found.append(
            _draw(view, f"close-{n}", caption, ticks, inside, [window], shown[0][0], data, None)
        )
    return found


def _draw(
    view: View,
    name: str,
    caption: str,
    ticks: Sequence[Ticks],
    spans: Sequence[Span],
    shown: list[Stretch],
    zero_ns: int,
    data: Table,
    json: Markup | None,
) -> Figure:
    def draw(width: float) -> Markup:
        return power_chart(ticks, spans, shown, view.labels, zero_ns, width, caption, phases)

    phases = phase_marks(view)

    # The key of the whole run serves the closer looks that follow it.
    keys = fills(KEYS if ticks else KEYS[2:]) if name == "timeline" else []
    if keys and 1 < len(view.labels) <= MOST_KEYS:
        keys += fills([(label, f"band c{n % COLOURS}") for n, label in enumerate(view.labels)])
    if keys and phases:
        drawn = {f"phase-{phase.name}" for phase in phases}
        keys += fills([key for key in PHASE_KEYS if key[1] in drawn])
    if keys and any(span.failed for span in spans):
        keys += fills([("failed", "failed")])
    return figure(view, name, caption, draw, data=data, legend=keys, json=json)


def _window(rows: list[Row], shown: list[Stretch]) -> Stretch:
    """A few requests from the middle of the turn in which the pair's median request was sent."""
    middle = rows[len(rows) // 2]
    stretch = next(s for s in shown if s[0] <= middle.dispatched_ns <= s[1])
    near = [
        row
        for row in rows
        if stretch[0] <= row.dispatched_ns <= stretch[1] and row.phase_id == middle.phase_id
    ]
    at = len(near) // 2
    busy = max(1, max(lanes(near)) + 1)
    few = near[max(0, at - CLOSE_REQUESTS * busy // 2) : at + CLOSE_REQUESTS * busy // 2]
    start, end = few[0].dispatched_ns, max(row.last_chunk_ns for row in few)
    room = max((end - start) // 40, 1)
    return max(stretch[0], start - room), min(stretch[1], end + room)


def _spans(view: View) -> list[Span]:
    rows = [row for row in view.rows if row.pair_id in view.pair_index]
    return [
        Span(
            start_ns=row.dispatched_ns,
            first_ns=row.first_chunk_ns,
            end_ns=max(row.last_chunk_ns, row.dispatched_ns + 1),
            lane=lane,
            pair=view.pair_index[row.pair_id],
            failed=not row.ok,
            tip=_tip(view, row),
        )
        for row, lane in zip(rows, lanes(rows), strict=True)
    ]


def _request_row(view: View, row: Row, zero_ns: int) -> tuple[str, ...]:
    index = view.pair_index.get(row.pair_id)
    return (
        row.item_id,
        row.pair_id if index is None else view.labels[index],
        f"{(row.dispatched_ns - zero_ns) / 1e9:.2f}",
        seconds_text(row.ttft_s),
        seconds_text(row.total_s),
        joules(row.energy_j),
        "failed" if not row.ok else DASH if row.score is None else format_value(row.score, ""),
    )


def _tip(view: View, row: Row) -> str:
    label = view.labels[view.pair_index[row.pair_id]]
    parts = [f"{label}, {row.item_id}: {seconds_text(row.total_s)}"]
    if row.ttft_s is not None:
        parts.append(f"first chunk after {seconds_text(row.ttft_s)}")
    if row.energy_j is not None:
        parts.append(joules(row.energy_j))
    if not row.ok:
        parts.append(f"failed ({row.error or 'reason unknown'})")
    elif row.score is not None:
        parts.append(f"score {format_value(row.score, '')}")
    return ", ".join(parts)


def _summary_rows(
    view: View, ticks: Sequence[Ticks], shown: list[Stretch]
) -> list[tuple[str, ...]]:
    """One row per pair, stretch and domain, over the time from its first to its last request."""
    found = []
    for n, label in enumerate(view.labels):
        for stretch in shown:
            rows = [r for r in view.rows_of(n) if stretch[0] <= r.dispatched_ns <= stretch[1]]
            if not rows:
                continue
            start, end = rows[0].dispatched_ns, max(r.last_chunk_ns for r in rows)
            seconds = [f"{(t - shown[0][0]) / 1e9:.1f}" for t in (start, end)]
            if not ticks:
                found.append((label, DASH, *seconds, str(len(rows)), DASH, DASH, DASH))
            for series in ticks:
                b = bucketed(series, np.array([start, max(end, start + 1)]))
                watts = [
                    format_si(float(v[0]), "W") if np.isfinite(v[0]) else DASH
                    for v in (b.mean_w, b.low_w, b.high_w)
                ]
                found.append((label, series.domain, *seconds, str(len(rows)), *watts))
    return found


def _json(ticks: Sequence[Ticks], shown: list[Stretch]) -> Markup | None:
    """Mean, least and greatest watts of up to 300 intervals per stretch, as plotted but rounder."""
    if not ticks:
        return None
    zero = shown[0][0]
    out = []
    for series in ticks:
        for start, end in shown:
            count = max(1, min(JSON_BUCKETS, end - start))
            edges = np.linspace(start, end, count + 1).astype(np.int64)
            b = bucketed(series, edges)
            out.append(
                {
                    "domain": series.domain,
                    "source": series.source,
                    "start_s": [round((int(t) - zero) / 1e9, 3) for t in edges[:-1]],
                    **{
                        name: [round(float(v), 3) if np.isfinite(v) else None for v in side]
                        for name, side in (
                            ("mean_w", b.mean_w),
                            ("low_w", b.low_w),
                            ("high_w", b.high_w),
                        )
                    },
                }
            )
    text = msgspec.json.encode(out).decode()
    # "</script>" inside a script element would end it.
    return Markup(text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e"))
