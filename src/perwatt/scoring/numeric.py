"""`numeric`: is the number in the answer the right one, within tolerance and in the right unit?"""

from __future__ import annotations

import math
import re
import unicodedata
from typing import Any

from perwatt.core.protocols import Scorer
from perwatt.core.records import Item, Judgement
from perwatt.scoring.extract import (
    bare,
    both_ends,
    statement,
    without_next_question,
    without_thinking,
)
from perwatt.scoring.known_options import takes
from perwatt.scoring.quantities import Quantity, quantities, tidy, worded
from perwatt.scoring.units import find_unit

__all__ = ["numeric"]

_PERCENT = ("points", "fraction", "either")
_BOLD = re.compile(
    r"\*\*(?!\s*(?:step|part|note)\b|\s*\d+[.)]\s)([^*\n]+?)(?<!:)\*\*(?!:)", re.IGNORECASE
)
_ASIDE = re.compile(r"\([^()\n]*\)")
_FOR = re.compile(
    r"\b(?:for|at|per|every|out of|(?:of|in) (?:those|these|all))\s+(?:the\s+|all\s+)?$"
)
_NOT = re.compile(r"\bnot\s+$", re.IGNORECASE)
_OF_IT = re.compile(
    r"\s+(?:decimal\s+(?:place|point)|significant|d\.?p\b|s\.?f\b|of\s+(?:them|which|whom)\b)"
)
_GROUNDS = re.compile(r"\b(?:since|because|as|given|where)\b|\(")
_SENTENCE_END = re.compile(r"\n|[.!?](?=\s+[A-Z])")


@takes("tolerance", "abs_tolerance", "unit", "convert", "decimal", "percent")
def numeric() -> Scorer:
    """Scores 1 when the stated number, else the last one, equals the reference, else 0.

    Options: `tolerance` (relative, default 1e-6), `abs_tolerance`, `unit`, `convert`, `decimal`,
    `percent`. An answer without a unit is read in `unit`; one of the same dimension is converted
    (1.5 km is 1500 m), unless `convert` is false, for questions that ask for just that; another
    dimension is wrong. `percent`, where no unit is asked for: does 25% stand for 25 (`points`, the
    default), for 0.25 (`fraction`) or for `either`? `decimal`: "," where the comma is the decimal
    sign, "." where it never is; without it 1.234,5 and 3,25 are read so, 3,250 is not.
    Read: 1,234.5 −3 $5 25% 3/4 1 1/2 2e3 2×10^3 10^3 5k "2 h 30 min" "1.5 million" "seven".
    """

    def score(item: Item, text: str) -> Judgement:
        options = item.options
        try:
            relative = float(options.get("tolerance", 1e-6))
            absolute = float(options.get("abs_tolerance", 1e-12))
        except (TypeError, ValueError):
            return _abstain(f"the item {item.id!r} has an unusable tolerance")
        percent = options.get("percent", "points")
        if percent not in _PERCENT:
            why = f"the item {item.id!r} has percent={percent!r}, which is none of {_PERCENT}"
            return _abstain(why)
        decimal = str(options.get("decimal", ""))
        # The reference is written by the workload, so in its own signs: points unless it says else.
        reference = quantities(bare(tidy(item.reference, decimal or ".")))
        if not reference:
            return _abstain(f"the item {item.id!r} has no number as its reference")
        right = reference[-1].value
        found = _answer(tidy(both_ends(without_thinking(text)), decimal))
        if found is None:
            return Judgement(value=0.0, explanation="no number found")
        values, wrong = _in_unit(found, options, percent)
        close = any(math.isclose(v, right, rel_tol=relative, abs_tol=absolute) for v in values)
        return Judgement(value=float(close), extracted=found.written, explanation=wrong)

    return score


def _abstain(why: str) -> Judgement:
    return Judgement(value=None, abstained=True, explanation=why)


def _answer(text: str) -> Quantity | None:
    head = without_next_question(text)
    for part in (head, text) if head != text else (text,):
        stated = statement(part)
        if stated is not None:
            found = quantities(stated) or worded(stated)
            if found:
                return _concluded(stated, found)
    alone = quantities(bare(head))
    if head != text and len(alone) == 1:
        return alone[0]
    bold = [q for span in _BOLD.findall(_last_line(text)) for q in quantities(bare(span))]
    if bold:
        return bold[-1]
    plain = bare(text)
    outside = _ASIDE.sub(lambda match: " " * len(match[0]), plain)
    found = quantities(outside) or quantities(plain) or worded(plain)
    found = [q for q in found if not _is_beside(q, outside)] or found
    return _but_for(outside, found) if found else None


def _is_beside(one: Quantity, plain: str) -> bool:
    """ "not 15", "to 1 decimal place", "12 of them" say something of the answer beside it."""
    before = plain[: one.end - len(one.written)]
    return bool(_NOT.search(before[-8:]) or _OF_IT.match(plain, one.end))


def _but_for(plain: str, found: list[Quantity]) -> Quantity:
    """The last number, or in "$64 for 16 glasses" the one before: the rest of a sentence that
    names an amount first says for what, and of how many."""
    for k in range(len(found) - 1, 0, -1):
        one, earlier = found[k], found[k - 1]
        start = one.end - len(one.written)
        apart = _SENTENCE_END.search(plain, earlier.end, start)
        between = plain[earlier.end : start]
        money = one.written[:1] in "$€£" and not between.rstrip().endswith(" at")
        if apart or money or not _FOR.search(between):
            return one
    return found[0]


def _last_line(text: str) -> str:
    return next((line for line in reversed(text.splitlines()) if line.strip()), "")


def _concluded(stated: str, found: list[Quantity]) -> Quantity:
    """ "The answer is 3 + 4 = 7" states a sum: what counts stands after the last "=" of it."""
    first = found[0]
    end = _SENTENCE_END.search(stated, first.end)
    sentence = stated[: end.start()] if end else stated
    sums = sentence.rfind("=")
    if sums < first.end or _GROUNDS.search(sentence, first.end, sums):
        return first
    after = [q for q in found if sums < q.end <= len(sentence)]
    return after[0] if after else first


def _in_unit(
    found: Quantity, options: dict[str, Any], percent: str
) -> tuple[list[float], str | None]:
    """The values this quantity may stand for in the wanted unit; none when its unit is wrong."""
    wanted = unicodedata.normalize("NFKC", str(options.get("unit") or ""))
    target = find_unit(wanted) if wanted else None
    if target is not None and target[1] == len(wanted) and found.unit is not None:
        (dimension, factor), (own, own_factor) = target[0], found.unit
        if own != dimension:
            return [], f"wrong unit: {own}, not {dimension}"
        if own_factor != factor and not options.get("convert", True):
            return [], "the unit of the question, not the one asked for"
        return [found.value * own_factor / factor], None
    if not wanted and found.unit == ("share", 1.0) and percent != "points":
        share = found.value / 100
        return ([share] if percent == "fraction" else [found.value, share]), None
    return [found.value], None
