"""`likelihood`: which continuation of the prompt the model itself finds likeliest."""

from __future__ import annotations

import math
from collections.abc import Sequence
from string import ascii_uppercase

from perwatt.core.likelihood import Likelihood, decode
from perwatt.core.protocols import Scorer
from perwatt.core.records import Item, Judgement
from perwatt.scoring.known_options import takes

__all__ = ["NORMS", "likelihood", "per_norm"]

NORMS = ("none", "tokens", "chars", "bytes")


@takes("choices", "norm")
def likelihood() -> Scorer:
    """Scores 1 when the right continuation has the highest log-probability, else 0.

    Reads what an endpoint that weighs continuations sends (`core.likelihood`). The reference is a
    letter, or an index from 0. Options: `norm`, what each sum is divided by: `none` (default;
    lm-eval's `acc`), `chars` (its `acc_norm`), `bytes` (its `acc_bytes`) or `tokens`; `choices`,
    the texts whose length counts, by default the continuations less one leading space, as lm-eval
    counts them. The first of equals wins. Detail: `scores` of every continuation and `right` by
    each norm, so that one run gives all four; `greedy`, would the model have written the right one?
    """

    def score(item: Item, text: str) -> Judgement:
        texts = _texts(item)
        right = _index(item.reference, len(texts))
        norm = item.options.get("norm", "none")
        if norm not in NORMS:
            return _abstain(f"the item {item.id!r} has norm={norm!r}, which is none of {NORMS}")
        if right is None:
            why = f"the item {item.id!r} has no continuation {item.reference!r}"
            return _abstain(why)
        if not text.strip():
            return Judgement(value=0.0, explanation="empty answer")
        found = decode(text)
        if found is None:
            return _abstain("the answer is no list of likelihoods: nobody weighed the item")
        if len(found) != len(texts):
            why = f"{len(found)} likelihoods for the {len(texts)} continuations of {item.id!r}"
            return _abstain(why)
        if any(math.isnan(one.logprob) for one in found):
            return _abstain(f"a log-probability of the item {item.id!r} is not a number")
        scores = per_norm(found, texts)
        picks = {name: values.index(max(values)) for name, values in scores.items()}
        detail = {
            "scores": scores,
            "right": {name: float(pick == right) for name, pick in picks.items()},
            "greedy": found[right].greedy,
        }
        return Judgement(
            value=float(picks[norm] == right),
            extracted=ascii_uppercase[picks[norm]] if len(texts) <= 26 else str(picks[norm]),
            explanation="the highest log-probability"
            + ("" if norm == "none" else f" per {norm.removesuffix('s')}"),
            detail=detail,
        )

    return score


def per_norm(found: Sequence[Likelihood], texts: Sequence[str]) -> dict[str, list[float]]:
    """Log-probability of each continuation divided by 1, its tokens, characters and UTF-8 bytes."""
    lengths = {
        "none": [1] * len(texts),
        "tokens": [one.tokens for one in found],
        "chars": [len(text) for text in texts],
        "bytes": [len(text.encode("utf-8", "replace")) for text in texts],
    }
    return {
        norm: [one.logprob / max(n, 1) for one, n in zip(found, sizes, strict=True)]
        for norm, sizes in lengths.items()
    }


def _texts(item: Item) -> list[str]:
    choices = item.options.get("choices")
    if isinstance(choices, list | tuple) and len(choices) == len(item.continuations):
        return [str(choice) for choice in choices]
    return [text.removeprefix(" ") for text in item.continuations]


def _index(reference: str, count: int) -> int | None:
    name = reference.strip()
    if name.isascii() and name.isdigit():
        place = int(name[:6])
    elif len(name) == 1 and name.upper() in ascii_uppercase:
        place = ascii_uppercase.index(name.upper())
    else:
        return None
    return place if place < count else None


def _abstain(why: str) -> Judgement:
    return Judgement(value=None, abstained=True, explanation=why)
