"""What judges said of answers beside another one's, in both orders, from scores.parquet."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from perwatt.study.file_facts import file_list
from perwatt.study.study import Study

__all__ = ["Verdict", "verdicts"]

_ROWS = 20_000
_OPTIONAL = {"stage": "0", "group": "NULL"}


class Verdict(msgspec.Struct, frozen=True):
    """One answer as one or several judges saw it."""

    pair: int
    workload: str
    cluster: str
    leans: dict[str, tuple[int, int]]
    """By judge: from −2, the other answer is much better, to 2; shown first, then second."""


class _OfOne(msgspec.Struct):
    leans: tuple[int, int] | None = None


class _Detail(msgspec.Struct):
    judges: dict[str, _OfOne] = {}


_DECODER = msgspec.json.Decoder(_Detail)


def verdicts(study: Study) -> Iterator[Verdict]:
    """All of them, a few thousand in memory at a time."""
    for number, run in enumerate(study.open_runs):
        scores = run.path / "scores.parquet"
        if not scores.is_file() or not run.requests.is_file():
            continue
        places = {(p.pair_id, p.stage): p.pair for p in study.places if p.run == number}
        for pair_id, stage, workload, cluster, detail in _rows(study, run.requests, scores):
            judges = _DECODER.decode(detail).judges
            leans = {name: said.leans for name, said in judges.items() if said.leans is not None}
            pair = places.get((pair_id, stage))
            if leans and pair is not None:
                yield Verdict(pair, workload, cluster, leans)


def _rows(study: Study, requests: Path, scores: Path) -> Iterator[tuple[Any, ...]]:
    # A cursor of its own: the caller may ask the study other things between two rows.
    db = study.db.cursor()
    names = {
        row[0]
        for row in db.execute(
            f"DESCRIBE SELECT * FROM read_parquet({file_list([requests])})"
        ).fetchall()
    }
    stage, group = (
        f'r."{name}"' if name in names else default for name, default in _OPTIONAL.items()
    )
    db.execute(
        f"SELECT r.pair_id, coalesce({stage}, 0), coalesce(r.workload, ''),"
        f" coalesce({group}, r.item_id), s.detail FROM read_parquet({file_list([scores])}) AS s"
        f" JOIN read_parquet({file_list([requests])}) AS r USING (request_id)"
        " WHERE s.detail LIKE '%\"leans\"%'"
        " AND r.status NOT IN ('cancelled', 'retried') ORDER BY request_id"
    )
    try:
        while rows := db.fetchmany(_ROWS):
            yield from rows
    finally:
        db.close()
