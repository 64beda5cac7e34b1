"""The stages of a load in a terminal: what each was asked, and what that cost."""

from __future__ import annotations

from rich.box import SIMPLE_HEAD
from rich.table import Table

from perwatt.core.estimate import Estimate
from perwatt.core.summary import RunSummary, StageSummary
from perwatt.core.units import format_si, format_value

__all__ = ["stage_tables"]

SHOWN = (
    ("requests_per_s", "req/s"),
    ("ttft_p50", "TTFT\np50"),
    ("ttft_p99", "TTFT\np99"),
    ("tpot", "TPOT"),
    ("latency_scheduled_p99", "latency\np99"),
    ("energy_net_j", "J/req\nnet"),
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
    # Without bars between columns it fits a hundred columns of a terminal.
    table = Table(
        title=title,
        title_justify="left",
        header_style="bold",
        box=SIMPLE_HEAD,
        pad_edge=False,
        padding=(0, 1, 0, 0),
    )
    table.add_column("load", overflow="fold")
    paced = any(stage.offered_per_s is not None for stage in stages)
    offered_head = ["asked\n/s"] if paced else []
    shown = [(name, head) for name, head in SHOWN if _known(stages, name)]
    heads = ["in\nflight", *offered_head, *(head for _, head in shown), "failed"]
    for head in heads:
        # On a narrow terminal a figure is folded, and never cut short of its digits.
        table.add_column(head, justify="right", overflow="fold")
    for stage in stages:
        offered = "–" if stage.offered_per_s is None else f"{stage.offered_per_s:g}"
        table.add_row(
            f"{stage.load}{' *' if stage.stopped else ''}",
            "–" if stage.in_flight is None else f"{stage.in_flight:.1f}",
            *([offered] if paced else []),
            *(_figure(stage.metrics.get(name)) for name, _ in shown),
            str(stage.failed),
        )
    stopped = {stage.stopped for stage in stages if stage.stopped}
    if stopped:
        table.caption = f"* ended early: {', '.join(sorted(stopped))}"
        table.caption_justify = "left"
    return table


def _known(stages: list[StageSummary], name: str) -> bool:
    found = (stage.metrics.get(name) for stage in stages)
    return any(estimate is not None and estimate.value is not None for estimate in found)


def _figure(estimate: Estimate | None) -> str:
    if estimate is None or estimate.value is None:
        return "–"
    if estimate.unit in {"s", "J"}:
        return format_si(estimate.value, estimate.unit)
    return format_value(estimate.value, "")
