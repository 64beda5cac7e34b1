"""A study's main tables at full scale: seconds, memory and disk, and whether intervals hold.

    python -m benchmarks.study_scale [--rows-per-pair 1000000] [--pairs 160] [--dir DIR]
                                     [--peer PYTHON] [--coverage]

Writes run directories of planted means (20 models × 8 devices; 100 000 requests each unless said
otherwise, which takes about two minutes), studies them in a process of its own, and prints

- wall and CPU seconds, peak memory and bytes on disk, each table apart, with the files not in the
  kernel's cache (Linux) and in it, as far as they fit there, and with the check of every file's
  hash, which is what `perwatt study` does;
- how often the 95% intervals of pair × category hold what was planted;
- beside the moments' intervals those of the cluster bootstrap, on a sample of one pair;
- the same sums by polars and pandas over a tenth of the pairs, where `--peer` names a Python that
  has them.

At the full 160 million (`--rows-per-pair 1000000`) it writes some 14 GB to `--dir`. A directory
that holds the same study already is used again; without `--dir` it is a temporary one, removed at
the end.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.study_scale_data import CATEGORIES, Planted, plant, write_study
from perwatt.core.units import format_bytes
from perwatt.stats.intervals import joint_bootstrap, wilson
from perwatt.stats.moments import COLUMNS, mean_interval, moments_of, ratio_interval
from perwatt.stats.sample import Column, ratio
from perwatt.study.options import StudyOptions
from perwatt.study.study import open_study

FRAMES = Path(__file__).parent / "peers" / "study_scale_frames.py"
SAMPLE, DRAWS = 5_000, 4_000


def main() -> None:
    asked = _arguments()
    place = nullcontext(str(asked.dir)) if asked.dir else tempfile.TemporaryDirectory()
    with place as directory:
        pairs = plant(20, 8)[: asked.pairs]
        runs = _runs(Path(directory), pairs, asked.rows_per_pair)
        rows = asked.rows_per_pair * len(pairs)
        size = sum(f.stat().st_size for run in runs for f in run.iterdir())
        print(f"{rows:,} requests of {len(pairs)} pairs: {format_bytes(size)} on disk")
        print(f"\n{'':24}{'wall':>7}{'CPU':>9}{'peak':>10}   by table, s")
        if _forget(runs):
            _measured("main tables, from disk", _child("main", runs))
            _forget(runs)
        print(f"{'reading the files alone':24}{_read(runs):6.1f}s")
        plain = _measured("main tables", _child("main", runs))
        _measured("… each file hashed", _child("checked", runs))
        if asked.coverage:
            _measured("coverage, difficulty", _child("coverage", runs))
        _truth(plain["cells"], pairs)
        _beside(runs[0])
        tenth = runs[: max(1, len(runs) // 10)]
        print(f"\nThe same sums over {len(tenth)} of the pairs:")
        ours = _measured("perwatt, its tables", _child("main", tenth))
        for name in ("polars", "pandas"):
            _peer(name, asked.peer, tenth, ours)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--rows-per-pair", type=int, default=100_000)
    parser.add_argument("--pairs", type=int, default=160)
    parser.add_argument("--dir", type=Path)
    parser.add_argument("--peer", help="a Python with polars or pandas")
    parser.add_argument("--coverage", action="store_true", help="coverage and difficulty too")
    return parser.parse_args()


def _runs(directory: Path, pairs: list[Planted], rows: int) -> list[Path]:
    """In the order of pairs."""
    made = directory / "planted.json"
    wanted = json.dumps({"rows": rows, "pairs": [pair.name + pair.device for pair in pairs]})
    if not made.exists() or made.read_text() != wanted:
        if directory.exists() and any(directory.iterdir()):
            sys.exit(f"{directory} holds something else: name an empty folder with --dir.")
        directory.mkdir(parents=True, exist_ok=True)
        start = time.perf_counter()
        write_study(directory, pairs, rows)
        made.write_text(wanted)
        print(f"Written in {time.perf_counter() - start:.0f} s.")
    return [directory / pair.directory for pair in pairs]


def _forget(runs: list[Path]) -> bool:
    """Have the kernel drop the files from its cache, where it can be asked to."""
    if not hasattr(os, "posix_fadvise"):
        return False
    os.sync()  # what is not on disk yet is not dropped
    for file in _files(runs):
        with file.open("rb") as opened:
            os.posix_fadvise(opened.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
    return True


def _read(runs: list[Path]) -> float:
    """Seconds to read every byte once, which also leaves the files in the cache."""
    start = time.perf_counter()
    piece = bytearray(2**22)
    for file in _files(runs):
        with file.open("rb", buffering=0) as opened:
            while opened.readinto(piece):
                pass
    return time.perf_counter() - start


def _files(runs: list[Path]) -> list[Path]:
    return [run / "requests.parquet" for run in runs]


def _child(what: str, runs: list[Path]) -> dict[str, Any]:
    command = [sys.executable, "-m", "benchmarks.study_scale_child", what, *map(str, runs)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"The study failed:\n{done.stderr}")
    found: dict[str, Any] = json.loads(done.stdout)
    if found["faults"]:
        sys.exit(f"The study found faults where none were planted: {found['faults'][:3]}")
    return found


def _measured(name: str, found: dict[str, Any]) -> dict[str, Any]:
    parts = "  ".join(f"{table} {seconds:.2f}" for table, seconds in found["seconds"].items())
    print(_line(name, found) + f"   {parts}")
    return found


def _line(name: str, found: dict[str, Any]) -> str:
    peak = format_bytes(found["peak_bytes"])
    return f"{name:24}{found['wall_s']:6.1f}s{found['cpu_s']:8.1f}s{peak:>10}"


def _truth(cells: list[dict[str, Any]], pairs: list[Planted]) -> None:
    known = {(pair.name, pair.device): pair for pair in pairs}
    print(f"\n95% intervals of {len(cells)} cells (pair × category) that hold what was planted:")
    for name in ("accuracy", "energy_gross_j", "ipj", "j_per_correct"):
        hits = 0
        for cell in cells:
            pair = known[cell["pair"], cell["device"]]
            category = int(cell["category"].split()[1])
            truth = {"accuracy": pair.accuracy(category), "energy_gross_j": pair.joules(category)}
            truth["j_per_correct"] = truth["energy_gross_j"] / truth["accuracy"]
            truth["ipj"] = 1 / truth["j_per_correct"]
            _, low, high = cell[name]
            hits += low is not None and low <= truth[name] <= high
        low, high = wilson(hits, len(cells))
        print(f"  {name:16}{hits / len(cells):7.1%} [{low:.1%}, {high:.1%}]")
    assert len(cells) == len(pairs) * CATEGORIES, "a category is missing"


def _beside(run: Path) -> None:
    """Moments and bootstrap over the very same answers."""
    with open_study([run], StudyOptions(check=False)) as study:
        found = study.db.execute(
            f"SELECT score, energy_gross_j FROM answers LIMIT {SAMPLE}"
        ).fetchnumpy()
    score, joules = (np.asarray(found[name]) for name in ("score", "energy_gross_j"))
    sums = np.zeros((len(COLUMNS), score.size))
    names = list(COLUMNS)
    for name, values in (("asked", 1.0), ("served", 1.0), ("score", score)):
        sums[names.index(name)] = values
    centre = np.zeros(len(COLUMNS))
    at = names.index("energy_gross_j")
    centre[at] = joules[0]
    sums[at] = joules - joules[0]
    moments = moments_of(sums, centre)
    own = {
        "accuracy": mean_interval(moments, "score"),
        "energy_gross_j": mean_interval(moments, "energy_gross_j"),
        "ipj": ratio_interval(moments, "score", "energy_gross_j"),
        "j_per_correct": ratio_interval(moments, "energy_gross_j", "score"),
    }
    cluster = np.arange(score.size)
    drawn = joint_bootstrap(
        {
            "score": Column(score, cluster, "score", share=True),
            "joules": Column(joules, cluster, "energy"),
        },
        score.size,
        {
            "accuracy": lambda s: s.mean("score"),
            "energy_gross_j": lambda s: s.mean("joules"),
            "ipj": lambda s: ratio(s.mean("score"), s.mean("joules"), "none"),
            "j_per_correct": lambda s: ratio(s.sum("joules"), s.sum("score"), "none"),
        },
        rng=np.random.default_rng(0),
        draws=DRAWS,
    )
    print(f"\n{score.size} answers of one pair, moments beside {DRAWS} bootstrap draws:")
    for name, interval in own.items():
        other = drawn[name]
        assert None not in (interval.low, interval.high, other.low, other.high)
        width = (interval.high - interval.low) / (other.high - other.low)  # type: ignore[operator]
        print(
            f"  {name:16}{interval.value:9.5f}  [{interval.low:.5f}, {interval.high:.5f}]"
            f"  [{other.low:.5f}, {other.high:.5f}]  width × {width:.3f}"
        )


def _peer(name: str, python: str | None, runs: list[Path], ours: dict[str, Any]) -> None:
    if python is None:
        print(f"{name:24} not run: name a Python that has it with --peer.")
        return
    done = subprocess.run(
        [python, str(FRAMES), name, *map(str, _files(runs))],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        print(f"{name:24} did not run: {last}")
        return
    found = json.loads(done.stdout)
    own = sum(cell["energy_gross_j"][0] * cell["answers"] for cell in ours["cells"])
    alike = abs(found["joules"] / own - 1) < 1e-9
    print(
        _line(f"{name} {found['version']}", found)
        + f"   sums alone, {found['groups']} groups; joules {'agree' if alike else 'DIFFER'}"
    )


if __name__ == "__main__":
    main()
