"""What a run tells whoever watches it. The runner formats nothing; cli and report do."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

__all__ = ["EnergyFound", "Event", "Listener", "Note", "Progress", "Stage"]


class EnergyFound(msgspec.Struct, frozen=True):
    """Which sensors, which grade: the first line of any output."""

    line: str


class Stage(msgspec.Struct, frozen=True):
    """A stretch that a person waits for: an engine starts, idle is measured, tables are written."""

    text: str


class Note(msgspec.Struct, frozen=True):
    """Something to know that stops nothing."""

    text: str


class Progress(msgspec.Struct, frozen=True):
    """Sent about once a second under load, and when a pair's stretch ends."""

    pair_id: str
    done: int
    total: int
    """Items of the whole sitting, all pairs; an estimate where a time limit decides."""
    failed: int
    power_w: float | None
    """Over the last second, over the run's boundary."""
    rate_per_s: float | None
    """Requests finished per second of load so far."""
    eta_s: float | None


Event = EnergyFound | Stage | Note | Progress
Listener = Callable[[Event], None]
