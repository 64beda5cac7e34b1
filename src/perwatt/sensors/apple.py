"""Apple silicon: joules of CPU, GPU, neural engine and memory, and watts of the whole Mac. No sudo.

`zeus-apple-silicon`, a small native library, reads macOS's IOReport "Energy Model" counters (mJ).
Apple calls them estimates: they follow from load, clocks and voltages, and an idle chip shows
almost nothing. The system management controller's PSTR is a measurement of all that the Mac draws.
"""

from __future__ import annotations

import importlib
import math
import platform
import subprocess
import sys
from collections.abc import Sequence
from typing import Any

from perwatt.core.clock import now_ns
from perwatt.core.errors import SensorUnavailableError
from perwatt.core.records import Domain, Reading
from perwatt.sensors.apple_smc import IOKIT, Smc, SmcError

__all__ = ["AppleSensor"]

PARTS = {
    "cpu": ("cpu_total_mj", "CPU cores and their caches"),
    "gpu": ("gpu_mj", "the GPU of the chip; its SRAM has a channel of its own on some"),
    "ane": ("ane_mj", "the neural engine"),
    "dram": ("dram_mj", "the memory"),
}
"""Domain → attribute of AppleEnergyMetrics, and what is in it."""
MODEL_GAIN = (0.7, 1.3)
"""A judgement: macOS's manual of powermetrics says only that such values may be inaccurate."""
SYSTEM = "system"
SYSTEM_KEY = "PSTR"
SYSTEM_GAIN = (0.85, 1.15)
"""A judgement: Apple states none."""


class AppleSensor:
    """Counters `cpu`, `gpu`, `ane`, `dram` (package) and the gauge `system`."""

    def __init__(self, address: str | None = None, *, iokit: str = IOKIT) -> None:
        """`address`: only these domains, as in `cpu,gpu`. `iokit`: what has IOKit's symbols."""
        self._address = address
        self._iokit = iokit
        self._monitor: Any = None
        self._smc: Smc | None = None
        self._parts: tuple[str, ...] = ()
        self._whole = False

    def probe(self) -> Sequence[Domain]:
        """What this chip tells: an M1 has no memory channel.

        Raises SensorUnavailableError: another system, no library, or nothing told.
        """
        smc_said = self._open_smc()
        missing: SensorUnavailableError | None = None
        told: dict[str, int] = {}
        try:
            told = self._energy_mj()
        except SensorUnavailableError as error:
            missing = error
        if missing is not None and self._smc is None:
            raise missing
        if not told and self._smc is None:
            msg = f"This chip tells no energy, and {smc_said}."
            raise SensorUnavailableError(msg, "See that `sudo powermetrics` shows power here.")
        chip = _chip()
        more = [f"this chip has no channel for {name}" for name in PARTS if name not in told]
        if self._smc is None:
            more.append(f"the whole Mac's power is not told: {smc_said}")
        domains = [_part(name, chip, more) for name in told]
        if self._smc is not None:
            note = "all that the Mac draws, as its management controller reports it"
            if missing is not None:
                note += f"; parts of the chip are not told apart: {missing.message}"
            domains.append(
                Domain(
                    name=SYSTEM,
                    kind="gauge",
                    boundary="system",
                    source="apple",
                    grade="C",
                    device=chip,
                    gain_low=SYSTEM_GAIN[0],
                    gain_high=SYSTEM_GAIN[1],
                    covers=tuple(told),
                    note=note,
                )
            )
        domains = self._wanted(domains)
        names = [domain.name for domain in domains]
        self._whole = SYSTEM in names
        self._parts = tuple(name for name in names if name != SYSTEM)
        return domains

    def read(self) -> Sequence[Reading]:
        readings = self._read_parts() if self._parts else []
        if self._whole and self._smc is not None:
            readings.append(_system(self._smc))
        return readings

    def close(self) -> None:
        if self._smc is not None:
            self._smc.close()
        self._monitor, self._smc, self._parts = None, None, ()

    def _wanted(self, domains: list[Domain]) -> list[Domain]:
        if not self._address:
            return domains
        known = {domain.name: domain for domain in domains}
        wanted = [name.strip() for name in self._address.split(",")]
        for name in wanted:
            if name not in known:
                msg = f"apple:{self._address} names {name!r}, which this Mac does not tell."
                raise SensorUnavailableError(msg, f"It tells: {', '.join(known)}.")
        return [known[name] for name in dict.fromkeys(wanted)]

    def _open_smc(self) -> str:
        """Why system power cannot be read; empty where it can."""
        if self._smc is None:
            try:
                smc = Smc(self._iokit)
            except SmcError as error:
                return str(error)
            try:
                smc.number(SYSTEM_KEY)
            except SmcError as error:
                smc.close()
                return str(error)
            self._smc = smc
        return ""

    def _energy_mj(self) -> dict[str, int]:
        """Domain → millijoules, of the channels that the chip has."""
        if self._monitor is None:
            self._monitor = _monitor()
        try:
            metrics = self._monitor.get_cumulative_energy()
        except (RuntimeError, ValueError) as error:
            msg = f"macOS's energy counters cannot be read: {error}."
            raise SensorUnavailableError(msg, "Update zeus-apple-silicon for this chip.") from None
        values = {name: getattr(metrics, attribute, None) for name, (attribute, _) in PARTS.items()}
        return {name: value for name, value in values.items() if value is not None}

    def _read_parts(self) -> list[Reading]:
        before = now_ns()
        try:
            told = self._energy_mj()
        except SensorUnavailableError as error:
            at = now_ns()
            return [Reading(domain=n, t_ns=at, error=error.message) for n in self._parts]
        t_ns = (before + now_ns()) // 2
        return [
            Reading(domain=name, t_ns=t_ns, counter_j=told[name] / 1e3)
            if name in told
            else Reading(domain=name, t_ns=t_ns, error="its channel is gone")
            for name in self._parts
        ]


def _part(name: str, chip: str, more: Sequence[str]) -> Domain:
    what = f"{PARTS[name][1]}; macOS's estimate from load and clocks, no measurement"
    return Domain(
        name=name,
        kind="counter",
        boundary="package",
        source="apple",
        grade="B",
        device=chip,
        gain_low=MODEL_GAIN[0],
        gain_high=MODEL_GAIN[1],
        note="; ".join((what, *more)),
    )


def _system(smc: Smc) -> Reading:
    before = now_ns()
    try:
        watts = smc.number(SYSTEM_KEY)
    except SmcError as error:
        return Reading(domain=SYSTEM, t_ns=now_ns(), error=str(error))
    t_ns = (before + now_ns()) // 2
    if not math.isfinite(watts):
        return Reading(domain=SYSTEM, t_ns=t_ns, error=f"{SYSTEM_KEY} is {watts}")
    return Reading(domain=SYSTEM, t_ns=t_ns, power_w=watts)


def _monitor() -> Any:
    try:
        library = importlib.import_module("zeus_apple_silicon")
    except ImportError:
        if (sys.platform, platform.machine()) != ("darwin", "arm64"):
            msg = "The sensor apple needs macOS on Apple silicon."
            raise SensorUnavailableError(msg, "On this machine another sensor serves.") from None
        msg = "Apple's energy counters need the package zeus-apple-silicon, which is not installed."
        raise SensorUnavailableError(msg, "Run: pip install 'perwatt[apple]'") from None
    try:
        return library.AppleEnergyMonitor()
    except RuntimeError as error:
        msg = f"macOS's energy counters cannot be read: {error}."
        raise SensorUnavailableError(msg, "Update zeus-apple-silicon for this chip.") from None


def _chip() -> str:
    command = ["/usr/sbin/sysctl", "-n", "machdep.cpu.brand_string"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=5, check=True)
    except (OSError, subprocess.SubprocessError):
        return "Apple silicon"
    return done.stdout.strip() or "Apple silicon"
