"""A slow meter in a thread of its own, so that it never holds up the sampler's."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol

from perwatt.core.clock import now_ns
from perwatt.core.errors import PerwattError
from perwatt.core.records import Domain, Reading
from perwatt.sensors.meter_refresh import Refreshes

__all__ = ["Device", "Opened", "PolledSensor", "Poller"]

KEPT = 20_000
"""Readings waiting to be taken; the oldest give way to newer ones, and that is said."""
JOIN_S = 5.0
"""`close` waits no longer than this for an answer that is still under way."""


class Device(Protocol):
    """What a poller asks: an HTTP connection, a socket, a child process."""

    def abandon(self) -> None:
        """From another thread: a question under way fails at once, and no other is asked."""
        ...

    def close(self) -> None:
        """Let go of it. Safe to call twice."""
        ...


class Poller:
    """Asks every `period_s` seconds from the first `take` to `close`; `take` gives what arrived.

    A question that fails is a Reading with `error` for each domain, and the thread goes on. One
    that takes longer than the period is followed by the next at once.
    """

    def __init__(
        self,
        ask: Callable[[], Sequence[Reading]],
        device: Device,
        domains: Sequence[str],
        period_s: float,
        first: Sequence[Reading] = (),
        kept: int = KEPT,
    ) -> None:
        """`ask` may raise anything. `first` are readings that came with the probe.

        `kept`: most readings that wait to be taken.
        """
        self._kept = kept
        self._ask, self._device = ask, device
        self._domains, self._period_s = tuple(domains), period_s
        self._arrived: deque[Reading] = deque(first)
        self._dropped = 0
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def take(self) -> list[Reading]:
        """All that arrived since the last call, oldest first. Starts the thread."""
        with self._lock:
            taken, dropped = list(self._arrived), self._dropped
            self._arrived.clear()
            self._dropped = 0
        if dropped:
            why = f"{dropped} readings were lost: nobody took them in time."
            oldest_ns = taken[0].t_ns
            taken[:0] = [Reading(domain=d, t_ns=oldest_ns, error=why) for d in self._domains]
        if self._thread is None and not self._stop.is_set():
            self._thread = threading.Thread(target=self._run, name="perwatt-meter", daemon=True)
            self._thread.start()
        return taken

    def close(self) -> None:
        """End the thread within a bounded time. Safe to call twice, or before `take`."""
        self._stop.set()
        self._device.abandon()
        if self._thread is not None:
            self._thread.join(JOIN_S)
        self._device.close()

    def _run(self) -> None:
        while not self._stop.is_set():
            begun_ns = now_ns()
            try:
                readings = list(self._ask())
            except PerwattError as error:
                readings = self._failed(str(error))
            except Exception as error:  # whatever a meter sends, the thread must outlive it
                readings = self._failed(f"{type(error).__name__}: {error}")
            if self._stop.is_set():
                return
            with self._lock:
                self._arrived.extend(readings)
                while len(self._arrived) > self._kept:
                    self._arrived.popleft()
                    self._dropped += 1
            self._stop.wait(max(self._period_s - (now_ns() - begun_ns) / 1e9, 0.0))

    def _failed(self, why: str) -> list[Reading]:
        return [Reading(domain=name, t_ns=now_ns(), error=why) for name in self._domains]


class Opened(NamedTuple):
    """What a sensor found when it was probed, and how it is asked from then on."""

    domains: tuple[Domain, ...]
    ask: Callable[[], Sequence[Reading]]
    """One question to the meter; it may take its time, and may raise anything."""
    period_s: float
    first: tuple[Reading, ...] = ()
    """Readings that came with the probe."""
    dated: bool = False
    """It dates its counters itself; else they are dated by when they are seen to change."""


class PolledSensor(ABC):
    """The half of a slow sensor that needs no knowledge of it: `probe`, `read` and `close`.

    A subclass gives `open`, which sets `device` before it asks it anything, so that whatever goes
    wrong is closed again.
    """

    def __init__(self, address: str | None = None) -> None:
        self.address = address
        self.device: Device | None = None
        self._poller: Poller | None = None

    @abstractmethod
    def open(self) -> Opened:
        """Find the meter. Raises SensorUnavailableError with the mend."""

    def probe(self) -> Sequence[Domain]:
        """What can be read here. Raises SensorUnavailableError with the mend."""
        self.close()
        try:
            opened = self.open()
        except BaseException:
            self.close()
            raise
        assert self.device is not None
        names = tuple(domain.name for domain in opened.domains)
        counters = [d.name for d in opened.domains if d.kind == "counter" and not opened.dated]
        refreshes = {name: Refreshes() for name in counters}

        def new(readings: Sequence[Reading]) -> list[Reading]:
            return [new for each in readings if (new := _changed(each, refreshes)) is not None]

        self._poller = Poller(
            lambda: new(opened.ask()), self.device, names, opened.period_s, new(opened.first)
        )
        return opened.domains

    def read(self) -> Sequence[Reading]:
        """All that arrived since the last read, oldest first; it never waits."""
        return self._poller.take() if self._poller is not None else ()

    def close(self) -> None:
        if self._poller is not None:
            self._poller.close()
        elif self.device is not None:
            self.device.close()
        self._poller = self.device = None


def _changed(reading: Reading, refreshes: dict[str, Refreshes]) -> Reading | None:
    own = refreshes.get(reading.domain)
    return reading if own is None else own.take(reading)
