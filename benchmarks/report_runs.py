"""Runs for the benchmarks of the report: of known joules on an accelerator and its host.

Requests are emulated/runs.py's; what a run directory of its has not, watts at 20 Hz, chunks and
phases, is laid over its tables before the run is summarised as any other.
"""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import msgspec

from emulated.runs import Answered, write_run_directory
from perwatt.core.records import Domain, PairIdentity, Phase
from perwatt.report.load import phases_of
from perwatt.report.view import ReportRun
from perwatt.runner.summary import summarise_run
from perwatt.store.load import RunTables, load_tables

__all__ = ["report_run"]

S = 10**9
EVERY_NS = S // 20
KINDS = ("knowledge", "reading", "word-problem", "tool-call")
CATEGORIES = ("Computer and mathematical", "Sales and related", "Legal", "Management")
PRECISIONS = ("fp16", "fp8", "q4_k_m", "q8_0", "bf16", "awq")
WORDS = (
    *("the", "answer", "is", "that", "a", "request", "draws", "joules", "while", "it", "waits"),
    *("réponse", "ответ", "答え"),
)


def report_run(
    folder: Path, *, pairs: int, items: int, words: int = 150, seed: int = 1
) -> ReportRun:
    """`pairs` × `items` requests, one after another; answers of about `words` words."""
    rng = random.Random(seed)
    names = [f"llama-3.1-8b@{PRECISIONS[n % len(PRECISIONS)]}-{n}" for n in range(pairs)]
    answers = [
        _answer(rng, pair, k, words, 0.35 + 0.4 * n / pairs)
        for n, pair in enumerate(names)
        for k in range(items)
    ]
    identities = [_identity(name, n) for n, name in enumerate(names)]
    device = "NVIDIA H100 80GB HBM3"
    write_run_directory(folder, answers, identities=identities, device=device, boundary="package")
    tables = load_tables(folder)
    requests = {**tables.requests, "chunk_offsets_ns": [_chunks(rng, a) for a in answers]}
    domains = (
        Domain("gpu0", "counter", "accelerator", "nvml", "B", device),
        Domain("package-0", "counter", "package", "rapl", "B", "a processor"),
    )
    run = _told(tables.run, names, items, domains)
    full = RunTables(
        requests=requests, power=_power(rng, len(answers)), scores=tables.scores, run=run
    )
    return ReportRun(
        directory=folder.name,
        summary=summarise_run(full),
        requests=full.requests,
        power=full.power,
        phases=phases_of(run),
    )


def _identity(name: str, n: int) -> PairIdentity:
    return PairIdentity(
        pair_id=name,
        label=f"Llama 3.1 8B {PRECISIONS[n % len(PRECISIONS)].upper()} {n}",
        model="llama-3.1-8b",
        engine="emulated",
        precision=PRECISIONS[n % len(PRECISIONS)],
        parameters=8_030_261_248,
        model_bytes=16_060_522_496 // (n % 3 + 1),
        device="NVIDIA H100 80GB HBM3",
    )


def _answer(rng: random.Random, pair: str, k: int, words: int, right: float) -> Answered:
    text = " ".join(rng.choices(WORDS, k=max(1, int(rng.gauss(words, words / 3)))))
    failed = k % 97 == 96
    return Answered(
        pair=pair,
        item=f"{KINDS[k % 4]}-{k:05d}",
        score=0.0 if failed else float(rng.random() < right),
        energy_j=rng.uniform(60, 120),
        seconds=rng.uniform(0.4, 0.95),
        kind=KINDS[k % 4],
        level=k % 3 + 1,
        category=CATEGORIES[k % 4],
        status="error" if failed else "ok",
        prompt_tokens=rng.randint(50, 2000),
        completion_tokens=rng.randint(20, 60),
        text="" if failed else text,
    )


def _chunks(rng: random.Random, answer: Answered) -> list[int]:
    """From a fifth of its time, as emulated/runs.py has it, to the end."""
    n = answer.completion_tokens
    first, last = answer.seconds * 2e8, answer.seconds * 1e9
    inside = sorted(rng.uniform(first, last) for _ in range(n - 2))
    return [round(t) for t in (first, *inside, last)]


def _power(rng: random.Random, seconds: int) -> dict[str, list[Any]]:
    """Both counters from 5 s before the first request to 5 s after the last."""
    out: dict[str, list[Any]] = {
        name: [] for name in ("t_ns", "domain", "counter_j", "power_w", "source", "session")
    }
    for domain, busy, idle in (("gpu0", 420.0, 70.0), ("package-0", 95.0, 45.0)):
        joules = 0.0
        for t in range(-5 * S, (seconds + 5) * S, EVERY_NS):
            for name, value in zip(out, (t, domain, joules, None, "nvml", 1), strict=True):
                out[name].append(value)
            watts = busy if 0 <= t < seconds * S and t % S < 7 * S // 10 else idle
            joules += rng.gauss(watts, watts / 15) * EVERY_NS / S
    return out


def _told(
    run: dict[str, Any], names: list[str], items: int, domains: tuple[Domain, ...]
) -> dict[str, Any]:
    """run.json with its phases and what its sensors were."""
    phases = [
        Phase(
            phase_id="idle", kind="bare_idle", session=1, pair_id=None, start_ns=-4 * S, end_ns=-S
        )
    ]
    for n, name in enumerate(names):
        phases.append(
            Phase(
                phase_id=f"load-{n}",
                kind="load",
                session=1,
                pair_id=name,
                start_ns=n * items * S,
                end_ns=(n + 1) * items * S,
                stage=0,
                load="closed:1",
            )
        )
    told = [msgspec.to_builtins(domain) for domain in domains]
    ledgers = {
        name: {**ledger, "domains": [domain.name for domain in domains]}
        for name, ledger in run["ledgers"].items()
    }
    return {
        **run,
        "phases": [msgspec.to_builtins(phase) for phase in phases],
        "energy": {**run["energy"], "domains": told},
        "ledgers": ledgers,
    }
