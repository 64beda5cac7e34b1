"""What a CPU is rated at, per hardware thread, from its family alone.

Facts: thermal design power over threads, of the most and least frugal common parts of each family.
The powers are those listed in CodeCarbon's cpu_power.csv (mlco2/codecarbon at b05965e4, MIT) and on
the vendors' product pages; threads are the vendors'. A guest is told the family, seldom the part.
"""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["CpuId", "Rating", "identify", "rating"]


class CpuId(NamedTuple):
    """From /proc/cpuinfo."""

    vendor: str
    family: int
    model: int
    name: str
    threads: int
    """Threads this system sees; in a guest, its vCPUs."""
    guest: bool
    """A hypervisor is underneath."""


class Rating(NamedTuple):
    """Rated watts per thread: a middle, and the range of the family's parts."""

    family: str
    low_w: float
    middle_w: float
    high_w: float


# vendor, family, first and last model → family name, W/thread: low (part), middle, high (part)
_FAMILIES: tuple[tuple[str, int, int, int, Rating], ...] = (
    # EPYC 7601 180/64, 7251 120/16
    ("AuthenticAMD", 23, 0x01, 0x01, Rating("EPYC 7001 or Ryzen 1000", 2.5, 3.8, 7.5)),
    # EPYC 7742 225/128, 7302 155/32
    ("AuthenticAMD", 23, 0x31, 0x31, Rating("EPYC 7002", 1.7, 2.4, 4.9)),
    # EPYC 7713 225/128, 7763 280/128, 7343 190/32
    ("AuthenticAMD", 25, 0x00, 0x0F, Rating("EPYC 7003", 1.7, 2.4, 6.0)),
    # EPYC 9654 360/192, 9354 280/64, 9124 200/32
    ("AuthenticAMD", 25, 0x10, 0x1F, Rating("EPYC 9004", 1.8, 3.2, 6.3)),
    # EPYC 9754 360/256, 8534P 200/128, 8024P 90/16
    ("AuthenticAMD", 25, 0xA0, 0xAF, Rating("EPYC 97x4 or 8004", 1.4, 1.9, 5.7)),
    # EPYC 9965 500/384, 9655 400/192, 9335 210/64
    ("AuthenticAMD", 26, 0x00, 0x1F, Rating("EPYC 9005", 1.3, 2.2, 4.5)),
    # Xeon E5-2620 v3 85/12
    ("GenuineIntel", 6, 63, 63, Rating("Xeon E5 v3", 3.6, 5.0, 7.1)),
    # Xeon E5-2686 v4 145/36, E5-2620 v4 85/16
    ("GenuineIntel", 6, 79, 79, Rating("Xeon E5 v4", 3.3, 4.1, 5.4)),
    # Xeon Platinum 8280 205/56, 8175M 240/48, Silver 4210 85/20
    ("GenuineIntel", 6, 85, 85, Rating("Xeon Scalable 1st or 2nd", 3.4, 4.3, 6.3)),
    # Xeon Platinum 8380 270/80, 8358 250/64, Silver 4310 120/24
    ("GenuineIntel", 6, 106, 106, Rating("Xeon Scalable 3rd", 3.3, 3.8, 5.6)),
    # Xeon Platinum 8480+ 350/112, Silver 4410Y 150/24
    ("GenuineIntel", 6, 143, 143, Rating("Xeon Scalable 4th", 3.1, 3.6, 6.3)),
    # Xeon Platinum 8592+ 350/128
    ("GenuineIntel", 6, 207, 207, Rating("Xeon Scalable 5th", 2.7, 3.1, 6.0)),
    # Xeon 6980P 500/256
    ("GenuineIntel", 6, 173, 173, Rating("Xeon 6 P-core", 1.9, 2.4, 4.5)),
)
# Xeon E3-1240 v2 69/8; EPYC 9754 360/256
_SERVER = Rating("a server CPU", 1.3, 3.2, 8.7)
# N100 6/4; Core i7-1165G7 28/8; Ryzen 9 5950X 105/32; Threadripper 1950X 180/32; Core i9-13900K
# 125/32 rated, 253/32 as it ships
_CLIENT = Rating("a laptop or desktop CPU", 1.5, 3.6, 8.7)
_ARM = Rating("an Arm CPU", 0.8, 2.2, 4.0)
_UNKNOWN = Rating("an unknown CPU", 0.8, 2.6, 8.7)


def rating(cpu: CpuId) -> Rating:
    """The family's rating; a class of CPUs, with a wider range, where the family is not listed."""
    server = any(word in cpu.name for word in ("EPYC", "Xeon"))
    if server or cpu.guest:
        for vendor, family, first, last, found in _FAMILIES:
            if (cpu.vendor, cpu.family) == (vendor, family) and first <= cpu.model <= last:
                return found
    if server:
        return _SERVER
    if cpu.vendor == "arm":
        return _ARM
    if cpu.vendor in {"GenuineIntel", "AuthenticAMD"}:
        return _SERVER if cpu.guest else _CLIENT
    return _UNKNOWN


def identify(cpuinfo: str) -> CpuId:
    """Read the text of /proc/cpuinfo. Unknown fields are empty or 0."""
    first: dict[str, str] = {}
    threads = 0
    for line in cpuinfo.splitlines():
        key, colon, value = line.partition(":")
        if colon:
            key = key.strip()
            threads += key == "processor"
            first.setdefault(key, value.strip())
    arm = "CPU implementer" in first
    return CpuId(
        vendor="arm" if arm else first.get("vendor_id", ""),
        family=_int(first.get("cpu family")),
        model=_int(first.get("model")),
        name=first.get("model name") or first.get("Model") or ("Arm CPU" if arm else "CPU"),
        threads=max(threads, 1),
        guest="hypervisor" in first.get("flags", "").split(),
    )


def _int(text: str | None) -> int:
    return int(text) if text is not None and text.isdigit() else 0
