"""RAPL: the energy counters of a CPU package and its memory, from Linux powercap (Intel and AMD).

Zones overlap: `core` and `uncore` are inside `package`, `psys` holds the package, and the same
package may be listed again over MMIO. Only `package-N` and `dram-N` are offered: they do not.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import msgspec

from perwatt.core.clock import now_ns
from perwatt.core.errors import SensorUnavailableError
from perwatt.core.records import Domain, Reading

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

SCOPES = {
    "package": "cores, caches, memory controller and integrated graphics of one socket",
    "dram": "memory modules of one socket",
    "core": "cores alone, already inside package",
    "uncore": "integrated graphics, already inside package",
    "psys": "the whole platform, package included",
}


class Zone(msgspec.Struct, frozen=True):
    """One powercap zone as it stands in sysfs."""

    path: Path
    name: str
    """`package-0`, `dram-0`, `core-0`, `psys`: sub-zones are numbered after their package."""
    scope: str
    mmio: bool


def zones(root: Path) -> list[Zone]:
    """Every RAPL zone below `root`, overlapping ones included, in the kernel's order."""
    try:
        entries = sorted(root.iterdir())
    except OSError:
        return []
    names = {}
    for entry in entries:
        control, colon, _ = entry.name.partition(":")
        if colon and "rapl" in control:
            try:
                names[entry.name] = (entry / "name").read_text(encoding="ascii").strip()
            except OSError:
                continue
    found = []
    for entry_name, name in names.items():
        parent = names.get(entry_name.rpartition(":")[0])
        full = name
        if parent is not None and parent.startswith("package"):
            full = name + parent.removeprefix("package")
        scope = SCOPES.get(name.partition("-")[0], "unknown scope")
        found.append(Zone(root / entry_name, full, scope, "mmio" in entry_name))
    return found


class RaplSensor:
    """Package and memory counters, grade B. Root: the argument, else $PERWATT_POWERCAP_ROOT."""

    def __init__(self, root: Path | None = None) -> None:
        self._root = root
        self._files: list[tuple[str, Path]] = []

    def probe(self) -> Sequence[Domain]:
        """Raises SensorUnavailableError, absent and unreadable told apart."""
        root = self._root or Path(os.environ.get(ROOT_VARIABLE) or DEFAULT_ROOT)
        chosen: dict[str, Zone] = {}
        for zone in zones(root):
            if zone.scope in (SCOPES["package"], SCOPES["dram"]) and (
                zone.name not in chosen or chosen[zone.name].mmio
            ):
                chosen[zone.name] = zone
        packages = [zone for zone in chosen.values() if zone.name.startswith("package")]
        if not packages:
            raise _absent(root)
        domains: list[Domain] = []
        files: list[tuple[str, Path]] = []
        left_out: list[str] = []
        for zone in chosen.values():
            try:
                int((zone.path / "energy_uj").read_bytes())
            except PermissionError:
                if zone in packages:
                    raise _unreadable(zone) from None
                left_out.append(zone.name)
                continue
            except (OSError, ValueError) as error:
                if zone in packages:
                    msg = f"The RAPL counter {zone.path}/energy_uj cannot be read: {error}."
                    raise SensorUnavailableError(msg) from None
                left_out.append(zone.name)
                continue
            files.append((zone.name, zone.path / "energy_uj"))
            domains.append(_domain(zone))
        self._files = files  # at once, since a sampler may be reading
        if left_out:
            note = f"; {', '.join(left_out)} could not be read and is not in the sum"
            domains = [msgspec.structs.replace(d, note=f"{d.note}{note}") for d in domains]
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


def _domain(zone: Zone) -> Domain:
    wrap_uj = _number(zone.path / "max_energy_range_uj")
    limit_uw = _number(zone.path / "constraint_0_max_power_uw")
    dram = zone.name.startswith("dram")
    gain = DRAM_GAIN if dram else PACKAGE_GAIN
    return Domain(
        name=zone.name,
        kind="counter",
        boundary="package",
        source="rapl",
        grade="B",
        device=_cpu_model(),
        wrap_j=wrap_uj / 1e6 if wrap_uj else None,
        # The stated limit is that of a power constraint: turbo goes well above it for a while.
        max_power_w=max(limit_uw / 1e6 * 2, 500.0) if limit_uw else None,
        gain_low=gain[0],
        gain_high=gain[1],
        note=zone.scope,
    )


def _absent(root: Path) -> SensorUnavailableError:
    try:
        entries = [entry.name for entry in root.iterdir() if "rapl" in entry.name]
    except OSError:
        entries = []
    if entries:
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


def _cpu_model() -> str:
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return "CPU"
    for line in text.splitlines():
        key, _, value = line.partition(":")
        if key.strip() == "model name":
            return value.strip()
    return "CPU"
