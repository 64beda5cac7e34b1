"""pass@k of each pair from its repeats, with what k tries cost."""

from __future__ import annotations

from typing import Any

import numpy as np

from perwatt.core.study import StudyCell, StudyColumn, StudyTable
from perwatt.study.asked import WORKLOAD, asked_of, plain, tries
from perwatt.study.claims import claim
from perwatt.study.coverage import pass_at
from perwatt.study.estimates import mean_of, ratio_of, share_of
from perwatt.study.footing import footing_of
from perwatt.study.study import Study

__all__ = ["pass_at_k"]

_STEPS = (1, 2, 3, 4, 5, 8, 10, 16, 32, 64, 100)

_COLUMNS = (
    StudyColumn(name="pair", title="pair"),
    StudyColumn(name="workload", title="workload"),
    StudyColumn(name="k", title="k", what="Tries; the largest is what every item has."),
    StudyColumn(name="items", title="items", what="Those of which every try was judged."),
    StudyColumn(
        name="pass_k",
        title="pass@k",
        what="Mean over items of 1 − C(n − c, k)/C(n, k), c of n tries being right (score ≥ ½).",
    ),
    StudyColumn(name="joules", title="J of k tries", what="Gross, k times an item's mean try."),
    StudyColumn(name="ipj", title="pass@k per joule", what="Mean pass@k over mean joules of k."),
)


def pass_at_k(study: Study) -> StudyTable | None:
    """None where no pair was asked anything twice."""
    asked = asked_of(study)
    if asked.unique:
        return None
    rows = [
        row
        for workload, pairs in asked.workloads.items()
        for pair in pairs
        for row in _rows(study, workload, pair)
    ]
    if not rows:
        return None
    return StudyTable(
        name="pass_at",
        drawn=("pass_k",),
        title="pass@k and what k tries cost",
        what="A row is a pair and a number of tries: the share of items of which at least one of "
        "k tries is right (arXiv 2107.03374, eq. 1).",
        columns=_COLUMNS,
        rows=tuple(rows),
        finding=_finding(rows),
        notes=(
            "pass@k is an oracle's: it knows which of the k answers is right. All k are paid for.",
            "Pairs with one try of some item are left out.",
        ),
    )


def _rows(study: Study, workload: str, pair: int) -> list[dict[str, StudyCell]]:
    about = study.pairs[pair]
    runs = ", ".join(map(str, about.runs))
    inner = tries(study, f"{WORKLOAD} = $workload AND pair = {pair} AND run IN ({runs})")
    sql = (
        f"SELECT n, c, e, dense_rank() OVER (ORDER BY cluster) - 1 AS cluster FROM {inner} "
        "WHERE c IS NOT NULL ORDER BY item_id"
    )
    fetched: dict[str, Any] = study.db.execute(sql, {"workload": workload}).fetchnumpy()
    n, c, joules, cluster = (plain(fetched[name]) for name in ("n", "c", "e", "cluster"))
    most = int(n.min()) if n.size else 0
    if most < 2:
        return []
    footing = footing_of([about])
    rows: list[dict[str, StudyCell]] = []
    for k in sorted({step for step in _STEPS if step < most} | {most}):
        passed, paid = pass_at(n, c, k), k * np.asarray(joules, dtype=np.float64)
        rows.append(
            {
                "pair": about.label,
                "workload": workload,
                "k": k,
                "items": int(n.size),
                "pass_k": share_of(passed, cluster),
                "joules": mean_of(paid, cluster, "J", footing),
                "ipj": ratio_of(passed, paid, cluster, "1/J", footing),
            }
        )
    return rows


def _finding(rows: list[dict[str, StudyCell]]) -> str:
    """Of the pair whose tries help most."""
    last = max(rows, key=lambda row: getattr(row["pass_k"], "value", None) or 0.0)
    first = next(
        row for row in rows if row["pair"] == last["pair"] and row["workload"] == last["workload"]
    )
    return claim(
        f"{last['pair']} is right on {first['pass_k']} of the items of {last['workload']} in one "
        f"try, and in at least one of {last['k']} on {last['pass_k']}.",
        first["pass_k"],
        last["pass_k"],
    )
