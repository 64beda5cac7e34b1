"""What counts for speed: requests due in the counted time, and what came in it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from perwatt.core.records import Columns
from perwatt.metrics.conversations import joined, superseded
from perwatt.metrics.windows import counted, outside

S = 1_000_000_000


def table(
    *spans: tuple[float, float],
    opens: float | None = None,
    closes: float | None = None,
    **more: list[Any],
) -> Columns:
    """Requests due and sent at the first, ended at the second; chunks at both and in the middle."""
    size = len(spans)
    return {
        "status": ["ok"] * size,
        "scheduled_ns": [round(a * S) for a, _ in spans],
        "dispatched_ns": [round(a * S) for a, _ in spans],
        "last_chunk_ns": [round(b * S) for _, b in spans],
        "chunk_offsets_ns": [[0, round((b - a) / 2 * S), round((b - a) * S)] for a, b in spans],
        "counted_from_ns": [None if opens is None else round(opens * S)] * size,
        "counted_to_ns": [None if closes is None else round(closes * S)] * size,
        **more,
    }


@pytest.mark.parametrize(
    ("due", "opens", "closes", "flag"),
    [
        (5, None, None, None),
        (5, 5, 5, None),
        (4, 5, None, "warmup"),
        (6, None, 5, "cooldown"),
        (4, 5, 3, "warmup"),
    ],
)
def test_where_a_request_falls(
    due: int, opens: int | None, closes: int | None, flag: str | None
) -> None:
    assert outside(due, opens, closes) == flag


def test_without_bounds_all_counts() -> None:
    seen = counted(table((0, 2), (1, 3)))
    assert seen.due.all()
    assert seen.ended.all()
    assert seen.came.tolist() == [1, 1]
    assert seen.window_s == 3
    assert seen.wall_s.tolist() == [1.5, 1.5]


def test_what_began_before_may_end_within_and_the_other_way_round() -> None:
    seen = counted(table((0, 4), (2, 6), (5, 9), opens=3, closes=7))
    assert seen.due.tolist() == [False, False, True]
    assert seen.ended.tolist() == [True, True, False]
    # Chunks at 0, 2, 4; at 2, 4, 6; at 5, 7, 9.
    assert seen.came.tolist() == pytest.approx([1 / 3, 2 / 3, 2 / 3])
    assert seen.overlap_s.tolist() == [1, 3, 2]
    assert seen.window_s == 4


def test_a_warm_up_alone_leaves_the_end_open() -> None:
    seen = counted(table((0, 1), (2, 3), (3, 8), opens=2))
    assert seen.due.tolist() == [False, True, True]
    assert seen.window_s == 6


@given(
    st.lists(st.tuples(st.floats(0, 50), st.floats(0.001, 9)), min_size=1, max_size=20),
    st.one_of(st.none(), st.floats(0, 30)),
    st.one_of(st.none(), st.floats(30, 60)),
)
def test_shares_of_the_time_sum_to_it(
    spans: list[tuple[float, float]], opens: float | None, closes: float | None
) -> None:
    rows = table(*((a, a + took) for a, took in spans), opens=opens, closes=closes)
    seen = counted(rows)
    expected = seen.window_s if seen.overlap_s.sum() > 0 else 0.0
    assert seen.wall_s.sum() == pytest.approx(expected)
    assert ((seen.came >= 0) & (seen.came <= 1)).all()
    flags = [
        outside(due, start, end)
        for due, start, end in zip(
            rows["scheduled_ns"], rows["counted_from_ns"], rows["counted_to_ns"], strict=True
        )
    ]
    assert seen.due.tolist() == [flag is None for flag in flags]


def turns(*keys: tuple[str, int, int, int], **more: list[Any]) -> Columns:
    """(item, repeat, stage, turn), each a second long, 3 J and 5 tokens."""
    size = len(keys)
    return {
        "item_id": [k[0] for k in keys],
        "repeat": [k[1] for k in keys],
        "stage": [k[2] for k in keys],
        "turn": [k[3] for k in keys],
        "status": ["ok"] * size,
        "dispatched_ns": [2 * n * S for n in range(size)],
        "last_chunk_ns": [(2 * n + 1) * S for n in range(size)],
        "energy_gross_j": [3.0] * size,
        "completion_tokens": [5] * size,
        "logprobs": [[-1.0, -2.0]] * size,
        "score": [float(n) for n in range(size)],
        **more,
    }


def test_turns_are_joined_by_item_repeat_and_stage() -> None:
    rows = turns(("a", 0, 0, 0), ("b", 0, 0, 0), ("a", 0, 0, 1), ("a", 1, 0, 0), ("a", 0, 1, 0))
    whole = joined(rows)
    assert whole["item_id"] == ["a", "b", "a", "a"]
    assert whole["energy_gross_j"] == [6.0, 3.0, 3.0, 3.0]
    assert whole["completion_tokens"] == [10, 5, 5, 5]
    assert whole["took_ns"] == [2 * S, S, S, S]
    assert whole["score"] == [2.0, 1.0, 3.0, 4.0]
    assert whole["logprobs"][0] == [-1.0, -2.0, -1.0, -2.0]


def test_a_turn_without_joules_takes_the_sum_away() -> None:
    rows = turns(("a", 0, 0, 0), ("a", 0, 0, 1), energy_gross_j=[3.0, None])
    assert joined(rows)["energy_gross_j"] == [None]


def test_what_was_asked_twice_leaves_the_later() -> None:
    rows = turns(("a", 0, 0, 0), ("a", 0, 0, 0), ("a", 0, 0, 1))
    assert superseded(rows) == {0}
    assert superseded(turns(("a", 0, 0, 0), ("a", 0, 0, 0))) == set()  # no conversation: repeats


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 2)), min_size=1, max_size=12))
def test_joining_keeps_every_joule(picked: list[tuple[int, int]]) -> None:
    keys = list(dict.fromkeys(picked))
    rows = turns(*((f"i{item}", 0, 0, turn) for item, turn in keys))
    whole = joined(rows)
    assert sum(whole["energy_gross_j"]) == 3.0 * len(keys)
    assert len(whole["item_id"]) == (
        len({item for item, _ in keys}) if any(turn for _, turn in keys) else len(keys)
    )
    assert np.sum(whole["took_ns"]) == len(keys) * S
