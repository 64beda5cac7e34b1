"""Find the answer in what a model wrote. Shared by the scorers; pure text in, text out.

Extraction alone moves published scores by tens of points, so each rule is small, named and tested
against the labelled list in tests/scoring/gold.jsonl.
"""

from __future__ import annotations

import re
import unicodedata

__all__ = [
    "bare",
    "contains_phrase",
    "first_line",
    "is_extraction_failure",
    "normalise",
    "statement",
]

_MARKUP = re.compile(r"(?<!\d)\*+|\*+(?!\d)|`+|(?<!\w)_+|_+(?!\w)|\$(?=\\)|^#+\s", re.MULTILINE)
_BOXED = re.compile(r"\\boxed\s*\{((?:[^{}]|\{[^{}]*\})*)\}")
_TEXT = re.compile(r"\\(?:text|mathrm|mathbf|textbf)\s*\{([^{}]*)\}")
_STATED = re.compile(
    r"(?:####|\b(?:final\s+answer|correct\s+answer|right\s+answer|best\s+answer|answer|solution)"
    r"(?:\s+(?:to|for)\b[^.:\n]{0,80}?)?(?:\s+(?:is|would\s+be|should\s+be|was)\b\s*:?|\s*[:=]))"
    r"\s*",
    re.IGNORECASE,
)
_ARTICLES = re.compile(r"\b(?:a|an|the)\b")
_PUNCTUATION = re.compile(r"[^\w\s%°+\-/.:,]|[.:,](?!\d)|(?<!\d)[:,]|(?<!\w)/|/(?!\w)")


def bare(text: str) -> str:
    r"""Without Markdown emphasis, `\text{}` and compatibility characters; outer space stripped."""
    plain = unicodedata.normalize("NFKC", text).replace("’", "'")
    return _MARKUP.sub("", _TEXT.sub(r"\1", plain)).strip()


def statement(text: str) -> str | None:
    r"""What the answer is stated to be: the last `\boxed{…}`, else what follows the last
    "answer is", "Answer:" or "####", to the end of the text. None when nothing is stated."""
    boxed = _BOXED.findall(text)
    if boxed:
        return bare(boxed[-1])
    plain = bare(text)
    ends = [match.end() for match in _STATED.finditer(plain)]
    return (plain[ends[-1] :].strip() or None) if ends else None


def first_line(text: str) -> str:
    """The first line with anything in it, stripped; empty when there is none."""
    return next((line.strip() for line in text.splitlines() if line.strip()), "")


def normalise(text: str) -> str:
    """Compatibility characters and case folded, articles and punctuation dropped, single spaces.

    The SQuAD normalisation (Rajpurkar et al. 2016, arXiv 1606.05250, evaluation script), except
    that decimal points, signs, slashes and colons within numbers are kept: 1.5 is not 15.

    >>> normalise("The  Café, of  *Paris*!"), normalise("$1,500.50.")
    ('café of paris', '1,500.50')
    """
    folded = _PUNCTUATION.sub(" ", bare(text).casefold())
    return " ".join(_ARTICLES.sub(" ", folded).split())


def contains_phrase(text: str, phrase: str) -> bool:
    """Does normalised `phrase` occur in normalised `text` as whole words?"""
    return bool(phrase) and f" {phrase} " in f" {text} "


def is_extraction_failure(text: str) -> bool:
    """Nothing but white space and markup: there is no answer to judge."""
    return not bare(text)
