"""A study's cells made on many nodes: whole pairs to each, so that the sums are the very same.

A pair's answers may lie in several runs, and a run may hold several pairs; what hangs together goes
to one worker, where its files can be read. What no worker can see, or a worker died at, the head
reads itself.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from perwatt.cluster.connect import connected, parse_address
from perwatt.cluster.nodes import same_version
from perwatt.study.answers import Place, open_database
from perwatt.study.cells import Cell, Source, make_cells
from perwatt.study.study import Study

__all__ = ["Sharded", "components", "shard_cells"]

RETRIES = 3


class Sharded(NamedTuple):
    """Who made the cells."""

    workers: int
    """Shards that were made on nodes."""
    at_head: int
    """Shards that the head made: no node could read their files, or their worker died too often."""
    sentence: str


def shard_cells(study: Study, address: str) -> Sharded:
    """Have the nodes of a Ray cluster make `study.cells()`; tables then use those.

    Files are read where they lie: a node must see them under the head's own paths. Tables that need
    every answer, such as coverage, are made by the head as ever. Raises SpecError for an address,
    EngineError where no cluster answers, MissingExtraError.
    """
    groups = components(study.places)
    cells: list[Cell] = []
    at_head: list[list[Place]] = []
    with connected(parse_address(address)) as connection:
        ray = connection.ray
        nodes = [n["NodeID"] for n in ray.nodes() if n["Alive"] and n["Resources"].get("CPU", 0)]
        same_version(ray, nodes)
        sees = _seen(ray, nodes, study.sources)
        sources = ray.put(study.sources)
        load = dict.fromkeys(nodes, 0)
        shards: dict[str, list[list[Place]]] = {node: [] for node in nodes}
        for group in sorted(groups, key=lambda g: -_rows(study.sources, g)):
            runs = {place.run for place in group}
            able = [node for node in nodes if runs <= sees[node]]
            if not able:
                at_head.append(group)
                continue
            node = min(able, key=lambda node: load[node])
            load[node] += _rows(study.sources, group)
            shards[node].append(group)
        futures = {
            _on(ray, node, _make).remote(sources, [p for group in own for p in group]): own
            for node, own in shards.items()
            if own
        }
        made = 0
        for future, own in futures.items():
            try:
                cells += ray.get(future)
                made += 1
            except ray.exceptions.RayTaskError:
                raise  # what cannot be read there cannot be read by the head either
            except ray.exceptions.RayError:
                at_head += own
    if at_head:
        cells += make_cells(study.db, study.sources, [p for group in at_head for p in group])
    by_pair: dict[int, list[Cell]] = {}
    for cell in cells:
        by_pair.setdefault(cell.pair, []).append(cell)
    study.use_cells(tuple(cell for pair in sorted(by_pair) for cell in by_pair[pair]))
    sentence = f"Cells were made in {made} shards on {len(nodes)} nodes"
    if at_head:
        sentence += f"; {len(at_head)} parts that no node could make were made here"
    return Sharded(made, len(at_head), f"{sentence}.")


def components(places: Sequence[Place]) -> list[list[Place]]:
    """Places that share a pair or a run with each other, directly or through others."""
    leader: dict[tuple[str, int], tuple[str, int]] = {}

    def find(key: tuple[str, int]) -> tuple[str, int]:
        while leader.setdefault(key, key) != key:
            key = leader[key]
        return key

    for place in places:
        leader[find(("run", place.run))] = find(("pair", place.pair))
    groups: dict[tuple[str, int], list[Place]] = {}
    for place in places:
        groups.setdefault(find(("pair", place.pair)), []).append(place)
    return list(groups.values())


def _make(sources: Sequence[Source], places: Sequence[Place]) -> tuple[Cell, ...]:
    with tempfile.TemporaryDirectory(prefix="perwatt-study-") as spill:
        db = open_database(Path(spill))
        try:
            return make_cells(db, sources, places)
        finally:
            db.close()


def _seen(ray: Any, nodes: Sequence[str], sources: Sequence[Source]) -> dict[str, set[int]]:
    """By node: the runs whose table it can read, of the size that it has here."""
    files = [(str(file), file.stat().st_size) for file, _ in sources]
    asked = {node: _on(ray, node, _there).remote(files) for node in nodes}
    found = {}
    for node, future in asked.items():
        try:
            found[node] = set(ray.get(future))
        except ray.exceptions.RayError:
            found[node] = set()
    return found


def _there(files: Sequence[tuple[str, int]]) -> list[int]:
    return [
        number
        for number, (file, size) in enumerate(files)
        if Path(file).is_file() and Path(file).stat().st_size == size
    ]


def _on(ray: Any, node: str, function: Any) -> Any:
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    strategy = NodeAffinitySchedulingStrategy(node, soft=False)
    return ray.remote(num_cpus=1, max_retries=RETRIES, scheduling_strategy=strategy)(function)


def _rows(sources: Sequence[Source], places: Sequence[Place]) -> int:
    """How much there is to read."""
    return sum(sources[run][1].rows for run in {place.run for place in places})
