"""`math`: is the answer mathematically the reference? By math-verify, in processes of its own."""

from __future__ import annotations

import importlib.util
from importlib.metadata import version
from typing import Any

from perwatt.core.errors import MissingExtraError
from perwatt.core.records import Item, Judgement
from perwatt.scoring.extract import without_thinking
from perwatt.scoring.known_options import takes
from perwatt.scoring.math_find import as_words, find_answer, tidy, unit_of, without_unit
from perwatt.scoring.math_pool import MathPool, WorkerLostError, shared_pool

__all__ = ["MathScorer", "math"]

_LONGEST = 2000
_STEP_S = 3
_PATIENCE_S = 10.0
_TYPES = {"text", "number"}


@takes("accept", "precision", "ordered", "type")
def math() -> MathScorer:
    """Scores 1 when the answer equals the reference as mathematics, else 0.

    Equality is math-verify's (github.com/huggingface/Math-Verify): numbers, expressions, equations,
    sets, intervals, tuples, matrices. Ours, before it: words are compared as words, and two units
    that differ are two answers. Options: `accept`, other right answers; `precision`, decimals that
    count (6); `ordered`, whether the order of a list matters (as written: in brackets it does);
    `type`: `text` or `number`, where nothing else is meant. Raises MissingExtraError.
    """
    if importlib.util.find_spec("math_verify") is None:
        raise MissingExtraError("math-verify", "math", "The scorer math")
    return MathScorer(shared_pool())


class MathScorer:
    """A Scorer. Safe to call from several threads; `close` ends its processes."""

    costly = True

    def __init__(self, pool: MathPool, patience_s: float = _PATIENCE_S) -> None:
        self.pool, self.patience_s = pool, patience_s
        self.version = version("math-verify")

    def close(self) -> None:
        self.pool.close()

    def __call__(self, item: Item, text: str) -> Judgement:
        wrong = _wrong_options(item)
        if wrong:
            return Judgement(value=None, abstained=True, explanation=wrong)
        answer = find_answer(without_thinking(text))
        if answer is None:
            return Judgement(value=0.0, explanation="no answer found")
        if len(answer) > _LONGEST:
            why = f"what was found has {len(answer)} characters, too many for an answer"
            return Judgement(value=0.0, explanation=why)
        accepted = [item.reference, *item.options.get("accept", ())]
        why = "equals none of the right answers"
        for number, reference in enumerate(accepted):
            try:
                right, how = self._equal(reference, answer, item.options)
            except WorkerLostError as error:
                why = f"not compared with {reference!r}: {error}"
                return Judgement(value=None, extracted=answer, abstained=True, explanation=why)
            if right:
                of = f"accept[{number - 1}]" if number else "the reference"
                return Judgement(value=1.0, extracted=answer, explanation=f"equals {of}, {how}")
            why = how or why
        return Judgement(value=0.0, extracted=answer, explanation=why)

    def _equal(self, reference: str, answer: str, options: dict[str, Any]) -> tuple[bool, str]:
        boxed = find_answer(reference) if "\\boxed" in reference else None
        reference, answer = tidy(boxed or reference.strip(" $")), tidy(answer)
        words = as_words(reference), as_words(answer)
        if options.get("type") == "text" or None not in words:
            texts = [" ".join(text.casefold().split()) for text in (reference, answer)]
            return (words[0] or texts[0]) == (words[1] or texts[1]), "compared as words"
        units = unit_of(reference), unit_of(answer)
        if None not in units and units[0] != units[1]:
            return False, "the unit is another"
        question = {
            "reference": without_unit(reference), "answer": without_unit(answer),
            "digits": options.get("precision"), "ordered": options.get("ordered"),
            "seconds": _STEP_S,
        }  # fmt: skip
        told = self.pool.ask(question, self.patience_s)
        if "late" in told:
            raise WorkerLostError(f"no verdict within {_STEP_S} s")
        if "error" in told:
            return False, f"could not be compared: {told['error']}"
        if options.get("type") == "number" and not told["read"][1]:
            return False, "it is no number"
        how = "as mathematics" if all(told["read"]) else "as text: one is no mathematics"
        return told["right"], how if told["right"] else f"not equal, compared {how}"


def _wrong_options(item: Item) -> str | None:
    options, named = item.options, f"the item {item.id!r}"
    if not item.reference.strip():
        return f"{named} has no reference"
    if not isinstance(options.get("accept", ()), list | tuple):
        return f"{named} has accept={options['accept']!r}, which is no list"
    precision = options.get("precision", 6)
    if not isinstance(precision, int) or not 0 <= precision <= 15:
        return f"{named} has precision={precision!r}, which is no count of decimals from 0 to 15"
    if options.get("ordered") not in (None, True, False):
        return f"{named} has ordered={options['ordered']!r}, which is neither true nor false"
    if options.get("type", "text") not in _TYPES:
        return f"{named} has type={options['type']!r}; text and number are known"
    return None
