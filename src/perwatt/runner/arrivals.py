"""When requests are due. Pure: a stage and a random generator give offsets from its start.

Gaps are independent draws of a gamma distribution with mean 1/rate and the given coefficient of
variation: 0 is even spacing, 1 a Poisson process. The first of a random process comes after a gap,
as in the middle of a stationary one; the first of an even one comes at once.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import count, repeat

import numpy as np

from perwatt.core.load import Stage

__all__ = ["offsets_ns", "trace_ns"]

BLOCK = 512
"""Gaps drawn at a time."""


def offsets_ns(load: Stage, rng: np.random.Generator) -> Iterator[int]:
    """Due times of a `rate` or `burst` stage, in nanoseconds from its start; endless, never
    falling.

    Raises ValueError for stages whose arrivals are not drawn (`closed`, `trace`).
    """
    if load.kind == "burst":
        return repeat(0)
    if load.kind != "rate" or load.per_s is None:
        msg = f"{load.text} has no arrivals of its own"
        raise ValueError(msg)
    if load.cv == 0:
        per_s = load.per_s
        return (round(n * 1e9 / per_s) for n in count())
    return _drawn(load.per_s, load.cv, rng)


def trace_ns(arrivals_s: Sequence[float], speed: float) -> tuple[int, ...]:
    """A trace's due times `speed` times as fast, from its first arrival, in order."""
    ordered = sorted(arrivals_s)
    return tuple(round((each - ordered[0]) * 1e9 / speed) for each in ordered)


def _drawn(per_s: float, cv: float, rng: np.random.Generator) -> Iterator[int]:
    shape, scale_ns = 1 / cv**2, 1e9 * cv**2 / per_s
    passed = 0.0
    while True:
        # Summed as floats: nanoseconds of ten days are exact in them.
        for due in passed + np.cumsum(rng.gamma(shape, scale_ns, BLOCK)):
            passed = float(due)
            yield round(passed)
