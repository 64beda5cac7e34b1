"""The clients that `client_under_load` compares: how each is started, and what it then says."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.peers.byte_tokenizer import NAME, write_cache

ROOT = Path(__file__).parents[1]


@dataclass
class Said:
    """What a client reports of one run. Seconds."""

    ttft_s: dict[str, float] = field(default_factory=dict)
    """By request id, where it gives ids; else by its own count."""
    itl_s: list[float] = field(default_factory=list)
    percentiles_s: dict[str, float] = field(default_factory=dict)
    """Its own figures, where it keeps no list: `ttft_p50`, `ttft_p99`, `itl_p50`, `itl_p99`."""
    ids: bool = False
    failed: int = 0
    bound: bool | None = None
    """Whether it calls itself the limit; None: it never says."""


@dataclass
class Contender:
    name: str
    command: Callable[[str, int, int, Path], list[str]]
    """Of URL, requests in flight, requests, folder."""
    read: Callable[[Path], Said]
    environment: dict[str, str] = field(default_factory=dict)
    most_per_s: float = 1e9
    """About what it manages, so that a run of it is no longer than the others'."""


def contenders(folder: Path, aiperf: str | None, guidellm: str | None) -> list[Contender]:
    """All that can be had. Of peers named and not runnable, it is printed why not."""
    bare = str(ROOT / "benchmarks" / "peers" / "bare_client.py")
    found = [
        Contender("bare protocol client", _script([sys.executable, bare]), read_bare),
        Contender("perwatt run", _run([sys.executable, "-m", "perwatt"]), read_run),
        Contender("perwatt run, no uvloop", _run([sys.executable, "-c", WITHOUT]), read_run),
        Contender("perwatt endpoint", _endpoint("uvloop"), read_endpoint),
        Contender("perwatt endpoint, no uvloop", _endpoint("asyncio"), read_endpoint),
    ]
    home = folder / "hf"
    snapshot = write_cache(home)
    offline = {"HF_HOME": str(home), "HF_HUB_OFFLINE": "1", "NO_COLOR": "1"}
    version = _version(aiperf, "aiperf")
    if aiperf and version:
        found.append(Contender(f"AIPerf {version}", _aiperf(aiperf), read_aiperf, offline, 350))
    version = _version(guidellm, "guidellm")
    if guidellm and version:
        command = _guidellm(guidellm, snapshot)
        found.append(Contender(f"GuideLLM {version}", command, read_guidellm, offline, 150))
    return found


WITHOUT = (
    "import sys; sys.modules['uvloop'] = None; from perwatt.cli import main; main(sys.argv[1:])"
)
"""The command as ever, but that uvloop cannot be imported."""


def _version(python: str | None, package: str) -> str | None:
    if python is None:
        print(f"{package}: not asked for (--{package}-python names an interpreter that has it)")
        return None
    ask = f"from importlib.metadata import version; print(version({package!r}))"
    try:
        done = subprocess.run([python, "-c", ask], capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError) as error:
        print(f"{package}: not runnable with {python}: {error}")
        return None
    return done.stdout.strip()


def _script(start: list[str]) -> Callable[[str, int, int, Path], list[str]]:
    def command(url: str, in_flight: int, requests: int, folder: Path) -> list[str]:
        return [*start, url, str(in_flight), str(requests), str(folder / "said.json")]

    return command


def _endpoint(loop: str) -> Callable[[str, int, int, Path], list[str]]:
    script = _script([sys.executable, "-m", "benchmarks.client_under_load_endpoint"])
    return lambda *given: [*script(*given), loop]


def _run(start: list[str]) -> Callable[[str, int, int, Path], list[str]]:
    def command(url: str, in_flight: int, requests: int, folder: Path) -> list[str]:
        items = folder / "items.jsonl"
        with items.open("w") as file:
            for n in range(requests):
                text = f"Question {n}: what is the capital of France?"
                item = {
                    "id": f"q{n}",
                    "kind": "load",
                    "messages": [{"role": "user", "content": text}],
                    "reference": "Paris",
                    "scorer": "exact",
                    "max_tokens": 32,
                }
                file.write(json.dumps(item) + "\n")
        line = f"run --endpoint {url}/v1 --model fake --idle-s 0 --warmup 0 --json"
        more = ["--workload", str(items), "--load", f"closed:{in_flight}"]
        return [*start, *line.split(), *more, "--out", str(folder / "run")]

    return command


def _aiperf(python: str) -> Callable[[str, int, int, Path], list[str]]:
    def command(url: str, in_flight: int, requests: int, folder: Path) -> list[str]:
        line = f"profile -m fake --url {url} --endpoint-type chat --streaming --ui none"
        line += f" --concurrency {in_flight} --request-count {requests} --tokenizer {NAME}"
        line += " --prompt-input-tokens-mean 64 --prompt-output-tokens-mean 32"
        line += " --use-server-token-count --no-server-metrics --no-gpu-telemetry"
        script = str(Path(python).parent / "aiperf")
        return [script, *line.split(), "--output-artifact-dir", str(folder / "aiperf")]

    return command


def _guidellm(python: str, snapshot: Path) -> Callable[[str, int, int, Path], list[str]]:
    def command(url: str, in_flight: int, requests: int, folder: Path) -> list[str]:
        return [
            *(str(Path(python).parent / "guidellm"), "run", "--disable-console-interactive"),
            *("--backend", f"kind=openai_http,target={url},model=fake"),
            *("--profile", f"kind=concurrent,streams={in_flight}"),
            *("--constraint", f"kind=max_requests,count={requests}"),
            *("--data", "kind=synthetic_text,prompt_tokens=64,output_tokens=32"),
            *("--tokenizer", f"kind=hf_auto,model={snapshot}"),
            *("--output", f"kind=json,path={folder / 'guidellm.json'}"),
        ]

    return command


def read_bare(folder: Path) -> Said:
    said = json.loads((folder / "said.json").read_text())
    return Said(ttft_s=said["ttft_s"], ids=True)


def read_endpoint(folder: Path) -> Said:
    said: list[dict[str, Any]] = json.loads((folder / "said.json").read_text())
    ttft = {one["request_id"]: one["ttft_s"] for one in said if one["ttft_s"] is not None}
    itl = [gap for one in said for gap in one["itl_s"]]
    failed = sum(one["error"] is not None for one in said)
    return Said(ttft_s=ttft, itl_s=itl, ids=True, failed=failed)


def read_run(folder: Path) -> Said:
    import duckdb

    run = folder / "run"
    rows = duckdb.execute(
        "SELECT request_id, (first_chunk_ns - dispatched_ns) / 1e9, chunk_offsets_ns, status"
        f" FROM '{run / 'requests.parquet'}'"
    ).fetchall()
    ttft = {name: first for name, first, _, _ in rows if first is not None}
    itl = [float(gap) / 1e9 for _, _, offsets, _ in rows for gap in np.diff(offsets or [])]
    verdicts = json.loads((run / "run.json").read_text())["verdicts"]
    bound = any(verdict["code"] == "client-bound" for verdict in verdicts)
    failed = sum(status != "ok" for *_, status in rows)
    return Said(ttft_s=ttft, itl_s=itl, ids=True, failed=failed, bound=bound)


def read_aiperf(folder: Path) -> Said:
    said = Said(ids=True)
    for line in (folder / "aiperf" / "profile_export.jsonl").read_text().splitlines():
        record = json.loads(line)
        metrics = record["metrics"]
        if "time_to_first_token" not in metrics:
            said.failed += 1
            continue
        first = metrics["time_to_first_token"]["value"] / 1e3
        said.ttft_s[record["metadata"]["x_request_id"]] = first
        said.itl_s += [gap / 1e3 for gap in metrics["inter_chunk_latency"]["value"]]
    return said


def read_guidellm(folder: Path) -> Said:
    report = json.loads((folder / "guidellm.json").read_text())["benchmarks"][0]
    said = Said(failed=round(report["metrics"]["request_totals"]["errored"]))
    for ours, theirs in (("ttft", "time_to_first_token_ms"), ("itl", "inter_token_latency_ms")):
        shown = report["metrics"][theirs]["successful"]
        said.percentiles_s[f"{ours}_p50"] = shown["median"] / 1e3
        said.percentiles_s[f"{ours}_p99"] = shown["percentiles"]["p99"] / 1e3
    said.bound = any("bottleneck" in warning["note"] for warning in report["warnings"])
    return said


def environment(contender: Contender) -> dict[str, str]:
    kept = {k: v for k, v in os.environ.items() if not k.lower().endswith("_proxy")}
    return {**kept, "PYTHONPATH": str(ROOT), **contender.environment}
