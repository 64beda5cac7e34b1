"""Study → StudySummary: every table that the runs give, each made on its own."""

from __future__ import annotations

from collections.abc import Callable

from perwatt import __version__
from perwatt.core.errors import SpecError, UnknownNameError
from perwatt.core.study import StudySummary, StudyTable
from perwatt.metrics.glossary import metric_infos
from perwatt.study.study import Study
from perwatt.study.tables import TABLES

__all__ = ["summarise_study", "table_names"]


def table_names() -> list[str]:
    """Of all tables, in their order."""
    return list(TABLES)


def summarise_study(
    study: Study, *, name: str = "study", progress: Callable[[str], None] | None = None
) -> StudySummary:
    """All tables, or those of `options.only`. `progress` is told each table's name before it.

    Raises SpecError for the name of a table that there is none of.
    """
    wanted = study.options.only or tuple(TABLES)
    for each in wanted:
        if each not in TABLES:
            unknown = UnknownNameError("table of a study", each, TABLES)
            raise SpecError(unknown.message, unknown.mend)
    tables: list[StudyTable] = []
    for each in TABLES:
        if each in wanted:
            if progress:
                progress(each)
            table = TABLES[each](study)
            tables += [table] if table is not None else []
    return StudySummary(
        name=name,
        perwatt_version=__version__,
        headline=_headline(study, tables),
        runs=study.runs,
        pairs=tuple(study.pairs),
        tables=tuple(tables),
        faults=tuple(study.faults),
        metrics=metric_infos(),
    )


def _headline(study: Study, tables: list[StudyTable]) -> str:
    """The first finding that is one, or how much there is to find something in.

    A table that can rank nothing says so in its finding and in its notes: true, and no headline.
    """
    said = [table.finding for table in tables if table.finding not in ("", *table.notes)]
    if said:
        return said[0]
    runs, pairs = len(study.runs), len(study.pairs)
    return (
        f"{pairs} pair{'s' if pairs != 1 else ''} in {runs} run{'s' if runs != 1 else ''};"
        " nothing can be said of them yet."
    )
