"""The sampler's schedule, its flags, its own cost, and a sensor that fails or hangs."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Sequence
from itertools import pairwise

import pytest

from perwatt.core.records import Domain, PowerSample, Reading
from perwatt.sensors.sampler import Sampler
from tests.sensors.real_time import until


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


@pytest.fixture(autouse=True)
def steady_wall_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """A virtual machine's wall clock may be set at any moment, which the samples would say."""
    monkeypatch.setattr(time, "time_ns", time.monotonic_ns)


def test_it_samples_on_schedule_and_reports_its_own_cost() -> None:
    sampler = Sampler([Emulated()], 100, timing_s=0)
    begun = time.monotonic()
    sampler.start()
    first: list[PowerSample] = []

    def enough() -> bool:
        first.extend(sampler.drain())
        return len(first) >= 30

    until(enough)
    took_s = time.monotonic() - begun
    sampler.read_now()
    sampler.stop()
    sampler.stop()
    rest = sampler.drain()
    assert len(first) <= took_s * 100 + 2  # those that a busy machine takes are not made up for
    assert len(rest) >= 2
    times = [s.t_ns for s in first + rest]
    assert times == sorted(times)
    assert first[-1].counter_j is not None
    seconds = (first[-1].t_ns - first[0].t_ns) / 1e9
    assert first[-1].counter_j == pytest.approx(10 * seconds)
    assert 0 < sampler.cpu_seconds < took_s


def test_after_a_gap_samples_say_that_the_sampler_stalled() -> None:
    sampler = Sampler([Emulated()], 100, timing_s=0)
    sampler.read_now()
    time.sleep(0.08)
    begun = time.monotonic()
    sampler.read_now()
    sampler.read_now()
    held_up = time.monotonic() - begun > 0.05  # by the machine, and not by us
    first, second, third = (s.flag for s in sampler.drain())
    assert (first, second) == (None, "sampler-stalled")
    assert third is None or held_up


def test_a_sensor_that_raises_is_flagged_and_outlived() -> None:
    sensor = Emulated()
    sampler = Sampler([sensor], 1, timing_s=0)
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
    assert cost.mean_read_s > 0
    assert sampler.cpu_seconds > 0


class Ticking(Emulated):
    """It is counted up at every tenth look only; the temperature tells which look it was."""

    looks = 0

    def read(self) -> Sequence[Reading]:
        self.looks += 1
        t_ns, joules = time.monotonic_ns(), float(self.looks // 10)
        return [Reading(domain="d", t_ns=t_ns, counter_j=joules, temperature_c=self.looks)]


def test_of_a_slow_counter_its_changes_are_kept_and_the_look_before() -> None:
    sensor = Ticking()
    sampler = Sampler([sensor], 500, timing_s=0.1)
    sampler.start()
    until(lambda: sampler.dropped > 100)
    sampler.stop()
    samples = sampler.drain()
    (timing,), (cost,) = sampler.timings, sampler.costs()
    watched = sensor.looks - cost.reads
    assert timing.changes == watched // 10
    assert (timing.tick_s is not None) == (timing.changes >= 2)
    assert timing.read_s is not None
    assert samples[0].counter_j == 0.0
    values = [s.counter_j or 0.0 for s in samples]
    assert values == sorted(values)
    # A change is bracketed closely: the look before it is one read away, not one tick.
    polled = [s for s in samples if (s.temperature_c or 0) > watched + 1]
    changed = [(a, b) for a, b in pairwise(polled) if b.counter_j != a.counter_j]
    assert len(changed) >= 5
    assert {(b.temperature_c or 0) - (a.temperature_c or 0) for a, b in changed} == {1}
    flagged = sum(s.flag is not None for s in polled)  # where it was held up
    alive = (polled[-1].t_ns - polled[0].t_ns) / 0.5e9
    assert len(polled) <= 2 * len(changed) + flagged + alive + 3


class Log(Emulated):
    """A source that dates its own values, and hands over what is new."""

    def __init__(self) -> None:
        super().__init__()
        self.new: deque[Reading] = deque()

    def read(self) -> Sequence[Reading]:
        return [self.new.popleft() for _ in range(len(self.new))]


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
    log.new.extend(Reading(domain="d", t_ns=k, counter_j=float(k)) for k in range(3))
    sampler = Sampler([log], 100, timing_s=0.01)
    sampler.start()
    sampler.stop()
    assert [s.counter_j for s in sampler.drain()] == [0.0, 1.0, 2.0]


def test_a_domain_that_fails_to_the_end_died() -> None:
    log = Log()
    sampler = Sampler([log], 50, timing_s=0)
    sampler.start()
    now = time.monotonic_ns()
    failed = [Reading(domain="d", t_ns=now - s * 1_000_000_000, error="gone") for s in (8, 1)]
    log.new.extend([Reading(domain="d", t_ns=now - 9_000_000_000, counter_j=1.0), *failed])
    until(lambda: not log.new)
    sampler.stop()
    samples = sampler.drain()
    assert [s.flag for s in samples] == [None, "read-failed", "read-failed", "sensor-died"]
    assert samples[-1].counter_j is None


def test_a_domain_that_failed_and_came_back_did_not_die() -> None:
    log = Log()
    sampler = Sampler([log], 50, timing_s=0)
    sampler.start()
    ago = time.monotonic_ns() - 9_000_000_000
    failed = Reading(domain="d", t_ns=ago, error="gone")
    log.new.extend([failed, Reading(domain="d", t_ns=ago + 8_000_000_000, counter_j=1.0)])
    until(lambda: not log.new)
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
    gate, hangs = threading.Event(), threading.Event()

    class Hanging(Emulated):
        def read(self) -> Sequence[Reading]:
            if threading.current_thread().name == "perwatt-sampler":
                hangs.set()
                gate.wait(60)
            return super().read()

    sampler = Sampler([Hanging()], 100, timing_s=0, patience_s=0.05)
    sampler.start()
    assert hangs.wait(60)
    begun = time.monotonic()
    sampler.stop()
    assert time.monotonic() - begun < 30
    gate.set()
    assert len(sampler.drain()) == 1
