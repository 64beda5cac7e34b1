"""What every sensor must keep to: call `check_sensor` from a plug-in's own tests."""

from __future__ import annotations

import math
import time
from collections.abc import Callable

from perwatt.core.clock import now_ns
from perwatt.core.protocols import Sensor
from perwatt.core.records import Domain, Reading
from perwatt.sensors.sampler import Sampler

__all__ = ["check_sensor"]


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
    sampler.start()
    time.sleep(seconds)
    sampler.stop()
    sampled.close()
    samples = sampler.drain()
    for domain in first:
        own = [s for s in samples if s.domain == domain.name and s.flag is None]
        values = [s.counter_j if domain.kind == "counter" else s.power_w for s in own]
        assert any(v is not None for v in values), f"{domain.name} gave the sampler nothing"
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
    while time.monotonic() < end or (set(names) - set(seen) and time.monotonic() < end + 5):
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
    value = reading.counter_j if domain.kind == "counter" else reading.power_w
    assert value is not None, f"{domain.name}: a {domain.kind} without its value and no error"
    for number in (reading.counter_j, reading.power_w, reading.power_average_w):
        assert number is None or (math.isfinite(number) and number >= 0)
    assert reading.utilization is None or 0 <= reading.utilization <= 1
    assert reading.clock_error_ns is None or reading.clock_error_ns >= 0
    late = reading.t_ns - now_ns()
    assert late <= (reading.clock_error_ns or 0), f"{domain.name}: a reading of the future"
