"""`choice`: which letter of a multiple-choice question the answer picks."""

from __future__ import annotations

from string import ascii_uppercase

from perwatt.core.protocols import Scorer
from perwatt.core.records import Item, Judgement
from perwatt.scoring.choice_letters import pick_letter
from perwatt.scoring.known_options import takes

__all__ = ["choice", "pick_letter"]


@takes("choices")
def choice() -> Scorer:
    """Scores 1 when the answer picks the reference letter, else 0.

    Options: `choices`, the texts of A, B, C … in order. The reference is a letter. Taken as a pick:
    a letter alone or labelled ("B", "(B)", "B)", "**B**", "Answer: B"), or the full text of one
    choice. A stated answer wins over letters that stand elsewhere. Two different letters without a
    final statement are no pick: extracted None, value 0.
    """

    def score(item: Item, text: str) -> Judgement:
        choices = item.options.get("choices")
        texts = [str(c) for c in choices] if isinstance(choices, list | tuple) else []
        letters = ascii_uppercase[: len(texts)]
        right = item.reference.strip().upper()
        if len(right) != 1 or right not in letters:
            why = f"the item {item.id!r} has no choice {item.reference!r}"
            return Judgement(value=None, abstained=True, explanation=why)
        picked, why = pick_letter(text, texts)
        return Judgement(value=float(picked == right), extracted=picked, explanation=why)

    return score
