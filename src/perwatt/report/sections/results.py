"""The table: metrics down, pairs across, each number with its interval and energy grade."""

from __future__ import annotations

import msgspec

from perwatt.core.summary import MetricInfo, PairSummary
from perwatt.report.format import DASH, GRADES, Cell, cell
from perwatt.report.view import Section, View

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
    shown = {c.grade for _, rows in groups for row in rows for c in row.cells if c.grade}
    return Section(
        name="results",
        title="Results",
        template="results.html",
        data={
            "groups": [(title, rows) for title, rows in groups if rows],
            "rest": rest,
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
        rows.append(MetricRow(info=info, tip=tip.strip(), cells=tuple(cell(e) for e in found)))
    return rows


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
