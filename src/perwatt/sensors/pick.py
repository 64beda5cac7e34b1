"""Which sensors a run reads: best graded first, an estimate only where nothing measures."""

from __future__ import annotations

import inspect
from collections.abc import Sequence

from perwatt.core.errors import (
    AddressNeededError,
    GradeError,
    PerwattError,
    SensorUnavailableError,
    SpecError,
)
from perwatt.core.estimate import Grade, worst_grade
from perwatt.core.protocols import Sensor
from perwatt.core.records import Boundary, Domain
from perwatt.core.registry import registry
from perwatt.sensors.picked import Picked, SelectsProcesses, Tried, why_not

__all__ = ["Picked", "SelectsProcesses", "Tried", "pick", "sensor_named"]

LAST = ("hwmon", "ipmi", "estimated")

Probed = tuple[Sensor, tuple[Domain, ...]]


def pick(
    names: Sequence[str] = ("auto",),
    *,
    uses_accelerator: bool = False,
    pids: Sequence[int] = (),
    boundary: Boundary | None = None,
    require_grade: Grade | None = None,
    fall_back: bool = True,
) -> Picked:
    """Probe and choose. A CPU engine is measured at the package, another at its accelerator.

    `names`: `auto`, `name` or `name:address`. `auto` takes the best grade found at that boundary,
    and samples a measured package beside an accelerator. `boundary` settles which joules count.
    A named sensor that cannot be used is told in `tried`, and the rest go on; where none of them
    can, `auto` stands in, unless `fall_back` is False.

    Raises SensorUnavailableError where nothing can be read, SpecError for two sensors of one
    domain, GradeError where `require_grade` is not met or a named sensor failed beside it.
    """
    order: tuple[Boundary, ...] = ("package", "system", "accelerator")
    if uses_accelerator:
        order = ("accelerator", "system", "package")
    if boundary is not None:
        order = (boundary, *(b for b in order if b != boundary))
    found: list[Probed] = []
    tried: list[Tried] = []
    for name in names:
        if name == "auto":
            found += _auto(order[:2], tried)
        else:
            found += _named(name, tried)
    unused = [each for each in tried if each.asked and not each.ok]
    if unused and require_grade is not None:
        _close(found)
        msg = f"The run requires energy of grade {require_grade}, but the sensor {why_not(unused)}."
        raise GradeError(msg, _mends(unused))
    if not found and fall_back:
        found = _auto(order[:2], tried)
    if not found:
        raise SensorUnavailableError(f"No sensor can be used: {why_not(unused)}.", _mends(unused))
    domains = tuple(domain for _, own in found for domain in own)
    try:
        _no_doubles(domains)
    except SpecError:
        _close(found)
        raise
    chosen = next(b for b in order if any(d.boundary == b for d in domains))
    grade = worst_grade([d.grade for d in domains if d.boundary == chosen])
    assert grade is not None
    picked = Picked(probed=found, boundary=chosen, grade=grade, tried=tuple(tried))
    if boundary is not None and chosen != boundary:
        _close(found)
        msg = f"No sensor here reads the energy of the {boundary} boundary. {picked.energy_line}"
        raise SensorUnavailableError(msg, _mends(tried))
    if require_grade is not None and grade > require_grade:
        line = picked.energy_line
        picked.close()
        msg = f"The run requires energy of grade {require_grade}, and {grade} is the best here. "
        raise GradeError(msg + line, _mends(tried))
    if pids:
        picked.narrow(pids)
    return picked


def sensor_named(text: str) -> Sensor:
    """The sensor of `name` or `name:address`, not yet probed.

    Raises UnknownNameError, MissingExtraError, SpecError for one that takes no address.
    """
    name, colon, address = text.partition(":")
    factory = registry("sensor").get(name)
    if not colon:
        sensor: Sensor = factory()
        return sensor
    if not inspect.signature(factory).parameters:
        msg = f"The sensor {name} takes no address, and was given {address!r}."
        raise SpecError(msg, f"Name it alone: --sensors {name}")
    addressed: Sensor = factory(address)
    return addressed


def _named(text: str, tried: list[Tried]) -> list[Probed]:
    try:
        sensor = sensor_named(text)
        probed = (sensor, tuple(sensor.probe()))
    except PerwattError as error:
        tried.append(Tried(text, False, error.message, error.mend, asked=True))
        return []
    except Exception as error:  # somebody's broken plug-in must not stop the others
        tried.append(Tried(text, False, f"{type(error).__name__}: {error}", asked=True))
        return []
    tried.append(Tried(text, True, asked=True))
    return [probed]


def _auto(order: Sequence[Boundary], tried: list[Tried]) -> list[Probed]:
    """The best graded sensor at the first boundary, and a measured package beside an accelerator.

    Where the first boundary can only be estimated and the next is measured, the measured one it is.
    """
    candidates: list[Probed] = []
    for name in sorted(registry("sensor").names(), key=_preference):
        try:
            sensor = sensor_named(name)
            candidates.append((sensor, tuple(sensor.probe())))
            tried.append(Tried(name, True))
        except AddressNeededError as error:
            tried.append(Tried(name, False, error.message, error.mend, needs_address=True))
        except PerwattError as error:
            tried.append(Tried(name, False, error.message, error.mend))
        except Exception as error:
            tried.append(Tried(name, False, f"{type(error).__name__}: {error}"))
    chosen = []
    at_each = [best for boundary in order if (best := _best(candidates, boundary)) is not None]
    best = next((b for b in at_each if _measured(b)), at_each[0] if at_each else None)
    if best is not None:
        chosen.append(best)
    if order[0] == "accelerator":
        beside = _best(candidates, "package")
        if beside is not None and _measured(beside) and beside is not best:
            chosen.append(beside)
    _close([each for each in candidates if all(each[0] is not kept for kept, _ in chosen)])
    if best is None:
        failed = why_not([t for t in tried if not t.ok and not t.needs_address])
        msg = f"No sensor here reads the energy of the {order[0]} ({failed})."
        raise SensorUnavailableError(msg, _mends(tried))
    return chosen


def _preference(name: str) -> tuple[int, str]:
    """Of two equal grades the one that reads the maker's own interface: hwmon may repeat it."""
    return (LAST.index(name) if name in LAST else -1), name


def _measured(probed: Probed) -> bool:
    return all(domain.grade < "D" for domain in probed[1])


def _best(candidates: Sequence[Probed], boundary: Boundary) -> Probed | None:
    at = [c for c in candidates if any(d.boundary == boundary for d in c[1])]
    return min(at, key=lambda c: max(d.grade for d in c[1] if d.boundary == boundary), default=None)


def _close(probed: Sequence[Probed]) -> None:
    for sensor, _ in probed:
        sensor.close()


def _no_doubles(domains: Sequence[Domain]) -> None:
    seen: dict[str, str] = {}
    for domain in domains:
        if domain.name in seen:
            msg = f"{seen[domain.name]} and {domain.source} both measure {domain.name}."
            raise SpecError(msg, "Name one of the two in --sensors.")
        seen[domain.name] = domain.source


def _mends(tried: Sequence[Tried]) -> str | None:
    failed = [t for t in tried if not t.ok and t.mend and not t.needs_address]
    return " ".join(f"{t.name}: {t.mend}" for t in failed) or None
