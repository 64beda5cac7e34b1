"""What the power figure shows: stretches of time without gaps, watts per domain, request lanes."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from perwatt.report.rows import Row, column

__all__ = ["Buckets", "Ticks", "bucketed", "joules_until", "lanes", "power_ticks", "stretches"]

Floats = NDArray[np.float64]

LONGEST_GAP_S = 10.0
GAP_SHARE = 0.05
"""A pause longer than both is cut out of the time axis."""


class Ticks(msgspec.Struct, frozen=True, kw_only=True):
    """Mean watts from one reading of a domain to the next; arrays of shape (t,), by time."""

    domain: str
    source: str
    start_ns: NDArray[np.int64]
    end_ns: NDArray[np.int64]
    power_w: Floats


class Buckets(msgspec.Struct, frozen=True, kw_only=True):
    """Ticks brought to the figure's resolution; arrays of shape (b,), NaN where none was read.

    The mean is exact in energy: joules of the bucket ÷ the seconds of it that were read. `low` and
    `high` are the least and greatest tick in it, so that nothing is smoothed away.
    """

    mean_w: Floats
    low_w: Floats
    high_w: Floats


def power_ticks(power: Mapping[str, list[Any]]) -> list[Ticks]:
    """One entry per domain. Joules of a counter where it has one, else a gauge's mean watts.

    A failed or flagged reading leaves a hole: it is never bridged.
    """
    length = len(power.get("t_ns", []))
    names = ("domain", "session", "t_ns", "counter_j", "power_w", "source", "flag")
    columns = [column(power, name, length) for name in names]
    series: dict[str, list[tuple[Any, ...]]] = defaultdict(list)
    for row in zip(*columns, strict=True):
        series[str(row[0])].append(row[1:])
    return [_ticks(domain, rows) for domain, rows in sorted(series.items())]


def _ticks(domain: str, rows: list[tuple[Any, ...]]) -> Ticks:
    rows.sort(key=lambda row: row[1])
    found: list[tuple[int, int, float]] = []
    for before, after in pairwise(rows):
        if before[0] != after[0] or after[1] <= before[1] or after[5] or before[5]:
            continue
        seconds = (after[1] - before[1]) / 1e9
        if before[2] is not None and after[2] is not None:
            watts = (after[2] - before[2]) / seconds
        elif before[3] is not None and after[3] is not None:
            watts = (before[3] + after[3]) / 2
        else:
            continue
        found.append((before[1], after[1], watts))
    return Ticks(
        domain=domain,
        source=next((str(row[4]) for row in rows if row[4]), ""),
        start_ns=np.array([f[0] for f in found], dtype=np.int64),
        end_ns=np.array([f[1] for f in found], dtype=np.int64),
        power_w=np.array([f[2] for f in found], dtype=np.float64),
    )


def stretches(rows: Sequence[Row], ticks: Iterable[Ticks]) -> list[tuple[int, int]]:
    """[start_ns, end_ns] of each stretch in which something was seen, in order.

    Between two of them lies a pause, such as from an interrupted session to the one that resumed.
    """
    spans = [(row.dispatched_ns, max(row.last_chunk_ns, row.dispatched_ns + 1)) for row in rows]
    for series in ticks:
        spans += zip(series.start_ns.tolist(), series.end_ns.tolist(), strict=True)
    if not spans:
        return []
    spans.sort()
    merged = [list(spans[0])]
    for start, end in spans[1:]:
        if start <= merged[-1][1]:
            merged[-1][1] = max(merged[-1][1], end)
        else:
            merged.append([start, end])
    seen_s = sum(end - start for start, end in merged) / 1e9
    longest_ns = max(LONGEST_GAP_S, GAP_SHARE * seen_s) * 1e9
    joined = [merged[0]]
    for start, end in merged[1:]:
        if start - joined[-1][1] > longest_ns:
            joined.append([start, end])
        else:
            joined[-1][1] = end
    return [(start, end) for start, end in joined]


def bucketed(ticks: Ticks, edges_ns: NDArray[np.int64]) -> Buckets:
    """Ticks in the buckets between `edges_ns`, shape (b+1,), rising. Ticks must not overlap."""
    count = len(edges_ns) - 1
    low, high = np.full(count, np.inf), np.full(count, -np.inf)
    if len(ticks.power_w) == 0:
        nothing = np.full(count, np.nan)
        return Buckets(mean_w=nothing, low_w=nothing, high_w=nothing)
    start, end = (a.astype(np.float64) for a in (ticks.start_ns, ticks.end_ns))
    marks = np.column_stack([start, end]).ravel()
    covered = np.column_stack([np.zeros_like(start), end - start]).ravel().cumsum()
    edges = edges_ns.astype(np.float64)
    seen = np.diff(np.interp(edges, marks, covered))
    joules = np.diff(joules_until(ticks, edges_ns)) * 1e9
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = np.where(seen > 0, joules / seen, np.nan)
    for side, at in (("right", ticks.start_ns), ("left", ticks.end_ns)):
        index = np.searchsorted(edges_ns, at, side="right" if side == "right" else "left") - 1
        inside = (index >= 0) & (index < count)
        np.minimum.at(low, index[inside], ticks.power_w[inside])
        np.maximum.at(high, index[inside], ticks.power_w[inside])
    return Buckets(
        mean_w=mean,
        low_w=np.where(np.isnan(mean), np.nan, np.minimum(low, mean)),
        high_w=np.where(np.isnan(mean), np.nan, np.maximum(high, mean)),
    )


def joules_until(ticks: Ticks, at_ns: NDArray[np.int64]) -> Floats:
    """Joules read from the first tick to each mark, shape (m,); what was not read adds nothing."""
    if len(ticks.power_w) == 0:
        return np.zeros(len(at_ns))
    start, end = (a.astype(np.float64) for a in (ticks.start_ns, ticks.end_ns))
    marks = np.column_stack([start, end]).ravel()
    steps = np.column_stack([np.zeros_like(start), (end - start) * ticks.power_w])
    found: Floats = np.interp(at_ns.astype(np.float64), marks, steps.ravel().cumsum()) / 1e9
    return found


def lanes(rows: Sequence[Row]) -> list[int]:
    """A lane for each request (in order of dispatch), so that none overlaps another in its lane."""
    free_at: list[int] = []
    found = []
    for row in rows:
        lane = next((n for n, t in enumerate(free_at) if t <= row.dispatched_ns), len(free_at))
        if lane == len(free_at):
            free_at.append(0)
        free_at[lane] = row.last_chunk_ns
        found.append(lane)
    return found
