"""The same run twice with one seed: are texts and scores identical, and what of times and joules?

python benchmarks/same_seed.py [ITEMS] [MODEL]
"""

from __future__ import annotations

import multiprocessing
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import duckdb

import perwatt


def main() -> None:
    items = int(sys.argv[1]) if len(sys.argv) > 1 else 48
    model = sys.argv[2] if len(sys.argv) > 2 else "smollm2-135m"
    print(f"{model}, {items} items of `core`, embedded engine, two runs for each row")
    heads = ("prompts", "texts", "scores", "joules", "seconds")
    print(f"{'settings':30s}" + "".join(f" {head:>12s}" for head in heads))
    with tempfile.TemporaryDirectory() as folder:
        for name, options, busy in (
            ("greedy, 1 in flight", {}, False),
            ("temperature 0.8, 1 in flight", {"temperature": 0.8}, False),
            ("greedy, 4 in flight", {"load": "closed:4"}, False),
            ("greedy, 2nd beside a neighbour", {"limit": max(1, items // 4)}, True),
        ):
            runs = [Path(folder, f"{name}-{n}") for n in (1, 2)]
            for n, out in enumerate(runs):
                with neighbour() if busy and n else nobody():
                    asked = {"model": [model], "limit": items, "seed": 7, "out": out, **options}
                    perwatt.run(**asked)
            count, prompts, texts, scores, joules, seconds = compare(*runs)
            shares = [f"{n}/{count}" for n in (prompts, texts, scores)]
            ratios = ["unknown" if r is None else f"×{r:.2f}" for r in (joules, seconds)]
            print(f"{name:30s}" + "".join(f" {cell:>12s}" for cell in (*shares, *ratios)))


@contextmanager
def neighbour() -> Iterator[None]:
    """Another process that takes all of one core it can get."""
    process = multiprocessing.Process(target=spin, daemon=True)
    process.start()
    try:
        yield
    finally:
        process.kill()
        process.join()


@contextmanager
def nobody() -> Iterator[None]:
    yield


def spin() -> None:
    while True:
        pass


def compare(one: Path, other: Path) -> tuple[Any, ...]:
    row = duckdb.execute(
        """
        SELECT count(*), count_if(a.prompt_sha256 = b.prompt_sha256), count_if(a.text = b.text),
               count_if(a.score = b.score), sum(b.energy_gross_j) / sum(a.energy_gross_j),
               sum(b.last_chunk_ns - b.dispatched_ns) / sum(a.last_chunk_ns - a.dispatched_ns)
        FROM read_parquet(?) a JOIN read_parquet(?) b USING (request_id)
        """,
        [str(one / "requests.parquet"), str(other / "requests.parquet")],
    ).fetchone()
    assert row is not None
    return row


if __name__ == "__main__":
    main()
