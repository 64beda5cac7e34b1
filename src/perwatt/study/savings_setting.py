"""One local side of a study against its cloud, ready to be simulated: queries, router, machines."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from weakref import WeakKeyDictionary

import msgspec
import numpy as np

from perwatt.core.estimate import Estimate
from perwatt.routing.savings import Router, Savings
from perwatt.routing.savings_interval import savings_intervals
from perwatt.routing.savings_mix import Mix, Queries, Resource
from perwatt.routing.savings_plant import Plant
from perwatt.routing.trace_demand import Demand, demand_of, shaped_demand
from perwatt.stats.intervals import Interval
from perwatt.study.asked import RIGHT
from perwatt.study.footing import Footing, same_sensors
from perwatt.study.per_correct import pair_moments
from perwatt.study.savings_inputs import Answers, plant_of, queries_of, read_answers
from perwatt.study.savings_sides import Sides
from perwatt.study.study import Study
from perwatt.study.tariffs.load import load_tariffs
from perwatt.workloads.traces import read_arrivals

__all__ = ["ASSUMED", "Setting", "settings_of"]

DAY_QUERIES = 1e6
DRAWS = 200
ANY = "any local pair"
MOST_SINGLES = 12
"""Local pairs with rows of their own: those right most often."""

ASSUMED = (
    "Intervals are of the measured queries and joules; the router's errors, the day and the sizes"
    " of machines are taken as given.",
    "Cost is by API prices on both sides, as the paper has it; compute is 2 × active parameters ×"
    " tokens. Right is a score of at least one half.",
)


class Setting(msgspec.Struct, frozen=True, kw_only=True):
    """One local side against the cloud, ready to simulate."""

    local: str
    queries: Queries
    footing: Footing
    missing: Mapping[Resource, str]
    router: Router
    plant: Plant
    demand: Demand
    same_sensor: bool
    notes: tuple[str, ...]

    def estimates(
        self, models: Mapping[str, Callable[[Mix], Savings]], seed: int
    ) -> dict[str, dict[str, Interval]]:
        return savings_intervals(
            self.queries,
            models,
            rng=np.random.default_rng(seed),
            draws=DRAWS,
            gain_local=self.footing.gain,
            gain_cloud=self.footing.gain,
            same_sensor=self.same_sensor,
        )

    def seconds(self, found: Interval | None) -> Estimate:
        n = len(self.queries.local_right)
        if found is None:
            return Estimate(value=None, unit="s", n=n, reason="some answers have no time")
        return Estimate(
            value=found.value,
            low=found.low,
            high=found.high,
            unit="s",
            method=found.method,
            n=found.n,
            reason=found.reason,
        )

    def share(self, found: Interval | None, resource: Resource | None) -> Estimate:
        """One figure as published: with the joules' grade where there are joules in it."""
        if found is None:
            why = self.missing.get(resource, "it is not known") if resource else "it is not known"
            return Estimate(value=None, unit="share", n=len(self.queries.local_right), reason=why)
        joules = resource == "energy_j"
        return Estimate(
            value=found.value,
            low=found.low,
            high=found.high,
            unit="share",
            method=found.method,
            n=found.n,
            grade=self.footing.grade if joules else None,
            boundary=self.footing.boundary if joules else None,
            reason=found.reason or (self.footing.caution if joules else None),
        )


def settings_of(study: Study, sides: Sides) -> tuple[list[Setting], list[str]]:
    """Any local pair (an oracle picks) where there are several, then each alone; and why none.

    Read once, and kept for the study's other tables.
    """
    if study not in _CACHE:
        _CACHE[study] = _read(study, sides)
    return _CACHE[study]


_CACHE: WeakKeyDictionary[Study, tuple[list[Setting], list[str]]] = WeakKeyDictionary()


def _read(study: Study, sides: Sides) -> tuple[list[Setting], list[str]]:
    pairs = (*sides.local, sides.cloud)
    by_key = {pair.key: moments for pair, moments in pair_moments(study)}
    items = min(by_key[study.pairs[n].key].clusters for n in pairs)
    answers = read_answers(study, pairs, items)
    if not len(answers.score):
        return [], ["No item was asked of all of these pairs."]
    if gone := int(np.isnan(answers.score).any(axis=1).sum()):
        return [], [f"{gone} of {len(answers.score)} items have an answer that was not judged."]
    local = range(len(sides.local))
    choices = [(ANY, tuple(local))] if len(sides.local) > 1 else []
    right = (answers.score >= RIGHT).mean(axis=0)
    best = sorted(local, key=lambda k: -right[k])[:MOST_SINGLES]
    choices += [(study.pairs[sides.local[k]].label, (k,)) for k in sorted(best)]
    aside = len(local) - len(best)
    notes = [f"{aside} more local pairs, right less often, have no rows."] if aside else []
    return [_setting(study, sides, answers, name, columns) for name, columns in choices], notes


def _setting(
    study: Study, sides: Sides, answers: Answers, name: str, columns: Sequence[int]
) -> Setting:
    queries, footing, missing = queries_of(
        study, answers, columns, load_tariffs(study.options.tariffs)
    )
    plant, notes = plant_of(study, sides, [sides.local[k] for k in columns], queries)
    demand = _demand(study)
    assumed = study.options.router
    own = {r: assumed.own * float(x.mean()) for r, x in queries.cloud.items()}
    router = Router(
        false_cloud=assumed.false_cloud,
        false_local=assumed.false_local,
        noticed=assumed.noticed,
        energy_j=own.get("energy_j", 0.0),
        cost_usd=own.get("cost_usd", 0.0),
        flop=own.get("flop", 0.0),
    )
    places = [study.pairs[answers.pairs[k]] for k in (*columns, len(answers.pairs) - 1)]
    if len(columns) > 1:
        notes.append(
            f"{ANY.capitalize()}: for each query an oracle picks, of the local pairs that are"
            " right, the one that costs least; a router that must find it too saves less."
        )
    if answers.sampled < 1:
        notes.append(f"{answers.sampled:.2%} of the items were taken, by the hash of their name.")
    return Setting(
        local=name,
        queries=queries,
        footing=footing,
        missing=missing,
        router=router,
        plant=plant if "energy_j" in queries.local else Plant(),
        demand=demand,
        same_sensor=same_sensors(study, places),
        notes=(f"Demand: {demand.source}.", *notes),
    )


def _demand(study: Study) -> Demand:
    trace = study.options.trace
    if trace is not None:
        return demand_of(read_arrivals(trace), trace.name)
    wave = [1 + 0.6 * math.sin(2 * math.pi * (hour - 8) / 24) for hour in range(24)]
    return shaped_demand(
        DAY_QUERIES,
        wave,
        "a million queries over an assumed day, a sine that peaks at 1.6 × its"
        " mean; --trace FILE takes another",
    )
