"""A study's answers as sums: one pass over the files, and every table's means and intervals.

A cell is a pair's answers of one workload, kind, level and category. A file whose answers are all
clusters of their own is summed in one go; repeats, conversations, groups of items, and a pair that
several runs asked are first summed within each cluster.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np

from perwatt.stats.moments import COLUMNS, Moments, moments_of, together
from perwatt.stats.sample import Floats
from perwatt.study.abreast import abreast
from perwatt.study.answers import Place, answer_rows
from perwatt.study.file_facts import FileFacts
from perwatt.study.moment_sql import (
    MEASURED,
    Query,
    centres_of,
    clusters_of,
    columns_of,
    filled_of,
    sums_of,
)

if TYPE_CHECKING:
    import duckdb

__all__ = ["Cell", "Pieces", "make_cells", "rolled"]

_AT_ONCE = 64
"""Small files to a query."""
_SMALL = 50_000
_OFFSET = 10_000.0
KEYS = ("workload", "kind", "level", "category")

Source = tuple[Path, FileFacts]


class Pieces(msgspec.Struct, frozen=True, kw_only=True):
    """Parts of clusters that are in several cells, such as a passage with easy and hard questions.

    They are kept one by one, so that cells can still be put together without counting one twice.
    """

    rest: Moments | None
    """Of the cell's other clusters."""
    clusters: tuple[str, ...]
    sums: Floats
    """(k, n) as `moments_of` takes them."""
    centre: Floats
    graded: int
    missing: dict[str, int]


class Cell(msgspec.Struct, frozen=True, kw_only=True):
    """One pair's answers of one workload, kind, level and category, as sums."""

    pair: int
    """Index into Study.pairs."""
    workload: str | None
    kind: str | None
    level: int | None
    category: str | None
    moments: Moments
    pieces: Pieces | None = None
    """None: no cluster of its is in another cell too."""


def rolled(cells: Iterable[Cell], by: Sequence[str] = ("pair",)) -> dict[tuple[Any, ...], Moments]:
    """Cells put together by fields of Cell, `pair` among them, in the order they are met.

    ValueError without `pair`: pairs are asked the same items, so their cells share clusters.
    """
    if "pair" not in by:
        msg = "cells of unlike pairs share their items and cannot be added"
        raise ValueError(msg)
    groups: dict[tuple[Any, ...], list[Cell]] = {}
    for cell in cells:
        groups.setdefault(tuple(getattr(cell, name) for name in by), []).append(cell)
    return {key: _together(found) for key, found in groups.items()}


def make_cells(
    db: duckdb.DuckDBPyConnection, sources: Sequence[Source], places: Sequence[Place]
) -> tuple[Cell, ...]:
    """All cells in the order of pairs, then of their fields; `sources`: one for each run."""
    places_of = Counter(place.pair for place in places)
    quick = [p for p in places if sources[p.run][1].once and places_of[p.pair] == 1]
    slow = dict.fromkeys(place.pair for place in places if place not in quick)
    cells: list[Cell] = []
    batches = _batches(sources, sorted({place.run for place in quick}))
    for made in abreast(db, lambda cursor, runs: _quick(cursor, sources, runs, quick), batches):
        cells += made
    for pair in slow:
        cells += _clustered(db, sources, [place for place in places if place.pair == pair])
    return tuple(sorted(cells, key=_order))


def _batches(sources: Sequence[Source], runs: Sequence[int]) -> list[list[int]]:
    """Runs that are read in one query: small files together, whose planning would cost more than
    their rows. They count from one centre, so a large offset keeps a file to itself."""
    alone, together = [], {False: list[int](), True: list[int]()}
    for run in runs:
        facts = sources[run][1]
        if facts.rows < _SMALL and max(facts.least.values(), default=0.0) < _OFFSET:
            together[facts.logprobs].append(run)
        else:
            alone.append([run])
    return alone + [
        found[start : start + _AT_ONCE]
        for found in together.values()
        for start in range(0, len(found), _AT_ONCE)
    ]


def _quick(
    db: duckdb.DuckDBPyConnection,
    sources: Sequence[Source],
    runs: Sequence[int],
    places: Sequence[Place],
) -> list[Cell]:
    """Cells of those `places` in `runs`, whose files have a cluster in each answer."""
    rows = answer_rows([(run, *sources[run]) for run in runs])
    facts = [sources[run][1] for run in runs]
    centres = centres_of([found.least for found in facts])
    filled = filled_of(found.filled for found in facts)
    query = Query(once=True, perplexity=facts[0].logprobs, filled=filled)
    by = ("run", "pair_id", "stage", *KEYS)
    known = _known(runs, facts)
    keys = ", ".join(name for name in by if name not in known)
    shown = ", ".join(known.get(name, name) for name in by)
    found = db.execute(
        f"SELECT {shown}, {query.select}"
        f" FROM (SELECT {keys}, {columns_of(centres)} FROM ({rows})) GROUP BY {keys}"
    ).fetchall()
    pair_of = {(place.run, place.pair_id, place.stage): place.pair for place in places}
    cells = []
    for row in found:
        pair = pair_of.get(row[:3])
        if pair is not None:
            names = dict(zip(KEYS, row[3:7], strict=True))
            cells.append(Cell(pair=pair, moments=query.moments(row[7:], centres), **names))
    return cells


def _known(runs: Sequence[int], facts: Sequence[FileFacts]) -> dict[str, str]:
    """SQL of those keys that the footers say are one for all rows: grouping by them costs time."""
    if len(runs) > 1:
        return {}
    known = {"run": str(runs[0])}
    if facts[0].stages == 1:
        known["stage"] = "0"
    for name, value in facts[0].alike.items():
        known[name] = "'" + value.replace("'", "''") + "'"
    return known


def _clustered(
    db: duckdb.DuckDBPyConnection, sources: Sequence[Source], places: Sequence[Place]
) -> list[Cell]:
    """Cells of one pair whose clusters are first summed."""
    runs = sorted({place.run for place in places})
    rows = answer_rows([(run, *sources[run]) for run in runs])
    db.execute("CREATE OR REPLACE TEMP TABLE here (run INTEGER, pair_id VARCHAR, stage INTEGER)")
    here = [(place.run, place.pair_id, place.stage) for place in places]
    db.executemany("INSERT INTO here VALUES (?, ?, ?)", here)
    rows = f"SELECT * FROM ({rows}) SEMI JOIN here USING (run, pair_id, stage)"
    centres = centres_of([sources[run][1].least for run in runs])
    query = Query(once=False, perplexity=any(sources[run][1].logprobs for run in runs))
    keys = (*KEYS, "cluster")
    values = f"SELECT {', '.join(keys)}, {columns_of(centres)} FROM ({rows})"
    db.execute(
        f"CREATE OR REPLACE TEMP TABLE clusters AS {clusters_of(values, keys, query.perplexity)}"
    )
    db.execute(
        "CREATE OR REPLACE TEMP TABLE spanning AS SELECT workload, cluster FROM clusters"
        " GROUP BY workload, cluster HAVING count(*) > 1"
    )
    spans = "(workload, cluster) IN (SELECT (workload, cluster) FROM spanning)"
    try:
        inside = db.execute(
            f"SELECT {', '.join(KEYS)}, {query.select} FROM clusters WHERE NOT {spans}"
            f" GROUP BY {', '.join(KEYS)}"
        ).fetchall()
        across = db.execute(f"SELECT * FROM clusters WHERE {spans}").fetchnumpy()
    finally:
        for table in ("here", "clusters", "spanning"):
            db.execute(f"DROP TABLE {table}")
    whole = {row[:4]: query.moments(row[4:], centres) for row in inside}
    pieces = _pieces(across, centres, whole)
    pair = places[0].pair
    found = []
    for key in dict.fromkeys([*whole, *pieces]):
        names = dict(zip(KEYS, key, strict=True))
        own = pieces.get(key)
        moments = whole[key] if own is None else _fused([own])
        found.append(Cell(pair=pair, moments=moments, pieces=own, **names))
    return found


def _pieces(
    found: dict[str, Any], centres: Sequence[float], whole: dict[Any, Moments]
) -> dict[tuple[Any, ...], Pieces]:
    rows_of: dict[tuple[Any, ...], list[int]] = {}
    keys = zip(*(_plain(found[name]) for name in KEYS), strict=True)
    for row, key in enumerate(keys):
        rows_of.setdefault(key, []).append(row)
    sums = sums_of(found)
    names = list(zip(_plain(found["workload"]), _plain(found["cluster"]), strict=True))
    return {
        key: Pieces(
            rest=whole.get(key),
            clusters=tuple(f"{names[row][0]}\0{names[row][1]}" for row in rows),
            sums=sums[:, rows],
            centre=np.array([0.0, 0.0, *centres]),
            graded=int(found["graded"][rows].sum()),
            missing={
                name: int(found[f"gone_{name}"][rows].sum())
                if f"gone_{name}" in found
                else int(sums[1, rows].sum())
                for name in MEASURED
            },
        )
        for key, rows in rows_of.items()
    }


def _plain(column: Any) -> list[Any]:
    """Python's own values, missing ones None."""
    masked = np.ma.getmaskarray(column)
    return [None if gone else value for value, gone in zip(column.tolist(), masked, strict=True)]


def _together(cells: Sequence[Cell]) -> Moments:
    if len(cells) == 1:
        return cells[0].moments
    whole = [cell.moments for cell in cells if cell.pieces is None]
    if pieces := [cell.pieces for cell in cells if cell.pieces is not None]:
        whole.append(_fused(pieces))
    return together(whole)


def _fused(pieces: Sequence[Pieces]) -> Moments:
    """Parts of one cluster made one; of one pair, so that all count from one centre."""
    index = {name: n for n, name in enumerate(dict.fromkeys(c for p in pieces for c in p.clusters))}
    sums = np.zeros((len(COLUMNS), len(index)))
    missing: Counter[str] = Counter()
    for piece in pieces:
        # A piece has each of its clusters once.
        sums[:, [index[name] for name in piece.clusters]] += piece.sums
        missing.update(piece.missing)
    total = moments_of(
        sums, pieces[0].centre, graded=sum(p.graded for p in pieces), missing=missing
    )
    return together([total, *(piece.rest for piece in pieces if piece.rest is not None)])


def _order(cell: Cell) -> tuple[Any, ...]:
    fields = (cell.workload, cell.kind, cell.level, cell.category)
    return (cell.pair, *((value is None, value if value is not None else "") for value in fields))
