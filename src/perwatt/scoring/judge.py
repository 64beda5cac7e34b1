"""Answers that only a reader can judge: what is to be asked of a judge, and how it counts.

A scorer asks nobody: by itself this one abstains. A run or `perwatt score` that is given `--judge`
puts the questions of `judge_prompts` to it, after the load (see `runner.judging`).
"""

from __future__ import annotations

from typing import Any, Literal, cast, get_args

import msgspec

from perwatt.core.protocols import Scorer
from perwatt.core.records import Item, Judgement
from perwatt.scoring.known_options import takes

__all__ = ["NO_JUDGE", "BadHowError", "Form", "How", "how_judged", "judge"]

Form = Literal["pairwise", "true-false", "three-way", "scale"]
"""Against another answer in both orders; right or wrong by the reference; SimpleQA's three grades;
marks by a rubric. All but the first judge one answer alone (`pointwise`)."""
Credit = Literal["win-tie", "graded"]
FORMS: tuple[str, ...] = get_args(Form)
NO_JUDGE = "this item needs a judge: give --judge"
WIDEST = 100


class How(msgspec.Struct, frozen=True, kw_only=True):
    """How one item's answers are judged."""

    form: Form
    rubric: str | None = None
    """What to look for, in words; None: correctness first."""
    scale: tuple[int, int] = (1, 10)
    """Worst and best mark of the form `scale`."""
    credit: Credit = "win-tie"
    """`win-tie`: 1 unless the other answer is better (the study's); `graded`: 1, .75, .5, .25, 0
    from much better to much worse. Either is the mean of both orders."""


class BadHowError(ValueError):
    """The item's options do not say how it is judged; the message says why."""


@takes("mode", "rubric", "scale", "credit")
def judge() -> Scorer:
    """The scorer `judge`. Options: see `how_judged`."""

    def needs_one(item: Item, text: str) -> Judgement:  # noqa: ARG001
        return Judgement(value=None, abstained=True, explanation=NO_JUDGE)

    return needs_one


def how_judged(
    item: Item, mode: str | None = None, *, against: bool = False, has_reference: bool | None = None
) -> How:
    """From `options`: mode (`pairwise`, `pointwise` or a form's name), rubric, scale, credit.

    `mode` given goes over the item's. `against`: there is another pair's answer to compare with.
    Pointwise without a form is `true-false` where there is a reference, else `scale`. Raises
    BadHowError.
    """
    options = item.options
    reference = bool(item.reference.strip()) if has_reference is None else has_reference
    form = _form(mode or ("pairwise" if against else None), options, reference)
    if form == "pairwise" and not (reference or against):
        msg = "there is no reference to compare the answer with"
        raise BadHowError(msg)
    if form in {"true-false", "three-way"} and not reference:
        msg = f"the form {form} needs a reference"
        raise BadHowError(msg)
    rubric = options.get("rubric")
    if rubric is not None and not isinstance(rubric, str):
        msg = "the option rubric is not text"
        raise BadHowError(msg)
    credit = options.get("credit", "win-tie")
    if credit not in get_args(Credit):
        msg = f"the option credit is {credit!r}, not win-tie or graded"
        raise BadHowError(msg)
    return How(form=form, rubric=rubric, scale=_scale(options.get("scale", 10)), credit=credit)


def _form(mode: str | None, options: dict[str, Any], reference: bool) -> Form:
    own = options.get("mode")
    wanted = own if mode is None else mode
    if wanted is None or wanted == "pointwise":
        by_reference = reference and "rubric" not in options
        wanted = own if own in FORMS[1:] else "true-false" if by_reference else "scale"
    if wanted not in FORMS:
        msg = f"the option mode is {wanted!r}, not pointwise, {', '.join(FORMS)}"
        raise BadHowError(msg)
    return cast("Form", wanted)


def _scale(given: Any) -> tuple[int, int]:
    """`[worst, best]`, or the best alone, above 1."""
    ends = [1, given] if isinstance(given, int) else given
    if (
        not isinstance(ends, list | tuple)
        or len(ends) != 2
        or any(isinstance(end, bool) or not isinstance(end, int) for end in ends)
        or not 0 <= ends[0] < ends[1] <= WIDEST
    ):
        msg = f"the option scale is {given!r}, not [worst, best] in whole numbers of 0 to {WIDEST}"
        raise BadHowError(msg)
    return ends[0], ends[1]
