"""From the oracle to the real thing, one assumption at a time: what each costs.

The order is fixed and the parts sum to the whole; another order would share interactions out
otherwise (a misrouted query on a loaded machine costs more than on an idle one).
"""

from __future__ import annotations

import msgspec

from perwatt.routing.savings import Router, Savings, simulate
from perwatt.routing.savings_mix import RESOURCES, Mix, Queries, Resource
from perwatt.routing.savings_plant import Plant
from perwatt.routing.trace_demand import Demand

__all__ = ["Step", "stages", "waterfall"]


class Step(msgspec.Struct, frozen=True, kw_only=True):
    name: str
    savings: Savings
    """With this assumption and all before it."""
    change: dict[Resource, float]
    """What it adds to the share saved; for the first step, the share itself."""
    right_lost: float
    """What it adds to the share of right answers lost."""


def waterfall(
    queries: Queries | Mix,
    router: Router,
    plant: Plant | None = None,
    demand: Demand | None = None,
) -> tuple[Step, ...]:
    """The last step is `simulate(queries, router, plant, demand)`. Assumptions that the router or
    the plant does not make have no step."""
    plant = plant or Plant()
    mix = queries.mix() if isinstance(queries, Queries) else queries
    steps: list[Step] = []
    for name, one_router, one_plant in stages(router, plant):
        savings = simulate(mix, one_router, one_plant, demand)
        before = steps[-1].savings if steps else None
        steps.append(_step(name, savings, before))
    return tuple(steps)


def stages(router: Router, plant: Plant) -> list[tuple[str, Router, Plant]]:
    """Name, router and plant of each step."""
    bare = Plant()
    at = Router(false_cloud=0.0, false_local=0.0)
    stages = [("oracle", at, bare)]
    if router.false_cloud:
        at = msgspec.structs.replace(at, false_cloud=router.false_cloud)
        stages.append(("local queries sent to the cloud", at, bare))
    if router.false_local:
        at = msgspec.structs.replace(at, false_local=router.false_local)
        stages.append(("cloud queries sent to local, noticed and asked again", at, bare))
        if router.noticed < 1:
            at = msgspec.structs.replace(at, noticed=router.noticed)
            stages.append(("wrong local answers not noticed", at, bare))
    if at != router:
        stages.append(("the router's own use", router, bare))
    if plant.cloud is not None:
        idle = msgspec.structs.replace(plant.cloud, standby_w=0.0)
        stages.append(("the cloud's load", router, Plant(cloud=idle)))
        if plant.cloud.standby_w:
            stages.append(("the cloud's standby", router, Plant(cloud=plant.cloud)))
    if plant.local is not None:
        stages.append(("local devices: standby, and what they cannot take", router, plant))
    return stages


def _step(name: str, savings: Savings, before: Savings | None) -> Step:
    change: dict[Resource, float] = {}
    for resource in RESOURCES:
        now = savings.saved(resource)
        then = before.saved(resource) if before else 0.0
        if now is not None and then is not None:
            change[resource] = now - then
    lost = savings.right_lost - (before.right_lost if before else 0.0)
    return Step(name=name, savings=savings, change=change, right_lost=lost)
