"""Means over groups of pairs, item by item: what paired comparisons between groups are made of."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray

from perwatt.stats.sample import Ints
from perwatt.study.asked import plain, tries
from perwatt.study.study import Study

__all__ = ["ItemGrid", "item_grid"]

_MEASURED = ("score", "e", "w", "s")


Singles = NDArray[np.float32]


class ItemGrid(msgspec.Struct, frozen=True, kw_only=True):
    """Arrays are (items, groups), means over a group's pairs; NaN where a pair's is missing.

    In single precision, a ten-millionth of a value, since there may be a million items.
    """

    cluster: Ints
    """(items,)"""
    whole: NDArray[np.bool_]
    """The item was asked of every pair of the group."""
    score: Singles
    joules: Singles
    watts: Singles
    """Joules over seconds of each answer."""
    seconds: Singles

    def common(self, groups: Sequence[int]) -> ItemGrid:
        """The items that all of `groups` were asked, clusters numbered anew from 0."""
        at = self.whole[:, list(groups)].all(axis=1)
        if bool(at.all()):
            return self
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
        # NaN where one is missing: it stays NaN in the sum.
        columns += [
            f"CAST(sum(coalesce({x}, 'NaN')) {inside} / {len(set(group))} AS FLOAT) AS {x}_{number}"
            for x in _MEASURED
        ]
    fetched = study.db.execute(
        "SELECT dense_rank() OVER (ORDER BY workload, any_value(cluster)) - 1 AS cluster, "
        f"{', '.join(columns)} FROM {tries(study, where)} GROUP BY workload, item_id"
    ).fetchnumpy()
    cluster = np.asarray(plain(fetched.pop("cluster")), dtype=np.int64)
    whole = np.empty((cluster.size, len(groups)), dtype=np.bool_)
    grids = [np.empty(whole.shape, dtype=np.float32) for _ in _MEASURED]
    for number, group in enumerate(groups):
        whole[:, number] = plain(fetched.pop(f"whole_{number}")) == len(set(group))
        for name, grid in zip(_MEASURED, grids, strict=True):
            grid[:, number] = plain(fetched.pop(f"{name}_{number}"))
    score, joules, watts, seconds = grids
    return ItemGrid(
        cluster=cluster, whole=whole, score=score, joules=joules, watts=watts, seconds=seconds
    )


def _listed(numbers: Sequence[int]) -> str:
    return ", ".join(map(str, numbers))
