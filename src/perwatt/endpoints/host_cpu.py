"""The processors that an embedded engine may use."""

from __future__ import annotations

import os
import platform
from pathlib import Path

__all__ = ["cpu_name", "physical_cores"]

_SYS = Path("/sys/devices/system/cpu")
_QUOTA = Path("/sys/fs/cgroup/cpu.max")


def cpu_name(cpuinfo: Path = Path("/proc/cpuinfo")) -> str | None:
    """The processor's model name; None where the platform does not tell."""
    try:
        for line in cpuinfo.read_text(encoding="utf-8", errors="replace").splitlines():
            name, _, value = line.partition(":")
            if name.strip() == "model name":
                return value.strip()
    except OSError:
        pass
    return platform.processor() or None


def physical_cores(sys: Path = _SYS, quota: Path = _QUOTA) -> int:
    """Cores this process may run on, hardware threads counted once, within a container's quota.

    More threads than that make llama.cpp slower: they share one core's arithmetic units.
    """
    allowed = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else None
    cpus = allowed or set(range(os.cpu_count() or 1))
    cores: set[str] = set()
    for cpu in cpus:
        try:
            cores.add((sys / f"cpu{cpu}/topology/thread_siblings_list").read_text("ascii").strip())
        except OSError:
            cores.add(f"cpu{cpu}")
    limit = _quota(quota)
    return max(1, min(len(cores), limit) if limit else len(cores))


def _quota(path: Path) -> int | None:
    """Whole CPUs that cgroup v2 grants; None where it sets no limit."""
    try:
        share, period = path.read_text("ascii").split()
        return max(1, int(share) // int(period))
    except (OSError, ValueError):  # "max" is no number: no limit
        return None
