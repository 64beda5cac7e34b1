"""A run that is its tables alone, as one read from another tool's files: scored where it stands."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from perwatt.core.errors import RunDirError
from perwatt.core.records import Columns, Item, Judgement, Score, Verdict
from perwatt.runner.judging import SCORER
from perwatt.runner.judging_report import judge_verdicts
from perwatt.runner.rows import columns, score_row
from perwatt.runner.score import Answer, answers_in_table
from perwatt.runner.score_judged import Scores
from perwatt.runner.score_run import scorer_named
from perwatt.runner.verdicts import by_gravity
from perwatt.store.integrity import hashes_of
from perwatt.store.tables import read_table, write_requests, write_scores

__all__ = ["InTables"]


class InTables:
    """Reads requests.parquet and scores.parquet; `write` replaces what scoring has changed."""

    def __init__(self, directory: Path, run: dict[str, Any], items: Mapping[str, Item]) -> None:
        self.directory = directory
        self.run = run
        self.items = items
        self.requests: Columns = read_table(directory / "requests.parquet")
        unknown = next((i for i in self.requests.get("item_id", ()) if i not in items), None)
        if unknown is not None:
            msg = f"{directory} asked the item {unknown!r}, which its items.jsonl does not hold."
            raise RunDirError(msg, "Restore items.jsonl from a copy.")
        self.answers: Sequence[Answer] = answers_in_table(self.requests, items)
        found = _scores(read_table(directory / "scores.parquet"))
        self.scores: Scores = {(score.request_id, score.scorer): score for score in found}
        self._made: set[str] = set()

    def keep(self, score: Score) -> None:
        self.scores[score.request_id, score.scorer] = score
        self._made.add(score.request_id)

    def values(self) -> dict[str, float | None]:
        return dict(zip(self.requests["request_id"], self.requests["score"], strict=True))

    def write(self) -> None:
        """Rows that were not scored again stay as they are; so do all other columns."""
        named = scorer_named(self.run)
        rows = self.requests
        for n, (request_id, item_id) in enumerate(
            zip(rows["request_id"], rows["item_id"], strict=True)
        ):
            score = self.scores.get((request_id, named(self.items[item_id])))
            if request_id not in self._made or score is None:
                continue
            rows["score"][n] = score.judgement.value
            rows["extracted"][n] = score.judgement.extracted
            rows["abstained"][n] = score.judgement.abstained
            rows["scorer"][n] = score.scorer
        write_requests(self.directory / "requests.parquet", rows)
        write_scores(
            self.directory / "scores.parquet",
            columns(score_row(score) for score in self.scores.values()),
        )
        if "files" in self.run:
            self.run["files"] = hashes_of(self.directory)
        said = msgspec.convert(self.run["verdicts"], list[Verdict])
        said = [v for v in said if not v.code.startswith("judge-")]
        judged = self.run.get("judge", {})
        if "judges" in judged and SCORER in {named(item) for item in self.items.values()}:
            said += judge_verdicts(judged, self.run["spec"].get("model", ()))
        self.run["verdicts"] = msgspec.to_builtins(by_gravity(said))

    def close(self) -> None:
        """Nothing is held open."""


def _scores(table: Columns) -> list[Score]:
    names = list(table)
    rows = (dict(zip(names, row, strict=True)) for row in zip(*table.values(), strict=True))
    return [
        Score(
            request_id=row["request_id"],
            item_id=row["item_id"],
            scorer=row["scorer"],
            judgement=Judgement(
                value=row["value"],
                extracted=row["extracted"],
                abstained=bool(row["abstained"]),
                explanation=row["explanation"],
                detail=msgspec.json.decode(row["detail"]) if row.get("detail") else {},
            ),
            seconds=row["seconds"] or 0.0,
            key=row.get("key"),
            energy_j=row["energy_j"],
            cached=bool(row.get("cached")),
        )
        for row in rows
    ]
