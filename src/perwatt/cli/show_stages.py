"""The stages of a load in a terminal: what each was asked, and what that cost."""

from __future__ import annotations

from rich.table import Table

from perwatt.core.estimate import Estimate
from perwatt.core.summary import RunSummary, StageSummary
from perwatt.core.units import format_si, format_value

__all__ = ["stage_tables"]

SHOWN = (
    ("requests_per_s", "req/s"),
    ("ttft_p50", "TTFT p50"),
    ("ttft_p99", "p99"),
    ("tpot", "TPOT"),
    ("latency_scheduled_p99", "latency p99"),
    ("energy_net_j", "J/req net"),
    ("tokens_per_j", "tok/J"),
    ("ipj", "IPJ"),
)
"""Latency is from schedule. Intervals are in the report and in --json."""


def stage_tables(summary: RunSummary) -> list[Table]:
    """A table for each pair; none where the load has a single stage."""
    tables = []
    for pair in summary.pairs:
        stages = [s for s in summary.stages if s.pair_id == pair.identity.pair_id]
        if stages:
            tables.append(_table(pair.identity.label, stages))
    return tables


def _table(label: str, stages: list[StageSummary]) -> Table:
    title = f"{label}, stage by stage"
    table = Table(title=title, title_justify="left", header_style="bold", pad_edge=False)
    table.add_column("load", no_wrap=True)
    paced = any(stage.offered_per_s is not None for stage in stages)
    heads = ["in flight", *(["offered/s"] if paced else []), *(head for _, head in SHOWN), "failed"]
    for head in heads:
        table.add_column(head, justify="right", no_wrap=True)
    for stage in stages:
        offered = "–" if stage.offered_per_s is None else f"{stage.offered_per_s:g}"
        table.add_row(
            f"{stage.load}{' *' if stage.stopped else ''}",
            "–" if stage.in_flight is None else f"{stage.in_flight:.1f}",
            *([offered] if paced else []),
            *(_figure(stage.metrics.get(name)) for name, _ in SHOWN),
            f"{stage.failed} of {stage.attempted}",
        )
    stopped = {stage.stopped for stage in stages if stage.stopped}
    if stopped:
        table.caption = f"* ended early: {', '.join(sorted(stopped))}"
        table.caption_justify = "left"
    return table


def _figure(estimate: Estimate | None) -> str:
    if estimate is None or estimate.value is None:
        return "–"
    if estimate.unit in {"s", "J"}:
        return format_si(estimate.value, estimate.unit)
    return format_value(estimate.value, "")
