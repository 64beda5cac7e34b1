"""What tells the rows of a study's table apart, for whoever shows one."""

from __future__ import annotations

from collections.abc import Sequence

from perwatt.core.estimate import Estimate
from perwatt.core.study import StudyCell, StudyColumn, StudyTable

__all__ = ["naming", "row_name", "used_columns"]

MOST = 4
"""Leading columns that may name a row."""


def used_columns(table: StudyTable) -> tuple[StudyColumn, ...]:
    """Those in which any row has something."""
    return tuple(c for c in table.columns if any(row.get(c.name) is not None for row in table.rows))


def naming(table: StudyTable, used: Sequence[StudyColumn]) -> int:
    """How many leading columns it takes to tell the rows apart: at least 1, no numbers among them.

    `used`: columns of the table, in its order; one at least.
    """
    most = min(len(used), MOST)
    for count in range(1, most + 1):
        if count > 1 and any(_measured(row.get(used[count - 1].name)) for row in table.rows):
            return count - 1
        keys = {tuple(str(row.get(c.name)) for c in used[:count]) for row in table.rows}
        if len(keys) == len(table.rows):
            return count
    return most


def row_name(row: dict[str, StudyCell], used: Sequence[StudyColumn], count: int) -> str:
    """The cells of the first `count` columns in words."""
    words = [str(found) for c in used[:count] if (found := row.get(c.name)) is not None]
    return " · ".join(words) or "–"


def _measured(cell: StudyCell) -> bool:
    return isinstance(cell, Estimate)
