"""Which sensors a run reads: best graded first, an estimate only where nothing measures."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

import msgspec

from perwatt.core.errors import GradeError, PerwattError, SensorUnavailableError, SpecError
from perwatt.core.estimate import Grade, worst_grade
from perwatt.core.protocols import Sensor
from perwatt.core.records import Boundary, Domain
from perwatt.core.registry import registry

__all__ = ["Picked", "SelectsProcesses", "Tried", "pick"]


@runtime_checkable
class SelectsProcesses(Protocol):
    """A sensor of several devices that can keep to those which certain processes use."""

    def select(self, pids: Sequence[int]) -> Sequence[Domain]:
        """Read only these from now on, and return them. No pids, or no match: all of them."""
        ...


class Tried(msgspec.Struct, frozen=True):
    """What became of one registered sensor."""

    name: str
    ok: bool
    reason: str | None = None
    mend: str | None = None


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
        """The domains that are summed."""
        return tuple(d for d in self.domains if d.boundary == self.boundary)

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


def pick(
    names: Sequence[str] = ("auto",),
    *,
    uses_accelerator: bool = False,
    pids: Sequence[int] = (),
    require_grade: Grade | None = None,
) -> Picked:
    """Probe and choose. A CPU engine is measured at the package, another at its accelerator.

    `auto` takes the best grade found at that boundary, and samples a measured package beside an
    accelerator. Raises UnknownNameError, SensorUnavailableError (a named sensor's own, or none at
    all), SpecError for two sensors of one domain, GradeError.
    """
    order: tuple[Boundary, ...] = ("package", "system", "accelerator")
    if uses_accelerator:
        order = ("accelerator", "system", "package")
    found: list[tuple[Sensor, tuple[Domain, ...]]] = []
    tried: list[Tried] = []
    for name in names:
        if name == "auto":
            found += _auto(order[0], tried)
        else:
            sensor: Sensor = registry("sensor").get(name)()
            found.append((sensor, tuple(sensor.probe())))
            tried.append(Tried(name, True))
    domains = tuple(domain for _, own in found for domain in own)
    _no_doubles(domains)
    boundary = next(b for b in order if any(d.boundary == b for d in domains))
    grade = worst_grade([d.grade for d in domains if d.boundary == boundary])
    assert grade is not None
    picked = Picked(
        probed=found,
        boundary=boundary,
        grade=grade,
        tried=tuple(tried),
    )
    if require_grade is not None and grade > require_grade:
        line = picked.energy_line
        picked.close()
        msg = f"The run requires energy of grade {require_grade}, and {grade} is the best here. "
        raise GradeError(msg + line, _mends(tried))
    if pids:
        picked.narrow(pids)
    return picked


def _auto(boundary: Boundary, tried: list[Tried]) -> list[tuple[Sensor, tuple[Domain, ...]]]:
    """The best graded sensor at the boundary, and a measured package beside an accelerator."""
    candidates: list[tuple[Sensor, tuple[Domain, ...]]] = []
    for name in registry("sensor").names():
        try:
            sensor: Sensor = registry("sensor").get(name)()
            candidates.append((sensor, tuple(sensor.probe())))
            tried.append(Tried(name, True))
        except PerwattError as error:
            tried.append(Tried(name, False, error.message, error.mend))
        except Exception as error:  # somebody's broken plug-in must not stop the others
            tried.append(Tried(name, False, f"{type(error).__name__}: {error}"))
    chosen = []
    best = _best(candidates, boundary)
    if best is not None:
        chosen.append(best)
    if boundary == "accelerator":
        beside = _best(candidates, "package")
        if beside is not None and all(domain.grade < "D" for domain in beside[1]):
            chosen.append(beside)
    for sensor, _ in candidates:
        if all(sensor is not kept for kept, _ in chosen):
            sensor.close()
    if best is None:
        failed = "; ".join(f"{t.name}: {(t.reason or '').rstrip('.')}" for t in tried if not t.ok)
        msg = f"No sensor here reads the energy of the {boundary} ({failed})."
        raise SensorUnavailableError(msg, _mends(tried))
    return chosen


def _best(
    candidates: list[tuple[Sensor, tuple[Domain, ...]]], boundary: Boundary
) -> tuple[Sensor, tuple[Domain, ...]] | None:
    at = [c for c in candidates if any(d.boundary == boundary for d in c[1])]
    return min(at, key=lambda c: max(d.grade for d in c[1] if d.boundary == boundary), default=None)


def _no_doubles(domains: Sequence[Domain]) -> None:
    seen: dict[str, str] = {}
    for domain in domains:
        if domain.name in seen:
            msg = f"{seen[domain.name]} and {domain.source} both measure {domain.name}."
            raise SpecError(msg, "Name one of the two in --sensors.")
        seen[domain.name] = domain.source


def _mends(tried: Sequence[Tried]) -> str | None:
    return " ".join(f"{t.name}: {t.mend}" for t in tried if not t.ok and t.mend) or None


def _energy_line(picked: Picked) -> str:
    counted = picked.counted
    if picked.grade == "D":
        low, high = min(d.gain_low for d in counted), max(d.gain_high for d in counted)
        failed = [f"{t.name}: {(t.reason or '').rstrip('.')}" for t in picked.tried if not t.ok]
        why = f"; nothing better can be read here ({'; '.join(failed)})" if failed else ""
        return (
            f"Energy is ESTIMATED (grade D) from load × a power curve{why}; "
            f"the truth may be {low:g}× to {high:g}× as large."
        )
    parts = []
    for source in dict.fromkeys(domain.source for domain in counted):
        own = [domain for domain in counted if domain.source == source]
        kinds = " and ".join(sorted({domain.kind for domain in own}))
        parts.append(f"{source.upper()} {' + '.join(d.name for d in own)}, {kinds}")
    beside = [d.name for d in picked.domains if d.boundary != picked.boundary]
    line = f"Energy: {'; '.join(parts)} (grade {picked.grade}), {picked.boundary} boundary"
    return f"{line}; beside it {' + '.join(beside)}." if beside else f"{line}."
