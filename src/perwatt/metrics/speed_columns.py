"""Columns of times and rates: one value for each request, and a turn is a request."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from perwatt.core.records import Columns
from perwatt.core.slo import Slo
from perwatt.metrics.windows import Counted, counted, marks_s
from perwatt.stats.sample import Column, Floats, Ints

__all__ = ["numbers", "speed_columns"]

Bools = NDArray[np.bool_]

SERVER = ("server_ttft_s", "server_queue_s", "server_prefill_s", "server_decode_s")
NO_SLO = "no limits were stated (--slo)"
ALL_OUT = "every request was due in a warm-up or a cool-down"


def numbers(requests: Columns, name: str) -> Floats:
    """A column as floats, NaN where it has no value or is not there at all."""
    values = requests.get(name) or [None] * len(requests["status"])
    return np.array([np.nan if v is None else v for v in values], dtype=np.float64)


def speed_columns(requests: Columns, cluster: Ints, slo: Slo | None) -> dict[str, Column]:
    """`cluster` (r,): that of each request. See `columns` for what there is."""
    served = np.array([status == "ok" for status in requests["status"]], dtype=bool)
    window = counted(requests)
    ok = served & window.due
    dispatched, first, answer, last, due = (
        marks_s(requests, f"{name}_ns")
        for name in ("dispatched", "first_chunk", "first_answer", "last_chunk", "scheduled")
    )
    first_try = ~(numbers(requests, "attempt") > 1)
    took, tokens = last - dispatched, numbers(requests, "completion_tokens")
    cached = numbers(requests, "cached_tokens")
    prompt = numbers(requests, "prompt_tokens")
    worked = prompt - np.nan_to_num(cached)
    several = ok & (tokens > 1) & (last > first)
    timed = ok & ~np.isnan(worked) & ~np.isnan(first)
    chunks = np.array(
        [len(marks or ()) for marks in requests.get("chunk_offsets_ns") or [()] * len(ok)],
        dtype=np.float64,
    )
    in_chunks = ok & (chunks > 0) & (tokens > 0)
    split = ok & ~np.isnan(cached) & ~np.isnan(prompt)
    with np.errstate(divide="ignore", invalid="ignore"):
        tpot = (last - first) / (tokens - 1)
        ntpot = took / tokens
    values = {
        "latency_s": (ok, took, "latency"),
        "latency_scheduled_s": (ok, last - due, "time it was due"),
        "ttft_s": (ok, first - dispatched, "first chunk"),
        "ttft_scheduled_s": (ok, first - due, "first chunk"),
        "ttft_answer_s": (ok, answer - dispatched, "first chunk of its answer"),
        # Of failed ones too: it is the client's, and came before they failed. One that was asked
        # again waited for the server's sake.
        "schedule_lag_s": (window.due & first_try, dispatched - due, "time it was due"),
        "decode_s": (several, last - first, "second token"),
        "decode_tokens": (several, tokens - 1, "second token"),
        "tpot_s": (several, tpot, "second token"),
        "ntpot_s": (ok & (tokens > 0), ntpot, "count of output tokens"),
        "prefill_s": (timed, first - dispatched, "count of prompt tokens"),
        "prefill_tokens": (timed, worked, "count of prompt tokens"),
        "chunks": (in_chunks, chunks, "count of output tokens"),
        "chunk_tokens": (in_chunks, tokens, "count of output tokens"),
        "cached_tokens": (split, cached, "count of cached prompt tokens"),
        "prompt_tokens": (split, prompt, "count of cached prompt tokens"),
    }
    values |= {name: (ok, numbers(requests, name), "time of its server's own") for name in SERVER}
    why = None if window.due.any() or not len(ok) else ALL_OUT
    columns = {
        name: Column(np.where(keep, v, np.nan), cluster, noun, why=why)
        for name, (keep, v, noun) in values.items()
    }
    gap_s, gap_row = _gaps(requests, ok)
    columns["itl_s"] = Column(gap_s, cluster[gap_row], "second chunk", why=why)
    return columns | _rates(served, window, tokens, cluster) | _good(columns, served, window, slo)


def _rates(served: Bools, window: Counted, tokens: Floats, cluster: Ints) -> dict[str, Column]:
    # A failed request without a count gave the user nothing.
    known = np.where(~served & np.isnan(tokens), 0.0, tokens)
    values = {
        "ended": ((served & window.ended).astype(np.float64), "status"),
        "tokens_came": (known * window.came, "count of output tokens"),
        "wall_s": (window.wall_s, "time"),
    }
    return {name: Column(v, cluster, noun) for name, (v, noun) in values.items()}


def _good(
    columns: dict[str, Column], served: Bools, window: Counted, slo: Slo | None
) -> dict[str, Column]:
    """Served within every limit, and in the counted time."""
    cluster = columns["latency_s"].cluster
    if slo is None:
        return {"good": Column(np.full(len(served), np.nan), cluster, "limit", why=NO_SLO)}
    good = served & window.ended & window.due
    limits = {
        "ttft_scheduled_s": slo.ttft_s,
        "tpot_s": slo.tpot_s,
        "latency_scheduled_s": slo.latency_s,
    }
    for name, limit in limits.items():
        if limit is not None:
            # One token has no time per output token, and breaks no limit on it.
            unknown = np.isnan(columns[name].values) & (name == "tpot_s")
            good &= unknown | (columns[name].values <= limit)
    return {"good": Column(good.astype(np.float64), cluster, "limit")}


def _gaps(requests: Columns, ok: Bools) -> tuple[Floats, Any]:
    """Gaps between chunks in seconds, and the row of each."""
    offsets = requests.get("chunk_offsets_ns") or [None] * len(ok)
    gaps = [
        np.diff(np.array(marks if good and marks else [], dtype=np.int64)) / 1e9
        for good, marks in zip(ok, offsets, strict=True)
    ]
    rows = np.repeat(np.arange(len(gaps)), [len(gap) for gap in gaps])
    return (np.concatenate(gaps) if gaps else np.empty(0)), rows
