"""Two pairs on the same items, paired: the ratio of each main metric, and whether it is decided."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
import numpy as np

from perwatt.core.estimate import Estimate, worst_grade
from perwatt.core.records import Columns
from perwatt.core.summary import Comparison, EnergyLedger, PairSummary
from perwatt.metrics.columns import attempted_rows, clusters_of, metric_columns, take
from perwatt.metrics.conversations import joined
from perwatt.metrics.correction import corrected
from perwatt.metrics.glossary import all_metrics
from perwatt.metrics.sentences import accuracy_sentence, no_comparison, ratio_sentence
from perwatt.metrics.tested import Tested, tested
from perwatt.stats.intervals import Gain, Interval
from perwatt.stats.sample import Column, Floats

__all__ = [
    "COMPARED",
    "common_rows",
    "compare_pairs",
    "gain_of",
    "paired_test_name",
    "shares_of",
    "times_of_both",
    "unlike_energy",
]

COMPARED = ("accuracy", "ipj", "ipw", "energy_gross_j", "latency")
_TIMES = frozenset(
    f"{name}_s"
    for name in (
        "latency",
        "latency_scheduled",
        "ttft",
        "ttft_scheduled",
        "ttft_answer",
        "itl",
        "tpot",
        "ntpot",
        "server_ttft",
        "server_queue",
        "server_prefill",
        "server_decode",
    )
)
"""Columns that answered requests alone have."""


def compare_pairs(
    a_requests: Columns,
    b_requests: Columns,
    a_summary: PairSummary,
    b_summary: PairSummary,
    *,
    rng: np.random.Generator,
    draws: int = 2000,
) -> tuple[Comparison, ...]:
    """a / b for each metric of COMPARED, over the items that both were asked.

    Joule figures of unlike boundary or grade are not divided: the ratio is then None with the
    reason. Two pairs read by the same sensors share its systematic error, which cancels.
    """
    a, b = a_summary, b_summary
    a_rows, b_rows = common_rows(a_requests, b_requests)
    clusters = list(dict.fromkeys(clusters_of(a_rows)))
    unlike = unlike_energy(a.ledger, b.ledger)
    known = all_metrics()
    metrics = {name: known[name] for name in COMPARED}
    a_columns, b_columns = times_of_both(
        metric_columns(a_rows, clusters)[0], metric_columns(b_rows, clusters)[0], len(clusters)
    )
    found_of: dict[str, Tested] = {}
    if clusters:
        found_of = tested(
            a_columns,
            b_columns,
            len(clusters),
            {n: m for n, m in metrics.items() if not (m.energy and unlike)},
            gain_a=gain_of(a.ledger),
            gain_b=gain_of(b.ledger),
            same_sensor=_same_sensor(a, b),
            rng=rng,
            draws=draws,
        )
    else:
        unlike = "they were asked no item in common"
    nothing = Interval(value=None, n=len(clusters), reason=unlike)
    without = Tested(ratio=nothing, difference=nothing)
    labels = (a.identity.label, b.identity.label)
    found = []
    for name in COMPARED:
        seen = found_of.get(name, without)
        ratio = _estimate(seen.ratio, metrics[name].energy, a.ledger, b.ledger)
        gap, p, apart = seen.difference, seen.p, seen.apart
        sentence = no_comparison(*labels, name, ratio.reason or "")
        if name == "accuracy" and p is not None and apart is not None:
            shares = shares_of(joined(a_rows)), shares_of(joined(b_rows))
            test = paired_test_name(a_columns["score"], b_columns["score"], apart)
            sentence = accuracy_sentence(*labels, shares, gap, test, p)
        elif ratio.value is not None:
            sentence = ratio_sentence(*labels, name, ratio, p)
        found.append(
            Comparison(
                a=a.identity.pair_id,
                b=b.identity.pair_id,
                metric=name,
                ratio=ratio,
                decided=False,
                sentence=sentence,
                finding=sentence,
                p_value=p,
                standard_errors=seen.errors,
            )
        )
    return corrected(found)


def common_rows(a: Columns, b: Columns) -> tuple[Columns, Columns]:
    """The attempted rows of both, of items that both were asked."""
    a, b = take(a, attempted_rows(a)), take(b, attempted_rows(b))
    both = set(a["item_id"]) & set(b["item_id"])
    kept = (
        take(side, [row for row, item in enumerate(side["item_id"]) if item in both])
        for side in (a, b)
    )
    a, b = kept
    # Resampled as one: b's items take a's groups, even if another version grouped them otherwise.
    group_of = dict(zip(a["item_id"], clusters_of(a), strict=True))
    return a, {**b, "group": [group_of[item] for item in b["item_id"]]}


def times_of_both(
    a: Mapping[str, Column], b: Mapping[str, Column], clusters: int
) -> tuple[dict[str, Column], dict[str, Column]]:
    """Times of the clusters that both have some of: an item that one side failed, perhaps for
    being the longest, would else make that side the faster one."""
    sides = dict(a), dict(b)
    for name in _TIMES & a.keys() & b.keys():
        counts = [
            np.bincount(own.cluster, weights=~np.isnan(own.values), minlength=clusters)
            for own in (a[name], b[name])
        ]
        both = (counts[0] > 0) & (counts[1] > 0)
        if both.any() and not both.all():
            for side in sides:
                kept = np.where(both[side[name].cluster], side[name].values, np.nan)
                side[name] = msgspec.structs.replace(side[name], values=kept)
    return sides


def unlike_energy(a: EnergyLedger | None, b: EnergyLedger | None) -> str | None:
    """Why their joules are not to be divided by each other; None: they are alike."""
    if a is None or b is None:
        return "the energy of at least one of them was not measured"
    if a.boundary != b.boundary:
        return f"their joules cover unlike boundaries, {a.boundary} and {b.boundary}"
    if a.grade != b.grade:
        return f"their joules are of unlike grades, {a.grade} and {b.grade}"
    return None


def _same_sensor(a: PairSummary, b: PairSummary) -> bool:
    """Of two pairs of one run, so of one host."""
    if a.ledger is None or b.ledger is None:
        return False
    return a.ledger.domains == b.ledger.domains and a.identity.device == b.identity.device


def gain_of(ledger: EnergyLedger | None) -> Gain:
    """The sensor's own error as a factor on all joules."""
    return (ledger.gain_low, ledger.gain_high) if ledger else (1.0, 1.0)


def _estimate(
    interval: Interval, energy: bool, a: EnergyLedger | None, b: EnergyLedger | None
) -> Estimate:
    known = a if energy and a is not None and b is not None else None
    return Estimate(
        value=interval.value,
        low=interval.low,
        high=interval.high,
        unit="",
        method=interval.method,
        n=interval.n,
        grade=worst_grade([x.grade for x in (a, b) if x]) if known else None,
        boundary=known.boundary if known and b and known.boundary == b.boundary else None,
        reason=interval.reason,
    )


def shares_of(items: Columns) -> float:
    """Mean score. A failed item has 0 by definition; an unscored answer was refused before."""
    scored = zip(items["status"], items["score"], strict=True)
    return sum(float(score) if status == "ok" else 0.0 for status, score in scored) / len(
        items["status"]
    )


def paired_test_name(a: Column, b: Column, apart: Floats) -> str:
    """By what name the flips are known, where they are counted exactly."""
    once = all(np.bincount(column.cluster).max() == 1 for column in (a, b))
    if once and all(np.isin(column.values, (0.0, 1.0)).all() for column in (a, b)):
        return "exact McNemar"
    alike = np.unique(np.abs(apart[apart != 0]).round(12)).size <= 1
    return "exact sign test" if alike else "paired flip test"
