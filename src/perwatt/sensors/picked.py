"""What was picked to be sampled, and the sentence that says so."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Protocol, runtime_checkable

import msgspec

from perwatt.core.estimate import Grade
from perwatt.core.protocols import Sensor
from perwatt.core.records import Boundary, Domain

__all__ = ["Picked", "SelectsProcesses", "Tried", "why_not"]


@runtime_checkable
class SelectsProcesses(Protocol):
    """A sensor of several devices that can keep to those which certain processes use."""

    def select(self, pids: Sequence[int]) -> Sequence[Domain]:
        """Read only these from now on, and return them. No pids, or no match: all of them."""
        ...


class Tried(msgspec.Struct, frozen=True):
    """What became of one sensor."""

    name: str
    """As it was asked for, address and all."""
    ok: bool
    reason: str | None = None
    mend: str | None = None
    asked: bool = False
    """Named by the user, not tried by `auto`."""
    needs_address: bool = False
    """It reads what the user names, and nobody named anything."""


HERE = ("apple",) if sys.platform == "darwin" else ("rapl", "nvml")
"""Whose absence a reader of the first line asks about; `doctor` lists the rest."""


class Picked(msgspec.Struct, kw_only=True):
    """The sensors to sample. Domains at `boundary` make the joule figures, others stand beside."""

    probed: list[tuple[Sensor, tuple[Domain, ...]]]
    """Each sensor with what it reads, devices of other processes left out by `narrow`."""
    boundary: Boundary
    grade: Grade
    """Of the least trustworthy domain at the boundary."""
    tried: tuple[Tried, ...]

    @property
    def sensors(self) -> list[Sensor]:
        return [sensor for sensor, _ in self.probed]

    @property
    def domains(self) -> tuple[Domain, ...]:
        return tuple(domain for _, own in self.probed for domain in own)

    @property
    def energy_line(self) -> str:
        """The first line of the output: which sensors, which grade, which boundary."""
        return _energy_line(self)

    @property
    def counted(self) -> tuple[Domain, ...]:
        """The domains that are summed: none whose joules are inside another's."""
        at = [domain for domain in self.domains if domain.boundary == self.boundary]
        inside = {name for domain in at for name in domain.covers}
        return tuple(domain for domain in at if domain.name not in inside)

    def narrow(self, pids: Sequence[int]) -> tuple[Domain, ...]:
        """Read only the devices that host these processes; returns all domains read from now on.

        Safe while a sampler is reading: nothing is probed again.
        """
        self.probed = [
            (sensor, tuple(sensor.select(pids)) if isinstance(sensor, SelectsProcesses) else own)
            for sensor, own in self.probed
        ]
        return self.domains

    def close(self) -> None:
        """Close every sensor."""
        for sensor in self.sensors:
            sensor.close()


def why_not(failed: Sequence[Tried]) -> str:
    """What failed and why, as one clause for each."""
    return "; ".join(f"{t.name}: {(t.reason or '').rstrip('.')}" for t in failed)


def _energy_line(picked: Picked) -> str:
    unused = why_not([t for t in picked.tried if t.asked and not t.ok])
    line = _estimated_line(picked) if picked.grade == "D" else _measured_line(picked)
    return f"{line} Asked for, but not used: {unused}." if unused else line


def _estimated_line(picked: Picked) -> str:
    counted = picked.counted
    low, high = min(d.gain_low for d in counted), max(d.gain_high for d in counted)
    failed = [
        t for t in picked.tried if not (t.ok or t.asked or t.needs_address) and t.name in HERE
    ]
    why = f"; nothing better can be read here ({why_not(failed)})" if failed else ""
    return (
        f"Energy is ESTIMATED (grade D) from load and specifications{why}; "
        f"the truth may be {low:g}× to {high:g}× as large."
    )


def _measured_line(picked: Picked) -> str:
    counted = picked.counted
    parts = []
    for source in dict.fromkeys(domain.source for domain in counted):
        own = [domain for domain in counted if domain.source == source]
        kinds = " and ".join(sorted({domain.kind for domain in own}))
        parts.append(f"{source.upper()} {' + '.join(d.name for d in own)}, {kinds}")
    beside = [d.name for d in picked.domains if d.boundary != picked.boundary]
    line = f"Energy: {'; '.join(parts)} (grade {picked.grade}), {picked.boundary} boundary"
    return f"{line}; beside it {' + '.join(beside)}." if beside else f"{line}."
