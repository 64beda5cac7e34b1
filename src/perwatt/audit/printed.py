"""One number as it was printed, and what it can have been before it was rounded.

1.40        1.395 … 1.405: half a unit of the last digit, either side
1558        1557.5 … 1558.5
"500K"      499,500 … 500,500 (K, M, B)
"~12"       ± 10%: the author said about
"3.7–3.8"   3.65 … 3.85: a range, its ends rounded
"23.2±1.9"  as 23.2, with ±1.9 stated beside it
"480 (PSU)" as 480, with what it is of
""  "–"     nothing was printed
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation

from perwatt.audit.interval import Interval

__all__ = ["Printed", "parse_printed"]

_ABOUT = 0.10
_NUMBER = r"[-+]?\d[\d,_]*(?:\.\d+)?(?:[eE][-+]?\d+)?"
_TEXT = re.compile(
    rf"(?P<about>[~≈])?\s*(?P<first>{_NUMBER})(?P<suffix>[KMB])?"
    rf"(?:\s*–\s*(?P<last>{_NUMBER})|\s*±\s*(?P<spread>{_NUMBER}))?"
    r"(?:\s*\((?P<note>[^)]+)\))?"
)
_SUFFIX = {None: 1, "K": 1_000, "M": 1_000_000, "B": 1_000_000_000}


@dataclass(frozen=True, slots=True)
class Printed:
    """A number in the unit of its column."""

    text: str
    value: float
    """The middle of a range."""
    rounding: Interval
    """What rounds to it."""
    spread: float | None = None
    """The ± printed beside it; None where none is."""
    note: str | None = None
    """What stands in brackets after it: a rating that is of something else."""

    @property
    def stated(self) -> Interval:
        """The rounding, widened by the ± that was printed."""
        wide = self.spread or 0.0
        return Interval(self.rounding.low - wide, self.rounding.high + wide)

    def times(self, scale: float) -> Interval:
        return self.rounding * scale


def parse_printed(cell: str | int) -> Printed | None:
    """The number that `cell` shows; None where it shows that there is none.

    Raises ValueError for what is neither.
    """
    text = str(cell).strip()
    if text in {"", "–", "-"}:
        return None
    found = _TEXT.fullmatch(text)
    if found is None:
        msg = f"{text!r} is no printed number"
        raise ValueError(msg)
    times = _SUFFIX[found["suffix"]]
    value, half = _rounded(found["first"])
    value, half = value * times, half * times
    rounding = Interval(value - half, value + half)
    if found["last"]:
        last, last_half = _rounded(found["last"])
        if last < value:
            msg = f"the range {text!r} runs backwards"
            raise ValueError(msg)
        rounding = Interval(rounding.low, last + last_half)
        value = (value + last) / 2
    if found["about"]:
        rounding = Interval(value - _ABOUT * abs(value), value + _ABOUT * abs(value))
    spread = _rounded(found["spread"])[0] if found["spread"] else None
    return Printed(text, value, rounding, spread, found["note"])


def _rounded(text: str) -> tuple[float, float]:
    """The number, and half a unit of its last digit."""
    try:
        number = Decimal(text.replace(",", "").replace("_", ""))
    except InvalidOperation:
        msg = f"{text!r} is no printed number"
        raise ValueError(msg) from None
    exponent = number.as_tuple().exponent
    assert isinstance(exponent, int)  # the pattern lets neither NaN nor infinity through
    return float(number), float(Decimal(5).scaleb(exponent - 1))
