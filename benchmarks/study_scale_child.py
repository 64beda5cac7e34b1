"""One study in a process of its own, so that its memory and CPU time are its own: JSON on stdout.

    python -m benchmarks.study_scale_child WHAT DIR…

WHAT: `main` (the main tables), `checked` (the same, each file hashed first) or `coverage`.
"""

from __future__ import annotations

import json
import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from perwatt.core.study import StudyTable
from perwatt.study.cells import rolled
from perwatt.study.figures import figure
from perwatt.study.options import StudyOptions
from perwatt.study.study import Study, open_study
from perwatt.study.tables.coverage import coverage
from perwatt.study.tables.difficulty import difficulty
from perwatt.study.tables.pairs import pairs_table
from perwatt.study.tables.precision import precision_table
from perwatt.study.tables.slices import categories_table, kinds_table, levels_table

MAIN: dict[str, Callable[[Study], StudyTable | None]] = {
    "pairs": pairs_table,
    "categories": categories_table,
    "kinds": kinds_table,
    "levels": levels_table,
    "precision": precision_table,
}
COVERAGE: dict[str, Callable[[Study], StudyTable | None]] = {
    "coverage": coverage,
    "difficulty": difficulty,
}


def main() -> None:
    what, *directories = sys.argv[1:]
    start = time.perf_counter()
    options = StudyOptions(check=what == "checked")
    found: dict[str, Any] = {"seconds": {}, "rows": {}}
    with open_study([Path(d) for d in directories], options) as study:
        found["faults"] = [fault.sentence for fault in study.faults]
        found["seconds"]["opened"] = time.perf_counter() - start
        for name, table in (COVERAGE if what == "coverage" else MAIN).items():
            before = time.perf_counter()
            made = table(study)
            found["seconds"][name] = time.perf_counter() - before
            found["rows"][name] = len(made.rows) if made else 0
        found["wall_s"] = time.perf_counter() - start
        if what == "main":
            found["cells"] = _cells(study)
    used = resource.getrusage(resource.RUSAGE_SELF)
    found["cpu_s"] = used.ru_utime + used.ru_stime
    found["peak_bytes"] = _peak(used.ru_maxrss)
    print(json.dumps(found))


def _peak(maxrss: int) -> int:
    """Of this program alone: what its parent was before it began is in ru_maxrss too."""
    status = Path("/proc/self/status")
    if status.exists():
        lines = dict(line.split(":", 1) for line in status.read_text().splitlines())
        return int(lines["VmHWM"].split()[0]) * 1024
    return maxrss * (1 if sys.platform == "darwin" else 1024)


def _cells(study: Study) -> list[dict[str, Any]]:
    """What each pair has in each category, for whoever knows the truth."""
    return [
        {
            "pair": study.pairs[pair].pair_id,
            "device": study.pairs[pair].device,
            "category": category,
            "answers": moments.answers,
            **{
                name: [estimate.value, estimate.low, estimate.high]
                for name in ("accuracy", "energy_gross_j", "ipj", "j_per_correct")
                for estimate in [figure(name, moments, study.pairs[pair])]
            },
        }
        for (pair, category), moments in rolled(study.cells(), ("pair", "category")).items()
    ]


if __name__ == "__main__":
    main()
