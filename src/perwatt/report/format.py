"""Numbers as a reader of the report sees them: an interval in the same prefix as its value."""

from __future__ import annotations

import msgspec

from perwatt.core.estimate import Estimate, Grade
from perwatt.core.summary import UNSCORED
from perwatt.core.units import format_duration, format_value

__all__ = ["DASH", "GRADES", "Cell", "cell", "interval", "joules", "seconds_text", "spoken"]

DASH = "–"

GRADES: dict[Grade, str] = {
    "A": "wall meter",
    "B": "energy counter",
    "C": "sampled power gauge",
    "D": "estimated, not measured",
}

_PREFIXED = {"J", "W", "s", "B"}
_PREFIXES = {"G": 1e9, "M": 1e6, "k": 1e3, "": 1.0, "m": 1e-3, "µ": 1e-6, "n": 1e-9}


class Cell(msgspec.Struct, frozen=True, kw_only=True):
    """One number of a table."""

    value: str
    interval: str = ""
    grade: Grade | None = None
    reason: str | None = None
    """Why there is no value, or what to know before quoting it."""
    method: str = ""
    n: int = 0
    sort: float | None = None


def cell(estimate: Estimate | None) -> Cell:
    """The estimate for a table; a missing one is a dash with the reason."""
    if estimate is None:
        return Cell(value=DASH, reason="This metric was not computed for this pair.")
    if estimate.value is None:
        unscored = estimate.reason == UNSCORED
        return Cell(value="not scored" if unscored else DASH, reason=estimate.reason)
    return Cell(
        value=_minus(format_value(estimate.value, estimate.unit)),
        interval=interval(estimate),
        grade=estimate.grade,
        reason=estimate.reason,
        method=estimate.method,
        n=estimate.n,
        sort=estimate.value,
    )


def interval(estimate: Estimate) -> str:
    """The interval in the value's own prefix, or nothing.

    >>> interval(Estimate(value=1.2, low=0.9, high=1.5, unit="J"))
    '[0.9, 1.5]'
    >>> interval(Estimate(value=0.42, low=0.31, high=0.53, unit="share"))
    '[31.0, 53.0]'
    """
    value, low, high = estimate.value, estimate.low, estimate.high
    if value is None or low is None or high is None:
        return ""
    if estimate.unit == "share":
        return f"[{_minus(f'{low * 100:.1f}')}, {_minus(f'{high * 100:.1f}')}]"
    scale = 1.0
    if estimate.unit in _PREFIXED:
        shown = format_value(value, estimate.unit).rpartition(" ")[2]
        scale = _PREFIXES[shown.removesuffix(estimate.unit)]
    ends = (_minus(format_value(end / scale, "")) for end in (low, high))
    return f"[{', '.join(ends)}]"


def _minus(words: str) -> str:
    """With a minus sign before a number below 0, which a hyphen is not."""
    return "\N{MINUS SIGN}" + words[1:] if words.startswith("-") else words


def spoken(estimate: Estimate) -> str:
    """The estimate as words for a tooltip and a screen reader."""
    if estimate.value is None:
        return f"missing: {estimate.reason}"
    text = format_value(estimate.value, estimate.unit)
    if estimate.low is not None and estimate.high is not None:
        ends = (format_value(end, estimate.unit) for end in (estimate.low, estimate.high))
        text += f", 95% interval {' to '.join(ends)}"
    return text if estimate.grade is None else f"{text}, grade {estimate.grade}"


def joules(value: float | None, low: float | None = None, high: float | None = None) -> str:
    """`"1.2 J [0.9, 1.5]"`; a dash where it is not known."""
    if value is None:
        return DASH
    text = _minus(format_value(value, "J"))
    if low is None or high is None or not low <= high:
        return text
    return f"{text} {interval(Estimate(value=value, low=low, high=high, unit='J'))}"


def seconds_text(value_s: float | None) -> str:
    """`"120 ms"` below a minute, `"1m15s"` above, a dash where it is not known."""
    if value_s is None:
        return DASH
    return format_value(value_s, "s") if value_s < 60 else format_duration(value_s)
