"""The idle baseline: what a domain draws while nothing is asked of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from perwatt.attribution.integrate import Curve

__all__ = ["Idle", "idle_power"]


class Idle(NamedTuple):
    """A measured baseline."""

    power_w: float
    sd_w: float | None
    """Standard deviation of the ticks' watts, weighted by their length; None for one tick."""
    ticks: int
    seconds: float
    """How much idle time it rests on."""
    end_ns: int
    """When the last of it was measured."""

    def age_s(self, at_ns: int) -> float:
        """How old the baseline is at `at_ns`. Negative: it was measured later."""
        return (at_ns - self.end_ns) / 1e9


def idle_power(curve: Curve, phases_ns: Sequence[tuple[int, int]]) -> Idle | None:
    """Mean watts over idle phases, each (start, end). None where no whole tick lies in any.

    Only whole trusted ticks count: one cut by a phase's edge holds work of before or after.
    """
    length_ns = np.diff(curve.t_ns)
    inside = np.zeros(len(length_ns), dtype=np.bool_)
    for start, end in phases_ns:
        inside |= (curve.t_ns[:-1] >= start) & (curve.t_ns[1:] <= end)
    inside &= curve.trusted
    if not inside.any():
        return None
    seconds = length_ns[inside] / 1e9
    joules = np.diff(curve.energy_j)[inside]
    total = float(seconds.sum())
    mean = float(joules.sum()) / total
    n = int(inside.sum())
    sd = None
    if n > 1:
        squares = float((seconds * (joules / seconds - mean) ** 2).sum())
        sd = float(np.sqrt(squares / total * n / (n - 1)))
    return Idle(mean, sd, n, total, int(curve.t_ns[1:][inside][-1]))
