"""Accuracy by kind and level of one or more run directories: the table of docs/workloads.md.

    perwatt run --model smollm2-135m --workload core --out runs/core
    python benchmarks/core_workload.py runs/core

Reads only `requests.parquet` (columns pair_id, kind, level, score), so any run can be tabulated.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import duckdb

QUERY = """
select kind, level, avg(coalesce(score, 0)) as accuracy, count(*) as asked
from read_parquet(?) where pair_id = ?
group by grouping sets ((kind, level), (kind), (level), ())
"""


def pairs(file: Path) -> list[str]:
    """The pairs of a run, in the order of their names."""
    rows = duckdb.execute(
        "select distinct pair_id from read_parquet(?) order by 1", [str(file)]
    ).fetchall()
    return [str(row[0]) for row in rows]


def table(file: Path, pair: str) -> str:
    """A Markdown table: a row a kind, a column a level; shares in percent, failed requests as 0."""
    rows = duckdb.execute(QUERY, [str(file), pair]).fetchall()
    cells = {(kind, level): (share, asked) for kind, level, share, asked in rows}
    levels = sorted({level for _, level in cells if level is not None})
    kinds = sorted({kind for kind, _ in cells if kind is not None})
    head = ["kind", "items", "all", *(f"level {level}" for level in levels)]
    lines = ["| " + " | ".join(head) + " |", "|---" * len(head) + "|"]
    for kind in [*kinds, None]:
        found = [cells.get((kind, level)) for level in (None, *levels)]
        asked = found[0][1] if found[0] else 0
        shown = [f"{100 * cell[0]:.0f}%" if cell else "" for cell in found]
        lines.append("| " + " | ".join([kind or "all kinds", str(asked), *shown]) + " |")
    return "\n".join(lines)


def main() -> int:
    parser = argparse.ArgumentParser(description="Accuracy by kind and level of run directories.")
    parser.add_argument("run", nargs="+", type=Path, help="a run directory of perwatt")
    for folder in parser.parse_args().run:
        file = folder / "requests.parquet"
        if not file.is_file():
            print(f"There is no {file}. Give the directory of a finished run.", file=sys.stderr)
            return 2
        for pair in pairs(file):
            print(f"\n{pair} ({folder})\n\n{table(file, pair)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
