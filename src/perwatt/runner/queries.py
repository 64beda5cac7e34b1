"""Repeats of one query joined to one row, so that an item asked more often weighs no more."""

from __future__ import annotations

from typing import Any

from perwatt.core.records import Columns

__all__ = ["one_row_each"]

AVERAGED = (
    "score",
    "energy_gross_j",
    "energy_net_j",
    "energy_low_j",
    "energy_high_j",
    "prefill_j",
    "decode_j",
    "net_low_j",
    "net_high_j",
    "prefill_net_j",
    "decode_net_j",
    "power_mean_w",
)
"""The rest, marks and tokens among them, is that of the item's first repeat."""


def one_row_each(requests: Columns) -> Columns:
    """Requests of one pair → one row for each item, in the order in which they were first asked.

    Scores, joules and watts are means over the repeats for which they are known; None where they
    are known for none.
    """
    repeats: dict[str, list[int]] = {}
    for row, item in enumerate(requests["item_id"]):
        repeats.setdefault(item, []).append(row)
    rows = [sorted(own, key=lambda row: requests["repeat"][row]) for own in repeats.values()]
    return {
        name: [_mean(column, own) if name in AVERAGED else column[own[0]] for own in rows]
        for name, column in requests.items()
    }


def _mean(column: list[Any], rows: list[int]) -> float | None:
    known = [column[row] for row in rows if column[row] is not None]
    return sum(known) / len(known) if known else None
