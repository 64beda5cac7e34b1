"""What more load brings and what it costs: throughput, waiting and joules, stage by stage."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
from markupsafe import Markup

from perwatt.core.estimate import Estimate
from perwatt.core.summary import StageSummary
from perwatt.metrics.saturation import saturated_stage
from perwatt.report.charts.lines import DASHED, Line, Place, lines
from perwatt.report.charts.svg import el
from perwatt.report.format import DASH, Cell, cell, spoken
from perwatt.report.legend import pair_keys
from perwatt.report.view import Figure, Section, Table, View, figure

__all__ = ["stages"]

COLUMNS = (
    ("requests_per_s", "Requests/s"),
    ("goodput", "Goodput"),
    ("ttft_p50", "TTFT p50"),
    ("ttft_p99", "TTFT p99"),
    ("tpot", "TPOT"),
    ("latency_scheduled_p99", "Latency p99"),
    ("energy_net_j", "J/request, net"),
    ("tokens_per_j", "Tokens/J"),
    ("ipj", "IPJ"),
)
RATE = "requests_per_s"

Own = tuple[int, str, list[StageSummary]]
"""A pair's place, its label and its stages."""


def stages(view: View) -> Section | None:
    """Nothing where the load has a single stage."""
    found: list[Own] = []
    for n, pair in enumerate(view.pairs):
        mine = [s for s in view.summary.stages if s.pair_id == pair.identity.pair_id]
        if mine:
            found.append((n, view.labels[n], mine))
    if not found:
        return None
    return Section(
        name="stages",
        title="Stage by stage",
        template="stages.html",
        data={
            "figures": [f for f in (_latency(view, found), _joules(view, found)) if f],
            "tables": [_table(label, mine, len(found) > 1) for _, label, mine in found],
            "saturated": [line for _, label, mine in found if (line := _sentence(label, mine))],
        },
    )


def _sentence(label: str, mine: Sequence[StageSummary]) -> str | None:
    at = saturated_stage(mine)
    if at is None:
        return None
    stage, before = mine[at], mine[at - 1] if at else None
    if stage.offered_per_s is not None:
        told = "" if stage.kept_up is None else f": answers at {stage.kept_up:.0%} of the questions"
        return f"{label} fell behind at {stage.load}{told}."
    text = f"{label} gave no more at {stage.load}: {spoken(stage.metrics[RATE])}"
    return f"{text}, after {spoken(before.metrics[RATE])} at {before.load}." if before else text


def _table(label: str, mine: Sequence[StageSummary], several: bool) -> Table:
    shown = [
        (name, head)
        for name, head in COLUMNS
        if any((e := stage.metrics.get(name)) and e.value is not None for stage in mine)
    ]
    paced = any(stage.offered_per_s is not None for stage in mine)
    rows: list[tuple[Cell | str, ...]] = [
        (
            stage.load + (f" ({stage.stopped})" if stage.stopped else ""),
            DASH if stage.in_flight is None else f"{stage.in_flight:.1f}",
            *([_offered(stage)] if paced else []),
            *(_bare(stage.metrics.get(name)) for name, _ in shown),
            str(stage.failed),
        )
        for stage in mine
    ]
    offered = ["Offered/s"] if paced else []
    head = ("Load", "In flight", *offered, *(head for _, head in shown), "Failed")
    caption = label if several else "Each stage of the load"
    grades = {e.grade for stage in mine for e in stage.metrics.values() if e.grade}
    if grades:
        caption += f"; joules are of grade {', '.join(sorted(grades))}"
    return Table(caption=caption, head=head, rows=rows)


def _bare(estimate: Estimate | None) -> Cell:
    """Without what the head and the caption say once: a unit that takes no prefix, the grade."""
    if estimate is None:
        return cell(estimate)
    unit = estimate.unit if estimate.unit in {"s", "J"} else ""
    return cell(msgspec.structs.replace(estimate, unit=unit, grade=None))


def _offered(stage: StageSummary) -> str:
    return DASH if stage.offered_per_s is None else f"{stage.offered_per_s:g}"


def _latency(view: View, found: Sequence[Own]) -> Figure | None:
    caption = (
        "Latency from schedule against throughput: solid p50, dashed p99, with 95% intervals. A"
        " ring marks the stage that was more than the server could take."
    )
    names = (("latency_scheduled_p50", "p50"), ("latency_scheduled_p99", "p99"))
    return _figure(view, "load-latency", caption, found, names, ("latency from schedule", "s"))


def _joules(view: View, found: Sequence[Own]) -> Figure | None:
    caption = (
        "Joules of a request against throughput: solid net of idle, dashed gross, with 95%"
        " intervals. Idle is shared among more requests as load grows."
    )
    names = (("energy_net_j", "net"), ("energy_gross_j", "gross"))
    return _figure(view, "load-joules", caption, found, names, ("energy of a request", "J"))


def _figure(
    view: View,
    name: str,
    caption: str,
    found: Sequence[Own],
    names: tuple[tuple[str, str], tuple[str, str]],
    y: tuple[str, str],
) -> Figure | None:
    series = [
        Line(
            pair=n,
            places=places,
            dashed=metric == names[1][0],
            labelled=metric == names[0][0] and n == found[0][0],
        )
        for n, label, mine in found
        for metric, words in names
        if (places := _places(label, mine, metric, words))
    ]
    if not series:
        return None

    def draw(width: float) -> Markup:
        return lines(series, ("requests served per second", ""), y, width, caption)

    keys = [*pair_keys(view.labels), *((words, _swatch(d)) for d, (_, words) in enumerate(names))]
    return figure(view, name, caption, draw, legend=keys, wide=410)


def _places(label: str, mine: Sequence[StageSummary], metric: str, words: str) -> tuple[Place, ...]:
    ringed = saturated_stage(mine)
    places = []
    for n, stage in enumerate(mine):
        x, y = stage.metrics[RATE].value, stage.metrics[metric]
        if x is None or y.value is None or y.value <= 0:
            continue
        places.append(
            Place(
                x=x,
                y=y.value,
                label=_short(stage),
                tip=f"{label}, {stage.load}: {words} {spoken(y)} at {spoken(stage.metrics[RATE])}",
                ringed=n == ringed,
                **_bounds(y),
            )
        )
    return tuple(places)


def _bounds(y: Estimate) -> dict[str, float | None]:
    known = y.low is not None and y.high is not None and y.low > 0
    return {"low": y.low if known else None, "high": y.high if known else None}


def _short(stage: StageSummary) -> str:
    """`8` of `closed:8@30s`, `4/s` of `poisson:4@30s`."""
    body = stage.load.partition("@")[0]
    if stage.offered_per_s is not None:
        return f"{stage.offered_per_s:g}/s"
    return body.removeprefix("closed:")


def _swatch(dashed: int) -> Markup:
    line = el("path", d="M0,7H26", class_="one", stroke_dasharray=DASHED if dashed else "none")
    return el("svg", line, width=26, height=14, viewBox="0 0 26 14", aria_hidden="true")
