"""How often a 95% interval holds the truth, on simulated runs (docs/stats.md has the table).

    python benchmarks/interval_coverage.py [RUNS]

The simulation is the one that the tests hold the intervals to.
"""

from __future__ import annotations

import runpy
import sys
from pathlib import Path

TESTS = Path(__file__).parents[1] / "tests" / "stats" / "test_stats_intervals.py"


def main() -> None:
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else 2000
    covered = runpy.run_path(str(TESTS))["covered"]
    print("items × repeats   accuracy     IPJ   mean energy")
    for items, repeats in ((10, 1), (20, 1), (48, 1), (96, 1), (400, 1), (60, 4)):
        found = covered(n=items, repeats=repeats, runs=runs, seed=items)
        shares = [found[name] for name in ("accuracy", "ipj", "energy")]
        cells = "".join(f"{share:10.1%}" for share in shares)
        print(f"{items:7d} × {repeats}    {cells}", flush=True)


if __name__ == "__main__":
    main()
