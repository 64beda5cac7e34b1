"""`instructions`: are the verifiable instructions of a prompt kept? IFEval's, strict and loose."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from perwatt.core.protocols import Scorer
from perwatt.core.records import Item, Judgement
from perwatt.scoring.extract import without_thinking
from perwatt.scoring.instructions_checks import CHECKS
from perwatt.scoring.instructions_language import UnknownLanguageError
from perwatt.scoring.known_options import takes

__all__ = ["instructions", "loose_variants"]

Test = Callable[[str], bool]

_LEVELS, _MODES = ("prompt", "instruction"), ("strict", "loose")


@takes("instruction_id_list", "kwargs", "level", "mode")
def instructions() -> Scorer:
    """Scores 1 when every instruction is kept, else 0 (IFEval: Zhou et al. 2023, arXiv 2311.07911).

    Options: `instruction_id_list` and `kwargs` as in google/IFEval, a table for each id; `level`,
    `prompt` (default: all have to be kept) or `instruction` (the share that is); `mode`, `strict`
    (default) or `loose` (kept by any of eight variants: first line, last line, asterisks left out).
    Detail: `strict` and `loose`, by instruction, and all four scores. A check of language needs the
    package `langdetect`; without it, an answer that keeps all else is abstained from.
    """

    def score(item: Item, text: str) -> Judgement:
        options = item.options
        level, mode = options.get("level", "prompt"), options.get("mode", "strict")
        if level not in _LEVELS or mode not in _MODES:
            why = f"the item {item.id!r} asks for level={level!r}, mode={mode!r}"
            return _abstain(f"{why}; known: {_LEVELS}, {_MODES}")
        try:
            tests = _tests(options.get("instruction_id_list"), options.get("kwargs"))
        except (KeyError, TypeError, ValueError) as error:
            said = error.args[0] if error.args else error
            return _abstain(f"the item {item.id!r} has unusable instructions: {said}")
        answer = without_thinking(text)
        if not answer.strip():
            return Judgement(value=0.0, explanation="empty answer")
        names = [name for name, _ in tests]
        kept = {
            "strict": [_kept(test, [answer]) for _, test in tests],
            "loose": [_kept(test, loose_variants(answer)) for _, test in tests],
        }
        scores = {f"prompt_{m}": _all(kept[m]) for m in _MODES}
        scores |= {f"instruction_{m}": _share(kept[m]) for m in _MODES}
        detail = {"instructions": names, **kept, **scores}
        value = scores[f"{level}_{mode}"]
        if value is None:
            why = "the language of the answer cannot be told: Run: pip install 'perwatt[scoring]'"
            return Judgement(value=None, abstained=True, explanation=why, detail=detail)
        broken = [name for name, one in zip(names, kept[mode], strict=True) if one is False]
        why = f"not kept: {', '.join(broken)}" if broken else "all kept"
        return Judgement(value=value, extracted=answer.strip(), explanation=why, detail=detail)

    return score


def loose_variants(text: str) -> list[str]:
    """The eight texts of which one has to keep an instruction, in the loose reading."""
    lines = text.split("\n")
    cuts = [text, *("\n".join(part).strip() for part in (lines[1:], lines[:-1], lines[1:-1]))]
    return [variant for cut in cuts for variant in (cut, cut.replace("*", ""))]


def _tests(ids: Any, kwargs: Any) -> list[tuple[str, Test]]:
    if not isinstance(ids, list | tuple) or not ids:
        msg = "instruction_id_list is no list of ids"
        raise ValueError(msg)
    given: Sequence[Any] = kwargs if isinstance(kwargs, list | tuple) else [{}] * len(ids)
    if len(given) != len(ids):
        msg = f"{len(given)} kwargs for {len(ids)} instructions"
        raise ValueError(msg)
    return [(str(name), _test(str(name), one or {})) for name, one in zip(ids, given, strict=True)]


def _test(name: str, kwargs: Mapping[str, Any]) -> Test:
    if name not in CHECKS:
        msg = f"there is no instruction {name!r}"
        raise ValueError(msg)
    check, wanted = CHECKS[name]
    missing = [key for key in wanted if kwargs.get(key) in (None, "", [])]
    if missing:
        msg = f"{name} lacks {', '.join(missing)}"
        raise ValueError(msg)
    arguments = {key: kind(kwargs[key]) for key, kind in wanted.items()}
    return partial(check, **arguments)


def _kept(test: Test, texts: Sequence[str]) -> bool | None:
    """Is it, by any of the texts? None: nobody can tell."""
    try:
        return any(test(text) for text in dict.fromkeys(texts) if text.strip())
    except UnknownLanguageError:
        return None


def _all(kept: Sequence[bool | None]) -> float | None:
    """One broken instruction settles it, whatever the others are."""
    if False in kept:
        return 0.0
    return None if None in kept else 1.0


def _share(kept: Sequence[bool | None]) -> float | None:
    return None if None in kept else sum(map(bool, kept)) / len(kept)


def _abstain(why: str) -> Judgement:
    return Judgement(value=None, abstained=True, explanation=why)
