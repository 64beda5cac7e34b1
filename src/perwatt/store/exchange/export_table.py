"""A run's tables copied into other files by DuckDB, a stream of rows: a run need not fit in memory.

Every column of the schema is there, of the schema's type, whatever version wrote the run.
"""

from __future__ import annotations

import glob
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from perwatt.core.errors import DiskFullError, FileError, RunDirError
from perwatt.core.summary import RunSummary
from perwatt.store.database import memory_database
from perwatt.store.disk import disk_errors, replace_with
from perwatt.store.published import PUBLISHED
from perwatt.store.schema import POWER, REQUESTS, SCORES
from perwatt.store.tables import write_table

if TYPE_CHECKING:
    import duckdb

__all__ = [
    "METRICS",
    "TABLES",
    "TEXT",
    "ExportRun",
    "copy_table",
    "copy_tables",
    "formula_cells",
    "kept",
]

METRICS = {
    "run_id": "VARCHAR",
    "pair_id": "VARCHAR",
    "label": "VARCHAR",
    "stage": "INTEGER",
    "by": "VARCHAR",
    "slice": "VARCHAR",
    "metric": "VARCHAR",
    "value": "DOUBLE",
    "low": "DOUBLE",
    "high": "DOUBLE",
    "unit": "VARCHAR",
    "n": "INTEGER",
    "grade": "VARCHAR",
    "boundary": "VARCHAR",
    "method": "VARCHAR",
    "reason": "VARCHAR",
}
"""One row for each figure. `stage`, `by`, `slice`: missing where it is of all of the pair."""

TABLES = {
    "requests": REQUESTS,
    "metrics": METRICS,
    "scores": SCORES,
    "power": POWER,
    "published": PUBLISHED,
}
TEXT = frozenset({"text", "reasoning", "tool_calls", "extracted", "error", "explanation", "detail"})
"""Columns that hold what a model, a judge or a server wrote."""

Form = Literal["csv", "parquet"]


class ExportRun(msgspec.Struct, frozen=True, kw_only=True):
    """A finished run and its figures."""

    name: str
    """Unique among those exported together, and fit for a file name."""
    path: Path
    run: dict[str, Any]
    """run.json."""
    summary: RunSummary

    @property
    def run_id(self) -> str:
        return str(self.run.get("run_id") or f"{self.run['started']}/{self.run['name']}")


def kept(table: str, text: bool) -> dict[str, str]:
    """Columns and DuckDB types of an exported table; `text`: those of TEXT too."""
    return {name: kind for name, kind in TABLES[table].items() if text or name not in TEXT}


def copy_tables(
    run: ExportRun,
    folder: Path,
    form: Form,
    *,
    text: bool = True,
    empty: bool = True,
    place: str = "{table}.{form}",
) -> list[Path]:
    """The files written, whole or not at all; `place`: where in `folder`. Parquet files carry
    `perwatt.run_id`, `perwatt.version` and more as key-value metadata. `empty`: tables without a
    row too.

    Raises FileError, DiskFullError, or RunDirError for a table that cannot be read.
    """
    written = []
    with disk_errors(folder, "made"):
        folder.mkdir(parents=True, exist_ok=True)
    own = folder / f".{run.name}.metrics.parquet"
    for table in TABLES:
        target = folder / place.format(table=table, form=form, run=run.name)
        source = own if table == "metrics" else run.path / f"{table}.parquet"
        try:
            if table == "metrics":
                write_table(own, _metric_columns(run), METRICS)
            if source.is_file() and copy_table(
                run, table, source, target, form, text=text, empty=empty
            ):
                written.append(target)
        finally:
            own.unlink(missing_ok=True)
    return written


def copy_table(
    run: ExportRun,
    table: str,
    source: Path,
    target: Path,
    form: Form,
    *,
    text: bool = True,
    empty: bool = True,
) -> bool:
    """Was it written? `table`: a name of TABLES, whose columns `target` gets. Errors as above."""
    with _connection(source, target) as connection:
        rows = f"read_parquet({_quoted(glob.escape(str(source)))})"
        found = {str(row[0]) for row in connection.execute(f"DESCRIBE FROM {rows}").fetchall()}
        if not empty and not connection.execute(f"SELECT 1 FROM {rows} LIMIT 1").fetchall():
            return False
        columns = (_column(name, kind, found, form) for name, kind in kept(table, text).items())
        options = "FORMAT csv, HEADER true"
        if form == "parquet":
            told = ", ".join(f"{_name(k)}: {_quoted(v)}" for k, v in _about(run, table).items())
            options = f"FORMAT parquet, COMPRESSION zstd, KV_METADATA {{{told}}}"
        query = f"SELECT {', '.join(columns)} FROM {rows}"

        def write(temporary: Path) -> None:
            connection.execute(f"COPY ({query}) TO {_quoted(str(temporary))} ({options})")

        with disk_errors(target.parent, "made"):
            target.parent.mkdir(parents=True, exist_ok=True)
        replace_with(target, write)
    return True


def formula_cells(run: ExportRun, table: str, *, text: bool = True) -> int:
    """Texts of a table that a spreadsheet would run as formulas: those that begin with = + - @, a
    tab or a carriage return, and are no number. They are exported as they are: a mark put before
    them would be part of the answer for every other reader."""
    source = run.path / f"{table}.parquet"
    if not source.is_file():
        return 0
    with _connection(source, source) as connection:
        rows = f"read_parquet({_quoted(glob.escape(str(source)))})"
        found = {str(row[0]) for row in connection.execute(f"DESCRIBE FROM {rows}").fetchall()}
        texts = [n for n, kind in kept(table, text).items() if kind == "VARCHAR" and n in found]
        counts = [
            f"count(*) FILTER (WHERE regexp_matches({_name(n)}, '^[=+@\t\r-]')"
            f" AND TRY_CAST({_name(n)} AS DOUBLE) IS NULL)"
            for n in texts
        ]
        query = f"SELECT {' + '.join(counts) or 0} FROM {rows}"
        return int(connection.execute(query).fetchall()[0][0])


@contextmanager
def _connection(source: Path, target: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    """A database that fetches nothing from the network; its errors as ours."""
    import duckdb

    connection = memory_database()
    try:
        yield connection
    except duckdb.Error as error:
        first = str(error).split("\n", 1)[0]
        if "No space left" in first or "File too large" in first:
            msg = f"The disk is full: {target} could not be written."
            raise DiskFullError(msg, "Free some space and export again.") from None
        if isinstance(error, duckdb.InvalidInputException | duckdb.ConversionException):
            msg = f"The table {source} cannot be read: {first}"
            raise RunDirError(msg, f"Make it again: perwatt score {source.parent}") from None
        msg = f"{target} cannot be written from {source}: {first}"
        raise FileError(msg) from None
    finally:
        connection.close()


def _column(name: str, kind: str, found: set[str], form: Form) -> str:
    value = f"CAST({_name(name)} AS {kind})" if name in found else f"CAST(NULL AS {kind})"
    if form == "csv" and kind.endswith("[]"):
        value = f"CAST(to_json({value}) AS VARCHAR)"
    return f"{value} AS {_name(name)}"


def _about(run: ExportRun, table: str) -> dict[str, str]:
    workload = run.run["workload"]
    return {
        "perwatt.table": table,
        "perwatt.run_id": run.run_id,
        "perwatt.run": run.name,
        "perwatt.started": str(run.run["started"]),
        "perwatt.version": str(run.run["perwatt_version"]),
        "perwatt.workload": str(workload["name"]),
        "perwatt.workload_sha256": str(workload["sha256"]),
    }


def _metric_columns(run: ExportRun) -> dict[str, list[Any]]:
    rows = []
    for pair in run.summary.pairs:
        own = {
            "run_id": run.run_id,
            "pair_id": pair.identity.pair_id,
            "label": pair.identity.label,
        }
        groups: list[tuple[dict[str, Any], Mapping[str, Any]]] = [({}, pair.metrics)]
        groups += [
            ({"by": by, "slice": label}, metrics)
            for by, labels in pair.slices.items()
            for label, metrics in labels.items()
        ]
        groups += [
            ({"stage": stage.stage}, stage.metrics)
            for stage in run.summary.stages
            if stage.pair_id == pair.identity.pair_id
        ]
        for where, metrics in groups:
            for name, estimate in metrics.items():
                figures = msgspec.structs.asdict(estimate)
                rows.append({**own, **where, "metric": name, **figures})
    return {name: [row.get(name) for row in rows] for name in METRICS}


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _name(column: str) -> str:
    return '"' + column.replace('"', '""') + '"'
