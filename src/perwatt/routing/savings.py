"""What routing between a local and a cloud model saves against asking the cloud alone.

Idealised (arXiv 2511.07885 §4.3): a router of accuracy p sends a share p of the queries that the
local model answers right to it, all others to the cloud, at no cost and with no error. Its savings
are p × the oracle's, whatever the queries.

Real: two error rates that need not be alike (local queries sent to the cloud cost joules, cloud
queries sent to local ones cost joules or answers), the router's own joules, price and time, how
many wrong local answers are noticed and asked again, and the machines (see `savings_plant`). All
figures are expectations: exact for a mean over queries, no draw is made.
"""

from __future__ import annotations

import math

import msgspec
import numpy as np

from perwatt.core.errors import SpecError
from perwatt.routing.savings_mix import RESOURCES, Mix, Queries, Resource, Side
from perwatt.routing.savings_plant import LocalUse, Plant, use_cloud, use_local
from perwatt.routing.trace_demand import Demand, level_demand

__all__ = ["Router", "Savings", "Use", "idealised", "simulate"]


class Router(msgspec.Struct, frozen=True, kw_only=True):
    """How often a router errs, each way, and what it costs itself. Raises SpecError."""

    false_cloud: float
    """Of the queries that the local model answers right, the share sent to the cloud."""
    false_local: float
    """Of those that it does not, the share sent to it."""
    noticed: float = 1.0
    """Of the wrong local answers, the share that is noticed and asked again at the cloud."""
    energy_j: float = 0.0
    """Of one decision."""
    cost_usd: float = 0.0
    flop: float = 0.0
    seconds: float = 0.0

    def __post_init__(self) -> None:
        for name in ("false_cloud", "false_local", "noticed"):
            if not 0 <= getattr(self, name) <= 1:
                msg = f"A router's {name} is a share between 0 and 1, not {getattr(self, name)}."
                raise SpecError(msg)
        for name in ("energy_j", "cost_usd", "flop", "seconds"):
            value = getattr(self, name)
            if not 0 <= value < math.inf:
                msg = f"A router's {name} is a number that is not negative, got {value}."
                raise SpecError(msg)


def idealised(accuracy: float) -> Router:
    """The paper's: errs one way only, and a query it misroutes is asked at the cloud for nothing
    more than its price there. Raises SpecError."""
    if not 0 <= accuracy <= 1:
        msg = f"A router's accuracy is a share between 0 and 1, not {accuracy}."
        raise SpecError(msg)
    return Router(false_cloud=1.0 - accuracy, false_local=0.0)


class Use(msgspec.Struct, frozen=True, kw_only=True):
    """Means per query of the demand."""

    used: dict[Resource, float]
    """Resources that are not known for both places are left out."""
    right: float
    local_share: float
    """Tries at a local model."""
    cloud_share: float
    """Tries at the cloud; those asked again are in both."""
    seconds: float | None = None
    """From the router's being asked to the answer that counts; waiting for a device is apart."""
    machines: int | None = None
    devices: int | None = None
    standby_j: float = 0.0
    """Part of `used["energy_j"]`."""
    local_busy: float | None = None
    local_wait_s: float | None = None


class Savings(msgspec.Struct, frozen=True, kw_only=True):
    """All-cloud and routed, under the same plant and demand."""

    all_cloud: Use
    routed: Use
    queries: float
    """Of the demand: totals are means × this."""
    notes: tuple[str, ...] = ()

    def saved(self, resource: Resource) -> float | None:
        """Share of what all-cloud uses; negative where routing uses more. None: not known."""
        before, after = (u.used.get(resource) for u in (self.all_cloud, self.routed))
        return None if before is None or after is None or before == 0 else 1 - after / before

    def saved_per_right(self, resource: Resource) -> float | None:
        """The same per right answer, so that lost answers count."""
        saved = self.saved(resource)
        if saved is None or self.routed.right == 0:
            return None
        return 1 - (1 - saved) * self.all_cloud.right / self.routed.right

    def total(self, resource: Resource) -> tuple[float, float] | None:
        """What all-cloud and routed use over the whole demand."""
        before, after = (u.used.get(resource) for u in (self.all_cloud, self.routed))
        if before is None or after is None:
            return None
        return before * self.queries, after * self.queries

    @property
    def right_lost(self) -> float:
        """Right answers fewer than all-cloud's, as a share of all queries; negative: more."""
        return self.all_cloud.right - self.routed.right


def simulate(
    queries: Queries | Mix,
    router: Router,
    plant: Plant | None = None,
    demand: Demand | None = None,
) -> Savings:
    """Expected use of a router over `demand` (by default one query a second, evenly), in which
    every query is one of `queries`, all alike likely at every hour."""
    mix = queries.mix() if isinstance(queries, Queries) else queries
    plant = plant or Plant()
    demand = demand or level_demand(86_400.0)
    if plant.local is not None and mix.local.seconds is None:
        msg = "Local devices can only be counted where the local seconds of a query are known."
        raise SpecError(msg, "Leave the local plant out.")
    notes: list[str] = []
    nobody = Router(false_cloud=1.0, false_local=0.0)
    before = _use(mix, nobody, plant, demand, notes, devices=False)
    after = _use(mix, router, plant, demand, notes, devices=True)
    return Savings(
        all_cloud=before,
        routed=after,
        queries=demand.queries,
        notes=tuple(dict.fromkeys(notes)),
    )


def _use(
    mix: Mix, router: Router, plant: Plant, demand: Demand, notes: list[str], *, devices: bool
) -> Use:
    kept, missed = 1 - router.false_cloud, router.false_local
    a = mix.local_right
    sent = a * kept + (1 - a) * missed
    rates = np.asarray(demand.per_s, dtype=np.float64)
    here_s = _split(mix.local.seconds, kept, missed)
    local = _local(plant, demand, sent, here_s, devices=devices)
    taken = local.taken if local else 1.0
    wrong = (1 - a) * missed * taken
    again = wrong * router.noticed
    spilled = local.spilled_per_s if local else np.zeros_like(rates)
    to_cloud = rates * (1 - sent) + spilled + (rates * sent - spilled) * _per(again, sent * taken)
    used = {
        r: taken * _split(mix.local.used[r], kept, missed) + _cloud(mix, r, router, taken)
        for r in RESOURCES
        if r in mix.local.used and r in mix.cloud.used
    }
    standby_j = local.standby_j if local else 0.0
    machines, longer = None, 1.0
    if plant.cloud is not None:
        cloud = use_cloud(plant.cloud, demand, to_cloud)
        machines, longer = cloud.machines, cloud.seconds_scale
        standby_j += cloud.standby_j
        if "energy_j" in used:
            used["energy_j"] += (cloud.scale - 1) * _cloud(mix, "energy_j", router, taken)
        if cloud.beyond:
            notes.append(
                "In some hours the cloud's load is outside the measured batch curve; its nearest"
                " point stands in."
            )
    own = {"energy_j": router.energy_j, "flop": router.flop, "cost_usd": router.cost_usd}
    used = {r: x + (own[r] if devices else 0.0) for r, x in used.items()}
    if "energy_j" in used:
        used["energy_j"] += standby_j
    return Use(
        used=used,
        right=_right(mix, router, taken),
        local_share=sent * taken,
        cloud_share=1 - sent * taken + again,
        seconds=_seconds(mix, router, taken, longer, devices=devices),
        machines=machines,
        devices=local.devices if local else None,
        standby_j=standby_j,
        local_busy=local.busy if local else None,
        local_wait_s=local.wait_s if local else None,
    )


def _local(
    plant: Plant, demand: Demand, sent: float, seconds: float, *, devices: bool
) -> LocalUse | None:
    """None: no devices are there. Those that are sent nothing draw their standby all the same."""
    if plant.local is None or not devices:
        return None
    rates = np.asarray(demand.per_s, dtype=np.float64) * sent
    return use_local(plant.local, demand, rates, _per(seconds, sent))


def _split(means: tuple[float, float] | None, kept: float, missed: float) -> float:
    """Mean of x × (sent to the local model)."""
    if means is None:
        return 0.0
    whole, right = means
    return kept * right + missed * (whole - right)


def _cloud(mix: Mix, resource: Resource, router: Router, taken: float) -> float:
    return _asked(mix.cloud.used[resource], router, taken)


def _asked(means: tuple[float, float], router: Router, taken: float) -> float:
    """Mean of x × (tries at the cloud): not sent, or sent and not taken, or noticed wrong."""
    whole, right = means
    sent = _split(means, 1 - router.false_cloud, router.false_local)
    again = router.false_local * (whole - right) * router.noticed
    return whole - taken * sent + taken * again


def _right(mix: Mix, router: Router, taken: float) -> float:
    kept = (1 - router.false_cloud) * taken
    cloud = _asked((mix.cloud_right, mix.both_right), router, taken)
    return mix.local_right * kept + cloud


def _seconds(
    mix: Mix, router: Router, taken: float, longer: float, *, devices: bool
) -> float | None:
    local: Side = mix.local
    if local.seconds is None or mix.cloud.seconds is None:
        return None
    here = taken * _split(local.seconds, 1 - router.false_cloud, router.false_local)
    there = longer * _asked(mix.cloud.seconds, router, taken)
    return (router.seconds if devices else 0.0) + here + there


def _per(part: float, whole: float) -> float:
    return part / whole if whole > 0 else 0.0
