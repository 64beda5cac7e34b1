"""Phases and power of one session, into the journal: sensors and CPU time read at every edge."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import msgspec

from perwatt.core.clock import now_ns
from perwatt.core.records import Phase, SensorTiming
from perwatt.core.spec import RunSpec
from perwatt.runner.host import cpu_shares, cpu_snapshot
from perwatt.runner.live import LiveWatts
from perwatt.sensors.pick import Picked
from perwatt.sensors.sampler import Sampler
from perwatt.sensors.timing_lag import measure_lag
from perwatt.store.journal import JournalWriter, Power

__all__ = ["OpenPhase", "Recorder"]

LAG_FROM_S = 1.0
"""Measuring lag takes three seconds: not where even idle is given less than one."""
DRAIN_S, DRAINS_A_FORCE = 0.05, 20
"""A `kill -9` leaves without joules what ended since the last sample that was journalled."""


class OpenPhase:
    """A phase that goes on. `end` is what its last line will say besides its end."""

    def __init__(self, record: Phase) -> None:
        self.record = record
        self.stopped: str | None = None


class Recorder:
    """Writes phases and samples. `stop` it, whatever happens."""

    def __init__(
        self, spec: RunSpec, number: int, journal: JournalWriter, picked: Picked | None
    ) -> None:
        self.spec = spec
        self.number = number
        self.journal = journal
        self.picked = picked
        self.sampler = Sampler(picked.sensors, spec.sample_hz) if picked else None
        self.timings: tuple[SensorTiming, ...] = ()
        """Tick, read cost and lag of each domain, as measured at the start."""
        self.workers: tuple[int, ...] = ()
        """Pids of our own processes that ask: their CPU time is ours."""
        self._live = LiveWatts()
        self._phases = 0
        self._ticker: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Measure the sensors' timing, then sample until `stop`."""
        if self.sampler:
            lags = await asyncio.to_thread(self._lags)
            self.sampler.start()
            self.timings = tuple(lags.get(t.domain, t) for t in self.sampler.timings)
        self.journal.forced_elsewhere = True
        self._ticker = asyncio.create_task(self._tick())

    async def stop(self) -> None:
        """Everything sampled is in the journal when this returns."""
        self.journal.forced_elsewhere = False
        if self._ticker is not None:
            self._ticker.cancel()
            await asyncio.wait([self._ticker])
        if self.sampler:
            self.sampler.stop()
            self.drain()

    def check(self) -> None:
        """Raise what ended the journalling of samples, such as a full disk."""
        if self._ticker is not None and self._ticker.done():
            self._ticker.result()

    @asynccontextmanager
    async def phase(
        self, kind: str, pair_id: str | None, pids: Sequence[int] | None, **about: Any
    ) -> AsyncIterator[OpenPhase]:
        """Journal a stretch's start and end. `pids`: under test; None: not known.

        `about`: fields of a load phase; `counted_from_s` and `counted_to_s` count from its start.
        """
        self._read_sensors()
        self._phases += 1
        start_ns = now_ns()
        for edge in ("counted_from", "counted_to"):
            from_start_s = about.pop(f"{edge}_s", None)
            if from_start_s is not None:
                about[f"{edge}_ns"] = start_ns + round(from_start_s * 1e9)
        line = {
            "phase_id": f"s{self.number}-{self._phases}",
            "kind": kind,
            "session": self.number,
            "pair_id": pair_id,
            "start_ns": start_ns,
            **about,
        }
        phase = OpenPhase(msgspec.convert(line, Phase))
        before = cpu_snapshot(pids, workers=self.workers)
        self.journal.append(phase.record)
        try:
            yield phase
        finally:
            end_ns = now_ns()
            after = cpu_snapshot(pids, workers=self.workers)
            neighbours, own = cpu_shares(before, after) if before and after else (None, None)
            self._read_sensors()
            self.drain()
            self.journal.append(
                msgspec.structs.replace(
                    phase.record,
                    end_ns=end_ns,
                    neighbour_share=neighbours,
                    own_share=own,
                    stopped=phase.stopped,
                )
            )

    def tick_s(self) -> float:
        """The slowest tick seen at the start; the sampling period where none was."""
        return max((t.tick_s for t in self.timings if t.tick_s), default=1 / self.spec.sample_hz)

    def power_w(self) -> float | None:
        """Watts of the last second or so, over the run's boundary."""
        return self._live.power_w(self.picked.counted) if self.picked else None

    def forget_power(self) -> None:
        """What comes next is another stretch: watts shown are of it alone."""
        self.drain()
        self._live.clear()

    def drain(self) -> None:
        """Journal what has been sampled."""
        samples = self.sampler.drain() if self.sampler else ()
        if samples:
            self._live.take(samples)
            self.journal.append(Power(session=self.number, samples=tuple(samples)))

    def _lags(self) -> dict[str, SensorTiming]:
        """How late CPU counters show a step of load, by steps of our own; takes three seconds."""
        if not self.picked or self.spec.idle_s < LAG_FROM_S:
            return {}
        counters = [
            (sensor, [d for d in own if d.kind == "counter" and d.grade == "B"])
            for sensor, own in self.picked.probed
        ]
        found = (measure_lag(sensor, own) for sensor, own in counters if own)
        return {timing.domain: timing for each in found for timing in each}

    async def _tick(self) -> None:
        while True:
            for _ in range(DRAINS_A_FORCE):
                await asyncio.sleep(DRAIN_S)
                self.drain()
            await asyncio.to_thread(self.journal.force)

    def _read_sensors(self) -> None:
        if self.sampler:
            self.sampler.read_now()
