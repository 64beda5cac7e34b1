"""How long after a step of power a source's value follows it.

Each step is fitted by two straight lines of energy over time, one before it and one well after it:
they cross when the step was reported. A value that is delayed crosses late by its delay; one that
is a running mean crosses late by half its window, which is the delay that integrating it makes.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from perwatt.core.protocols import Sensor
from perwatt.core.records import Domain, Reading, SensorTiming
from perwatt.sensors.timing import timing_of, watch

__all__ = ["Lag", "lag_from_steps", "measure_lag"]

Floats = NDArray[np.float64]

STEP_S, REST_S, STEPS = 0.3, 0.3, 4
"""Long enough to hold two ticks of 100 ms on either side, short enough to warm nothing."""
CLEAR = 4.0
"""A step is seen where the slopes differ by so many of their standard errors."""
T_95 = (12.71, 4.30, 3.18, 2.78, 2.57, 2.45, 2.36, 2.31, 2.26, 2.23)
"""Student's t at 95% for 1 to 10 degrees of freedom; 1.96 and a little beyond."""

SPIN = """
import sys, time
for line in sys.stdin:
    begin = time.monotonic_ns()
    print(begin, flush=True)
    end = begin + int(float(line) * 1e9)
    while time.monotonic_ns() < end:
        pass
"""


class Lag(NamedTuple):
    """A delay and how well it is known."""

    lag_s: float
    error_s: float
    """95% half-width, from the spread over the steps."""
    steps: int


def lag_from_steps(
    t_ns: ArrayLike, energy_j: ArrayLike, step_ns: Sequence[int], window_s: float = 0.3
) -> Lag | None:
    """The delay of a source after known steps of load, up or down.

    `t_ns`, `energy_j` (n,): its joules so far, rising in time; points between two ticks are left
    out. `step_ns`: when the load changed, having been steady for `window_s` before and staying so
    for `window_s` after. The delay must be under half of `window_s`. None where fewer than two
    steps can be seen.
    """
    t, energy = np.asarray(t_ns, dtype=np.int64), np.asarray(energy_j, dtype=np.float64)
    if len(t) < 4:
        return None
    ticked = np.concatenate(([True], np.diff(energy) != 0))
    t, energy = t[ticked], energy[ticked]
    seen = [_crossing(t, energy, step, window_s) for step in step_ns]
    lags = np.array([lag for lag in seen if lag is not None])
    if len(lags) < 2:
        return None
    t_95 = T_95[len(lags) - 2] if len(lags) - 2 < len(T_95) else 2.0
    spread = t_95 * float(lags.std(ddof=1)) / float(np.sqrt(len(lags)))
    return Lag(float(lags.mean()), spread, len(lags))


def _crossing(t: NDArray[np.int64], energy: Floats, step_ns: int, window_s: float) -> float | None:
    """Seconds from the step to where the two lines cross; None where no clear step is."""
    since = (t - step_ns).astype(np.float64) / 1e9
    before = (since >= -window_s) & (since <= 0)
    after = (since >= window_s / 2) & (since <= window_s)
    if before.sum() < 2 or after.sum() < 2:
        return None
    base = energy[before][0]  # keep digits: a counter may stand at a billion joules
    low, low_error = _line(since[before], energy[before] - base)
    high, high_error = _line(since[after], energy[after] - base)
    slope = high[0] - low[0]
    if abs(slope) <= CLEAR * np.hypot(low_error, high_error) or slope == 0:
        return None
    return float((low[1] - high[1]) / slope)


def _line(x: Floats, y: Floats) -> tuple[tuple[float, float], float]:
    """((slope, value at 0), standard error of the slope) by least squares."""
    x0, y0 = x.mean(), y.mean()
    square = float(((x - x0) ** 2).sum())
    slope = float(((x - x0) * (y - y0)).sum()) / square
    rest = y - y0 - slope * (x - x0)
    error = float(np.sqrt((rest**2).sum() / max(len(x) - 2, 1) / square))
    return (slope, float(y0 - slope * x0)), error


def measure_lag(sensor: Sensor, domains: Sequence[Domain]) -> tuple[SensorTiming, ...]:
    """Timing of each `package` domain of a probed sensor, lag included, by steps of CPU load.

    A child process spins on one core four times for 0.3 s, with as long a rest between. Takes about
    3 s. Other domains are left out: CPU load is no step to them.
    """
    packages = [domain for domain in domains if domain.boundary == "package"]
    if not packages:
        return ()
    steps: list[int] = []
    parts = []
    child = subprocess.Popen(
        [sys.executable, "-c", SPIN], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        assert child.stdin is not None
        assert child.stdout is not None
        child.stdin.write("0\n")
        child.stdin.flush()
        child.stdout.readline()  # it has started: from now on it waits or spins
        for _ in range(STEPS):
            parts.append(watch(sensor, REST_S))
            child.stdin.write(f"{STEP_S}\n")
            child.stdin.flush()
            steps.append(int(child.stdout.readline()))
            parts.append(watch(sensor, STEP_S))
    finally:
        child.kill()
        child.communicate()
    readings = [reading for part in parts for reading in part.readings]
    return tuple(
        _with_lag(timing_of(domain, parts[0]), domain, readings, steps) for domain in packages
    )


def _with_lag(
    timing: SensorTiming, domain: Domain, readings: Sequence[Reading], steps: Sequence[int]
) -> SensorTiming:
    mine = [r for r in readings if r.domain == domain.name and r.error is None]
    if domain.kind == "counter":
        known = [(r.t_ns, r.counter_j) for r in mine if r.counter_j is not None]
        energy = _undone(np.array([joules for _, joules in known]), domain.wrap_j)
    else:
        known = [(r.t_ns, r.power_w) for r in mine if r.power_w is not None]
        watts = np.array([power for _, power in known])
        span = np.diff(np.array([t for t, _ in known])) / 1e9
        energy = np.concatenate(([0.0], np.cumsum(span * (watts[1:] + watts[:-1]) / 2)))
    lag = (
        lag_from_steps([t for t, _ in known], energy, steps, min(STEP_S, REST_S)) if known else None
    )
    if lag is None:
        return timing
    return SensorTiming(
        domain=timing.domain,
        tick_s=timing.tick_s,
        tick_high_s=timing.tick_high_s,
        changes=timing.changes,
        read_s=timing.read_s,
        lag_s=lag.lag_s,
        lag_error_s=lag.error_s,
    )


def _undone(raw: Floats, wrap_j: float | None) -> Floats:
    fell = np.diff(raw) < 0
    return raw + np.concatenate(([0.0], np.cumsum(fell) * (wrap_j or 0.0)))
