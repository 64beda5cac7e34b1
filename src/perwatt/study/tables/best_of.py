"""The best of local against the best of cloud, like for like, and the unlike comparison named."""

from __future__ import annotations

from itertools import groupby

import numpy as np

from perwatt.core.study import StudyCell, StudyColumn, StudyTable
from perwatt.stats.sample import Floats
from perwatt.study.claims import claim
from perwatt.study.coverage import Covered, covered, subset_coverage
from perwatt.study.estimates import mean_of, share_of
from perwatt.study.sets import PairSet, placed
from perwatt.study.study import Study

__all__ = ["best_of"]

_COLUMNS = (
    StudyColumn(name="comparison", title="comparison"),
    StudyColumn(name="workload", title="workload"),
    StudyColumn(
        name="like", title="like for like", what="`yes`, or in what the two sides are unlike."
    ),
    StudyColumn(name="items", title="items", what="Asked of every pair of both, and judged."),
    StudyColumn(name="local", title="local", what="Share of items answered rightly."),
    StudyColumn(name="cloud", title="cloud", what="Share of items answered rightly."),
    StudyColumn(name="difference", title="local − cloud", what="Paired on the items."),
)


def best_of(study: Study) -> StudyTable | None:
    """None where the study has no local or no cloud model under one workload."""
    sets = [PairSet(name=place, pairs=placed(study, place)) for place in ("local", "cloud")]
    rows: list[dict[str, StudyCell]] = []
    for workload, group in groupby(covered(study, sets), key=lambda each: each.workload):
        sides = list(group)
        if len(sides) == 2:
            rows += _rows(workload, *sides)
    if not rows:
        return None
    equal = rows[1]
    return StudyTable(
        name="best_of",
        title="Best of local against best of cloud",
        what="A row is one way to compare what local models answer with what cloud models answer "
        "(arXiv 2511.07885 §4.1, Fig. 2, which sets an oracle over many local models against "
        "single cloud models).",
        columns=_COLUMNS,
        rows=tuple(rows),
        finding=claim(
            f"{equal['comparison']} on {equal['workload']}: local {equal['local']}, "
            f"cloud {equal['cloud']}.",
            equal["local"],
            equal["cloud"],
        ),
        notes=(
            "Local: at most 20 B active parameters; cloud: else at least 100 B, or by an API alone "
            "(arXiv 2511.07885 §2). Pairs of neither kind are left out.",
            "n at random: the chance that n pairs, drawn from a side without replacement, hold one "
            "that is right, C(N − r, n)/C(N, n) being the chance that none of r right ones is "
            "drawn.",
            "Single pairs are chosen in ten folds on the items of the other nine.",
        ),
    )


def _rows(workload: str, local: Covered, cloud: Covered) -> list[dict[str, StudyCell]]:
    common = np.intersect1d(local.item, cloud.item, assume_unique=True, return_indices=True)
    at, other = common[1], common[2]
    cluster = np.unique(local.cluster[at], return_inverse=True)[1]
    many, more = len(local.pairs), len(cloud.pairs)
    fewest = min(many, more)

    def row(comparison: str, like: str, mine: Floats, theirs: Floats) -> dict[str, StudyCell]:
        return {
            "comparison": comparison,
            "workload": workload,
            "like": like,
            "items": int(at.size),
            "local": share_of(mine, cluster),
            "cloud": share_of(theirs, cluster),
            "difference": mean_of(mine - theirs, cluster, "share", noun="score"),
        }

    return [
        row("single against single", "yes", local.single[at], cloud.single[other]),
        row(
            f"oracle over {fewest} at random of each",
            "yes",
            subset_coverage(local.several[at], many, fewest),
            subset_coverage(cloud.several[other], more, fewest),
        ),
        row(
            f"oracle over {many} local against oracle over {more} cloud",
            "yes" if many == more else f"unlike: {many} tries against {more}",
            local.right[at],
            cloud.right[other],
        ),
        row(
            f"oracle over {many} local against the best single cloud",
            "yes" if many == 1 else f"unlike: an oracle of {many} tries against one try",
            local.right[at],
            cloud.single[other],
        ),
    ]
