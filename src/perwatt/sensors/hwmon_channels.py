"""What /sys/class/hwmon lists: chips and the files that tell energy, power, or volts and amperes.

File names and units are the kernel's (Documentation/hwmon/sysfs-interface.rst). Shared by the
sensors that read hwmon; it knows nothing of what a chip measures.
"""

from __future__ import annotations

import os
from pathlib import Path

import msgspec

__all__ = ["Channel", "Chip", "chips", "number", "root_of"]

ROOT_VARIABLE = "PERWATT_HWMON_ROOT"
DEFAULT_ROOT = Path("/sys/class/hwmon")


class Channel(msgspec.Struct, frozen=True, kw_only=True):
    """One measured place of a chip. At least one of the paths is there."""

    number: int
    label: str
    """Empty where the driver gives none."""
    energy: Path | None = None
    """A counter, µJ."""
    power: Path | None = None
    """A gauge, µW."""
    average: Path | None = None
    """A gauge's running mean, µW."""
    volts: Path | None = None
    """mV, with `amperes`: their product is the power."""
    amperes: Path | None = None
    """mA."""
    window_s: float | None = None
    """Over how long `average` goes; None: not told."""
    limit_w: float | None = None
    """The most it may draw; None: not told."""
    problem: str | None = None
    """Why it cannot be read; None: it can."""
    forbidden: bool = False
    """The problem is one of permission."""


class Chip(msgspec.Struct, frozen=True):
    """One hwmon device with at least one channel."""

    name: str
    """The driver's, such as `amdgpu`; several chips may share it."""
    entry: str
    """`hwmon3`: unique, but may change at the next boot."""
    folder: Path
    """Where its files are; `folder / "device"` is the device itself, where there is one."""
    channels: tuple[Channel, ...]


def root_of(address: str | None = None) -> Path:
    """The hwmon folder: an absolute `address`, else $PERWATT_HWMON_ROOT, else sysfs."""
    if address is not None and address.startswith("/"):
        return Path(address)
    return Path(os.environ.get(ROOT_VARIABLE) or DEFAULT_ROOT)


def chips(root: Path) -> list[Chip]:
    """Every chip below `root` that tells energy or power, in the kernel's order."""
    try:
        entries = sorted(root.iterdir(), key=lambda e: (len(e.name), e.name))
    except OSError:
        return []
    found = []
    for entry in entries:
        # Drivers of the old registration (ACPI power meters before Linux 6.18) use the device's.
        for folder in (entry, entry / "device"):
            channels = _channels(folder)
            if channels:
                name = _text(entry / "name") or _text(folder / "name") or "unnamed"
                found.append(Chip(name, entry.name, folder, channels))
                break
    return found


def number(path: Path) -> int | None:
    """The whole number in a file; None where it cannot be read."""
    try:
        return int(path.read_bytes())
    except (OSError, ValueError):
        return None


def _channels(folder: Path) -> tuple[Channel, ...]:
    try:
        names = {path.name for path in folder.iterdir()}
    except OSError:
        return ()
    numbers = sorted(
        {
            int(name.removeprefix(kind).partition("_")[0])
            for name in names
            for kind in ("energy", "power", "curr")
            if name.startswith(kind)
            and name.removeprefix(kind).partition("_")[0].isdigit()
            and name.endswith(("_input", "_average"))
        }
    )
    found = []
    for n in numbers:
        channel = _channel(folder, names, n)
        if channel is not None:
            found.append(channel)
    return tuple(found)


def _channel(folder: Path, names: set[str], n: int) -> Channel | None:
    def path(name: str) -> Path | None:
        return folder / name if name in names else None

    energy, power = path(f"energy{n}_input"), path(f"power{n}_input")
    average = path(f"power{n}_average")
    volts = amperes = None
    if energy is power is average is None:
        volts, amperes = path(f"in{n}_input"), path(f"curr{n}_input")
        if volts is None or amperes is None:
            return None
    labels = (f"energy{n}_label", f"power{n}_label", f"in{n}_label", f"power{n}_oem_info")
    label = next((text for name in labels if (text := _text(folder / name))), "")
    window_ms = number(folder / f"power{n}_average_interval")
    most = (number(folder / f"power{n}_{suffix}") for suffix in ("rated_max", "cap_max"))
    limit_uw = next((value for value in most if value), None)
    problem, forbidden = None, False
    try:
        for file in (energy, power, average, volts, amperes):
            if file is not None:
                int(file.read_bytes())
    except (OSError, ValueError) as error:
        problem, forbidden = str(error), isinstance(error, PermissionError)
    return Channel(
        number=n,
        label=label,
        energy=energy,
        power=power,
        average=average,
        volts=volts,
        amperes=amperes,
        window_s=window_ms / 1e3 if window_ms else None,
        limit_w=limit_uw / 1e6 if limit_uw else None,
        problem=problem,
        forbidden=forbidden,
    )


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip("\0 \n")
    except OSError:
        return ""
