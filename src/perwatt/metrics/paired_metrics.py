"""Two sides on the same items, side by side: any metrics, of b against a.

The values of both, b / a, b − a, how large that is (`effects`), and whether it is decided: by the
paired test alone, Holm's correction over all metrics that were asked for in it. A metric and its
reciprocal (IPJ, joules per correct answer) are one test.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec
import numpy as np

from perwatt.core.errors import UnknownNameError
from perwatt.core.estimate import Estimate
from perwatt.core.records import Columns
from perwatt.core.slo import Slo
from perwatt.core.summary import Comparison, EnergyLedger, MetricInfo
from perwatt.metrics.columns import clusters_of, metric_columns
from perwatt.metrics.comparison import (
    gain_of,
    paired_test_name,
    shares_of,
    times_of_both,
    unlike_energy,
)
from perwatt.metrics.conversations import joined
from perwatt.metrics.correction import corrected
from perwatt.metrics.effects import cohens_h, standardised_difference, superiority
from perwatt.metrics.footing import Footing, footing_of
from perwatt.metrics.glossary import all_metrics
from perwatt.metrics.metric import Metric
from perwatt.metrics.sentences import (
    accuracy_sentence,
    no_comparison,
    ratio_sentence,
    verdict_sentence,
)
from perwatt.metrics.share_gaps import share_gap, share_ratio
from perwatt.metrics.tested import Tested, tested
from perwatt.stats.intervals import Interval, joint_bootstrap
from perwatt.stats.sample import Column
from perwatt.stats.score_interval import score_intervals

__all__ = ["PAIRED", "ComparedSide", "PairedMetric", "compare_metrics", "paired_names"]

PAIRED = (
    "accuracy",
    "ipj",
    "ipw",
    "j_per_correct",
    "energy_gross_j",
    "energy_net_j",
    "latency",
    "ttft",
    "output_tokens",
)

OUTPUT_TOKENS = Metric(
    lambda sample: sample.mean("completion_tokens"),
    MetricInfo(
        name="output_tokens",
        title="Output tokens of an answer",
        short="Tokens out",
        unit="",
        formula="mean of completion tokens, reasoning included, all turns",
        better="neither",
    ),
    energy=False,
    sliced=False,
    means=("completion_tokens", None),
)
"""Not in the glossary: says why joules and seconds differ, and is no figure of merit."""


class ComparedSide(msgspec.Struct, frozen=True, kw_only=True):
    """Whose rows they are."""

    label: str
    ledger: EnergyLedger | None
    slo: Slo | None = None
    """Limits that make a request good; None: none that hold for both sides."""


class PairedMetric(msgspec.Struct, frozen=True, kw_only=True):
    """One metric of b against a, over the items both were asked."""

    metric: str
    title: str
    unit: str
    better: str
    a: Estimate
    b: Estimate
    ratio: Estimate
    """b / a."""
    difference: Estimate
    """b − a, in the metric's unit."""
    dz: Estimate
    """Standardised mean difference of pairs; see `effects` for all three."""
    h: Estimate
    """Cohen's, of shares."""
    superiority: Estimate
    """Chance that b is the better one of an item."""
    p_value: float | None = None
    """Of the paired test that both are alike."""
    p_adjusted: float | None = None
    decided: bool = False
    """Is `p_adjusted` at most 0.05?"""
    items_needed: int | None = None
    """Where undecided: so many would decide it four times in five, were what was seen true."""
    sentence: str = ""


def paired_names() -> dict[str, Metric]:
    """Every metric that two runs can be compared in."""
    return {**all_metrics(), OUTPUT_TOKENS.info.name: OUTPUT_TOKENS}


def compare_metrics(
    a_rows: Columns,
    b_rows: Columns,
    a: ComparedSide,
    b: ComparedSide,
    names: Sequence[str] = PAIRED,
    *,
    same_sensor: bool,
    rng: np.random.Generator,
    draws: int = 2000,
) -> tuple[PairedMetric, ...]:
    """`a_rows`, `b_rows`: as `comparison.common_rows` gives them, at least one item.

    `same_sensor`: one sensor measured both, whose own error is then left out of the ratio. Raises
    UnknownNameError for a name that is no metric.
    """
    known = paired_names()
    for name in names:
        if name not in known:
            raise UnknownNameError("metric", name, known)
    metrics = {name: known[name] for name in dict.fromkeys(names)}
    clusters = list(dict.fromkeys(clusters_of(a_rows)))
    a_columns, b_columns = times_of_both(
        metric_columns(a_rows, clusters, a.slo)[0],
        metric_columns(b_rows, clusters, b.slo)[0],
        len(clusters),
    )
    footings = footing_of(a_rows, a.ledger), footing_of(b_rows, b.ledger)
    unlike = unlike_energy(a.ledger, b.ledger)
    wanted = {n: m for n, m in metrics.items() if not (m.energy and unlike)}
    seen = tested(
        b_columns,
        a_columns,
        len(clusters),
        wanted,
        gain_a=gain_of(b.ledger),
        gain_b=gain_of(a.ledger),
        same_sensor=same_sensor,
        rng=rng,
        draws=draws,
    )
    nothing = Interval(value=None, n=len(clusters), reason=unlike)
    columns = a_columns, b_columns
    values = [
        _values(own, len(clusters), metrics, footing, rng, draws)
        for own, footing in zip(columns, footings, strict=True)
    ]
    found = [
        _one(
            metric,
            seen.get(name, Tested(ratio=nothing, difference=nothing)),
            (values[0][name], values[1][name]),
            columns,
            len(clusters),
        )
        for name, metric in metrics.items()
    ]
    texts = {
        metric.metric: _finding(metric, a, b, (a_rows, b_rows), columns, seen.get(metric.metric))
        for metric in found
    }
    return _decided(found, texts, seen, metrics)


def _values(
    columns: Mapping[str, Column],
    clusters: int,
    metrics: Mapping[str, Metric],
    footing: Footing,
    rng: np.random.Generator,
    draws: int,
) -> dict[str, Estimate]:
    """Each metric of one side alone, as a run's own summary has it."""
    wanted = {n: m for n, m in metrics.items() if not (m.energy and footing.reason)}
    means = {name: metric.means for name, metric in wanted.items() if metric.means}
    intervals = score_intervals(columns, clusters, wanted, means, gain=footing.gain)
    rest = {name: metric for name, metric in wanted.items() if name not in means}
    if rest:
        intervals |= joint_bootstrap(
            columns, clusters, rest, rng=rng, draws=draws, gain=footing.gain
        )
    without = Interval(value=None, n=clusters, reason=footing.reason)
    return {
        name: footing.estimate(intervals.get(name, without), metric.info.unit, energy=metric.energy)
        for name, metric in metrics.items()
    }


def _one(
    metric: Metric,
    seen: Tested,
    values: tuple[Estimate, Estimate],
    columns: tuple[Mapping[str, Column], Mapping[str, Column]],
    clusters: int,
) -> PairedMetric:
    """Its figures, before any decision."""
    info = metric.info
    name, below = metric.means or (None, None)
    one, other = (side.get(name or "") for side in columns)
    ratio, gap = seen.ratio, seen.difference
    without = Estimate(value=None, n=clusters, reason="it is not the mean of one value an item")
    h = beats = without
    if one is not None and other is not None and below is None and gap.value is not None:
        beats = superiority(one, other, clusters, lower_is_better=info.better == "lower")
        if one.share and not np.isnan(one.values).any() and not np.isnan(other.values).any():
            gap = share_gap(one, other, clusters, gap)
            ratio = share_ratio(ratio, gap, values[0].value)
            h = cohens_h(one, other, clusters)
    apart = seen.apart
    if gap.value == 0.0 and gap.low is None and apart is not None and not apart.any():
        # As the ratio's from 1 to 1: no item was measured unlike.
        gap = Interval(value=0.0, low=0.0, high=0.0, n=clusters, method=ratio.method)
    grade, boundary = (values[0].grade, values[0].boundary) if metric.energy else (None, None)
    grade, boundary = (grade, boundary) if gap.value is not None else (None, None)
    return PairedMetric(
        metric=info.name,
        title=info.title,
        unit=info.unit,
        better=info.better,
        a=values[0],
        b=values[1],
        ratio=_estimate(ratio, "", grade, boundary),
        difference=_estimate(gap, info.unit, grade, boundary),
        dz=without if apart is None else standardised_difference(apart),
        h=h,
        superiority=beats,
        p_value=seen.p,
    )


def _estimate(interval: Interval, unit: str, grade: object, boundary: str | None) -> Estimate:
    return msgspec.convert(
        {
            "value": interval.value,
            "low": interval.low,
            "high": interval.high,
            "unit": unit,
            "method": interval.method,
            "n": interval.n,
            "grade": grade,
            "boundary": boundary,
            "reason": interval.reason,
        },
        Estimate,
    )


def _finding(
    metric: PairedMetric,
    a: ComparedSide,
    b: ComparedSide,
    rows: tuple[Columns, Columns],
    columns: tuple[Mapping[str, Column], Mapping[str, Column]],
    seen: Tested | None,
) -> str:
    labels = b.label, a.label
    p = metric.p_value
    if metric.metric == "accuracy" and p is not None and seen is not None:
        assert seen.apart is not None, "a p is of a test that was made"
        shares = shares_of(joined(rows[1])), shares_of(joined(rows[0]))
        test = paired_test_name(columns[1]["score"], columns[0]["score"], seen.apart)
        gap = metric.difference
        interval = Interval(value=gap.value, low=gap.low, high=gap.high, n=gap.n)
        return accuracy_sentence(*labels, shares, interval, test, p)
    if metric.ratio.value is None:
        reason = metric.ratio.reason or ""
        return no_comparison(*labels, metric.metric, reason, title=metric.title)
    return ratio_sentence(*labels, metric.metric, metric.ratio, p, title=metric.title)


def _decided(
    found: Sequence[PairedMetric],
    texts: Mapping[str, str],
    seen: Mapping[str, Tested],
    metrics: Mapping[str, Metric],
) -> tuple[PairedMetric, ...]:
    first: dict[frozenset[str | None], Comparison] = {}
    for each in found:
        key = frozenset(metrics[each.metric].means or (each.metric,))
        if each.p_value is not None:
            one = Comparison(
                a="b",
                b="a",
                metric=each.metric,
                ratio=each.ratio,
                decided=False,
                sentence="",
                p_value=each.p_value,
                standard_errors=seen[each.metric].errors,
            )
            first.setdefault(key, one)
    of_key = dict(zip(first, corrected(list(first.values())), strict=True))
    done = []
    for each in found:
        result = of_key.get(frozenset(metrics[each.metric].means or (each.metric,)))
        text = texts[each.metric]
        if result is None or result.p_adjusted is None or each.p_value is None:
            done.append(msgspec.structs.replace(each, sentence=text))
            continue
        p, needed = result.p_adjusted, result.items_needed
        text += verdict_sentence(result.decided, p, result.compared, needed)
        done.append(
            msgspec.structs.replace(
                each, p_adjusted=p, decided=result.decided, items_needed=needed, sentence=text
            )
        )
    return tuple(done)
