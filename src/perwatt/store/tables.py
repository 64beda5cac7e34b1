"""Tables in memory to parquet and back, by DuckDB, without numpy, pandas or pyarrow.

Rows travel to DuckDB as JSON lines with a declared type for each column: nothing is guessed from
the data. Text comes back as it was, NULs and all; only half a surrogate pair, which no UTF-8 file
can hold, comes back as U+FFFD. NaN and infinities are missing values.
"""

from __future__ import annotations

import glob
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from perwatt.core.errors import DiskFullError, FileError, RunDirError
from perwatt.core.records import Columns
from perwatt.store.database import memory_database
from perwatt.store.disk import disk_errors, replace_with
from perwatt.store.lines import repaired
from perwatt.store.schema import POWER, REQUESTS, SCORES

if TYPE_CHECKING:
    import duckdb

__all__ = [
    "read_table",
    "write_power",
    "write_requests",
    "write_scores",
    "write_table",
    "write_tables",
]

_BATCH = 4096


def write_requests(path: Path, columns: Columns) -> None:
    """requests.parquet; columns of `schema.REQUESTS`, those left out are missing throughout."""
    write_table(path, columns, REQUESTS)


def write_power(path: Path, columns: Columns) -> None:
    """power.parquet; columns of `schema.POWER`."""
    write_table(path, columns, POWER)


def write_scores(path: Path, columns: Columns) -> None:
    """scores.parquet; columns of `schema.SCORES`."""
    write_table(path, columns, SCORES)


def write_tables(directory: Path, *, requests: Columns, power: Columns, scores: Columns) -> None:
    """All three into a run directory, each whole or not at all."""
    write_requests(directory / "requests.parquet", requests)
    write_power(directory / "power.parquet", power)
    write_scores(directory / "scores.parquet", scores)


def write_table(path: Path, columns: Columns, schema: Mapping[str, str]) -> None:
    """Write `columns` atomically with exactly `schema`'s columns and types, in its order.

    Raises FileError or DiskFullError; ValueError for a column that the schema does not have, or
    columns of unequal length.
    """
    unknown = set(columns) - set(schema)
    lengths = {len(values) for values in columns.values()}
    if unknown or len(lengths) > 1:
        msg = f"columns {sorted(unknown)} are not in the schema" if unknown else "unequal columns"
        raise ValueError(msg)

    rows = path.with_name(f".{path.name}.rows")
    try:
        with disk_errors(path):
            longest = _write_rows(rows, columns)
        types = ", ".join(f"{_quoted(name)}: {_quoted(kind)}" for name, kind in schema.items())
        source = (
            f"read_json({_path(rows)}, format='newline_delimited', columns={{{types}}},"
            f" maximum_object_size={max(longest + 1024, 16_777_216)})"
        )

        def copy(temporary: Path) -> None:
            with _connection(path, "written") as connection:
                target = _quoted(str(temporary))
                connection.execute(
                    f"COPY (SELECT * FROM {source}) TO {target} (FORMAT parquet, COMPRESSION zstd)"
                )

        replace_with(path, copy)
    finally:
        with suppress(OSError):
            rows.unlink(missing_ok=True)


def read_table(path: Path, columns: Sequence[str] | None = None) -> Columns:
    """Columns of a parquet file, all or those named, in the file's order of rows.

    Raises RunDirError for a missing or damaged file, or a column that it does not have.
    """
    if not path.is_file():
        msg = f"There is no table {path}."
        raise RunDirError(msg, f"If the run was cut short, finish it: perwatt resume {path.parent}")
    wanted = "*" if columns is None else ", ".join(_name(name) for name in columns)
    with _connection(path, "read") as connection:
        result = connection.execute(f"SELECT {wanted} FROM read_parquet({_path(path)})")
        names = [str(column[0]) for column in result.description or ()]
        rows = result.fetchall()
    if not rows:
        return {name: [] for name in names}
    return {name: list(v) for name, v in zip(names, zip(*rows, strict=True), strict=True)}


def _write_rows(file: Path, columns: Columns) -> int:
    """One JSON object for each row; the length of the longest in bytes."""
    encoder = msgspec.json.Encoder(enc_hook=_plain)
    names = list(columns)
    longest = 0
    with file.open("wb") as out:
        for batch in _batches(columns):
            rows = [dict(zip(names, row, strict=True)) for row in batch]
            try:
                data = encoder.encode_lines(rows)
            except UnicodeEncodeError:
                data = encoder.encode_lines([repaired(row) for row in rows])
            longest = max(longest, *map(len, data.split(b"\n")))
            out.write(data)
    return longest


def _plain(value: Any) -> Any:
    """A numpy scalar as Python's own number."""
    if hasattr(value, "item"):
        return value.item()
    msg = f"a table cannot hold {type(value).__name__}"
    raise TypeError(msg)


def _batches(columns: Columns) -> Iterator[list[tuple[object, ...]]]:
    rows = list(zip(*columns.values(), strict=True))
    for start in range(0, len(rows), _BATCH):
        yield rows[start : start + _BATCH]


@contextmanager
def _connection(path: Path, doing: str) -> Iterator[duckdb.DuckDBPyConnection]:
    """An in-memory database that fetches nothing from the network; its errors as ours."""
    import duckdb

    connection = memory_database()
    try:
        yield connection
    except duckdb.Error as error:
        first = str(error).split("\n", 1)[0]
        if "No space left" in first or "File too large" in first:
            msg = f"The disk is full: {path} could not be {doing}."
            mend = "Free some space; the journal is whole, so `perwatt resume` can go on."
            raise DiskFullError(msg, mend) from None
        if doing == "read" and "Permission denied" in first:
            msg = f"The table {path} cannot be read: permission denied."
            raise FileError(msg, "Give a run that you may read.") from None
        if doing == "read":
            why = first.removeprefix("Invalid Input Error: ").rstrip(".")
            msg = f"The table {path} cannot be read: {why}."
            raise RunDirError(msg, f"Make it again: perwatt score {path.parent}") from None
        msg = f"{path} cannot be {doing}: {first}"
        raise FileError(msg) from None
    finally:
        connection.close()


def _path(path: Path) -> str:
    # DuckDB reads * ? [ in the names of files to read as patterns.
    return _quoted(glob.escape(str(path)))


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _name(column: str) -> str:
    return '"' + column.replace('"', '""') + '"'
