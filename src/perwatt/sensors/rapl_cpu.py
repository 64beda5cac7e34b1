"""What the processor says that bears on RAPL: its maker, its name, and filtered counters."""

from __future__ import annotations

import os
from pathlib import Path

import msgspec

__all__ = ["Cpu", "cpu"]

MISC_PACKAGE_CTLS = 0xBC
"""IA32_MISC_PACKAGE_CTLS; bit 0 is ENERGY_FILTERING_ENABLE (Intel SDM volume 4, table 2-2)."""


class Cpu(msgspec.Struct, frozen=True):
    """As /proc/cpuinfo and, where it can be read, a register have it."""

    name: str
    amd: bool
    filtered: str | None
    """Why its counters are, or may be, blurred on purpose; None: no sign of it."""


def cpu(proc: Path = Path("/proc"), msr: Path = Path("/dev/cpu/0/msr")) -> Cpu:
    """`proc`: where /proc is; `msr`: the first processor's registers, readable by root alone."""
    fields: dict[str, str] = {}
    try:
        text = (proc / "cpuinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        text = ""
    for line in text.splitlines():
        key, colon, value = line.partition(":")
        if colon:
            fields.setdefault(key.strip(), value.strip())
    vendor = fields.get("vendor_id", "")
    filtered = None
    if vendor == "GenuineIntel":
        # Intel INTEL-SA-00389 (CVE-2020-8694, -8695): with SGX or the register's bit on, the
        # counters are filtered, and Intel warns of short windows up to 50% off.
        if _filtering_on(msr):
            filtered = "energy filtering is on, so that short windows may be up to 50% off"
        elif "sgx" in fields.get("flags", "").split():
            filtered = "SGX is on, so that Intel may filter: short windows may be up to 50% off"
    return Cpu(
        name=fields.get("model name") or "CPU",
        amd=vendor in {"AuthenticAMD", "HygonGenuine"},
        filtered=filtered,
    )


def _filtering_on(msr: Path) -> bool:
    try:
        descriptor = os.open(msr, os.O_RDONLY)
    except OSError:
        return False
    try:
        register = os.pread(descriptor, 8, MISC_PACKAGE_CTLS)
    except OSError:  # the processor has no such register
        return False
    finally:
        os.close(descriptor)
    return len(register) == 8 and bool(register[0] & 1)
