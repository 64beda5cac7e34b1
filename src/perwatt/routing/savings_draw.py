"""The same router with its errors tossed query by query: what one day, and not the mean of many,
may look like. `simulate` gives the expectation of it."""

from __future__ import annotations

import numpy as np

from perwatt.routing.savings import Router, Savings, Use
from perwatt.routing.savings_mix import RESOURCES, Floats, Queries, Resource

__all__ = ["drawn"]


def drawn(queries: Queries, router: Router, rng: np.random.Generator, n: int) -> Savings:
    """`n` queries picked at random from `queries`, each routed by a toss. No plant: joules are
    those measured. Scores between 0 and 1 are tossed too."""
    pick = rng.integers(0, len(queries.local_right), size=n)
    right = rng.random(n) < queries.local_right[pick]
    sent = np.where(
        right, rng.random(n) >= router.false_cloud, rng.random(n) < router.false_local
    ).astype(bool)
    again = sent & ~right & (rng.random(n) < router.noticed)
    cloud = ~sent | again
    cloud_right = (rng.random(n) < queries.cloud_right[pick]).astype(np.float64)
    own: dict[Resource, float] = {
        "energy_j": router.energy_j,
        "flop": router.flop,
        "cost_usd": router.cost_usd,
    }
    known = [r for r in RESOURCES if r in queries.local and r in queries.cloud]

    def used(here: Floats, there: Floats, extra: bool) -> dict[Resource, float]:
        return {
            r: float(np.mean(queries.local[r][pick] * here + queries.cloud[r][pick] * there))
            + (own[r] if extra else 0.0)
            for r in known
        }

    none, every = np.zeros(n), np.ones(n)
    here, there = sent.astype(np.float64), cloud.astype(np.float64)
    return Savings(
        all_cloud=Use(
            used=used(none, every, extra=False),
            right=float(cloud_right.mean()),
            local_share=0.0,
            cloud_share=1.0,
        ),
        routed=Use(
            used=used(here, there, extra=True),
            right=float(np.mean((sent & right) + there * cloud_right)),
            local_share=float(here.mean()),
            cloud_share=float(there.mean()),
        ),
        queries=float(n),
    )
