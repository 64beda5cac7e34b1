"""Checks of form, for instruction-following: does the answer look the way it was asked to?

Verifiable instructions in the manner of IFEval (Zhou et al. 2023, arXiv 2311.07911), one small
function each. `exact` applies those named in an item's `check` option; all must hold.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

__all__ = ["CHECKS", "failed_checks"]

Check = Callable[[str, Any], bool]


def _words(text: str) -> list[str]:
    return re.findall(r"[^\W_]+(?:['’-][^\W_]+)*", text)


def _lines(text: str) -> list[str]:
    return [line for line in text.splitlines() if line.strip()]


def _parts(text: str) -> list[str]:
    return [part for part in text.strip().rstrip(".").split(",") if part.strip()]


def _has_word(text: str, word: str) -> bool:
    return re.search(rf"(?<!\w){re.escape(word)}(?!\w)", text, re.IGNORECASE) is not None


def _listed(argument: Any) -> list[str]:
    return [argument] if isinstance(argument, str) else [str(a) for a in argument]


CHECKS: dict[str, Check] = {
    "words": lambda text, n: len(_words(text)) == n,
    "max_words": lambda text, n: 0 < len(_words(text)) <= n,
    "min_words": lambda text, n: len(_words(text)) >= n,
    "lines": lambda text, n: len(_lines(text)) == n,
    "parts": lambda text, n: len(_parts(text)) == n,
    "uppercase": lambda text, yes: any(map(str.isalpha, text)) and (text == text.upper()) is yes,
    "lowercase": lambda text, yes: any(map(str.isalpha, text)) and (text == text.lower()) is yes,
    "starts_with": lambda text, start: text.lstrip("\"'“*").startswith(str(start)),
    "ends_with": lambda text, end: text.rstrip("\"'”*").endswith(str(end)),
    "includes": lambda text, words: all(_has_word(text, word) for word in _listed(words)),
    "any_of": lambda text, words: any(_has_word(text, word) for word in _listed(words)),
    "excludes": lambda text, marks: not any(m.lower() in text.lower() for m in _listed(marks)),
    "times": lambda text, pair: len(re.findall(rf"(?<!\w){re.escape(str(pair[0]))}(?!\w)",
                                               text, re.IGNORECASE)) == pair[1],
}  # fmt: skip
"""Name → does `text` (stripped, not empty) hold it, given the check's argument?"""


def failed_checks(text: str, wanted: dict[str, Any]) -> list[str]:
    """Names of the wanted checks that do not hold. An unknown name or argument raises KeyError
    or TypeError: that is a fault of the item, not of the answer."""
    return [name for name, argument in wanted.items() if not CHECKS[name](text.strip(), argument)]
