"""A smaller workload that still holds every kind and level."""

from __future__ import annotations

import random
from collections import defaultdict

import msgspec

from perwatt.core.errors import SpecError
from perwatt.core.records import Item, Workload
from perwatt.workloads.hashing import workload_sha256

__all__ = ["sample"]


def sample(workload: Workload, limit: int | None, seed: int = 0) -> Workload:
    """`limit` items spread as evenly over kind × level as they allow, in the workload's order.

    Deterministic, and nested: for one seed a larger limit keeps the items of a smaller one. No
    limit, or one that is not below the number of items, gives the workload itself. Raises SpecError
    for a limit below 1.

    A workload with arrivals keeps its first `limit` items instead: thinned out, a trace would be
    another load, and share other prefixes.
    """
    if limit is not None and limit < 1:
        msg = f"The limit {limit} leaves no item to ask."
        raise SpecError(msg, "Give --limit a number of at least 1.")
    if limit is None or limit >= len(workload.items):
        return workload
    if workload.arrivals_s:
        first = workload.items[:limit]
        return msgspec.structs.replace(
            workload,
            items=first,
            sha256=workload_sha256(first),
            arrivals_s=workload.arrivals_s[:limit],
        )
    cells: dict[tuple[str, int | None], list[Item]] = defaultdict(list)
    for item in workload.items:
        cells[item.kind, item.level].append(item)
    rng = random.Random(seed)
    for cell in cells.values():
        rng.shuffle(cell)
    # Kinds take turns before levels do: a limit below the number of cells still meets every kind.
    levels: dict[str, list[list[Item]]] = defaultdict(list)
    for (kind, _), cell in cells.items():
        levels[kind].append(cell)
    for ordered in levels.values():
        rng.shuffle(ordered)
    most = max(len(ordered) for ordered in levels.values())
    turns = [ordered[k] for k in range(most) for ordered in levels.values() if k < len(ordered)]
    dealt: list[Item] = []
    depth = 0
    while len(dealt) < limit:
        dealt += [cell[depth] for cell in turns if depth < len(cell)]
        depth += 1
    kept = {item.id for item in dealt[:limit]}
    items = tuple(item for item in workload.items if item.id in kept)
    return msgspec.structs.replace(workload, items=items, sha256=workload_sha256(items))
