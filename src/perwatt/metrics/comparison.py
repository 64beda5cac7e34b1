"""Two pairs on the same items, paired: the ratio of each main metric, and whether it is decided."""

from __future__ import annotations

from collections import defaultdict

import numpy as np

from perwatt.core.estimate import Estimate, worst_grade
from perwatt.core.records import Columns
from perwatt.core.summary import Comparison, EnergyLedger, PairSummary
from perwatt.metrics.columns import attempted_rows, clusters_of, metric_columns, take
from perwatt.metrics.conversations import joined
from perwatt.metrics.glossary import all_metrics
from perwatt.metrics.sentences import accuracy_sentence, no_comparison, ratio_sentence
from perwatt.stats.compare import mcnemar_exact, paired_bootstrap
from perwatt.stats.intervals import Gain, Interval

__all__ = ["COMPARED", "compare_pairs"]

COMPARED = ("accuracy", "ipj", "ipw", "energy_gross_j", "latency")


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
    a_rows, b_rows = _common(a_requests, b_requests)
    clusters = list(dict.fromkeys(clusters_of(a_rows)))
    unlike = _unlike(a.ledger, b.ledger)
    metrics = {n: m for n, m in all_metrics().items() if n in COMPARED}
    if clusters:
        wanted = {n: m for n, m in metrics.items() if not (m.energy and unlike)}
        ratios, differences = paired_bootstrap(
            metric_columns(a_rows, clusters)[0],
            metric_columns(b_rows, clusters)[0],
            len(clusters),
            wanted,
            rng=rng,
            draws=draws,
            gain_a=_gain(a.ledger),
            gain_b=_gain(b.ledger),
            same_sensor=_same_sensor(a, b),
        )
    else:
        unlike = "they were asked no item in common"
        ratios, differences = {}, {}
    nothing = Interval(value=None, n=len(clusters), reason=unlike)
    labels = (a.identity.label, b.identity.label)
    found = []
    for name in COMPARED:
        ratio = _estimate(ratios.get(name, nothing), metrics[name].energy, a.ledger, b.ledger)
        decided = _excludes(1.0, ratio.low, ratio.high)
        if name == "accuracy" and name in differences and differences[name].value is not None:
            gap = differences[name]
            decided = decided or _excludes(0.0, gap.low, gap.high)
            a_items, b_items = joined(a_rows), joined(b_rows)
            shares, test = _shares(a_items, b_items), _test(a_items, b_items)
            sentence = accuracy_sentence(*labels, shares, gap, test)
        elif ratio.value is None:
            sentence = no_comparison(*labels, name, ratio.reason or "")
        else:
            sentence = ratio_sentence(*labels, name, ratio)
        found.append(
            Comparison(
                a=a.identity.pair_id,
                b=b.identity.pair_id,
                metric=name,
                ratio=ratio,
                decided=decided,
                sentence=sentence,
            )
        )
    return tuple(found)


def _common(a: Columns, b: Columns) -> tuple[Columns, Columns]:
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


def _unlike(a: EnergyLedger | None, b: EnergyLedger | None) -> str | None:
    if a is None or b is None:
        return "the energy of at least one of them was not measured"
    if a.boundary != b.boundary:
        return f"their joules cover unlike boundaries, {a.boundary} and {b.boundary}"
    if a.grade != b.grade:
        return f"their joules are of unlike grades, {a.grade} and {b.grade}"
    return None


def _same_sensor(a: PairSummary, b: PairSummary) -> bool:
    if a.ledger is None or b.ledger is None:
        return False
    return a.ledger.domains == b.ledger.domains and a.identity.device == b.identity.device


def _gain(ledger: EnergyLedger | None) -> Gain:
    return (ledger.gain_low, ledger.gain_high) if ledger else (1.0, 1.0)


def _excludes(value: float, low: float | None, high: float | None) -> bool:
    return low is not None and high is not None and not low <= value <= high


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


def _cluster_means(rows: Columns) -> dict[str, float]:
    scores: dict[str, list[float]] = defaultdict(list)
    for cluster, score in zip(clusters_of(rows), _scores(rows), strict=True):
        scores[cluster].append(score)
    return {cluster: sum(values) / len(values) for cluster, values in scores.items()}


def _shares(a: Columns, b: Columns) -> tuple[float, float]:
    left, right = (sum(_scores(rows)) / len(rows["status"]) for rows in (a, b))
    return left, right


def _scores(rows: Columns) -> list[float]:
    """A failed request has 0 by definition; an unscored answer was refused before this is asked."""
    scored = zip(rows["status"], rows["score"], strict=True)
    return [float(score) if status == "ok" else 0.0 for status, score in scored]


def _test(a: Columns, b: Columns) -> str:
    """Exact McNemar; where repeats, groups or partial credit make other means, the sign test."""
    left, right = _cluster_means(a), _cluster_means(b)
    binary = {*left.values(), *right.values()} <= {0.0, 1.0}
    p = mcnemar_exact(sum(left[k] > right[k] for k in left), sum(left[k] < right[k] for k in left))
    return f"exact {'McNemar' if binary else 'sign test'} p = {p:.2g}"
