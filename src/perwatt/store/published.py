"""published.parquet: figures of pairs that somebody else measured, one to a row."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from perwatt.core.errors import RunDirError
from perwatt.core.estimate import Estimate
from perwatt.core.study import Published
from perwatt.store.tables import read_table, write_table

__all__ = ["FILE", "PUBLISHED", "read_published", "write_published"]

FILE = "published.parquet"
PUBLISHED = {
    "pair_id": "VARCHAR",
    "workload": "VARCHAR",
    "load": "VARCHAR",
    "metric": "VARCHAR",
    "value": "DOUBLE",
    "low": "DOUBLE",
    "high": "DOUBLE",
    "unit": "VARCHAR",
    "method": "VARCHAR",
    "n": "INTEGER",
    "grade": "VARCHAR",
    "boundary": "VARCHAR",
    "reason": "VARCHAR",
    "source": "VARCHAR",
}
"""DuckDB types. `n` is missing where the source does not say of how many."""
_KEY = ("pair_id", "workload", "load", "metric", "source")


def write_published(directory: Path, rows: Sequence[Published]) -> None:
    """All rows into the run directory, whole or not at all; doubles come back bit for bit.

    Raises FileError or DiskFullError; ValueError for a number that is none.
    """
    table = [_row(row) for row in rows]
    columns = {name: [row[name] for row in table] for name in PUBLISHED}
    write_table(directory / FILE, columns, PUBLISHED)


def read_published(directory: Path) -> tuple[Published, ...]:
    """The rows of a run, in their order; none where it has no such file. Raises RunDirError."""
    path = directory / FILE
    if not path.is_file():
        return ()
    columns = read_table(path, list(PUBLISHED))
    try:
        return tuple(
            _published(dict(zip(columns, row, strict=True)))
            for row in zip(*columns.values(), strict=True)
        )
    except (TypeError, ValueError) as error:
        msg = f"{path} holds a row that is no published figure: {error}."
        raise RunDirError(msg, "Import the other tool's file again.") from None


def _row(row: Published) -> dict[str, Any]:
    estimate = row.estimate
    numbers = (estimate.value, estimate.low, estimate.high)
    if any(number is not None and not math.isfinite(number) for number in numbers):
        msg = f"{row.metric} of {row.pair_id} is no finite number"
        raise ValueError(msg)
    return {
        **{name: getattr(row, name) for name in _KEY},
        **{name: getattr(estimate, name) for name in PUBLISHED if name not in _KEY},
        "n": estimate.n or None,
    }


def _published(row: dict[str, Any]) -> Published:
    key = {name: row.pop(name) for name in _KEY}
    return Published(**key, estimate=Estimate(**{**row, "n": row["n"] or 0}))
