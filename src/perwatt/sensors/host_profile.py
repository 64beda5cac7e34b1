"""What calibrating this host once found, kept for later runs: one JSON file for each host.

$XDG_DATA_HOME/perwatt/hosts/<hash of the machine id>.json, or the file named by
$PERWATT_HOST_PROFILE. It names no user and no address, and the machine id only by a keyed hash, as
machine-id(5) asks.
"""

from __future__ import annotations

import hashlib
import os
import platform
import tempfile
from pathlib import Path

import msgspec

from perwatt.core.errors import FileError, SpecError
from perwatt.core.records import Boundary
from perwatt.sensors.calibrate import Fit, Stretch, predict

__all__ = [
    "HostId",
    "HostProfile",
    "Meter",
    "identity",
    "load",
    "path_for",
    "roots",
    "save",
    "wall_from",
]

PATH_VARIABLE = "PERWATT_HOST_PROFILE"
PROC_VARIABLE = "PERWATT_PROC_ROOT"
SYS_VARIABLE = "PERWATT_SYS_ROOT"
VERSION = 1


class HostId(msgspec.Struct, frozen=True, kw_only=True):
    """What must be the same for a calibration to hold."""

    machine: str
    """Keyed hash of the machine id."""
    cpu: str
    kernel: str
    bios: str | None
    """Vendor, version and date; None in most guests."""


class Meter(msgspec.Struct, frozen=True, kw_only=True):
    """What the sensors were compared with."""

    source: str
    device: str
    boundary: Boundary
    gain_low: float
    gain_high: float


class HostProfile(msgspec.Struct, frozen=True, kw_only=True):
    """The fits of one host, and the stretches they were made from."""

    version: int
    host: HostId
    made: str
    """UTC date and time, ISO 8601."""
    meter: Meter
    sensors: Fit | None
    """Meter against the measured sensors; None where only the estimate could be had."""
    estimate: Fit | None
    """Meter against the uncalibrated CPU estimate."""
    stretches: dict[str, tuple[Stretch, ...]]
    """By `sensors` and `estimate`."""


def roots() -> tuple[Path, Path]:
    """Where /proc and /sys are: moved by $PERWATT_PROC_ROOT and $PERWATT_SYS_ROOT, to emulate."""
    return (
        Path(os.environ.get(PROC_VARIABLE) or "/proc"),
        Path(os.environ.get(SYS_VARIABLE) or "/sys"),
    )


def identity(
    proc: Path | None = None, sysfs: Path | None = None, etc: Path = Path("/etc")
) -> HostId:
    """This host. A machine without an id (none but odd containers) is known by its node name."""
    proc, sysfs = proc or roots()[0], sysfs or roots()[1]
    machine = _text(etc / "machine-id") or platform.node()
    cpuinfo = _text(proc / "cpuinfo") or ""
    names = (line.partition(":")[2].strip() for line in cpuinfo.splitlines() if "odel name" in line)
    dmi = sysfs / "class/dmi/id"
    bios = [_text(dmi / name) for name in ("bios_vendor", "bios_version", "bios_date")]
    return HostId(
        machine=hashlib.blake2s(machine.encode(), key=b"perwatt host profile").hexdigest()[:32],
        cpu=next(names, platform.machine()),
        kernel=_text(proc / "sys/kernel/osrelease") or platform.release(),
        bios=" ".join(part for part in bios if part) or None,
    )


def path_for(host: HostId) -> Path:
    """Where this host's profile is kept."""
    named = os.environ.get(PATH_VARIABLE)
    if named:
        return Path(named)
    data = os.environ.get("XDG_DATA_HOME") or Path.home() / ".local/share"
    return Path(data) / "perwatt" / "hosts" / f"{host.machine}.json"


def save(profile: HostProfile, path: Path) -> None:
    """Write atomically: a reader sees the old profile or the new one. Raises FileError."""
    text = msgspec.json.format(msgspec.json.encode(profile), indent=2)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        scratch = Path(name)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(text + b"\n")
                file.flush()
                os.fsync(file.fileno())
            scratch.replace(path)
        finally:
            scratch.unlink(missing_ok=True)
    except OSError as error:
        msg = f"The host profile {path} cannot be written: {error.strerror or error}."
        raise FileError(msg, f"Name a file that can be, in ${PATH_VARIABLE}.") from None


def load(path: Path, host: HostId) -> HostProfile | None:
    """The profile, or None where there is none.

    Raises FileError for one that is damaged, or was made on another host, CPU, kernel or BIOS.
    """
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        msg = f"The host profile {path} cannot be read: {error.strerror or error}."
        raise FileError(msg, f"Make it readable, or name another in ${PATH_VARIABLE}.") from None
    again = "Calibrate again: perwatt calibrate --meter …"
    try:
        profile = msgspec.json.decode(data, type=HostProfile)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        msg = f"The host profile {path} is damaged: {error}."
        raise FileError(msg, again) from None
    if profile.version != VERSION:
        msg = f"The host profile {path} is of version {profile.version}, not {VERSION}."
        raise FileError(msg, again)
    for field, what in (
        ("machine", "host"),
        ("cpu", "CPU"),
        ("kernel", "kernel"),
        ("bios", "BIOS"),
    ):
        was, now = getattr(profile.host, field), getattr(host, field)
        if was != now:
            than = "" if field == "machine" else f": {was or 'none'}, and now {now or 'none'}"
            msg = f"The host profile {path} was made on another {what}{than}."
            raise FileError(msg, again)
    if any(fit is not None and not _sound(fit) for fit in (profile.sensors, profile.estimate)):
        msg = f"The host profile {path} is damaged: its interval does not hold its own value."
        raise FileError(msg, again)
    return profile


def wall_from(profile: HostProfile, sensors_j: float, seconds: float) -> tuple[float, float, float]:
    """(value, low, high) of the meter's joules where the sensors read `sensors_j` in `seconds`.

    `sensors_j` is the sum over the domains that were calibrated (`profile.sensors.domains`, or
    those of `profile.estimate` where no sensor was measured). A 95% interval, which holds the
    line's doubt, the scatter about it and the meter's gain. Raises SpecError for a window or joules
    that cannot be, or a profile without a fit.
    """
    line = profile.sensors or profile.estimate
    if line is None:
        msg = "This host profile holds no fit."
        raise SpecError(msg, "Calibrate again: perwatt calibrate --meter …")
    if not seconds > 0 or not sensors_j >= 0:
        msg = f"{sensors_j} J in {seconds} s is no reading."
        raise SpecError(msg, "Give joules of 0 or more and seconds above 0.")
    value, low, high = predict(line, sensors_j / seconds)
    return value * seconds, low * seconds, high * seconds


def _sound(fit: Fit) -> bool:
    return fit.b_low <= fit.b <= fit.b_high and fit.a_low_w <= fit.a_w <= fit.a_high_w


def _text(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip() or None
    except OSError:
        return None
