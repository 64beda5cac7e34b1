"""Turns of one conversation joined to one row: an item's cost is that of all its turns.

Times are of requests, and a turn is a request; right answers and joules are of items.
"""

from __future__ import annotations

from typing import Any

from perwatt.core.records import Columns

__all__ = ["joined", "superseded"]

Key = tuple[Any, Any, Any]

SUMMED = (
    "energy_gross_j",
    "energy_net_j",
    "prefill_j",
    "decode_j",
    "prefill_net_j",
    "decode_net_j",
    "prompt_tokens",
    "completion_tokens",
    "reasoning_tokens",
    "cached_tokens",
)
"""None where it is None for any turn: a sum with a hole in it is not a sum."""


def joined(requests: Columns) -> Columns:
    """Attempted rows → one for each conversation, in the order of their last turns.

    It is the last turn's row (score, status, text) with joules and tokens of all turns, their
    log-probabilities one after the other, and `took_ns`: nanoseconds in flight, summed. A failed
    turn is the last one, so that the item is failed and keeps what it drew.
    """
    took = [
        None if last is None or start is None else last - start
        for last, start in zip(requests["last_chunk_ns"], requests["dispatched_ns"], strict=True)
    ]
    # A failed turn without a count gave the user nothing; the turns before it did.
    tokens = [
        0 if count is None and status != "ok" else count
        for count, status in zip(
            requests.get("completion_tokens") or [None] * len(took),
            requests["status"],
            strict=True,
        )
    ]
    table = {**requests, "took_ns": took, "completion_tokens": tokens}
    if not any(requests.get("turn") or ()):
        return table
    groups = _conversations(requests).values()
    return {name: [_one(name, column, rows) for rows in groups] for name, column in table.items()}


def superseded(requests: Columns) -> set[int]:
    """Rows of turns that were asked again, as when a run was cut within a conversation."""
    if not any(requests.get("turn") or ()):
        return set()
    latest: dict[tuple[Key, int], int] = {}
    old: set[int] = set()
    for row, key in enumerate(_keys(requests)):
        turn = key, requests["turn"][row] or 0
        if turn in latest:
            before = latest[turn]
            newer = requests["dispatched_ns"][row] >= requests["dispatched_ns"][before]
            old.add(before if newer else row)
            latest[turn] = row if newer else before
        else:
            latest[turn] = row
    return old


def _conversations(requests: Columns) -> dict[Key, list[int]]:
    """Rows of each, its last turn last."""
    found: dict[Key, list[int]] = {}
    for row, key in enumerate(_keys(requests)):
        found.setdefault(key, []).append(row)
    turns = requests["turn"]
    return {key: sorted(rows, key=lambda row: turns[row] or 0) for key, rows in found.items()}


def _keys(requests: Columns) -> list[Key]:
    """Item, repeat and stage."""
    size = len(requests["item_id"])
    repeats, stages = (requests.get(name) or [None] * size for name in ("repeat", "stage"))
    return list(zip(requests["item_id"], repeats, stages, strict=True))


def _one(name: str, column: list[Any], rows: list[int]) -> Any:
    values = [column[row] for row in rows]
    if name in SUMMED or name == "took_ns":
        return None if None in values else sum(values)
    if name == "logprobs":
        return None if None in values else [p for each in values for p in each]
    return values[-1]
