"""Every registered sensor as this machine has it, for `perwatt doctor`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import msgspec

from perwatt.core.errors import AddressNeededError, PerwattError
from perwatt.core.estimate import Grade, worst_grade
from perwatt.core.protocols import Sensor
from perwatt.core.records import Boundary, Domain, SensorTiming
from perwatt.core.registry import registry
from perwatt.sensors.pick import sensor_named
from perwatt.sensors.timing import measure_timing

__all__ = ["Surveyed", "survey"]


class Surveyed(msgspec.Struct, frozen=True, kw_only=True):
    """One sensor: what it is here, or why it is not and what would mend that."""

    name: str
    found: bool
    """False where the sensor's code could not even be loaded."""
    readable: bool
    grade: Grade | None = None
    """Of its least trustworthy domain."""
    boundary: Boundary | Literal["several"] | None = None
    domains: tuple[Domain, ...] = ()
    tick_s: float | None = None
    """Measured: median time between two changes of its first domain. None: it never changed, or it
    is an estimate, which has no tick of its own."""
    timings: tuple[SensorTiming, ...] = ()
    """Of each domain: tick, and what a read takes."""
    needs_address: bool = False
    """It reads what the user names as `name:address`, and nobody named anything."""
    reason: str | None = None
    mend: str | None = None


def survey(names: Sequence[str] | None = None, spin_s: float = 0.3) -> list[Surveyed]:
    """Probe each sensor, reading it for at most `spin_s` seconds to see how often it changes.

    `names`: `name` or `name:address`; None is every registered one, without addresses.
    """
    return [_one(name, spin_s) for name in names or registry("sensor").names()]


def _one(name: str, spin_s: float) -> Surveyed:
    try:
        sensor: Sensor = sensor_named(name)
    except PerwattError as error:  # an unknown name, an address too many, an extra that is missing
        return Surveyed(
            name=name, found=False, readable=False, reason=error.message, mend=error.mend
        )
    except Exception as error:  # one broken plug-in is a line of the survey, not its end
        reason = f"{type(error).__name__}: {error}"
        return Surveyed(name=name, found=False, readable=False, reason=reason)
    try:
        domains = tuple(sensor.probe())
        timings = measure_timing(sensor, domains, spin_s)
    except PerwattError as error:
        return Surveyed(
            name=name,
            found=True,
            readable=False,
            needs_address=isinstance(error, AddressNeededError),
            reason=error.message,
            mend=error.mend,
        )
    except Exception as error:
        reason = f"{type(error).__name__}: {error}"
        return Surveyed(name=name, found=True, readable=False, reason=reason)
    finally:
        sensor.close()
    boundaries = {domain.boundary for domain in domains}
    return Surveyed(
        name=name,
        found=True,
        readable=True,
        grade=worst_grade([domain.grade for domain in domains]),
        boundary=next(iter(boundaries)) if len(boundaries) == 1 else "several",
        domains=domains,
        tick_s=timings[0].tick_s if timings else None,
        timings=timings,
        reason=domains[0].note if domains else None,
    )
