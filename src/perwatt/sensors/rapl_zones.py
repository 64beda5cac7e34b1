"""Every RAPL zone that Linux powercap lists, and how they lie inside one another.

`core` and `uncore` are inside `package`, `psys` holds packages and memory, and a package may be
listed a second time over MMIO. Names and nesting are those of the kernel's intel_rapl drivers,
which serve AMD's processors too.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import msgspec

__all__ = ["Zone", "hidden", "zones"]

Role = Literal["summed", "system", "inside", "double", "unknown"]
"""`summed`: package or memory, which never overlap. `system`: holds those. `inside`: part of one.
`double`: the same counter listed again."""

SCOPES: dict[str, tuple[Role, str]] = {
    "package": (
        "summed",
        "cores, caches, memory controller and integrated graphics of one socket",
    ),
    "dram": ("summed", "memory modules of one socket"),
    "core": ("inside", "cores alone, already inside package"),
    "uncore": ("inside", "integrated graphics, already inside package"),
    "psys": ("system", "the whole platform, package included"),
}


class Zone(msgspec.Struct, frozen=True, kw_only=True):
    """One powercap zone as it stands in sysfs."""

    path: Path
    name: str
    """`package-0`, `dram-0`, `core-0`, `psys`: sub-zones are numbered after their package."""
    scope: str
    role: Role
    mmio: bool
    inside: str | None = None
    """The package that it is listed under."""
    problem: str | None = None
    """Why its counter cannot be read; None: it can."""
    forbidden: bool = False
    """The problem is one of permission."""


def zones(root: Path) -> list[Zone]:
    """Every RAPL zone below `root` (/sys/class/powercap), in the kernel's order.

    Overlapping ones are included, each with its role; one whose counter cannot be read is, too.
    Empty where there is none. Reads each counter once.
    """
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
            except (OSError, UnicodeDecodeError):
                continue
    found: dict[str, list[Zone]] = {}
    for entry_name, name in names.items():
        zone = _zone(root / entry_name, name, names.get(entry_name.rpartition(":")[0]))
        found.setdefault(zone.name, []).append(zone)
    listed = []
    for twins in found.values():
        first = min(twins, key=lambda zone: zone.mmio)
        listed += [_double(z) if z is not first and z.role == "summed" else z for z in twins]
    return sorted(listed, key=lambda zone: zone.path.name)


def _double(zone: Zone) -> Zone:
    return msgspec.structs.replace(zone, role="double", scope=f"{zone.name} listed again")


def hidden(root: Path) -> bool:
    """Zones are listed below `root`, but their folders are masked, as container engines do."""
    try:
        entries = [entry for entry in root.iterdir() if "rapl" in entry.name]
        return any(
            not entry.exists() or (":" in entry.name and not (entry / "name").exists())
            for entry in entries
        )
    except OSError:
        return False


def _zone(path: Path, name: str, parent: str | None) -> Zone:
    full = name
    outer = path.name.partition(":")[2].rpartition(":")[0]
    if parent is not None and parent.startswith("package"):
        full = name + parent.removeprefix("package")
    elif parent is None and outer:  # a sub-zone whose package is not listed
        full = f"{name}-{outer}"
    role, scope = SCOPES.get(name.partition("-")[0], ("unknown", "unknown scope"))
    problem, forbidden = None, False
    try:
        int((path / "energy_uj").read_bytes())
    except PermissionError as error:
        problem, forbidden = str(error), True
    except OSError as error:
        problem = str(error)
    except ValueError:
        problem = f"{path}/energy_uj holds no number"
    return Zone(
        path=path,
        name=full,
        scope=scope,
        role=role,
        mmio="mmio" in path.name,
        inside=None if parent is None or full == name else parent,
        problem=problem,
        forbidden=forbidden,
    )
