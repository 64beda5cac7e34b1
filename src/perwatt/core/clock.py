"""One clock. Every mark of a run is monotonic nanoseconds; wall time is stored once per session.

`CLOCK_MONOTONIC` counts from boot on Linux, so marks of two processes on one boot compare directly,
and a session started after a reboot is shifted by the wall clock (`ClockAnchor.shift_to`).
"""

from __future__ import annotations

import time
from pathlib import Path

import msgspec

__all__ = ["ClockAnchor", "anchor_now", "now_ns", "seconds"]

now_ns = time.monotonic_ns


def seconds(start_ns: int, end_ns: int) -> float:
    """Seconds from one mark to another."""
    return (end_ns - start_ns) / 1e9


class ClockAnchor(msgspec.Struct, frozen=True, kw_only=True):
    """Ties the monotonic clock of one boot to wall time."""

    monotonic_ns: int
    wall_ns: int
    """Unix time in nanoseconds at `monotonic_ns`."""
    boot_id: str | None
    """The kernel's id of this boot; None where the platform has none."""

    def shift_to(self, first: ClockAnchor) -> int:
        """Nanoseconds to add to this session's marks to lie on `first`'s monotonic line."""
        if self.boot_id is not None and self.boot_id == first.boot_id:
            return 0
        return (self.wall_ns - self.monotonic_ns) - (first.wall_ns - first.monotonic_ns)

    def wall_s(self, mark_ns: int) -> float:
        """Unix seconds of a monotonic mark."""
        return (self.wall_ns + mark_ns - self.monotonic_ns) / 1e9


def anchor_now() -> ClockAnchor:
    """Read both clocks, the wall clock between two monotonic reads, and take the middle."""
    before = time.monotonic_ns()
    wall = time.time_ns()
    after = time.monotonic_ns()
    return ClockAnchor(monotonic_ns=(before + after) // 2, wall_ns=wall, boot_id=_boot_id())


def _boot_id() -> str | None:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return None
