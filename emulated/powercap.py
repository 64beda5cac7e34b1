"""A powercap tree as Linux shows it for RAPL, in ordinary files, over known true joules.

The layout is the kernel's: zones nested under /sys/devices/virtual/powercap, links to each of them
in /sys/class/powercap. So is the arithmetic (drivers/powercap/intel_rapl_common.c): a counter of 32
bits in units of the chip, read as `raw × unit_nj // 1000` microjoules, which starts again from 0.

    tree = VirtualPowercap(folder, [EmulatedZone("package-0", t_ns, joules, tick_s=0.02)])
    os.environ["PERWATT_POWERCAP_ROOT"] = str(tree.root)
    tree.at(t_ns)  # or: with tree.running(): ...  (see emulated.sysfs)
"""

from __future__ import annotations

import math
import os
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from emulated.sysfs import LiveFile, LiveTree, Span, within

__all__ = ["AMD_UNIT_NJ", "INTEL_UNIT_NJ", "EmulatedZone", "VirtualPowercap", "amd", "intel"]

INTEL_UNIT_NJ = 61_035
"""2⁻¹⁴ J as the kernel keeps it: cut to whole nanojoules, 2.6 ppm low."""
AMD_UNIT_NJ = 15_258
"""2⁻¹⁶ J, cut likewise."""

Knots = tuple[Sequence[int] | NDArray[np.int64], Sequence[float] | NDArray[np.float64]]
"""Times in nanoseconds and the true joules up to each, both rising."""


@dataclass(frozen=True, eq=False)
class EmulatedZone:
    """One zone: its truth, how its counter shows it, and what goes wrong with it, when."""

    name: str
    """As in the kernel's `name` file: `package-0`, `core`, `dram`, `psys`."""
    knots_t_ns: Sequence[int] | NDArray[np.int64] = (0,)
    knots_j: Sequence[float] | NDArray[np.float64] = (0.0,)
    """True cumulative joules at `knots_t_ns`: linear between, level outside."""
    tick_s: float = 0.001
    """The counter moves only at multiples of this, counted from `phase_s`. 0: continuously."""
    phase_s: float = 0.0
    lag_s: float = 0.0
    """It shows the joules of so long ago."""
    gain: float = 1.0
    """Shown over true joules."""
    unit_nj: int = INTEL_UNIT_NJ
    range_units: int = 2**32
    """It starts again from 0 after so many units."""
    start_units: int = 0
    """What it shows at the first knot."""
    mode: int = 0o444
    """Of energy_uj. The kernel's own is 0o400 since 5.10."""
    limits_uw: tuple[tuple[str, int, int], ...] = ()
    """Constraints: (name, power_limit_uw, max_power_uw). AMD zones have none."""
    control: str = "intel-rapl"
    """Control type: AMD's zones are `intel-rapl` too; `intel-rapl-mmio` lists a package again."""
    children: tuple[EmulatedZone, ...] = ()
    frozen_ns: Span | None = None
    """The counter stands still, and jumps to where it should be at the end."""
    reset_ns: int | None = None
    """The counter starts from 0 here."""
    zero_ns: Span | None = None
    """It reads 0."""
    missing_ns: Span | None = None
    """energy_uj is gone: reads fail with ENOENT."""
    garbage_ns: Span | None = None
    """energy_uj is empty, as when the kernel returns nothing."""

    @property
    def max_range_uj(self) -> int:
        """What max_energy_range_uj says: one unit less than the counter's real period."""
        return (self.range_units - 1) * self.unit_nj // 1000

    def true_j(self, t_ns: int) -> float:
        """True joules since the first knot."""
        t, joules = self._knots
        return float(np.interp(t_ns, t, joules)) - float(joules[0])

    def energy_uj(self, t_ns: int) -> int | None:
        """What a read at `t_ns` gives; None where it fails. Never 0 for a failure."""
        if within(self.missing_ns, t_ns) or within(self.garbage_ns, t_ns):
            return None
        if within(self.zero_ns, t_ns):
            return 0
        if self.frozen_ns is not None and within(self.frozen_ns, t_ns):
            t_ns = self.frozen_ns[0]
        raw = self.start_units + self._units(t_ns)
        if self.reset_ns is not None and t_ns >= self.reset_ns:
            raw = self._units(t_ns) - self._units(self.reset_ns)
        return raw % self.range_units * self.unit_nj // 1000

    @cached_property
    def _knots(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        # Exact: times below 2⁵³ ns are 104 days of uptime.
        return np.asarray(self.knots_t_ns, float), np.asarray(self.knots_j, float)

    def _units(self, t_ns: int) -> int:
        if self.tick_s:
            tick_ns, phase_ns = round(self.tick_s * 1e9), round(self.phase_s * 1e9)
            t_ns = (t_ns - phase_ns) // tick_ns * tick_ns + phase_ns
        shown_j = self.gain * self.true_j(t_ns - round(self.lag_s * 1e9))
        return math.floor(shown_j * 1e9 / self.unit_nj)


class VirtualPowercap(LiveTree):
    """The tree under `folder`. `root` is its /sys/class/powercap."""

    def __init__(self, folder: Path, zones: Sequence[EmulatedZone]) -> None:
        """Makes every file, as at the first knot of each zone. Raises OSError."""
        super().__init__()
        self.root = folder / "class" / "powercap"
        self._devices = folder / "devices" / "virtual" / "powercap"
        self.zones = tuple(zones)
        self._placed: list[tuple[EmulatedZone, Path]] = []
        self.root.mkdir(parents=True)
        self._devices.mkdir(parents=True)
        count: dict[str, int] = {}
        for zone in zones:
            control = self._devices / zone.control
            if zone.control not in count:
                control.mkdir()
                self._link(control)
                count[zone.control] = 0
            self._place(zone, control / f"{zone.control}:{count[zone.control]}")
            count[zone.control] += 1
        self.at(min((int(zone.knots_t_ns[0]) for zone in zones), default=0))

    @property
    def tick_ns(self) -> int:
        ticks = [round(zone.tick_s * 1e9) for zone, _ in self._placed if zone.tick_s]
        return min(ticks, default=1_000_000)

    def files(self, t_ns: int) -> Iterator[LiveFile]:
        for zone, folder in self._placed:
            value = zone.energy_uj(t_ns)
            text = None if value is None else str(value)
            if value is None and not within(zone.missing_ns, t_ns):
                text = ""
            yield LiveFile(folder / "energy_uj", text, zone.mode)

    def path(self, name: str, control: str = "intel-rapl") -> Path:
        """Folder of the first zone of that name, such as `package-0` or `dram`."""
        return next(p for z, p in self._placed if z.name == name and p.name.startswith(control))

    def mask(self) -> None:
        """Hide the zones as container engines do: an empty folder over the devices' own."""
        for control in list(self._devices.iterdir()):
            shutil.rmtree(control)
        self._placed.clear()
        self.forget()

    def _link(self, folder: Path) -> None:
        (self.root / folder.name).symlink_to(os.path.relpath(folder, self.root))

    def _place(self, zone: EmulatedZone, folder: Path) -> None:
        folder.mkdir()
        files = {
            "name": zone.name,
            "enabled": "1",
            "max_energy_range_uj": str(zone.max_range_uj),
        }
        for number, (name, limit_uw, most_uw) in enumerate(zone.limits_uw):
            files[f"constraint_{number}_name"] = name
            files[f"constraint_{number}_power_limit_uw"] = str(limit_uw)
            files[f"constraint_{number}_max_power_uw"] = str(most_uw)
            files[f"constraint_{number}_time_window_us"] = "999424"
        for file, text in files.items():
            (folder / file).write_text(f"{text}\n", encoding="ascii")
        self._link(folder)
        self._placed.append((zone, folder))
        for number, child in enumerate(zone.children):
            self._place(child, folder / f"{folder.name}:{number}")


def intel(
    package: Knots,
    *,
    dram: Knots | None = None,
    core: Knots | None = None,
    uncore: Knots | None = None,
    socket: int = 0,
    tdp_w: float = 125.0,
    tick_s: float = 0.001,
) -> EmulatedZone:
    """A socket as Intel's parts show it: sub-zones for those given, memory in finer units."""
    inner = [
        EmulatedZone(name, *knots, tick_s=tick_s, unit_nj=unit_nj)
        for name, knots, unit_nj in (
            ("core", core, INTEL_UNIT_NJ),
            ("uncore", uncore, INTEL_UNIT_NJ),
            ("dram", dram, 15_300),
        )
        if knots is not None
    ]
    limit_uw = round(tdp_w * 1e6)
    return EmulatedZone(
        f"package-{socket}",
        *package,
        tick_s=tick_s,
        limits_uw=(("long_term", limit_uw, limit_uw), ("short_term", limit_uw * 2, 0)),
        children=tuple(inner),
    )


def amd(
    package: Knots, *, core: Knots | None = None, socket: int = 0, tick_s: float = 0.001
) -> EmulatedZone:
    """A socket as AMD's parts show it: finer units, no memory, no limits, `core` of one core."""
    inner: tuple[EmulatedZone, ...] = ()
    if core is not None:
        inner = (EmulatedZone("core", *core, tick_s=tick_s, unit_nj=AMD_UNIT_NJ),)
    return EmulatedZone(
        f"package-{socket}", *package, tick_s=tick_s, unit_nj=AMD_UNIT_NJ, children=inner
    )
