"""The client itself: what asking cost it, and how late it was. A slow client measures itself."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from perwatt.core.units import format_si
from perwatt.report.format import DASH
from perwatt.report.view import Section, Table, View

__all__ = ["client"]


def _seconds(value: Any) -> str:
    # Differences of clocks may be below zero, and are told as they are.
    return format_si(float(value), "s").replace("-", "−")


def _plain(value: Any) -> str:
    if isinstance(value, float) and abs(value) < 100:
        return f"{value:.3g}"
    return f"{value:,.0f}"


def _share(value: Any) -> str:
    return f"{value * 100:.1f}%"


def _kinds(value: Mapping[str, int]) -> str:
    return ", ".join(f"{n} {kind}" for kind, n in sorted(value.items())) or "0"


ROWS: tuple[tuple[str, str, Callable[[Any], str]], ...] = (
    ("workers", "Processes that asked", _plain),
    ("requests", "Attempts", _plain),
    ("wall_s", "Time under load", _seconds),
    ("cpu_cores", "Cores used by perwatt", _plain),
    ("loop_cores", "Share of a core used by the busiest asking thread", _share),
    ("requests_per_cpu_s", "Requests per CPU second", _plain),
    ("loop_lag_p50_s", "Event loop late, p50", _seconds),
    ("loop_lag_p99_s", "Event loop late, p99", _seconds),
    ("loop_lag_worst_s", "Event loop late, worst", _seconds),
    ("gc_share", "Time in the garbage collector", _share),
    ("dispatch_lag_p50_s", "Sent after it was due, p50", _seconds),
    ("dispatch_lag_p99_s", "Sent after it was due, p99", _seconds),
    ("send_p50_s", "From dispatch to the kernel, p50", _seconds),
    ("send_p99_s", "From dispatch to the kernel, p99", _seconds),
    ("connect_p50_s", "The same with a new connection, p50", _seconds),
    ("connections_new", "New connections", _plain),
    ("connections_reused", "Reused connections", _plain),
    ("in_flight_mean", "In flight, mean", _plain),
    ("cached_share", "Prompt tokens read from the server's cache", _share),
    ("retried", "Asked again, by error", _kinds),
    ("cancelled", "Stopped", _plain),
    ("above_server_p50_s", "Our latency above the server's own, p50", _seconds),
    ("above_server_ttft_p50_s", "Our time to first token above the server's own, p50", _seconds),
)
"""(field of run.json's `client`, words, how it is written)."""


def client(view: View) -> Section | None:
    """Nothing for a run that did not audit its client."""
    views = view.summary.client
    if not views:
        return None
    rows = [
        (words, *(_cell(each, name, written) for each in views))
        for name, words, written in ROWS
        if any(each.get(name) is not None for each in views)
    ]
    head = ("Figure", *(_title(view, each) for each in views))
    return Section(
        name="client",
        title="The client itself",
        template="client.html",
        data={
            "table": Table(caption="What asking cost, and how late it was", head=head, rows=rows)
        },
    )


def _cell(each: Mapping[str, Any], name: str, written: Callable[[Any], str]) -> str:
    value = each.get(name)
    return DASH if value is None else written(value)


def _title(view: View, each: Mapping[str, Any]) -> str:
    index = view.pair_index.get(str(each.get("pair_id")))
    label = str(each.get("pair_id")) if index is None else view.labels[index]
    load = each.get("load") if len(view.summary.stages) else None
    parts = [label] if len(view.pairs) > 1 or not load else []
    return ", ".join([*parts, *([str(load)] if load else [])])
