"""Means over groups of pairs, item by item: what paired comparisons between groups are made of."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray

from perwatt.stats.sample import Ints
from perwatt.study.asked import WORKLOAD, asked_of, plain, tries
from perwatt.study.study import Study

__all__ = ["ItemGrid", "item_grid"]

_MEASURED = ("score", "e", "w", "s")
_AT_ONCE = 500_000
"""Answers, about, that are fetched by one query."""


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
    """Of all items that a pair of any group was asked, in all workloads.

    Pairs are read some at a time, so that memory stays bounded, and a query, whose planning costs
    more than a few thousand rows, is not made for each.
    """
    pairs = sorted({pair for group in groups for pair in group})
    items = _ITEMS.format(asked_of(study).cluster, _of(study, pairs))
    study.db.execute(f"CREATE OR REPLACE TEMP TABLE grid_item AS {items}")
    try:
        rows = study.db.execute("SELECT cluster FROM grid_item ORDER BY place").fetchnumpy()
        cluster = np.asarray(plain(rows["cluster"]), dtype=np.int64)
        asked = np.zeros((len(groups), cluster.size), dtype=np.int32)
        sums = np.zeros((len(_MEASURED), len(groups), cluster.size), dtype=np.float32)
        for some in _batches(study, pairs):
            part = study.db.execute(_ROWS.format(tries(study, _of(study, some)))).fetchnumpy()
            columns = {name: plain(values) for name, values in part.items()}
            for pair in some:
                # One pair's rows are all its own: a mask would copy a million of them.
                mine = slice(None) if len(some) == 1 else columns["pair"] == pair
                at = columns["place"][mine]
                for number, group in enumerate(groups):
                    if pair in group:
                        asked[number, at] += 1
                        for total, name in zip(sums, _MEASURED, strict=True):
                            # A missing one, NaN, stays so in the sum.
                            total[number, at] += columns[name][mine] / len(set(group))
    finally:
        study.db.execute("DROP TABLE IF EXISTS grid_item")
    sizes = np.array([len(set(group)) for group in groups])
    score, joules, watts, seconds = (total.T for total in sums)
    return ItemGrid(
        cluster=cluster,
        whole=(asked == sizes[:, None]).T,
        score=score,
        joules=joules,
        watts=watts,
        seconds=seconds,
    )


_ITEMS = (
    "SELECT row_number() OVER () - 1 AS place, workload, item_id, "
    "dense_rank() OVER (ORDER BY workload, cluster) - 1 AS cluster FROM ("
    f"SELECT {WORKLOAD} AS workload, item_id, {{}} AS cluster FROM answers "
    "WHERE {} GROUP BY 1, 2)"
)
_ROWS = "SELECT place, pair, score, e, w, s FROM {} JOIN grid_item USING (workload, item_id)"


def _batches(study: Study, pairs: Sequence[int]) -> list[list[int]]:
    """Pairs whose answers are read together, in their order."""
    batches: list[list[int]] = []
    held = 0.0
    for pair in pairs:
        rows = sum(
            study.sources[run][1].rows / len(study.open_runs[run].identities)
            for run in study.pairs[pair].runs
        )
        held += rows
        if not batches or held > _AT_ONCE:
            batches.append([])
            held = rows
        batches[-1].append(pair)
    return batches


def _of(study: Study, pairs: Sequence[int]) -> str:
    """A condition on `answers`; naming the runs spares the files of all others."""
    runs = sorted({run for pair in pairs for run in study.pairs[pair].runs})
    listed = (", ".join(map(str, numbers)) for numbers in (pairs, runs))
    return "pair IN ({}) AND run IN ({})".format(*listed)
