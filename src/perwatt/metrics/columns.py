"""From rows of requests.parquet to the columns that metrics read. Derivations, each once.

Columns (seconds, joules, watts, tokens; NaN is missing), one value for each attempted request:
score, failed, served, unread, latency_s, ttft_s, latency_scheduled_s, ttft_scheduled_s, tpot_s,
decode_s, decode_tokens, prefill_s, prefill_tokens, completion_tokens, wall_s, energy_gross_j,
energy_net_j, prefill_j, decode_j, power_gross_w, power_net_w; and itl_s, with one for each gap.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from perwatt.core.records import SET_ASIDE, Columns
from perwatt.stats.sample import Column, Floats

__all__ = ["attempted_rows", "clusters_of", "metric_columns", "take"]

_JOULES = ("energy_gross_j", "energy_net_j", "prefill_j", "decode_j")


def take(requests: Columns, rows: Sequence[int]) -> Columns:
    """Those rows, in that order."""
    return {name: [values[row] for row in rows] for name, values in requests.items()}


def attempted_rows(requests: Columns) -> list[int]:
    """All but those that were stopped or failed and asked again: their item counts once."""
    return [row for row, status in enumerate(requests["status"]) if status not in SET_ASIDE]


def clusters_of(requests: Columns) -> list[str]:
    """What is resampled as one: the item with its repeats, or the group it belongs to."""
    groups = requests.get("group") or [None] * len(requests["item_id"])
    return [group or item for group, item in zip(groups, requests["item_id"], strict=True)]


def metric_columns(requests: Columns, clusters: Sequence[str]) -> tuple[dict[str, Column], int]:
    """The columns above and the number of clusters. `requests` are attempted ones only.

    `clusters` gives the order: a request whose cluster is at index k has `cluster` k.
    """
    index = {name: k for k, name in enumerate(clusters)}
    cluster = np.array([index[name] for name in clusters_of(requests)], dtype=np.int64)
    size = len(cluster)

    def column(name: str) -> Floats:
        values = requests.get(name) or [None] * size
        return np.array([np.nan if v is None else v for v in values], dtype=np.float64)

    ok = np.array([status == "ok" for status in requests["status"]], dtype=bool)
    dispatched, first, last, due = (
        _marks_s(requests, name)
        for name in ("dispatched_ns", "first_chunk_ns", "last_chunk_ns", "scheduled_ns")
    )
    took = last - dispatched
    tokens = column("completion_tokens")
    several = ok & (tokens > 1) & (last > first)
    prompt = column("prompt_tokens") - np.nan_to_num(column("cached_tokens"))
    timed = ok & ~np.isnan(prompt) & ~np.isnan(first)
    gap_s, gap_row = _gaps(requests, ok)
    joules = {name: column(name) for name in _JOULES}

    values = {
        "score": (_scores(requests, column), "score"),
        "failed": (1.0 - ok, "status"),
        "served": (1.0 * ok, "status"),
        "unread": (_unread(requests, ok), "extracted answer"),
        "latency_s": (_where(ok, took), "latency"),
        "ttft_s": (_where(ok, first - dispatched), "first chunk"),
        "latency_scheduled_s": (_where(ok, last - due), "time it was due"),
        "ttft_scheduled_s": (_where(ok, first - due), "first chunk"),
        "decode_s": (_where(several, last - first), "second token"),
        "decode_tokens": (_where(several, tokens - 1), "second token"),
        "tpot_s": (_where(several, last - first) / _where(several, tokens - 1), "second token"),
        "prefill_s": (_where(timed, first - dispatched), "count of prompt tokens"),
        "prefill_tokens": (_where(timed, prompt), "count of prompt tokens"),
        # A failed request without a count gave the user nothing.
        "completion_tokens": (
            np.where(~ok & np.isnan(tokens), 0.0, tokens),
            "count of output tokens",
        ),
        "wall_s": (_wall_s(requests, dispatched, last), "time"),
    }
    columns = {name: Column(v, cluster, noun) for name, (v, noun) in values.items()}
    for name, joule in joules.items():
        columns[name] = Column(joule, cluster, "energy", scaled=True)
    for kind in ("gross", "net"):
        watts = np.full(size, np.nan)
        np.divide(joules[f"energy_{kind}_j"], took, out=watts, where=took > 0)
        columns[f"power_{kind}_w"] = Column(watts, cluster, "energy", scaled=True)
    columns["itl_s"] = Column(gap_s, cluster[gap_row], "second chunk")
    return columns, len(clusters)


def _marks_s(requests: Columns, name: str) -> Floats:
    """Seconds since the earliest dispatch: nanoseconds since boot would lose digits as floats."""
    start = min((t for t in requests["dispatched_ns"] if t is not None), default=0)
    marks = requests.get(name) or [None] * len(requests["status"])
    return np.array([np.nan if t is None else (t - start) / 1e9 for t in marks], dtype=np.float64)


def _scores(requests: Columns, column: Callable[[str], Floats]) -> Floats:
    failed = np.array([status != "ok" for status in requests["status"]], dtype=bool)
    # By definition, whether or not a scorer has looked at it (DESIGN §5).
    return np.where(failed, 0.0, column("score"))


def _unread(requests: Columns, ok: Any) -> Floats:
    size = len(ok)
    if "extracted" not in requests:
        return np.full(size, np.nan)
    extracted = requests["extracted"]
    abstained = requests.get("abstained") or [None] * size
    scored = requests.get("score") or [None] * size
    judged = [
        good and score is not None and not abstains
        for good, score, abstains in zip(ok, scored, abstained, strict=True)
    ]
    unread = [1.0 if found is None else 0.0 for found in extracted]
    return np.where(judged, unread, np.nan)


def _gaps(requests: Columns, ok: Any) -> tuple[Floats, Any]:
    """Gaps between chunks in seconds, and the row of each."""
    offsets = requests.get("chunk_offsets_ns") or [None] * len(ok)
    gaps = [
        np.diff(np.array(marks if good and marks else [], dtype=np.int64)) / 1e9
        for good, marks in zip(ok, offsets, strict=True)
    ]
    rows = np.repeat(np.arange(len(gaps)), [len(gap) for gap in gaps])
    return (np.concatenate(gaps) if gaps else np.empty(0)), rows


def _wall_s(requests: Columns, dispatched: Floats, last: Floats) -> Floats:
    """Each request's share of the time under load, in proportion to its own latency.

    Time under load: from the first dispatch to the last chunk of each load phase, summed.
    """
    phases = requests.get("phase_id") or [None] * len(dispatched)
    rows_of: dict[Any, list[int]] = {}
    for row, phase in enumerate(phases):
        rows_of.setdefault(phase, []).append(row)
    window_s = sum(float(np.max(last[r]) - np.min(dispatched[r])) for r in rows_of.values())
    took = last - dispatched
    total = float(np.sum(took))
    return took * (window_s / total) if total > 0 else np.zeros_like(took)


def _where(keep: Any, values: Floats) -> Floats:
    return np.where(keep, values, np.nan)
