"""How large the report is, part by part: of a run of 10,000 requests, and of runs you name.

    python -m benchmarks.report_size [--requests 10000] [--pairs 2] [DIR …]

The run is benchmarks/report_runs.py's: answers of 150 words, watts of two domains at 20 Hz for as
many seconds as there are requests. Bytes are of UTF-8, before any compression.
"""

from __future__ import annotations

import argparse
import re
import tempfile
import time
import zlib
from pathlib import Path

from benchmarks.report_runs import report_run
from perwatt.report.build import render_report
from perwatt.report.load import load_run
from perwatt.report.view import ReportRun

ASSET = re.compile(r"<style>.*?</style>|<script>.*?</script>", re.DOTALL)
AIM_BYTES = 3_000_000
PART = re.compile(r'<section id="r1-([\w-]+)" class="part".*?</section>', re.DOTALL)


def sizes(page: str) -> list[tuple[str, int]]:
    """(part, bytes) of a page of one run; what is in no part is the head and foot."""
    found = [("style and script", sum(_size(each) for each in ASSET.findall(page)))]
    found += [(part.group(1), _size(part.group(0))) for part in PART.finditer(page)]
    return [*found, ("head, verdicts, foot", _size(page) - sum(n for _, n in found))]


def _size(text: str) -> int:
    return len(text.encode())


def show(name: str, run: ReportRun) -> int:
    """Print one run's table; the page's bytes."""
    began = time.perf_counter()
    page = render_report([run])
    took = time.perf_counter() - began
    whole = _size(page)
    asked = len(next(iter(run.requests.values()), []))
    read = len(run.power.get("t_ns", []))
    print(f"\n{name}: {asked:,} requests, {read:,} readings of watts, drawn in {took:.1f} s")
    for part, size in sizes(page):
        print(f"  {part:<22}{size:>12,}{size / whole:>8.1%}")
    packed = len(zlib.compress(page.encode(), 6))
    verdict = "below" if whole < AIM_BYTES else "ABOVE"
    print(f"  {'whole page':<22}{whole:>12,}  {verdict} {AIM_BYTES:,}; {packed:,} compressed")
    return whole


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("directories", nargs="*", type=Path, metavar="DIR")
    parser.add_argument("--requests", type=int, default=10_000)
    parser.add_argument("--pairs", type=int, default=2)
    told = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        made = report_run(
            Path(folder) / "made", pairs=told.pairs, items=max(1, told.requests // told.pairs)
        )
    most = show("made", made)
    for directory in told.directories:
        most = max(most, show(str(directory), load_run(directory)))
    raise SystemExit(0 if most < AIM_BYTES else 1)


if __name__ == "__main__":
    main()
