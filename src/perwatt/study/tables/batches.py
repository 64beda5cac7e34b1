"""What asking several at once does: one model on one device over closed loads."""

from __future__ import annotations

import math
from collections.abc import Sequence

import msgspec

from perwatt.core.estimate import Estimate
from perwatt.core.study import StudyCell, StudyColumn, StudyTable
from perwatt.stats.intervals import Interval
from perwatt.stats.moments import Moments, mean_interval, ratio_interval
from perwatt.study.closed_loads import Loaded, closed_groups
from perwatt.study.footing import footing_of, same_sensors
from perwatt.study.paired_ratio import paired_ratio
from perwatt.study.per_correct import estimate_of
from perwatt.study.study import Study

__all__ = ["batches"]


def batches(study: Study) -> StudyTable | None:
    """None where no pair was asked under two closed loads."""
    groups = [group for group in closed_groups(study) if len({g.in_flight for g in group}) > 1]
    if not groups:
        return None
    rows: list[dict[str, StudyCell]] = []
    findings = []
    for group in groups:
        base = group[0]
        for loaded in group:
            saved = None if loaded is base else joules_ratio(study, base, loaded)
            rows.append(
                {**_row(loaded), "ratio": saved, "per_doubling": _doubling(saved, base, loaded)}
            )
        last = rows[-1]["ratio"]
        if isinstance(last, Estimate) and last.value is not None and last.low is not None:
            findings.append((last, base, group[-1]))
    return StudyTable(
        name="batches",
        title="Joules over load",
        what="A row is a pair under a closed load (arXiv 2511.07885 table 15): the same model,"
        " precision and device with more requests in flight.",
        columns=_COLUMNS,
        rows=tuple(rows),
        finding=_finding(findings),
        notes=(
            "Answers per second are requests in flight over mean latency (Little's law): a closed"
            " load keeps its number in flight from first to last.",
            "The ratio to the smallest load is over the items that both were asked, paired; the"
            " error of a sensor that read both cancels in it.",
        ),
    )


_COLUMNS = (
    StudyColumn(name="pair", title="Pair"),
    StudyColumn(name="in_flight", title="In flight", what="N of closed:N."),
    StudyColumn(name="accuracy", title="Accuracy", what="Mean score of all answers asked for."),
    StudyColumn(name="energy_gross_j", title="J/answer", what="Mean gross joules of an answer."),
    StudyColumn(name="j_per_token", title="J/token", what="Σ gross joules / Σ output tokens."),
    StudyColumn(
        name="device_w",
        title="Watts",
        what="N × Σ joules / Σ latency: what all requests in flight draw together.",
    ),
    StudyColumn(name="answers_per_s", title="Answers/s", what="N / mean latency."),
    StudyColumn(name="latency_s", title="Latency", what="Mean from dispatch to the last token."),
    StudyColumn(name="ipj", title="IPJ", what="Mean score / mean gross joules."),
    StudyColumn(
        name="ratio",
        title="Saves",
        what="J/answer at the smallest load over J/answer here: 2 is half the joules.",
    ),
    StudyColumn(
        name="per_doubling",
        title="Per doubling",
        what="The same for each doubling of the load: ratio^(1 / log2(N / N smallest)).",
    ),
)


def _row(loaded: Loaded) -> dict[str, StudyCell]:
    moments, pair, n = loaded.moments, loaded.pair, loaded.in_flight
    footing = footing_of([pair])
    latency = mean_interval(moments, "latency_s")
    row: dict[str, StudyCell] = {
        "pair": pair.label,
        "in_flight": n,
        "accuracy": estimate_of(mean_interval(moments, "score"), "share"),
        "latency_s": estimate_of(latency, "s"),
        "answers_per_s": _cautioned(estimate_of(_over(n, latency), "1/s"), moments),
    }
    if footing.why_not:
        unknown = Estimate(value=None, n=moments.clusters, reason=footing.why_not)
        return {
            **row,
            **dict.fromkeys(("energy_gross_j", "j_per_token", "device_w", "ipj"), unknown),
        }
    energy = mean_interval(moments, "energy_gross_j", footing.gain)
    per_token = ratio_interval(
        moments, "energy_gross_j", "completion_tokens", footing.gain, zero="no token was made"
    )
    ipj = ratio_interval(moments, "score", "energy_gross_j", footing.gain)
    # Joules are of all answers asked for, seconds of those served: both sums over one time.
    per_served = n * moments.answers / max(1, moments.served)
    return {
        **row,
        "energy_gross_j": estimate_of(energy, "J", pair),
        "j_per_token": estimate_of(per_token, "J", pair),
        "device_w": _cautioned(estimate_of(_over(per_served, latency, energy), "W", pair), moments),
        "ipj": estimate_of(ipj, "1/J", pair),
    }


def _cautioned(found: Estimate, moments: Moments) -> Estimate:
    """How long a request that failed held its place, nobody knows."""
    failed = moments.answers - moments.served
    if not failed or found.value is None:
        return found
    why = f"{failed} of {moments.answers} requests failed: at most this, their time is not counted"
    return msgspec.structs.replace(found, reason=found.reason or why)


def _over(n: float, latency: Interval, energy: Interval | None = None) -> Interval:
    """n × energy / latency; without `energy`, n / latency. Bounds are put together at their
    worst, so that the interval is not too narrow for want of their correlation."""
    for part in (latency, *([energy] if energy else [])):
        if part.value is None:
            return Interval(value=None, n=part.n, reason=part.reason)
    top = energy or Interval(value=1.0, low=1.0, high=1.0, n=latency.n)
    if not latency.value or top.value is None:
        return Interval(value=None, n=latency.n, reason="its latency is zero")
    value = n * top.value / latency.value
    if not latency.low or not latency.high or top.low is None or top.high is None:
        why = latency.reason or top.reason or "no interval: it may as well take no time"
        return Interval(value=value, n=latency.n, reason=why)
    return Interval(
        value=value,
        low=n * top.low / latency.high,
        high=n * top.high / latency.low,
        n=latency.n,
        method="bounds put together at their worst" if energy else latency.method,
    )


def joules_ratio(study: Study, base: Loaded, loaded: Loaded) -> Estimate:
    """Mean joules of an answer at `base` over those at `loaded`, over the items both were asked."""
    pairs = (base.pair, loaded.pair)
    footing = footing_of(pairs)
    if same_sensors(study, pairs):  # what it is off by is in both
        footing = msgspec.structs.replace(footing, gain=(1.0, 1.0))
    return paired_ratio(study, base.index, loaded.index, "e", "energy", footing)


def _doubling(ratio: Estimate | None, base: Loaded, loaded: Loaded) -> Estimate | None:
    doublings = math.log2(loaded.in_flight / base.in_flight)
    if ratio is None or doublings == 0:
        return None
    if ratio.value is None:
        return ratio
    power = 1 / doublings
    return msgspec.structs.replace(
        ratio,
        value=ratio.value**power,
        low=None if ratio.low is None else ratio.low**power,
        high=None if ratio.high is None else ratio.high**power,
    )


def _finding(found: Sequence[tuple[Estimate, Loaded, Loaded]]) -> str:
    if not found:
        return ""
    ratio, base, top = max(found, key=lambda each: each[0].value or 0.0)
    bounds = [ratio.value or 0.0, ratio.low or 0.0, ratio.high or 0.0]
    word, who = "fewer", f"{top.pair.label}: {top.in_flight} in flight"
    if 0 < bounds[2] < 1:
        word, bounds = "more", [1 / bounds[0], 1 / bounds[2], 1 / bounds[1]]
    times = "{:.3g} [{:.3g}, {:.3g}] times".format(*bounds)
    if bounds[1] > 1:
        return f"{who} take {times} {word} joules an answer than {base.in_flight}."
    return (
        f"{who} are not shown to take fewer joules an answer than {base.in_flight}: {times} fewer."
    )
