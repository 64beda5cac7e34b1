"""What a requests.parquet's footer says, so that the quick way is taken only where it is right."""

from __future__ import annotations

import glob
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from perwatt.core.errors import FileError

if TYPE_CHECKING:
    import duckdb

__all__ = ["FileFacts", "file_facts", "file_list"]

NEEDED = ("item_id", "pair_id", "status")
NUMBERS = (
    "energy_gross_j",
    "energy_net_j",
    "prompt_tokens",
    "completion_tokens",
)

NAMES = ("pair_id", "workload", "status")
TIMES = ("dispatched_ns", "last_chunk_ns")

_PIECE = 65_536
_WHOLE = 32
"""Characters of a text that every writer's footer holds whole; longer ones may be cut."""


class FileFacts(msgspec.Struct, frozen=True, kw_only=True):
    """Of one file."""

    columns: frozenset[str]
    """Older runs and other tools' have fewer than a run of today."""
    rows: int
    stages: int
    """How many of its load's, at least: the largest number and one."""
    turns: bool
    """May it hold conversations?"""
    repeats: bool
    """May an item be in it more than once?"""
    groups: bool
    """May a cluster be more than one item?"""
    logprobs: bool
    alike: Mapping[str, str]
    """Of NAMES, those that are one value in all rows, where the footer says so."""
    least: Mapping[str, float]
    """The smallest value of a column of numbers, where the footer says it."""
    filled: frozenset[str] = frozenset()
    """Columns that have a value in every row, where the footer says so."""

    @property
    def once(self) -> bool:
        """Is each answer a cluster of its own?"""
        return not (self.turns or self.repeats or self.groups)

    @property
    def all_ok(self) -> bool:
        """Was every request answered?"""
        return self.alike.get("status") == "ok"


def file_list(files: Sequence[Path]) -> str:
    """DuckDB's list of them, each one read as it is written: `*` in a name is no pattern."""
    quoted = (glob.escape(str(file)).replace("'", "''") for file in files)
    return "[" + ", ".join(f"'{name}'" for name in quoted) + "]"


def file_facts(db: duckdb.DuckDBPyConnection, file: Path) -> FileFacts:
    """From its footer; columns are compared only where that does not say enough.

    Raises FileError for a file that is no table of requests.
    """
    import duckdb

    try:
        facts = _facts(db, file)
    except duckdb.Error as error:
        first = str(error).split("\n", 1)[0]
        msg = f"{file.name} in {file.parent.name} cannot be read: {first.rstrip('.')}."
        raise FileError(msg, f"Make it again: perwatt score {file.parent}") from None
    if lacking := [name for name in NEEDED if name not in facts.columns]:
        msg = f"{file.name} in {file.parent.name} has no column {lacking[0]}."
        raise FileError(msg, f"Make it again: perwatt score {file.parent}")
    return facts


def _facts(db: duckdb.DuckDBPyConnection, file: Path) -> FileFacts:
    chunks = db.execute(
        "SELECT split_part(path_in_schema, ', ', 1) AS name, row_group_id, num_values,"
        " stats_null_count, coalesce(stats_max_value, stats_max),"
        " coalesce(stats_min_value, stats_min), total_uncompressed_size, total_compressed_size,"
        " coalesce(dictionary_page_offset, data_page_offset), data_page_offset"
        f" FROM parquet_metadata({file_list([file])}) WHERE list_contains(?, name)",
        [
            [
                *NUMBERS,
                *NAMES,
                *TIMES,
                "score",
                "stage",
                "turn",
                "repeat",
                "group",
                "item_id",
                "logprobs",
            ]
        ],
    ).fetchall()
    by_name: dict[str, list[tuple[Any, ...]]] = {}
    for name, *chunk in chunks:
        by_name.setdefault(name, []).append(tuple(chunk))
    described = db.execute(f"DESCRIBE SELECT * FROM read_parquet({file_list([file])})").fetchall()
    columns = frozenset(str(row[0]) for row in described)
    return FileFacts(
        columns=columns,
        rows=sum(int(chunk[1]) for chunk in by_name.get("item_id", [])),
        stages=1 + int(_most(by_name.get("stage", []))),
        turns=_above_zero(by_name.get("turn", [])),
        repeats=_above_zero(by_name.get("repeat", [])),
        groups=_grouped(db, file, by_name),
        logprobs=not _all_null(by_name.get("logprobs", [])),
        alike={name: same for name in NAMES if (same := _same(by_name.get(name, []))) is not None},
        least={name: least for name in NUMBERS if (least := _least(by_name.get(name, [])))},
        filled=frozenset(n for n, chunks in by_name.items() if all(c[2] == 0 for c in chunks)),
    )


def _above_zero(chunks: Sequence[tuple[Any, ...]]) -> bool:
    """True where the footer does not say."""
    return any(
        null_count != values and (most is None or int(most) > 0)
        for _, values, null_count, most, *_ in chunks
    )


def _most(chunks: Sequence[tuple[Any, ...]]) -> float:
    """0 where the footer does not say."""
    return max((float(chunk[3]) for chunk in chunks if chunk[3] is not None), default=0.0)


def _least(chunks: Sequence[tuple[Any, ...]]) -> float:
    """0 where the footer does not say."""
    known = [float(chunk[4]) for chunk in chunks if chunk[4] is not None]
    whole = len(known) == len(chunks) > 0 and all(map(math.isfinite, known))
    return min(known) if whole else 0.0


def _same(chunks: Sequence[tuple[Any, ...]]) -> str | None:
    """The only value of a column of texts; None where the footer does not say."""
    ends = {end for _, _, null_count, most, least, *_ in chunks for end in (most, least)}
    nulls = any(chunk[2] != 0 for chunk in chunks)
    if nulls or len(ends) != 1 or not isinstance(only := next(iter(ends)), str):
        return None
    return only if len(only.encode()) < _WHOLE else None


def _all_null(chunks: Sequence[tuple[Any, ...]]) -> bool:
    """Empty lists hold no values either."""
    return all(null_count == values for _, values, null_count, *_ in chunks)


def _grouped(
    db: duckdb.DuckDBPyConnection, file: Path, by_name: dict[str, list[tuple[Any, ...]]]
) -> bool:
    groups, items = by_name.get("group", []), by_name.get("item_id", [])
    if _all_null(groups) or _same_bytes(file, groups, items):
        return False
    differs = db.execute(
        f"SELECT 1 FROM read_parquet({file_list([file])})"
        ' WHERE "group" IS NOT NULL AND "group" <> item_id LIMIT 1'
    ).fetchone()
    return differs is not None


def _same_bytes(
    file: Path, groups: Sequence[tuple[Any, ...]], items: Sequence[tuple[Any, ...]]
) -> bool:
    """Are both columns' chunks the same bytes? Then so are their values, and none is decoded."""
    if [chunk[:7] for chunk in groups] != [chunk[:7] for chunk in items]:
        return False
    with file.open("rb", buffering=0) as one, file.open("rb", buffering=0) as other:
        for group, item in zip(groups, items, strict=True):
            for opened, (*_, start, data) in ((one, group), (other, item)):
                opened.seek(min(start or data, data))
            left = int(group[6])
            while left > 0:
                piece = one.read(min(_PIECE, left))
                if not piece or piece != other.read(len(piece)):
                    return False
                left -= len(piece)
    return True
