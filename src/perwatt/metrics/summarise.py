"""One pair's rows to its published numbers: each metric with its interval, overall and by slice."""

from __future__ import annotations

import msgspec
import numpy as np

from perwatt.core.estimate import Estimate, Grade, worst_grade
from perwatt.core.records import Columns, PairIdentity
from perwatt.core.summary import EnergyLedger, PairSummary
from perwatt.metrics.columns import attempted_rows, clusters_of, metric_columns, take
from perwatt.metrics.comparison import compare_pairs
from perwatt.metrics.glossary import all_metrics
from perwatt.metrics.metric import Metric
from perwatt.metrics.sentences import headline
from perwatt.stats.intervals import Gain, Interval, joint_bootstrap

__all__ = ["compare_pairs", "headline", "summarise_pair"]

SLICED_BY = ("kind", "level", "category")


class _Energy(msgspec.Struct, frozen=True):
    """What every joule figure of the pair shares."""

    grade: Grade | None
    boundary: str | None
    gain: Gain
    reason: str | None
    """Why there is no honest joule figure at all."""


def summarise_pair(
    requests: Columns,
    identity: PairIdentity,
    ledger: EnergyLedger | None,
    *,
    rng: np.random.Generator,
    draws: int = 2000,
) -> PairSummary:
    """All metrics of one pair, and those marked `sliced` by kind, level and category.

    `requests` are the pair's rows of requests.parquet; cancelled ones are left out. The ledger's
    gain range becomes part of every joule figure's interval. A metric that cannot be had honestly
    is an Estimate without value that says why.
    """
    requests = take(requests, attempted_rows(requests))
    energy = _energy_of(requests, ledger)
    metrics = all_metrics()
    sliced = {name: metric for name, metric in metrics.items() if metric.sliced}
    served = sum(status == "ok" for status in requests["status"])
    return PairSummary(
        identity=identity,
        attempted=len(requests["status"]),
        served=served,
        failed=len(requests["status"]) - served,
        metrics=_estimates(requests, metrics, energy, rng, draws),
        slices={
            by: {
                label: _estimates(take(requests, rows), sliced, energy, rng, draws)
                for label, rows in _slices(requests, by).items()
            }
            for by in SLICED_BY
        },
        ledger=ledger,
    )


def _estimates(
    requests: Columns,
    metrics: dict[str, Metric],
    energy: _Energy,
    rng: np.random.Generator,
    draws: int,
) -> dict[str, Estimate]:
    clusters = list(dict.fromkeys(clusters_of(requests)))
    if not clusters:
        nothing = Interval(value=None, n=0, reason="no request was attempted")
        return {name: _estimate(metric, nothing, energy) for name, metric in metrics.items()}
    columns, count = metric_columns(requests, clusters)
    intervals = joint_bootstrap(
        columns,
        count,
        {n: m for n, m in metrics.items() if not (m.energy and energy.reason)},
        rng=rng,
        draws=draws,
        gain=energy.gain,
        shares=frozenset(name for name, metric in metrics.items() if metric.info.unit == "share"),
    )
    without = Interval(value=None, n=count, reason=energy.reason)
    return {
        name: _estimate(metric, intervals.get(name, without), energy)
        for name, metric in metrics.items()
    }


def _estimate(metric: Metric, interval: Interval, energy: _Energy) -> Estimate:
    method = interval.method
    if metric.energy and method and energy.gain != (1.0, 1.0):
        method += (
            f"; the sensor's own error of ×{energy.gain[0]:.3g} to ×{energy.gain[1]:.3g} in it"
        )
    return Estimate(
        value=interval.value,
        low=interval.low,
        high=interval.high,
        unit=metric.info.unit,
        method=method,
        n=interval.n,
        grade=energy.grade if metric.energy else None,
        boundary=energy.boundary if metric.energy else None,
        reason=interval.reason,
    )


def _energy_of(requests: Columns, ledger: EnergyLedger | None) -> _Energy:
    grades: list[Grade] = [g for g in requests.get("grade", []) if g is not None]
    boundaries = {b for b in requests.get("boundary", []) if b is not None}
    if ledger is not None:
        grades.append(ledger.grade)
        boundaries.add(ledger.boundary)
    gain = (ledger.gain_low, ledger.gain_high) if ledger else (1.0, 1.0)
    reason = None
    if len(boundaries) > 1:
        reason = f"its joules cover different boundaries: {', '.join(sorted(boundaries))}"
    elif not boundaries:
        reason = "no energy was measured"
    boundary = next(iter(boundaries)) if len(boundaries) == 1 else None
    return _Energy(worst_grade(grades), boundary, gain, reason)


def _slices(requests: Columns, by: str) -> dict[str, list[int]]:
    """Rows by label, labels in order; rows without a label are in no slice."""
    labels = requests.get(by) or []
    found: dict[str, list[int]] = {}
    for row, label in enumerate(labels):
        if label is not None:
            found.setdefault(str(label), []).append(row)
    return dict(sorted(found.items()))
