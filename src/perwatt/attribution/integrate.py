"""Samples of a domain → one energy curve, and sums of curves.

Counters are taken as they are and read linearly between the moments they were seen to change;
gauges are integrated by the trapezoid rule. Between two marks a curve is exact only to a tick: see
`ledger` for the error that leaves.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from perwatt.core.records import Domain, PowerSample

__all__ = [
    "Curve",
    "counter_curve",
    "curve_of",
    "energy_at",
    "energy_between",
    "join_curves",
    "sum_curves",
    "total_curve",
]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

PLATEAU_NS = 500_000_000
"""A counter that stands still for longer than this is idle, not between two ticks."""

LOST = frozenset({"reset"})
"""Flags after which a counter goes on from where it was, without the joules in between."""


class Curve(NamedTuple):
    """Joules drawn so far, at n ≥ 2 rising times."""

    t_ns: Ints
    """(n,)"""
    energy_j: Floats
    """(n,), never falling for a sound sensor."""
    trusted: NDArray[np.bool_]
    """(n−1,): are the joules of this tick known?"""


def curve_of(samples: Sequence[PowerSample], domain: Domain) -> Curve | None:
    """The curve of `domain` over one session's samples; None where fewer than two can be used.

    A failed or implausible read of a counter loses nothing: its neighbours span it. A reset loses
    the joules of its tick, and a gauge those of every gap: those ticks are untrusted.
    """
    mine = sorted((s for s in samples if s.domain == domain.name), key=lambda s: s.t_ns)
    counter = domain.kind == "counter"
    t: list[int] = []
    values: list[float] = []
    trusted: list[bool] = []
    broken = False
    for sample in mine:
        value = sample.counter_j if counter else sample.power_w
        flag = sample.flag
        if value is None or (t and sample.t_ns <= t[-1]):
            broken = broken or (value is None and (not counter or flag in LOST))
            continue
        broken = broken or flag in LOST or (not counter and flag is not None)
        if t:
            trusted.append(not broken)
        t.append(sample.t_ns)
        values.append(value)
        broken = False
    if len(t) < 2:
        return None
    t_ns, value_of = np.array(t, dtype=np.int64), np.array(values, dtype=np.float64)
    known = np.array(trusted, dtype=np.bool_)
    if counter:
        return counter_curve(Curve(t_ns, value_of - value_of[0], known))
    joules = np.diff(t_ns) / 1e9 * (value_of[1:] + value_of[:-1]) / 2
    return Curve(t_ns, np.concatenate(([0.0], np.cumsum(joules))), known)


def counter_curve(curve: Curve) -> Curve:
    """Samples of a counter → its ticks, where it is slower than its sampling.

    Read as they are they would make steps: no joules for a while, then all at once. A change lies
    between the last read that showed the old value and the first that showed the new one: its
    moment is taken to be halfway.
    """
    rise = np.diff(curve.energy_j) != 0
    keep = np.ones(len(curve.t_ns), dtype=np.bool_)
    keep[1:] = rise
    keep[-1] = True
    # Round a distrusted tick nothing may be joined: its ends both stay.
    keep[:-1] |= ~curve.trusted
    keep[1:] |= ~curve.trusted
    kept = np.flatnonzero(keep)
    long = np.flatnonzero(np.diff(curve.t_ns[kept]) > PLATEAU_NS)
    keep[kept[long + 1] - 1] = True
    kept = np.flatnonzero(keep)
    trusted = np.logical_and.reduceat(curve.trusted, kept[:-1])
    t_ns = curve.t_ns.copy()
    stood = np.zeros(len(t_ns), dtype=np.bool_)
    stood[2:-1] = (rise[1:] & ~rise[:-1] & curve.trusted[1:])[:-1]  # the last closes the curve
    if 2 * stood.sum() < rise.sum():  # it moves between most reads: what it shows is fresh
        stood[:] = False
    stood[1] |= bool(rise[0] and stood.any())  # before the first sample nobody looked
    moved = np.flatnonzero(stood)
    t_ns[moved] -= (curve.t_ns[moved] - curve.t_ns[moved - 1]) // 2
    return Curve(t_ns[kept], curve.energy_j[kept], trusted)


def join_curves(curves: Sequence[Curve]) -> Curve | None:
    """One curve out of several that follow one another, such as a run's sessions.

    Nothing is known of the time between them. None for no curves.
    """
    ordered = sorted(curves, key=lambda curve: int(curve.t_ns[0]))
    if not ordered:
        return None
    t, energy, trusted = [ordered[0].t_ns], [ordered[0].energy_j], [ordered[0].trusted]
    for curve in ordered[1:]:
        if curve.t_ns[0] <= t[-1][-1]:
            msg = "curves to be joined must not overlap in time"
            raise ValueError(msg)
        t.append(curve.t_ns)
        energy.append(curve.energy_j - curve.energy_j[0] + energy[-1][-1])
        trusted += [np.zeros(1, dtype=np.bool_), curve.trusted]
    return Curve(np.concatenate(t), np.concatenate(energy), np.concatenate(trusted))


def sum_curves(curves: Sequence[Curve]) -> Curve | None:
    """The sum of several domains over the time that all of them cover; None where they share none.

    A tick of the sum is trusted where every part is.
    """
    if not curves:
        return None
    if len(curves) == 1:
        return curves[0]
    start = max(int(curve.t_ns[0]) for curve in curves)
    end = min(int(curve.t_ns[-1]) for curve in curves)
    if end <= start:
        return None
    grid = np.unique(np.concatenate([curve.t_ns for curve in curves]))
    grid = grid[(grid >= start) & (grid <= end)]
    total = np.zeros(len(grid))
    trusted = np.ones(len(grid) - 1, dtype=np.bool_)
    for curve in curves:
        total += energy_at(curve, grid)
        tick = np.searchsorted(curve.t_ns, grid[:-1], side="right") - 1
        trusted &= curve.trusted[tick]
    return Curve(grid, total - total[0], trusted)


def total_curve(
    sessions: Sequence[Sequence[PowerSample]], domains: Sequence[Domain]
) -> Curve | None:
    """All of `domains` summed, over a run's sessions: samples in, the curve to attribute out.

    Counters start again with each session. One in which any of the domains has no curve is unknown,
    never a smaller sum. None where no session is known.
    """
    known = []
    for samples in sessions:
        parts = [curve_of(samples, domain) for domain in domains]
        whole = [part for part in parts if part is not None]
        total = sum_curves(whole) if len(whole) == len(parts) else None
        if total is not None:
            known.append(total)
    return join_curves(known)


def energy_at(curve: Curve, t_ns: Ints) -> Floats:
    """Joules drawn by `t_ns` (any shape), linear between the curve's knots; NaN outside them."""
    origin = curve.t_ns[0]  # float64 counts ns exactly for 104 days only, so count from the curve
    where = (np.asarray(t_ns) - origin).astype(np.float64)
    knots = (curve.t_ns - origin).astype(np.float64)
    result: Floats = np.interp(where, knots, curve.energy_j, left=np.nan, right=np.nan)
    return result


def energy_between(curve: Curve, start_ns: int, end_ns: int) -> float | None:
    """Joules from one mark to another, trusted or not; None where the curve does not reach."""
    ends = energy_at(curve, np.array([start_ns, end_ns], dtype=np.int64))
    joules = float(ends[1] - ends[0])
    return None if np.isnan(joules) else joules
