"""A study's cells made on a real Ray cluster are those that one machine makes."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from emulated.runs import Answered, write_run_directory
from perwatt.cluster.connect import Connection
from perwatt.cluster.study import components, shard_cells
from perwatt.stats.moments import Moments
from perwatt.study.answers import Place
from perwatt.study.cells import rolled
from perwatt.study.study import open_study

pytestmark = pytest.mark.filterwarnings(
    # Ray leaves pipes and sockets of the workers it started to the collector.
    "ignore::ResourceWarning",
    "ignore::pytest.PytestUnraisableExceptionWarning",
)


def write_runs(folder: Path) -> list[Path]:
    """Four pairs: one in two runs with items in common, two that share a run, repeats, levels."""
    draw = np.random.default_rng(7)

    def answers(pair: str, items: range, repeats: int = 1) -> list[Answered]:
        return [
            Answered(
                pair=pair,
                item=f"q{n}",
                score=float(draw.random() < 0.6),
                energy_j=float(draw.gamma(4.0, 250.0)),
                seconds=float(draw.gamma(3.0, 1.0)),
                level=1 + n % 3,
                category=f"c{n % 4}",
                repeat=repeat,
            )
            for n in items
            for repeat in range(repeats)
        ]

    return [
        write_run_directory(folder / "a", answers("one", range(200))),
        write_run_directory(folder / "b", answers("one", range(100, 300))),
        write_run_directory(
            folder / "c", answers("two", range(150), 2) + answers("three", range(80))
        ),
        write_run_directory(folder / "d", answers("four", range(250)), device="Another"),
    ]


def alike(a: Moments, b: Moments) -> None:
    """Counts the same; sums to 1e-12 of what they could be, since a small one may be two large."""
    for name in (
        "clusters",
        "clusters_served",
        "answers",
        "served",
        "largest",
        "graded",
        "missing",
    ):
        assert getattr(a, name) == getattr(b, name), name
    size = np.sqrt(np.abs(np.diag(a.second)))
    largest = {
        "mean": np.abs(a.mean) + size / a.answers,
        "second": np.outer(size, size),
        "third": np.stack([size**power * size[0] ** (3 - power) for power in (3, 2, 1, 0)], axis=1),
    }
    for name, scale in largest.items():
        apart = np.abs(getattr(a, name) - getattr(b, name))
        assert (apart <= 1e-12 * scale).all(), name


def test_sharded_cells_are_those_of_one_machine(ray_cluster: Connection, tmp_path: Path) -> None:
    runs = write_runs(tmp_path)
    with open_study(runs) as alone, open_study(runs) as shared:
        told = shard_cells(shared, "auto")
        assert told.workers == 2, told.sentence
        assert told.at_head == 0
        mine, theirs = alone.cells(), shared.cells()
        keys = [(c.pair, c.workload, c.kind, c.level, c.category) for c in mine]
        assert keys == [(c.pair, c.workload, c.kind, c.level, c.category) for c in theirs]
        assert len({pair for pair, *_ in keys}) == 4
        for a, b in zip(mine, theirs, strict=True):
            alike(a.moments, b.moments)
        for by in (("pair",), ("pair", "category"), ("pair", "level")):
            whole, parts = rolled(mine, by), rolled(theirs, by)
            assert list(whole) == list(parts)
            for key in whole:
                alike(whole[key], parts[key])


def test_what_hangs_together_stays_together() -> None:
    def place(run: int, pair: int) -> Place:
        return Place(run, "p", 0, pair)

    places = [place(0, 0), place(1, 0), place(1, 1), place(2, 2), place(3, 3), place(4, 2)]
    groups = components(places)
    assert sorted(len(group) for group in groups) == [1, 2, 3]
    assert [place for group in groups for place in group if place.pair < 2] == places[:3]
    runs = [{place.run for place in group} for group in groups]
    assert all(not a & b for a, b in pairwise(runs))
