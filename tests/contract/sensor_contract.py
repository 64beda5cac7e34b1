"""What every sensor must keep to: call `check_sensor` from a plug-in's own tests."""

from __future__ import annotations

import math
import time
from collections.abc import Callable

from perwatt.core.clock import now_ns
from perwatt.core.protocols import Sensor
from perwatt.core.records import Domain, PowerSample, Reading
from perwatt.sensors.sampler import Sampler

__all__ = ["check_sensor"]

PATIENCE_S = 60.0
"""A machine that is busy with other things may take so long to come to a reading."""


def check_sensor(make: Callable[[], Sensor], *, seconds: float = 0.4) -> tuple[Domain, ...]:
    """Raises AssertionError with what the sensor does wrong. It must be readable here."""
    sensor = make()
    first = tuple(sensor.probe())
    again = tuple(sensor.probe())
    assert [d.name for d in first] == [d.name for d in again], "probing twice finds other domains"
    _check_domains(first)
    _check_readings(sensor, first, seconds)
    sensor.close()
    sensor.close()

    sampled = make()
    sampler = Sampler([sampled], hz=50, timing_s=0.05)
    silent = {domain.name: domain for domain in first}
    sampler.start()
    end = time.monotonic() + max(seconds, 0.05)
    while time.monotonic() < end or (silent and time.monotonic() < end + PATIENCE_S):
        time.sleep(0.01)
        for sample in sampler.drain():
            domain = silent.get(sample.domain)
            if domain is not None and _value(domain, sample) is not None:
                del silent[sample.domain]
    sampler.stop()
    sampled.close()
    assert not silent, f"{', '.join(silent)} gave the sampler nothing"
    return first


def _check_domains(domains: tuple[Domain, ...]) -> None:
    assert domains, "a probe that finds nothing raises SensorUnavailableError"
    names = [domain.name for domain in domains]
    assert len(set(names)) == len(names), f"two domains of one name: {names}"
    for domain in domains:
        assert domain.source and domain.device, f"{domain.name} does not say what it reads"
        assert 0 < domain.gain_low <= domain.gain_high, f"{domain.name}: gain out of order"
        assert domain.wrap_j is None or domain.wrap_j > 0
        assert domain.max_power_w is None or domain.max_power_w > 0
        assert domain.duty is None or 0 < domain.duty <= 1
        assert domain.name not in domain.covers, f"{domain.name} covers itself"
        if domain.grade == "C":
            assert domain.kind == "gauge", f"{domain.name}: a counter is graded A, B or D"
        if domain.grade == "B":
            assert domain.kind == "counter", f"{domain.name}: a gauge is graded A, C or D"


def _check_readings(sensor: Sensor, domains: tuple[Domain, ...], seconds: float) -> None:
    names = {domain.name: domain for domain in domains}
    seen: dict[str, Reading] = {}
    end = time.monotonic() + max(seconds, 0.05)
    while time.monotonic() < end or (
        set(names) - set(seen) and time.monotonic() < end + PATIENCE_S
    ):
        for reading in sensor.read():
            assert reading.domain in names, f"a reading of {reading.domain}, which was not probed"
            assert reading.error is None, f"{reading.domain}: {reading.error}"
            _check_reading(reading, names[reading.domain])
            before = seen.get(reading.domain)
            assert before is None or reading.t_ns >= before.t_ns, "readings come oldest first"
            seen[reading.domain] = reading
        time.sleep(0.01)
    assert set(seen) == set(names), f"no reading of {sorted(set(names) - set(seen))}"


def _check_reading(reading: Reading, domain: Domain) -> None:
    value = _value(domain, reading)
    assert value is not None, f"{domain.name}: a {domain.kind} without its value and no error"
    for number in (reading.counter_j, reading.power_w, reading.power_average_w):
        assert number is None or (math.isfinite(number) and number >= 0)
    assert reading.utilization is None or 0 <= reading.utilization <= 1
    assert reading.clock_error_ns is None or reading.clock_error_ns >= 0
    late = reading.t_ns - now_ns()
    assert late <= (reading.clock_error_ns or 0), f"{domain.name}: a reading of the future"


def _value(domain: Domain, of: Reading | PowerSample) -> float | None:
    return of.counter_j if domain.kind == "counter" else of.power_w
