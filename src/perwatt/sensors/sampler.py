"""One thread that reads every sensor on a drift-free schedule of the monotonic clock."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from typing import NamedTuple

from perwatt.core.clock import now_ns, seconds
from perwatt.core.protocols import Sensor
from perwatt.core.records import Domain, PowerSample, Reading, SensorTiming
from perwatt.sensors.sampler_changes import ChangePoints
from perwatt.sensors.timing import timing_of, watch, worth_s
from perwatt.sensors.unwrap import Unwrapper

__all__ = ["Sampler", "SensorCost"]

STALL_PERIODS = 5
STEP_NS = 20_000_000
"""The wall clock may be slewed by 0.5 ms a second (man 2 adjtimex) and read late by a descheduled
thread: more than this between two polls is a step, or the machine slept."""
DEAD_NS = 3_000_000_000
"""A domain that gives nothing for so long, up to the end, died."""


class SensorCost(NamedTuple):
    """What reading one sensor took."""

    domains: tuple[str, ...]
    reads: int
    mean_read_s: float | None
    """Wall seconds of a read; None before the first."""


class Sampler:
    """Reads `sensors` at `hz` from `start` to `stop`; `drain` gives what came since the last one.

    Of a counter every change is kept, with the last look before it (see `sampler_changes`); of a
    gauge everything. A read that fails is a sample with a flag and no value, never a 0, and the
    thread goes on. After a gap of more than five periods, because the machine or the process was
    held up, the next samples carry the flag `sampler-stalled`; where wall clock and monotonic clock
    came apart, `clock-step`; a domain that failed for its last seconds ends in `sensor-died`. At
    the start each source is watched for `timing_s` seconds (0: not at all), see `timings`. Nobody
    waits longer than `patience_s` for a sensor that does not come back from its driver.
    Thread-safe.
    """

    def __init__(
        self,
        sensors: Sequence[Sensor],
        hz: float,
        timing_s: float = 0.3,
        patience_s: float = 2.0,
    ) -> None:
        """Sensors must be probed or be ready to be: raises what their `probe` raises."""
        if not hz > 0:
            msg = f"the sampling rate must be above 0, got {hz}"
            raise ValueError(msg)
        self._period_ns = max(round(1e9 / hz), 1)
        self._timing_s = timing_s
        self._patience_s = patience_s
        self._sources = [_Source(sensor, tuple(sensor.probe())) for sensor in sensors]
        self.domains: tuple[Domain, ...] = tuple(d for s in self._sources for d in s.domains)
        names = [domain.name for domain in self.domains]
        if len(set(names)) < len(names):
            msg = f"two sensors give one domain: {', '.join(sorted(names))}"
            raise ValueError(msg)
        self._tracks = {domain.name: _Track(domain) for domain in self.domains}
        self.timings: tuple[SensorTiming, ...] = ()
        """Tick and read cost of each domain; empty before `start`, or without `timing_s`."""
        self._reading = threading.Lock()
        self._keeping = threading.Lock()
        self._samples: list[PowerSample] = []
        self._polled_ns: int | None = None
        self._wall_ahead: tuple[int, int] | None = None
        """Wall clock less ours at the last poll, and how long looking at both took."""
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._thread_cpu_s = 0.0
        self._callers_cpu_s = 0.0

    @property
    def cpu_seconds(self) -> float:
        """CPU time of all sampling so far, phase edges included: what observing costs."""
        return self._thread_cpu_s + self._callers_cpu_s

    @property
    def dropped(self) -> int:
        """Samples left out because the counter had not moved."""
        return sum(track.changes.dropped for track in self._tracks.values())

    def costs(self) -> tuple[SensorCost, ...]:
        """What reading each sensor takes, in the order in which they were given."""
        return tuple(
            SensorCost(
                tuple(domain.name for domain in source.domains),
                source.reads,
                source.read_s / source.reads if source.reads else None,
            )
            for source in self._sources
        )

    def start(self) -> None:
        """Watch each source for a moment, then keep reading. Starting a second time is an error."""
        if self._thread is not None:
            msg = "a sampler starts once"
            raise RuntimeError(msg)
        if self._timing_s > 0:
            self._measure_timings()
        self.read_now()
        self._thread = threading.Thread(target=self._run, name="perwatt-sampler", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Take a last reading and end the thread. Safe to call twice, or without `start`.

        A sensor that hangs in its driver holds this up for twice `patience_s` at most.
        """
        if self._thread is None or self._stop.is_set():
            return
        self._stop.set()
        self._thread.join(self._patience_s)
        self.read_now()
        end_ns = now_ns()
        with self._keeping:
            self._samples += [
                PowerSample(end_ns, name, None, None, flag="sensor-died")
                for name, track in self._tracks.items()
                if track.dead(end_ns)
            ]

    def read_now(self) -> None:
        """Read at once, in the caller's thread: at the edge of a phase, say. All of it is kept.

        Gives up, and reads nothing, where a sensor has not come back to the sampling thread.
        """
        begun_s = time.thread_time()
        if self._reading.acquire(timeout=self._patience_s):
            try:
                self._poll(edge=True)
            finally:
                self._reading.release()
        with self._keeping:
            self._callers_cpu_s += time.thread_time() - begun_s

    def drain(self) -> list[PowerSample]:
        """The samples since the last call, in the order in which they were read."""
        with self._keeping:
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
            with self._reading:
                self._poll(edge=False)
            self._thread_cpu_s = time.thread_time()

    def _poll(self, edge: bool) -> None:
        begun_ns = now_ns()
        since = None if self._polled_ns is None else begun_ns - self._polled_ns
        stalled = since is not None and since > STALL_PERIODS * self._period_ns
        stepped = self._clock_stepped()
        for source in self._sources:
            for reading in source.read():
                # A source that keeps its own log was not held up with us.
                late = stalled and reading.t_ns >= begun_ns
                self._take(reading, late, stepped, edge)
        self._polled_ns = begun_ns

    def _take(self, reading: Reading, stalled: bool, stepped: bool, edge: bool) -> None:
        track = self._tracks.get(reading.domain)
        if track is not None:
            kept = track.take(reading, stalled, stepped, edge)
            with self._keeping:
                self._samples += kept

    def _clock_stepped(self) -> bool:
        """Have wall clock and monotonic clock come apart since the last poll?"""
        before_ns = now_ns()
        wall_ns = time.time_ns()
        after_ns = now_ns()
        ahead_ns, slack_ns = wall_ns - (before_ns + after_ns) // 2, after_ns - before_ns
        last, self._wall_ahead = self._wall_ahead, (ahead_ns, slack_ns)
        # Either look may have been held up between its two clocks.
        return last is not None and abs(ahead_ns - last[0]) > STEP_NS + slack_ns + last[1]

    def _measure_timings(self) -> None:
        begun_s = time.thread_time()
        timings: list[SensorTiming] = []
        for source in self._sources:
            try:
                watched = watch(source.sensor, worth_s(source.domains, self._timing_s))
            except Exception:  # a plug-in may raise anything; the first poll records its failure
                timings += [SensorTiming(domain=domain.name) for domain in source.domains]
                continue
            timings += [timing_of(domain, watched) for domain in source.domains]
            for reading in watched.every(self._period_ns):
                self._take(reading, stalled=False, stepped=False, edge=False)
        self.timings = tuple(timings)
        self._callers_cpu_s += time.thread_time() - begun_s


class _Source:
    """A sensor and what reading it took."""

    def __init__(self, sensor: Sensor, domains: tuple[Domain, ...]) -> None:
        self.sensor = sensor
        self.domains = domains
        self.reads = 0
        self.read_s = 0.0

    def read(self) -> Sequence[Reading]:
        begun_ns = now_ns()
        try:
            readings = self.sensor.read()
        except Exception as error:  # a plug-in may raise anything; the run must outlive its sensor
            t_ns = now_ns()
            reason = f"{type(error).__name__}: {error}"
            readings = [Reading(domain=d.name, t_ns=t_ns, error=reason) for d in self.domains]
        self.reads += 1
        self.read_s += seconds(begun_ns, now_ns())
        return readings


class _Track:
    """One domain from reading to kept samples, and whether it still lives."""

    def __init__(self, domain: Domain) -> None:
        self._counter = domain.kind == "counter"
        self._unwrapper = Unwrapper(domain)
        self.changes = ChangePoints(domain)
        self._failing_since_ns: int | None = None
        self._good_ns: int | None = None
        self._longest_ns = 0

    def take(self, reading: Reading, stalled: bool, stepped: bool, edge: bool) -> list[PowerSample]:
        sample = self._unwrapper.take(reading, stalled, stepped)
        value = sample.counter_j if self._counter else sample.power_w
        if value is None:
            if self._failing_since_ns is None:
                self._failing_since_ns = reading.t_ns
        else:
            if self._good_ns is not None:
                self._longest_ns = max(self._longest_ns, reading.t_ns - self._good_ns)
            self._good_ns, self._failing_since_ns = reading.t_ns, None
        return self.changes.take(sample, edge)

    def dead(self, end_ns: int) -> bool:
        """Failing for seconds, and longer than it ever took to answer, with nothing good since."""
        since = self._failing_since_ns
        return since is not None and end_ns - since > max(DEAD_NS, 2 * self._longest_ns)
