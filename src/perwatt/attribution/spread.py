"""How far a request's joules may be off: the random parts of its 95% interval, as variances in J².

A rule that expects watts (`Shares.power_w`) is held against every tick: what it did not foresee is
an error of the sensor, of a mark or of the model, and a request may be wrong by its part of it.
A rule that expects nothing splits the two ticks that a request's ends cut evenly, and errs there.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from perwatt.attribution.integrate import Curve
from perwatt.attribution.intervals import Interval
from perwatt.attribution.nnls import nnls
from perwatt.attribution.split import Split, summed
from perwatt.core.protocols import Asked

__all__ = ["Unforeseen", "end_variance", "end_weights", "unforeseen", "unforeseen_variance"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

BLOCK_NS = 1_000_000_000
"""A mark that is some milliseconds late moves joules to the tick beside it and costs nothing in
all: errors are summed within a second before they are squared."""
ROUNDS = 6


class Unforeseen(NamedTuple):
    """What the ticks of a request drew beyond expectation, by request and second; arrays (m,)."""

    request: Ints
    second: Ints
    joules: Floats
    """Its part of it."""
    prefill_j: Floats
    """Work expected of it before its first chunk, and `decode_j` after."""
    decode_j: Floats
    all_j: Floats
    """Work expected of everybody meanwhile."""
    marks: Floats
    """How many of its marks fall into these intervals."""


def unforeseen(
    part: Interval, asked: Asked, done: Split, idle_power_w: float | None
) -> Unforeseen | None:
    """Each request's part of what its ticks drew beyond expectation; None: nothing was expected."""
    shares = done.shares
    if shares.power_w is None:
        return None
    tick = part.tick - part.tick[0]
    ticks = int(tick[-1]) + 1
    expected = summed(tick, shares.power_w * part.seconds, ticks)
    surplus = np.where(part.trusted, (summed(tick, done.joules, ticks) - expected)[tick], 0.0)
    above = np.maximum(shares.power_w - (idle_power_w or 0.0), 0.0) * part.seconds
    total = summed(tick, above, ticks)[tick]
    # What falls into an interval is its part of the work that was expected of the tick.
    surplus = surplus * np.divide(above, total, out=np.zeros_like(total), where=total > 0)
    at, of = shares.interval, shares.request
    own = shares.work * above[at]
    begin = part.edges_ns[at]
    before = begin < asked.first_chunk_ns[of]
    marks = (begin == asked.prefill_ns[of]).astype(float) + (begin == asked.first_chunk_ns[of])
    marks += part.edges_ns[at + 1] == asked.end_ns[of]
    return Unforeseen(
        of,
        part.edges_ns[:-1][at] // BLOCK_NS,
        shares.work * surplus[at],
        np.where(before, own, 0.0),
        np.where(before, 0.0, own),
        above[at],
        marks,
    )


def unforeseen_variance(parts: list[Unforeseen], r: int) -> Floats:
    """(r,) halfway between its own squared surprises and those of requests like it.

    One request's own are too few to tell its variance, and others' do not know its bad luck (a
    shrunken variance, as of Lönnstedt & Speed 2002). Those of all, second by second, are explained
    by what happened in it: marks (late by some milliseconds), the squared joules of its prefill and
    of its decoding (a price that is off), and its squared share of the device (noise of the sensor
    and of idle); non-negative least squares, weighed by the inverse squared variance found so far
    (a gamma model: McCullagh & Nelder 1989, ch. 8).
    """
    columns = [np.concatenate(column) for column in zip(*parts, strict=True)] if parts else []
    if not columns or not len(columns[0]):
        return np.zeros(r)
    request, second = columns[:2]
    seconds = int(second.max() - second.min()) + 1
    key, of = np.unique(request * seconds + second - second.min(), return_inverse=True)
    joules, prefill, decode, everybody, marks = (summed(of, c, len(key)) for c in columns[2:])
    own = prefill + decode
    share = np.divide(own, everybody, out=np.zeros_like(own), where=everybody > 0)
    features = np.stack([marks, prefill**2, decode**2, share**2], axis=1)
    features += 1e-30  # a second in which nothing was expected
    unit = float((joules**2).mean())
    if not unit > 0:
        return np.zeros(r)
    squares, variance = joules**2 / unit, np.ones(len(key))
    for _ in range(ROUNDS):
        weight = 1.0 / np.maximum(variance, 1e-3 * float(variance.mean())) ** 2
        scaled = features * weight[:, None]
        price, _ = nnls(features.T @ scaled, scaled.T @ squares)
        variance = features @ price
    if variance.sum() > 0:
        variance *= squares.sum() / variance.sum()
    return summed(key // seconds, (variance + squares) / 2 * unit, r)


def end_weights(part: Interval, asked: Asked, done: Split) -> Floats:
    """(2, r) each request's weight in the intervals that begin at its start and end at its end."""
    at, of = done.shares.interval, done.shares.request
    begins = part.edges_ns[at] == asked.start_ns[of]
    ends = part.edges_ns[at + 1] == asked.end_ns[of]
    r = len(asked.start_ns)
    return np.stack([summed(of, np.where(on, done.shares.work, 0.0), r) for on in (begins, ends)])


def end_variance(
    curve: Curve, asked: Asked, weights: Floats, *, even: bool, shift_s: float
) -> Floats:
    """(r,) of both ends: a tick split evenly, and clocks apart by `shift_s` (standard error).

    Where power steps by D at a mark somewhere in a tick of T seconds, splitting it evenly errs by
    D·τ(T − τ)/T, root mean square D·T/√30 over τ. D is told by the ticks on either side.
    """
    length_s = np.diff(curve.t_ns) / 1e9
    power = np.where(curve.trusted, np.diff(curve.energy_j), 0.0) / length_s
    variance = np.zeros(len(asked.start_ns))
    for mark, weight in zip((asked.start_ns, asked.end_ns), weights, strict=True):
        tick = np.clip(np.searchsorted(curve.t_ns, mark, side="right") - 1, 0, len(power) - 1)
        step = power[np.minimum(tick + 1, len(power) - 1)] - power[np.maximum(tick - 1, 0)]
        split = length_s[tick] ** 2 / 30 if even else 0.0
        variance += (weight * step) ** 2 * (split + shift_s**2)
    return variance
