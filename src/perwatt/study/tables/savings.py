"""What routing between the study's local and cloud pairs would save, idealised and real."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from perwatt.core.estimate import Estimate
from perwatt.core.study import StudyCell, StudyColumn, StudyTable
from perwatt.routing.savings import Router, Savings, idealised, simulate
from perwatt.routing.savings_mix import Mix
from perwatt.routing.savings_plant import Plant
from perwatt.routing.savings_waterfall import stages
from perwatt.study.savings_setting import ASSUMED, Setting, settings_of
from perwatt.study.savings_sides import sides_of
from perwatt.study.study import Study

__all__ = ["savings", "savings_steps"]


def savings(study: Study) -> StudyTable | None:
    """None where the study has not both a local and a cloud pair."""
    sides = sides_of(study)
    if sides is None:
        return None
    rows: list[dict[str, StudyCell]] = []
    settings, notes = settings_of(study, sides)
    for setting in settings:
        found = setting.estimates(_models(setting), study.options.seed)
        row: dict[str, StudyCell] = {
            "local": setting.local,
            "local_share": setting.share(found["oracle"].get("local_share"), None),
        }
        for name in ("oracle", "p80", "p60", "real"):
            row[f"energy_{name}"] = setting.share(found[name].get("energy_j"), "energy_j")
        row["compute_real"] = setting.share(found["real"].get("flop"), "flop")
        row["cost_real"] = setting.share(found["real"].get("cost_usd"), "cost_usd")
        row["lost"] = setting.share(found["real"].get("right_lost"), None)
        rows.append(row)
        notes += setting.notes
    return StudyTable(
        name="savings",
        title="Routing savings",
        what="A row is a local side against one cloud pair: shares of what asking the cloud alone"
        " uses. Idealised as in arXiv 2511.07885 §4.3: a router of accuracy p sends p of the"
        " locally right queries there, misroutes go to the cloud for nothing. Real: errs both"
        " ways, and runs on machines that idle.",
        columns=_COLUMNS,
        rows=tuple(rows),
        finding=_finding(rows),
        notes=(*sides.notes, *ASSUMED, *dict.fromkeys(notes)),
    )


def savings_steps(study: Study) -> StudyTable | None:
    """From the oracle to the real router, one assumption at a time, for the first local side."""
    sides = sides_of(study)
    settings = settings_of(study, sides)[0] if sides is not None else []
    if sides is None or not settings:
        return None
    setting = settings[0]
    steps = stages(setting.router, setting.plant)
    models = {name: _model(router, plant, setting) for name, router, plant in steps}
    found = setting.estimates(models, study.options.seed)
    rows: list[dict[str, StudyCell]] = [
        {
            "step": name,
            "energy": setting.share(now.get("energy_j"), "energy_j"),
            "compute": setting.share(now.get("flop"), "flop"),
            "cost": setting.share(now.get("cost_usd"), "cost_usd"),
            "lost": setting.share(now.get("right_lost"), None),
        }
        for name, now in found.items()
    ]
    return StudyTable(
        name="savings_steps",
        title="Routing savings, one assumption at a time",
        what=f"Each row adds an assumption to those above it, for {setting.local}; the last is the"
        " real router of the table of savings.",
        columns=_STEP_COLUMNS,
        rows=tuple(rows),
        notes=(*sides.notes, *ASSUMED, *setting.notes),
    )


def _models(setting: Setting) -> dict[str, Callable[[Mix], Savings]]:
    return {
        "oracle": _model(idealised(1.0), Plant(), setting),
        "p80": _model(idealised(0.8), Plant(), setting),
        "p60": _model(idealised(0.6), Plant(), setting),
        "real": _model(setting.router, setting.plant, setting),
    }


def _model(router: Router, plant: Plant, setting: Setting) -> Callable[[Mix], Savings]:
    return lambda mix: simulate(mix, router, plant, setting.demand)


def _finding(rows: Sequence[Mapping[str, StudyCell]]) -> str:
    if not rows:
        return ""
    oracle, real, lost = (rows[0].get(k) for k in ("energy_oracle", "energy_real", "lost"))
    if not all(isinstance(e, Estimate) and e.value is not None for e in (oracle, real, lost)):
        return ""
    return (
        f"Routing to {rows[0]['local']} would save {oracle} of the cloud's joules with a perfect"
        f" router, and {real} with one that errs, has costs and idle machines, at {lost} of right"
        " answers lost."
    )


_COLUMNS = (
    StudyColumn(name="local", title="Local side"),
    StudyColumn(
        name="local_share", title="Local share", what="Items that the local side answers right."
    ),
    StudyColumn(
        name="energy_oracle", title="Energy, oracle", what="Joules saved by a router of p = 1."
    ),
    StudyColumn(name="energy_p80", title="p = 0.8", what="Idealised: 0.8 × the oracle's."),
    StudyColumn(name="energy_p60", title="p = 0.6", what="Idealised: 0.6 × the oracle's."),
    StudyColumn(
        name="energy_real",
        title="Energy, real",
        what="With errors both ways, the router's own joules, batch curve and standby.",
    ),
    StudyColumn(name="compute_real", title="Compute, real", what="FLOPs saved by the real router."),
    StudyColumn(name="cost_real", title="Cost, real", what="API price saved by the real router."),
    StudyColumn(
        name="lost",
        title="Answers lost",
        what="Right answers fewer than the cloud's alone, of all items; negative: more.",
    ),
)
_STEP_COLUMNS = (
    StudyColumn(name="step", title="Assumption"),
    StudyColumn(name="energy", title="Energy saved"),
    StudyColumn(name="compute", title="Compute saved"),
    StudyColumn(name="cost", title="Cost saved"),
    StudyColumn(name="lost", title="Answers lost", what="Of all items."),
)
