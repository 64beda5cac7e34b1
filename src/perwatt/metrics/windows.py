"""Which requests and which seconds count for speed.

A stage may begin with a warm-up and end with a cool-down. Its counted time is
[`counted_from_ns`, `counted_to_ns`] of its load phase; where one of them is None, it is the first
dispatch or the last chunk. A request *due* in it counts for times. What *came* in it counts for
rates: a rate over requests due would be the offered one, not the served one, under too much load.
Accuracy and energy take no part in this: they are of every request.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

from perwatt.core.records import Columns
from perwatt.stats.sample import Floats

__all__ = ["OUTSIDE", "Counted", "counted", "marks_s", "outside"]

OUTSIDE = frozenset({"warmup", "cooldown"})
"""Flags of requests that are not part of speed figures."""


def outside(
    due_ns: int, from_ns: int | None, to_ns: int | None
) -> Literal["warmup", "cooldown"] | None:
    """Where a request due then falls; None: it counts."""
    if from_ns is not None and due_ns < from_ns:
        return "warmup"
    if to_ns is not None and due_ns > to_ns:
        return "cooldown"
    return None


class Counted(msgspec.Struct, frozen=True):
    """Arrays (r,), one entry for each request."""

    due: NDArray[np.bool_]
    """Was it due in the counted time?"""
    ended: NDArray[np.bool_]
    """Did its last chunk come in it?"""
    came: Floats
    """Share of its chunks that came in it, 0 to 1; where no chunk was marked, whether it ended."""
    overlap_s: Floats
    """Seconds of it in flight."""
    wall_s: Floats
    """Its share of the counted seconds, in proportion to `overlap_s`: they sum to `window_s`."""
    window_s: float
    """Counted seconds of all load phases together."""


def counted(requests: Columns) -> Counted:
    """`requests` may carry `counted_from_ns` and `counted_to_ns`, those of each one's phase."""
    dispatched, last, due = (
        marks_s(requests, name) for name in ("dispatched_ns", "last_chunk_ns", "scheduled_ns")
    )
    due = np.where(np.isnan(due), dispatched, due)
    start, end = marks_s(requests, "counted_from_ns"), marks_s(requests, "counted_to_ns")
    window_s = 0.0
    for rows in _phases(requests):
        opens, closes = start[rows[0]], end[rows[0]]
        opens = float(np.min(dispatched[rows])) if np.isnan(opens) else float(opens)
        closes = float(np.max(last[rows])) if np.isnan(closes) else float(closes)
        start[rows], end[rows] = opens, closes
        window_s += max(closes - opens, 0.0)
    # A warm-up alone leaves the end open, and the other way round.
    after = np.isnan(marks_s(requests, "counted_from_ns")) | (due >= start)
    before = np.isnan(marks_s(requests, "counted_to_ns")) | (due <= end)
    ended = (last >= start) & (last <= end)
    overlap_s = np.maximum(np.minimum(last, end) - np.maximum(dispatched, start), 0.0)
    total = float(np.sum(overlap_s))
    return Counted(
        due=after & before,
        ended=ended,
        came=_came(requests, dispatched, start, end, ended),
        overlap_s=overlap_s,
        wall_s=overlap_s * (window_s / total) if total > 0 else np.zeros_like(overlap_s),
        window_s=window_s,
    )


def marks_s(requests: Columns, name: str) -> Floats:
    """Seconds since the earliest dispatch: nanoseconds since boot would lose digits as floats."""
    origin = min((t for t in requests["dispatched_ns"] if t is not None), default=0)
    marks = requests.get(name) or [None] * len(requests["status"])
    return np.array([np.nan if t is None else (t - origin) / 1e9 for t in marks], dtype=np.float64)


def _phases(requests: Columns) -> list[list[int]]:
    """Rows of each load phase."""
    rows_of: dict[Any, list[int]] = {}
    phases = requests.get("phase_id") or [None] * len(requests["status"])
    for row, phase in enumerate(phases):
        rows_of.setdefault(phase, []).append(row)
    return list(rows_of.values())


def _came(
    requests: Columns, dispatched: Floats, start: Floats, end: Floats, ended: NDArray[np.bool_]
) -> Floats:
    shares = ended.astype(np.float64)
    offsets = requests.get("chunk_offsets_ns") or [None] * len(shares)
    cut = np.flatnonzero(dispatched < start) if len(shares) else np.empty(0, dtype=np.int64)
    for row in {*cut.tolist(), *np.flatnonzero(~ended).tolist()}:
        if marks := offsets[row]:
            at = dispatched[row] + np.array(marks, dtype=np.float64) / 1e9
            shares[row] = float(np.mean((at >= start[row]) & (at <= end[row])))
    return shares
