"""How much of the progress is the model's and how much the device's, where that can be said."""

from __future__ import annotations

from perwatt.core.estimate import Estimate
from perwatt.core.study import StudyCell, StudyColumn, StudyTable
from perwatt.study.estimates import Factor, log_ratio, nothing
from perwatt.study.footing import footing_of
from perwatt.study.study import Study
from perwatt.study.years import Dated, Group, Years, dated, group

__all__ = ["progress_split"]

_STEP = "The ratio of this step alone, the other of the two held; None where it was not measured."
_COLUMNS = (
    StudyColumn(name="measure", title="measure"),
    StudyColumn(name="from", title="from", what="Year of the model / year of the device."),
    StudyColumn(name="to", title="to", what="Year of the model / year of the device."),
    StudyColumn(name="items", title="items", what="Asked of all pairs whose years are known."),
    StudyColumn(name="total", title="in all", what="The measure's ratio, new over old."),
    StudyColumn(
        name="model_study",
        title="model, the study's way",
        what="Ratio of accuracies, each on its own device (arXiv 2511.07885 §4: 3.1×).",
    ),
    StudyColumn(
        name="hardware_study",
        title="device, the study's way",
        what="Old mean watts (or joules) over new ones, each with its own model (1.7×).",
    ),
    StudyColumn(name="model_old", title="model, on the old device", what=_STEP),
    StudyColumn(name="model_new", title="model, on the new device", what=_STEP),
    StudyColumn(name="hardware_old", title="device, with the old model", what=_STEP),
    StudyColumn(name="hardware_new", title="device, with the new model", what=_STEP),
    StudyColumn(
        name="model_shapley",
        title="model, whatever the order",
        what="Geometric mean of both model steps: the Shapley value of the logarithm.",
    ),
    StudyColumn(
        name="hardware_shapley",
        title="device, whatever the order",
        what="Geometric mean of both device steps; the two multiply to the whole.",
    ),
)


def progress_split(study: Study) -> StudyTable | None:
    """None unless both model and device of the last year differ in year from the first's."""
    of = dated(study)
    if of is None:
        return None
    first, last = min(of.cells), max(of.cells)
    if first[0] == last[0] or first[1] == last[1]:
        return None
    rows = [
        _row(study, of, first, last, measure, column)
        for measure, column in (("IPW", "watts"), ("IPJ", "joules"))
    ]
    crossed = [(first[0], last[1]), (last[0], first[1])]
    absent = [_named(cell) for cell in crossed if cell not in of.cells]
    identified = (
        f"Not measured: {' and '.join(absent)} (model / device). Without both, model and device "
        "cannot be told apart: what steps there are belong to one order, and the other order's may "
        "be larger or smaller."
        if absent
        else "Both crossed cells were measured, so both orders of the two steps are known."
    )
    return StudyTable(
        name="progress_split",
        title="Progress: model or device",
        what="A row is a measure: its ratio between the first and the last years, split into what "
        "the model and what the device did, the study's way and whatever the order.",
        columns=_COLUMNS,
        rows=tuple(rows),
        finding=_finding(rows[0]),
        notes=(
            identified,
            "The study's way gives all accuracy to the model and all power to the device. But a "
            "model decides what power a device draws and for how long: the split is of two "
            "numbers, not of two causes.",
            "From: the first model year on its earliest device year; to: the last model year on "
            "its latest. Pairs within a cell have equal weight.",
            "Each cell's sensor errs on its own, unless the same one read all.",
        ),
    )


def _row(
    study: Study, of: Dated, first: Years, last: Years, measure: str, column: str
) -> dict[str, StudyCell]:
    # By model and device, each old or new.
    cells = {
        key: group(study, of, [years])
        for key, years in {
            "oo": first,
            "on": (first[0], last[1]),
            "no": (last[0], first[1]),
            "nn": last,
        }.items()
        if years in of.cells
    }
    used = [pair for cell in cells.values() for pair in cell.pairs]
    unlike = footing_of([study.pairs[pair] for pair in used]).why_not
    cluster = of.grid.cluster

    def step(*signed: tuple[str, float]) -> Estimate:
        """Π measure of a cell to the power; None where a cell was not measured."""
        absent = [key for key, _ in signed if key not in cells]
        if absent:
            years = {"on": (first[0], last[1]), "no": (last[0], first[1])}[absent[0]]
            return nothing(f"nobody asked {_named(years)} (model / device)", n=int(cluster.size))
        if unlike:
            return nothing(unlike, n=int(cluster.size))
        factors = []
        for key, power in signed:
            cell = cells[key]
            factors.append(Factor(cell.score, power, "score"))
            factors.append(Factor(getattr(cell, column), -power, "energy", of.apart(cell)))
        return log_ratio(factors, cluster)

    old, new = cells["oo"], cells["nn"]
    accuracy = [Factor(new.score, 1.0, "score"), Factor(old.score, -1.0, "score")]
    return {
        "measure": measure,
        "from": _named(first),
        "to": _named(last),
        "items": int(cluster.size),
        "total": step(("nn", 1.0), ("oo", -1.0)),
        "model_study": log_ratio(accuracy, cluster),
        "hardware_study": nothing(unlike, n=int(cluster.size))
        if unlike
        else _hardware(old, new, column, of),
        "model_old": step(("no", 1.0), ("oo", -1.0)),
        "model_new": step(("nn", 1.0), ("on", -1.0)),
        "hardware_old": step(("on", 1.0), ("oo", -1.0)),
        "hardware_new": step(("nn", 1.0), ("no", -1.0)),
        "model_shapley": step(("no", 0.5), ("oo", -0.5), ("nn", 0.5), ("on", -0.5)),
        "hardware_shapley": step(("on", 0.5), ("oo", -0.5), ("nn", 0.5), ("no", -0.5)),
    }


def _hardware(old: Group, new: Group, column: str, of: Dated) -> Estimate:
    parts = [
        Factor(getattr(old, column), 1.0, "energy", of.apart(old)),
        Factor(getattr(new, column), -1.0, "energy", of.apart(new)),
    ]
    return log_ratio(parts, of.grid.cluster)


def _named(years: Years) -> str:
    return f"{years[0]} / {years[1]}"


def _finding(row: dict[str, StudyCell]) -> str:
    model, device = row["model_shapley"], row["hardware_shapley"]
    said = f"From {row['from']} to {row['to']} (model / device), IPW grew {row['total']} times"
    if isinstance(model, Estimate) and model.value is not None:
        return f"{said}: {model} by the model and {device} by the device, whatever the order."
    return (
        f"{said}; how much of it is the model's and how much the device's cannot be said from what "
        "was measured."
    )
