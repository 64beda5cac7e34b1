"""How hard items are: by the smallest model that solves them, and by their own level."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from perwatt.core.estimate import Estimate
from perwatt.core.study import StudyCell, StudyColumn, StudyTable
from perwatt.stats.sample import Floats, Ints
from perwatt.study.asked import RIGHT, WORKLOAD, asked_of, plain, tries
from perwatt.study.claims import claim
from perwatt.study.estimates import mean_of, nothing, ratio_of, share_of
from perwatt.study.footing import Footing, footing_of
from perwatt.study.sets import facts_of
from perwatt.study.study import Study

__all__ = ["difficulty"]

LEVELS_B = (4.0, 8.0, 20.0, 235.0)
_SIZES = len(LEVELS_B) + 1
NOMINAL = 1.08
"""A model's name rounds its size: Gemma 3 4B has 4.3 B, gpt-oss-20b 20.9 B."""

_COLUMNS = (
    StudyColumn(name="level", title="level"),
    StudyColumn(name="by", title="by", what="Parameters that a token passes through, or all."),
    StudyColumn(name="workload", title="workload"),
    StudyColumn(name="pairs", title="pairs", what="Of this size; they are as many chances."),
    StudyColumn(name="items", title="items"),
    StudyColumn(
        name="share", title="share of items", what="Whose smallest solver is of this level."
    ),
    StudyColumn(name="solved", title="solved by then", what="At this level or an easier one."),
    StudyColumn(
        name="accuracy", title="accuracy", what="Of all pairs with a size, mean score on its items."
    ),
    StudyColumn(name="joules", title="J, smallest solver", what="Of the cheapest pair of it."),
    StudyColumn(
        name="ipj",
        title="IPJ",
        what="Accuracy of all pairs with a size on these items over their mean joules (gross).",
    ),
)


Bools = NDArray[np.bool_]


class _Sized(msgspec.Struct, frozen=True):
    """Pairs by a basis of size."""

    by: str
    level: Mapping[int, int]
    """Index into LEVELS_B by pair; past its end: larger than all of them."""


def difficulty(study: Study) -> StudyTable | None:
    """None where no model's size is known."""
    bases = [base for by in ("active", "all") if (base := _sized(study, by)) is not None]
    if not bases:
        return None
    alike = len(bases) > 1 and bases[0].level == bases[1].level
    if alike:
        bases = bases[:1]
    rows: list[dict[str, StudyCell]] = []
    left_out = 0
    for workload, of_it in asked_of(study).workloads.items():
        for base in bases:
            pairs = [p for p in of_it if p in base.level]
            if pairs:
                columns, gone = _fetch(study, workload, pairs, base.level)
                left_out += gone
                rows += _rows(study, workload, pairs, base, columns)
                if base is bases[0]:
                    rows += _own_levels(study, workload, pairs, columns)
    if not rows:
        return None
    first = [row for row in rows if row["by"] == rows[0]["by"]]
    unsolved = next((row for row in first if row["level"] == "unsolved"), first[-1])
    return StudyTable(
        name="difficulty",
        title="Difficulty",
        what="A row is a level: the items whose smallest solving model is of that size (levels of "
        "arXiv 2511.07885 App. E.2), or that carry that level themselves.",
        columns=_COLUMNS,
        rows=tuple(rows),
        finding=claim(
            f"Of {rows[0]['workload']}, {rows[0]['share']} of the items are solved at "
            f"{rows[0]['level']}; {unsolved['share']} by no model.",
            rows[0]["share"],
            unsolved["share"],
        ),
        notes=(
            "A pair solves an item when its mean score over repeats is at least ½.",
            "The more pairs a level has, the more items fall to it by luck alone; the column pairs "
            "says how many chances each level had.",
            f"A size may be {NOMINAL - 1:.0%} above its level's, since names are rounded. Where "
            "only a file's parameters are known, the model is taken for dense.",
            *_told(alike, left_out),
        ),
    )


def _told(alike: bool, left_out: int) -> list[str]:
    notes = []
    if alike:
        notes.append("By all parameters the levels are the same ones, so they are not repeated.")
    if left_out:
        notes.append(f"{left_out} items not asked of all pairs, or not judged, are left out.")
    return notes


def _sized(study: Study, by: str) -> _Sized | None:
    sizes: dict[int, float] = {}
    for number, pair in enumerate(study.pairs):
        facts = facts_of(study, pair)
        size = None
        if facts is not None:
            size = facts.active_b if by == "active" else facts.parameters_b
        if size is None and pair.parameters is not None:
            size = pair.parameters / 1e9
        if size is not None:
            sizes[number] = size
    if not sizes:
        return None
    level = {
        pair: sum(size > bound * NOMINAL for bound in LEVELS_B) for pair, size in sizes.items()
    }
    return _Sized(f"{by} parameters", level)


def _fetch(
    study: Study, workload: str, pairs: list[int], level: Mapping[int, int]
) -> tuple[dict[str, Any], int]:
    """Columns by item that was asked of all of `pairs` and judged, and how many were not."""
    of = ", ".join(f"({pair}, {level[pair]})" for pair in pairs)
    inner = tries(study, f"{WORKLOAD} = $workload AND pair IN ({', '.join(map(str, pairs))})")
    # Which solver is the cheapest is not known unless each was metered.
    cheapest = "CASE WHEN count(*) {0} = count(e) {0} THEN min(e) {0} END"
    solvers = ", ".join(
        f"{cheapest.format(f'FILTER (p >= {RIGHT} AND size = {size})')} AS solver_{size}"
        for size in range(_SIZES)
    )
    sql = (
        f"SELECT dense_rank() OVER (ORDER BY {asked_of(study).cluster}) - 1 AS cluster, "
        f"max(level) AS own, coalesce(min(size) FILTER (p >= {RIGHT}), {_SIZES}) AS at, {solvers}, "
        "avg(score) AS score, CASE WHEN count(e) = count(*) THEN avg(e) END AS e, "
        f"count(p) AS judged FROM {inner} JOIN (VALUES {of}) AS sizes(pair, size) USING (pair) "
        "GROUP BY item_id"
    )
    fetched = study.db.execute(sql, {"workload": workload}).fetchnumpy()
    full = plain(fetched["judged"]) == len(pairs)
    own = np.ma.filled(np.ma.asarray(fetched.pop("own"), dtype=np.float64), np.nan)
    columns = {name: plain(values)[full] for name, values in fetched.items()} | {"own": own[full]}
    columns["cluster"] = np.unique(columns["cluster"], return_inverse=True)[1]
    return columns, int((~full).sum())


def _rows(
    study: Study, workload: str, pairs: list[int], base: _Sized, columns: dict[str, Any]
) -> list[dict[str, StudyCell]]:
    footing = footing_of([study.pairs[p] for p in pairs])
    names = [f"≤{bound:g}B" for bound in LEVELS_B] + [f">{LEVELS_B[-1]:g}B", "unsolved"]
    rows: list[dict[str, StudyCell]] = []
    for size, name in enumerate(names):
        count = sum(base.level[p] == size for p in pairs)
        if not count and size < _SIZES:
            continue
        here = columns["at"] == size
        solver = nothing("no model solves them", "J")
        if size < _SIZES:
            joules = columns[f"solver_{size}"][here]
            solver = _mean_j(joules, columns["cluster"][here], footing)
        rows.append(
            {
                "level": name,
                "by": base.by,
                "workload": workload,
                "pairs": count if size < _SIZES else None,
                "items": int(here.sum()),
                "share": share_of(here.astype(np.float64), columns["cluster"]),
                "solved": share_of((columns["at"] <= size).astype(np.float64), columns["cluster"])
                if size < _SIZES
                else None,
                "joules": solver,
                **_of_all(columns, here, footing),
            }
        )
    return rows


def _own_levels(
    study: Study, workload: str, pairs: list[int], columns: dict[str, Any]
) -> list[dict[str, StudyCell]]:
    footing = footing_of([study.pairs[p] for p in pairs])
    solved = (columns["at"] < _SIZES).astype(np.float64)
    rows: list[dict[str, StudyCell]] = []
    for level in np.unique(columns["own"][~np.isnan(columns["own"])]):
        here = columns["own"] == level
        rows.append(
            {
                "level": f"level {level:.0f}",
                "by": "the item's own",
                "workload": workload,
                "pairs": len(pairs),
                "items": int(here.sum()),
                "share": share_of(here.astype(np.float64), columns["cluster"]),
                "solved": share_of(solved[here], _fresh(columns["cluster"][here])),
                **_of_all(columns, here, footing),
            }
        )
    return rows


def _of_all(columns: dict[str, Any], here: Bools, footing: Footing) -> dict[str, StudyCell]:
    if not here.any():
        empty = "no item is of this level"
        return {"accuracy": nothing(empty, "share"), "ipj": nothing(empty, "1/J")}
    score, cluster = columns["score"][here], _fresh(columns["cluster"][here])
    return {
        "accuracy": share_of(score, cluster),
        "ipj": ratio_of(score, columns["e"][here], cluster, "1/J", footing),
    }


def _mean_j(joules: Floats, cluster: Ints, footing: Footing) -> Estimate:
    if not joules.size:
        return nothing("no item is of this level", "J")
    return mean_of(joules, _fresh(cluster), "J", footing)


def _fresh(cluster: Ints) -> Ints:
    """Numbered from 0 without gaps."""
    return np.asarray(np.unique(cluster, return_inverse=True)[1], dtype=np.int64)
