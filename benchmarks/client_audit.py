"""Is `client-bound` said where times are wrong? The client's audit beside the server's truth.

    python -m benchmarks.client_audit [--loads closed:1@4s,closed:64@4s,…] [--realtime]

`perwatt run` against the fake server, which knows when it sent each chunk: how late first chunks
were seen (ours − the moment they were handed to the kernel), joined by request id, beside what the
client says of itself without knowing that. Wanted: `client-bound` where they were seen more than
2 ms late (p99), and nowhere else. `--realtime` runs both under real-time priority (Linux, root), so
that other work on the machine does not blur the table.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, NamedTuple

import duckdb

from perwatt.fakeserver.settings import Settings
from perwatt.fakeserver.spawn import spawn
from perwatt.runner.client_marks import quantile

LOADS = "closed:1@4s,closed:8@4s,closed:64@4s,closed:256@4s,poisson:200@4s,poisson:1500@4s,burst"
WRONG_MS = 2.0
TITLES = (
    "load",
    "requests/s",
    "thread, cores",
    "loop lag p50",
    "p99, ms",
    "seen late p50",
    "p99, ms",
    "says client-bound",
    "right",
)


class Seen(NamedTuple):
    """One load: what the client said, and what was true."""

    view: dict[str, Any]
    requests: int
    late_ms: tuple[float, ...]
    severity: str | None
    """Of `client-bound`; None: not said."""


def main() -> None:
    given = _arguments()
    if given.realtime:
        os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(5))
    print("  ".join(f"{title:>17}" for title in TITLES))
    wrong = 0
    for load in given.loads.split(","):
        seen = _measure(load, given)
        p50, p99 = quantile(seen.late_ms, 0.5) or 0.0, quantile(seen.late_ms, 0.99) or 0.0
        right = (p99 > WRONG_MS) == (seen.severity is not None)
        wrong += not right
        view = seen.view
        cells = (
            load,
            f"{seen.requests / view['wall_s']:,.0f}",
            f"{view['loop_cores']:.2f}",
            f"{view['loop_lag_p50_s'] * 1e3:.2f}",
            f"{view['loop_lag_p99_s'] * 1e3:.2f}",
            f"{p50:.2f}",
            f"{p99:.2f}",
            seen.severity or "no",
            "yes" if right else "NO",
        )
        print("  ".join(f"{cell:>17}" for cell in cells), flush=True)
    sys.exit(1 if wrong else 0)


def _measure(load: str, given: argparse.Namespace) -> Seen:
    settings = Settings(ttft=given.ttft, itl=given.itl, tokens=32)
    with tempfile.TemporaryDirectory() as folder, spawn(settings) as server:
        out = Path(folder, "run")
        command = [sys.executable, "-m", "perwatt", "run", "--endpoint", server.url]
        command += ["--model", "fake", "--load", load, "--out", str(out)]
        command += ["--idle-s", "0", "--warmup", "0", "--max-tokens", "32"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            sys.exit(f"perwatt run ended with {done.returncode}: {done.stderr[-400:]}")
        run = json.loads((out / "run.json").read_text())
        sent_ns = {
            truth.request_id: truth.after_ns[0] for truth in server.truth() if truth.after_ns
        }
        rows = duckdb.execute(
            "select request_id, first_chunk_ns from read_parquet(?) where status = 'ok'",
            [str(out / "requests.parquet")],
        ).fetchall()
    late_ms = tuple((ns - sent_ns[name]) / 1e6 for name, ns in rows if name in sent_ns)
    bound = [v["severity"] for v in run["verdicts"] if v["code"] == "client-bound"]
    return Seen(run["client"][0], len(rows), late_ms, bound[0] if bound else None)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0] if __doc__ else None)
    parser.add_argument("--loads", default=LOADS)
    parser.add_argument("--ttft", default="5ms")
    parser.add_argument("--itl", default="2ms")
    parser.add_argument("--realtime", action="store_true")
    return parser.parse_args()


if __name__ == "__main__":
    main()
