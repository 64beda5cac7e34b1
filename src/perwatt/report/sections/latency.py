"""How long people wait: distributions of first chunk, whole answer and gaps between chunks."""

from __future__ import annotations

from markupsafe import Markup

from perwatt.core.units import format_value
from perwatt.report.charts.ecdf import Curve, ecdf
from perwatt.report.format import DASH
from perwatt.report.leaders import leaders, leaders_note
from perwatt.report.legend import pair_keys
from perwatt.report.rows import Row
from perwatt.report.view import Figure, Section, Table, View, figure

__all__ = ["latency", "quantile"]

QUANTILES = ((0.5, 1), (0.9, 10), (0.99, 100))
"""A quantile, and the fewest values that can carry it."""

WHAT = (
    ("ttft", "Time to first chunk", "from dispatch to the first chunk"),
    ("latency", "Whole answer", "from dispatch to the last chunk"),
    ("itl", "Gaps between chunks", "all gaps of all answers together"),
)


def quantile(values: list[float], share: float) -> float:
    """The least value that at least `share` of the sorted `values` do not exceed."""
    return values[max(0, -(-round(share * len(values) * 1e6) // 1_000_000) - 1)]


def latency(view: View) -> Section:
    figures = [found for name, title, how in WHAT if (found := _figure(view, name, title, how))]
    return Section(
        name="latency",
        title="Latency",
        template="latency.html",
        data={
            "figures": figures,
            "keys": pair_keys(view.labels, lines=True, drawn=leaders(view)),
            "failed": sum(not row.ok for row in view.rows),
        },
    )


def _figure(view: View, name: str, title: str, how: str) -> Figure | None:
    curves, rows, drawn = [], [], leaders(view)
    for n, label in enumerate(view.labels):
        values = sorted(
            v for row in view.rows_of(n) if row.ok and row.counts for v in _values(row, name)
        )
        if not values:
            rows.append((label, "0", *(DASH for _ in QUANTILES)))
            continue
        usable = [(q, quantile(values, q)) for q, least in QUANTILES if len(values) >= least]
        marks = tuple(
            (v, q, f"{label}: p{q * 100:.0f} of {title.lower()} is {format_value(v, 's')}")
            for q, v in usable
        )
        if n in drawn:
            curves.append(Curve(pair=n, label=label, values=values, marks=marks))
        shown = [
            format_value(dict(usable)[q], "s") if q in dict(usable) else f"{DASH} (n < {least})"
            for q, least in QUANTILES
        ]
        rows.append((label, f"{len(values):,}", *shown))
    if not curves:
        return None
    caption = f"{title}: {how}. Marks: p50, p90 and p99 where enough were seen."
    caption += leaders_note(view)

    def draw(width: float) -> Markup:
        return ecdf(curves, "s", title.lower(), width, caption)

    head = ("Pair", "n", *(f"p{q * 100:.0f}" for q, _ in QUANTILES))
    table = Table(caption=title, head=head, rows=rows)
    return figure(view, f"ecdf-{name}", caption, draw, data=table, wide=284)


def _values(row: Row, name: str) -> list[float]:
    if name == "ttft":
        return [] if row.ttft_s is None else [row.ttft_s]
    return [row.total_s] if name == "latency" else list(row.gaps_s)
