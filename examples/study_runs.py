"""Many runs read together: answers per joule, and what a second model adds to the first.

The same from a terminal, with every table: perwatt study RUNS/ -o study.html
Takes about half a minute on two cores. Needs: pip install 'perwatt[local]'
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import perwatt
from perwatt.study.study import open_study
from perwatt.study.summary import summarise_study


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        for model in ("smollm2-135m", "smollm2-135m@Q4_0"):
            out = str(Path(folder, model.replace("@", "-")))
            perwatt.run(model=[model], limit=11, repeats=2, temperature=0.6, max_tokens=24, out=out)
        with open_study([Path(folder)]) as study:
            summary = summarise_study(study)

    for fault in summary.faults:
        print(f"[{fault.code}] {fault.run}: {fault.sentence}")
    tables = {table.name: table for table in summary.tables}
    for row in tables["pairs"].rows:
        print(f"{row['pair']}: {row['ipj']} right answers a joule, {row['j_per_correct']} each")
    for name in ("precision", "coverage"):
        print(tables[name].finding)


if __name__ == "__main__":
    main()
