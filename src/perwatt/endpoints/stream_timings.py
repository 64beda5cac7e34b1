"""What servers tell of their own time, each under its own names, brought to ServerTimes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from perwatt.core.records import ServerTimes
from perwatt.endpoints.stream_chunks import Chunk, Usage

__all__ = ["has_figures", "raw_timings", "server_times", "usage_timings"]

_USAGE_TIMES = ("queue_time", "prompt_time", "completion_time", "total_time")

_NAMES: tuple[tuple[str, str, float], ...] = (
    # llama.cpp: tools/server/README.md, `timings`
    ("prompt_ms", "prefill_s", 1e-3),
    ("predicted_ms", "decode_s", 1e-3),
    ("prompt_n", "prompt_tokens", 1),
    ("predicted_n", "completion_tokens", 1),
    # vLLM: docs/features/per_request_metrics.md; its first token is counted from scheduling
    ("queue_time_ms", "queue_s", 1e-3),
    ("time_to_first_token_ms", "prefill_s", 1e-3),
    ("generation_time_ms", "decode_s", 1e-3),
    # Groq and Cerebras: `usage` and `time_info`
    ("queue_time", "queue_s", 1),
    ("prompt_time", "prefill_s", 1),
    ("completion_time", "decode_s", 1),
    ("total_time", "total_s", 1),
    # SGLang: `meta_info`
    ("e2e_latency", "total_s", 1),
    # LM Studio: docs, REST API, `stats`
    ("time_to_first_token", "ttft_s", 1),
    ("generation_time", "decode_s", 1),
)


def has_figures(chunk: Chunk) -> bool:
    """False for nearly every chunk: a quick look."""
    return not (
        chunk.timings is None
        and chunk.metrics is None
        and chunk.x_groq is None
        and chunk.meta_info is None
        and chunk.time_info is None
        and chunk.stats is None
    )


def raw_timings(chunk: Chunk) -> dict[str, float]:
    """The figures of an event under the server's own names; empty where it has none."""
    found: dict[str, float] = {}
    for part in (chunk.timings, chunk.metrics, chunk.meta_info, chunk.time_info, chunk.stats):
        if part:
            found |= _numbers(part)
    return found


def usage_timings(usage: Usage) -> dict[str, float]:
    """Groq's seconds beside the counts."""
    told = {name: getattr(usage, name) for name in _USAGE_TIMES}
    return {name: value for name, value in told.items() if value is not None}


def server_times(raw: Mapping[str, float]) -> ServerTimes | None:
    """None where nothing of it has a name here. Negative figures are none."""
    known: dict[str, Any] = {}
    for theirs, ours, unit in _NAMES:
        value = raw.get(theirs)
        if value is not None and value >= 0:
            known[ours] = int(value) if ours.endswith("_tokens") else value * unit
    if not known:
        return None
    times = ServerTimes(**known)
    if "time_to_first_token_ms" in raw and times.queue_s is not None:
        ttft_s = times.queue_s + (times.prefill_s or 0.0)
        times = msgspec.structs.replace(times, ttft_s=ttft_s)
    return times


def _numbers(told: Mapping[str, Any]) -> dict[str, float]:
    return {
        name: float(value)
        for name, value in told.items()
        if isinstance(value, (int, float)) and not isinstance(value, bool)
    }
