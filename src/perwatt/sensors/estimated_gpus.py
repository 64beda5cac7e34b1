"""Accelerators that can be seen but whose watts cannot be read, and how busy each of them is."""

from __future__ import annotations

import math
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from perwatt.core.clock import now_ns
from perwatt.core.records import Boundary, Domain, Reading
from perwatt.sensors.accelerator_parts import (
    Accelerator,
    active_w,
    amd,
    apple,
    gain,
    idle_w,
    nvidia,
)

__all__ = ["AcceleratorEstimate", "Visible", "apple_soc", "visible"]

AMD_VENDOR = 0x1002


class Visible(NamedTuple):
    """One accelerator, as the system shows it."""

    number: int
    """0 and up, in the order of the list."""
    name: str
    """As the system calls it."""
    part: Accelerator | None
    """None: not among the parts known."""
    metered: bool
    """Its watts or joules can be read, so an estimate is wanted only when asked for."""
    busy: Callable[[], float | None] | None
    """Utilization now, 0 to 1; None: it cannot be read."""


class AcceleratorEstimate:
    """A counter of guessed joules: idle + u × (active − idle), or the middle of idle and rated."""

    def __init__(self, seen: Visible, part: Accelerator, domain: str = "", note: str = "") -> None:
        self._seen = seen
        self._part = part
        self._domain = domain or f"gpu{seen.number}"
        self._boundary: Boundary = "package" if domain == "soc" else "accelerator"
        self._note = note
        self._energy_j = 0.0
        self._last_ns: int | None = None

    def probe(self) -> list[Domain]:
        part = self._part
        idle = idle_w(part)
        if self._last_ns is None:
            self._last_ns = now_ns()
        if self._seen.busy is None:
            middle = self._watts(None)
            low, high = round(idle[0] / middle, 2), round(part.rated_w / middle, 2)
            how = f"anywhere from {idle[0]:.3g} W idle to {part.rated_w:g} W rated"
            how += ", since its utilization cannot be read"
        else:
            low, high = gain(part)
            how = f"{idle[1]:.3g} W idle ({idle[0]:.3g} to {idle[2]:.3g}) to "
            how += f"{active_w(part, 1.0):.3g} W busy of {part.rated_w:g} W rated, by utilization"
        return [
            Domain(
                name=self._domain,
                kind="counter",
                boundary=self._boundary,
                source="estimated",
                grade="D",
                device=self._seen.name,
                max_power_w=part.rated_w,
                gain_low=low,
                gain_high=high,
                note=f"Guessed from the specifications of {part.name}: {how}.{self._note}",
            )
        ]

    def read(self) -> list[Reading]:
        busy = None if self._seen.busy is None else self._seen.busy()
        t_ns = now_ns()
        if self._seen.busy is not None and busy is None:
            return [Reading(domain=self._domain, t_ns=t_ns, error="its utilization was not read")]
        watts = self._watts(busy)
        if self._last_ns is not None:
            self._energy_j += watts * (t_ns - self._last_ns) / 1e9
        self._last_ns = t_ns
        return [
            Reading(
                domain=self._domain,
                t_ns=t_ns,
                counter_j=self._energy_j,
                power_w=watts,
                utilization=busy,
            )
        ]

    def _watts(self, busy: float | None) -> float:
        if busy is None:
            return math.sqrt(idle_w(self._part)[0] * self._part.rated_w)
        return active_w(self._part, busy)


def visible(proc: Path, sysfs: Path) -> list[Visible]:
    """NVIDIA's by the driver's list, then AMD's by sysfs, numbered in that order."""
    found: list[Visible] = []
    for folder in sorted((proc / "driver/nvidia/gpus").glob("*")):
        model = _nvidia_model(folder)
        if model is not None:
            metered, busy = _nvml(folder.name)
            found.append(Visible(len(found), model, nvidia(model), metered, busy))
    cards = [c for c in (sysfs / "class/drm").glob("card*") if c.name[4:].isdigit()]
    for card in sorted(cards, key=lambda c: int(c.name[4:])):
        device = card / "device"
        if _number(device / "vendor", 16) != AMD_VENDOR:
            continue
        code = _number(device / "device", 16) or 0
        part = amd(code)
        cap_uw = next((_number(p) for p in device.glob("hwmon/hwmon*/power1_cap")), None)
        if part is not None and cap_uw:
            part = part._replace(rated_w=cap_uw / 1e6)
        sources = ("power1_average", "power1_input", "energy1_input")
        metered = any(
            _number(path) is not None
            for name in sources
            for path in device.glob(f"hwmon/hwmon*/{name}")
        )
        name = f"AMD {part.name}" if part else f"AMD GPU 0x{code:04x}"
        found.append(Visible(len(found), name, part, metered, _amd_busy(device)))
    return found


def apple_soc() -> Visible | None:
    """The chip of a Mac, by sysctl; None elsewhere."""
    try:
        done = subprocess.run(
            ["sysctl", "-n", "machdep.cpu.brand_string"],
            capture_output=True,
            text=True,
            timeout=2,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    brand = done.stdout.strip()
    return Visible(0, brand, apple(brand), False, None) if brand.startswith("Apple") else None


def _amd_busy(device: Path) -> Callable[[], float | None] | None:
    path = device / "gpu_busy_percent"

    def busy() -> float | None:
        percent = _number(path)
        return None if percent is None or not 0 <= percent <= 100 else percent / 100

    return None if busy() is None else busy


def _nvidia_model(folder: Path) -> str | None:
    try:
        text = (folder / "information").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    lines = (line.partition(":") for line in text.splitlines())
    return next((value.strip() for key, _, value in lines if key.strip() == "Model"), None)


def _nvml(bus_id: str) -> tuple[bool, Callable[[], float | None] | None]:
    """(its watts can be read, how busy it is) as NVML has it; a virtual GPU often tells load alone.

    NVML stays open: the load is asked for again and again.
    """
    try:
        import pynvml  # type: ignore[import-untyped,unused-ignore]

        pynvml.nvmlInit()
        device: Any = pynvml.nvmlDeviceGetHandleByPciBusId(bus_id.encode())
    except Exception:  # no package, no library, no such device: all mean that NVML says nothing
        return False, None

    def answers(question: Callable[[Any], Any]) -> bool:
        try:
            question(device)
        except pynvml.NVMLError:
            return False
        return True

    def busy() -> float | None:
        try:
            return float(pynvml.nvmlDeviceGetUtilizationRates(device).gpu) / 100
        except pynvml.NVMLError:
            return None

    questions = (pynvml.nvmlDeviceGetTotalEnergyConsumption, pynvml.nvmlDeviceGetPowerUsage)
    return any(answers(q) for q in questions), None if busy() is None else busy


def _number(path: Path, base: int = 10) -> int | None:
    try:
        return int(path.read_text(encoding="ascii").strip(), base)
    except (OSError, ValueError):
        return None
