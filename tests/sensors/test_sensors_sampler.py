"""The sampler's schedule, its flags, its own cost, and a sensor that fails or hangs."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from itertools import pairwise
from statistics import median

import pytest

from perwatt.core.records import Domain, Reading
from perwatt.sensors.sampler import Sampler


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
    sampler = Sampler([Emulated()], 100, timing_s=0)
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
    sampler = Sampler([Emulated()], 100, timing_s=0)
    sampler.read_now()
    time.sleep(0.08)
    sampler.read_now()
    sampler.read_now()
    assert [s.flag for s in sampler.drain()] == [None, "sampler-stalled", None]


def test_a_sensor_that_raises_is_flagged_and_outlived() -> None:
    sensor = Emulated()
    sampler = Sampler([sensor], 100, timing_s=0)
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


def test_costs_count_every_read_of_every_sensor() -> None:
    sampler = Sampler([Emulated()], 100, timing_s=0)
    assert sampler.costs()[0].mean_read_s is None
    for _ in range(3):
        sampler.read_now()
    (cost,) = sampler.costs()
    assert (cost.domains, cost.reads) == (("d",), 3)
    assert cost.mean_read_s is not None
    assert 0 < cost.mean_read_s < 0.1
    assert sampler.cpu_seconds > 0


class Ticking(Emulated):
    """10 W that are counted up every 20 ms only."""

    def read(self) -> Sequence[Reading]:
        t_ns = time.monotonic_ns()
        ticks = (t_ns - self.start_ns) // 20_000_000
        return [Reading(domain="d", t_ns=t_ns, counter_j=ticks * 0.2)]


def test_of_a_slow_counter_its_changes_are_kept_and_the_look_before() -> None:
    sampler = Sampler([Ticking()], 500, timing_s=0.2)
    sampler.start()
    time.sleep(0.4)
    sampler.stop()
    samples = sampler.drain()
    assert sampler.dropped > 50
    (timing,) = sampler.timings
    assert timing.tick_s == pytest.approx(0.02, rel=0.3)
    assert timing.changes >= 5
    assert timing.read_s is not None
    assert samples[0].counter_j == 0.0
    values = [s.counter_j or 0.0 for s in samples]
    assert values == sorted(values)
    changes = sum(b > a for a, b in pairwise(values))
    assert changes >= 20
    assert len(samples) <= 2 * changes + 5
    # A change is bracketed closely: the look before it is one read away, not one tick.
    gaps = [b.t_ns - a.t_ns for a, b in pairwise(samples) if b.counter_j != a.counter_j]
    assert median(gaps) < 6_000_000


class Log(Emulated):
    """A source that dates its own values, and hands over what is new."""

    def __init__(self) -> None:
        super().__init__()
        self.new: list[Reading] = []

    def read(self) -> Sequence[Reading]:
        new, self.new = self.new, []
        return new


def test_a_source_with_its_own_log_gives_all_or_nothing() -> None:
    log = Log()
    sampler = Sampler([log], 100, timing_s=0)
    sampler.read_now()
    now = time.monotonic_ns()
    for k in range(4):
        reading = Reading(domain="d", t_ns=now + k, counter_j=float(k), clock_error_ns=7)
        log.new.append(reading)
    log.new.append(Reading(domain="d", t_ns=now, counter_j=9.0))
    log.new.append(Reading(domain="elsewhere", t_ns=now, counter_j=9.0))
    time.sleep(0.1)
    sampler.read_now()
    samples = sampler.drain()
    assert [(s.counter_j, s.flag) for s in samples] == [
        (0.0, None), (1.0, None), (2.0, None), (3.0, None), (None, "clock-step"),
    ]  # fmt: skip
    assert {s.clock_error_ns for s in samples[:4]} == {7}


def test_what_is_read_for_the_timing_is_not_lost() -> None:
    log = Log()
    log.new = [Reading(domain="d", t_ns=k, counter_j=float(k)) for k in range(3)]
    sampler = Sampler([log], 100, timing_s=0.01)
    sampler.start()
    sampler.stop()
    assert [s.counter_j for s in sampler.drain()] == [0.0, 1.0, 2.0]


def test_a_domain_that_fails_to_the_end_died() -> None:
    log = Log()
    sampler = Sampler([log], 50, timing_s=0)
    sampler.start()
    now = time.monotonic_ns()
    log.new = [Reading(domain="d", t_ns=now - 9_000_000_000, counter_j=1.0)]
    log.new += [Reading(domain="d", t_ns=now - s * 1_000_000_000, error="gone") for s in (8, 1)]
    time.sleep(0.1)
    sampler.stop()
    samples = sampler.drain()
    assert [s.flag for s in samples] == [None, "read-failed", "read-failed", "sensor-died"]
    assert samples[-1].counter_j is None


def test_a_domain_that_failed_and_came_back_did_not_die() -> None:
    log = Log()
    sampler = Sampler([log], 50, timing_s=0)
    sampler.start()
    now = time.monotonic_ns()
    log.new = [Reading(domain="d", t_ns=now - 9_000_000_000, error="gone")]
    log.new += [Reading(domain="d", t_ns=now, counter_j=1.0)]
    time.sleep(0.1)
    sampler.stop()
    assert [s.flag for s in sampler.drain()] == ["read-failed", None]


def test_a_sensor_that_fails_while_it_is_timed_does_not_stop_the_start() -> None:
    sensor = Emulated()
    sensor.raises = True
    sampler = Sampler([sensor], 50, timing_s=0.05)
    sampler.start()
    sampler.stop()
    assert sampler.timings[0].tick_s is None
    assert {s.flag for s in sampler.drain()} == {"read-failed"}


def test_a_sensor_that_hangs_does_not_hang_the_run() -> None:
    gate = threading.Event()

    class Hanging(Emulated):
        def read(self) -> Sequence[Reading]:
            if threading.current_thread().name == "perwatt-sampler":
                gate.wait(5)
            return super().read()

    sampler = Sampler([Hanging()], 100, timing_s=0, patience_s=0.05)
    sampler.start()
    time.sleep(0.05)
    begun = time.monotonic()
    sampler.stop()
    gate.set()
    assert time.monotonic() - begun < 1
    assert len(sampler.drain()) == 1
