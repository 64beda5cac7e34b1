"""`regex`: what a pattern finds in the answer. A pattern that runs away is stopped."""

from __future__ import annotations

import re

from perwatt.core.protocols import Scorer
from perwatt.core.records import Item, Judgement
from perwatt.scoring.extract import without_thinking
from perwatt.scoring.known_options import takes
from perwatt.scoring.regex_bounded import BoundedSearch, RunawayError

__all__ = ["regex"]

_FLAGS = {"i": re.IGNORECASE, "m": re.MULTILINE, "s": re.DOTALL, "x": re.VERBOSE, "a": re.ASCII}
_EXPECT = ("match", "no-match", "reference")
_WHICH = ("first", "last")


class _Regex:
    """Scores 1 when the pattern finds what the item expects, else 0.

    Options: `pattern`, in Python's syntax, by default the reference itself; `flags`, letters of
    "imsxa"; `group`, number or name of the group that is the answer, by default the first that
    took part in the match, else all of it; `which`, `last` (default) or `first` match; `expect`:
    `reference` (default where there is a `pattern`: what was found equals the reference or one of
    `accept`), `match` (default where there is none: it is found at all) or `no-match`; `case`,
    false to compare without case. A search of more than 0.9 s of CPU time is stopped: the scorer
    abstains.
    """

    def __init__(self) -> None:
        self._bounded = BoundedSearch()

    def __call__(self, item: Item, text: str) -> Judgement:
        options = item.options
        pattern = options.get("pattern", item.reference)
        expect = options.get("expect", "reference" if "pattern" in options else "match")
        which, letters = options.get("which", "last"), str(options.get("flags", ""))
        faults = (
            (not isinstance(pattern, str) or not pattern, "no pattern"),
            (expect not in _EXPECT, f"expect={expect!r}, which is none of {_EXPECT}"),
            (which not in _WHICH, f"which={which!r}, which is none of {_WHICH}"),
            (not set(letters) <= set(_FLAGS), f"flags={letters!r}, beyond {''.join(_FLAGS)!r}"),
        )
        fault = next((why for wrong, why in faults if wrong), None)
        if fault is not None:
            return _abstain(f"the item {item.id!r} has {fault}")
        flags = sum(_FLAGS[letter] for letter in set(letters))
        said = without_thinking(text)
        if not said.strip():
            return Judgement(value=0.0, explanation="empty answer")
        try:
            found = self._bounded(pattern, said, int(flags), options.get("group"), which == "last")
        except (RunawayError, ValueError) as error:
            return _abstain(f"the pattern of the item {item.id!r} {error}")
        return _judge(item, expect, found)

    def close(self) -> None:
        self._bounded.close()


@takes("pattern", "flags", "group", "which", "expect", "case", "accept")
def regex() -> Scorer:
    """Its options are `_Regex`'s. It keeps one child process for its searches; `close` ends it."""
    return _Regex()


def _judge(item: Item, expect: str, found: str | None) -> Judgement:
    if expect == "no-match":
        why = "found nowhere, as wanted" if found is None else "found, though it should not be"
        # That nothing was found is here the answer itself: no extraction failure.
        return Judgement(value=float(found is None), extracted=found or "", explanation=why)
    if found is None:
        return Judgement(value=0.0, explanation="the pattern is not found")
    if expect == "match":
        return Judgement(value=1.0, extracted=found, explanation="the pattern is found")
    fold = item.options.get("case", True) is False
    right = {_form(str(r), fold) for r in (item.reference, *item.options.get("accept", ()))}
    why = "what the pattern found, compared with the reference"
    return Judgement(value=float(_form(found, fold) in right), extracted=found, explanation=why)


def _form(text: str, fold: bool) -> str:
    return text.strip().casefold() if fold else text.strip()


def _abstain(why: str) -> Judgement:
    return Judgement(value=None, abstained=True, explanation=why)
