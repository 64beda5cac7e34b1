"""One view over every run's requests.parquet: a row for each item asked of each pair."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from perwatt.core.study import StudyFault, StudyPair
from perwatt.store.database import memory_database
from perwatt.study.abreast import abreast, cores
from perwatt.study.file_facts import FileFacts, file_list
from perwatt.study.pairs import loads_of
from perwatt.study.runs import OpenRun

if TYPE_CHECKING:
    import duckdb

__all__ = [
    "COLUMNS",
    "Place",
    "answer_rows",
    "find_places",
    "make_answers",
    "open_database",
    "unknown_stages",
    "unnamed_pairs",
]

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
    "completion_tokens": "BIGINT: 0 where it failed and none was counted",
    "perplexity": "DOUBLE: exp(−mean log-probability); NULL where none were kept",
}
"""Attempts that were asked again are left out; turns of a conversation are one row, that of the
last one, with the joules, tokens and seconds of all: NULL where they are for any. A column that a
file lacks (an older run, another tool's) is NULL; without `repeat`, `stage` and `turn` it holds one
answer of one turn to each item, in one stage."""

_MEMORY = "1500MB"
"""Beyond it DuckDB sorts and groups on disk."""


class Place(msgspec.Struct, frozen=True):
    """Where rows of a pair are."""

    run: int
    """Index into the study's runs."""
    pair_id: str
    stage: int
    pair: int
    """Index into the study's pairs."""


def open_database(spill: Path) -> duckdb.DuckDBPyConnection:
    """In memory, out of core: what does not fit goes to the folder `spill`."""
    return memory_database(
        {
            "memory_limit": _MEMORY,
            "temp_directory": str(spill),
            "threads": str(cores()),
            "preserve_insertion_order": "false",
        }
    )


def find_places(
    runs: Sequence[OpenRun], pairs: Sequence[StudyPair], sources: Sequence[tuple[Path, FileFacts]]
) -> list[Place]:
    """Which rows of which runs are which pair's.

    A stage that run.json has no words for is put to the last that it has, so that no answer is
    left out unsaid; see `unknown_stages`.
    """
    index = {
        (run, pair.pair_id, pair.load): number
        for number, pair in enumerate(pairs)
        for run in pair.runs
    }
    found = []
    for number, (run, (_, facts)) in enumerate(zip(runs, sources, strict=True)):
        loads = loads_of(run.run)
        if not loads:
            continue  # published figures alone
        for pair_id in run.identities:
            for stage in range(max(len(loads), facts.stages)):
                load = loads[min(stage, len(loads) - 1)]
                found.append(Place(number, pair_id, stage, index[number, pair_id, load]))
    return found


def unknown_stages(
    runs: Sequence[OpenRun], sources: Sequence[tuple[Path, FileFacts]]
) -> list[StudyFault]:
    """Runs whose table has more stages than run.json has words for."""
    faults = []
    for run, (_, facts) in zip(runs, sources, strict=True):
        loads = loads_of(run.run)
        if loads and facts.stages > len(loads):
            name = run.about.directory
            faults.append(
                StudyFault(
                    code="unreadable",
                    run=name,
                    sentence=f"{name} was asked in {facts.stages} stages, of which run.json names"
                    f" {len(loads)}: answers of the others are put to {loads[-1]!r}.",
                    mend="Read figures of that load as of several loads together.",
                )
            )
    return faults


def unnamed_pairs(
    db: duckdb.DuckDBPyConnection,
    runs: Sequence[OpenRun],
    sources: Sequence[tuple[Path, FileFacts]],
) -> list[StudyFault]:
    """Runs whose table has rows of a pair that run.json does not name: nobody knows what it is."""

    def pairs_in(cursor: duckdb.DuckDBPyConnection, source: tuple[Path, FileFacts]) -> set[str]:
        file, facts = source
        if "pair_id" in facts.alike:
            return {facts.alike["pair_id"]}
        sql = f"SELECT DISTINCT pair_id FROM read_parquet({file_list([file])})"
        return {str(row[0]) for row in cursor.execute(sql).fetchall()}

    faults = []
    for run, found in zip(runs, abreast(db, pairs_in, sources), strict=True):
        if unknown := sorted(found - set(run.identities)):
            name = run.about.directory
            faults.append(
                StudyFault(
                    code="unreadable",
                    run=name,
                    sentence=f"Rows of {', '.join(unknown)} in {name} are left out: its run.json"
                    " names no such pair.",
                    mend="Restore run.json, or the table, from a copy.",
                )
            )
    return faults


def make_answers(
    db: duckdb.DuckDBPyConnection,
    sources: Sequence[tuple[Path, FileFacts]],
    places: Sequence[Place],
) -> None:
    """The view `answers`; nothing is read before it is asked. `sources`: one for each run."""
    db.execute("CREATE TABLE place (run INTEGER, pair_id VARCHAR, stage INTEGER, pair INTEGER)")
    if places:
        rows = [(p.run, p.pair_id, p.stage, p.pair) for p in places]
        db.executemany("INSERT INTO place VALUES (?, ?, ?, ?)", rows)
    numbered = [(number, *source) for number, source in enumerate(sources)]
    columns = ", ".join(name for name in COLUMNS if name not in ("pair", "run"))
    db.execute(
        f"CREATE VIEW answers AS SELECT place.pair, rows.run, {columns}"
        f" FROM ({answer_rows(numbered)}) AS rows JOIN place ON rows.run = place.run"
        " AND rows.pair_id = place.pair_id AND rows.stage = place.stage"
    )


def answer_rows(sources: Sequence[tuple[int, Path, FileFacts]]) -> str:
    """SQL of rows with `run`, `pair_id`, `stage` and COLUMNS but `pair`; sources: (run, …).

    Files of the same columns are read as one list: one scan, however many runs there are.
    """
    alike: dict[tuple[frozenset[str], bool, bool], list[tuple[int, Path]]] = {}
    for number, file, facts in sources:
        key = frozenset(facts.columns & _READ.keys()), facts.turns, facts.all_ok
        alike.setdefault(key, []).append((number, file))
    parts = [_part(*key, files) for key, files in alike.items()]
    return " UNION ALL ".join(parts) if parts else f"SELECT * FROM ({_NO_ROWS}) WHERE false"


_READ = {
    "pair_id": "VARCHAR",
    "stage": "INTEGER",
    "turn": "INTEGER",
    "workload": "VARCHAR",
    "item_id": "VARCHAR",
    "group": "VARCHAR",
    "kind": "VARCHAR",
    "level": "INTEGER",
    "category": "VARCHAR",
    "repeat": "INTEGER",
    "status": "VARCHAR",
    "abstained": "BOOLEAN",
    "score": "DOUBLE",
    "energy_gross_j": "DOUBLE",
    "energy_net_j": "DOUBLE",
    "prefill_j": "DOUBLE",
    "decode_j": "DOUBLE",
    "dispatched_ns": "BIGINT",
    "last_chunk_ns": "BIGINT",
    "prompt_tokens": "INTEGER",
    "completion_tokens": "INTEGER",
    "logprobs": "DOUBLE[]",
}


def _part(
    present: frozenset[str], turns: bool, all_ok: bool, files: Sequence[tuple[int, Path]]
) -> str:
    scan = f"read_parquet({file_list([file for _, file in files])})"
    known = {"status": "'ok'"} if all_ok else {}  # a constant is neither read nor compared
    wanted = [
        f"CAST({known.get(name, _quoted(name)) if name in present else 'NULL'} AS {kind})"
        f" AS {_quoted(name)}"
        for name, kind in _READ.items()
    ]
    extra = ", file_index, file_row_number" if turns else ", file_index"
    attempts = f"SELECT {', '.join(wanted)}{extra} FROM {scan}"
    rows = _TURN.format(attempts=attempts, place=", file_row_number" if turns else "")
    if turns:
        rows = _CONVERSATION.format(turns=rows)
    numbers = [str(number) for number, _ in files]
    run = (
        numbers[0] if len(files) == 1 else f"[{', '.join(numbers)}][CAST(file_index AS BIGINT) + 1]"
    )
    return f"SELECT CAST({run} AS INTEGER) AS run, {_FINAL} FROM ({rows})"


_TURN = """
SELECT file_index{place}, pair_id, coalesce(stage, 0) AS stage, coalesce(turn, 0) AS turn, workload,
       item_id, coalesce("group", item_id) AS cluster, kind, level, category,
       coalesce(repeat, 0) AS repeat, dispatched_ns, status = 'ok' AS ok,
       CASE WHEN status = 'ok' OR abstained THEN score ELSE 0 END AS score,
       energy_gross_j, energy_net_j, prefill_j, decode_j, last_chunk_ns - dispatched_ns AS took_ns,
       prompt_tokens,
       CASE WHEN status = 'ok' THEN completion_tokens ELSE coalesce(completion_tokens, 0) END
           AS completion_tokens,
       list_sum(logprobs) AS surprise, len(logprobs) AS weighed
FROM ({attempts}) WHERE status NOT IN ('cancelled', 'retried')"""

_SUMMED = (
    "energy_gross_j",
    "energy_net_j",
    "prefill_j",
    "decode_j",
    "took_ns",
    "prompt_tokens",
    "completion_tokens",
    "surprise",
    "weighed",
)
_LAST = ("workload", "cluster", "kind", "level", "category", "ok", "score")


def _whole(name: str) -> str:
    """A sum with a hole in it is not a sum."""
    return f"CASE WHEN count({name}) = count(*) THEN sum({name}) END AS {name}"


# As metrics/conversations does: a turn that was asked again counts once, the later time.
_CONVERSATION = f"""
SELECT file_index, pair_id, stage, item_id, repeat,
       {", ".join(f"(final).{name} AS {name}" for name in _LAST)},
       {", ".join(_SUMMED)}
FROM (SELECT file_index, pair_id, stage, item_id, repeat,
             arg_max({{{{{", ".join(f"'{name}': {name}" for name in _LAST)}}}}}, turn) AS final,
             {", ".join(map(_whole, _SUMMED))}
      FROM (SELECT * FROM ({{turns}}) QUALIFY row_number() OVER (
                PARTITION BY file_index, pair_id, stage, item_id, repeat, turn
                ORDER BY dispatched_ns DESC NULLS LAST, file_row_number DESC) = 1)
      GROUP BY file_index, pair_id, stage, item_id, repeat)"""

_FINAL = """pair_id, stage, workload, item_id, cluster, kind, level, category, repeat, ok, score,
       energy_gross_j, energy_net_j, prefill_j, decode_j, took_ns / 1e9 AS seconds,
       CAST(prompt_tokens AS BIGINT) AS prompt_tokens,
       CAST(completion_tokens AS BIGINT) AS completion_tokens,
       CASE WHEN weighed > 0 THEN exp(-surprise / weighed) END AS perplexity"""

_NO_ROWS = f"""
SELECT 0 AS run, {_FINAL} FROM (SELECT
       '' AS pair_id, 0 AS stage, '' AS workload, '' AS item_id, '' AS cluster, '' AS kind,
       0 AS level, '' AS category, 0 AS repeat, true AS ok, 0.0 AS score, 0.0 AS energy_gross_j,
       0.0 AS energy_net_j, 0.0 AS prefill_j, 0.0 AS decode_j, 0 AS took_ns, 0 AS prompt_tokens,
       0 AS completion_tokens, 0.0 AS surprise, 0 AS weighed)"""


def _quoted(name: str) -> str:
    return f'"{name}"'
