"""`--fail-if 'ipj < -5%'`: a change of B against A that fails a build, by its interval.

    METRIC < THRESHOLD    METRIC > THRESHOLD    (also <= and >=)

THRESHOLD is a change: `-5%` of A's value, `-2pt` in points of a share, or in the metric's own unit
(`ttft > 0.05s`, `energy_gross_j > 2J`). The 95% interval of the change decides:

- **fail**: all of it meets the condition;
- **pass**: none of it does;
- **undecided**: the threshold lies within it. More items narrow it;
- **unjudged**: there is no figure or no interval, so nothing was looked at. A build that lost its
  meter must not look like one that lost no joules.

So a build fails by chance at most once in 40 runs where the true change is at the threshold, far
less where nothing changed, and passes a change beyond it as seldom. k gates: k times that at most.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from typing import Literal

import msgspec

from perwatt.core.errors import SpecError, UnknownNameError
from perwatt.core.estimate import Estimate
from perwatt.core.units import format_value
from perwatt.metrics.paired_metrics import PairedMetric, paired_names

__all__ = ["Gate", "GateResult", "judge_gates", "parse_gate", "wrong_way"]

Outcome = Literal["pass", "fail", "undecided", "unjudged"]

_GATE = re.compile(
    r"\s*(?P<metric>[A-Za-z_]\w*)\s*(?P<sign><=|>=|<|>)\s*"
    r"(?P<number>[-+−]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+−]?\d+)?)(?![\d.])"
    r"(?P<unit>(?:\s+\d|\s*[^\s\d]).*?)?\s*"
)
_GRAMMAR = (
    "Write METRIC, one of < <= > >=, and a change with its unit:"
    " 'ipj < -5%', 'accuracy < -2pt', 'ttft > 0.05s'. Each condition has a --fail-if of its own."
)
_SCALED = {
    "ms": ("s", 1e-3),
    "us": ("s", 1e-6),
    "µs": ("s", 1e-6),
    "mJ": ("J", 1e-3),
    "kJ": ("J", 1e3),
    "mW": ("W", 1e-3),
}


class Gate(msgspec.Struct, frozen=True, kw_only=True):
    """One condition as it was written."""

    text: str
    metric: str
    sign: Literal["<", "<=", ">", ">="]
    threshold: float
    """A change: relative, in a share's points or in the unit, by `of`."""
    of: Literal["relative", "points", "unit"]


class GateResult(msgspec.Struct, frozen=True, kw_only=True):
    """What became of it."""

    gate: str
    metric: str
    outcome: Outcome
    change: Estimate
    """Of B against A: relative (unit `share`), or in the metric's unit."""
    threshold: float
    """In the same unit."""
    sentence: str


def parse_gate(text: str) -> Gate:
    """Raises SpecError with the grammar, or UnknownNameError for a metric that is none."""
    match = _GATE.fullmatch(text)
    if match is None:
        raise SpecError(f"--fail-if {text!r} is not a condition.", _GRAMMAR)
    name, unit = match["metric"].lower(), (match["unit"] or "").strip()
    known = paired_names()
    if name not in known:
        raise UnknownNameError("metric", name, known)
    own = known[name].info.unit
    number = float(match["number"].replace("−", "-"))
    if not math.isfinite(number):
        raise SpecError(f"--fail-if {text!r}: no change is as large as that.", _GRAMMAR)
    sign: Literal["<", "<=", ">", ">="] = match["sign"]  # type: ignore[assignment] # by the pattern
    if unit == "%":
        return Gate(text=text, metric=name, sign=sign, threshold=number / 100, of="relative")
    if unit in ("pt", "pp", "points") and own == "share":
        return Gate(text=text, metric=name, sign=sign, threshold=number / 100, of="points")
    base, scale = _SCALED.get(unit, (f"1{unit}" if unit.startswith("/") else unit, 1.0))
    if base == own and own != "share":
        return Gate(text=text, metric=name, sign=sign, threshold=number * scale, of="unit")
    units = ["%", "pt" if own == "share" else own or "a plain number"]
    said = f"the unit {unit!r}" if unit else "no unit"
    msg = f"--fail-if {text!r} has {said}; a change of {name} is in {' or '.join(units)}."
    raise SpecError(msg, _GRAMMAR)


def wrong_way(gate: Gate) -> str | None:
    """What to say of a gate that fails a build for getting better, which is rarely what is meant;
    None of all else."""
    better = paired_names()[gate.metric].info.better
    if (better, gate.sign[0]) not in (("higher", ">"), ("lower", "<")):
        return None
    return (
        f"--fail-if {gate.text.strip()!r} fails where {gate.metric} gets better: {better} is better"
        " there."
    )


def judge_gates(gates: Iterable[Gate], metrics: Sequence[PairedMetric]) -> tuple[GateResult, ...]:
    """Each gate's outcome. Every gate's metric must be among `metrics`."""
    by_name = {metric.metric: metric for metric in metrics}
    return tuple(_judged(gate, by_name[gate.metric]) for gate in gates)


def _judged(gate: Gate, metric: PairedMetric) -> GateResult:
    change = _relative(metric.ratio) if gate.of == "relative" else metric.difference
    outcome = _outcome(gate, change)
    return GateResult(
        gate=gate.text,
        metric=gate.metric,
        outcome=outcome,
        change=change,
        threshold=gate.threshold,
        sentence=_sentence(gate, metric, change, outcome),
    )


def _relative(ratio: Estimate) -> Estimate:
    if ratio.value is None:
        return msgspec.structs.replace(ratio, unit="share")
    ends = (None if end is None else end - 1 for end in (ratio.low, ratio.high))
    low, high = ends
    return msgspec.structs.replace(ratio, value=ratio.value - 1, low=low, high=high, unit="share")


def _outcome(gate: Gate, change: Estimate) -> Outcome:
    if change.value is None or change.low is None or change.high is None:
        return "unjudged"
    low, high, at = change.low, change.high, gate.threshold
    met = {
        "<": (high < at, low >= at),
        "<=": (high <= at, low > at),
        ">": (low > at, high <= at),
        ">=": (low >= at, high < at),
    }
    all_of_it, none_of_it = met[gate.sign]
    return "fail" if all_of_it else "pass" if none_of_it else "undecided"


def _sentence(gate: Gate, metric: PairedMetric, change: Estimate, outcome: Outcome) -> str:
    if change.value is None:
        return f"{metric.title} cannot be judged: {change.reason}."
    text = f"{metric.title} changed by {_words(gate, change, change.value)}"
    if change.low is None or change.high is None:
        return f"{text} and cannot be judged: {change.reason}."
    low, high = (_words(gate, change, end) for end in (change.low, change.high))
    text += f" (95% interval {low.removesuffix(' points')} to {high}, {change.n} items)"
    how = {
        "fail": "all of the interval meets",
        "pass": "none of the interval meets",
        "undecided": "the interval lies on both sides of",
    }[outcome]
    return f"{text}; {how} '{gate.text.strip()}'."


def _words(gate: Gate, change: Estimate, value: float) -> str:
    if gate.of == "points":
        text = f"{100 * value:+.1f} points"
    elif gate.of == "relative":
        text = f"{100 * value:+.1f}%"
    else:
        text = f"{'+' if value >= 0 else ''}{format_value(value, change.unit)}"
    return text.replace("-", "−")
