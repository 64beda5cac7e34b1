"""RAPL: the energy counters of a CPU package and its memory, from Linux powercap (Intel and AMD).

Zones overlap (see rapl_zones). `package-N` and `dram-N` do not, and make the package boundary;
`psys`, which holds them, is offered beside at the system boundary; the rest are only surveyed.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from perwatt.core.clock import now_ns
from perwatt.core.errors import SensorUnavailableError
from perwatt.core.records import Domain, Reading
from perwatt.sensors.rapl_cpu import Cpu, cpu
from perwatt.sensors.rapl_zones import Zone, hidden, zones

__all__ = ["RaplSensor", "Zone", "zones"]

ROOT_VARIABLE = "PERWATT_POWERCAP_ROOT"
DEFAULT_ROOT = Path("/sys/class/powercap")

PACKAGE_GAIN = (0.9, 1.1)
"""Neither vendor states one. Intel counters since Haswell track plug power closely (Khan et al.,
"RAPL in Action", 2018, doi 10.1145/3177754); the one host with a wall meter in CodeCarbon's load
profiles, an AMD part, rises 0.94 W at the wall per RAPL watt. Ten per cent holds both."""
DRAM_GAIN = (0.8, 1.2)
"""Modelled on most parts, off by a constant when idle (Desrochers et al. 2016, MEMSYS,
doi 10.1145/2989081.2989088)."""
PSYS_GAIN = (0.8, 1.2)
"""A judgement: each board's maker feeds and scales it (Intel SDM volume 3, "Platform Energy
Status"), and nobody states how well."""


class RaplSensor:
    """Counters of grade B. `address`: a powercap root, else $PERWATT_POWERCAP_ROOT, else sysfs."""

    def __init__(
        self,
        address: str | Path | None = None,
        *,
        proc: Path = Path("/proc"),
        msr: Path = Path("/dev/cpu/0/msr"),
    ) -> None:
        """`proc` and `msr`: see rapl_cpu."""
        self._address = address
        self._proc = proc
        self._msr = msr
        self._files: list[tuple[str, Path]] = []

    def probe(self) -> Sequence[Domain]:
        """Packages, memory and, where it counts, psys.

        Raises SensorUnavailableError where there is none, all are masked, or a package cannot be
        read: a sum without one socket would be no sum. Memory and psys may be missing.
        """
        root = Path(self._address or os.environ.get(ROOT_VARIABLE) or DEFAULT_ROOT)
        listed = zones(root)
        packages = [z for z in listed if z.role == "summed" and z.name.startswith("package")]
        if not packages:
            raise _absent(root)
        for zone in packages:
            if zone.problem is not None:
                raise _unreadable(zone)
        memory = [z for z in listed if z.role == "summed" and z not in packages]
        platform = next((z for z in listed if z.role == "system" and _counts(z)), None)
        processor = cpu(self._proc, self._msr)
        kept = [z for z in listed if z in packages or (z in memory and z.problem is None)]
        domains = [_summed(z, listed, processor) for z in kept]
        if platform is not None:
            kept.append(platform)
            domains.append(_system(platform, listed, processor))
        self._files = [(z.name, z.path / "energy_uj") for z in kept]  # at once: one may be reading
        return domains

    def read(self) -> Sequence[Reading]:
        return [_read(name, path) for name, path in self._files]

    def close(self) -> None:
        """Nothing is held open."""


def _read(name: str, path: Path) -> Reading:
    before = now_ns()
    try:
        microjoules = int(path.read_bytes())
    except (OSError, ValueError) as error:
        return Reading(domain=name, t_ns=now_ns(), error=str(error))
    return Reading(domain=name, t_ns=(before + now_ns()) // 2, counter_j=microjoules / 1e6)


def _summed(zone: Zone, listed: Sequence[Zone], processor: Cpu) -> Domain:
    dram = zone.name.startswith("dram")
    low, high = DRAM_GAIN if dram else PACKAGE_GAIN
    limit_uw = _number(zone.path / "constraint_0_max_power_uw")
    parts = (z.name for z in listed if z.role == "inside" and z.inside == zone.name)
    notes = [zone.scope]
    if not dram:
        notes += _memory_note(zone, listed, processor)
    if processor.filtered is not None:
        notes.append(processor.filtered)
    return Domain(
        name=zone.name,
        kind="counter",
        boundary="package",
        source="rapl",
        grade="B",
        device=processor.name,
        wrap_j=_wrap_j(zone),
        # The stated limit is that of a power constraint: turbo goes well above it for a while.
        max_power_w=max(limit_uw / 1e6 * 2, 500.0) if limit_uw else None,
        gain_low=low,
        gain_high=high,
        covers=tuple(dict.fromkeys(parts)),
        note="; ".join(notes),
    )


def _memory_note(package: Zone, listed: Sequence[Zone], processor: Cpu) -> list[str]:
    number = package.name.removeprefix("package")
    for zone in listed:
        if zone.name == f"dram{number}" and zone.role == "summed":
            if zone.problem is None:
                return []
            return [f"{zone.name} could not be read and is not in the sum"]
    if processor.amd:
        return ["memory modules are not in it: AMD counts none"]
    return ["memory modules are not in it: this part shows no counter for them"]


def _system(zone: Zone, listed: Sequence[Zone], processor: Cpu) -> Domain:
    low, high = PSYS_GAIN
    others = (z.name for z in listed if z.role in {"summed", "inside"})
    return Domain(
        name=zone.name,
        kind="counter",
        boundary="system",
        source="rapl",
        grade="B",
        device=processor.name,
        wrap_j=_wrap_j(zone),
        gain_low=low,
        gain_high=high,
        covers=tuple(dict.fromkeys(others)),
        note=f"{zone.scope}; what else is in it is the board maker's choice",
    )


def _counts(zone: Zone) -> bool:
    """False for one at 0: that of a board that does not feed psys, or of a second socket."""
    return zone.problem is None and _number(zone.path / "energy_uj") is not None


def _wrap_j(zone: Zone) -> float | None:
    wrap_uj = _number(zone.path / "max_energy_range_uj")
    return wrap_uj / 1e6 if wrap_uj else None


def _absent(root: Path) -> SensorUnavailableError:
    if hidden(root):
        msg = f"RAPL zones are listed in {root}, but hidden from this process, as containers do."
        return SensorUnavailableError(
            msg, "Run outside the container, or mount /sys/devices/virtual/powercap into it."
        )
    what = "has no RAPL zone" if root.is_dir() else "is absent"
    msg = f"No RAPL: {root} {what}, as in most virtual machines."
    return SensorUnavailableError(
        msg, "On bare metal run: sudo modprobe intel_rapl_msr; in a virtual machine there is none."
    )


def _unreadable(zone: Zone) -> SensorUnavailableError:
    if not zone.forbidden:
        msg = f"The RAPL counter {zone.path}/energy_uj cannot be read: {zone.problem}."
        return SensorUnavailableError(msg, "See `dmesg` for what the kernel says of intel_rapl.")
    # Readable by root alone since Linux 5.10: the counters leak secrets (CVE-2020-8694).
    msg = f"RAPL is here, but {zone.path}/energy_uj is readable by root alone (CVE-2020-8694)."
    pattern = zone.path.parent / f"{zone.path.name.partition(':')[0]}*"
    return SensorUnavailableError(
        msg,
        f"If you trust everybody on this machine, run: sudo chmod -R a+r {pattern}/ "
        "(until the next boot).",
    )


def _number(path: Path) -> int | None:
    try:
        return int(path.read_bytes()) or None
    except (OSError, ValueError):
        return None
