"""What sets of pairs answer item by item, in one pass over the answers for all of the sets."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
import numpy as np

from perwatt.stats.sample import Floats, Ints
from perwatt.study.asked import FOLDS, RIGHT, WORKLOAD, Asked, asked_of, plain, tries
from perwatt.study.sets import PairSet
from perwatt.study.study import Study

__all__ = ["Covered", "covered", "pass_at", "subset_coverage"]


class Covered(msgspec.Struct, frozen=True, kw_only=True):
    """One set under one workload. Arrays are (items,), over items asked of all its pairs and
    judged; NaN in joules: not measured."""

    name: str
    workload: str
    pairs: tuple[int, ...]
    left_out: int
    """Items of the workload that not all pairs of the set were asked, or that were not judged."""
    item: Ints
    """Number of the item within its workload: the same in all sets."""
    cluster: Ints
    right: Floats
    """Chance that one try of each pair holds a right answer; 0 or 1 without repeats."""
    several: Ints
    """How many of the pairs are right (in at least half of their tries)."""
    single: Floats
    """Share of right tries of the best single pair, chosen on the other folds."""
    flattered: Floats
    """The same of the pair that is best on these very items."""
    single_n: Ints
    """Its tries, and how many of them were right."""
    single_c: Ints
    best: Mapping[int, int]
    """The pairs that were chosen, and in how many of the folds."""
    oracle_j: Floats
    """Of the cheapest right pair, else of the cheapest."""
    all_j: Floats
    single_j: Floats


def covered(study: Study, sets: Sequence[PairSet]) -> list[Covered]:
    """Each set under each workload that at least one of its pairs was asked, workloads first."""
    asked = asked_of(study)
    return [
        each
        for workload, of_it in asked.workloads.items()
        for each in _of_workload(study, asked, workload, of_it, sets)
    ]


def pass_at(n: Ints, c: Ints, k: int) -> Floats:
    """1 − C(n − c, k) / C(n, k), item by item, for k ≤ n (Chen et al. 2021, eq. 1)."""
    wrong = np.ones(n.size)
    for tried in range(k):
        wrong *= np.maximum(n - c - tried, 0) / (n - tried)
    return np.asarray(1.0 - wrong, dtype=np.float64)


def subset_coverage(several: Ints, pairs: int, k: int) -> Floats:
    """Chance that k of `pairs`, drawn at random, hold one that is right."""
    return pass_at(np.full(several.size, pairs, dtype=np.int64), several, k)


def _of_workload(
    study: Study, asked: Asked, workload: str, of_it: Sequence[int], sets: Sequence[PairSet]
) -> list[Covered]:
    members = [(s.name, tuple(p for p in s.pairs if p in of_it)) for s in sets]
    members = [(name, pairs) for name, pairs in members if pairs]
    if not members:
        return []
    chosen = [_chosen(asked, workload, pairs) for _, pairs in members]
    columns = _fetch(study, workload, [pairs for _, pairs in members], chosen)
    found = []
    for number, (name, pairs) in enumerate(members):
        part: dict[str, Any] = {key: columns[f"{key}_{number}"] for key in _PARTS}
        full = part["judged"] == len(pairs)
        joules = part["joules"][full]
        found.append(
            Covered(
                name=name,
                workload=workload,
                pairs=pairs,
                left_out=int((~full).sum()),
                item=columns["item"][full],
                cluster=np.unique(columns["cluster"][full], return_inverse=True)[1],
                right=part["cover"][full],
                several=part["several"][full].astype(np.int64),
                single=part["single"][full],
                flattered=part["flattered"][full],
                single_n=part["single_n"][full].astype(np.int64),
                single_c=part["single_c"][full].astype(np.int64),
                best=Counter(chosen[number][:FOLDS]),
                oracle_j=np.where(np.isnan(joules), np.nan, part["oracle"][full]),
                all_j=joules,
                single_j=part["single_j"][full],
            )
        )
    return found


_PARTS = {
    "judged": "count(p) FILTER ({in_set})",
    "cover": "{cover}",
    "several": f"count(*) FILTER ({{in_set}} AND p >= {RIGHT})",
    "oracle": f"coalesce(min(e) FILTER ({{in_set}} AND p >= {RIGHT}), min(e) FILTER ({{in_set}}))",
    # NaN where one was not metered: it stays NaN in the sum.
    "joules": "sum(coalesce(e, 'NaN')) FILTER ({in_set})",
    "single": "max(p) FILTER ({picked})",
    "flattered": "max(p) FILTER (pair = {best})",
    "single_n": "max(n) FILTER ({picked})",
    "single_c": "max(c) FILTER ({picked})",
    "single_j": "max(e) FILTER ({picked})",
}


def _fetch(
    study: Study,
    workload: str,
    sets: Sequence[Sequence[int]],
    chosen: Sequence[Sequence[int]],
) -> dict[str, Any]:
    """Columns by item: those of _PARTS with the set's number."""
    parts = []
    product = "max(p) FILTER ({0})"
    if not asked_of(study).unique:
        product = "1 - product(1 - p) FILTER ({0})"
    for number, pairs in enumerate(sets):
        in_set = f"pair IN ({', '.join(map(str, pairs))})"
        words = {
            "in_set": in_set,
            "cover": product.format(in_set),
            "picked": f"pair = best_{number}",
            "best": chosen[number][FOLDS],
        }
        parts += [f"{sql.format(**words)} AS {key}_{number}" for key, sql in _PARTS.items()]
    folds = ", ".join(
        f"({fold}, {', '.join(str(best[fold]) for best in chosen)})" for fold in range(FOLDS)
    )
    names = ", ".join(f"best_{number}" for number in range(len(sets)))
    everyone = sorted({pair for pairs in sets for pair in pairs})
    inner = tries(study, f"{WORKLOAD} = $workload AND pair IN ({', '.join(map(str, everyone))})")
    sql = (
        f"SELECT row_number() OVER (ORDER BY item_id) AS item, "
        f"dense_rank() OVER (ORDER BY {asked_of(study).cluster}) AS cluster, {', '.join(parts)} "
        f"FROM {inner} JOIN (VALUES {folds}) AS best(fold, {names}) USING (fold) "
        f"GROUP BY item_id ORDER BY item_id"
    )
    fetched = study.db.execute(sql, {"workload": workload}).fetchnumpy()
    return {name: plain(values) for name, values in fetched.items()}


def _chosen(asked: Asked, workload: str, pairs: Sequence[int]) -> list[int]:
    """For each fold, the pair that is right most often in the other folds; last, in all."""
    table = np.array([asked.folds[workload, pair] for pair in pairs])  # (pairs, folds, 2)
    total = table.sum(axis=1)
    best = []
    for fold in (*range(FOLDS), None):
        right, judged = (total if fold is None else total - table[:, fold]).T
        if not judged.any():
            right, judged = total.T
        rate = np.divide(right, judged, out=np.full(len(pairs), -1.0), where=judged > 0)
        best.append(pairs[int(np.argmax(rate))])
    return best
