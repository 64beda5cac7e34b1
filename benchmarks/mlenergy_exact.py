"""ML.ENERGY's published joules per token, imported, studied, and compared with the table's text.

    python -m benchmarks.mlenergy_exact [TABLE.csv …]

Without a table, those of v2 and v3 in `shared/data/energy` beside the repository are read. Each
figure of the study's table must be the very double that its text stands for.
"""

from __future__ import annotations

import csv
import sys
import tempfile
import time
from pathlib import Path

from perwatt.core.estimate import Estimate
from perwatt.store.exchange.read import read_foreign
from perwatt.store.exchange.to_run import write_run
from perwatt.study.study import open_study
from perwatt.study.tables.published import published

DEFAULT = Path(__file__).parents[2] / "shared/data/energy"
NAMES = ("j_per_out_token", "j_per_out_token_derived")


def main() -> None:
    given = [Path(name) for name in sys.argv[1:]]
    tables = given or sorted(DEFAULT.glob("mlenergy_v*_llm.csv"))
    if not tables:
        sys.exit(f"There is no table in {DEFAULT}. Name one: python -m benchmarks.mlenergy_exact X")
    print(f"{'table':<24}{'configurations':>15}{'exact':>8}{'study':>9}{'s':>7}")
    missed = 0
    for path in tables:
        true, found, seconds = _figures(path)
        exact = sum(a == b for a, b in zip(true, found, strict=True))
        missed += len(true) - exact
        print(f"{path.name:<24}{len(true):>15}{exact:>8}{len(found):>9}{seconds:>7.1f}")
    if missed:
        sys.exit(f"{missed} figures did not come back as they were published.")


def _figures(path: Path) -> tuple[list[float], list[float | None], float]:
    """What the table says, what the study's table says, and how long the way between took."""
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    name = next(name for name in NAMES if name in rows[0])
    started = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "run"
        write_run([read_foreign(path)], out)
        with open_study([out]) as study:
            table = published(study)
    seconds = time.perf_counter() - started
    cells = [row["j_per_output_token"] for row in table.rows] if table else []
    found = [cell.value if isinstance(cell, Estimate) else None for cell in cells]
    return [float(row[name]) for row in rows], found, seconds


if __name__ == "__main__":
    main()
