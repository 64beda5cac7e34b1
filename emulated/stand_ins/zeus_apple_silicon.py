"""A stand-in for the package `zeus-apple-silicon`, whose native part is built for macOS alone.

It has that package's names (version 1.1.0), and counts along the trace in $EMULATED_APPLE: JSON
with `t_ns`, and for each field that the emulated chip has its true joules there. Whole millijoules,
since boot.
"""

from __future__ import annotations

import bisect
import json
import os
import time
from pathlib import Path


class AppleEnergyMetrics:
    """Millijoules; None where the chip has no such channel."""

    def __init__(self) -> None:
        self.cpu_total_mj: int | None = None
        self.gpu_mj: int | None = None
        self.gpu_sram_mj: int | None = None
        self.ane_mj: int | None = None
        self.dram_mj: int | None = None


class AppleEnergyMonitor:
    """Raises RuntimeError where the counters cannot be subscribed to, as the package does."""

    def __init__(self) -> None:
        if "EMULATED_APPLE" not in os.environ:
            msg = "Failed to create IOReport subscription."
            raise RuntimeError(msg)

    def get_cumulative_energy(self) -> AppleEnergyMetrics:
        trace = json.loads(Path(os.environ["EMULATED_APPLE"]).read_text(encoding="utf-8"))
        if "error" in trace:
            raise ValueError(trace["error"])
        metrics = AppleEnergyMetrics()
        for field, joules in trace["joules"].items():
            setattr(metrics, field, int(1e3 * _at(trace["t_ns"], joules, time.monotonic_ns())))
        return metrics


def _at(t_ns: list[int], joules: list[float], now_ns: int) -> float:
    after = min(max(bisect.bisect_right(t_ns, now_ns), 1), len(t_ns) - 1)
    share = (now_ns - t_ns[after - 1]) / (t_ns[after] - t_ns[after - 1])
    return joules[after - 1] + share * (joules[after] - joules[after - 1])
