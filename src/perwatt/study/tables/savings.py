"""What routing between the study's local and cloud pairs would save, idealised and real."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from perwatt.core.estimate import Estimate
from perwatt.core.study import StudyCell, StudyColumn, StudyTable
from perwatt.routing.savings import Router, Savings, idealised, simulate
from perwatt.routing.savings_mix import Mix
from perwatt.routing.savings_plant import Plant
from perwatt.routing.savings_waterfall import stages
from perwatt.stats.intervals import Interval
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
        for router, now in found.items():
            rows.append({"local": setting.local, "router": router, **_figures(setting, now)})
        notes = [*notes, *setting.notes]
    return StudyTable(
        name="savings",
        title="Routing savings",
        what="A row is a router between a local side and one cloud pair; shares saved of what"
        " asking the cloud alone uses. p: idealised as in arXiv 2511.07885 §4.3, p of the locally"
        " right queries go there, all others to the cloud, for nothing more. Real: errs both ways,"
        " costs something itself, and runs on machines that idle.",
        columns=_COLUMNS,
        rows=tuple(rows),
        finding=_finding(rows),
        notes=(*sides.notes, study.options.router.sentence, *ASSUMED, *dict.fromkeys(notes)),
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
        {"step": name, **_figures(setting, now)} for name, now in found.items()
    ]
    return StudyTable(
        name="savings_steps",
        title="Routing savings, one assumption at a time",
        what=f"Each row adds an assumption to those above it, for {setting.local}; the last is the"
        " real router of the table of savings.",
        columns=_STEP_COLUMNS,
        rows=tuple(rows),
        notes=(*sides.notes, study.options.router.sentence, *ASSUMED, *setting.notes),
    )


IDEAL = {"p = 1.0": 1.0, "p = 0.8": 0.8, "p = 0.6": 0.6}
REAL = "real"


def _models(setting: Setting) -> dict[str, Callable[[Mix], Savings]]:
    models = {name: _model(idealised(p), Plant(), setting) for name, p in IDEAL.items()}
    return {**models, REAL: _model(setting.router, setting.plant, setting)}


def _model(router: Router, plant: Plant, setting: Setting) -> Callable[[Mix], Savings]:
    return lambda mix: simulate(mix, router, plant, setting.demand)


def _figures(setting: Setting, found: Mapping[str, Interval]) -> dict[str, StudyCell]:
    return {
        "local_share": setting.share(found.get("local_share"), None),
        "energy": setting.share(found.get("energy_j"), "energy_j"),
        "compute": setting.share(found.get("flop"), "flop"),
        "cost": setting.share(found.get("cost_usd"), "cost_usd"),
        "lost": setting.share(found.get("right_lost"), None),
        "seconds": setting.seconds(found.get("seconds")),
    }


def _finding(rows: Sequence[Mapping[str, StudyCell]]) -> str:
    if not rows:
        return ""
    first = {row["router"]: row for row in rows if row["local"] == rows[0]["local"]}
    oracle, real = (first[name]["energy"] for name in ("p = 1.0", REAL))
    lost = first[REAL]["lost"]
    if not all(isinstance(e, Estimate) and e.value is not None for e in (oracle, real)):
        return ""
    if not isinstance(lost, Estimate) or lost.value is None:
        return ""
    fewer = f"{abs(lost.value):.1%} of the queries {'fewer' if lost.value >= 0 else 'more'}"
    return (
        f"Routing to {rows[0]['local']} saves {oracle} of the cloud's joules with a perfect router"
        f" that costs nothing, and {real} with one that errs, costs and idles; {fewer} are then"
        " answered right."
    )


_SHARES = (
    StudyColumn(name="local_share", title="Asked locally", what="Of all queries."),
    StudyColumn(name="energy", title="Energy saved", what="Joules, gross."),
    StudyColumn(
        name="compute", title="Compute saved", what="2 × active parameters × tokens in and out."
    ),
    StudyColumn(name="cost", title="Cost saved", what="By API prices of the tokens, both sides."),
    StudyColumn(
        name="lost",
        title="Answers lost",
        what="Right answers fewer than the cloud's alone, of all queries; negative: more.",
    ),
    StudyColumn(
        name="seconds",
        title="Latency",
        what="Mean seconds to the answer that counts, tries that were asked again included.",
    ),
)
_COLUMNS = (
    StudyColumn(name="local", title="Local side"),
    StudyColumn(name="router", title="Router"),
    *_SHARES,
)
_STEP_COLUMNS = (StudyColumn(name="step", title="Assumption"), *_SHARES)
