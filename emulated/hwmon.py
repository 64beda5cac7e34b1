"""A /sys/class/hwmon as Linux shows it, over known true joules: counters, gauges, INA3221 rails.

    chip = EmulatedChip("amd_energy", [EmulatedChannel("energy", t_ns, joules, label="Esocket0")])
    tree = VirtualHwmon(folder, [chip])
    os.environ["PERWATT_HWMON_ROOT"] = str(tree.root)
    tree.at(t_ns)  # or: with tree.running(): ...  (see emulated.sysfs)

Units are hwmon's (Documentation/hwmon/sysfs-interface.rst): microjoules, microwatts, millivolts and
milliamperes.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from emulated.sysfs import LiveFile, LiveTree, Span, within

__all__ = ["EmulatedChannel", "EmulatedChip", "VirtualHwmon"]


@dataclass(frozen=True, eq=False)
class EmulatedChannel:
    """One measured quantity: its truth, and how its files show it."""

    kind: Literal["energy", "power", "average", "rail"]
    """`energyN_input`; `powerN_input`; `powerN_average`; `inN_input` with `currN_input`."""
    knots_t_ns: Sequence[int] | NDArray[np.int64] = (0,)
    knots_j: Sequence[float] | NDArray[np.float64] = (0.0,)
    """True cumulative joules at `knots_t_ns`: linear between, level outside."""
    label: str | None = None
    number: int = 1
    tick_s: float = 0.1
    """Its value changes only at multiples of this."""
    window_s: float = 0.001
    """A gauge is the mean over so long before its tick."""
    gain: float = 1.0
    step: int = 1
    """Values are cut to multiples of this, in the file's unit; of a rail, its milliamperes."""
    millivolts: int = 5000
    mode: int = 0o444
    missing_ns: Span | None = None
    """Its files are gone: reads fail with ENOENT."""

    def true_j(self, t_ns: int) -> float:
        """True joules since the first knot."""
        t, joules = self._knots
        return float(np.interp(t_ns, t, joules)) - float(joules[0])

    def power_w(self, t_ns: int) -> float:
        """What a gauge means to show at `t_ns`, before its unit is cut."""
        t_ns, window_ns = self._ticked(t_ns), round(self.window_s * 1e9)
        joules = self.true_j(t_ns) - self.true_j(t_ns - window_ns)
        return self.gain * joules / self.window_s

    def values(self, t_ns: int) -> dict[str, str | None]:
        """File name → what it holds."""
        n = self.number
        if self.kind == "energy":
            shown = {f"energy{n}_input": self.gain * self.true_j(self._ticked(t_ns)) * 1e6}
        elif self.kind == "rail":
            milliamperes = self.power_w(t_ns) / self.millivolts * 1e6
            shown = {f"curr{n}_input": milliamperes}
        else:
            suffix = "input" if self.kind == "power" else "average"
            shown = {f"power{n}_{suffix}": self.power_w(t_ns) * 1e6}
        # Rounded first, or a whole number that floating point makes 0.9999999 would lose a step.
        cut = {
            name: math.floor(round(value / self.step, 6)) * self.step
            for name, value in shown.items()
        }
        if self.kind == "rail":
            cut[f"in{n}_input"] = self.millivolts
        gone = within(self.missing_ns, t_ns)
        return {name: None if gone else str(value) for name, value in cut.items()}

    def labels(self) -> dict[str, str]:
        """Files that never change."""
        prefix = {"energy": "energy", "rail": "in"}.get(self.kind, "power")
        named = {} if self.label is None else {f"{prefix}{self.number}_label": self.label}
        if self.kind == "average":
            named[f"power{self.number}_average_interval"] = str(round(self.window_s * 1e3))
        return named

    @cached_property
    def _knots(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        return np.asarray(self.knots_t_ns, float), np.asarray(self.knots_j, float)

    def _ticked(self, t_ns: int) -> int:
        tick_ns = round(self.tick_s * 1e9)
        return t_ns // tick_ns * tick_ns if tick_ns else t_ns


@dataclass(frozen=True, eq=False)
class EmulatedChip:
    """One hwmon device."""

    name: str
    channels: Sequence[EmulatedChannel] = ()
    files: Mapping[str, str] = field(default_factory=dict)
    """More that never changes: `{"power1_oem_info": …, "device/gpu_busy_percent": "37"}`."""
    device: str | None = None
    """Name of its device's folder: of a GPU its PCI address, `0000:03:00.0`."""
    legacy: bool = False
    """Its attributes are in `device/`, as of drivers that use the old registration."""


class VirtualHwmon(LiveTree):
    """hwmon0, hwmon1 … under `folder`. `root` is its /sys/class/hwmon."""

    def __init__(self, folder: Path, chips: Sequence[EmulatedChip]) -> None:
        """Makes every file, as at the first knot of all. Raises OSError."""
        super().__init__()
        self.root = folder / "class" / "hwmon"
        self.root.mkdir(parents=True)
        self._placed: list[tuple[EmulatedChannel, Path]] = []
        for index, chip in enumerate(chips):
            device = folder / "devices" / (chip.device or f"{chip.name}.{index}")
            entry = device / "hwmon" / f"hwmon{index}"
            entry.mkdir(parents=True)
            (entry / "device").symlink_to("../..")
            (self.root / entry.name).symlink_to(os.path.relpath(entry, self.root))
            own = device if chip.legacy else entry
            fixed = {"name": chip.name, **chip.files}
            for channel in chip.channels:
                fixed |= channel.labels()
                self._placed.append((channel, own))
            for name, text in fixed.items():
                (own / name).write_text(f"{text}\n", encoding="utf-8")
        self.at(min((int(c.knots_t_ns[0]) for c, _ in self._placed), default=0))

    @property
    def tick_ns(self) -> int:
        ticks = [round(c.tick_s * 1e9) for c, _ in self._placed if c.tick_s]
        return min(ticks, default=1_000_000)

    def files(self, t_ns: int) -> Iterator[LiveFile]:
        for channel, folder in self._placed:
            for name, text in channel.values(t_ns).items():
                yield LiveFile(folder / name, text, channel.mode)

    def folder(self, index: int) -> Path:
        """Where hwmon<index> keeps its files."""
        return self.root / f"hwmon{index}"
