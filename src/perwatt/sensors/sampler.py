"""One thread that reads every sensor on a drift-free schedule of the monotonic clock."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence

from perwatt.core.clock import now_ns
from perwatt.core.protocols import Sensor
from perwatt.core.records import Domain, PowerSample, Reading
from perwatt.sensors.unwrap import Unwrapper

__all__ = ["Sampler"]

STALL_PERIODS = 5


class Sampler:
    """Reads `sensors` at `hz` from `start` to `stop`; `drain` gives what came since the last one.

    Every reading is kept. A read that fails is a sample with a flag and no value, never a 0, and
    the thread goes on. After a gap of more than five periods, because the machine or the process
    was held up, the next samples carry the flag `sampler-stalled`. Thread-safe.
    """

    def __init__(self, sensors: Sequence[Sensor], hz: float) -> None:
        """Sensors must be probed or be ready to be: raises what their `probe` raises."""
        if not hz > 0:
            msg = f"the sampling rate must be above 0, got {hz}"
            raise ValueError(msg)
        self._period_ns = max(round(1e9 / hz), 1)
        self._sensors = [(sensor, tuple(sensor.probe())) for sensor in sensors]
        self.domains: tuple[Domain, ...] = tuple(d for _, own in self._sensors for d in own)
        names = [domain.name for domain in self.domains]
        if len(set(names)) < len(names):
            msg = f"two sensors give one domain: {', '.join(sorted(names))}"
            raise ValueError(msg)
        self._unwrap = {domain.name: Unwrapper(domain) for domain in self.domains}
        self._lock = threading.Lock()
        self._samples: list[PowerSample] = []
        self._polled_ns: int | None = None
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._cpu_s = 0.0

    @property
    def cpu_seconds(self) -> float:
        """CPU time of the sampling thread so far: what observing costs."""
        return self._cpu_s

    def start(self) -> None:
        """Read once now, then keep reading. Starting twice is an error; so is starting again."""
        if self._thread is not None:
            msg = "a sampler starts once"
            raise RuntimeError(msg)
        self.read_now()
        self._thread = threading.Thread(target=self._run, name="perwatt-sampler", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Take a last reading and end the thread. Safe to call twice, or without `start`."""
        if self._thread is None or self._stop.is_set():
            return
        self._stop.set()
        self._thread.join()
        self.read_now()

    def read_now(self) -> None:
        """Read at once, in the caller's thread: at the edge of a phase, say."""
        with self._lock:
            self._poll()

    def drain(self) -> list[PowerSample]:
        """The samples since the last call, in the order in which they were read."""
        with self._lock:
            samples, self._samples = self._samples, []
        return samples

    def _run(self) -> None:
        due_ns = now_ns()
        while True:
            due_ns += self._period_ns
            late_ns = now_ns() - due_ns
            if late_ns > 0:  # skip what was missed, keep the schedule's phase
                due_ns += late_ns // self._period_ns * self._period_ns
            if self._stop.wait(max(0.0, (due_ns - now_ns()) / 1e9)):
                return
            self.read_now()
            self._cpu_s = time.thread_time()

    def _poll(self) -> None:
        begun_ns = now_ns()
        since = None if self._polled_ns is None else begun_ns - self._polled_ns
        stalled = since is not None and since > STALL_PERIODS * self._period_ns
        for sensor, domains in self._sensors:
            for reading in _read(sensor, domains):
                unwrapper = self._unwrap.get(reading.domain)
                if unwrapper is not None:
                    self._samples.append(unwrapper.take(reading, stalled))
        self._polled_ns = begun_ns


def _read(sensor: Sensor, domains: Sequence[Domain]) -> Sequence[Reading]:
    try:
        return sensor.read()
    except Exception as error:  # a plug-in may raise anything; the run must outlive its sensor
        t_ns = now_ns()
        reason = f"{type(error).__name__}: {error}"
        return [Reading(domain=domain.name, t_ns=t_ns, error=reason) for domain in domains]
