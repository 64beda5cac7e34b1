"""Cells of a study made on a local Ray cluster beside the same made alone: time, and equality.

python -m benchmarks.cluster_study [--pairs 8] [--rows 200000] [--nodes 2] [--dir DIR]

Each pair is a run directory of so many answers, written by DuckDB; every second pair has two runs
with questions in common, so that its clusters must be put together. On one machine the nodes share
its cores with nobody but each other: the figure is what sharding costs, not what a second machine
gains. Exit 1 where a count differs, or a moment by more than 1e-12 of its size.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import tempfile
import time
from pathlib import Path

import duckdb
import numpy as np

from emulated.runs import Answered, write_run_directory
from perwatt.cluster.connect import Address, connected
from perwatt.cluster.study import shard_cells
from perwatt.core.records import PairIdentity
from perwatt.stats.moments import Moments
from perwatt.store.integrity import hashes_of
from perwatt.study.study import open_study

COUNTS = ("clusters", "clusters_served", "answers", "served", "largest", "graded", "missing")
NEAR = 1e-12


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--pairs", type=int, default=8)
    parser.add_argument("--rows", type=int, default=200_000, help="answers of each pair")
    parser.add_argument("--nodes", type=int, default=2)
    parser.add_argument("--dir", type=Path, help="where the runs go; kept")
    given = parser.parse_args()
    folder = given.dir or Path(tempfile.mkdtemp(prefix="cluster-study-"))
    try:
        runs = [
            write(folder / f"pair{pair}-{part}", pair, part, given.rows // (1 + pair % 2))
            for pair in range(given.pairs)
            for part in range(1 + pair % 2)
        ]
        worst, differ = compare(runs, given.nodes)
    finally:
        if given.dir is None:
            shutil.rmtree(folder, ignore_errors=True)
    print(f"counts that differ: {differ}; largest relative difference of a moment: {worst:.1e}")
    if differ or worst > NEAR:
        sys.exit(1)


def write(directory: Path, pair: int, part: int, rows: int) -> Path:
    """A run of `rows` answers; the second part of a pair begins in the middle of the first."""
    if (directory / "run.json").is_file():
        return directory
    name = f"pair{pair}"
    identity = PairIdentity(
        pair_id=name, label=name, model=name, engine="emulated", device=f"Device {pair % 4}"
    )
    one = Answered(pair=name, item="q0", score=1.0, energy_j=1.0)
    write_run_directory(directory, [one], identities=[identity])
    table = directory / "requests.parquet"
    first = part * rows // 2
    many = directory / "many.parquet"
    like = str(table).replace("'", "''")
    to = str(many).replace("'", "''")
    duckdb.execute(
        f"COPY (SELECT one.* REPLACE ("
        f" '{name}/q' || n AS request_id, 'q' || n AS item_id, 'q' || n AS \"group\","
        f" (hash(n, {pair}) % 100 < 60 + {pair})::INTEGER::DOUBLE AS score,"
        f" 500 + hash(n, {pair}, 1) % 1000 AS energy_gross_j,"
        f" 300 + hash(n, {pair}, 1) % 1000 AS energy_net_j,"
        f" 'c' || (n % 22) AS category, (1 + n % 3)::INTEGER AS level,"
        f" one.dispatched_ns + 1000000 * (500 + hash(n, {pair}, 2) % 4000)::BIGINT"
        f" AS last_chunk_ns)"
        f" FROM range({first}, {first + rows}) AS r(n), read_parquet('{like}') AS one)"
        f" TO '{to}' (FORMAT parquet)"
    )
    many.replace(table)
    run = json.loads((directory / "run.json").read_bytes())
    run["files"] = hashes_of(directory)
    (directory / "run.json").write_text(json.dumps(run))
    return directory


def compare(runs: list[Path], nodes: int) -> tuple[float, int]:
    with open_study(runs) as alone, open_study(runs) as shared:
        began_s = time.perf_counter()
        mine = alone.cells()
        alone_s = time.perf_counter() - began_s
        began_s = time.perf_counter()
        with connected(Address(None, nodes)):
            up_s = time.perf_counter() - began_s
            times = []
            for _ in range(2):
                began_s = time.perf_counter()
                told = shard_cells(shared, "auto")
                times.append(time.perf_counter() - began_s)
        theirs = shared.cells()
        rows = sum(source[1].rows for source in alone.sources)
        print(f"{rows} answers of {len(alone.pairs)} pairs in {len(runs)} runs, {len(mine)} cells")
        print(f"{'alone':<28}{alone_s:8.2f} s")
        print(f"{f'Ray, {nodes} local nodes':<28}{times[1]:8.2f} s")
        print(f"{'':<28}{times[0]:8.2f} s the first time: workers import perwatt")
        print(f"{'':<28}{up_s:8.2f} s for the cluster to start")
        print(f"{'':<28}{told.sentence}")
    assert len(mine) == len(theirs)
    pairs = [(a.moments, b.moments) for a, b in zip(mine, theirs, strict=True)]
    differ = sum(getattr(a, name) != getattr(b, name) for a, b in pairs for name in COUNTS)
    return max(far(a, b) for a, b in pairs), differ


def far(a: Moments, b: Moments) -> float:
    """The largest difference of means and second moments, by the size of the column's own."""
    size = np.sqrt(np.abs(np.diag(a.second)))
    scale = np.outer(size, size)
    second = np.abs(a.second - b.second)[scale > 0] / scale[scale > 0]
    mean = np.abs(a.mean - b.mean)[a.mean != 0] / np.abs(a.mean[a.mean != 0])
    return float(max(second.max(initial=0.0), mean.max(initial=0.0)))


if __name__ == "__main__":
    main()
