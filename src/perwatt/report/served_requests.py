"""Requests of one run, filtered and a page at a time, straight from its parquet."""

from __future__ import annotations

import glob
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal, get_args

import msgspec

from perwatt.core.errors import RunDirError, SpecError
from perwatt.store.database import memory_database

__all__ = [
    "AROUND_NS",
    "FILTERS",
    "Found",
    "Wanted",
    "choices_of",
    "find_requests",
    "one_request",
    "wanted",
]

Order = Literal["sent", "energy", "latency", "tokens", "score"]
PER_PAGE = 50
AROUND_NS = 1_000_000_000
"""Power is shown from so long before a request to so long after it."""
MOST_AROUND = 1000
FILTERS = ("pair_id", "kind", "category", "status", "scorer")
"""Columns with few values, offered as lists."""
MOST_CHOICES = 200
_ORDERS = {
    "sent": "dispatched_ns",
    "energy": "energy_gross_j DESC NULLS LAST",
    "latency": "last_chunk_ns - dispatched_ns DESC NULLS LAST",
    "tokens": "completion_tokens DESC NULLS LAST",
    "score": "score NULLS LAST",
}


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """What an address asks for."""

    only: Mapping[str, str] = {}
    """By column of FILTERS."""
    right: Literal["", "right", "wrong", "unjudged"] = ""
    words: str = ""
    """In the item's id or the answer's text, whatever their case."""
    order: Order = "sent"
    page: int = 1


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """One page of requests."""

    rows: tuple[dict[str, Any], ...]
    total: int
    of: int
    """Requests in the run."""

    @property
    def pages(self) -> int:
        return max(1, -(-self.total // PER_PAGE))


def wanted(query: Mapping[str, str]) -> Wanted:
    """From an address's query. Raises SpecError naming the part that cannot be read."""
    order, right, page = query.get("order", "sent"), query.get("right", ""), query.get("page", "1")
    if order not in get_args(Order):
        msg = f"order={order!r} is no order."
        raise SpecError(msg, f"Known: {', '.join(get_args(Order))}.")
    if right not in ("", "right", "wrong", "unjudged"):
        msg = f"right={right!r} is no filter."
        raise SpecError(msg, "Known: right, wrong, unjudged.")
    if not page.isdecimal() or not 1 <= int(page) <= 10**7:
        msg = f"page={page!r} is no page."
        raise SpecError(msg, "Pages count from 1.")
    return Wanted(
        only={name: query[name] for name in FILTERS if query.get(name)},
        right=right,  # type: ignore[arg-type]
        words=query.get("q", "").strip(),
        order=order,  # type: ignore[arg-type]
        page=int(page),
    )


def find_requests(directory: Path, asked: Wanted) -> Found:
    """One page of the requests that `asked` means, from requests.parquet."""
    where, values = _where(asked)
    shown = (
        "request_id, item_id, pair_id, kind, category, level, repeat, stage, status, error_kind,"
        " score"
    )
    sql = (
        f"SELECT {shown}, energy_gross_j, energy_low_j, energy_high_j, grade, completion_tokens,"
        " dispatched_ns, first_chunk_ns, last_chunk_ns, left(text, 160) AS text,"
        f" count(*) OVER () AS total FROM requests {where}"
        f" ORDER BY {_ORDERS[asked.order]}, request_id"
        f" LIMIT {PER_PAGE} OFFSET {(asked.page - 1) * PER_PAGE}"
    )
    with _opened(directory) as db:
        rows = _rows(db, sql, values)
        of = db.execute("SELECT count(*) FROM requests").fetchone()[0]
        if rows:
            total = rows[0]["total"]
        else:  # beyond the last page the window counts nothing
            total = db.execute(f"SELECT count(*) FROM requests {where}", values).fetchone()[0]
    return Found(rows=tuple(rows), total=total, of=of)


def one_request(directory: Path, request_id: str) -> dict[str, Any] | None:
    """All of one request, with its scores (`scores`), those in flight beside it (`beside`) or not
    long before or after (`around`, these among them), and the readings of then (`power`)."""
    with _opened(directory) as db:
        found = _rows(db, "SELECT * FROM requests WHERE request_id = ? LIMIT 1", [request_id])
        if not found:
            return None
        row = found[0]
        start, end = row["dispatched_ns"], row["last_chunk_ns"]
        began = start is not None and end is not None
        around = (
            "SELECT request_id, item_id, pair_id, repeat, stage, status, dispatched_ns,"
            " first_chunk_ns, last_chunk_ns, energy_gross_j FROM requests WHERE dispatched_ns <= ?"
            " AND last_chunk_ns >= ? AND request_id <> ? ORDER BY dispatched_ns"
            f" LIMIT {MOST_AROUND}"
        )
        span = [end + AROUND_NS, start - AROUND_NS] if began else []
        row["around"] = _rows(db, around, [*span, request_id]) if began else []
        row["beside"] = [
            each
            for each in row["around"]
            if each["dispatched_ns"] <= end and each["last_chunk_ns"] >= start
        ]
        scores = directory / "scores.parquet"
        row["scores"] = []
        if scores.is_file():
            sql = f"SELECT * FROM {_table(scores)} WHERE request_id = ?"
            row["scores"] = _rows(db, sql, [request_id])
        power = directory / "power.parquet"
        row["power"] = {}
        if power.is_file() and began:
            sql = f"SELECT * FROM {_table(power)} WHERE t_ns BETWEEN ? AND ? ORDER BY t_ns"
            samples = _rows(db, sql, [span[1], span[0]])
            row["power"] = {k: [s[k] for s in samples] for k in samples[0]} if samples else {}
    return row


def choices_of(directory: Path) -> dict[str, list[str]]:
    """The values that each of FILTERS has in this run; none where there are too many to list."""
    with _opened(directory) as db:
        found = {}
        for name in FILTERS:
            sql = f"SELECT DISTINCT {name} FROM requests WHERE {name} IS NOT NULL ORDER BY 1"
            values = [
                str(row[0]) for row in db.execute(f"{sql} LIMIT {MOST_CHOICES + 1}").fetchall()
            ]
            found[name] = values if 1 < len(values) <= MOST_CHOICES else []
    return found


def _where(asked: Wanted) -> tuple[str, list[Any]]:
    parts, values = [], []
    for name, value in asked.only.items():
        parts.append(f"{name} = ?")
        values.append(value)
    if asked.right:
        parts.append(
            {"right": "score >= 1", "wrong": "score < 1", "unjudged": "score IS NULL"}[asked.right]
        )
    if asked.words:
        parts.append("(contains(lower(item_id), lower(?)) OR contains(lower(text), lower(?)))")
        values += [asked.words, asked.words]
    return ("WHERE " + " AND ".join(parts) if parts else ""), values


@contextmanager
def _opened(directory: Path) -> Iterator[Any]:
    """A connection with the view `requests`, every column that perwatt writes being there.

    Raises RunDirError for a table that is none, within the block too: it may be replaced meanwhile.
    """
    import duckdb

    from perwatt.store.schema import REQUESTS

    db = memory_database()
    empty = ", ".join(f'NULL::{kind} AS "{name}"' for name, kind in REQUESTS.items())
    try:
        db.execute(
            f"CREATE VIEW requests AS SELECT * FROM (SELECT {empty} WHERE false)"
            f" UNION ALL BY NAME SELECT * FROM {_table(directory / 'requests.parquet')}"
        )
        yield db
    except duckdb.Error as error:
        msg = f"A table of {directory.name} cannot be read: {str(error).splitlines()[0]}."
        raise RunDirError(msg, f"Make it again: perwatt score {directory}") from None
    finally:
        db.close()


def _table(file: Path) -> str:
    path = glob.escape(str(file)).replace("'", "''")
    return f"read_parquet('{path}')"


def _rows(db: Any, sql: str, values: list[Any]) -> list[dict[str, Any]]:
    result = db.execute(sql, values)
    names = [column[0] for column in result.description]
    return [dict(zip(names, row, strict=True)) for row in result.fetchall()]
