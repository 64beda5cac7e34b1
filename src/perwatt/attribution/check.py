"""Does it add up? The conservation test every ledger must pass."""

from __future__ import annotations

from typing import Protocol

__all__ = ["TOLERANCE", "Totals", "residual"]

TOLERANCE = 1e-9
"""Relative to the device's joules: rounding, and nothing else."""


class Totals(Protocol):
    """A ledger's sums, in joules."""

    @property
    def device_j(self) -> float: ...
    @property
    def requests_j(self) -> float: ...
    @property
    def idle_j(self) -> float: ...
    @property
    def unattributed_j(self) -> float: ...


def residual(totals: Totals) -> float:
    """(requests + idle + unattributed − device) / device; the bare difference where device is 0."""
    parts = totals.requests_j + totals.idle_j + totals.unattributed_j
    difference = parts - totals.device_j
    return difference / abs(totals.device_j) if totals.device_j else difference
