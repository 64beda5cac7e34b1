"""How far a request's joules may be off: the parts of its 95% interval, as variances in J²."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from perwatt.attribution.intervals import Interval
from perwatt.attribution.split import Split, summed
from perwatt.core.protocols import Asked

__all__ = ["edge_variance"]

Floats = NDArray[np.float64]


def edge_variance(part: Interval, asked: Asked, done: Split) -> Floats:
    """(r,) of where in its tick each end falls: sd of the tick's joules × its weight / √12."""
    at, of = done.shares.interval, done.shares.request
    ends = (part.edges_ns[at] == asked.start_ns[of]).astype(float)
    ends += part.edges_ns[at + 1] == asked.end_ns[of]
    off = ends * (done.shares.work * part.tick_joules[at]) ** 2 / 12
    return summed(of, off, len(asked.start_ns))
