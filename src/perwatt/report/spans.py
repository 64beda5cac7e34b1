"""Spans of time put together."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

__all__ = ["Spans", "seconds_of", "union"]

Spans = NDArray[np.int64]
"""Disjoint [start_ns, end_ns], shape (u, 2), rising."""


def union(spans: Iterable[tuple[int, int]]) -> Spans:
    """Disjoint spans that cover the same marks; those of no length are left out."""
    merged: list[list[int]] = []
    for start, end in sorted(spans):
        if merged and start <= merged[-1][1]:
            merged[-1][1] = max(merged[-1][1], end)
        elif end > start:
            merged.append([start, end])
    return np.array(merged, dtype=np.int64).reshape(-1, 2)


def seconds_of(spans: Spans) -> float:
    """Their length in all."""
    return float((spans[:, 1] - spans[:, 0]).sum()) / 1e9
