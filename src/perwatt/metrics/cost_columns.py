"""Columns of right answers, joules and watts: one value for each item asked, its turns together.

Right answers and joules share one denominator, so a warm-up is in them as all else is.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from perwatt.core.records import Columns
from perwatt.core.summary import UNSCORED
from perwatt.metrics.speed_columns import numbers
from perwatt.stats.sample import Column, Floats, Ints

__all__ = ["cost_columns"]

Bools = NDArray[np.bool_]

JOULES = ("energy_gross_j", "energy_net_j", "prefill_j", "decode_j")
NO_WEIGHTS = "its items carry no weights: all count alike"
NO_LOGPROBS = "no log-probabilities were kept (--logprobs)"


def cost_columns(items: Columns, cluster: Ints) -> dict[str, Column]:
    """`items`: rows as `conversations.joined` gives them; `cluster` (i,): that of each."""
    ok = np.array([status == "ok" for status in items["status"]], dtype=bool)
    took_s = numbers(items, "took_ns") / 1e9
    tokens = numbers(items, "completion_tokens")
    abstained = np.array([bool(a) for a in items.get("abstained") or [False] * len(ok)], dtype=bool)
    # A failed request scores 0 by definition, whether or not a scorer has looked at it; but of an
    # item that nobody judges it is as little judged as an answer.
    score = np.where(ok | abstained, numbers(items, "score"), 0.0)
    values = {
        "failed": (1.0 - ok, "status"),
        "served": (1.0 * ok, "status"),
        "unread": (_unread(items, ok & ~abstained), "extracted answer"),
        "abstained": (np.where(ok, abstained, np.nan), "answer"),
        "completion_tokens": (tokens, "count of output tokens"),
    }
    columns = {
        name: Column(v, cluster, noun, share=noun != "count of output tokens")
        for name, (v, noun) in values.items()
    }
    why = _unjudged(abstained, ok | abstained)
    columns["score"] = Column(score, cluster, "score", share=True, why=why)
    weight = numbers(items, "weight")
    why = NO_WEIGHTS if np.isnan(weight).any() else None
    for name, weighed in (
        ("weight", weight),
        ("weighted_score", weight * score),
        ("weighted_energy_gross_j", weight * numbers(items, "energy_gross_j")),
    ):
        scaled = name.endswith("_j")
        columns[name] = Column(weighed, cluster, "weight", scaled=scaled, why=why)
    # A failed request has no text to be surprised by; a served one must have its own.
    surprise = _perplexity(items)[ok]
    why = NO_LOGPROBS if np.isnan(surprise).all() else None
    columns["perplexity"] = Column(surprise, cluster[ok], "log-probabilities", why=why)
    for name in JOULES:
        columns[name] = Column(numbers(items, name), cluster, "energy", scaled=True)
    for kind in ("gross", "net"):
        watts = np.full(len(ok), np.nan)
        np.divide(columns[f"energy_{kind}_j"].values, took_s, out=watts, where=took_s > 0)
        columns[f"power_{kind}_w"] = Column(watts, cluster, "energy", scaled=True)
    return columns


def _unjudged(abstained: Bools, shown: Bools) -> str | None:
    """Why there is no accuracy where a scorer would not judge: it is not taken over the rest.

    `shown`: what a scorer could have judged, or said that it would not.
    """
    if not abstained.any():
        return None
    if abstained.sum() == shown.sum():
        return UNSCORED
    return f"{abstained.sum()} of {shown.sum()} answers could not be judged: their scorer abstained"


def _unread(items: Columns, judged: Bools) -> Floats:
    if "extracted" not in items:
        return np.full(len(judged), np.nan)
    unread = np.array([1.0 if found is None else 0.0 for found in items["extracted"]])
    # A table of scores alone names no scorer: what was read for them, nobody knows.
    scorers = items.get("scorer") or [None] * len(judged)
    known = np.array([scorer != "imported" for scorer in scorers], dtype=bool)
    return np.where(known & judged & ~np.isnan(numbers(items, "score")), unread, np.nan)


def _perplexity(items: Columns) -> Floats:
    """exp(−mean log-probability) over all tokens of each item's answers, reasoning included."""
    kept = items.get("logprobs") or [None] * len(items["status"])
    return np.array([np.exp(-np.mean(p)) if p else np.nan for p in kept], dtype=np.float64)
