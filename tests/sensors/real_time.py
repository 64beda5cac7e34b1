"""For tests in real time: the machine may hold up any thread for seconds at any moment, and have
its wall clock set. So they wait for what they need rather than for a set time, and bound what is
off by what the samples themselves say.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from typing import Self

from perwatt.attribution.integrate import curve_of
from perwatt.core.protocols import Sensor
from perwatt.core.records import Domain, PowerSample, Reading
from perwatt.sensors.sampler import Sampler

__all__ = [
    "OF_THE_MACHINE",
    "PATIENCE_S",
    "HeldUp",
    "read_until",
    "sampled",
    "step_gap_s",
    "until",
]

PATIENCE_S = 60.0
"""Whoever has waited so long waits for what never comes."""
OF_THE_MACHINE = {None, "sampler-stalled", "clock-step"}
"""Flags that say nothing against the sensor that is sampled."""


def until(done: Callable[[], object]) -> None:
    end = time.monotonic() + PATIENCE_S
    while not done():
        assert time.monotonic() < end, "what was waited for never came"
        time.sleep(0.005)


def read_until(sensor: Sensor, enough: Callable[[list[Reading]], bool]) -> list[Reading]:
    """All that it gives up to and with the read after which it is `enough`."""
    got: list[Reading] = []

    def more() -> bool:
        got.extend(sensor.read())
        return enough(got)

    until(more)
    return got


def sampled(sampler: Sampler, seconds: float) -> list[PowerSample]:
    """Starts it, and stops it once the curve of each domain is so long."""
    samples: list[PowerSample] = []

    def enough() -> bool:
        samples.extend(sampler.drain())
        return all(_length_s(samples, domain) > seconds for domain in sampler.domains)

    sampler.start()
    try:
        until(enough)
    finally:
        sampler.stop()
    return samples + sampler.drain()


def _length_s(samples: Sequence[PowerSample], domain: Domain) -> float:
    curve = curve_of(samples, domain)
    return 0.0 if curve is None else int(curve.t_ns[-1] - curve.t_ns[0]) / 1e9


def step_gap_s(samples: Sequence[PowerSample], step_ns: int) -> float:
    """Between the last look at a gauge that was surely before the step, and the first after it."""
    good = [s for s in samples if s.power_w is not None]
    before = [s.t_ns for s in good if s.t_ns + (s.clock_error_ns or 0) <= step_ns]
    after = [s.t_ns for s in good if s.t_ns - (s.clock_error_ns or 0) > step_ns]
    return (min(after, default=good[-1].t_ns) - max(before, default=good[0].t_ns)) / 1e9


class HeldUp:
    """As a context: for how long at most the machine lets nothing of this process run."""

    def __init__(self) -> None:
        self.longest_s = 0.0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def taken_s(self) -> float:
        """The longest since the last call."""
        longest_s, self.longest_s = self.longest_s, 0.0
        return longest_s

    def _watch(self) -> None:
        last = time.monotonic()
        while not self._stop.wait(0.004):
            now = time.monotonic()
            self.longest_s, last = max(self.longest_s, now - last), now
