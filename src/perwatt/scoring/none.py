"""`none`: an item that is asked for its speed and joules alone, and whose answer nobody judges."""

from __future__ import annotations

from perwatt.core.protocols import Scorer
from perwatt.core.records import Item, Judgement

__all__ = ["none"]


def none() -> Scorer:
    """Always abstains, so that accuracy is missing with a reason: it is neither 0 nor 1."""

    def score(item: Item, text: str) -> Judgement:  # noqa: ARG001 - the contract of a scorer
        why = "the item is asked for speed and energy alone"
        return Judgement(value=None, abstained=True, explanation=why)

    return score
