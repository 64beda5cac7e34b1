"""The study as its tables see it: runs, pairs, and one view over all of their answers."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from perwatt.core.errors import FileError
from perwatt.core.study import StudyFault, StudyPair, StudyRun
from perwatt.predict.facts import Facts, load_facts
from perwatt.study.abreast import abreast
from perwatt.study.answers import (
    Place,
    find_places,
    make_answers,
    open_database,
    unknown_stages,
    unnamed_pairs,
)
from perwatt.study.cells import Cell, make_cells
from perwatt.study.file_facts import FileFacts, file_facts
from perwatt.study.options import StudyOptions
from perwatt.study.pairs import find_pairs
from perwatt.study.runs import OpenRun, open_runs
from perwatt.study.tariffs.load import load_tariffs
from perwatt.workloads.traces import read_arrivals

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
        sources: Sequence[tuple[Path, FileFacts]],
        places: Sequence[Place],
        closing: ExitStack,
    ) -> None:
        self.open_runs = tuple(runs)
        self.pairs = tuple(pairs)
        """Their index is the view's `pair`."""
        self.faults = list(faults)
        self.db = db
        """Has the view `answers` (see `answers.COLUMNS`)."""
        self.options = options
        self.sources = tuple(sources)
        """Each run's requests.parquet and what its footer says."""
        self.places = tuple(places)
        """Which rows of which runs are which pair's."""
        self.facts = load_facts(options.facts) if options.facts else Facts()
        self._cells: tuple[Cell, ...] | None = None
        self._closing = closing.pop_all()

    @property
    def runs(self) -> tuple[StudyRun, ...]:
        return tuple(run.about for run in self.open_runs)

    def cells(self) -> tuple[Cell, ...]:
        """Every answer summed by pair, workload, kind, level and category: read once, then kept."""
        if self._cells is None:
            self._cells = make_cells(self.db, self.sources, self.places)
        return self._cells

    def use_cells(self, cells: tuple[Cell, ...]) -> None:
        """Cells of this study that were made elsewhere stand in for its own pass."""
        self._cells = cells

    def close(self) -> None:
        self._closing.close()

    def __enter__(self) -> Study:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def open_study(directories: Sequence[Path], options: StudyOptions | None = None) -> Study:
    """All runs that can be read, as one study. Faults are in `Study.faults`, never raised.

    Raises FileError for a file of `options` that cannot be read.
    """
    options = options or StudyOptions()
    if options.trace is not None:  # said now, and not where no table happens to need it
        read_arrivals(options.trace)
    load_tariffs(options.tariffs)
    opened = open_runs(directories, check=options.check)
    # Closed by the study; an error on the way leaves nothing behind either.
    with ExitStack() as closing:
        spill = closing.enter_context(tempfile.TemporaryDirectory(prefix="perwatt-study-"))
        db = closing.enter_context(open_database(Path(spill)))
        runs, sources, faults = _readable(db, opened.runs)
        pairs, more = find_pairs(runs)
        places = find_places(runs, pairs, sources)
        make_answers(db, sources, places)
        faults = [*opened.faults, *faults, *more, *unknown_stages(runs, sources)]
        faults += unnamed_pairs(db, runs, sources)
        return Study(runs, pairs, faults, db, options, sources, places, closing)


def _readable(
    db: duckdb.DuckDBPyConnection, runs: Sequence[OpenRun]
) -> tuple[list[OpenRun], list[tuple[Path, FileFacts]], list[StudyFault]]:
    """Those whose table of requests is one."""
    kept: list[OpenRun] = []
    sources: list[tuple[Path, FileFacts]] = []
    faults: list[StudyFault] = []
    for run, found in zip(runs, abreast(db, _looked_over, runs), strict=True):
        if isinstance(found, FileFacts):
            kept.append(run)
            sources.append((run.requests, found))
        else:
            faults.append(
                StudyFault(
                    code="unreadable",
                    run=run.about.directory,
                    sentence=found.message,
                    mend=found.mend,
                    left_out=True,
                )
            )
    return kept, sources, faults


def _looked_over(db: duckdb.DuckDBPyConnection, run: OpenRun) -> FileFacts | FileError:
    try:
        return file_facts(db, run.requests)
    except FileError as error:
        return error
