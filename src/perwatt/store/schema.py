"""Columns of the parquet files: DESIGN §4's names first, in its order, then ours. DuckDB types."""

from __future__ import annotations

__all__ = ["POWER", "REQUESTS", "SCORES"]

REQUESTS = {
    "request_id": "VARCHAR",
    "item_id": "VARCHAR",
    "pair_id": "VARCHAR",
    "workload": "VARCHAR",
    "kind": "VARCHAR",
    "level": "INTEGER",
    "category": "VARCHAR",
    "repeat": "INTEGER",
    "status": "VARCHAR",
    "error_kind": "VARCHAR",
    "scheduled_ns": "BIGINT",
    "dispatched_ns": "BIGINT",
    "first_chunk_ns": "BIGINT",
    "first_answer_ns": "BIGINT",
    "last_chunk_ns": "BIGINT",
    "prompt_tokens": "INTEGER",
    "completion_tokens": "INTEGER",
    "reasoning_tokens": "INTEGER",
    "cached_tokens": "INTEGER",
    "finish_reason": "VARCHAR",
    "text": "VARCHAR",
    "score": "DOUBLE",
    "energy_gross_j": "DOUBLE",
    "energy_net_j": "DOUBLE",
    "energy_low_j": "DOUBLE",
    "energy_high_j": "DOUBLE",
    "prefill_j": "DOUBLE",
    "decode_j": "DOUBLE",
    "power_mean_w": "DOUBLE",
    "boundary": "VARCHAR",
    "grade": "VARCHAR",
    "attribution": "VARCHAR",
    "flags": "VARCHAR[]",
    # Ours.
    "session": "INTEGER",
    "phase_id": "VARCHAR",
    "in_flight": "INTEGER",
    "group": "VARCHAR",
    "prompt_sha256": "VARCHAR",
    "sampling": "VARCHAR",
    "chunk_offsets_ns": "BIGINT[]",
    "reasoning": "VARCHAR",
    "http_status": "INTEGER",
    "error": "VARCHAR",
    "tokens_by": "VARCHAR",
    "served_model": "VARCHAR",
    "server_timings": "VARCHAR",
    "extracted": "VARCHAR",
    "abstained": "BOOLEAN",
    "net_low_j": "DOUBLE",
    "net_high_j": "DOUBLE",
    "prefill_net_j": "DOUBLE",
    "decode_net_j": "DOUBLE",
}
"""One row for each attempt. `sampling`, `server_timings`: JSON text; `group`: the cluster."""

POWER = {
    "t_ns": "BIGINT",
    "device": "VARCHAR",
    "domain": "VARCHAR",
    "counter_j": "DOUBLE",
    "power_w": "DOUBLE",
    "source": "VARCHAR",
    "utilization": "DOUBLE",
    "memory_bytes": "BIGINT",
    "temperature_c": "DOUBLE",
    "clock_mhz": "DOUBLE",
    # Ours.
    "session": "INTEGER",
    "flag": "VARCHAR",
    "power_average_w": "DOUBLE",
    "power_limit_w": "DOUBLE",
    "throttle": "VARCHAR",
    "clock_error_ns": "BIGINT",
}
"""One row for each sample of a domain. `counter_j` starts again with each session."""

SCORES = {
    "request_id": "VARCHAR",
    "item_id": "VARCHAR",
    "scorer": "VARCHAR",
    "value": "DOUBLE",
    "extracted": "VARCHAR",
    "abstained": "BOOLEAN",
    "explanation": "VARCHAR",
    "seconds": "DOUBLE",
    "energy_j": "DOUBLE",
}
"""One row for each score. `energy_j` is what scoring itself drew, where that was measured."""
