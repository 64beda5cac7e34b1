"""What a token costs here: constants fitted to the load's own ticks.

    dE = P0·dt + a·prefill + b·decode + c·context + s·steps + f·busy

by non-negative least squares over bins of ticks. Idle P0 is the measured one, and free only where
none was measured: under steady load it cannot be told from the floor f.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from perwatt.attribution.integrate import Curve
from perwatt.attribution.intervals import joined
from perwatt.attribution.nnls import nnls
from perwatt.attribution.work import Totals

__all__ = ["BIN_NS", "Fit", "fit_costs"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

BIN_NS = 100_000_000
"""A client knows when a phase begins and ends to some milliseconds: shorter bins fit that noise."""
LONGER_NS = (250_000_000, 500_000_000, 1_000_000_000, 2_000_000_000)
FALLS = 0.8
LEAST_BINS = 20
LAGS_S, FINE_S = np.arange(-0.06, 0.4, 0.02), np.arange(-0.02, 0.021, 0.005)
HUBER = 6.0
"""Residuals beyond so many standard deviations pull no harder: a few absurd bins spoil nothing."""
PRICE = 1.0
"""A column earns its place by Schwarz's criterion (1978): it must explain log n variances."""
BLOCK_S = 1.0
"""Errors of bins nearer than this are taken as one error."""


class Fit(NamedTuple):
    """Joules per unit of each column of `work.KINDS`, and how well they are known."""

    cost: Floats
    """(5,)"""
    covariance: Floats
    """(5, 5): errors of bins within a second of each other counted as one (White 1980, clustered).
    Columns at zero have none."""
    idle_power_w: float
    lag_s: float
    lag_error_s: float
    r2: float
    residual_w: float
    """Standard deviation of a bin's watts about the fit."""
    bin_s: float
    """Mean length of a bin, and `bins`: how many."""
    bins: int
    others: tuple[Floats, ...]
    """Costs found another way, (5,) each: with every column, and from the longest bins."""


def fit_costs(
    curve: Curve, windows_ns: Ints, totals: Totals, idle_power_w: float | None
) -> Fit | str:
    """The constants, or one sentence that says why there are none."""
    bins = _bins(joined(curve, BIN_NS), windows_ns)
    if len(bins.joules) < LEAST_BINS:
        return f"only {len(bins.joules)} bins of 0.1 s were sampled, and {LEAST_BINS} are needed"
    lag_s, lag_error_s = _lag(bins, totals, idle_power_w)
    found = [_fit(bins, totals, lag_s, idle_power_w)]
    best = 0
    for longer_ns in LONGER_NS:
        bins = _bins(joined(curve, longer_ns), windows_ns)
        if len(bins.joules) < LEAST_BINS:
            break
        found.append(_fit(bins, totals, lag_s, idle_power_w))
        if len(found) <= len(LONGER_NS) and _blurred(found[best], found[-1]):
            best = len(found) - 1
    others = (*found[best].others, found[-1].cost)
    return found[best]._replace(lag_error_s=lag_error_s, others=others)


def _blurred(short: Fit, longer: Fit) -> bool:
    """Is the shorter bin the worse one? Marks that are off by milliseconds move joules between
    bins, and blur what a short one tells; noise alone would fall as 1/√length, and no faster.
    """
    rough, smooth = (fit.residual_w * math.sqrt(fit.bin_s) for fit in (short, longer))
    return smooth < FALLS * rough


def _fit(bins: _Bins, totals: Totals, lag_s: float, idle_power_w: float | None) -> Fit:
    design = _design(bins, totals, lag_s, idle_power_w)
    above = _above(bins, idle_power_w)
    whole, _ = _solve(design, bins, np.ones(len(above)), idle_power_w)
    weight, price = np.ones(len(bins.seconds)), 0.0
    for _ in range(4):
        cost, _ = _solve(design, bins, weight, idle_power_w, price)
        residual = above - design @ cost
        weight = _huber(residual / np.sqrt(bins.seconds))
        left = float((weight * residual**2 / bins.seconds).sum())
        price = PRICE * left * float(np.log(len(weight))) / len(weight)
    power = above / bins.seconds
    spread = float((bins.seconds * (power - np.average(power, weights=bins.seconds)) ** 2).sum())
    left = float((residual**2 / bins.seconds).sum())
    return Fit(
        cost[:5],
        _covariance(design, residual, weight, bins, cost)[:5, :5],
        idle_power_w if idle_power_w is not None else float(cost[5]),
        lag_s,
        0.0,
        1.0 - left / spread if spread > 0 else 0.0,
        float(np.sqrt(left / bins.seconds.sum())),
        float(bins.seconds.mean()),
        len(bins.seconds),
        (whole[:5],),
    )


class _Bins(NamedTuple):
    edges: Floats
    """(2, n) ns, begin and end of each."""
    seconds: Floats
    joules: Floats


def _bins(curve: Curve, windows_ns: Ints) -> _Bins:
    """Trusted bins wholly inside a window."""
    at = np.searchsorted(windows_ns[:, 0], curve.t_ns[:-1], side="right") - 1
    window = windows_ns[np.maximum(at, 0)]
    keep = curve.trusted & (at >= 0) & (curve.t_ns[1:] <= window[:, 1])
    edges = np.stack([curve.t_ns[:-1], curve.t_ns[1:]])[:, keep].astype(np.float64)
    return _Bins(edges, np.diff(edges, axis=0)[0] / 1e9, np.diff(curve.energy_j)[keep])


def _design(bins: _Bins, totals: Totals, lag_s: float, idle_power_w: float | None) -> Floats:
    """(n, 5), or (n, 6) with seconds as the last column where idle is free."""
    begin, end = (totals.at(edge - lag_s * 1e9) for edge in bins.edges)
    columns = list(end - begin)
    if idle_power_w is None:
        columns.append(bins.seconds)
    return np.stack(columns, axis=1)


def _above(bins: _Bins, idle_power_w: float | None) -> Floats:
    return bins.joules - (idle_power_w or 0.0) * bins.seconds


def _solve(
    design: Floats, bins: _Bins, weight: Floats, idle_power_w: float | None, price: float = 0.0
) -> tuple[Floats, float]:
    # Weight 1/seconds: the noise of a bin grows with its length.
    scaled = design * (weight / bins.seconds)[:, None]
    return nnls(design.T @ scaled, scaled.T @ _above(bins, idle_power_w), price)


def _lag(bins: _Bins, totals: Totals, idle_power_w: float | None) -> tuple[float, float]:
    """The shift at which the work explains the joules best, by the vertex of a parabola, and its
    standard error, by how sharp that is. 0 where no shift explains clearly more than none."""

    def best(lags: Floats) -> tuple[float, float, float]:
        gains = [_explained(bins, totals, lag, idle_power_w) for lag in lags]
        n = int(np.argmax(gains))
        if not 0 < n < len(gains) - 1:
            return float(lags[n]), float(lags[n]), 0.0
        left, middle, right = gains[n - 1 : n + 2]
        bend = left - 2 * middle + right
        move = 0.5 * (left - right) / bend if bend < 0 else 0.0
        step = float(lags[1] - lags[0])
        return float(lags[n]), float(lags[n]) + move * step, -bend / step**2

    coarse = best(LAGS_S)[0]
    _, lag, bend = best(coarse + FINE_S)
    found, plain = (_explained(bins, totals, one, idle_power_w) for one in (lag, 0.0))
    n = len(bins.seconds)
    whole = float((_above(bins, idle_power_w) ** 2 / bins.seconds).sum())
    left = max(whole - found, 0.0) / n
    error = math.sqrt(2 * left / bend) if bend > 0 else 0.0
    return (lag, error) if found - plain > PRICE * left * math.log(n) else (0.0, error)


def _explained(bins: _Bins, totals: Totals, lag_s: float, idle_power_w: float | None) -> float:
    """By how much plain least squares lowers the squares: signs do not matter for the moment."""
    design = _design(bins, totals, lag_s, idle_power_w)
    scaled = design / bins.seconds[:, None]
    gram, moment = design.T @ scaled, scaled.T @ _above(bins, idle_power_w)
    unit = np.sqrt(np.maximum(np.diag(gram), 1e-300))
    x = np.linalg.lstsq(gram / np.outer(unit, unit), moment / unit, rcond=1e-9)[0]
    return float(x @ (moment / unit))


def _huber(residual: Floats) -> Floats:
    sd = 1.4826 * float(np.median(np.abs(residual - np.median(residual))))
    size = np.abs(residual)
    if sd <= 0:
        return np.ones(len(residual))
    return np.minimum(1.0, HUBER * sd / np.maximum(size, HUBER * sd))


def _covariance(
    design: Floats, residual: Floats, weight: Floats, bins: _Bins, cost: Floats
) -> Floats:
    """(d, d) sandwich over blocks of BLOCK_S; columns held at zero have no error of their own."""
    free = np.flatnonzero(cost > 0)
    result = np.zeros((len(cost), len(cost)))
    if not len(free):
        return result
    # Columns differ by many orders of magnitude: in units of their own they can be inverted.
    unit = np.sqrt((design[:, free] ** 2).sum(axis=0))
    own = design[:, free] / unit
    scaled = own * (weight / bins.seconds)[:, None]
    bread = np.linalg.pinv(own.T @ scaled)
    block = ((bins.edges[0] - bins.edges[0, 0]) // (BLOCK_S * 1e9)).astype(np.int64)
    _, of = np.unique(block, return_inverse=True)
    scores = np.stack([np.bincount(of, weights=s * residual) for s in scaled.T], axis=1)
    n = len(scores)
    correction = n / max(n - len(free), 1)
    spread = correction * bread @ (scores.T @ scores) @ bread
    result[np.ix_(free, free)] = spread / np.outer(unit, unit)
    return result
