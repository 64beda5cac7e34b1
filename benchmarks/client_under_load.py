"""Streaming clients side by side, against one server whose truth is known.

    python -m benchmarks.client_under_load [--in-flight 1,8,64,256] [--rounds 2] [--seconds 2.5]
        [--aiperf-python PATH] [--guidellm-python PATH] [--only NAME] [--json FILE]

One `perwatt fake-server` worker (TTFT 5 ms, 32 chunks, ITL 2 ms) on a CPU of its own; the clients
take turns in each round and may use every CPU. A run asks as many requests as the server could
ideally answer in `--seconds` at that many in flight.

requests/s          ended between the 10% and the 90% of a run, by the server's truth
per CPU second      the same over CPU time of the client's whole process tree in that very stretch
                    (looked at every 50 ms): neither start-up nor what follows the load is in it
whole run           (CPU of a run − CPU of a short one) ÷ (requests more): with reading the
                    workload, the journal, scoring, tables and report, but not start-up
ramp                the first requests, as many as are in flight, start all at once: left out of
                    TTFT, its error and lateness, but not of the largest error, nor for GuideLLM
TTFT, ITL           what the client says, and what was: the first chunk handed to the kernel less
                    the first byte of the request read by the server
error               of each request by its id, said − true; the way through loopback and two reads,
                    some 0.1 ms, is in it. GuideLLM keeps no ids: its percentiles, less the true (~)
server late         p99 of how late the server sent its chunks: above 1 ms it is the server, or a
                    busy machine, and not the client that is measured
bound               the client called itself the limit

Peers, each in an environment of its own (vllm bench is left out: vLLM cannot be installed without
several GB of CUDA libraries): pip install aiperf==0.13.0; pip install guidellm==0.8.1. They take
20 to 60 s to start each time, so with them it takes a quarter of an hour.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median

import numpy as np

from benchmarks.client_under_load_contenders import Contender, Said, contenders, environment
from benchmarks.client_under_load_tree import Tree
from perwatt.fakeserver import Settings, Spawned, Truth, spawn

TTFT_S, ITL_S, CHUNKS = 0.005, 0.002, 32
IDEAL_S = TTFT_S + ITL_S * (CHUNKS - 1)
SHORT = 40
"""Requests of the run whose CPU time is taken for start-up."""


@dataclass
class Turn:
    """One run of one client. Times in ms."""

    requests: int
    per_s: float
    cpu_s_per_request: float
    whole_cpu_s: float
    failed: int
    bound: bool | None
    by_id: bool
    ttft: tuple[float, float] | None
    true_ttft: tuple[float, float]
    error: tuple[float, float, float] | None
    itl: tuple[float, float] | None
    true_itl: tuple[float, float]
    late_p99: float


def main() -> None:
    options = argparse.ArgumentParser(description="Streaming clients against a known truth.")
    options.add_argument("--in-flight", default="1,8,64,256")
    options.add_argument("--rounds", type=int, default=2)
    options.add_argument("--seconds", type=float, default=2.5)
    options.add_argument("--aiperf-python", metavar="PATH")
    options.add_argument("--guidellm-python", metavar="PATH")
    options.add_argument("--only", metavar="NAME", help="clients whose name contains this")
    options.add_argument("--json", metavar="FILE", type=Path)
    given = options.parse_args()
    levels = [int(n) for n in given.in_flight.split(",")]
    cpus = sorted(os.sched_getaffinity(0))
    alone = cpus[-1:] if len(cpus) > 1 else None
    turns: dict[tuple[str, int], list[Turn]] = {}
    start_up: dict[str, tuple[float, int]] = {}
    settings = Settings(ttft=f"{TTFT_S * 1e3:g}ms", itl=f"{ITL_S * 1e3:g}ms", tokens=CHUNKS)
    with tempfile.TemporaryDirectory() as place, spawn(settings, cpus=alone) as server:
        names = contenders(Path(place), given.aiperf_python, given.guidellm_python)
        names = [one for one in names if given.only is None or given.only in one.name]
        for contender in names:
            short = turn(contender, server, 8, SHORT, Path(place))
            if short is not None:
                start_up[contender.name] = (short.whole_cpu_s, SHORT)
        for _ in range(given.rounds):
            for level in levels:
                for contender in (one for one in names if one.name in start_up):
                    rate = min(level / IDEAL_S, contender.most_per_s, 2000)
                    asked = max(level * 3, round(rate * given.seconds), 30)
                    one = turn(contender, server, level, asked, Path(place))
                    if one is not None:
                        turns.setdefault((contender.name, level), []).append(one)
    for level in levels:
        table(level, turns, start_up)
    if given.json:
        shown = [
            {"client": name, "in_flight": level, "turns": [asdict(one) for one in many]}
            for (name, level), many in turns.items()
        ]
        given.json.write_text(json.dumps({"start_up": start_up, "runs": shown}, indent=1))


def turn(
    contender: Contender, server: Spawned, level: int, requests: int, place: Path
) -> Turn | None:
    """None where it failed, which is printed."""
    server.clear()
    with tempfile.TemporaryDirectory(dir=place) as folder:
        command = contender.command(server.url, level, requests, Path(folder))
        try:
            tree = Tree(command, environment(contender), Path(folder))
            said = contender.read(Path(folder))
        except (RuntimeError, OSError, KeyError) as error:
            print(f"{contender.name}, {level} in flight: {type(error).__name__}: {error}")
            return None
    truths = [truth for truth in server.truth() if truth.ended == "done" and truth.before_ns]
    return measured(said, truths, tree, level)


def measured(said: Said, truths: list[Truth], tree: Tree, level: int) -> Turn:
    truths = sorted(truths, key=lambda truth: truth.first_byte_ns)
    ends = np.sort([truth.end_ns or 0 for truth in truths])
    low, high = len(ends) // 10, len(ends) - 1 - len(ends) // 10
    span_s = (ends[high] - ends[low]) / 1e9
    # A client without ids cannot be asked for the times of these alone.
    steady = truths[level:] if said.ids and len(truths) >= 2 * level else truths
    names = {truth.request_id for truth in steady}
    itl = np.concatenate([np.diff(truth.before_ns) for truth in steady]) / 1e9
    late = np.concatenate([truth.late_s for truth in steady])
    error = None
    if said.ids:
        true_s = {truth.request_id: truth.ttft_s or 0.0 for truth in truths}
        if not said.ttft_s.keys() <= true_s.keys():
            msg = f"{len(said.ttft_s.keys() - true_s.keys())} of its requests are not in the truth"
            raise AssertionError(msg)
        errors = {name: abs(ttft - true_s[name]) for name, ttft in said.ttft_s.items()}
        usual = _ms([e for name, e in errors.items() if name in names])
        error = (*usual, max(errors.values()) * 1e3)
    return Turn(
        requests=len(truths),
        per_s=(high - low) / span_s,
        cpu_s_per_request=tree.between(int(ends[low]), int(ends[high])) / (high - low),
        whole_cpu_s=tree.cpu_s,
        failed=said.failed,
        bound=said.bound,
        by_id=said.ids,
        ttft=_said(said, "ttft", [t for name, t in said.ttft_s.items() if name in names]),
        true_ttft=_ms([truth.ttft_s or 0.0 for truth in steady]),
        error=error,
        itl=_said(said, "itl", said.itl_s),
        true_itl=_ms(itl),
        late_p99=_ms(late)[1],
    )


def _ms(values_s: object) -> tuple[float, float]:
    p50, p99 = np.percentile(np.asarray(values_s, dtype=float), [50, 99]) * 1e3
    return float(p50), float(p99)


def _said(said: Said, what: str, values_s: list[float]) -> tuple[float, float] | None:
    if values_s:
        return _ms(values_s)
    if f"{what}_p50" in said.percentiles_s:
        return said.percentiles_s[f"{what}_p50"] * 1e3, said.percentiles_s[f"{what}_p99"] * 1e3
    return None


def table(
    level: int, turns: dict[tuple[str, int], list[Turn]], start_up: dict[str, tuple[float, int]]
) -> None:
    rows = {name: many for (name, at), many in turns.items() if at == level}
    ideal = level / IDEAL_S
    print(
        f"\n{level} in flight; the server's ideal is {ideal:.0f} requests/s. ms, medians of runs.\n"
    )
    print(
        f"{'':27}  req/s  per CPU s  whole run  TTFT p50  p99 (true p50    p99)  error p50"
        "    p99    max  ITL p50  p99 (true p50    p99)  server late  bound  failed"
    )
    for name, many in rows.items():
        print(f"{name:27} {_row(many, start_up[name])}")
    late = median(one.late_p99 for many in rows.values() for one in many)
    if late > 1:
        print(f"The server itself was late, by {late:.1f} ms at p99: it, or this machine, limits.")
    peers = [name for name in rows if name.startswith(("AIPerf", "GuideLLM"))]
    for ours in ("perwatt run", "perwatt endpoint"):
        for peer in peers if ours in rows else ():
            cheaper = _cpu(rows[peer]) / _cpu(rows[ours])
            faster = _per_s(rows[ours]) / _per_s(rows[peer])
            print(f"{ours} / {peer}: {cheaper:.1f}× per CPU second, {faster:.1f}× requests/s")


def _cpu(many: list[Turn]) -> float:
    return median(one.cpu_s_per_request for one in many)


def _per_s(many: list[Turn]) -> float:
    return median(one.per_s for one in many)


def _row(many: list[Turn], start_up: tuple[float, int]) -> str:
    # Start-up varies by more than a few requests cost: only where there are enough of them.
    wholes = [
        (one.requests - start_up[1]) / (one.whole_cpu_s - start_up[0])
        for one in many
        if one.requests >= start_up[1] * 4 and one.whole_cpu_s > start_up[0]
    ]
    whole = f"{median(wholes):9.0f}" if wholes else "        –"
    ttft = _pair([one.ttft for one in many])
    itl = _pair([one.itl for one in many])
    true_ttft = _pair([one.true_ttft for one in many])
    true_itl = _pair([one.true_itl for one in many])
    errors = [one.error for one in many if one.error is not None]
    if errors:
        error = "  ".join(f"{median(e[i] for e in errors):6.2f}" for i in range(3))
    else:
        gaps = [[abs(one.ttft[i] - one.true_ttft[i]) for i in range(2)] for one in many if one.ttft]
        error = "  ".join(f"~{median(g[i] for g in gaps):5.1f}" for i in range(2)) + "       –"
    bound = {one.bound for one in many}
    said = "never" if bound == {None} else "yes" if bound == {True} else "no"
    said = "some" if bound == {True, False} else said
    return (
        f"{_per_s(many):6.0f}  {1 / _cpu(many):9.0f}  {whole}  {ttft}  ({true_ttft})"
        f"    {error}  {itl} ({true_itl})  {median(one.late_p99 for one in many):11.2f}"
        f"  {said:>5}  {sum(one.failed for one in many):6}"
    )


def _pair(pairs: list[tuple[float, float] | None]) -> str:
    known = [pair for pair in pairs if pair is not None]
    if not known:
        return "     –       –"
    return f"{median(p[0] for p in known):6.2f}  {median(p[1] for p in known):6.2f}"


if __name__ == "__main__":
    main()
