"""A recorded trace, read again: in real time from the first read, or all at once."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import msgspec

from perwatt.core.clock import now_ns
from perwatt.core.errors import AddressNeededError, PerwattError, SensorUnavailableError
from perwatt.core.records import Domain, Reading
from perwatt.sensors.replay_trace import Trace, read_trace

__all__ = ["ReplaySensor"]

NAG_NS = 1_000_000_000
"""Once the trace has ended, each domain says so this often."""


class ReplaySensor:
    """`replay:FILE`, or `replay:FILE?pace=once`.

    In real time (the default) the trace's first sample falls on the first `read`, and each later
    one is due as long after it as it was recorded. With `pace=once` the first `read` gives all of
    it, with the times that the file has. Domains are what the file's header says; where it has none
    they are told from names and columns, and the note says so.
    """

    def __init__(self, address: str | None = None) -> None:
        self._address = address
        self._domains: tuple[Domain, ...] = ()
        self._readings: tuple[Reading, ...] = ()
        self._once = False
        self._next = 0
        self._start_ns: int | None = None
        self._nagged_ns: int | None = None

    def probe(self) -> Sequence[Domain]:
        """Reads the whole file. Raises SensorUnavailableError where it has nothing usable."""
        if not self._address:
            raise AddressNeededError("replay", "FILE.csv")
        name, _, options = self._address.partition("?")
        if options not in ("", "pace=once", "pace=real"):
            msg = f"replay:{self._address} has the option {options!r}, which means nothing."
            raise SensorUnavailableError(msg, "Known: ?pace=once and ?pace=real.")
        self._once = options == "pace=once"
        try:
            trace = read_trace(Path(name))
        except PerwattError as error:
            raise SensorUnavailableError(error.message, error.mend) from None
        self._domains = tuple(_replayed(domain, trace, name) for domain in trace.domains)
        self._readings = trace.readings
        self._next, self._start_ns, self._nagged_ns = 0, None, None
        return self._domains

    def read(self) -> Sequence[Reading]:
        """What has come due since the last read; nothing when nothing has."""
        if self._next == len(self._readings):
            return self._ended()
        begin = self._next
        if self._once:
            self._next = len(self._readings)
            return self._readings[begin:]
        now = now_ns()
        if self._start_ns is None:
            self._start_ns = now
        shift_ns = self._start_ns - self._readings[0].t_ns
        while self._next < len(self._readings):
            if self._readings[self._next].t_ns + shift_ns > now:
                break
            self._next += 1
        return [
            msgspec.structs.replace(reading, t_ns=reading.t_ns + shift_ns)
            for reading in self._readings[begin : self._next]
        ]

    def close(self) -> None:
        self._readings, self._next = (), 0
        self._domains = ()

    def _ended(self) -> list[Reading]:
        now = now_ns()
        if self._once or (self._nagged_ns is not None and now - self._nagged_ns < NAG_NS):
            return []
        self._nagged_ns = now
        why = f"The trace {self._address} has ended: record a longer one."
        return [Reading(domain=domain.name, t_ns=now, error=why) for domain in self._domains]


def _replayed(domain: Domain, trace: Trace, name: str) -> Domain:
    parts = [domain.note, f"replayed from {Path(name).name}, recorded by {domain.source}"]
    parts += trace.remarks
    note = "; ".join(part for part in parts if part)
    return msgspec.structs.replace(domain, source="replay", note=note)
