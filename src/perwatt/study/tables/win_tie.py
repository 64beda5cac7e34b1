"""How often judges prefer a pair's answer to the one it was set against."""

from __future__ import annotations

import msgspec
import numpy as np

from perwatt.core.study import StudyCell, StudyColumn, StudyTable
from perwatt.stats.sample import Floats, Ints
from perwatt.study.cells import rolled
from perwatt.study.claims import claim
from perwatt.study.estimates import share_of
from perwatt.study.study import Study
from perwatt.study.verdicts import Verdict, verdicts

__all__ = ["win_tie"]

_COLUMNS = (
    StudyColumn(name="pair", title="pair"),
    StudyColumn(name="workload", title="workload"),
    StudyColumn(name="judges", title="judges"),
    StudyColumn(name="answers", title="answers", what="Judged in both orders."),
    StudyColumn(
        name="others",
        title="others",
        what="Answers of the workload in no rate: failed, or judged in another way.",
    ),
    StudyColumn(name="win", title="win", what="Both orders taken together favour its answer."),
    StudyColumn(
        name="tie", title="tie", what="They favour neither, or each what was shown in one place."
    ),
    StudyColumn(name="loss", title="loss", what="Both orders taken together favour the other."),
    StudyColumn(
        name="win_tie",
        title="win or tie",
        what="Mean over both orders of: the judge does not prefer the other answer (A>>B, A>B or "
        "A=B).",
    ),
    StudyColumn(name="split", title="ties split", what="Wins and half of the ties."),
    StudyColumn(
        name="consistent",
        title="same in both orders",
        what="The judge favours the same answer, or neither, whichever was shown first.",
    ),
)


class _Tally(msgspec.Struct):
    """Columns by answer: win, tie, loss, win or tie, ties split, consistent."""

    judges: dict[str, None]
    cluster: list[str]
    rows: list[tuple[float, ...]]


def win_tie(study: Study) -> StudyTable | None:
    """None where nothing was judged beside another answer."""
    tallies: dict[tuple[int, str], _Tally] = {}
    for verdict in verdicts(study):
        tally = tallies.setdefault((verdict.pair, verdict.workload), _Tally({}, [], []))
        tally.judges.update(dict.fromkeys(verdict.leans))
        tally.cluster.append(verdict.cluster)
        tally.rows.append(_credit(verdict))
    if not tallies:
        return None
    asked = {
        (pair, workload or ""): moments.answers
        for (pair, workload), moments in rolled(study.cells(), ("pair", "workload")).items()
    }
    rows = [
        _row(study.pairs[pair].label, workload, tallies[pair, workload], asked[pair, workload])
        for pair, workload in sorted(tallies)
    ]
    best = max(rows, key=lambda row: getattr(row["split"], "value", None) or 0.0)
    return StudyTable(
        name="win_tie",
        title="Win and tie rates",
        what="A row is a pair under one workload, its answers set beside the reference or another "
        "pair's and shown to a judge in both orders (arXiv 2511.07885 App. B.1 asks one order, "
        "and counts ties as right).",
        columns=_COLUMNS,
        rows=tuple(rows),
        finding=claim(
            f"{best['pair']} is not worse than what it was set against on {best['win_tie']} "
            f"of {best['workload']}; with ties split, {best['split']}.",
            best["win_tie"],
            best["split"],
        ),
        notes=(
            "A win-or-tie rate is friendly to ties: of two alike answers both sides have 100%. "
            "Ties split gives such a pair 50%.",
            "A failed answer was shown to no judge and is in no rate, though accuracy takes it for"
            " wrong: read the column others beside them.",
            "With several judges an answer wins when more of them favour it than the other.",
            "How far a judge is to be trusted is in each run's own report, not here.",
        ),
    )


def _credit(verdict: Verdict) -> tuple[float, ...]:
    leans = list(verdict.leans.values())
    total = sum((sum(pair) > 0) - (sum(pair) < 0) for pair in leans)
    win, loss = float(total > 0), float(total < 0)
    friendly = sum((first >= 0) + (second >= 0) for first, second in leans) / (2 * len(leans))
    same = sum(
        (first > 0) - (first < 0) == (second > 0) - (second < 0) for first, second in leans
    ) / len(leans)
    tie = 1.0 - win - loss
    return win, tie, loss, friendly, win + tie / 2, same


def _row(pair: str, workload: str, tally: _Tally, asked: int) -> dict[str, StudyCell]:
    values: Floats = np.array(tally.rows, dtype=np.float64)
    cluster: Ints = np.unique(np.array(tally.cluster), return_inverse=True)[1]
    names = ("win", "tie", "loss", "win_tie", "split", "consistent")
    return {
        "pair": pair,
        "workload": workload,
        "judges": ", ".join(tally.judges),
        "answers": len(tally.rows),
        "others": asked - len(tally.rows),
        **{name: share_of(values[:, at], cluster) for at, name in enumerate(names)},
    }
