"""`overlap`: how many of the reference's words the answer has, for summaries and short answers."""

from __future__ import annotations

from typing import Any

from perwatt.core.protocols import Scorer
from perwatt.core.records import Item, Judgement
from perwatt.scoring.extract import without_thinking
from perwatt.scoring.known_options import takes
from perwatt.scoring.overlap_measures import (
    Overlap,
    longest_run,
    rouge_l,
    rouge_n,
    squad_words,
    token_f1,
    words,
)

__all__ = ["MEASURES", "overlap"]

MEASURES = ("rouge1", "rouge2", "rougeL", "f1", "verbatim")
_MOST_CHARS = 200_000
_LONG_RUN = 13
"""Words in a row that nobody writes by chance (GPT-3, arXiv 2005.14165, appendix C)."""


@takes("measure", "references", "threshold", "n", "ascii")
def overlap() -> Scorer:
    """Scores the F-measure, 0 to 1, of the reference that the answer is nearest to.

    Options: `measure`: `rougeL` (default), `rouge1`, `rouge2`, `f1` (SQuAD's, over words without
    articles and punctuation) or `verbatim` (the longest run of the reference's words that the
    answer repeats, as a share of the reference: a hint of contamination); `references`, further
    right answers; `threshold`, which makes the score 1 from there on and 0 below; `n`, for
    `verbatim`: 1 from a run of n words on (with neither, the share itself; the field uses 13);
    `ascii`, true to split words as the `rouge-score` package does. Thinking is left out. Detail:
    every measure against that reference, precision and recall, the longest run in words.
    """

    def score(item: Item, text: str) -> Judgement:
        options = item.options
        measure, n, threshold = (options.get(key) for key in ("measure", "n", "threshold"))
        measure = measure or "rougeL"
        more = options.get("references") or ()
        faults = (
            (measure not in MEASURES, f"measure={measure!r}, which is none of {MEASURES}"),
            (not _is_number(threshold) and threshold is not None, f"threshold={threshold!r}"),
            (n is not None and (not isinstance(n, int) or n < 1), f"n={n!r}"),
            (not isinstance(more, list | tuple), "references that are no list"),
        )
        fault = next((why for wrong, why in faults if wrong), None)
        right = [r for r in (item.reference, *map(str, more)) if r.strip()]
        if fault is None and not any(words(r) for r in right):
            fault = "no reference with words"
        if fault is not None:
            why = f"the item {item.id!r} has {fault}"
            return Judgement(value=None, abstained=True, explanation=why)
        answer = without_thinking(text)[:_MOST_CHARS].strip()
        if not words(answer):
            return Judgement(value=0.0, explanation="empty answer")
        ascii_only = bool(options.get("ascii"))
        every = [_measures(answer, r[:_MOST_CHARS], ascii_only) for r in right]
        best = max(every, key=lambda one: one[measure])
        value, why = best[measure], f"{measure} against the nearest of {len(right)} references"
        if measure == "verbatim" and n is not None:
            value, why = float(best["run_words"] >= n), f"a run of {n} words or more"
        elif threshold is not None:
            value, why = float(value >= threshold), f"{measure} of at least {threshold:g}"
        return Judgement(value=value, extracted=answer, explanation=why, detail=best)

    return score


def _measures(answer: str, right: str, ascii_only: bool) -> dict[str, Any]:
    ours, theirs = words(answer, ascii_only), words(right, ascii_only)
    run = longest_run(ours, theirs)
    found: dict[str, Overlap] = {
        "rouge1": rouge_n(ours, theirs, 1),
        "rouge2": rouge_n(ours, theirs, 2),
        "rougeL": rouge_l(ours, theirs),
        "f1": token_f1(squad_words(answer), squad_words(right)),
    }
    shares = {
        f"{name}_{side}": getattr(one, side)
        for name, one in found.items()
        for side in ("precision", "recall")
    }
    return {
        **{name: one.f1 for name, one in found.items()},
        **shares,
        "verbatim": len(run) / len(theirs) if theirs else 0.0,
        "run_words": len(run),
        "run": " ".join(run[:_LONG_RUN]),
    }


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
