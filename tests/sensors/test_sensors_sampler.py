"""The sampler's schedule and flags, and the unwrapping of counters."""

from __future__ import annotations

import time
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perwatt.core.records import Domain, PowerSample, Reading
from perwatt.sensors.sampler import Sampler
from perwatt.sensors.unwrap import Unwrapper


def domain(**more: object) -> Domain:
    base: dict[str, object] = {
        "name": "d",
        "kind": "counter",
        "boundary": "package",
        "source": "test",
        "grade": "B",
        "device": "device",
    }
    return Domain(**{**base, **more})  # type: ignore[arg-type]


def feed(which: Domain, values: Sequence[float | None], step_s: float = 0.05) -> list[PowerSample]:
    unwrapper = Unwrapper(which)
    samples = []
    for k, value in enumerate(values):
        counter, power = (value, None) if which.kind == "counter" else (None, value)
        error = "gone" if value is None else None
        t_ns = round((k + 1) * step_s * 1e9)
        reading = Reading(domain="d", t_ns=t_ns, counter_j=counter, power_w=power, error=error)
        samples.append(unwrapper.take(reading, stalled=False))
    return samples


@given(
    st.lists(st.floats(0, 40), min_size=1, max_size=60),
    st.floats(0, 100),
)
def test_a_counter_that_wraps_gives_what_was_added(steps: list[float], start: float) -> None:
    wrap = 100.0
    raw, total = [start % wrap], 0.0
    for step in steps:
        raw.append((raw[-1] + step) % wrap)
        total += step
    samples = feed(domain(wrap_j=wrap, max_power_w=1000.0), raw)
    assert samples[-1].counter_j == pytest.approx(total, abs=1e-6)
    assert all(sample.flag is None for sample in samples)


def test_a_glitch_is_flagged_none_and_costs_nothing() -> None:
    samples = feed(domain(max_power_w=100.0), [10, 11, 0, 12, 9e9, 13, float("nan"), 14])
    assert [s.flag for s in samples] == [
        None, None, "backwards", None, "implausible", None, "implausible", None,
    ]  # fmt: skip
    assert [s.counter_j for s in samples] == [0, 1, None, 2, None, 3, None, 4]


def test_a_counter_that_starts_again_is_a_reset() -> None:
    samples = feed(domain(max_power_w=100.0), [1000, 1001, 0.1, 0.2, 0.3, 1.3])
    assert [s.flag for s in samples] == [None, None, "backwards", "backwards", "reset", None]
    assert samples[4].counter_j == 1.0
    assert samples[5].counter_j == pytest.approx(2.0)


def test_a_failed_read_is_none_and_never_zero() -> None:
    counters = feed(domain(), [5.0, None, 6.0])
    assert [(s.counter_j, s.flag) for s in counters] == [
        (0.0, None), (None, "read-failed"), (1.0, None),
    ]  # fmt: skip
    gauges = feed(domain(kind="gauge", max_power_w=100.0), [5.0, None, -3.0, 1e6, float("nan")])
    assert [(s.power_w, s.flag) for s in gauges] == [
        (5.0, None), (None, "read-failed"), *[(None, "implausible")] * 3,
    ]  # fmt: skip


class Emulated:
    """A sensor of one counter at a constant 10 W, that can hang, fail or raise."""

    def __init__(self) -> None:
        self.start_ns = time.monotonic_ns()
        self.raises = False

    def probe(self) -> Sequence[Domain]:
        return [domain()]

    def read(self) -> Sequence[Reading]:
        if self.raises:
            msg = "the meter was unplugged"
            raise OSError(msg)
        t_ns = time.monotonic_ns()
        return [Reading(domain="d", t_ns=t_ns, counter_j=(t_ns - self.start_ns) / 1e8)]

    def close(self) -> None:
        pass


def test_it_samples_on_schedule_and_reports_its_own_cost() -> None:
    sampler = Sampler([Emulated()], 100)
    sampler.start()
    time.sleep(0.5)
    first = sampler.drain()
    sampler.read_now()
    sampler.stop()
    sampler.stop()
    rest = sampler.drain()
    assert 20 <= len(first) <= 52  # a busy machine may take some, and none are made up for
    assert len(rest) >= 2
    times = [s.t_ns for s in first + rest]
    assert times == sorted(times)
    assert first[-1].counter_j is not None
    seconds = (first[-1].t_ns - first[0].t_ns) / 1e9
    assert first[-1].counter_j == pytest.approx(10 * seconds)
    assert 0 < sampler.cpu_seconds < 0.4


def test_after_a_gap_samples_say_that_the_sampler_stalled() -> None:
    sampler = Sampler([Emulated()], 100)
    sampler.read_now()
    time.sleep(0.08)
    sampler.read_now()
    sampler.read_now()
    assert [s.flag for s in sampler.drain()] == [None, "sampler-stalled", None]


def test_a_sensor_that_raises_is_flagged_and_outlived() -> None:
    sensor = Emulated()
    sampler = Sampler([sensor], 100)
    sampler.read_now()
    sensor.raises = True
    sampler.read_now()
    sensor.raises = False
    sampler.read_now()
    samples = sampler.drain()
    assert [s.flag for s in samples] == [None, "read-failed", None]
    assert samples[1].counter_j is None


def test_two_sensors_of_one_domain_are_refused() -> None:
    with pytest.raises(ValueError, match="one domain"):
        Sampler([Emulated(), Emulated()], 10)


def test_a_rate_must_be_positive() -> None:
    with pytest.raises(ValueError, match="above 0"):
        Sampler([Emulated()], 0)
