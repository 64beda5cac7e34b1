"""One rule's weights over one block of intervals → joules by request, conserved."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from perwatt.attribution.intervals import Interval, fall
from perwatt.core.errors import PerwattError
from perwatt.core.protocols import Asked, Share, Shares

__all__ = ["Split", "split", "split_work", "summed"]

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]


class Split(NamedTuple):
    """Where a block's joules went. Arrays (r,) unless said otherwise."""

    prefill_work_j: Floats
    """Above idle, before the first chunk; may be negative where a tick drew less than idle."""
    decode_work_j: Floats
    prefill_j: Floats
    """With its part of the idle watts."""
    decode_j: Floats
    work_s: Floats
    """Seconds weighed by its part of the work: what a watt of error in the idle costs it."""
    resident_s: Floats
    """Seconds weighed by its part of the idle watts."""
    device_j: float
    idle_j: float
    """Nobody was in flight."""
    unattributed_j: float
    """Untrusted, or charged to nobody by the rule."""
    shares: Shares
    joules: Floats
    """(t,) of each interval."""


def split(
    part: Interval, asked: Asked, share: Share, idle_power_w: float | None, busy: Bools
) -> Split:
    """Charge a block. `busy` (t,): is anybody in flight?

    Idle watts go by residency and the rest by work. A piece that drew less than idle has no work to
    speak of: all of it goes by residency. Raises PerwattError for weights that do not sum to one.
    """
    shares = share(part.edges_ns, asked)
    charged = _charged(shares, busy, len(asked.start_ns))
    joules = fall(part, shares.power_w)
    counted = np.where(part.trusted & part.inside, joules, 0.0)
    prefill, decode, work_s = _work(part, asked, shares, counted, idle_power_w)
    idle = np.zeros(len(joules))
    if idle_power_w is not None:
        idle = np.where(part.trusted & part.inside, idle_power_w * part.seconds, 0.0)
    at, of = shares.interval, shares.request
    before = part.edges_ns[at] < asked.first_chunk_ns[of]
    weight = np.where((counted < idle)[at], shares.resident, shares.work)
    # Written so that a request alone gets all of a tick to the last bit.
    gross = weight * counted[at] + (shares.resident - weight) * idle[at]
    r = len(asked.start_ns)
    seconds = np.where(part.inside, part.seconds, 0.0)[at]
    return Split(
        prefill,
        decode,
        summed(of, np.where(before, gross, 0.0), r),
        summed(of, np.where(before, 0.0, gross), r),
        work_s,
        summed(shares.request, shares.resident * seconds, r),
        float(joules[part.inside].sum()),
        float(counted[~busy].sum()),
        float(joules[part.inside & ~part.trusted].sum() + counted[busy & ~charged].sum()),
        shares,
        joules,
    )


def split_work(part: Interval, asked: Asked, share: Share, idle_power_w: float | None) -> Floats:
    """(r,) joules above idle by another fit of the rule: see `Rule.alternatives`."""
    shares = share(part.edges_ns, asked)
    counted = np.where(part.trusted & part.inside, fall(part, shares.power_w), 0.0)
    prefill, decode, _ = _work(part, asked, shares, counted, idle_power_w)
    return prefill + decode


def _work(
    part: Interval, asked: Asked, shares: Shares, counted: Floats, idle_power_w: float | None
) -> tuple[Floats, Floats, Floats]:
    at, of = shares.interval, shares.request
    r = len(asked.start_ns)
    inside = part.trusted & part.inside
    above = counted
    if idle_power_w is not None:
        above = np.where(inside, counted - idle_power_w * part.seconds, 0.0)
    weight = np.where(above[at] < 0, shares.resident, shares.work) if idle_power_w else shares.work
    joules = weight * above[at]
    before = part.edges_ns[at] < asked.first_chunk_ns[of]
    return (
        summed(of, np.where(before, joules, 0.0), r),
        summed(of, np.where(before, 0.0, joules), r),
        summed(of, weight * np.where(inside, part.seconds, 0.0)[at], r),
    )


def summed(of: NDArray[np.int64], values: Floats, n: int) -> Floats:
    """(n,) sum of `values` over equal `of`."""
    return np.bincount(of, weights=values, minlength=n).astype(np.float64, copy=False)


def _charged(shares: Shares, busy: Bools, r: int) -> Bools:
    """(t,): is the interval charged to anybody? Raises unless its weights are ≥ 0 and sum to 1."""
    t = len(busy)
    mend = "Use another --attribution, such as time."
    if len(shares.request) and not 0 <= shares.request.min() <= shares.request.max() < r:
        msg = "The attribution method names a request that does not exist."
        raise PerwattError(msg, mend)
    charged: Bools = np.bincount(shares.interval, minlength=t) > 0
    for weights in (shares.work, shares.resident):
        total = np.bincount(shares.interval, weights=weights, minlength=t)
        off = charged & (~(np.abs(total - 1.0) < 1e-9) | ~busy)
        if weights.min(initial=0.0) < 0 or off.any():
            msg = "The attribution method gives weights that are negative or do not sum to one."
            raise PerwattError(msg, mend)
    return charged
