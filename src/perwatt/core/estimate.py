"""Estimate: the only shape in which perwatt publishes a number."""

from __future__ import annotations

from typing import Literal

import msgspec

from perwatt.core.units import format_value

__all__ = ["Estimate", "Grade", "worst_grade"]

Grade = Literal["A", "B", "C", "D"]
"""Where joules come from: A wall meter, B energy counter, C sampled power gauge, D estimate."""


class Estimate(msgspec.Struct, frozen=True, kw_only=True):
    """A published number with its 95% interval.

    `value` is None where the number cannot be had honestly, and `reason` then says why: an item
    without energy makes a ratio None, never a silent mean over the rest (DESIGN §5).
    """

    value: float | None
    low: float | None = None
    high: float | None = None
    unit: str = ""
    method: str = ""
    """How the interval was made, such as `"joint bootstrap over items, 2000 draws"`."""
    n: int = 0
    """Independent clusters behind it: items, not repeats."""
    grade: Grade | None = None
    """Energy grade; None for a number without joules in it."""
    boundary: str | None = None
    """Which domains its joules cover; None for a number without joules in it."""
    reason: str | None = None
    """Why `value` is None, or what to know before quoting it."""

    def __post_init__(self) -> None:
        if self.value is None:
            if self.reason is None:
                msg = "an Estimate without a value must say why in `reason`"
                raise ValueError(msg)
        elif self.low is not None and self.high is not None and not self.low <= self.high:
            msg = f"an Estimate's interval must be ordered, got {self.low}..{self.high}"
            raise ValueError(msg)

    def __str__(self) -> str:
        if self.value is None:
            return "–"
        text = format_value(self.value, self.unit)
        if self.low is not None and self.high is not None:
            text += f" [{format_value(self.low, self.unit)}, {format_value(self.high, self.unit)}]"
        return text if self.grade is None else f"{text} ({self.grade})"


def worst_grade(grades: list[Grade]) -> Grade | None:
    """The grade of a sum is that of its least trustworthy part. None for an empty list."""
    return max(grades, default=None)
