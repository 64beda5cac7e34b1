"""One pair's rows to its published numbers: each metric with its interval, overall and by slice."""

from __future__ import annotations

import math

import msgspec
import numpy as np

from perwatt.core.estimate import Estimate
from perwatt.core.records import Columns, PairIdentity
from perwatt.core.slo import Slo
from perwatt.core.summary import EnergyLedger, PairSummary, SetAside, StageSummary
from perwatt.metrics.columns import attempted_rows, clusters_of, metric_columns, take
from perwatt.metrics.comparison import compare_pairs
from perwatt.metrics.contamination import contamination_of
from perwatt.metrics.conversations import joined
from perwatt.metrics.domains import robustness_of, stands_out_of
from perwatt.metrics.footing import Footing, footing_of
from perwatt.metrics.glossary import all_metrics, stage_metrics
from perwatt.metrics.metric import Metric
from perwatt.metrics.repeats import repeats_of, self_agreement_of
from perwatt.metrics.reported.tools import reported_as
from perwatt.metrics.saturation import keeping_up
from perwatt.metrics.sentences import headline
from perwatt.metrics.windows import OUTSIDE, counted
from perwatt.stats.intervals import Interval, joint_bootstrap
from perwatt.stats.sample import Column
from perwatt.stats.score_interval import score_intervals

__all__ = ["compare_pairs", "headline", "summarise_pair", "summarise_stage"]

SLICED_BY = ("kind", "level", "category", "scorer")
BESIDE = ("accuracy", "ipw", "ipj", "j_per_correct")

Beside = dict[str, dict[str, Estimate]]


def summarise_pair(
    requests: Columns,
    identity: PairIdentity,
    ledger: EnergyLedger | None,
    *,
    rng: np.random.Generator,
    draws: int = 2000,
    slo: Slo | None = None,
    home: str | None = None,
) -> PairSummary:
    """All metrics of one pair, and those marked `sliced` by kind, level, category and scorer.

    `requests` are all of the pair's rows of requests.parquet; `counted_from_ns` and
    `counted_to_ns`, where there, bound what counts for speed (`windows`). Attempts that were
    stopped or asked again count in `set_aside` alone, turns are joined for all but speed. The
    ledger's gain range becomes part of every joule figure's interval. A metric that cannot be had
    honestly is an Estimate without value that says why. `home`: the domain that the generalisation
    gap is taken from (`domains`).
    """
    aside = _set_aside(requests)
    requests = take(requests, attempted_rows(requests))
    footing = footing_of(requests, ledger)
    metrics = all_metrics()
    sliced = {name: metric for name, metric in metrics.items() if metric.sliced}
    attempted, served = _counts(requests)
    flags = [set(found or ()) & OUTSIDE for found in requests.get("flags") or ()]
    outside = {name: sum(name in found for found in flags) for name in sorted(OUTSIDE)}
    return PairSummary(
        identity=identity,
        attempted=attempted,
        served=served,
        failed=attempted - served,
        metrics=_estimates(requests, metrics, footing, rng, draws, slo),
        slices={
            by: {
                label: _estimates(take(requests, rows), sliced, footing, rng, draws, slo)
                for label, rows in _slices(requests, by).items()
            }
            for by in SLICED_BY
        },
        ledger=ledger,
        set_aside=aside,
        reported_as=reported_as(requests),
        outside={name: n for name, n in outside.items() if n},
        beside=_beside(requests, footing, rng, draws),
        repeats=repeats_of(requests, footing, rng=rng),
        self_agreement=self_agreement_of(requests, footing),
        robustness=robustness_of(requests, footing, rng=rng, home=home, draws=min(draws, 1000)),
        stands_out=stands_out_of(requests, footing),
        contamination=contamination_of(requests, footing, rng=rng),
    )


def summarise_stage(
    requests: Columns,
    pair_id: str,
    ledger: EnergyLedger | None,
    *,
    stage: int,
    load: str,
    offered_per_s: float | None,
    stopped: str | None,
    rng: np.random.Generator,
    draws: int = 2000,
    slo: Slo | None = None,
) -> StageSummary:
    """One stage's rows of one pair. The ledger is the pair's: it has the sensor's own error."""
    requests = take(requests, attempted_rows(requests))
    window = counted(requests)
    attempted, served = _counts(requests)
    busy_s = float(window.overlap_s.sum())
    footing = footing_of(requests, ledger)
    kept_up, slowing = keeping_up(requests)
    return StageSummary(
        pair_id=pair_id,
        stage=stage,
        load=load,
        attempted=attempted,
        served=served,
        failed=attempted - served,
        offered_per_s=offered_per_s,
        in_flight=busy_s / window.window_s if window.window_s > 0 else None,
        seconds=window.window_s,
        metrics=_estimates(requests, stage_metrics(), footing, rng, draws, slo),
        stopped=stopped,
        kept_up=kept_up,
        slowing=slowing,
    )


def _counts(requests: Columns) -> tuple[int, int]:
    """Items asked and served."""
    statuses = joined(requests)["status"]
    return len(statuses), sum(status == "ok" for status in statuses)


def _set_aside(requests: Columns) -> SetAside | None:
    aside = set(range(len(requests["status"]))) - set(attempted_rows(requests))
    if not aside:
        return None
    joules = requests.get("energy_gross_j") or [None] * len(requests["status"])
    known = [joules[row] for row in sorted(aside) if joules[row] is not None]
    return SetAside(
        attempts=len(aside),
        energy_j=sum(known) if known else None,
        unknown=len(aside) - len(known),
    )


def _estimates(
    requests: Columns,
    metrics: dict[str, Metric],
    footing: Footing,
    rng: np.random.Generator,
    draws: int,
    slo: Slo | None,
) -> dict[str, Estimate]:
    clusters = list(dict.fromkeys(clusters_of(requests)))
    if not clusters:
        nothing = Interval(value=None, n=0, reason="no request was attempted")
        return {name: _estimate(metric, nothing, footing) for name, metric in metrics.items()}
    columns, count = metric_columns(requests, clusters, slo)
    wanted = {n: m for n, m in metrics.items() if not (m.energy and footing.reason)}
    means = {name: metric.means for name, metric in wanted.items() if metric.means}
    intervals = score_intervals(columns, count, wanted, means, gain=footing.gain)
    intervals |= joint_bootstrap(
        columns,
        count,
        {name: metric for name, metric in wanted.items() if name not in means},
        rng=rng,
        draws=draws,
        gain=footing.gain,
        shares=frozenset(name for name, metric in metrics.items() if metric.info.unit == "share"),
    )
    without = Interval(value=None, n=count, reason=footing.reason)
    return {
        name: _estimate(metric, intervals.get(name, without), footing, columns)
        for name, metric in metrics.items()
    }


def _estimate(
    metric: Metric, interval: Interval, footing: Footing, columns: dict[str, Column] | None = None
) -> Estimate:
    note = _thin(metric, columns)
    if note is not None:
        interval = msgspec.structs.replace(interval, low=None, high=None, method="")
    return footing.estimate(interval, metric.info.unit, energy=metric.energy, note=note)


def _beside(requests: Columns, footing: Footing, rng: np.random.Generator, draws: int) -> Beside:
    """What is published by the score interval, by the joint bootstrap: they should agree."""
    clusters = list(dict.fromkeys(clusters_of(requests)))
    if len(clusters) < 2:
        return {}
    columns, count = metric_columns(requests, clusters)
    metrics = {name: metric for name, metric in all_metrics().items() if name in BESIDE}
    wanted = {n: m for n, m in metrics.items() if not (m.energy and footing.reason)}
    found = joint_bootstrap(columns, count, wanted, rng=rng, draws=draws, gain=footing.gain)
    return {
        name: {"bootstrap": _estimate(metrics[name], interval, footing)}
        for name, interval in found.items()
        if interval.value is not None
    }


def _thin(metric: Metric, columns: dict[str, Column] | None) -> str | None:
    """Why a percentile of so few values has no interval; None: it has one.

    The largest of n values lies above the share's true quantile with probability 1 − shareⁿ. Where
    that is below 97.5% no value seen bounds it from above, and no resampling of them does.
    """
    if metric.tail is None or columns is None:
        return None
    name, share = metric.tail
    values = int(np.count_nonzero(~np.isnan(columns[name].values)))
    if share <= 0.5 or not values or 1 - share**values >= 0.975:
        return None
    enough = math.ceil(math.log(0.025) / math.log(share))
    if values * (1 - share) < 1 - 1e-9:
        return f"of {values} values this percentile is the largest; {enough} would bound it"
    return f"{values} values do not bound this percentile from above; {enough} would"


def _slices(requests: Columns, by: str) -> dict[str, list[int]]:
    """Rows by label, labels in order; rows without a label are in no slice."""
    labels = requests.get(by) or []
    if by == "scorer" and labels:
        # Neither a failed answer nor a turn before the last has met its scorer.
        known = zip(requests["item_id"], labels, strict=True)
        scorer_of = {item: label for item, label in known if label is not None}
        labels = [scorer_of.get(item) for item in requests["item_id"]]
    found: dict[str, list[int]] = {}
    for row, label in enumerate(labels):
        if label is not None:
            found.setdefault(str(label), []).append(row)
    return dict(sorted(found.items()))
