"""The default method: each request is charged for the tokens it had worked on, at fitted prices.

A moment's joules above idle are shared by a·prefill + b·decode + c·context of each request, the
fixed cost s of a step equally among those in it, and the floor f, drawn while anything is served,
equally among those served. Cost that adds up, shared so, is Shapley's value, a fixed cost shared
equally among those who need it included (Shapley 1953).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from perwatt.attribution.fit import BIN_NS, Fit, fit_costs
from perwatt.attribution.integrate import Curve
from perwatt.attribution.share import active, by_time
from perwatt.attribution.work import PAUSE_GAPS, Given, Work, given_by, totals, work_of
from perwatt.core.protocols import Asked, Evidence, Rule, Share, Shares

__all__ = ["by_phase", "rule_of"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

WORSE = -0.1
"""A fit may not explain the bins' watts clearly worse than their mean does: then what is drawn
comes from something else, such as a device that works on between requests."""


def by_phase(evidence: Evidence) -> Rule:
    """Phase-aware linear fit: an `Attribution`. Falls back to equal time, with a note."""
    asked = evidence.asked
    if len(asked.start_ns) < 2:
        return _by_time(evidence, "one request tells nothing of what a token costs")
    work, fit = _best(evidence)
    if isinstance(fit, str):
        return _by_time(evidence, fit)
    if not fit.cost.any():
        return _by_time(evidence, "the load drew no more than idle")
    if fit.r2 < WORSE:
        return _by_time(evidence, "the device's power does not follow its requests")
    return rule_of(fit, work)


def rule_of(fit: Fit, work: Work) -> Rule:
    """The rule that charges these prices for this work."""
    seen = _Seen(work)
    return Rule(
        _share(seen, fit.cost, fit.idle_power_w),
        fit.idle_power_w,
        lag_ns=round(fit.lag_s * 1e9),
        lag_error_s=fit.lag_error_s,
        grain_ns=BIN_NS,
        alternatives=tuple(_share(seen, cost, fit.idle_power_w) for cost in _nearby(fit)),
        fit=_constants(fit),
    )


def _best(evidence: Evidence) -> tuple[Work, Fit | str]:
    """Work read both ways (does decoding stop for a prompt?), whichever explains more."""
    curve = Curve(evidence.t_ns, evidence.energy_j, evidence.trusted)
    found = []
    for pause_gaps in PAUSE_GAPS:
        work = work_of(evidence.asked, pause_gaps)
        fit = fit_costs(curve, evidence.windows_ns, totals(work), evidence.idle_power_w)
        found.append((work, fit))
    return max(found, key=lambda one: -1.0 if isinstance(one[1], str) else one[1].r2)


class _Seen:
    """Work by interval and request, kept for the last block: alternatives ask for the same."""

    def __init__(self, work: Work) -> None:
        self._work = work
        self._edges: Ints | None = None
        self._given: Given | None = None

    def given(self, edges_ns: Ints, asked: Asked) -> Given:
        if self._given is None or self._edges is not edges_ns:
            interval, request = active(edges_ns, asked.start_ns, asked.end_ns)
            self._edges = edges_ns
            self._given = given_by(self._work, edges_ns, interval, request)
        return self._given


def _share(seen: _Seen, cost: Floats, idle_power_w: float) -> Share:
    def share(edges_ns: Ints, asked: Asked) -> Shares:
        given = seen.given(edges_ns, asked)
        at, t = given.interval, len(edges_ns) - 1
        seconds = np.diff(edges_ns) / 1e9
        served = np.bincount(at, weights=given.served, minlength=t)
        floor = np.where(given.served, seconds[at] / np.maximum(served[at], 1.0), 0.0)
        decoding = given.columns[1] > 0
        decoders = np.bincount(at, weights=decoding, minlength=t)
        step = given.columns[1] / np.maximum(decoders[at], 1.0)
        joules = cost[:3] @ given.columns + cost[3] * step + cost[4] * floor
        total = np.bincount(at, weights=joules, minlength=t)
        resident = 1.0 / np.bincount(at, minlength=t)[at]
        weight = resident.copy()
        np.divide(joules, total[at], out=weight, where=total[at] > 0)
        return Shares(at, given.request, weight, resident, idle_power_w + total / seconds)

    return share


def _nearby(fit: Fit) -> list[Floats]:
    """Costs a standard error away along each axis of the covariance, and those found otherwise."""
    sd = np.sqrt(np.diag(fit.covariance))
    free = sd > 0
    # In standard errors, since the columns' units differ by orders of magnitude.
    values, vectors = np.linalg.eigh(
        fit.covariance[np.ix_(free, free)] / np.outer(sd[free], sd[free])
    )
    found = list(fit.others)
    for value, vector in zip(values, vectors.T, strict=True):
        cost = fit.cost.copy()
        cost[free] += np.sqrt(max(float(value), 0.0)) * vector * sd[free]
        found.append(np.maximum(cost, 0.0))
    return found


def _constants(fit: Fit) -> dict[str, float]:
    a, b, c, s, f = (float(one) for one in fit.cost)
    return {
        "prefill_j_per_token": a,
        "decode_j_per_token": b,
        "context_j_per_token": c,
        "step_j": s,
        "busy_w": f,
        "idle_w": fit.idle_power_w,
        "lag_s": fit.lag_s,
        "lag_error_s": fit.lag_error_s,
        "r2": fit.r2,
        "residual_w": fit.residual_w,
        "bins": float(fit.bins),
        "bin_s": fit.bin_s,
    }


def _by_time(evidence: Evidence, why: str) -> Rule:
    note = f"Shared by equal time: {why}."
    return by_time(evidence)._replace(note=note)
