"""The figure of one request: watts from a second before it to a second after, and who drew them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from markupsafe import Markup

from perwatt.report.charts.power import power_chart
from perwatt.report.charts.requests import Span
from perwatt.report.format import joules
from perwatt.report.legend import fills
from perwatt.report.rows import request_rows
from perwatt.report.sections.power import KEYS
from perwatt.report.served_requests import AROUND_NS
from perwatt.report.timeline import lanes, power_ticks
from perwatt.report.view import NARROW, WIDE, Figure

__all__ = ["around"]


def around(row: Mapping[str, Any]) -> Figure | None:
    """`row` as `one_request` gives it; None for a request that never began or never ended."""
    if row["dispatched_ns"] is None or row["last_chunk_ns"] is None:
        return None
    every = sorted([row, *row["around"]], key=lambda each: int(each["dispatched_ns"]))
    names = ("request_id", "item_id", "pair_id", "status", "energy_gross_j")
    marks = ("dispatched_ns", "first_chunk_ns", "last_chunk_ns")
    rows = request_rows({name: [r[name] for r in every] for name in (*names, *marks)})
    start, end = row["dispatched_ns"] - AROUND_NS, row["last_chunk_ns"] + AROUND_NS
    spans = [
        Span(
            start_ns=each.dispatched_ns,
            first_ns=each.first_chunk_ns,
            end_ns=max(each.last_chunk_ns, each.dispatched_ns + 1),
            lane=lane,
            pair=0 if each.request_id == row["request_id"] else 1,
            failed=not each.ok,
            tip=f"{each.request_id}: {joules(each.energy_j)}",
        )
        for each, lane in zip(rows, lanes(rows), strict=True)
    ]
    # Its band lies on top of that of all others, whose turns it would else be broken by.
    spans.sort(key=lambda span: -span.pair)
    caption = (
        f"Power around {row['request_id']}, with all requests that were in flight from a second"
        " before it to a second after."
    )
    ticks = [series for series in power_ticks(row["power"]) if len(series.power_w)]

    def draw(width: float) -> Markup:
        return power_chart(
            ticks,
            spans,
            [(start, end)],
            ("this request", "others"),
            row["dispatched_ns"],
            width,
            caption,
            since="this request was sent",
        )

    keys = fills(KEYS if ticks else KEYS[2:])
    if any(span.failed for span in spans):
        keys += fills([("failed", "failed")])
    return Figure(
        id="around", caption=caption, wide=draw(WIDE), narrow=draw(NARROW), legend=tuple(keys)
    )
