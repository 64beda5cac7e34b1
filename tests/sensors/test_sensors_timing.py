"""Ticks, read costs and lags, of counters and gauges whose behaviour is known."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from pathlib import Path

import msgspec
import numpy as np
import pytest

from perwatt.core.records import Domain, Reading
from perwatt.sensors.timing import Watched, measure_timing, timing_of
from perwatt.sensors.timing_lag import lag_from_steps, measure_lag

COUNTER = Domain(name="d", kind="counter", boundary="package", source="t", grade="B", device="test")
MS = 1_000_000


def readings(tick_ms: int, length_ms: int) -> tuple[Reading, ...]:
    times = range(1, length_ms)
    return tuple(Reading(domain="d", t_ns=t * MS, counter_j=float(t // tick_ms)) for t in times)


def test_the_tick_is_the_median_time_between_changes() -> None:
    timing = timing_of(COUNTER, Watched(readings(20, 301), (0.001, 0.003, 0.002)))
    assert timing.tick_s == pytest.approx(0.02)
    assert timing.tick_high_s == pytest.approx(0.02)
    assert (timing.changes, timing.read_s) == (15, 0.002)


def test_what_was_polled_fast_is_thinned_and_what_was_handed_over_is_not() -> None:
    polled = Watched(readings(1, 101), (0.001,) * 100)
    assert [r.t_ns // MS for r in polled.every(40 * MS)] == [1, 41, 81]
    handed_over = Watched(readings(1, 101), (0.001,) * 7)
    assert len(list(handed_over.every(40 * MS))) == 100
    by_chance = Watched(readings(1, 4), (0.001,) * 3, most=3)  # as many as looks, all in one
    assert len(list(by_chance.every(40 * MS))) == 3


def test_one_change_is_no_tick_and_an_estimate_has_none() -> None:
    timing = timing_of(COUNTER, Watched(readings(100, 150), (0.001,)))
    assert (timing.tick_s, timing.changes) == (None, 1)
    estimate = Domain(
        name="d", kind="counter", boundary="package", source="t", grade="D", device="test"
    )
    timing = timing_of(estimate, Watched(readings(10, 100), (0.001,)))
    assert (timing.tick_s, timing.changes, timing.read_s) == (None, 0, 0.001)


def energy(t_s: np.ndarray, step_s: list[float], lag_s: float, window_s: float) -> np.ndarray:
    """Joules of 50 W, and 200 W more for 1 s after each step; reported late, or as a mean."""
    fine = np.arange(-1.0, t_s[-1] + 0.001, 0.0005)
    watts = np.full(len(fine), 50.0)
    for step in step_s:
        watts[(fine >= step) & (fine < step + 1)] += 200.0
    if window_s:
        n = round(window_s / 0.0005)
        watts = np.convolve(np.concatenate((np.full(n - 1, 50.0), watts)), np.ones(n) / n, "valid")
    joules = np.cumsum(watts) * 0.0005
    return np.asarray(np.interp(t_s - lag_s, fine, joules))


@pytest.mark.parametrize(("lag_s", "tick_s"), [(0.0, 0.001), (0.05, 0.02), (0.12, 0.1)])
def test_the_lag_of_a_counter_is_found(lag_s: float, tick_s: float) -> None:
    steps = [2.013, 5.047, 8.001, 11.078, 14.034]
    t_s = np.arange(0.0, 17.0, tick_s)
    lag = lag_from_steps(
        (t_s * 1e9).astype(np.int64),
        energy(t_s, steps, lag_s, 0.0),
        [round(s * 1e9) for s in steps],
        window_s=0.8,
    )
    assert lag is not None
    assert lag.steps == 5
    assert abs(lag.lag_s - lag_s) < max(lag.error_s, 0.003)
    assert lag.error_s < 0.02


def test_a_running_mean_lags_by_half_its_window() -> None:
    steps = [2.0, 5.1, 8.05]
    t_s = np.arange(0.0, 11.0, 0.02)
    joules = energy(t_s, steps, 0.0, 0.3)
    lag = lag_from_steps((t_s * 1e9).astype(np.int64), joules, [round(s * 1e9) for s in steps], 0.8)
    assert lag is not None
    assert lag.lag_s == pytest.approx(0.15, abs=0.01)


def test_without_a_clear_step_there_is_no_lag() -> None:
    t_ns = np.arange(0, 3000, 20) * MS
    noise = np.random.default_rng(1).uniform(0.5, 1.5, len(t_ns))
    assert lag_from_steps(t_ns, np.cumsum(noise), [MS * 1000, MS * 2000]) is None
    assert lag_from_steps(t_ns[:3], np.arange(3.0), [MS * 20]) is None
    one_step = np.cumsum(np.where(t_ns < 1500 * MS, 1.0, 5.0))
    assert lag_from_steps(t_ns, one_step, [MS * 1500]) is None  # one step has no spread


AT_ONCE = msgspec.structs.replace(COUNTER, name="at-once")


class ChildrenMeter:
    """10 W, and 50 W for each core that a child of this process keeps busy: at once, and in the
    other domain the joules of 60 ms ago."""

    def __init__(self) -> None:
        self.begun_ns = time.monotonic_ns()
        self.log: list[tuple[int, float]] = []

    def probe(self) -> Sequence[Domain]:
        return [COUNTER, AT_ONCE]

    def read(self) -> Sequence[Reading]:
        now = time.monotonic_ns()
        busy_s = 0.0
        for child in Path(f"/proc/{os.getpid()}/task/{os.getpid()}/children").read_text().split():
            clock = time.clock_gettime(_cpu_clock(int(child)))
            busy_s += clock
        self.log.append((now, (now - self.begun_ns) / 1e8 + 50 * busy_s))
        then = [joules for t, joules in self.log if t <= now - 60 * MS]
        readings = [Reading(domain="at-once", t_ns=now, counter_j=self.log[-1][1])]
        return [Reading(domain="d", t_ns=now, counter_j=then[-1]), *readings] if then else readings

    def close(self) -> None:
        pass


def _cpu_clock(pid: int) -> int:
    """clock_getcpuclockid(3): Linux makes it of the process id (CPUCLOCK_SCHED)."""
    return (~pid << 3) | 2


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="needs Linux's /proc")
def test_a_lag_is_measured_by_a_step_of_cpu_load_of_our_own() -> None:
    meter = ChildrenMeter()
    for _ in range(10):  # where the machine lets no two of the four steps be made, none is seen
        late, at_once = measure_lag(meter, meter.probe())
        if None not in (late.lag_s, at_once.lag_s, late.tick_s):
            break
    assert late.lag_s is not None and at_once.lag_s is not None
    assert late.lag_error_s is not None and at_once.lag_error_s is not None
    # How late the child itself came to spin, on a busy machine, is in both.
    error_s = 0.03 + late.lag_error_s + at_once.lag_error_s
    assert late.lag_s - at_once.lag_s == pytest.approx(0.06, abs=error_s)
    assert late.lag_s > 0.03 - late.lag_error_s
    assert late.tick_s is not None
    elsewhere = Domain(
        name="gpu0", kind="counter", boundary="accelerator", source="t", grade="B", device="x"
    )
    assert measure_lag(meter, [elsewhere]) == ()


def test_timing_of_a_sensor_that_gives_nothing() -> None:
    class Silent(ChildrenMeter):
        def read(self) -> Sequence[Reading]:
            return []

    (timing,) = measure_timing(Silent(), [COUNTER], 0.02)
    assert (timing.tick_s, timing.changes) == (None, 0)
    assert timing.read_s is not None
