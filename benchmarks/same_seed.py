"""The same run twice with one seed: are texts and scores identical, and what of times and joules?

python benchmarks/same_seed.py [ITEMS] [MODEL]
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import Any

import duckdb

import perwatt


def main() -> None:
    items = int(sys.argv[1]) if len(sys.argv) > 1 else 48
    model = sys.argv[2] if len(sys.argv) > 2 else "smollm2-135m"
    print(f"{model}, {items} items of `core`, embedded engine, two runs for each row")
    print(f"{'settings':30s} {'same prompts':>13s} {'texts':>8s} {'scores':>8s} {'joules':>8s}")
    with tempfile.TemporaryDirectory() as folder:
        for name, options in (
            ("greedy, 1 in flight", {}),
            ("temperature 0.8, 1 in flight", {"temperature": 0.8}),
            ("greedy, 4 in flight", {"load": "closed:4"}),
        ):
            runs = [Path(folder, f"{name}-{n}") for n in (1, 2)]
            for out in runs:
                perwatt.run(model=[model], limit=items, seed=7, out=out, **options)
            count, prompts, texts, scores, ratio = compare(*runs)
            shares = [f"{n}/{count}" for n in (prompts, texts, scores)]
            joules = "unknown" if ratio is None else f"×{ratio:.3f}"
            print(f"{name:30s} {shares[0]:>13s} {shares[1]:>8s} {shares[2]:>8s} {joules:>8s}")


def compare(one: Path, other: Path) -> tuple[Any, ...]:
    row = duckdb.execute(
        """
        SELECT count(*), count_if(a.prompt_sha256 = b.prompt_sha256), count_if(a.text = b.text),
               count_if(a.score = b.score), sum(b.energy_gross_j) / sum(a.energy_gross_j)
        FROM read_parquet(?) a JOIN read_parquet(?) b USING (request_id)
        """,
        [str(one / "requests.parquet"), str(other / "requests.parquet")],
    ).fetchone()
    assert row is not None
    return row


if __name__ == "__main__":
    main()
