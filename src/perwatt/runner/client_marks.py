"""Durations that the client's audit is judged on, from the raw marks of a reply. Seconds; pure."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from perwatt.core.clock import seconds
from perwatt.core.records import Reply, Request

__all__ = [
    "Floats",
    "gaps_s",
    "latency_s",
    "mean_in_flight",
    "quantile",
    "send_s",
    "server_total_s",
    "server_ttft_s",
    "ttft_s",
]

Floats = NDArray[np.float64]


def quantile(values: Iterable[float | None] | Floats, q: float) -> float | None:
    """The least of the known values that is not exceeded by a share `q` of them; None of none."""
    if isinstance(values, np.ndarray):
        known = values
    else:
        known = np.array([v for v in values if v is not None], dtype=np.float64)
    return float(np.quantile(known, q, method="inverted_cdf")) if len(known) else None


def latency_s(reply: Reply) -> float:
    """Dispatch to last chunk."""
    return seconds(reply.dispatched_ns, reply.last_chunk_ns)


def ttft_s(reply: Reply) -> float | None:
    """Dispatch to first chunk; None where none came."""
    if reply.first_chunk_ns is None:
        return None
    return seconds(reply.dispatched_ns, reply.first_chunk_ns)


def gaps_s(reply: Reply) -> Floats:
    """(chunks − 1,) between chunks that followed each other."""
    gaps: Floats = np.diff(np.array(reply.chunk_offsets_ns, dtype=np.float64)) / 1e9
    return gaps


def send_s(reply: Reply) -> float | None:
    """Dispatch to the first byte handed to the kernel; connecting is in it where it was new."""
    return None if reply.sent_ns is None else seconds(reply.dispatched_ns, reply.sent_ns)


def server_total_s(reply: Reply) -> float | None:
    """What the server says the request took: its total, else the sum of its parts."""
    told = reply.server
    if told is None:
        return None
    if told.total_s is not None:
        return told.total_s
    if told.prefill_s is None or told.decode_s is None:
        return None
    return (told.queue_s or 0.0) + (told.load_s or 0.0) + told.prefill_s + told.decode_s


def server_ttft_s(reply: Reply) -> float | None:
    """What the server says the first token took: its own figure, else what comes before it."""
    told = reply.server
    if told is None:
        return None
    if told.ttft_s is not None:
        return told.ttft_s
    if told.prefill_s is None:
        return None
    return (told.queue_s or 0.0) + (told.load_s or 0.0) + told.prefill_s


def mean_in_flight(requests: Iterable[Request]) -> float | None:
    """Mean over the time from each phase's first dispatch to its last. None: no time at all."""
    phases: dict[str, list[Reply]] = {}
    for request in requests:
        phases.setdefault(request.phase_id, []).append(request.reply)
    waited_ns = span_ns = 0
    for replies in phases.values():
        start = min(x.dispatched_ns for x in replies)
        end = max(x.dispatched_ns for x in replies)
        waited_ns += sum(max(0, min(x.last_chunk_ns, end) - x.dispatched_ns) for x in replies)
        span_ns += end - start
    return waited_ns / span_ns if span_ns else None
