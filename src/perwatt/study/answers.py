"""One view over every run's requests.parquet: a row for each item asked of each pair."""

from __future__ import annotations

import glob
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from perwatt.core.study import StudyPair
from perwatt.study.pairs import device_of, loads_of
from perwatt.study.runs import OpenRun

if TYPE_CHECKING:
    import duckdb

__all__ = ["COLUMNS", "make_answers"]

COLUMNS = {
    "pair": "INTEGER: index into Study.pairs",
    "run": "INTEGER: index into Study.runs",
    "workload": "VARCHAR",
    "item_id": "VARCHAR: with workload, which question",
    "cluster": "VARCHAR: what is resampled as one: the item, or the group it belongs to",
    "kind": "VARCHAR",
    "level": "INTEGER",
    "category": "VARCHAR",
    "repeat": "INTEGER",
    "ok": "BOOLEAN: it was answered",
    "score": "DOUBLE: 0 to 1; 0 where it failed, NULL where it was not judged",
    "energy_gross_j": "DOUBLE: of all turns",
    "energy_net_j": "DOUBLE",
    "prefill_j": "DOUBLE",
    "decode_j": "DOUBLE",
    "seconds": "DOUBLE: from dispatch to the last chunk, turns summed",
    "prompt_tokens": "BIGINT",
    "completion_tokens": "BIGINT",
}
"""Attempts that were asked again are left out; turns of a conversation are one row."""


def make_answers(runs: Sequence[OpenRun], pairs: Sequence[StudyPair]) -> duckdb.DuckDBPyConnection:
    """An in-memory database with the view `answers`; nothing is read before it is asked."""
    import duckdb

    db = duckdb.connect(
        ":memory:",
        config={"autoinstall_known_extensions": "false", "autoload_known_extensions": "false"},
    )
    db.execute("CREATE TABLE pair_of (run INTEGER, pair_id VARCHAR, stage INTEGER, pair INTEGER)")
    index = {pair.key: number for number, pair in enumerate(pairs)}
    places = [
        (number, pair_id, stage, index[f"{pair_id} · {device_of(run, identity)} · {load}"])
        for number, run in enumerate(runs)
        for pair_id, identity in run.identities.items()
        for stage, load in enumerate(loads_of(run.run))
    ]
    if places:
        db.executemany("INSERT INTO pair_of VALUES (?, ?, ?, ?)", places)
    parts = [_rows(number, run.requests) for number, run in enumerate(runs)]
    rows = " UNION ALL ".join(parts) if parts else _NO_ROWS
    db.execute(f"CREATE VIEW answers AS {_JOINED.format(rows=rows)}")
    return db


def _rows(number: int, file: Path) -> str:
    path = glob.escape(str(file)).replace("'", "''")
    return f"SELECT {number} AS run, * FROM ({_COLUMNS_OF.format(path=path)})"


_COLUMNS_OF = """
SELECT pair_id, coalesce(stage, 0) AS stage, coalesce(turn, 0) AS turn, workload, item_id,
       coalesce("group", item_id) AS cluster, kind, level, category, repeat, status = 'ok' AS ok,
       CASE WHEN status = 'ok' OR abstained THEN score ELSE 0 END AS score,
       energy_gross_j, energy_net_j, prefill_j, decode_j,
       (last_chunk_ns - dispatched_ns) / 1e9 AS seconds, prompt_tokens, completion_tokens
FROM read_parquet('{path}') WHERE status NOT IN ('cancelled', 'retried')"""

_NO_ROWS = """
SELECT 0 AS run, '' AS pair_id, 0 AS stage, 0 AS turn, '' AS workload, '' AS item_id,
       '' AS cluster, '' AS kind, 0 AS level, '' AS category, 0 AS repeat, true AS ok,
       0.0 AS score, 0.0 AS energy_gross_j, 0.0 AS energy_net_j, 0.0 AS prefill_j,
       0.0 AS decode_j, 0.0 AS seconds, 0 AS prompt_tokens, 0 AS completion_tokens
WHERE false"""

_JOINED = """
SELECT pair_of.pair, rows.run, workload, item_id, cluster, kind, level, category, repeat, ok,
       score, energy_gross_j, energy_net_j, prefill_j, decode_j, seconds, prompt_tokens,
       completion_tokens
FROM ({rows}) AS rows JOIN pair_of
  ON rows.run = pair_of.run AND rows.pair_id = pair_of.pair_id AND rows.stage = pair_of.stage"""
