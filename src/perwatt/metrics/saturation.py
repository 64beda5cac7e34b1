"""Which stage of a load was more than the server could take. Pure.

By the clock: ends came slower than arrivals, and later and later. The mean rate of a stage cannot
say it, as its last answers come after its last question. In flight: more of them brought no more.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from perwatt.core.records import Columns
from perwatt.core.summary import StageSummary
from perwatt.metrics.windows import marks_s
from perwatt.stats.sample import Floats

__all__ = ["keeping_up", "saturated_stage"]

KEEPS_UP, LATER = 0.95, 1.2
"""Ends at less than this share of the rate of arrivals, and medians so many times as long."""
FEW = 20
"""Fewer requests tell nothing of a rate."""
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
            if stage.kept_up is None or stage.slowing is None:
                continue
            if stage.kept_up < KEEPS_UP and stage.slowing > LATER:
                return n
        elif best and rate < LEAST_GAIN * best and _more(stages, n):
            return n
        best = max(best, rate)
    return None


def keeping_up(requests: Columns) -> tuple[float | None, float | None]:
    """(`kept_up`, `slowing`) of a stage's attempted rows, as StageSummary has them."""
    due, last = marks_s(requests, "scheduled_ns"), marks_s(requests, "last_chunk_ns")
    known = ~(np.isnan(due) | np.isnan(last))
    if known.sum() < FEW:
        return None, None
    due, last = due[known], last[known]
    arrivals, ends = _middle_s(due), _middle_s(last)
    took = (last - due)[np.argsort(due, kind="stable")]
    third = len(took) // 3
    first = float(np.median(took[:third]))
    return (
        arrivals / ends if arrivals > 0 and ends > 0 else None,
        float(np.median(took[-third:])) / first if first > 0 else None,
    )


def _middle_s(marks: Floats) -> float:
    ordered, tenth = np.sort(marks), len(marks) // 10
    return float(ordered[-1 - tenth] - ordered[tenth])


def _more(stages: Sequence[StageSummary], n: int) -> bool:
    """Was more in flight than in every stage before it?"""
    before = [s.in_flight for s in stages[:n] if s.in_flight is not None]
    now = stages[n].in_flight
    return now is not None and bool(before) and now > max(before)
