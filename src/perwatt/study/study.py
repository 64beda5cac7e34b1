"""The study as its tables see it: runs, pairs, and one view over all of their answers."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from perwatt.core.study import StudyFault, StudyPair, StudyRun
from perwatt.predict.facts import Facts, load_facts
from perwatt.study.answers import make_answers
from perwatt.study.options import StudyOptions
from perwatt.study.pairs import find_pairs
from perwatt.study.runs import OpenRun, open_runs

if TYPE_CHECKING:
    import duckdb

__all__ = ["Study", "open_study"]


class Study:
    """Open runs behind one DuckDB connection. Close it, or use it as a context manager."""

    def __init__(
        self,
        runs: Sequence[OpenRun],
        pairs: Sequence[StudyPair],
        faults: Sequence[StudyFault],
        db: duckdb.DuckDBPyConnection,
        options: StudyOptions,
    ) -> None:
        self.open_runs = tuple(runs)
        self.pairs = tuple(pairs)
        """Their index is the view's `pair`."""
        self.faults = list(faults)
        self.db = db
        """Has the view `answers` (see `answers.COLUMNS`)."""
        self.options = options
        self.facts = load_facts(options.facts) if options.facts else Facts()

    @property
    def runs(self) -> tuple[StudyRun, ...]:
        return tuple(run.about for run in self.open_runs)

    def close(self) -> None:
        self.db.close()

    def __enter__(self) -> Study:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def open_study(directories: Sequence[Path], options: StudyOptions | None = None) -> Study:
    """All runs that can be read, as one study. Faults are in `Study.faults`, never raised.

    Raises RunDirError only where none of `directories` can be read.
    """
    options = options or StudyOptions()
    opened = open_runs(directories, check=options.check)
    pairs, more = find_pairs(opened.runs)
    db = make_answers(opened.runs, pairs)
    return Study(opened.runs, pairs, [*opened.faults, *more], db, options)
