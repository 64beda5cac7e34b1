"""Do the 95% intervals of a window's joules hold the truth in 95 of 100 cases?

    python -m benchmarks.window_coverage [RUNS]

Each run is a piece of work of 0.3 to 12 s on an emulated device (70 W idle that wanders by 1 W, a
prefill at 350 to 650 W, then decode steps of 11 ms broken by prefill bursts of 30 ms, as in
continuous batching), read at 100 Hz through a counter that ticks, and at 25% duty looks at its
power a quarter of the time only. The counter's gain is exactly 1, or drawn from the sensor's
interval. Samples go through the same code as a run's.
"""

from __future__ import annotations

import sys
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from perwatt.attribution.idle import idle_power
from perwatt.attribution.integrate import curve_of
from perwatt.attribution.window import Baseline, Window, window_energy
from perwatt.core.records import Domain, PowerSample

Floats = NDArray[np.float64]
STEP_S = 0.0005
BEFORE_S, AFTER_S = 4.0, 1.0
WANDER_S = 0.3
LOOK_S = 0.01
SETTINGS = (  # tick in seconds, share of it in which the device looks
    (0.001, None),
    (0.010, None),
    (0.020, None),
    (0.100, None),
    (0.100, 0.25),
)
GAIN_SD = 0.05 / 1.96


class Case(NamedTuple):
    """One run: the window, its true gross and net joules."""

    window: Window
    gross_j: float
    net_j: float


def main(runs: int = 1000) -> None:
    print(f"{runs} runs a row: share of 95% intervals that hold the truth; median |error|, width")
    print("tick    duty  way           gain     gross   net    |error|  half-width")
    for tick_s, duty in SETTINGS:
        for padded in (True, False):
            for drawn in (False, True):
                rng = np.random.default_rng(round(tick_s * 1e4) + padded)
                cases = [one(rng, tick_s, duty, padded, drawn) for _ in range(runs)]
                print(row(tick_s, duty, padded, drawn, cases), flush=True)


def row(tick_s: float, duty: float | None, padded: bool, drawn: bool, cases: list[Case]) -> str:
    gross = np.mean([c.window.gross_low_j <= c.gross_j <= c.window.gross_high_j for c in cases])
    net = np.mean([_holds(c.window.net_low_j, c.net_j, c.window.net_high_j) for c in cases])
    error = np.median([abs((c.window.net_j or 0.0) - c.net_j) / c.net_j for c in cases])
    width = np.median(
        [((c.window.net_high_j or 0) - (c.window.net_low_j or 0)) / 2 / c.net_j for c in cases]
    )
    way = "idle-padded" if padded else "interpolated"
    return (
        f"{tick_s * 1e3:3.0f} ms  {1 if duty is None else duty:4.2f}  {way:12s}  "
        f"{'drawn' if drawn else 'exact':5s} {gross:8.1%} {net:6.1%} {error:8.2%} {width:9.2%}"
    )


def _holds(low: float | None, value: float, high: float | None) -> bool:
    return low is not None and high is not None and low <= value <= high


def one(
    rng: np.random.Generator, tick_s: float, duty: float | None, padded: bool, drawn: bool
) -> Case:
    start_s = round((BEFORE_S + rng.uniform(0, 0.2)) / STEP_S) * STEP_S
    length_s = round(np.exp(rng.uniform(np.log(0.3), np.log(12))) / STEP_S) * STEP_S
    watts, idle = device(rng, start_s, length_s)
    energy = np.concatenate(([0.0], np.cumsum(watts) * STEP_S))
    gain = rng.normal(1.0, GAIN_SD) if drawn else 1.0
    reading = counter(rng, watts, tick_s, duty) / gain
    t_s, value = looked_at(rng, reading, tick_s, len(watts) * STEP_S)
    samples = [
        PowerSample(round(t * 1e9), "gpu0", float(v), None) for t, v in zip(t_s, value, strict=True)
    ]
    domain = Domain(
        name="gpu0",
        kind="counter",
        boundary="accelerator",
        source="emulated",
        grade="B",
        device="emulated",
    )
    curve = curve_of(samples, domain)
    assert curve is not None
    rest = idle_power(curve, [(0, round(BEFORE_S * 1e9))])
    assert rest is not None
    assert rest.error_w is not None
    window = window_energy(
        curve,
        round(start_s * 1e9),
        round((start_s + length_s) * 1e9),
        baseline=Baseline(rest.power_w, rest.error_w, rest.seconds),
        padded=padded,
        lag_ns=round(tick_s / 2 * 1e9) if tick_s <= LOOK_S else 0,
        knot_error_s=min(tick_s, LOOK_S),
        duty=duty,
        gain=(0.95, 1.05) if drawn else (1.0, 1.0),
    )
    assert window is not None
    at = np.interp([start_s, start_s + length_s], np.arange(len(energy)) * STEP_S, energy)
    gross = float(at[1] - at[0])
    base = np.concatenate(([0.0], np.cumsum(idle) * STEP_S))
    own = np.interp([start_s, start_s + length_s], np.arange(len(base)) * STEP_S, base)
    return Case(window, gross, gross - float(own[1] - own[0]))


def device(rng: np.random.Generator, start_s: float, length_s: float) -> tuple[Floats, Floats]:
    """Watts of each half millisecond, and what of them is idle."""
    n = round((start_s + length_s + AFTER_S) / STEP_S)
    t = np.arange(n) * STEP_S
    keep = np.exp(-0.05 / WANDER_S)  # an AR(1) process of sd 1 W in steps of 50 ms
    wander = [rng.normal()]
    for shock in rng.normal(0, np.sqrt(1 - keep**2), n // 100 + 2):
        wander.append(keep * wander[-1] + shock)
    idle = 70 + np.interp(t, np.arange(len(wander)) * 0.05, wander)
    work = np.zeros(n)
    inside = np.zeros(n, dtype=np.bool_)
    inside[round(start_s / STEP_S) : round((start_s + length_s) / STEP_S)] = True
    prefill_s = min(rng.uniform(0.05, 0.6), length_s / 2)
    work[inside] = rng.uniform(250, 350)
    work[inside] += 40 * (((t[inside] - start_s) % 0.011) < 0.006)
    for at in np.cumsum(rng.exponential(0.4, int(length_s / 0.4) + 1)):
        work[inside & (t >= start_s + at) & (t < start_s + at + 0.03)] = 580
    work[inside & (t < start_s + prefill_s)] = rng.uniform(350, 600)
    return idle + work, idle


def counter(rng: np.random.Generator, watts: Floats, tick_s: float, duty: float | None) -> Floats:
    """(ticks + 1,) joules that the counter shows after each of its ticks."""
    k = round(tick_s / STEP_S)
    if k <= 1:
        return np.concatenate(([0.0], np.cumsum(watts) * STEP_S))
    n = len(watts) // k
    ticks = watts[: n * k].reshape(n, k)
    if duty is not None:
        looked = max(round(duty * k), 1)
        at = int(rng.integers(0, k - looked + 1))
        ticks = ticks[:, at : at + looked]
    return np.concatenate(([0.0], np.cumsum(ticks.mean(axis=1)) * tick_s))


def looked_at(
    rng: np.random.Generator, reading: Floats, tick_s: float, until_s: float
) -> tuple[Floats, Floats]:
    """A sampler at 100 Hz: times of its looks, and what it saw, to the millijoule."""
    t_s = np.arange(rng.uniform(0, LOOK_S), until_s, LOOK_S)
    last = np.minimum((t_s / tick_s).astype(int), len(reading) - 1)
    return t_s, np.floor(reading[last] * 1e3) / 1e3


if __name__ == "__main__":
    main(*(int(argument) for argument in sys.argv[1:]))
