"""What installed memory draws, in watts per gigabyte.

Low: 0.03, idle desktop DDR4, where 64 GB more added under 1.5 W at the wall (GreenAlgorithms issue
14, github.com/GreenAlgorithms/green-algorithms-tool). High: 0.45, above the two coefficients in
use, 0.3725 W/GB (Lannelongue et al. 2021, doi 10.1002/advs.202100707) and 0.392 W/GB (Cloud Carbon
Footprint, from Crucial's and Micron's figures for 8 GB modules of 3 W). A module draws watts rather
than each of its gigabytes, so the large modules of servers lie between: 5 W for 32 GB is 0.16.
"""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["MEMORY", "MemoryRating", "installed_bytes"]


class MemoryRating(NamedTuple):
    """Watts for each gigabyte (1e9 bytes) installed, used or not: a middle and a 95% range."""

    low_w: float
    middle_w: float
    high_w: float


MEMORY = MemoryRating(0.03, 0.12, 0.45)
"""The middle is the geometric one."""


def installed_bytes(meminfo: str) -> int:
    """MemTotal of /proc/meminfo. Raises ValueError where there is none."""
    for line in meminfo.splitlines():
        key, _, value = line.partition(":")
        if key == "MemTotal":
            number, _, unit = value.strip().partition(" ")
            if unit == "kB":
                return int(number) * 1024
    msg = "meminfo holds no MemTotal in kB"
    raise ValueError(msg)
