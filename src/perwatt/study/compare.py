"""Two runs, or two pairs of one, against each other: paired by item, each item counted once."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import numpy as np

from perwatt import __version__
from perwatt.core.errors import SpecError
from perwatt.core.estimate import Grade
from perwatt.core.records import Columns
from perwatt.core.slo import parse_slo
from perwatt.metrics.columns import clusters_of, take
from perwatt.metrics.comparison import common_rows
from perwatt.metrics.paired_metrics import PAIRED, ComparedSide, PairedMetric, compare_metrics
from perwatt.metrics.sentences import Paired, paired_headline
from perwatt.study.compare_caveats import Caveat, caveats_of, same_sensors
from perwatt.study.compare_sides import Side
from perwatt.study.gates import Gate, GateResult, judge_gates

__all__ = ["RunComparison", "SideSummary", "compare_sides"]

DRAWS, FEWEST, WEIGHTS = 2000, 400, 8_000_000
"""As a run's own summary: fewer draws where draws × items is above WEIGHTS."""


class SideSummary(msgspec.Struct, frozen=True, kw_only=True):
    """Which pair of which run it was."""

    name: str
    """The shortest that tells it from the other side."""
    directory: str
    """The directory's own name."""
    run_id: str
    started: str
    perwatt_version: str
    pair_id: str
    label: str
    model: str
    device: str | None
    load: str
    workload: str
    workload_sha256: str
    items: int
    """It was asked."""
    failed: int
    """Requests of the common items that failed; they count as wrong."""
    boundary: str | None
    grade: Grade | None


class RunComparison(msgspec.Struct, frozen=True, kw_only=True):
    """B against A, whole: what `--json` prints."""

    perwatt_version: str
    headline: str
    """One sentence to quote."""
    a: SideSummary
    b: SideSummary
    items: int
    """Common ones, compared."""
    clusters: int
    """Independent ones among them: items, or groups of items."""
    same_sensor: bool
    """Did one sensor measure both, so that its own error is left out of ratios?"""
    metrics: tuple[PairedMetric, ...]
    caveats: tuple[Caveat, ...]
    gates: tuple[GateResult, ...] = ()


def compare_sides(
    a: Side,
    b: Side,
    metrics: Sequence[str] = PAIRED,
    gates: Sequence[Gate] = (),
    *,
    same_sensor: bool = False,
    seed: int = 0,
) -> RunComparison:
    """Compare the items that both were asked, those of one id and unlike content left out.

    `same_sensor`: the user says that one sensor measured both; else the runs must. A gate's metric
    is compared too where it is not in `metrics`. Raises SpecError where no item is common or gates
    are to judge a run against itself, and UnknownNameError for a metric that is none.
    """
    for side in (a, b):
        if not side.requests["item_id"]:
            msg = f"{side.identity.label} in {side.directory} has no answers to be paired."
            raise SpecError(msg, "Figures that other tools published are in `perwatt study`.")
    if gates and (a.run_id, a.identity.pair_id) == (b.run_id, b.identity.pair_id):
        msg = f"{a.directory} and {b.directory} are one run and one pair: no --fail-if could fail."
        raise SpecError(msg, "Name the run that is to be judged.")
    a_rows, b_rows, changed = _common(a, b)
    if not a_rows["item_id"]:
        msg = f"{a.directory} and {b.directory} were asked no item in common."
        raise SpecError(msg, "Compare runs of one workload.")
    same_sensor = same_sensor or same_sensors(a, b)
    common = list(dict.fromkeys(a_rows["item_id"]))
    names = _names(a, b)
    limits = [side.run["spec"].get("slo") for side in (a, b)]
    slo = parse_slo(limits[0]) if limits[0] and limits[0] == limits[1] else None
    wanted = list(dict.fromkeys([*metrics, *(gate.metric for gate in gates)]))
    found = compare_metrics(
        a_rows,
        b_rows,
        ComparedSide(label=names[0], ledger=a.ledger, slo=slo),
        ComparedSide(label=names[1], ledger=b.ledger, slo=slo),
        wanted,
        same_sensor=same_sensor,
        rng=np.random.default_rng(seed),
        draws=max(FEWEST, min(DRAWS, WEIGHTS // len(common))),
    )
    return RunComparison(
        perwatt_version=__version__,
        headline=_headline(names, found),
        a=_summary(a, names[0], a_rows),
        b=_summary(b, names[1], b_rows),
        items=len(common),
        clusters=len(set(clusters_of(a_rows))),
        same_sensor=same_sensor,
        metrics=found,
        caveats=caveats_of(a, b, common, changed, same_sensor=same_sensor),
        gates=judge_gates(gates, found),
    )


def _common(a: Side, b: Side) -> tuple[Columns, Columns, int]:
    """Both sides' rows of the items that are one and the same; how many were not."""
    a_rows, b_rows = common_rows(a.requests, b.requests)
    if a.contents is None or b.contents is None:
        return a_rows, b_rows, 0
    one, other = a.contents, b.contents
    changed = {item for item in set(a_rows["item_id"]) if one.get(item) != other.get(item)}
    kept = [
        take(rows, [n for n, item in enumerate(rows["item_id"]) if item not in changed])
        for rows in (a_rows, b_rows)
    ]
    return kept[0], kept[1], len(changed)


def _names(a: Side, b: Side) -> tuple[str, str]:
    one, other = a.identity.label, b.identity.label
    if one != other:
        return one, other
    if a.directory != b.directory:
        return f"{one} in {a.directory}", f"{other} in {b.directory}"
    return f"{one} (A)", f"{other} (B)"


def _headline(names: tuple[str, str], found: Sequence[PairedMetric]) -> str:
    by_name = {metric.metric: metric for metric in found}
    costs = [by_name[name] for name in _COSTS if name in by_name]
    cost = next((metric for metric in costs if metric.ratio.value is not None), None)
    joules = [metric for metric in costs if metric.unit == "J"]
    missing = None
    if joules and not any(metric.ratio.value is not None for metric in joules):
        missing = joules[0].ratio.reason
    accuracy = by_name.get("accuracy")
    if accuracy is None and not costs:  # none that a headline is made of was asked for
        return found[0].sentence
    return paired_headline(
        *names,
        _paired(accuracy, "accuracy", share=True) if accuracy else None,
        _paired(cost, _COSTS[cost.metric], share=False) if cost else None,
        missing,
    )


_COSTS = {
    "energy_gross_j": "the joules per answer",
    "j_per_correct": "the joules per correct answer",
    "energy_net_j": "the net joules per answer",
    "latency": "the time per answer",
}


def _paired(metric: PairedMetric, noun: str, *, share: bool) -> Paired:
    return Paired(
        estimate=metric.difference if share else metric.ratio,
        decided=metric.decided,
        items_needed=metric.items_needed,
        noun=noun,
    )


def _summary(side: Side, name: str, rows: Columns) -> SideSummary:
    run, identity, ledger = side.run, side.identity, side.ledger
    return SideSummary(
        name=name,
        directory=side.directory,
        run_id=side.run_id,
        started=run["started"],
        perwatt_version=run.get("perwatt_version", "unknown"),
        pair_id=identity.pair_id,
        label=identity.label,
        model=identity.model,
        device=identity.device or run["environment"].get("cpu"),
        load=str(run["spec"].get("load") or "unknown"),
        workload=run["workload"]["name"],
        workload_sha256=run["workload"]["sha256"],
        items=len(set(side.requests["item_id"])),
        failed=sum(status != "ok" for status in rows["status"]),
        boundary=ledger.boundary if ledger else None,
        grade=ledger.grade if ledger else None,
    )
