"""Sentences a person can quote: value, interval, how many items, and what the joules rest on."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec

from perwatt.core.estimate import Estimate
from perwatt.core.summary import Comparison, PairSummary
from perwatt.core.units import format_value
from perwatt.stats.intervals import Interval

__all__ = [
    "Paired",
    "accuracy_sentence",
    "headline",
    "no_comparison",
    "paired_headline",
    "ratio_sentence",
    "verdict_sentence",
]

_ENERGY = {
    "A": "energy measured at the wall, grade A",
    "B": "energy from a counter, grade B",
    "C": "energy from sampled power, grade C",
    "D": "estimated energy, grade D",
}


class Paired(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that two sides differ in, for a sentence."""

    estimate: Estimate
    """The difference of shares, or the ratio of joules or seconds."""
    decided: bool
    items_needed: int | None
    noun: str
    """`accuracy`, `the joules per answer`."""


# What a does, how many times over, and b: one line for each compared metric.
_RATIO = {
    "accuracy": "{a} is right {r} as often as {b}",
    "ipj": "{a} does {r} the correct answers per joule of {b}",
    "ipw": "{a} does {r} the correct answers per watt of {b}",
    "energy_gross_j": "{a} uses {r} the energy of {b} for a request",
    "latency": "{a} takes {r} the time of {b} for a request",
}
_LESS_IS_BETTER = {"energy_gross_j", "latency"}
_SUBJECT = {
    "accuracy": "accuracy",
    "ipj": "correct answers per joule",
    "ipw": "correct answers per watt",
    "energy_gross_j": "energy",
    "latency": "latency",
}


def ratio_sentence(
    a: str, b: str, metric: str, ratio: Estimate, p: float | None = None, *, title: str = ""
) -> str:
    """`ratio.value` must be there. `p`: of the paired test, uncorrected. `title`: the metric's own,
    for one that has no line of its own here."""
    assert ratio.value is not None
    line = _RATIO.get(metric, "{a} has {r} the {title} of {b}")
    words = title[:1].lower() + title[1:] if title[1:2].islower() else title
    text = line.format(a=a, b=b, r=f"{_times(ratio.value)}", title=words)
    notes = [_items(ratio.n)]
    if p is not None:
        notes.insert(0, _p(p))
    if ratio.low is not None and ratio.high is not None:
        notes.insert(0, f"95% interval {_times(ratio.low)} to {_times(ratio.high)}")
    elif ratio.reason:
        notes.insert(0, ratio.reason)
    if ratio.grade is not None:
        notes.append(_ENERGY[ratio.grade])
    return f"{text} ({', '.join(notes)})."


def accuracy_sentence(
    a: str, b: str, shares: tuple[float, float], difference: Interval, test: str, p: float
) -> str:
    """Both shares, the paired difference in points, and `test`: the paired test that gave p."""
    if difference.value is None:
        return no_comparison(a, b, "accuracy", difference.reason or "")
    left, right = (format_value(share, "share") for share in shares)
    text = f"{a} answers {left} right and {b} {right}"
    text += f": {_points(difference.value)} points ("
    if difference.low is not None and difference.high is not None:
        text += f"95% interval {_points(difference.low)} to {_points(difference.high)}, "
    return f"{text}{test} {_p(p)}, {_items(difference.n)})."


def verdict_sentence(decided: bool, p: float, tests: int, needed: int | None) -> str:
    """What follows a finding. `p` is corrected for `tests` comparisons; empty where nothing is."""
    after = f"{_p(p)} after Holm's correction for {tests} comparisons"
    if decided:
        return f" This is decided ({after})." if tests > 1 else ""
    text = " This run does not decide between them"
    text += f" ({after})." if tests > 1 else "."
    if needed is not None:
        text += f" If the true difference is the one seen, about {_rounded(needed)} items would."
    return text


def no_comparison(a: str, b: str, metric: str, reason: str, *, title: str = "") -> str:
    return f"{a} and {b} cannot be compared in {_SUBJECT.get(metric, title)}: {reason}."


def paired_headline(
    a: str, b: str, accuracy: Paired | None, cost: Paired | None, no_joules: str | None
) -> str:
    """b against a in one sentence. `no_joules`: why joules are not compared; None: they are, or
    were not asked for."""
    parts, known = [], []
    if accuracy is not None and accuracy.estimate.value is not None:
        known.append(accuracy)
        parts.append(f"{b} {_more(accuracy.estimate)} than {a}{_ends(accuracy.estimate, _points)}")
    if cost is not None and cost.estimate.value is not None:
        known.append(cost)
        who, whose = ("at", "") if parts else (f"{b} takes", f" of {a}")
        ends = _ends(cost.estimate, _times)
        parts.append(f"{who} {_times(cost.estimate.value)} {cost.noun}{whose}{ends}")
    without = f" Their joules are not compared: {no_joules}." if no_joules else ""
    if not known:
        reasons = (side.estimate.reason for side in (accuracy, cost) if side is not None)
        reason = next((reason for reason in reasons if reason), "no figure was had of both")
        return f"{b} and {a} cannot be compared: {reason}.{without}"
    n = min(side.estimate.n for side in known)
    return f"{', '.join(parts)}, on the same {_items(n)}; {_decision(known)}.{without}"


def _more(difference: Estimate) -> str:
    gap = 100 * (difference.value or 0.0)
    if round(abs(gap), 1) == 0:
        return "answers no more and no fewer right"
    return f"answers {abs(gap):.1f} points {'more' if gap > 0 else 'fewer'} right"


def _ends(estimate: Estimate, words: Callable[[float], str]) -> str:
    notes = []
    if estimate.low is not None and estimate.high is not None:
        notes.append(f"95% interval {words(estimate.low)} to {words(estimate.high)}")
    if estimate.grade is not None:
        notes.append(_ENERGY[estimate.grade])
    return f" ({', '.join(notes)})" if notes else ""


def _decision(known: Sequence[Paired]) -> str:
    open_ones = [side for side in known if not side.decided]
    if not open_ones:
        return "decided"
    needed = [side.items_needed for side in open_ones]
    more = max(n for n in needed if n is not None) if None not in needed else None
    after = f"; about {_rounded(more)} items would" if more is not None else ""
    if len(open_ones) < len(known):
        return f"{open_ones[0].noun} not decided{after}"
    return f"not decided{after}"


def headline(pairs: Sequence[PairSummary], comparisons: Sequence[Comparison]) -> str:
    """One sentence: a single pair's accuracy and joules per correct answer, or the best pair by
    correct answers per joule against the first (the next best, if the first is best). Where nothing
    is scored, joules of a request stand in their place."""
    if not pairs:
        return "No pair was measured."
    if len(pairs) == 1:
        return _one(pairs[0])
    scored = any(pair.metrics["accuracy"].value is not None for pair in pairs)
    for metric in ("ipj", "accuracy") if scored else ("energy_gross_j", "latency"):
        ranked = _ranked(pairs, metric)
        if len(ranked) < 2:
            continue
        first = pairs[0]
        best = ranked[0]
        other = first if best is not first else ranked[1]
        for comparison in comparisons:
            names = (best.identity.pair_id, other.identity.pair_id)
            if comparison.metric != metric or comparison.ratio.value is None:
                continue
            if (comparison.a, comparison.b) == names:
                return comparison.finding + _undecided(comparison)
            if (comparison.b, comparison.a) == names:
                turned = _turned(comparison.ratio)
                if turned is not None:
                    labels = best.identity.label, other.identity.label
                    told = ratio_sentence(*labels, metric, turned, comparison.p_value)
                    return told + _undecided(comparison)
    return " ".join(_one(pair) for pair in pairs)


def _undecided(comparison: Comparison) -> str:
    """All that a headline has room for; the comparison's own sentence says how far it is."""
    return "" if comparison.decided else " This run does not decide between them."


def _one(pair: PairSummary) -> str:
    accuracy, cost = pair.metrics["accuracy"], pair.metrics["j_per_correct"]
    label = pair.identity.label
    if accuracy.value is None:
        return f"{_unscored(pair)} It has no accuracy: {accuracy.reason}."
    text = f"{label} answers {format_value(accuracy.value, 'share')} right"
    if cost.value is None:
        note = f"{_interval(accuracy)}{_items(accuracy.n)}"
        return f"{text} ({note}); joules per correct answer are unknown: {cost.reason}."
    text += f" at {format_value(cost.value, cost.unit)} per correct answer"
    grade = f", {_ENERGY[cost.grade]}" if cost.grade else ""
    return f"{text} ({_interval(cost)}{_items(cost.n)}{grade})."


def _unscored(pair: PairSummary) -> str:
    """What can be said of a pair whose answers nobody judged."""
    label, joules = pair.identity.label, pair.metrics["energy_gross_j"]
    if joules.value is None:
        rate, first = pair.metrics["requests_per_s"], pair.metrics["ttft_p50"]
        if rate.value is None or first.value is None:
            return f"{label} served {pair.served} of {pair.attempted} items."
        return (
            f"{label} serves {format_value(rate.value, rate.unit)} with a median time to first "
            f"token of {format_value(first.value, 's')} ({_interval(rate)}{_items(rate.n)}); joules"
            f" are unknown: {joules.reason}."
        )
    tokens = pair.metrics["tokens_per_j"]
    text = f"{label} takes {format_value(joules.value, 'J')} for a request"
    if tokens.value is not None:
        text += f" and gives {format_value(tokens.value, '')} output tokens per joule"
    grade = f", {_ENERGY[joules.grade]}" if joules.grade else ""
    return f"{text} ({_interval(joules)}{_items(joules.n)}{grade})."


def _ranked(pairs: Sequence[PairSummary], metric: str) -> list[PairSummary]:
    known = [(pair.metrics[metric].value, pair) for pair in pairs]
    return [
        pair
        for value, pair in sorted(
            ((value, pair) for value, pair in known if value is not None),
            key=lambda entry: entry[0],
            reverse=metric not in _LESS_IS_BETTER,
        )
    ]


def _turned(ratio: Estimate) -> Estimate | None:
    """b / a from a / b."""
    if not ratio.value:
        return None
    low = 1 / ratio.high if ratio.high else None
    high = 1 / ratio.low if ratio.low else None
    both = low is not None and high is not None
    return Estimate(
        value=1 / ratio.value,
        low=low if both else None,
        high=high if both else None,
        unit=ratio.unit,
        method=ratio.method,
        n=ratio.n,
        grade=ratio.grade,
        boundary=ratio.boundary,
        reason=ratio.reason,
    )


def _interval(estimate: Estimate) -> str:
    if estimate.low is None or estimate.high is None:
        return ""
    low, high = (format_value(v, estimate.unit) for v in (estimate.low, estimate.high))
    return f"95% interval {low} to {high}, "


def _times(value: float) -> str:
    return f"{format_value(value, '', 2)}×" if value < 0.1 else f"{value:.2f}×"


def _p(p: float) -> str:
    return f"p = {p:.2g}"


def _rounded(items: int) -> str:
    """Two digits are all that such a forecast has."""
    step = 10 ** max(0, len(str(items)) - 2)
    return f"{-(-items // step) * step:,}"


def _points(value: float) -> str:
    return f"{value * 100:+.1f}".replace("-", "−")


def _items(n: int) -> str:
    return f"{n} item" if n == 1 else f"{n} items"
