"""`numeric`: is the number in the answer the right one, within tolerance and in the right unit?"""

from __future__ import annotations

import math
import re
import unicodedata
from typing import NamedTuple

from perwatt.core.protocols import Scorer
from perwatt.core.records import Item, Judgement
from perwatt.scoring.extract import bare, statement
from perwatt.scoring.units import Unit, find_unit

__all__ = ["Quantity", "numeric", "quantities"]

_PLAIN = r"(?:\d{1,3}(?:,\d{3})+(?!\d)|\d+)(?:\.\d+)?|\.\d+"
_NUMBER = re.compile(
    rf"(?<![\w.,])(?P<sign>[-+]\s?)?(?P<currency>[$€£]\s?)?(?P<inner>-)?"
    rf"(?:\\?d?frac\{{(?P<top>\d+)\}}\{{(?P<low>\d+)\}}"
    rf"|(?:(?P<whole>\d+)\s+)?(?P<num>\d+)\s?/\s?(?P<den>\d+)(?![\d/])"
    rf"|(?P<plain>{_PLAIN})(?:[eE](?P<exp>[-+]?\d{{1,3}})(?!\w)"
    rf"|\s?(?:×|x|\*|\\times)\s?10\s?(?:\^|\*\*)\s?\{{?(?P<power>[-+]?\d{{1,3}})\}}?)?)"
)
_GROUPED = re.compile(r"(?<=\d)[\u00a0\u202f\u2009](?=\d{3}(?!\d))")
_AND = re.compile(r"\s*(?:,|and)?\s*")
_ONES = [
    "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten",
    "eleven", "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen",
    "nineteen",
]  # fmt: skip
_TENS = ["twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"]
_WORDS = {word: k for k, word in enumerate(_ONES)} | {w: 10 * k + 20 for k, w in enumerate(_TENS)}
_WORD = re.compile(
    rf"\b(?:({'|'.join(_TENS)})[-\s]({'|'.join(_ONES[1:10])})|({'|'.join(_WORDS)}))\b",
    re.IGNORECASE,
)


class Quantity(NamedTuple):
    """A number as written, with the unit that stands beside it."""

    value: float
    unit: Unit | None
    written: str
    end: int


def numeric() -> Scorer:
    """Scores 1 when the stated number, else the last one, equals the reference, else 0.

    Options: `tolerance` (relative, default 1e-6), `abs_tolerance`, `unit`, `convert`. An answer
    without a unit is read in `unit`; one of the same dimension is converted (1.5 km is 1500 m),
    unless `convert` is false, for questions that ask for just that; another dimension is wrong.
    Read: 1,234.5 −3 $5 25% 3/4 1 1/2 2e3 2×10^3 "2 h 30 min" "seven".
    """

    def score(item: Item, text: str) -> Judgement:
        reference = quantities(bare(_ungroup(item.reference)))
        if not reference:
            why = f"the item {item.id!r} has no number as its reference"
            return Judgement(value=None, abstained=True, explanation=why)
        right = reference[-1].value
        wanted = str(item.options.get("unit") or "")
        found = _answer(text)
        if found is None:
            return Judgement(value=0.0, explanation="no number found")
        relative = float(item.options.get("tolerance", 1e-6))
        absolute = float(item.options.get("abs_tolerance", 1e-12))
        convert = bool(item.options.get("convert", True))
        values, wrong = _in_unit(found, wanted, convert)
        close = any(math.isclose(v, right, rel_tol=relative, abs_tol=absolute) for v in values)
        return Judgement(value=float(close), extracted=found.written, explanation=wrong)

    return score


def quantities(text: str) -> list[Quantity]:
    """All numbers of a text in order, parts such as "2 h 30 min" joined into one."""
    found: list[Quantity] = []
    starts: list[int] = []
    for match in _NUMBER.finditer(text):
        value = _value(match)
        if value is None:
            continue
        end = match.end()
        unit = None
        gap = re.match(r"\s?", text[end:])
        offset = end + (gap.end() if gap else 0)
        known = find_unit(text[offset : offset + 24])
        if match["currency"]:
            money = find_unit(match["currency"].strip())
            unit = money[0] if money else None
        elif known is not None:
            unit, size = known
            end = offset + size
        quantity = Quantity(value, unit, text[match.start() : end].strip(), end)
        last = found[-1] if found else None
        if last is not None and _continues(last, quantity, text[last.end : match.start()]):
            found.pop()
            start = starts.pop()
            factor = (quantity.unit or ("", 1.0))[1] / (last.unit or ("", 1.0))[1]
            joined = last.value + quantity.value * factor
            quantity = Quantity(joined, last.unit, text[start:end].strip(), end)
            starts.append(start)
        else:
            starts.append(match.start())
        found.append(quantity)
    return found


def _answer(text: str) -> Quantity | None:
    text = _ungroup(text)
    stated = statement(text)
    if stated is not None:
        found = quantities(stated) or _words(stated)
        if found:
            after = stated[found[0].end :].lstrip()
            # "The answer is 3 + 4 = 7" states a sum: what counts stands after its last "=".
            return found[-1] if "=" in after.split("\n")[0] else found[0]
    plain = bare(text)
    found = quantities(plain) or _words(plain)
    return found[-1] if found else None


def _ungroup(text: str) -> str:
    # Before NFKC, which would turn a thin space between digits into an ordinary one.
    text = _GROUPED.sub("", text)
    return text.replace("\u2212", "-").replace("\u2013", "-") if text else text


def _value(match: re.Match[str]) -> float | None:
    try:
        if match["top"]:
            value = int(match["top"]) / int(match["low"])
        elif match["num"]:
            value = int(match["whole"] or 0) + int(match["num"]) / int(match["den"])
        else:
            value = float(match["plain"].replace(",", ""))
            value *= 10.0 ** int(match["exp"] or match["power"] or 0)
    except (ZeroDivisionError, OverflowError, ValueError):
        return None
    if not math.isfinite(value):
        return None
    return -value if "-" in (match["sign"] or "") or match["inner"] else value


def _continues(last: Quantity, new: Quantity, between: str) -> bool:
    """Is `new` the smaller part of one quantity, as minutes after hours?"""
    if last.unit is None or new.unit is None or not _AND.fullmatch(between):
        return False
    return last.unit[0] == new.unit[0] != "share" and 0 < new.unit[1] < last.unit[1]


def _in_unit(found: Quantity, wanted: str, convert: bool) -> tuple[list[float], str | None]:
    """The values this quantity may stand for in the wanted unit; none when its unit is wrong."""
    target = find_unit(unicodedata.normalize("NFKC", wanted)) if wanted else None
    if target is not None and target[1] == len(wanted) and found.unit is not None:
        (dimension, factor), (own, own_factor) = target[0], found.unit
        if own != dimension:
            return [], f"wrong unit: {own}, not {dimension}"
        if own_factor != factor and not convert:
            return [], "the unit of the question, not the one asked for"
        return [found.value * own_factor / factor], None
    if not wanted and found.unit == ("share", 1.0):
        return [found.value, found.value / 100], None
    return [found.value], None


def _words(text: str) -> list[Quantity]:
    found = []
    for match in _WORD.finditer(text):
        tens, one, single = (part.lower() if part else "" for part in match.groups())
        value = float(_WORDS[single] if single else _WORDS[tens] + _WORDS[one])
        unit = find_unit(text[match.end() :].lstrip()[:24])
        found.append(Quantity(value, unit[0] if unit else None, match[0], match.end()))
    return found
