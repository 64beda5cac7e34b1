"""Progress by the year in which models and devices came out."""

from __future__ import annotations

from perwatt.core.estimate import Estimate
from perwatt.core.study import StudyCell, StudyColumn, StudyTable
from perwatt.study.claims import known
from perwatt.study.estimates import Factor, log_ratio, nothing, ratio_of, share_of
from perwatt.study.footing import footing_of
from perwatt.study.study import Study
from perwatt.study.years import Dated, Group, dated, group

__all__ = ["progress"]

_YEARLY = "Over the row before, per year: the ratio to the power 1 / years between them."
_COLUMNS = (
    StudyColumn(name="year", title="year"),
    StudyColumn(name="of", title="of", what="Whose year of release: the model's or the device's."),
    StudyColumn(name="pairs", title="pairs", what="Each with the same weight."),
    StudyColumn(name="items", title="items", what="Asked of all pairs whose years are known."),
    StudyColumn(name="accuracy", title="accuracy", what="Mean score."),
    StudyColumn(name="ipw", title="IPW", what="Mean score over mean watts (gross)."),
    StudyColumn(name="ipj", title="IPJ", what="Mean score over mean joules (gross)."),
    StudyColumn(name="accuracy_yearly", title="accuracy, year on year", what=_YEARLY),
    StudyColumn(name="ipw_yearly", title="IPW, year on year", what=_YEARLY),
    StudyColumn(name="ipj_yearly", title="IPJ, year on year", what=_YEARLY),
)


def progress(study: Study) -> StudyTable | None:
    """None where fewer than two years of models or of devices are known."""
    of = dated(study)
    if of is None:
        return None
    rows = [
        row for at, name in ((0, "model"), (1, "device")) for row in _by_year(study, of, at, name)
    ]
    if not rows:
        return None
    told = [row for row in rows if known(row.get("ipw_yearly"), row.get("ipj_yearly"))]
    last = (told or rows)[-1]
    notes = [
        "A year is what was measured of it here, not the best there was: its row moves with the "
        "choice of pairs. Years of models mix devices, and the other way round.",
        "Sensors' errors cancel in a ratio where the same ones read all; else each is drawn apart.",
    ]
    if of.left_out:
        notes.append(f"{of.left_out} items that not all of these pairs were asked are left out.")
    if of.undated:
        notes.append(f"Left out, a year not being known: {', '.join(of.undated)} (--facts).")
    return StudyTable(
        name="progress",
        title="Progress by release year",
        what="A row is a year of release of the model or of the device (arXiv 2511.07885 Table 2, "
        "which names one pair of model and device for each year).",
        columns=_COLUMNS,
        rows=tuple(rows),
        finding=f"By {last['of']} year, intelligence per watt grew {last['ipw_yearly']} and per "
        f"joule {last['ipj_yearly']} times a year up to {last['year']}."
        if told
        else "",
        notes=tuple(notes),
    )


def _by_year(study: Study, of: Dated, at: int, name: str) -> list[dict[str, StudyCell]]:
    years = sorted({cell[at] for cell in of.cells})
    if len(years) < 2:
        return []
    rows: list[dict[str, StudyCell]] = []
    before: tuple[int, Group] | None = None
    for year in years:
        now = group(study, of, [cell for cell in of.cells if cell[at] == year])
        cluster = of.grid.cluster
        row: dict[str, StudyCell] = {
            "year": str(year),
            "of": name,
            "pairs": len(now.pairs),
            "items": int(cluster.size),
            "accuracy": share_of(now.score, cluster),
            "ipw": ratio_of(now.score, now.watts, cluster, "1/W", now.footing),
            "ipj": ratio_of(now.score, now.joules, cluster, "1/J", now.footing),
        }
        if before is not None:
            row |= _yearly(study, of, before[1], now, year - before[0])
        rows.append(row)
        before = year, now
    return rows


def _yearly(study: Study, of: Dated, then: Group, now: Group, years: int) -> dict[str, StudyCell]:
    unlike = footing_of([study.pairs[p] for p in (*then.pairs, *now.pairs)]).why_not
    power = 1 / years
    score = [Factor(now.score, power, "score"), Factor(then.score, -power, "score")]

    def ratio(name: str) -> Estimate:
        if unlike:
            return nothing(unlike, n=int(of.grid.cluster.size))
        new, old = getattr(now, name), getattr(then, name)
        parts = [
            Factor(new, -power, "energy", of.apart(now)),
            Factor(old, power, "energy", of.apart(then)),
        ]
        return log_ratio([*score, *parts], of.grid.cluster)

    return {
        "accuracy_yearly": log_ratio(score, of.grid.cluster),
        "ipw_yearly": ratio("watts"),
        "ipj_yearly": ratio("joules"),
    }
