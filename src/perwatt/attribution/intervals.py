"""Elementary intervals: the finest pieces of a window in which nothing changes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from perwatt.attribution.integrate import Curve

__all__ = ["Interval", "blocks", "elementary"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


class Interval(NamedTuple):
    """t consecutive intervals. Each lies within one tick, and no request's mark is inside it."""

    edges_ns: Ints
    """(t+1,), rising."""
    seconds: Floats
    joules: Floats
    """(t,) the tick's joules in proportion to time."""
    tick_joules: Floats
    """(t,) joules of the whole tick it is part of."""
    trusted: NDArray[np.bool_]


def elementary(curve: Curve, window_ns: Ints, marks_ns: Sequence[Ints]) -> Interval | None:
    """Cut the sampled part of a window at every tick and every mark. None where none is sampled."""
    lo = max(int(window_ns[0]), int(curve.t_ns[0]))
    hi = min(int(window_ns[1]), int(curve.t_ns[-1]))
    if hi <= lo:
        return None
    cuts = np.concatenate([curve.t_ns, *marks_ns])
    inside = cuts[(cuts > lo) & (cuts < hi)]
    edges = np.unique(np.concatenate([inside, np.array([lo, hi], dtype=np.int64)]))
    tick = np.searchsorted(curve.t_ns, edges[:-1], side="right") - 1
    # A tick's own joules, not differences of the sum so far: those lose digits on a long run.
    whole = np.diff(curve.energy_j)[tick]
    share = np.diff(edges) / np.diff(curve.t_ns)[tick]
    return Interval(edges, np.diff(edges) / 1e9, whole * share, whole, curve.trusted[tick])


def blocks(whole: Interval, size: int) -> Iterator[Interval]:
    """The same in pieces of at most `size` intervals, to bound memory."""
    for at in range(0, len(whole.joules), size):
        to = at + size
        yield Interval(
            whole.edges_ns[at : to + 1],
            whole.seconds[at:to],
            whole.joules[at:to],
            whole.tick_joules[at:to],
            whole.trusted[at:to],
        )
