"""The served requests that other tools' formulas start from, and the shape of what comes out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np

from perwatt.core.estimate import Estimate
from perwatt.core.records import Columns
from perwatt.metrics.speed_columns import numbers
from perwatt.metrics.windows import counted, marks_s
from perwatt.stats.sample import Floats

__all__ = ["Served", "figure", "linear", "served"]


class Served(msgspec.Struct, frozen=True):
    """Arrays (r,) over served requests that count for speed. Seconds; NaN: not known."""

    ttft_s: Floats
    answer_s: Floats
    """To the first chunk that is not reasoning."""
    second_s: Floats
    """From the first chunk to the second."""
    latency_s: Floats
    tokens: Floats
    """As the server counts them; where it does not, chunks, as these tools do."""
    prompt_tokens: Floats
    gaps_s: Floats
    """(g,) between chunks, pooled."""
    span_s: float
    """From the first of them to be sent to the last chunk of any, in each load phase, summed."""


def served(requests: Columns) -> Served:
    """Raises nothing: with no request served all arrays are empty."""
    ok = np.array([status == "ok" for status in requests["status"]], dtype=bool)
    ok &= counted(requests).due
    rows = np.flatnonzero(ok)
    start, first, answer, last = (
        marks_s(requests, f"{name}_ns")[rows]
        for name in ("dispatched", "first_chunk", "first_answer", "last_chunk")
    )
    offsets = requests.get("chunk_offsets_ns") or [None] * len(ok)
    chunks = [np.array(offsets[row] or [], dtype=np.float64) / 1e9 for row in rows]
    tokens = numbers(requests, "completion_tokens")[rows]
    counts = np.array([len(marks) or np.nan for marks in chunks], dtype=np.float64)
    return Served(
        ttft_s=first - start,
        answer_s=answer - start,
        second_s=np.array([c[1] - c[0] if len(c) > 1 else np.nan for c in chunks], dtype=float),
        latency_s=last - start,
        tokens=np.where(np.isnan(tokens), counts, tokens),
        prompt_tokens=numbers(requests, "prompt_tokens")[rows],
        gaps_s=np.concatenate([np.diff(c) for c in chunks]) if chunks else np.empty(0),
        span_s=_span_s(requests, rows.tolist(), start, last),
    )


def _span_s(requests: Columns, rows: Sequence[int], start: Floats, last: Floats) -> float:
    phases = requests.get("phase_id") or [None] * len(requests["status"])
    ends: dict[Any, tuple[float, float]] = {}
    for n, row in enumerate(rows):
        first, final = ends.get(phases[row], (np.inf, -np.inf))
        ends[phases[row]] = min(first, float(start[n])), max(final, float(last[n]))
    return sum(final - first for first, final in ends.values())


def figure(value: float | None, unit: str, how: str, n: int, why: str = "") -> Estimate:
    """A number without an interval, as its tool gives none. None: `why`."""
    if value is None or not np.isfinite(value):
        return Estimate(value=None, unit=unit, method=how, n=n, reason=why or "nothing was served")
    return Estimate(value=float(value), unit=unit, method=how, n=n)


def linear(values: Floats, shares: Sequence[float]) -> list[float]:
    """numpy's default percentile: linear between the two nearest ranks. `shares` from 0 to 100."""
    return [float(v) for v in np.percentile(values, list(shares))]
