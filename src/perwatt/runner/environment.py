"""The fingerprint of the machine and the software, saved in run.json beside the numbers."""

from __future__ import annotations

import hashlib
import os
import platform
import uuid
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

__all__ = ["fingerprint"]

_PACKAGES = ("xllamacpp", "gguf", "httptools", "uvloop", "numpy", "duckdb", "nvidia-ml-py")


def fingerprint() -> dict[str, Any]:
    """What a reader needs to judge whether two runs compare. Names no user, host or path."""
    cpu = _cpuinfo()
    return {
        "host": _host(),
        "cpu": cpu.get("model name") or platform.processor() or platform.machine(),
        "cpus": os.cpu_count(),
        "cpus_usable": _usable_cpus(),
        "memory_bytes": _memory_bytes(),
        "hypervisor": "hypervisor" in cpu.get("flags", "").split() if cpu else None,
        "container": _container(),
        "governor": _read("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor"),
        "load_average_1min": os.getloadavg()[0] if hasattr(os, "getloadavg") else None,
        "os": platform.platform(terse=True),
        "kernel": platform.release(),
        "machine": platform.machine(),
        "python": platform.python_version(),
        "packages": {name: found for name in _PACKAGES if (found := _version(name))},
    }


def _host() -> str | None:
    """Tells two machines of one type apart without naming either; None where nothing can.

    A hash over the machine's random id (128 bits, so that it cannot be found by trying) and, since
    copied disks share one, its network card. The same sensors on the same host err alike.
    """
    machine = _read("/etc/machine-id")
    if not machine:
        return None
    card = uuid.getnode()
    if card >> 40 & 1:  # no card was found, and Python made an address up
        card = 0
    return hashlib.sha256(f"perwatt host\n{machine}\n{card}".encode()).hexdigest()[:12]


def _cpuinfo() -> dict[str, str]:
    text = _read("/proc/cpuinfo") or ""
    first = text.split("\n\n", 1)[0]
    pairs = (line.partition(":") for line in first.splitlines())
    return {key.strip(): value.strip() for key, _, value in pairs}


def _usable_cpus() -> int | None:
    if hasattr(os, "sched_getaffinity"):  # Linux
        return len(os.sched_getaffinity(0))
    return os.cpu_count()


def _memory_bytes() -> int | None:
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (ValueError, OSError, AttributeError):
        return None


def _container() -> str | None:
    if Path("/.dockerenv").exists():
        return "docker"
    if Path("/run/.containerenv").exists():
        return "podman"
    return None


def _read(path: str) -> str | None:
    try:
        return Path(path).read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return None


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
