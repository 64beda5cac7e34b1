"""Which pair was asked what, and the relation of one row for each item of each pair."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any
from weakref import WeakKeyDictionary

import msgspec
import numpy as np

from perwatt.study.study import Study

__all__ = ["FOLDS", "RIGHT", "WORKLOAD", "Asked", "asked_of", "plain", "tries"]

RIGHT = 0.5
"""An answer of at least this score counts as right where right or wrong is asked for."""
FOLDS = 10
WORKLOAD = "coalesce(answers.workload, '')"
"""Runs of other tools may not say; theirs is one workload without a name."""


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """What each pair was asked."""

    workloads: Mapping[str, tuple[int, ...]]
    """Of each workload its pairs, by index, in their order."""
    unique: bool
    """No pair was asked an item twice, so that a row of `answers` is a row of `tries`."""
    cluster: str
    """SQL of an item's cluster where rows are grouped by item: the item itself, where no group
    holds several, spares a string for each."""
    folds: Mapping[tuple[str, int], tuple[tuple[float, int], ...]]
    """By workload and pair: in each of FOLDS parts of the items, right answers and how many."""


_CACHE: WeakKeyDictionary[Study, Asked] = WeakKeyDictionary()


def asked_of(study: Study) -> Asked:
    """In one pass over the answers, kept for the study's other tables."""
    if study not in _CACHE:
        _CACHE[study] = _asked(study)
    return _CACHE[study]


def _asked(study: Study) -> Asked:
    rows = study.db.execute(
        f"SELECT {WORKLOAD} AS asked, pair, run, {_FOLD} AS fold, count(score), "
        f"count(*) FILTER (score >= {RIGHT}) FROM answers GROUP BY ALL ORDER BY 1, 2, 3"
    ).fetchall()
    workloads: dict[str, dict[int, set[int]]] = {}
    folds: dict[tuple[str, int], list[list[float]]] = {}
    for workload, pair, run, fold, judged, right in rows:
        workloads.setdefault(workload, {}).setdefault(pair, set()).add(run)
        parts = folds.setdefault((workload, pair), [[0.0, 0] for _ in range(FOLDS)])
        parts[fold][0] += right
        parts[fold][1] += judged
    runs = [len(r) for pairs in workloads.values() for r in pairs.values()]
    # A load that names one stage twice asks the same pair twice, within one run.
    places = Counter((place.run, place.pair) for place in study.places)
    once = max([*runs, *places.values()], default=1) == 1
    return Asked(
        workloads={name: tuple(sorted(pairs)) for name, pairs in workloads.items()},
        unique=once and not any(facts.repeats for _, facts in study.sources),
        cluster="any_value(cluster)" if any(f.groups for _, f in study.sources) else "item_id",
        folds={
            key: tuple((float(right), int(judged)) for right, judged in parts)
            for key, parts in folds.items()
        },
    )


def plain(values: Any) -> Any:
    """A fetched column (rows,) with NaN for NULL; counts, which are never NULL, as they are."""
    if not isinstance(values, np.ma.MaskedArray):
        return values
    return values.filled(np.nan) if values.dtype.kind == "f" else values.filled(0)


_FOLD = f"CAST(hash(cluster) % {FOLDS} AS INTEGER)"


def tries(study: Study, where: str = "true") -> str:
    """SQL of a relation: one row for each workload, item and pair, means over its repeats.

    Columns: workload, item_id, pair, cluster, level, category, fold, n (tries), c (how many were
    right), p = c / n, score, e (gross joules of a try), s (seconds), w (watts, e / s by try). A try
    that was not judged makes c, p and score NULL; one without joules makes e and w NULL.
    `where` is over the view `answers`.
    """
    columns = f"{WORKLOAD} AS workload, item_id, pair"
    watts = "energy_gross_j / nullif(seconds, 0)"
    if asked_of(study).unique:
        right = f"CASE WHEN score IS NULL THEN NULL WHEN score >= {RIGHT} THEN 1 ELSE 0 END"
        return (
            f"(SELECT {columns}, cluster, level, category, {_FOLD} AS fold, 1 AS n, {right} AS c, "
            f"CAST({right} AS DOUBLE) AS p, score, energy_gross_j AS e, seconds AS s, "
            f"{watts} AS w FROM answers WHERE {where})"
        )
    whole = "CASE WHEN count({0}) = count(*) THEN avg({0}) END"
    right = f"CASE WHEN count(score) = count(*) THEN count(*) FILTER (score >= {RIGHT}) END"
    return (
        f"(SELECT {columns}, any_value(cluster) AS cluster, any_value(level) AS level, "
        f"any_value(category) AS category, any_value({_FOLD}) AS fold, count(*) AS n, "
        f"{right} AS c, {right} / count(*) AS p, {whole.format('score')} AS score, "
        f"{whole.format('energy_gross_j')} AS e, {whole.format('seconds')} AS s, "
        f"{whole.format('(' + watts + ')')} AS w "
        f"FROM answers WHERE {where} GROUP BY ALL)"
    )
