"""Each pair's figures by one of an item's own labels: category, kind, level or workload."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from perwatt.core.estimate import Estimate
from perwatt.core.study import StudyCell, StudyColumn, StudyTable
from perwatt.study.cells import rolled
from perwatt.study.figures import figure_columns, figures, unrankable
from perwatt.study.study import Study

__all__ = ["categories_table", "kinds_table", "levels_table", "workloads_table"]

Row = dict[str, StudyCell]

_FIGURES = ("accuracy", "ipw", "ipj", "j_per_correct", "energy_gross_j")


def categories_table(study: Study) -> StudyTable | None:
    """By category, such as the Economic Index's 22."""
    return _by(study, "category", "categories", "Categories")


def kinds_table(study: Study) -> StudyTable | None:
    """By kind of question."""
    return _by(study, "kind", "kinds", "Kinds")


def levels_table(study: Study) -> StudyTable | None:
    """By the level that the item's own source gives it."""
    return _by(study, "level", "levels", "Levels")


def workloads_table(study: Study) -> StudyTable | None:
    """By workload, where there are several."""
    found = _by(study, "workload", "workloads", "Workloads")
    return found if found and len({row["workload"] for row in found.rows}) > 1 else None


def _by(study: Study, by: str, name: str, title: str) -> StudyTable | None:
    sums = rolled(study.cells(), ("pair", by))
    rows: list[Row] = []
    unlabelled = 0
    for (pair, label), moments in sums.items():
        if label is None:
            unlabelled += moments.answers
            continue
        rows.append(
            {
                "pair": study.pairs[pair].label,
                by: label,
                "items": moments.clusters,
                **figures(moments, study.pairs[pair], _FIGURES),
            }
        )
    if not rows:
        return None
    order = [pair.label for pair in study.pairs]
    rows.sort(key=lambda row: (order.index(str(row["pair"])), _rank(row[by])))
    notes = ["Each row's interval stands alone: of twenty rows one may well miss its truth."]
    if unlabelled:
        notes.append(f"{unlabelled} answers whose item has no {by} are in no row.")
    return StudyTable(
        name=name,
        title=title,
        what=f"One pair over the items of one {by}; figures as in the table of pairs"
        " (arXiv 2511.07885 §2).",
        columns=(
            StudyColumn(name="pair", title="Pair"),
            StudyColumn(name=by, title=by.capitalize()),
            StudyColumn(name="items", title="Items", what="independent items"),
            *figure_columns(_FIGURES),
        ),
        rows=tuple(rows),
        finding=_finding(study, rows, by, title.lower()),
        notes=tuple(notes),
    )


def _rank(label: StudyCell) -> tuple[int, int, str]:
    """Levels by number, all else by name."""
    return (0, label, "") if isinstance(label, int) else (1, 0, str(label))


def _finding(study: Study, rows: Sequence[Row], by: str, plural: str) -> str:
    labels = list(dict.fromkeys(row[by] for row in rows))
    if len(labels) < 2:
        return ""
    if len({row["pair"] for row in rows}) == 1:
        low, high = _extremes(rows)
        if low is None or high is None or low is high:
            return ""
        return (
            f"{rows[0]['pair']} is right most often in {high[by]}, {high['accuracy']}, least in"
            f" {low[by]}, {low['accuracy']}."
        )
    why = unrankable(study.pairs)
    measure = "accuracy" if why else "ipj"
    unlike = _unlike_items(study, by)
    alike = [label for label in labels if label not in unlike]
    best = Counter(
        pair for label in alike if (pair := _best([r for r in rows if r[by] == label], measure))
    )
    if not best:
        return ""
    told = ", ".join(f"{pair} in {n}" for pair, n in best.most_common(4))
    words = "Right most often" if why else "Most right answers per joule"
    rest = f" Not ranked per joule: {why}." if why else ""
    if aside := len(labels) - len(alike):
        rest += f" In {aside} more, pairs were not asked the same items."
    many = f"{len(alike)} {plural if len(alike) != 1 else by}"
    return f"{words}, by point value, of {many}: {told}.{rest}"


def _unlike_items(study: Study, by: str) -> set[StudyCell]:
    """Labels of which its pairs were not asked the same workloads, as many items of each."""
    asked: dict[StudyCell, dict[int, set[tuple[str | None, int]]]] = {}
    for (pair, label, workload), m in rolled(study.cells(), ("pair", by, "workload")).items():
        asked.setdefault(label, {}).setdefault(pair, set()).add((workload, m.clusters))
    return {label for label, of in asked.items() if len({frozenset(x) for x in of.values()}) > 1}


def _value(row: Row, measure: str) -> float | None:
    found = row[measure]
    return found.value if isinstance(found, Estimate) else None


def _best(rows: Sequence[Row], measure: str) -> str | None:
    """None where fewer than two have it, or the first two have the same."""
    known = sorted(
        (value, str(row["pair"])) for row in rows if (value := _value(row, measure)) is not None
    )
    return known[-1][1] if len(known) > 1 and known[-1][0] > known[-2][0] else None


def _extremes(rows: Sequence[Row]) -> tuple[Row | None, Row | None]:
    known = [row for row in rows if _value(row, "accuracy") is not None]
    if not known:
        return None, None
    ordered = sorted(known, key=lambda row: _value(row, "accuracy") or 0.0)
    return ordered[0], ordered[-1]
