"""Means over groups of pairs, item by item: what paired comparisons between groups are made of."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray

from perwatt.stats.sample import Floats, Ints
from perwatt.study.asked import plain, tries
from perwatt.study.study import Study

__all__ = ["ItemGrid", "item_grid"]


class ItemGrid(msgspec.Struct, frozen=True, kw_only=True):
    """Arrays are (items, groups), means over a group's pairs; NaN where a pair's is missing."""

    cluster: Ints
    """(items,)"""
    whole: NDArray[np.bool_]
    """The item was asked of every pair of the group."""
    score: Floats
    joules: Floats
    watts: Floats
    """Joules over seconds of each answer."""
    seconds: Floats

    def common(self, groups: Sequence[int]) -> ItemGrid:
        """The items that all of `groups` were asked, clusters numbered anew from 0."""
        at = self.whole[:, list(groups)].all(axis=1)
        return ItemGrid(
            cluster=np.asarray(np.unique(self.cluster[at], return_inverse=True)[1]),
            whole=self.whole[at],
            score=self.score[at],
            joules=self.joules[at],
            watts=self.watts[at],
            seconds=self.seconds[at],
        )


def item_grid(study: Study, groups: Sequence[Sequence[int]]) -> ItemGrid:
    """Of all items that a pair of any group was asked, in all workloads."""
    pairs = sorted({pair for group in groups for pair in group})
    runs = sorted({run for pair in pairs for run in study.pairs[pair].runs})
    where = f"pair IN ({_listed(pairs)}) AND run IN ({_listed(runs)})"
    columns = []
    for number, group in enumerate(groups):
        inside = f"FILTER (pair IN ({_listed(group)}))"
        columns.append(f"count(*) {inside} AS whole_{number}")
        columns += [
            f"CASE WHEN count({x}) {inside} = count(*) {inside} THEN avg({x}) {inside} END "
            f"AS {x}_{number}"
            for x in ("score", "e", "w", "s")
        ]
    fetched = study.db.execute(
        "SELECT dense_rank() OVER (ORDER BY workload, any_value(cluster)) - 1 AS cluster, "
        f"{', '.join(columns)} FROM {tries(study, where)} GROUP BY workload, item_id"
    ).fetchnumpy()

    def grid(name: str) -> Floats:
        parts = [plain(fetched[f"{name}_{number}"]) for number in range(len(groups))]
        return np.stack(parts, axis=1).astype(np.float64)

    sizes = np.array([len(set(group)) for group in groups])
    return ItemGrid(
        cluster=np.asarray(plain(fetched["cluster"]), dtype=np.int64),
        whole=grid("whole") == sizes,
        score=grid("score"),
        joules=grid("e"),
        watts=grid("w"),
        seconds=grid("s"),
    )


def _listed(numbers: Sequence[int]) -> str:
    return ", ".join(map(str, numbers))
