"""One number as it was printed, and what it can have been before it was rounded.

1.40        1.395 … 1.405: half a unit of the last digit, either side
1558        1557.5 … 1558.5
"500K"      499,500 … 500,500 (K, M, B)
"~12"       ± 10%: the author said about
"3.7–3.8"   3.65 … 3.85: a range, its ends rounded
"23.2±1.9"  as 23.2, with ±1.9 stated beside it
"480 (PSU)" as 480, with what it is of
""  "–"     nothing was printed

In a column, two more things are known (`in_column`): a plain whole count is exact, and a measured
1020 among 345 and 98.7 has three digits, so that it is 1015 … 1025.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from decimal import Decimal, InvalidOperation

from perwatt.audit.interval import Interval

__all__ = ["Printed", "in_column", "parse_printed"]

_ABOUT = 0.10
_MOST = 30
"""Powers of ten, either way. More is a slip, and would end as an infinity."""
_NUMBER = r"[-+]?(?:\d{1,3}(?:,\d{3})+|\d[\d_]*)(?:\.\d+)?(?:[eE][-+]?\d+)?"
_TEXT = re.compile(
    rf"(?P<about>[~≈])?\s*(?P<first>{_NUMBER})(?P<suffix>[KMB])?"
    rf"(?:\s*–\s*(?P<last>{_NUMBER})|\s*±\s*(?P<spread>{_NUMBER}))?"
    r"(?:\s*\((?P<note>[^)]+)\))?"
)
_PLAIN = re.compile(r"\d+(?:\.\d+)?")
_MEASURED = {"power_w", "energy_j", "seconds", "ipw", "ipj"}
_LEAST_DIGITS = 2
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
    text = str(cell).strip().replace("−", "-")
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


def in_column(role: str, cells: Sequence[Printed | None]) -> tuple[Printed | None, ...]:
    """The cells of one column of `role`, with what the others tell of a whole number's precision.

    A measured quantity that ends in zeros may have been rounded there: it is known to as many
    digits as the column's most precise number (and to two at least). Percentages and ratings are
    taken as they are typed, since they are printed to one place and not to so many digits.
    """
    if role == "count":
        return tuple(cell and (_known_to(cell, 0.0) if _is_whole(cell) else cell) for cell in cells)
    if role not in _MEASURED:
        return tuple(cells)
    digits = max([_LEAST_DIGITS, *(_digits(cell.text) for cell in cells if cell is not None)])
    return tuple(cell and _to_digits(cell, digits) for cell in cells)


def _is_whole(cell: Printed) -> bool:
    return cell.text.lstrip("+-").replace(",", "").replace("_", "").isdecimal()


def _digits(text: str) -> int:
    """Those that are sure to be significant: zeros at a whole number's end are not."""
    bare = text.lstrip("+-").replace(",", "").replace("_", "")
    if not _PLAIN.fullmatch(bare):
        return 0
    if "." in bare:
        return len(bare.replace(".", "").lstrip("0"))
    return len(bare.strip("0"))


def _to_digits(cell: Printed, digits: int) -> Printed:
    if not _is_whole(cell) or cell.value == 0:
        return cell
    magnitude = len(str(abs(int(cell.value))))
    unsure = min(magnitude - _digits(cell.text), magnitude - digits)
    return cell if unsure <= 0 else _known_to(cell, 0.5 * 10**unsure)


def _known_to(cell: Printed, half: float) -> Printed:
    return replace(cell, rounding=Interval(cell.value - half, cell.value + half))


def _rounded(text: str) -> tuple[float, float]:
    """The number, and half a unit of its last digit."""
    try:
        number = Decimal(text.replace(",", "").replace("_", ""))
    except InvalidOperation:
        msg = f"{text!r} is no printed number"
        raise ValueError(msg) from None
    exponent = number.as_tuple().exponent
    assert isinstance(exponent, int)  # the pattern lets neither NaN nor infinity through
    if number.adjusted() > _MOST or exponent < -_MOST:
        shown = text if len(text) <= 20 else f"{text[:20]}…"
        msg = f"{shown!r} is beyond anything that is printed"
        raise ValueError(msg)
    return float(number), float(Decimal(5).scaleb(exponent - 1))
