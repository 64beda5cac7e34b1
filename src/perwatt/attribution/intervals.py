"""Elementary intervals: the finest pieces of a window in which nothing changes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from perwatt.attribution.integrate import Curve

__all__ = ["Interval", "blocks", "elementary", "fall", "joined"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


class Interval(NamedTuple):
    """t consecutive intervals. Each lies within one tick, and no request's mark is inside it.

    They make up whole ticks, so the first and last may lie outside the window: see `inside`.
    """

    edges_ns: Ints
    """(t+1,), rising."""
    seconds: Floats
    tick: Ints
    """(t,) which tick of the curve each is part of."""
    tick_joules: Floats
    """(t,) joules of that whole tick."""
    trusted: NDArray[np.bool_]
    inside: NDArray[np.bool_]
    """(t,) within the window?"""


def joined(curve: Curve, grain_ns: int, ends_ns: Ints | None = None) -> Curve:
    """The same curve with ticks shorter than `grain_ns` joined; untrusted ticks stay as they are.

    At most one knot is kept in each cell of a grid of that width, so no joined tick is longer than
    twice the grain; and those on either side of each of `ends_ns`, over which nothing is joined.
    """
    if grain_ns <= 0:
        return curve
    cell = (curve.t_ns - curve.t_ns[0]) // grain_ns
    keep = np.concatenate(([True], np.diff(cell) > 0))
    keep[-1] = True
    keep[:-1] |= ~curve.trusted
    keep[1:] |= ~curve.trusted
    if ends_ns is not None:
        after = np.searchsorted(curve.t_ns, ends_ns.ravel())
        keep[np.clip(after, 0, len(keep) - 1)] = True
        keep[np.clip(after - 1, 0, len(keep) - 1)] = True
    kept = np.flatnonzero(keep)
    return Curve(curve.t_ns[kept], curve.energy_j[kept], curve.trusted[kept[:-1]])


def elementary(curve: Curve, window_ns: Ints, marks_ns: Sequence[Ints]) -> Interval | None:
    """Cut the sampled part of a window at every tick and every mark. None where none is sampled."""
    lo = max(int(window_ns[0]), int(curve.t_ns[0]))
    hi = min(int(window_ns[1]), int(curve.t_ns[-1]))
    if hi <= lo:
        return None
    first = int(np.searchsorted(curve.t_ns, lo, side="right")) - 1
    last = int(np.searchsorted(curve.t_ns, hi, side="left"))
    ends = curve.t_ns[first : last + 1]
    cuts = np.concatenate([np.array([lo, hi], dtype=np.int64), *marks_ns])
    within = cuts[(cuts > ends[0]) & (cuts < ends[-1])]
    edges = np.unique(np.concatenate([ends, within]))
    tick = np.searchsorted(curve.t_ns, edges[:-1], side="right") - 1
    # A tick's own joules, not differences of the sum so far: those lose digits on a long run.
    return Interval(
        edges,
        np.diff(edges) / 1e9,
        tick,
        np.diff(curve.energy_j)[tick],
        curve.trusted[tick],
        (edges[:-1] >= lo) & (edges[1:] <= hi),
    )


def blocks(whole: Interval, size: int) -> Iterator[Interval]:
    """The same in pieces of about `size` intervals, to bound memory. No tick is cut."""
    begins = np.flatnonzero(np.diff(whole.tick, prepend=whole.tick[0] - 1))
    at, t = 0, len(whole.tick)
    while at < t:
        later = begins[np.searchsorted(begins, at + size) :]
        to = int(later[0]) if len(later) else t
        yield Interval(
            whole.edges_ns[at : to + 1],
            whole.seconds[at:to],
            whole.tick[at:to],
            whole.tick_joules[at:to],
            whole.trusted[at:to],
            whole.inside[at:to],
        )
        at = to


def fall(part: Interval, power_w: Floats | None) -> Floats:
    """(t,) joules of each interval: its tick's, by expected watts, or evenly where there are none.

    What falls into a tick's intervals is the tick's joules, to rounding.
    """
    of = part.tick - part.tick[0]
    length = np.bincount(of, weights=part.seconds)[of]
    even = part.seconds / length
    if power_w is None:
        return np.asarray(part.tick_joules * even)
    expected = power_w * part.seconds
    total = np.bincount(of, weights=expected)[of]
    share = even.copy()
    np.divide(expected, total, out=share, where=total > 0)
    result: Floats = part.tick_joules * share
    return result
