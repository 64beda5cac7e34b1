"""The idle baselines: what a domain draws while nothing is asked of it, and how sure that is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from perwatt.attribution.integrate import Curve

__all__ = ["Baselines", "Idle", "baselines", "idle_power"]

Floats = NDArray[np.float64]

FEW_TICKS = 4
"""With fewer, nothing can be said of how the baseline scatters."""


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
    error_w: float | None = None
    """Standard error of `power_w`; None for too few ticks to tell."""

    def age_s(self, at_ns: int) -> float:
        """How old the baseline is at `at_ns`. Negative: it was measured later."""
        return (at_ns - self.end_ns) / 1e9


class Baselines(NamedTuple):
    """Three kinds of idle. Net figures subtract `loaded`: the model in memory, nothing running."""

    bare: Idle | None
    """Before anything was loaded."""
    loaded: Idle | None
    after: Idle | None
    """Just after the load, while the device is still warm."""

    @property
    def used(self) -> Idle | None:
        """Loaded idle, else what was measured just after the load; never the bare one, which lacks
        the tens of watts that a loaded context draws."""
        return self.loaded or self.after

    @property
    def drift_w(self) -> float | None:
        """By how much idle had risen just after the load; None where either is missing."""
        if self.loaded is None or self.after is None:
            return None
        return self.after.power_w - self.loaded.power_w

    @property
    def context_w(self) -> float | None:
        """What loading the model alone added; None where either is missing."""
        if self.loaded is None or self.bare is None:
            return None
        return self.loaded.power_w - self.bare.power_w

    @property
    def error_w(self) -> float | None:
        """Standard error of the baseline during the load: its own, and half the drift over it.

        Idle somewhere between its values before and after is off by the drift × a uniform share,
        so by drift / √3 root mean square.
        """
        used = self.used
        if used is None or used.error_w is None:
            return None
        return float(np.hypot(used.error_w, abs(self.drift_w or 0.0) / np.sqrt(3)))


def baselines(
    curve: Curve,
    bare_ns: Sequence[tuple[int, int]],
    loaded_ns: Sequence[tuple[int, int]],
    after_ns: Sequence[tuple[int, int]],
) -> Baselines:
    """The three, from phases of each kind as (start, end)."""
    return Baselines(*(idle_power(curve, phases) for phases in (bare_ns, loaded_ns, after_ns)))


def idle_power(curve: Curve, phases_ns: Sequence[tuple[int, int]]) -> Idle | None:
    """Mean watts over idle phases, each (start, end). None where no whole tick lies in any.

    Only whole trusted ticks count: one cut by a phase's edge holds work of before or after, and
    the curve's own first and last tick began before it did, or had not ended.
    """
    length_ns = np.diff(curve.t_ns)
    inside = np.zeros(len(length_ns), dtype=np.bool_)
    for start, end in phases_ns:
        inside |= (curve.t_ns[:-1] >= start) & (curve.t_ns[1:] <= end)
    inside &= curve.trusted
    if inside[1:-1].any():
        inside[[0, -1]] = False
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
    error = _standard_error(seconds, joules - mean * seconds) if n >= FEW_TICKS else None
    return Idle(mean, sd, n, total, int(curve.t_ns[1:][inside][-1]), error)


def _standard_error(seconds: Floats, left_j: Floats) -> float:
    """Watts by which ΔE/Δt may be off, from the ticks' residual joules.

    Ticks are not independent: joules that a late tick lacks, the next one has, and power wanders.
    So the squared wander of the running sum, D(τ), is taken as 2σ² + qτ (σ: when a tick is seen; q:
    power noise), fitted over lags up to a quarter, and extrapolated to the whole (structure
    function, Kolmogorov 1941; Yaglom 1987, ch. 4).
    """
    so_far = np.concatenate(([0.0], np.cumsum(left_j)))
    step = float(seconds.mean())
    longest = max(len(left_j) // 4, 1)
    lags = np.unique(np.geomspace(1, longest, 8).astype(np.int64))
    wander = np.array([np.mean((so_far[m:] - so_far[:-m]) ** 2) for m in lags])
    # The mean was taken off, so the sum ends where it began: a bridge wanders less.
    wander /= 1.0 - lags / len(left_j)
    tau = lags * step
    q = 0.0
    if len(lags) > 1:
        # Long lags are known worse, since fewer of them fit in.
        q = max(float(np.polyfit(tau, wander, 1, w=1.0 / np.sqrt(tau))[0]), 0.0)
    base = max(float(np.average(wander - q * tau, weights=1.0 / tau)), 0.0)
    total = float(seconds.sum())
    return float(np.sqrt(base + q * total)) / total
