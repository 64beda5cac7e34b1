"""`attribute`: the energy curve, the load windows and the requests' marks → joules of each request.

Every joule drawn within the windows ends in exactly one place: a request, idle (nobody in flight),
or unattributed (not known well enough to charge anybody). Between windows nothing is charged.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from perwatt.attribution.integrate import Curve
from perwatt.attribution.intervals import Interval, blocks, elementary
from perwatt.attribution.share import by_time
from perwatt.core.errors import PerwattError
from perwatt.core.protocols import Attribution, Shares

__all__ = ["Attributed", "attribute", "combined_gain"]

Floats = NDArray[np.float64]
Z_95 = 1.96


class Attributed(NamedTuple):
    """Joules of r requests (NaN where unknown) and the totals they are part of."""

    energy_known: NDArray[np.bool_]
    """(r,): was the whole of the request sampled, trusted and inside the windows?"""
    gross_j: Floats
    """(r,) its share of all that the device drew."""
    net_j: Floats
    """(r,) gross less the same share of the idle watts; NaN without a baseline."""
    prefill_j: Floats
    decode_j: Floats
    low_j: Floats
    """(r,) 95%, low ≤ gross ≤ high: sensor gain and tick edges, not the sharing rule's bias."""
    high_j: Floats
    power_mean_w: Floats
    """(r,) gross over its seconds; NaN for a request of no length."""
    device_j: float
    """All that was drawn in the sampled part of the windows."""
    requests_j: float
    idle_j: float
    unattributed_j: float
    window_s: float
    covered_s: float
    """How much of the windows the samples cover."""


def attribute(
    curve: Curve,
    windows_ns: ArrayLike,
    start_ns: ArrayLike,
    first_chunk_ns: ArrayLike,
    end_ns: ArrayLike,
    completion_tokens: ArrayLike | None = None,
    *,
    method: Attribution = by_time,
    idle_power_w: float | None = None,
    gain: tuple[float, float] = (1.0, 1.0),
    block: int = 65_536,
) -> Attributed:
    """Share the joules of the windows among requests.

    `windows_ns` (w, 2): disjoint load windows. Marks (r,): dispatch, first chunk, last chunk; a
    request that got no chunk gives its end as its first chunk. Tokens: NaN where unknown. `gain`:
    the true joules lie in [low, high] × the reading, 95%.

    The tick error of an end is that of a mark somewhere in a tick of E joules: sd E·w/√12, w being
    the request's weight there; for a request alone both ends make P·T/√6. It is combined with the
    gain in quadrature. Memory is bounded by `block` intervals × requests in flight.

    Raises ValueError for marks out of order or windows that overlap, PerwattError for a method
    whose weights do not sum to one.
    """
    start, first, end = (np.asarray(a, dtype=np.int64) for a in (start_ns, first_chunk_ns, end_ns))
    r = len(start)
    tokens = np.full(r, np.nan) if completion_tokens is None else np.asarray(completion_tokens)
    windows = np.asarray(windows_ns, dtype=np.int64).reshape(-1, 2)
    windows = windows[np.argsort(windows[:, 0])]
    _check(start, first, end, tokens, windows, gain)

    prefill, decode, base, variance = (np.zeros(r) for _ in range(4))
    covered_ns = np.zeros(r, dtype=np.int64)
    lost = np.zeros(r, dtype=np.bool_)
    device = idle = unattributed = 0.0
    covered_total = 0
    for window in windows:
        whole = elementary(curve, window, (start, first, end))
        if whole is None:
            continue
        covered_total += int(whole.edges_ns[-1] - whole.edges_ns[0])
        covered_ns += _overlap(start, end, int(whole.edges_ns[0]), int(whole.edges_ns[-1]))
        for part in blocks(whole, block):
            lo, hi = part.edges_ns[0], part.edges_ns[-1]
            here = np.flatnonzero((start < hi) & (end > lo))
            shares = method(part.edges_ns, start[here], first[here], end[here], tokens[here])
            busy = _anyone(part, start[here], end[here])
            charged = _charged(shares, busy, len(here))
            of, at = here[shares.request], shares.interval
            lost[here] |= _untrusted(part, start[here], end[here])
            joules = np.where(part.trusted, part.joules, 0.0)
            prefill += np.bincount(of, weights=shares.prefill * joules[at], minlength=r)
            decode += np.bincount(of, weights=shares.decode * joules[at], minlength=r)
            weight = shares.prefill + shares.decode
            base += np.bincount(of, weights=weight * part.seconds[at], minlength=r)
            ends = (part.edges_ns[at] == start[of]).astype(float)
            ends += part.edges_ns[at + 1] == end[of]
            spread = ends * (weight * part.tick_joules[at]) ** 2 / 12
            variance += np.bincount(of, weights=spread, minlength=r)
            device += float(part.joules.sum())
            idle += float(joules[~busy].sum())
            unattributed += float(part.joules[~part.trusted].sum())
            unattributed += float(joules[busy & ~charged].sum())

    gross = prefill + decode
    known = (covered_ns == end - start) & ~lost & _within(start, end, curve, windows)
    tick = Z_95 * np.sqrt(variance)
    low = gross - np.hypot(tick, gross * (1.0 - min(gain[0], 1.0)))
    high = gross + np.hypot(tick, gross * (max(gain[1], 1.0) - 1.0))
    net = np.full(r, np.nan) if idle_power_w is None else gross - base * idle_power_w
    length_s = np.where(end > start, (end - start) / 1e9, np.nan)

    def shown(column: Floats) -> Floats:
        return np.where(known, column, np.nan)

    return Attributed(
        energy_known=known,
        gross_j=shown(gross),
        net_j=shown(net),
        prefill_j=shown(prefill),
        decode_j=shown(decode),
        low_j=shown(np.maximum(low, 0.0)),
        high_j=shown(high),
        power_mean_w=shown(gross / length_s),
        device_j=device,
        requests_j=float(gross[known].sum()),
        idle_j=idle,
        unattributed_j=unattributed + float(gross[~known].sum()),
        window_s=float((windows[:, 1] - windows[:, 0]).sum()) / 1e9,
        covered_s=covered_total / 1e9,
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


def _check(
    start: NDArray[np.int64],
    first: NDArray[np.int64],
    end: NDArray[np.int64],
    tokens: Floats,
    windows: NDArray[np.int64],
    gain: tuple[float, float],
) -> None:
    if not len(start) == len(first) == len(end) == len(tokens):
        msg = "start, first chunk, end and tokens must be equally long"
        raise ValueError(msg)
    if not ((start <= first) & (first <= end)).all():
        msg = "a request's marks must be in order: dispatch, first chunk, last chunk"
        raise ValueError(msg)
    if (windows[:, 0] > windows[:, 1]).any() or (windows[1:, 0] < windows[:-1, 1]).any():
        msg = "load windows must end after they start, and must not overlap"
        raise ValueError(msg)
    if not 0 <= gain[0] <= gain[1]:
        msg = f"the gain must be an ordered range, got {gain[0]} to {gain[1]}"
        raise ValueError(msg)


def _charged(shares: Shares, busy: NDArray[np.bool_], r: int) -> NDArray[np.bool_]:
    """(t,): is the interval charged to anybody? Raises unless its weights are ≥ 0 and sum to 1."""
    t = len(busy)
    mend = "Use another --attribution, such as time."
    if len(shares.request) and not 0 <= shares.request.min() <= shares.request.max() < r:
        msg = "The attribution method names a request that does not exist."
        raise PerwattError(msg, mend)
    total = np.bincount(shares.interval, weights=shares.prefill + shares.decode, minlength=t)
    charged: NDArray[np.bool_] = np.bincount(shares.interval, minlength=t) > 0
    least = min(shares.prefill.min(initial=0.0), shares.decode.min(initial=0.0))
    if least < 0 or (charged & (~(np.abs(total - 1.0) < 1e-9) | ~busy)).any():
        msg = "The attribution method gives weights that are negative or do not sum to one."
        raise PerwattError(msg, mend)
    return charged


def _untrusted(
    part: Interval, start: NDArray[np.int64], end: NDArray[np.int64]
) -> NDArray[np.bool_]:
    """(r,): does any interval of the request hold joules that are not known?"""
    so_far = np.concatenate(([0], np.cumsum(~part.trusted)))
    at = np.minimum(np.searchsorted(part.edges_ns, start), len(part.trusted))
    to = np.minimum(np.searchsorted(part.edges_ns, end), len(part.trusted))
    result: NDArray[np.bool_] = so_far[to] > so_far[at]
    return result


def _overlap(
    start: NDArray[np.int64], end: NDArray[np.int64], lo: int, hi: int
) -> NDArray[np.int64]:
    result: NDArray[np.int64] = np.maximum(np.minimum(end, hi) - np.maximum(start, lo), 0)
    return result


def _within(
    start: NDArray[np.int64], end: NDArray[np.int64], curve: Curve, windows: NDArray[np.int64]
) -> NDArray[np.bool_]:
    """Are both ends inside a window that is sampled? Needed for requests of no length."""
    if not len(windows):
        return np.zeros(len(start), dtype=np.bool_)
    at = np.searchsorted(windows[:, 0], start, side="right") - 1
    window = windows[np.maximum(at, 0)]
    inside = (at >= 0) & (start <= window[:, 1])
    result: NDArray[np.bool_] = inside & (start >= curve.t_ns[0]) & (end <= curve.t_ns[-1])
    return result


def _anyone(part: Interval, start: NDArray[np.int64], end: NDArray[np.int64]) -> NDArray[np.bool_]:
    """(t,): was any request in flight in the interval?"""
    t = len(part.joules)
    began = np.searchsorted(part.edges_ns, start)
    ended = np.searchsorted(part.edges_ns, end)
    change = np.bincount(np.minimum(began, t), minlength=t + 1) - np.bincount(
        np.minimum(ended, t), minlength=t + 1
    )
    result: NDArray[np.bool_] = np.cumsum(change)[:t] > 0
    return result
