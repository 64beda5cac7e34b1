"""What the metering address adds: direct, through `perwatt serve`, and through LiteLLM's proxy.

    python -m benchmarks.proxy_overhead [--litellm-python PATH] [--in-flight 1,8,32] [--rounds 5]

One test server, which answers a stream of 32 chunks (first after 5 ms, then every 2 ms) or the same
in one piece. One client asks it by turns directly and through each proxy, in short rounds, so that
a slow spell of the machine falls on all. `added` is a quantile less the same quantile of the direct
requests of all rounds. CPU time is that of the proxy's whole process tree, sensors and journal
included, between two looks at /proc.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from benchmarks.peers.litellm_proxy import KEY, refuse_poisoned, start_litellm
from perwatt.core.clock import now_ns
from perwatt.core.protocols import Timeouts
from perwatt.endpoints.http_client import HttpClient
from perwatt.endpoints.http_exchange import Heard, Receiver
from perwatt.fakeserver import Settings, spawn
from perwatt.sensors.process_tree import with_descendants

CHUNKS = 32
MESSAGES = [{"role": "user", "content": "Count to thirty-two, slowly, and in words."}]
TIMEOUTS = Timeouts()
TICKS = os.sysconf("SC_CLK_TCK")


class Contender(NamedTuple):
    name: str
    url: str
    headers: dict[str, str]
    pid: int | None


class Took(NamedTuple):
    ttft_s: float
    itl_s: float | None
    total_s: float


class Round(NamedTuple):
    took: list[Took]
    wall_s: float
    cpu_s: float | None


class Chunks(Receiver):
    """When each piece with content came."""

    def __init__(self) -> None:
        self.marks: list[int] = []
        self.status = 0
        self.bytes = 0

    def head(self, status: int, headers: Mapping[str, str], t_ns: int) -> None:  # noqa: ARG002
        self.status = status

    def body(self, data: bytes, t_ns: int) -> Heard:
        self.bytes += len(data)
        if b'"content":"' in data and b'"content":""' not in data:
            self.marks.append(t_ns)
        return Heard.CHUNK


async def ask(client: HttpClient, contender: Contender, stream: bool) -> Took:
    question = {"model": "fake", "messages": MESSAGES, "max_tokens": CHUNKS, "stream": stream}
    if stream:
        question["stream_options"] = {"include_usage": True}
    heard = Chunks()
    start_ns = now_ns()
    await client.send(
        "POST",
        "/v1/chat/completions",
        {"content-type": "application/json", **contender.headers},
        json.dumps(question).encode(),
        heard,
        TIMEOUTS,
    )
    end_ns = now_ns()
    if heard.status != 200 or not heard.marks:
        raise SystemExit(f"{contender.name} answered {heard.status} with {heard.bytes} bytes")
    gap_s = None
    if len(heard.marks) > 1:
        gap_s = (heard.marks[-1] - heard.marks[0]) / 1e9 / (CHUNKS - 1)
    return Took((heard.marks[0] - start_ns) / 1e9, gap_s, (end_ns - start_ns) / 1e9)


async def one_round(contender: Contender, in_flight: int, requests: int, stream: bool) -> Round:
    client = HttpClient(contender.url)
    left = iter(range(requests))
    took: list[Took] = []

    async def place() -> None:
        for _ in left:
            took.append(await ask(client, contender, stream))

    cpu_s, start_s = tree_cpu_s(contender.pid), time.monotonic()
    async with asyncio.TaskGroup() as group:
        for _ in range(in_flight):
            group.create_task(place())
    wall_s = time.monotonic() - start_s
    used = tree_cpu_s(contender.pid)
    await client.close()
    return Round(took, wall_s, None if used is None or cpu_s is None else used - cpu_s)


def tree_cpu_s(pid: int | None) -> float | None:
    if pid is None:
        return None
    total = 0
    for each in with_descendants([pid]):
        fields = Path(f"/proc/{each}/stat").read_text().rpartition(")")[2].split()
        total += int(fields[11]) + int(fields[12])
    return total / TICKS


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


async def until_it_answers(contender: Contender, process: subprocess.Popen[bytes]) -> None:
    client = HttpClient(contender.url)
    for _ in range(600):
        if process.poll() is not None:
            raise SystemExit(f"{contender.name} did not start (exit {process.returncode})")
        try:
            await ask(client, contender, True)
            return
        except Exception:
            await asyncio.sleep(0.2)
    raise SystemExit(f"{contender.name} did not answer in two minutes")


def start_perwatt(url: str, port: int, folder: Path) -> subprocess.Popen[bytes]:
    log = (folder / "perwatt.log").open("wb")
    program = "from cyclopts import run; from perwatt.cli.serve import serve; run(serve)"
    command = [sys.executable, "-c", program, "--to", f"{url}/v1", "--idle-s", "1"]
    return subprocess.Popen(
        [*command, "--port", str(port), "--out", str(folder / "run")],
        stdout=log,
        stderr=subprocess.STDOUT,
    )


async def compare(
    contenders: Sequence[Contender], levels: Sequence[int], rounds: int, seconds: float
) -> list[dict[str, object]]:
    rows: list[dict[str, object]] = []
    for stream in (True, False):
        for in_flight in levels:
            for contender in contenders:  # connections opened, code paths warm
                await one_round(contender, in_flight, max(in_flight, 8), stream)
            found: dict[str, list[Round]] = {c.name: [] for c in contenders}
            # LiteLLM carries a fraction of what the others do: its rounds are as long, not as many.
            for number in range(rounds):
                shift = number % len(contenders)
                for contender in [*contenders[shift:], *contenders[:shift]]:
                    share = 0.2 if contender.name.startswith("LiteLLM") else 1.0
                    per_s = min(in_flight / 0.08, 300.0)
                    count = max(in_flight, 10, round(per_s * seconds * share))
                    found[contender.name].append(
                        await one_round(contender, in_flight, count, stream)
                    )
            rows += [row(c, in_flight, stream, found) for c in contenders]
            show(rows[-len(contenders) :], header=in_flight == levels[0])
    return rows


def row(
    contender: Contender, in_flight: int, stream: bool, found: Mapping[str, Sequence[Round]]
) -> dict[str, object]:
    mine, direct = found[contender.name], found["direct"]
    took, plain = ([t for r in rounds for t in r.took] for rounds in (mine, direct))

    def added_ms(q: float) -> float:
        of = [np.quantile([t.ttft_s for t in each], q) for each in (took, plain)]
        return float(of[0] - of[1]) * 1e3

    gaps = [[t.itl_s for t in each if t.itl_s is not None] for each in (took, plain)]
    cpu = [r.cpu_s for r in mine if r.cpu_s is not None]
    return {
        "contender": contender.name,
        "stream": stream,
        "in_flight": in_flight,
        "requests": len(took),
        "ttft_ms": float(np.median([t.ttft_s for t in took])) * 1e3,
        "added_p50_ms": added_ms(0.5),
        "added_p99_ms": added_ms(0.99),
        "added_itl_ms": float(np.median(gaps[0]) - np.median(gaps[1])) * 1e3 if gaps[0] else None,
        "requests_per_s": len(took) / sum(r.wall_s for r in mine),
        "requests_per_cpu_s": len(took) / sum(cpu) if cpu and sum(cpu) > 0 else None,
    }


COLUMNS = (
    ("contender", 16), ("in_flight", 9), ("requests", 8), ("ttft_ms", 8), ("added_p50_ms", 12),
    ("added_p99_ms", 12), ("added_itl_ms", 12), ("requests_per_s", 14), ("requests_per_cpu_s", 18),
)  # fmt: skip


def show(rows: Sequence[Mapping[str, object]], *, header: bool) -> None:
    if header:
        kind = "stream of 32 chunks" if rows[0]["stream"] else "one piece"
        print(f"\n{kind}\n" + "  ".join(f"{name:>{width}}" for name, width in COLUMNS))
    for each in rows:
        cells = []
        for name, width in COLUMNS:
            value = each[name]
            text = "–" if value is None else value
            cells.append(f"{text:>{width}.2f}" if isinstance(text, float) else f"{text:>{width}}")
        print("  ".join(cells), flush=True)
    named = {str(each["contender"]).split()[0]: each["requests_per_cpu_s"] for each in rows}
    ours, theirs = named.get("perwatt"), named.get("LiteLLM")
    if isinstance(ours, float) and isinstance(theirs, float):
        print(f"  per CPU second: perwatt serve carries {ours / theirs:.1f} × LiteLLM", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--litellm-python", type=Path)
    parser.add_argument("--in-flight", default="1,8,32")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=1.5, help="of each round, about")
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    version = refuse_poisoned(given.litellm_python) if given.litellm_python else None
    folder = Path(tempfile.mkdtemp(prefix="proxy_overhead-"))
    processes: list[subprocess.Popen[bytes]] = []
    try:
        with spawn(Settings(tokens=CHUNKS)) as server:
            contenders = [Contender("direct", server.url, {}, None)]
            port = free_port()
            processes.append(start_perwatt(server.url, port, folder))
            url = f"http://127.0.0.1:{port}"
            contenders.append(Contender("perwatt serve", url, {}, processes[-1].pid))
            if version:
                port = free_port()
                processes.append(start_litellm(given.litellm_python, server.url, port, folder))
                key = {"authorization": f"Bearer {KEY}"}
                url = f"http://127.0.0.1:{port}"
                name = f"LiteLLM {version}"
                contenders.append(Contender(name, url, key, processes[-1].pid))

            async def everything() -> list[dict[str, object]]:
                for contender, process in zip(contenders[1:], processes, strict=True):
                    await until_it_answers(contender, process)
                levels = [int(n) for n in given.in_flight.split(",")]
                return await compare(contenders, levels, given.rounds, given.seconds)

            try:
                import uvloop

                rows = uvloop.run(everything())
            except ModuleNotFoundError:
                rows = asyncio.run(everything())
            if given.json:
                given.json.write_text(json.dumps(rows, indent=2))
    finally:
        for process in processes:
            process.send_signal(signal.SIGTERM)
        for process in processes:
            try:
                process.wait(60)
            except subprocess.TimeoutExpired:
                process.kill()
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
