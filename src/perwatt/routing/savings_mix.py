"""What a set of queries costs here and there, as the few sums that every router's savings need.

All that a router does to a query depends on whether the local model answers it right, so means over
the queries and over the locally right ones are enough: a million queries become some twenty
numbers, and a resample of the queries is a weighting of those.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

from perwatt.core.errors import SpecError

__all__ = ["RESOURCES", "Floats", "Mix", "Queries", "Resource", "Side"]

Floats = NDArray[np.float64]
Resource = Literal["energy_j", "flop", "cost_usd"]
RESOURCES: tuple[Resource, ...] = ("energy_j", "flop", "cost_usd")


class Side(msgspec.Struct, frozen=True, kw_only=True):
    """Means per query of one place, local or cloud, where the query is asked there."""

    used: Mapping[Resource, tuple[float, float]]
    """By resource: the mean over all queries of x, and of x × (the local model is right)."""
    seconds: tuple[float, float] | None = None
    """Service seconds, likewise; None: not known."""


class Mix(msgspec.Struct, frozen=True, kw_only=True):
    """The means over a set of queries."""

    local_right: float
    """Share that the local model answers right."""
    cloud_right: float
    both_right: float
    """Mean of (local is right) × (cloud is right)."""
    local: Side
    cloud: Side
    n: int
    """Queries behind it; 0 where it was put together from published means."""

    @staticmethod
    def uniform(
        local_share: float,
        *,
        local: Mapping[Resource, float],
        cloud: Mapping[Resource, float],
        cloud_right: float = 1.0,
        local_s: float | None = None,
        cloud_s: float | None = None,
    ) -> Mix:
        """Queries that are all alike but for whether the local model answers them.

        Raises SpecError for shares that are none.
        """
        for name, share in (("local_share", local_share), ("cloud_right", cloud_right)):
            if not 0 <= share <= 1:
                msg = f"{name} is a share between 0 and 1, not {share}."
                raise SpecError(msg)
        a = local_share
        return Mix(
            local_right=a,
            cloud_right=cloud_right,
            both_right=a * cloud_right,
            local=Side(
                used={r: (x, a * x) for r, x in local.items()},
                seconds=None if local_s is None else (local_s, a * local_s),
            ),
            cloud=Side(
                used={r: (x, a * x) for r, x in cloud.items()},
                seconds=None if cloud_s is None else (cloud_s, a * cloud_s),
            ),
            n=0,
        )


class Queries(msgspec.Struct, frozen=True, kw_only=True):
    """Measured queries, one element of each array for each; arrays have shape (n,)."""

    local_right: Floats
    """0 to 1: mean score of the local model's answers."""
    cloud_right: Floats
    local: Mapping[Resource, Floats]
    """What asking it here uses; a resource that is not known for all queries is left out."""
    cloud: Mapping[Resource, Floats]
    local_s: Floats | None = None
    cloud_s: Floats | None = None
    clusters: NDArray[np.int64] | None = None
    """Numbers of what is resampled as one; None: each query by itself."""

    def columns(self) -> tuple[list[str], Floats]:
        """Names, and an array (n, names) of what is averaged: `mix_of` reads a row of means."""
        a = self.local_right
        names = ["local_right", "cloud_right", "both_right"]
        values = [a, self.cloud_right, a * self.cloud_right]
        for place, used, seconds in (
            ("local", self.local, self.local_s),
            ("cloud", self.cloud, self.cloud_s),
        ):
            parts: dict[str, Floats] = {str(r): x for r, x in used.items()}
            if seconds is not None:
                parts["seconds"] = seconds
            for name, x in parts.items():
                names += [f"{place}.{name}", f"{place}.{name}.right"]
                values += [x, a * x]
        return names, np.column_stack(values)

    def mix(self) -> Mix:
        names, values = self.columns()
        return mix_of(names, values.mean(axis=0), len(values))


def mix_of(names: list[str], means: Floats, n: int) -> Mix:
    """A row of means by the names that `Queries.columns` gave them."""
    at = dict(zip(names, (float(x) for x in means), strict=True))

    def side(place: str) -> Side:
        def pair(name: str) -> tuple[float, float]:
            return at[f"{place}.{name}"], at[f"{place}.{name}.right"]

        return Side(
            used={r: pair(r) for r in RESOURCES if f"{place}.{r}" in at},
            seconds=pair("seconds") if f"{place}.seconds" in at else None,
        )

    return Mix(
        local_right=at["local_right"],
        cloud_right=at["cloud_right"],
        both_right=at["both_right"],
        local=side("local"),
        cloud=side("cloud"),
        n=n,
    )
