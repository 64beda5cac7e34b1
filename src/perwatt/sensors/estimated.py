"""Grade D: joules guessed where nothing can be read, always with a wide range.

| part | domain | from |
|---|---|---|
| `cpu` | `package-0` | load and a power curve (estimated_cpu); `soc` on Apple silicon |
| `dram` | `dram-0` | gigabytes installed (memory_parts) |
| `gpu` | `gpu0` … | utilization and specifications (accelerator_parts) |

The address picks parts: `estimated:cpu,dram`. Without one, all that can be told, save accelerators
whose watts can be read. A host that was calibrated (`perwatt calibrate`) has its own line in place
of the curve's wide range; the address `estimated:uncalibrated` leaves it out.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from perwatt.core.clock import now_ns
from perwatt.core.errors import FileError, SensorUnavailableError, UnknownNameError
from perwatt.core.records import Domain, Reading
from perwatt.sensors.cpu_parts import identify
from perwatt.sensors.estimated_cpu import CpuEstimate
from perwatt.sensors.estimated_gpus import AcceleratorEstimate, apple_soc, visible
from perwatt.sensors.estimated_line import Line
from perwatt.sensors.host_profile import HostProfile, identity, load, path_for, roots
from perwatt.sensors.memory_parts import MEMORY, installed_bytes

__all__ = ["EstimatedSensor"]

PARTS = ("cpu", "dram", "gpu")
UNCALIBRATED = "uncalibrated"


class _Part(Protocol):
    def probe(self) -> list[Domain]: ...
    def read(self) -> list[Reading]: ...


class EstimatedSensor:
    """Counters of guessed joules, integrated since they were probed."""

    def __init__(
        self, address: str = "", *, proc: Path | None = None, sysfs: Path | None = None
    ) -> None:
        """`address`: parts joined by commas. Raises UnknownNameError for one that is none."""
        words = [word.strip() for word in address.split(",") if word.strip()]
        for word in words:
            if word not in (*PARTS, UNCALIBRATED):
                raise UnknownNameError("part of the estimate", word, (*PARTS, UNCALIBRATED))
        self._calibrated = UNCALIBRATED not in words
        self._asked = [word for word in words if word != UNCALIBRATED]
        self._proc, self._sys = proc or roots()[0], sysfs or roots()[1]
        self._parts: list[_Part] = []

    def probe(self) -> Sequence[Domain]:
        """Raises SensorUnavailableError where a part asked for, or every part, cannot be told."""
        if self._parts:  # probing again must not start the counters over
            return [domain for part in self._parts for domain in part.probe()]
        found: list[tuple[_Part, list[Domain]]] = []
        failed: list[SensorUnavailableError] = []
        for word in self._asked or PARTS:
            try:
                made = self._make(word)
                found += [(part, part.probe()) for part in made]
            except SensorUnavailableError as error:
                if self._asked:
                    raise
                failed.append(error)
        if not found:
            raise failed[0]
        self._parts = [part for part, _ in found]  # at once, since a sampler may be reading
        return [domain for _, domains in found for domain in domains]

    def read(self) -> Sequence[Reading]:
        return [reading for part in self._parts for reading in part.read()]

    def close(self) -> None:
        """Nothing is held open but NVML, which ends with the process."""

    def _make(self, word: str) -> Sequence[_Part]:
        if word == "cpu":
            return self._cpu()
        if word == "dram":
            return [_Memory(self._proc)]
        return self._gpus()

    def _cpu(self) -> Sequence[_Part]:
        if not (self._proc / "stat").exists():
            soc = apple_soc()
            if soc is not None and soc.part is not None:
                return [AcceleratorEstimate(soc, soc.part, "soc")]
        if not self._calibrated:
            return [CpuEstimate(self._proc)]
        host = identity(self._proc, self._sys)
        try:
            profile = load(path_for(host), host)
        except FileError as error:  # the guess goes on without it, and says so
            return [CpuEstimate(self._proc, None, f" Not calibrated: {error}")]
        return [CpuEstimate(self._proc, _line(profile))]

    def _gpus(self) -> Sequence[_Part]:
        seen = visible(self._proc, self._sys)
        if not seen:
            msg = (
                f"No accelerator is listed in {self._proc}/driver/nvidia or {self._sys}/class/drm."
            )
            raise SensorUnavailableError(msg, "Load its driver, or leave `gpu` out.")
        chosen = [gpu for gpu in seen if self._asked or not gpu.metered]
        known = [AcceleratorEstimate(gpu, gpu.part) for gpu in chosen if gpu.part is not None]
        if chosen and len(known) < len(chosen) and (self._asked or not known):
            names = ", ".join(gpu.name for gpu in chosen if gpu.part is None)
            msg = f"What {names} is rated at is not known here."
            raise SensorUnavailableError(msg, "Use a sensor that reads it: see `perwatt doctor`.")
        return known


class _Memory:
    """`dram-0`: all memory installed, at constant watts; a guest's own memory alone."""

    def __init__(self, proc: Path) -> None:
        self._proc = proc
        self._power_w = 0.0
        self._start_ns: int | None = None

    def probe(self) -> list[Domain]:
        try:
            total = installed_bytes((self._proc / "meminfo").read_text(encoding="ascii"))
            cpuinfo = (self._proc / "cpuinfo").read_text(encoding="utf-8", errors="replace")
        except (OSError, ValueError):
            msg = f"Installed memory cannot be told: {self._proc}/meminfo is not that of Linux."
            raise SensorUnavailableError(msg, "Estimates are made on Linux only for now.") from None
        gigabytes = total / 1e9
        self._power_w = MEMORY.middle_w * gigabytes
        if self._start_ns is None:
            self._start_ns = now_ns()
        guest = identify(cpuinfo).guest
        whose = f"this guest's {gigabytes:.3g} GB" if guest else f"{gigabytes:.3g} GB installed"
        return [
            Domain(
                name="dram-0",
                kind="counter",
                boundary="package",
                source="estimated",
                grade="D",
                device=f"memory ({gigabytes:.3g} GB)",
                max_power_w=round(MEMORY.high_w * gigabytes, 3),
                gain_low=round(MEMORY.low_w / MEMORY.middle_w, 2),
                gain_high=round(MEMORY.high_w / MEMORY.middle_w, 2),
                note=(
                    f"Guessed: {MEMORY.middle_w:g} W per GB ({MEMORY.low_w:g} to "
                    f"{MEMORY.high_w:g}), {self._power_w:.3g} W for {whose}, "
                    "the same at any load; not in the package's joules."
                ),
            )
        ]

    def read(self) -> list[Reading]:
        t_ns = now_ns()
        if self._start_ns is None:
            return []
        joules = self._power_w * (t_ns - self._start_ns) / 1e9
        return [Reading(domain="dram-0", t_ns=t_ns, counter_j=joules, power_w=self._power_w)]


def _line(profile: HostProfile | None) -> Line | None:
    if profile is None or profile.estimate is None or profile.meter.boundary == "accelerator":
        return None
    meter = profile.meter
    label = f"Calibrated {profile.made[:10]} against {meter.source} ({meter.device})."
    return Line(profile.estimate, meter.boundary, label)
