"""The table: metrics down, pairs across, each number with its interval and energy grade.

More pairs than a page is wide for are a row each, and can be sorted by any metric.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from perwatt.core.estimate import Estimate
from perwatt.core.summary import MetricInfo, PairSummary
from perwatt.report.format import DASH, GRADES, Cell, cell
from perwatt.report.view import Section, Table, View

__all__ = ["MAIN", "results"]

MAIN = (
    ("Right answers for the energy", ("accuracy", "ipj", "ipw", "j_per_correct")),
    (
        "Energy and power",
        ("energy_gross_j", "energy_net_j", "tokens_per_j", "power_gross_w", "power_net_w"),
    ),
    (
        "Speed",
        (
            *("ttft", "ttft_p50", "ttft_p99", "itl", "tpot", "latency", "latency_scheduled_p99"),
            *("decode_tokens_per_s", "output_tokens_per_s", "requests_per_s"),
        ),
    ),
)
"""Shown at once; every other metric of the summary is in the folded table below."""
SIDE_BY_SIDE = 6
"""Pairs that get columns; more of them get rows."""
AT_ONCE = 5
"""Metrics in one table of rows by pair."""


class MetricRow(msgspec.Struct, frozen=True, kw_only=True):
    info: MetricInfo
    tip: str
    cells: tuple[Cell, ...]


def results(view: View) -> Section:
    groups = [(title, _rows(view, names)) for title, names in MAIN]
    first = {name for _, names in MAIN for name in names}
    rest = _rows(view, tuple(name for name in view.infos if name not in first))
    # A plug-in's metric may lack its description, and is shown all the same.
    unknown = {name for pair in view.pairs for name in pair.metrics if name not in view.infos}
    rest += _rows(view, tuple(sorted(unknown)))
    many = len(view.pairs) > SIDE_BY_SIDE
    shown = {c.grade for _, rows in groups for row in rows for c in row.cells if c.grade}
    return Section(
        name="results",
        title="Results",
        template="results.html",
        data={
            "groups": [(title, rows) for title, rows in groups if rows],
            "by_pair": [*_by_pair(view, groups), _asked(view)] if many else [],
            "rest": rest,
            "rest_by_pair": _by_pair(view, [("Other metrics", rest)]) if many else [],
            "labels": view.labels,
            "counts": [(p.served, p.attempted, p.failed) for p in view.pairs],
            "outside": [line for p in view.pairs if (line := _outside(p))],
            "missing": _missing([row for _, rows in groups for row in rows]),
            "missing_rest": _missing(rest),
            "methods": sorted(
                {c.method for _, rows in groups for row in rows for c in row.cells if c.method}
            ),
            "grades": [(grade, GRADES[grade]) for grade in sorted(shown)],
        },
    )


def _by_pair(
    view: View, groups: Sequence[tuple[str, Sequence[MetricRow]]]
) -> list[tuple[Table, dict[str, str]]]:
    """Tables of a row each pair and `AT_ONCE` metrics, and what the heads of each mean."""
    found = []
    for title, rows in groups:
        for start in range(0, len(rows), AT_ONCE):
            part = rows[start : start + AT_ONCE]
            table = Table(
                caption=title + (f", {start + 1} to {start + len(part)}" if start else ""),
                head=("Pair", *(row.info.title for row in part)),
                rows=[
                    (label, *(row.cells[n] for row in part)) for n, label in enumerate(view.labels)
                ],
                sortable=True,
            )
            found.append((table, {row.info.title: row.tip for row in part}))
    return found


def _asked(view: View) -> tuple[Table, dict[str, str]]:
    rows = [
        (label, f"{pair.attempted:,}", f"{pair.served:,}", f"{pair.failed:,}")
        for label, pair in zip(view.labels, view.pairs, strict=True)
    ]
    head = ("Pair", "Asked", "Answered", "Failed")
    return Table(caption="Requests", head=head, rows=rows, sortable=True), {}


def _outside(pair: PairSummary) -> str | None:
    words = {"warmup": "warm-up", "cooldown": "cool-down"}
    parts = [f"{n} due in the {words[name]}" for name, n in pair.outside.items()]
    if not parts:
        return None
    return f"{pair.identity.label}: {' and '.join(parts)} are not in times and rates."


def _rows(view: View, names: tuple[str, ...]) -> list[MetricRow]:
    rows = []
    for name in names:
        found = [pair.metrics.get(name) for pair in view.pairs]
        info = view.infos.get(name)
        if info is None:
            if not any(found):
                continue
            unit = next((e.unit for e in found if e), "")
            info = MetricInfo(
                name=name, title=name, short=name, unit=unit, formula="", better="neither"
            )
        better = {"higher": " Higher is better.", "lower": " Lower is better."}
        tip = f"{info.formula}{'' if info.formula.endswith('.') else '.'}"
        tip = (tip if info.formula else "") + better.get(info.better, "")
        tip += _how([e for e in found if e is not None and e.value is not None])
        rows.append(MetricRow(info=info, tip=tip.strip(), cells=tuple(cell(e) for e in found)))
    return rows


def _how(found: Sequence[Estimate]) -> str:
    """How the intervals of a row were made, where that is the same for all of it."""
    methods, counts = {e.method for e in found}, {e.n for e in found}
    if len(methods) != 1 or not (method := methods.pop()):
        return ""
    n = f", n = {counts.pop():,}" if len(counts) == 1 else ""
    return f" Interval: {method}{n}."


def _missing(rows: list[MetricRow]) -> list[tuple[str, str]]:
    """Each reason once, with the metrics it took away."""
    reasons: dict[str, list[str]] = {}
    for row in rows:
        for c in row.cells:
            if c.sort is None and c.value == DASH and c.reason:
                names = reasons.setdefault(c.reason, [])
                if row.info.title not in names:
                    names.append(row.info.title)
    return [(reason, ", ".join(names)) for reason, names in reasons.items()]
