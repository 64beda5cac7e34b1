"""Every kind of failure, injected at exact counts into real runs: is each reported under its name?

    python -m benchmarks.faults [--json FILE]

`perwatt run` as a user starts it, against `perwatt fake-server`. Each question carries the fault it
gets, so that every row of requests.parquet can be held against what was done to that very request.
Exit 1 where any differs, or where an interrupted run leaves the server at work.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from perwatt.fakeserver import Settings, Spawned, Truth, spawn
from perwatt.fakeserver.faults import FAULTS

SAME = {"reset-first": "reset", "closed": "reset", "malformed-http": "malformed"}
"""Several ways to bring about what is one kind to a client; the rest bear the kind's name."""
SERVED = {"late", "duplicate", "no-done"}
"""Strange but whole: answers all the same."""
STOPS_WITHIN_S = 1.0


@dataclass
class Line:
    """One row of the table."""

    injected: str
    count: int
    expected: str
    reported: Counter[str]

    @property
    def equal(self) -> bool:
        return self.reported == Counter({self.expected: self.count})


def main() -> None:
    options = argparse.ArgumentParser(description="Faults injected, and the names they are given.")
    options.add_argument("--json", metavar="FILE", type=Path)
    given = options.parse_args()
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        lines = [*named(folder), *unreachable(folder), *retried(folder)]
        stopped_s, at_work = interrupted(folder)
    print(f"{'injected':30} {'count':>5}  {'expected':18} {'reported':22} equal")
    for line in lines:
        told = ", ".join(f"{kind} {n}" for kind, n in sorted(line.reported.items()))
        equal = "yes" if line.equal else "NO"
        print(f"{line.injected:30} {line.count:5}  {line.expected:18} {told:22} {equal}")
    wrong = [line.injected for line in lines if not line.equal]
    kinds = {line.expected for line in lines} - {"ok", "retried"}
    print(
        f"\n{sum(line.count for line in lines)} requests, {len(kinds)} kinds of failure, ", end=""
    )
    print(f"{len(wrong)} of {len(lines)} lines differ")
    times = ", ".join(f"{s * 1e3:.0f}" for s in stopped_s)
    print(f"Ctrl-C with {len(stopped_s) + at_work} in flight: the server saw each closed after")
    print(f"{times} ms, and {at_work} went on")
    late = at_work > 0 or max(stopped_s, default=0.0) > STOPS_WITHIN_S
    if given.json:
        rows = [{**vars(line), "equal": line.equal} for line in lines]
        given.json.write_text(json.dumps({"lines": rows, "stopped_s": stopped_s}, indent=1))
    sys.exit(bool(wrong) or late or not stopped_s)


def named(folder: Path) -> list[Line]:
    """All that happens after a connection is made: three to seven of each in one run."""
    counts = {fault: 3 + at % 5 for at, fault in enumerate(FAULTS)}
    items = {f"healthy-{n}": "Hello." for n in range(20)}
    for fault, count in counts.items():
        items |= {f"{fault}-{n}": f"Hello {n}. [[fault:{fault}]]" for n in range(count)}
    # Slow enough to the first chunk that a reset before it is no stale connection's.
    settings = Settings(ttft="150ms", itl="5ms", tokens=16, late_s=0.3, drip_s=0.05)
    with spawn(settings) as server:
        more = ["--timeout-s", "1", "--total-timeout-s", "3", "--load", "closed:8"]
        rows = run(folder / "named", server.url, items, more)
        truths = {truth.request_id: truth for truth in server.truth()}
    lines = [Line("nothing", 20, "ok", reported(rows, "healthy"))]
    for fault, count in counts.items():
        expected = "ok" if fault in SERVED else SAME.get(fault, fault)
        lines.append(Line(fault, count, expected, reported(rows, fault)))
        for row in rows:
            if row["item_id"].rpartition("-")[0] == fault:
                check_injected(truths[row["request_id"]], fault)
    return lines


def check_injected(truth: Truth, fault: str) -> None:
    if truth.fault != fault:
        msg = f"{truth.request_id} was to get {fault} and got {truth.fault}"
        raise AssertionError(msg)


def unreachable(folder: Path) -> list[Line]:
    """A server that stops listening: what comes after finds it refusing, or hanging."""
    lines = []
    for kind, setting in (("connect", "refuse_after"), ("timeout-connect", "stall_after")):
        items = {f"item-{n}": "Hello." for n in range(9)}
        quick = Settings(ttft="5ms", itl="1ms", keep_alive=False)
        settings = msgspec.structs.replace(quick, **{setting: 4})
        with spawn(settings) as server:
            more = ["--connect-timeout-s", "0.3", "--load", "closed:1"]
            rows = run(folder / kind, server.url, items, more)
        found = reported(rows, "item")
        ok = Counter({"ok": found.pop("ok", 0)})
        lines += [Line(f"before {kind}", 4, "ok", ok), Line(f"{kind} ({setting})", 5, kind, found)]
    return lines


def retried(folder: Path) -> list[Line]:
    """With --retries 2, by attempt: what passes is served, what does not fails with the third."""
    items = {f"once-{n}": f"Hello {n}. [[fault:http-503*1]]" for n in range(4)}
    items |= {f"always-{n}": f"Hello {n}. [[fault:http-429]]" for n in range(3)}
    settings = Settings(ttft="5ms", itl="1ms", retry_after_s=0.05)
    with spawn(settings) as server:
        more = ["--retries", "2", "--load", "closed:4"]
        rows = run(folder / "retried", server.url, items, more)
    expected = {
        ("http-503, once", 1): "retried",
        ("http-503, once", 2): "ok",
        ("http-429, always", 1): "retried",
        ("http-429, always", 2): "retried",
        ("http-429, always", 3): "http-429",
    }
    found: dict[tuple[str, int], Counter[str]] = {place: Counter() for place in expected}
    for row in rows:
        name = "http-503, once" if row["item_id"].startswith("once") else "http-429, always"
        as_what = row["error_kind"] if row["status"] == "error" else row["status"]
        found.setdefault((name, row["attempt"]), Counter())[as_what] += 1
    return [
        Line(
            f"{name}: {attempt}",
            (4 if "once" in name else 3) if (name, attempt) in expected else 0,
            expected.get((name, attempt), "nothing"),
            told,
        )
        for (name, attempt), told in found.items()
    ]


def interrupted(folder: Path) -> tuple[list[float], int]:
    """(seconds from Ctrl-C to each close as the server saw it, requests that it went on with)."""
    with spawn(Settings(tokens=5000, itl="10ms")) as server:
        items = {f"item-{n}": "Hello." for n in range(50)}
        command = arguments(folder / "stopped", server.url, items, ["--load", "closed:8"])
        process = subprocess.Popen(
            command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
        )
        deadline = time.monotonic() + 30
        while in_flight(server) < 8 and time.monotonic() < deadline:
            time.sleep(0.05)
        time.sleep(0.3)
        sent_ns = time.monotonic_ns()
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=60)
        if process.returncode != 3:
            msg = f"exit {process.returncode} and not 3 after Ctrl-C: {errors[-500:]}"
            raise RuntimeError(msg)
        closed = [truth.cancelled_ns for truth in server.truth()]
        left = in_flight(server)
    return sorted((ns - sent_ns) / 1e9 for ns in closed if ns is not None), left


def in_flight(server: Spawned) -> int:
    from urllib.request import urlopen

    with urlopen(f"{server.url}/metrics") as answer:
        text: str = answer.read().decode()
    return int(text.partition("\nfake_server_in_flight ")[2].split()[0])


def arguments(out: Path, url: str, items: dict[str, str], more: list[str]) -> list[str]:
    file = out.with_suffix(".jsonl")
    with file.open("w") as lines:
        for name, text in items.items():
            item = {
                "id": name,
                "kind": "fault",
                "messages": [{"role": "user", "content": text}],
                "reference": "Hello.",
                "scorer": "exact",
            }
            lines.write(json.dumps(item) + "\n")
    common = f"--endpoint {url}/v1 --model fake --idle-s 0 --warmup 0 --json".split()
    own = ["--workload", str(file), "--out", str(out), *more]
    return [sys.executable, "-m", "perwatt", "run", *common, *own]


def run(out: Path, url: str, items: dict[str, str], more: list[str]) -> list[dict[str, Any]]:
    """Rows of requests.parquet. Raises where an item is missing, or asked twice and counted so."""
    import duckdb

    command = arguments(out, url, items, more)
    kept = {k: v for k, v in os.environ.items() if not k.lower().endswith("_proxy")}
    done = subprocess.run(command, capture_output=True, text=True, env=kept, check=False)
    if done.returncode:
        msg = f"perwatt run ended with {done.returncode}: {done.stderr[-800:]}"
        raise RuntimeError(msg)
    columns = ("request_id", "item_id", "status", "error_kind", "attempt")
    fetched = duckdb.execute(
        f"SELECT {', '.join(columns)} FROM '{out / 'requests.parquet'}'"
    ).fetchall()
    rows = [dict(zip(columns, row, strict=True)) for row in fetched]
    counted = Counter(row["item_id"] for row in rows if row["status"] in {"ok", "error"})
    if counted != Counter(dict.fromkeys(items, 1)):
        odd = {name: counted[name] for name in {*items, *counted} if counted[name] != 1}
        msg = f"not every item is counted once: {odd}"
        raise AssertionError(msg)
    return rows


def reported(rows: list[dict[str, Any]], fault: str) -> Counter[str]:
    """Of the items made for `fault`: what each was reported as."""
    mine = [row for row in rows if row["item_id"].rpartition("-")[0] == fault]
    return Counter(row["error_kind"] or row["status"] for row in mine)


if __name__ == "__main__":
    main()
