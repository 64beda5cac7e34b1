"""`attribute`: the energy curve, the load windows and the requests' marks → joules of each request.

Every joule drawn within the windows ends in exactly one place: a request, idle (nobody in flight),
or unattributed (not known well enough to charge anybody). Between windows nothing is charged.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from perwatt.attribution.check import TOLERANCE
from perwatt.attribution.integrate import Curve, energy_at
from perwatt.attribution.intervals import Interval, blocks, elementary, joined
from perwatt.attribution.share import by_time
from perwatt.attribution.split import split, split_work
from perwatt.attribution.spread import (
    end_variance,
    end_weights,
    unforeseen,
    unforeseen_variance,
)
from perwatt.core.protocols import Asked, Attribution, Evidence

__all__ = ["Attributed", "attribute", "combined_gain"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Z_95 = 1.96


class Attributed(NamedTuple):
    """Joules of r requests (NaN where unknown) and the totals they are part of."""

    energy_known: NDArray[np.bool_]
    """(r,): was the whole of the request sampled, trusted and inside the windows?"""
    gross_j: Floats
    """(r,) its part of all that the device drew: idle by residency, the rest by work."""
    net_j: Floats
    """(r,) gross less its part of the idle watts; NaN without a measured baseline."""
    prefill_j: Floats
    decode_j: Floats
    prefill_net_j: Floats
    decode_net_j: Floats
    low_j: Floats
    """(r,) 95% interval of gross: low ≤ gross ≤ high."""
    high_j: Floats
    net_low_j: Floats
    net_high_j: Floats
    power_mean_w: Floats
    """(r,) gross over its seconds; NaN for a request of no length."""
    device_j: float
    """What the sensor showed between the ends of the windows' sampled parts."""
    requests_j: float
    idle_j: float
    unattributed_j: float
    """Not known well enough to charge anybody; and what a lag moves over the windows' ends, which
    may be below 0."""
    window_s: float
    covered_s: float
    """How much of the windows the samples cover."""
    fit: Mapping[str, float]
    """The method's constants."""
    note: str | None
    """Why the method is not quite what was asked for."""


def attribute(
    curve: Curve,
    windows_ns: ArrayLike,
    asked: Asked,
    *,
    method: Attribution = by_time,
    idle_power_w: float | None = None,
    idle_error_w: float | None = None,
    gain: tuple[float, float] = (1.0, 1.0),
    clock_error_s: float = 0.0,
    block: int = 65_536,
) -> Attributed:
    """Share the joules of the windows among requests.

    `windows_ns` (w, 2): disjoint load windows. `asked`: see `asked_of`. `idle_error_w`: standard
    error of the baseline. `gain`: the true joules lie in [low, high] × the reading, 95%.
    `clock_error_s`: how far the sensor's clock may be from the requests', 95%.
    Memory is bounded by `block` intervals × requests in flight.

    Raises ValueError for windows that overlap or a gain that is no range, PerwattError for a
    method whose weights do not sum to one.
    """
    windows = np.asarray(windows_ns, dtype=np.int64).reshape(-1, 2)
    windows = windows[np.argsort(windows[:, 0])]
    _check(windows, gain)
    rule = method(Evidence(*curve, windows, asked, idle_power_w, idle_error_w))
    read_j = _read_between(curve, windows)
    curve = joined(_undone(curve, rule.lag_ns, windows), rule.grain_ns, windows)
    r = len(asked.start_ns)
    start, end = asked.start_ns, asked.end_ns

    prefill, decode, prefill_work, decode_work = (np.zeros(r) for _ in range(4))
    work_s, resident_s = np.zeros(r), np.zeros(r)
    ends, surprises = np.zeros((2, r)), []
    others = np.zeros((len(rule.alternatives), r))
    covered_ns = np.zeros(r, dtype=np.int64)
    lost = np.zeros(r, dtype=np.bool_)
    device = idle = unattributed = 0.0
    covered_total = 0
    marks = (start, asked.prefill_ns, asked.first_chunk_ns, end)
    for window in windows:
        whole = elementary(curve, window, marks)
        if whole is None:
            continue
        lo, hi = max(window[0], curve.t_ns[0]), min(window[1], curve.t_ns[-1])
        covered_total += int(hi - lo)
        covered_ns += np.maximum(np.minimum(end, hi) - np.maximum(start, lo), 0)
        for part in blocks(whole, block):
            lost |= _untrusted(part, start, end)
            done = split(part, asked, rule.share, rule.idle_power_w, _anyone(part, start, end))
            prefill_work += done.prefill_work_j
            decode_work += done.decode_work_j
            prefill += done.prefill_j
            decode += done.decode_j
            work_s += done.work_s
            resident_s += done.resident_s
            ends += end_weights(part, asked, done)
            surprise = unforeseen(part, asked, done, rule.idle_power_w)
            if surprise is not None:
                surprises.append(surprise)
            device += done.device_j
            idle += done.idle_j
            unattributed += done.unattributed_j
            for n, other in enumerate(rule.alternatives):
                others[n] += split_work(part, asked, other, rule.idle_power_w)

    # What was drawn in the windows and what was read between their ends differ by a lag, and by how
    # a tick that spans an end is split: that much of the reading is nobody's, and may be below 0.
    if abs(read_j - device) > TOLERANCE * abs(device):  # less is rounding
        unattributed, device = unattributed + read_j - device, read_j
    work, gross = prefill_work + decode_work, prefill + decode
    known = (covered_ns == end - start) & ~lost & _within(start, end, curve, windows)
    variance = unforeseen_variance(surprises, r) + ((others - work) ** 2).sum(axis=0)
    shift_s = float(np.hypot(clock_error_s / Z_95, rule.lag_error_s))
    variance += end_variance(curve, asked, ends, even=not surprises, shift_s=shift_s)
    # An error of the idle watts moves joules between work and idle: net loses what idle gains.
    moved = 0.0 if idle_error_w is None else idle_error_w
    low, high = _interval(gross, variance + ((resident_s - work_s) * moved) ** 2, gain)
    measured = idle_power_w is not None
    net = np.where(measured, work, np.nan)
    net_low, net_high = _interval(net, variance + (work_s * moved) ** 2, gain)
    length_s = np.where(end > start, (end - start) / 1e9, np.nan)

    def shown(column: Floats) -> Floats:
        return np.where(known, column, np.nan)

    return Attributed(
        energy_known=known,
        gross_j=shown(gross),
        net_j=shown(net),
        prefill_j=shown(prefill),
        decode_j=shown(decode),
        prefill_net_j=shown(np.where(measured, prefill_work, np.nan)),
        decode_net_j=shown(np.where(measured, decode_work, np.nan)),
        low_j=shown(np.maximum(low, 0.0)),
        high_j=shown(high),
        net_low_j=shown(net_low),
        net_high_j=shown(net_high),
        power_mean_w=shown(gross / length_s),
        device_j=device,
        requests_j=float(gross[known].sum()),
        idle_j=idle,
        unattributed_j=unattributed + float(gross[~known].sum()),
        window_s=float((windows[:, 1] - windows[:, 0]).sum()) / 1e9,
        covered_s=covered_total / 1e9,
        fit=rule.fit,
        note=rule.note,
    )


def combined_gain(
    parts: list[tuple[float, tuple[float, float]]],
) -> tuple[float, float]:
    """The gain of a sum of domains from (joules, gain) of each, taking their errors as shared."""
    total = sum(joules for joules, _ in parts)
    if total <= 0:
        return min((g[0] for _, g in parts), default=1.0), max(
            (g[1] for _, g in parts), default=1.0
        )
    low = sum(joules * gain[0] for joules, gain in parts) / total
    return low, sum(joules * gain[1] for joules, gain in parts) / total


def _interval(joules: Floats, variance: Floats, gain: tuple[float, float]) -> tuple[Floats, Floats]:
    """Random parts and the sensor's gain, in quadrature."""
    random, size = Z_95 * np.sqrt(variance), np.abs(joules)
    return (
        joules - np.hypot(random, size * (1.0 - min(gain[0], 1.0))),
        joules + np.hypot(random, size * (max(gain[1], 1.0) - 1.0)),
    )


def _read_between(curve: Curve, windows: Ints) -> float:
    """Joules of the curve as it was read, over the part of the windows that it covers."""
    inside = np.clip(windows, curve.t_ns[0], curve.t_ns[-1])
    return float((energy_at(curve, inside[:, 1]) - energy_at(curve, inside[:, 0])).sum())


def _undone(curve: Curve, lag_ns: int, windows: Ints) -> Curve:
    """The curve moved earlier by the lag, but never so far that it would miss a window's end.

    Each sitting's part by itself: one that was killed has no samples after its last window.
    """
    t_ns = curve.t_ns.copy()
    # Between two sittings nothing was read: a tick that is not trusted, holds no joules, and lies
    # in no window. A sensor that dropped out for a while under load is no such place.
    gaps = np.flatnonzero(~curve.trusted & (np.diff(curve.energy_j) == 0.0))
    before, after = curve.t_ns[gaps][:, None], curve.t_ns[gaps + 1][:, None]
    bridged = ((windows[:, 0] < after) & (windows[:, 1] > before)).any(axis=1)
    joins = gaps[~bridged]
    for first, last in zip([0, *(joins + 1)], [*joins, len(t_ns) - 1], strict=True):
        begin, end = curve.t_ns[first], curve.t_ns[last]
        ends = windows[(windows[:, 0] < end) & (windows[:, 1] > begin), 1]
        spare = max(int(end - ends.max()), 0) if len(ends) else lag_ns
        room = int(begin - t_ns[first - 1]) - 1 if first else lag_ns
        t_ns[first : last + 1] -= min(lag_ns, spare, max(room, 0))
    return curve._replace(t_ns=t_ns)


def _check(windows: Ints, gain: tuple[float, float]) -> None:
    if (windows[:, 0] > windows[:, 1]).any() or (windows[1:, 0] < windows[:-1, 1]).any():
        msg = "load windows must end after they start, and must not overlap"
        raise ValueError(msg)
    if not 0 <= gain[0] <= gain[1]:
        msg = f"the gain must be an ordered range, got {gain[0]} to {gain[1]}"
        raise ValueError(msg)


def _untrusted(part: Interval, start: Ints, end: Ints) -> NDArray[np.bool_]:
    """(r,): does any interval of the request hold joules that are not known?"""
    so_far = np.concatenate(([0], np.cumsum(~part.trusted & part.inside)))
    at = np.minimum(np.searchsorted(part.edges_ns, start), len(part.trusted))
    to = np.minimum(np.searchsorted(part.edges_ns, end), len(part.trusted))
    result: NDArray[np.bool_] = so_far[to] > so_far[at]
    return result


def _within(start: Ints, end: Ints, curve: Curve, windows: Ints) -> NDArray[np.bool_]:
    """Are both ends inside a window that is sampled? Needed for requests of no length."""
    if not len(windows):
        return np.zeros(len(start), dtype=np.bool_)
    at = np.searchsorted(windows[:, 0], start, side="right") - 1
    window = windows[np.maximum(at, 0)]
    inside = (at >= 0) & (start <= window[:, 1])
    result: NDArray[np.bool_] = inside & (start >= curve.t_ns[0]) & (end <= curve.t_ns[-1])
    return result


def _anyone(part: Interval, start: Ints, end: Ints) -> NDArray[np.bool_]:
    """(t,): was any request in flight in the interval?"""
    t = len(part.seconds)
    began = np.searchsorted(part.edges_ns, start)
    ended = np.searchsorted(part.edges_ns, end)
    change = np.bincount(np.minimum(began, t), minlength=t + 1) - np.bincount(
        np.minimum(ended, t), minlength=t + 1
    )
    result: NDArray[np.bool_] = np.cumsum(change)[:t] > 0
    return result
