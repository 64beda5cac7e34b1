"""`exact`: normalised text, and checks of form."""

from __future__ import annotations

from typing import Any

from perwatt.core.protocols import Scorer
from perwatt.core.records import Item, Judgement
from perwatt.scoring.checks import failed_checks
from perwatt.scoring.extract import (
    bare,
    contains_phrase,
    first_line,
    normalise,
    statement,
    without_thinking,
)
from perwatt.scoring.known_options import takes

__all__ = ["exact"]

_MATCHES = ("whole", "first-line", "contains", "none")


@takes("accept", "match", "reject", "case", "check")
def exact() -> Scorer:
    """Scores 1 when the answer is the reference or one of `accept`, and every check holds.

    Options: `accept`, other right answers; `match`, where the answer must stand: `whole` text
    (default), `first-line`, `contains` (anywhere, as whole words) or `none` (checks alone, the
    default when there is a `check`); `reject`, texts that make the answer wrong wherever they
    stand, such as the other labels; `case`, true to compare capitals and punctuation as they are;
    `check`, form asked for, such as `{"words": 3}` (see `checks`).
    """

    def score(item: Item, text: str) -> Judgement:
        options = item.options
        where = options.get("match", "none" if "check" in options else "whole")
        if where not in _MATCHES:
            why = f"the item {item.id!r} asks for an unknown match {where!r}"
            return Judgement(value=None, abstained=True, explanation=why)
        answer = bare(text)
        if not answer:
            return Judgement(value=0.0, explanation="empty answer")
        if where == "first-line":
            answer = first_line(answer)
        try:
            failed = failed_checks(without_thinking(text), options.get("check", {}))
        except (KeyError, TypeError, ValueError, IndexError) as error:
            why = f"the item {item.id!r} has an unusable check: {error!r}"
            return Judgement(value=None, abstained=True, explanation=why)
        if failed:
            why = f"fails {', '.join(failed)}"
            return Judgement(value=0.0, extracted=answer, explanation=why)
        if where == "none":
            return Judgement(value=1.0, extracted=answer)
        right = (item.reference, *map(str, options.get("accept", ())))
        matched = any(_same(answer, form, where, options) for form in right)
        spoilt = [r for r in options.get("reject", ()) if _same(text, str(r), "contains", {})]
        also = f"also says {', '.join(map(repr, spoilt))}" if matched and spoilt else None
        return Judgement(value=float(matched and not spoilt), extracted=answer, explanation=also)

    return score


def _same(answer: str, right: str, where: str, options: dict[str, Any]) -> bool:
    if options.get("case"):
        return (
            right.strip() in answer if where == "contains" else _unquoted(answer) == right.strip()
        )
    wanted = normalise(right)
    if where == "contains":
        return contains_phrase(normalise(answer), wanted)
    stated = statement(answer)
    return any(normalise(form) == wanted != "" for form in (answer, stated) if form is not None)


def _unquoted(text: str) -> str:
    inner = text.strip()
    return inner[1:-1] if len(inner) > 1 and inner[0] + inner[-1] in {'""', "''", "“”"} else inner
