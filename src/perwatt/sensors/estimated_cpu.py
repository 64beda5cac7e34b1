"""The CPU's part of the estimate: package watts from load and a power curve.

P = rated × (idle + (full − idle) × load^exponent), with rated watts from the CPU's family. The
constants were fitted to RAPL watts of five hosts of two vendors at 5 to 100% load
(mlco2/codecarbon at b05965e4, MIT, data/hardware/cpu_load_profiling) by
benchmarks/cpu_power_curve.py, which prints them.
"""

from __future__ import annotations

import math
from collections import deque
from pathlib import Path

from perwatt.core.clock import now_ns
from perwatt.core.errors import SensorUnavailableError
from perwatt.core.records import Domain, Reading
from perwatt.sensors.cpu_parts import CpuId, Rating, identify, rating
from perwatt.sensors.estimated_line import Line

__all__ = ["CpuEstimate", "gain", "power_w"]

IDLE_SHARE = 0.0035
"""Median of the hosts' RAPL watts below 5% load: a package asleep, which neighbours prevent."""
FULL_SHARE = 0.86
EXPONENT = 0.88
CURVE_GAIN = (0.36, 2.36)
"""95% of truth/estimate on hosts left out of the fit. Five hosts are few: see docs/sensors.md."""

JIFFY_S = 0.01
"""USER_HZ is 100 on every Linux that has /proc/stat in this form (man 5 proc_stat)."""
SPAN_NS = 40_000_000
"""Load is worked out over at least the last four jiffies, or it would be all or nothing."""


class CpuEstimate:
    """`package-0`, all sockets together, and what a calibrated line makes of it.

    `line` replaces the package's watts where it was fitted to a meter of the package, and adds
    a domain where the meter saw the whole host. `remark` is appended to the package's note.
    """

    def __init__(self, proc: Path, line: Line | None = None, remark: str = "") -> None:
        self._proc = proc
        self._line = line
        self._remark = remark
        self._cpu: CpuId | None = None
        self._rated_w = 0.0
        self._joules: dict[str, float] = {}
        self._marks: deque[tuple[int, int]] = deque()

    def probe(self) -> list[Domain]:
        """Raises SensorUnavailableError where there is no /proc/stat (macOS, Windows)."""
        try:
            cpu = identify((self._proc / "cpuinfo").read_text(encoding="utf-8", errors="replace"))
            mark = self._busy()
        except (OSError, ValueError, IndexError):
            msg = f"CPU load cannot be told: {self._proc}/stat and cpuinfo are not those of Linux."
            raise SensorUnavailableError(msg, "Estimates are made on Linux only for now.") from None
        part = rating(cpu)
        self._rated_w = part.middle_w * cpu.threads
        if self._cpu is None:  # probing again must not start the counter over
            self._cpu = cpu
            self._marks.append(mark)
        low, high = gain(part)
        package = Domain(
            name="package-0",
            kind="counter",
            boundary="package",
            source="estimated",
            grade="D",
            device=f"{cpu.name} ({cpu.threads} threads)",
            max_power_w=round(power_w(self._rated_w, 1.0), 3),
            gain_low=low,
            gain_high=high,
            note=_note(cpu, part, self._rated_w) + self._remark,
        )
        domains = [package] if self._line is None else self._line.apply(package)
        for domain in domains:
            self._joules.setdefault(domain.name, 0.0)
        return domains

    def read(self) -> list[Reading]:
        """/proc/stat is read once. A failed read is an error for each domain."""
        try:
            t_ns, busy = self._busy()
        except (OSError, ValueError, IndexError) as error:
            at = now_ns()
            return [Reading(domain=name, t_ns=at, error=str(error)) for name in self._joules]
        cpu = self._cpu
        if cpu is None:
            return []
        seconds = (t_ns - self._marks[-1][0]) / 1e9
        while len(self._marks) > 1 and t_ns - self._marks[1][0] >= SPAN_NS:
            self._marks.popleft()
        before_ns, busy_before = self._marks[0]
        most = (t_ns - before_ns) / 1e9 / JIFFY_S * cpu.threads
        # Jiffies are coarse: over a short span they can say more than the machine has.
        load = min(max(busy - busy_before, 0) / most, 1.0) if most else 0.0
        self._marks.append((t_ns, busy))
        curve_w = power_w(self._rated_w, load)
        readings = []
        for name in self._joules:
            watts = curve_w if self._line is None else self._line.watts(name, curve_w)
            self._joules[name] += watts * seconds
            readings.append(
                Reading(
                    domain=name,
                    t_ns=t_ns,
                    counter_j=self._joules[name],
                    power_w=watts,
                    utilization=load,
                )
            )
        return readings

    def _busy(self) -> tuple[int, int]:
        """(now, jiffies of work since boot). Waiting for disks and time stolen are no work here."""
        before = now_ns()
        first = (self._proc / "stat").read_text(encoding="ascii").split("\n", 1)[0]
        at = (before + now_ns()) // 2
        user, nice, system, _idle, _iowait, irq, softirq = map(int, first.split()[1:8])
        return at, user + nice + system + irq + softirq


def power_w(rated_w: float, load: float) -> float:
    """Watts at a load of 0 to 1."""
    return rated_w * (IDLE_SHARE + (FULL_SHARE - IDLE_SHARE) * math.pow(load, EXPONENT))


def gain(part: Rating) -> tuple[float, float]:
    """95% range of truth over estimate: the curve's error and the unknown part's, as factors."""
    low = math.hypot(math.log(CURVE_GAIN[0]), math.log(part.low_w / part.middle_w))
    high = math.hypot(math.log(CURVE_GAIN[1]), math.log(part.high_w / part.middle_w))
    return round(math.exp(-low), 2), round(math.exp(high), 2)


def _note(cpu: CpuId, part: Rating, rated_w: float) -> str:
    where = "this guest's vCPUs as threads of a shared socket" if cpu.guest else "all its threads"
    return (
        f"Guessed: {part.middle_w:g} W rated per thread ({part.family}: {part.low_w:g} to "
        f"{part.high_w:g}), {rated_w:.3g} W for {where}, and the curve from load to watts; memory, "
        "boards, fans and power supply are not in it."
    )
