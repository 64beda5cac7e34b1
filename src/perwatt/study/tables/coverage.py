"""What a set of pairs answers between them, beside as many tries of its best one."""

from __future__ import annotations

from perwatt.core.estimate import Estimate
from perwatt.core.study import StudyCell, StudyColumn, StudyTable
from perwatt.study.claims import known
from perwatt.study.coverage import Covered, covered, pass_at
from perwatt.study.estimates import mean_of, nothing, share_of
from perwatt.study.footing import footing_of
from perwatt.study.sets import pair_sets
from perwatt.study.study import Study

__all__ = ["coverage"]

_COLUMNS = (
    StudyColumn(name="set", title="set"),
    StudyColumn(name="workload", title="workload"),
    StudyColumn(name="pairs", title="pairs", what="N: pairs of the set that were asked this."),
    StudyColumn(name="items", title="items", what="Asked of all N, and judged."),
    StudyColumn(
        name="coverage",
        title="coverage",
        what="Share of items that at least one of the N answers rightly (score ≥ ½) in one try: "
        "an oracle picks. With repeats 1 − Π(1 − share of a pair's tries that are right).",
    ),
    StudyColumn(name="best", title="best single", what="The pair that is right most often."),
    StudyColumn(
        name="single",
        title="one try of it",
        what="Share right of the best single pair, chosen in ten folds on the items of the other "
        "nine, so that choosing does not flatter it; with few right answers this is too harsh.",
    ),
    StudyColumn(
        name="gain", title="coverage − one try", what="Paired on the items: N tries against one."
    ),
    StudyColumn(
        name="flattered",
        title="best of these items",
        what="Share right of the pair that is best on these very items: chosen and judged on the "
        "same, so too kind to it.",
    ),
    StudyColumn(
        name="gain_least",
        title="coverage − best of these",
        what="The gain at its least; the truth lies between this and the gain over one try.",
    ),
    StudyColumn(
        name="same_tries",
        title="N tries of it",
        what="pass@N of the best single pair: the control with as many tries and the same oracle; "
        "1 − C(n − c, N)/C(n, N), unbiased from n ≥ N repeats.",
    ),
    StudyColumn(
        name="gain_same_tries",
        title="coverage − N tries",
        what="What the set has beyond more tries; paired on the items.",
    ),
    StudyColumn(name="tries", title="k", what="Tries of the best single pair that there are."),
    StudyColumn(name="pass_k", title="k tries of it", what="Its pass@k for those."),
    StudyColumn(
        name="oracle_j",
        title="J, oracle",
        what="Of the cheapest right pair; where none is right, of the cheapest.",
    ),
    StudyColumn(name="all_j", title="J, all N", what="Of asking every pair once."),
    StudyColumn(name="single_j", title="J, best single", what="Of one try of the best single."),
)


def coverage(study: Study) -> StudyTable | None:
    """Coverage of each set of two pairs or more. None where there is none."""
    sets, notes = pair_sets(study)
    found = [each for each in covered(study, sets) if len(each.pairs) > 1]
    if not found:
        return None
    rows = [_row(study, each) for each in found]
    left_out = [f"{each.name} of {each.workload}: {each.left_out}" for each in found]
    if any(each.left_out for each in found):
        notes.append(
            f"Items left out, not asked of all pairs or not judged: {'; '.join(left_out)}."
        )
    return StudyTable(
        name="coverage",
        title="Coverage, with the equal-tries control",
        what="A row is a set of pairs under one workload: what at least one of them answers "
        "(arXiv 2511.07885 §2, best-of-local), beside the best single pair and as many tries of it "
        "(pass@k: arXiv 2107.03374, eq. 1).",
        columns=_COLUMNS,
        rows=tuple(rows),
        finding=_finding(found[0], rows[0]),
        notes=(
            "Coverage is an oracle's: a router, which has to pick before it sees the answers, gets "
            "less. It rises with every pair added, even one that guesses.",
            "Local: at most 20 B active parameters; cloud: else at least 100 B, or by an API alone "
            "(arXiv 2511.07885 §2).",
            "The interval of what the best single pair does takes the ten choices as made.",
            "Repeats of unlike pairs are taken to be independent, given the item.",
            *notes,
        ),
    )


def _row(study: Study, found: Covered) -> dict[str, StudyCell]:
    n, cluster = len(found.pairs), found.cluster
    tries = int(found.single_n.min()) if found.single_n.size else 0
    footing = footing_of([study.pairs[p] for p in found.pairs])
    own = footing_of([study.pairs[p] for p in found.best])
    same: Estimate = nothing(
        f"{n} tries are needed, and some items have {tries}: repeat the best single pair",
        "share",
        found.item.size,
    )
    beyond = same
    if tries >= n:
        control = pass_at(found.single_n, found.single_c, n)
        same = share_of(control, cluster)
        beyond = mean_of(found.right - control, cluster, "share", noun="score")
    return {
        "set": found.name,
        "workload": found.workload,
        "pairs": n,
        "items": int(found.item.size),
        "coverage": share_of(found.right, cluster),
        "best": _best(study, found),
        "single": share_of(found.single, cluster),
        "gain": share_of(found.right - found.single, cluster),
        "flattered": share_of(found.flattered, cluster),
        "gain_least": share_of(found.right - found.flattered, cluster),
        "same_tries": same,
        "gain_same_tries": beyond,
        "tries": tries,
        "pass_k": share_of(pass_at(found.single_n, found.single_c, tries), cluster)
        if tries > 1
        else nothing("asked once: no repeats", "share", found.item.size),
        "oracle_j": mean_of(found.oracle_j, cluster, "J", footing),
        "all_j": mean_of(found.all_j, cluster, "J", footing),
        "single_j": mean_of(found.single_j, cluster, "J", own),
    }


def _best(study: Study, found: Covered) -> str:
    ranked = sorted(found.best.items(), key=lambda pair: -pair[1])
    if len(ranked) == 1:
        return study.pairs[ranked[0][0]].label
    folds = sum(count for _, count in ranked)
    return ", ".join(f"{study.pairs[p].label} (in {count} of {folds})" for p, count in ranked)


def _finding(found: Covered, row: dict[str, StudyCell]) -> str:
    whole, single, same = row["coverage"], row["flattered"], row["same_tries"]
    if not known(whole, single):
        return ""
    said = (
        f"Of {found.item.size} items of {found.workload} at least one of {len(found.pairs)} pairs "
        f"answers {whole}, the best single one {single}"
    )
    if isinstance(same, Estimate) and same.value is not None:
        return f"{said}, and {same} when it is given as many tries."
    return f"{said}; how much of the gain is more tries and not more models was not measured."
