"""A study of real models: both embedded ones, three precisions, four loads, repeated answers.

    python -m benchmarks.real_study --out runs/study [--quick]

Each run is `perwatt run`, with every answer kept, so `--out` of an earlier measurement prints its
study again without asking. Then `perwatt study` over all of them, its page beside the runs. Gemma's
weights are under the Gemma Terms of Use: read them before you run this.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

SMALL = ("smollm2-135m", "smollm2-135m@q4_0", "smollm2-135m@q8_0")
GEMMA = ("gemma3-270m",)
RUNS: dict[str, tuple[tuple[str, ...], int, tuple[str, ...]]] = {
    "precisions": ((*SMALL, *GEMMA), 198, ("--rounds", "2")),
    "loads": (
        ("smollm2-135m@q4_0",),
        66,
        ("--load", "closed:1,closed:2,closed:4,closed:8", "--max-tokens", "32"),
    ),
    "repeats": (
        (*SMALL[:1], *GEMMA),
        66,
        ("--repeats", "4", "--temperature", "0.6", "--top-p", "0.95"),
    ),
}
"""(models, items, further options)."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True, help="folder for the runs")
    parser.add_argument("--quick", action="store_true", help="a tenth of the items, to try it")
    args = parser.parse_args()
    for name, (models, limit, options) in RUNS.items():
        directory = args.out / name
        if not (directory / "scores.parquet").is_file():
            items = max(11, limit // 10) if args.quick else limit
            _perwatt(
                "run",
                *(part for model in models for part in ("--model", model)),
                *(part for model in models if model in GEMMA for part in ("--accept-terms", model)),
                *("--workload", "core", "--limit", str(items), "--out", str(directory)),
                *options,
                quiet=True,
            )
    _perwatt("study", str(args.out), "-o", str(args.out / "study.html"))


def _perwatt(*words: str, quiet: bool = False) -> None:
    print("$ perwatt", " ".join(words), flush=True)
    command = [sys.executable, "-m", "perwatt", *words]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL if quiet else None)


if __name__ == "__main__":
    main()
