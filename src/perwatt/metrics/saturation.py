"""Which stage of a load was more than the server could take. Over published figures, and pure."""

from __future__ import annotations

from collections.abc import Sequence

from perwatt.core.summary import StageSummary

__all__ = ["saturated_stage"]

KEEPS_UP = 0.95
"""A server that answers less than this share of what is asked of it a second falls behind."""
LEAST_GAIN = 1.05
"""More in flight that brings less than this brings nothing but waiting."""


def saturated_stage(stages: Sequence[StageSummary]) -> int | None:
    """The index of the first one, in one pair's stages as they came. None: none was.

    What a sweep decided while it ran goes first: it saw each request.
    """
    for n, stage in enumerate(stages):
        if stage.stopped == "saturated":
            return n
    best = 0.0
    for n, stage in enumerate(stages):
        rate = stage.metrics["requests_per_s"].value
        if rate is None:
            continue
        if stage.offered_per_s is not None:
            if rate < KEEPS_UP * stage.offered_per_s:
                return n
        elif best and rate < LEAST_GAIN * best and _more(stages, n):
            return n
        best = max(best, rate)
    return None


def _more(stages: Sequence[StageSummary], n: int) -> bool:
    """Was more in flight than in every stage before it?"""
    before = [s.in_flight for s in stages[:n] if s.in_flight is not None]
    now = stages[n].in_flight
    return now is not None and bool(before) and now > max(before)
