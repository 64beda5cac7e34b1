"""The requests table read row by row, with the few times that figures derive from raw marks."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import pairwise
from typing import Any

import msgspec

from perwatt.core.records import SET_ASIDE
from perwatt.metrics.windows import OUTSIDE

__all__ = ["Row", "column", "request_rows"]


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """One request. Marks in monotonic ns of the run; missing is None."""

    request_id: str
    item_id: str
    pair_id: str
    phase_id: str | None
    """Its stretch of load; None where an imported run has none."""
    kind: str | None
    level: int | None
    status: str
    error: str | None
    dispatched_ns: int
    first_chunk_ns: int | None
    last_chunk_ns: int
    prompt_tokens: int | None = None
    cached_tokens: int | None = None
    completion_tokens: int | None
    text: str | None
    extracted: str | None
    score: float | None
    energy_j: float | None
    energy_low_j: float | None
    energy_high_j: float | None
    grade: str | None
    gaps_s: tuple[float, ...]
    """Seconds between content chunks."""
    turn: int | None = None
    """Of a conversation, from 0."""
    counts: bool = True
    """Was it due in the counted time, and so part of speed figures?"""

    @property
    def ok(self) -> bool:
        return self.status == "ok"

    @property
    def total_s(self) -> float:
        return (self.last_chunk_ns - self.dispatched_ns) / 1e9

    @property
    def ttft_s(self) -> float | None:
        if self.first_chunk_ns is None:
            return None
        return (self.first_chunk_ns - self.dispatched_ns) / 1e9


_AS_THEY_ARE = tuple(
    name for name in Row.__struct_fields__ if name not in {"error", "energy_j", "gaps_s", "counts"}
)


def column(table: Mapping[str, list[Any]], name: str, length: int) -> list[Any]:
    """A column, or as many None where an older or imported run lacks it."""
    return table.get(name) or [None] * length


def request_rows(table: Mapping[str, list[Any]]) -> list[Row]:
    """Requests that were sent and not cancelled, in the order they were sent."""
    return sorted(_rows(table), key=lambda row: (row.dispatched_ns, row.request_id))


def _rows(table: Mapping[str, list[Any]]) -> Iterator[Row]:
    length = len(next(iter(table.values()), []))
    names = [*_AS_THEY_ARE, "error_kind", "error", "energy_gross_j", "chunk_offsets_ns", "flags"]
    for values in zip(*(column(table, name, length) for name in names), strict=True):
        v = dict(zip(names, values, strict=True))
        marks = v["dispatched_ns"], v["last_chunk_ns"]
        if v["status"] in SET_ASIDE or None in marks:
            continue
        error = ": ".join(part for part in (v["error_kind"], v["error"]) if part) or None
        yield Row(
            **{name: v[name] for name in _AS_THEY_ARE},
            error=error,
            energy_j=v["energy_gross_j"],
            gaps_s=tuple(_gaps(v["chunk_offsets_ns"] or ())),
            counts=not OUTSIDE & set(v["flags"] or ()),
        )


def _gaps(offsets_ns: Iterable[int]) -> Iterator[float]:
    offsets = list(offsets_ns)
    for before, after in pairwise(offsets):
        yield (after - before) / 1e9
