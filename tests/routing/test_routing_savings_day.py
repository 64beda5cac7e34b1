"""A day simulated query by query, written apart from `simulate`, must come to its expectation."""

from __future__ import annotations

import math

import numpy as np
import pytest

from perwatt.routing.savings import Router, idealised, simulate
from perwatt.routing.savings_curve import BatchCurve, BatchPoint
from perwatt.routing.savings_mix import Floats, Queries
from perwatt.routing.savings_plant import CloudPlant, LocalPlant, Plant
from perwatt.routing.trace_demand import Demand

LOADS, JOULES, SECONDS = (1.0, 4.0, 16.0), (40.0, 20.0, 10.0), (1.0, 1.5, 2.5)
CURVE = BatchCurve(
    tuple(
        BatchPoint(in_flight=n, energy_j=j, seconds=s)
        for n, j, s in zip(LOADS, JOULES, SECONDS, strict=True)
    )
)
CLOUD = CloudPlant(curve=CURVE, measured_at=4.0, full_at=16.0, standby_w=50.0)
HOURS = np.array([4.0, 0.0, 9.0, 1.0, 0.0, 3.0])
"""Queries a second; nobody asks anything in two of the hours."""
DEMAND = Demand(per_s=tuple(HOURS), bin_s=3600.0, source="six hours")
TOSSED = 100_000


def queries(rng: np.random.Generator) -> Queries:
    n = 300
    right = rng.random(n)
    return Queries(
        local_right=right,
        cloud_right=rng.random(n),
        local={"energy_j": rng.lognormal(1, 1, n) * (2 - right)},
        cloud={"energy_j": rng.lognormal(2, 1, n)},
        local_s=rng.lognormal(1, 0.5, n),
        cloud_s=np.ones(n),
    )


def on_logarithms(load: float, values: tuple[float, ...]) -> float:
    return math.exp(float(np.interp(math.log(load), np.log(LOADS), np.log(values))))


def load_of(per_s: float) -> float:
    """By halving: how many are in flight on one machine that finishes `per_s`."""
    low, high = 1.0, 16.0
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (
            (middle, high) if middle / on_logarithms(middle, SECONDS) < per_s else (low, middle)
        )
    return low


def tossed(some: Queries, router: Router, plant: Plant, rng: np.random.Generator) -> list[float]:
    """Joules a query, right answers, tries at a local model and at the cloud."""
    assert some.local_s is not None
    hour = rng.choice(len(HOURS), size=TOSSED, p=HOURS / HOURS.sum())
    each = HOURS.sum() / TOSSED  # queries a second of an hour that one toss stands for
    item = rng.integers(0, len(some.local_right), TOSSED)
    right = rng.random(TOSSED) < some.local_right[item]
    sent = np.where(
        right, rng.random(TOSSED) >= router.false_cloud, rng.random(TOSSED) < router.false_local
    ).astype(bool)
    watts = 0.0  # of standby, summed over the hours
    if plant.local is not None:
        service = float(some.local_s[item][sent].mean()) if sent.any() else 0.0
        wanted = np.bincount(hour, sent, len(HOURS)) * each * service
        devices = plant.local.devices or math.ceil(wanted.max() / plant.local.busiest)
        taken = np.minimum(wanted, devices)
        watts += float((devices - taken).sum()) * plant.local.standby_w
        kept = np.divide(taken, wanted, out=np.ones_like(wanted), where=wanted > 0)
        sent &= rng.random(TOSSED) < kept[hour]
    again = sent & ~right & (rng.random(TOSSED) < router.noticed)
    cloud = ~sent | again
    scale: Floats = np.ones(len(HOURS))
    if plant.cloud is not None:
        rate = np.bincount(hour, cloud, len(HOURS)) * each
        machines = math.ceil(rate.max() / (16.0 / SECONDS[-1]))
        one = rate / machines
        watts += float(np.maximum(0.0, 1.0 - one * SECONDS[0]).sum()) * machines * 50.0
        scale = np.array([on_logarithms(load_of(r), JOULES) / JOULES[1] for r in one])
    joules = (
        some.local["energy_j"][item] * sent + some.cloud["energy_j"][item] * cloud * scale[hour]
    )
    answered = (sent & right) + cloud * some.cloud_right[item]
    standby = watts / HOURS.sum()
    return [
        float(joules.mean()) + standby + router.energy_j,
        float(answered.mean()),
        float(sent.mean()),
        float(cloud.mean()),
    ]


PLANTS = {
    "none": Plant(),
    "cloud": Plant(cloud=CLOUD),
    "few local": Plant(cloud=CLOUD, local=LocalPlant(standby_w=3.0, devices=9)),
    "local": Plant(local=LocalPlant(standby_w=3.0)),
}
ROUTERS = {
    "real": Router(false_cloud=0.3, false_local=0.4, noticed=0.6, energy_j=0.5),
    "oracle": idealised(1.0),
    "p = 0": idealised(0.0),
}


@pytest.mark.parametrize("router", ROUTERS)
@pytest.mark.parametrize("plant", PLANTS)
def test_a_day_of_tosses_comes_to_the_expectation(plant: str, router: str) -> None:
    rng = np.random.default_rng(20)
    some = queries(rng)
    found = tossed(some, ROUTERS[router], PLANTS[plant], rng)
    use = simulate(some, ROUTERS[router], PLANTS[plant], DEMAND).routed
    wanted = [use.used["energy_j"], use.right, use.local_share, use.cloud_share]
    assert found == pytest.approx(wanted, rel=0.03, abs=0.01)
