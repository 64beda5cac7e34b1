"""Plausible finished runs from a seeded generator, shaped as the layers below hand them over."""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from typing import Any

import pytest

from perwatt.core.estimate import Estimate, Grade
from perwatt.core.records import PairIdentity, Verdict
from perwatt.core.summary import Comparison, EnergyLedger, MetricInfo, PairSummary, RunSummary
from perwatt.report.view import ReportRun

KINDS = ("knowledge", "reading", "extraction", "arithmetic", "word-problem", "tool-call")
CATEGORIES = ("Computer and mathematical", "Education instruction and library", "Sales and related")
FIRST_NS = 5_000_000_000_000
JOULES = {"ipj", "ipw", "j_per_correct", "energy_gross_j", "energy_net_j", "power_gross_w"}

INFOS = tuple(
    MetricInfo(name=name, title=title, short=short, unit=unit, formula=formula, better=better)
    for name, title, short, unit, formula, better in (
        ("accuracy", "Accuracy", "acc", "share", "mean aᵢ over all attempted items", "higher"),
        ("ipj", "Accuracy per joule (IPJ)", "IPJ", "1/J", "mean aᵢ / mean Eᵢ", "higher"),
        ("ipw", "Accuracy per watt (IPW)", "IPW", "1/W", "mean aᵢ / mean Pᵢ", "higher"),
        ("j_per_correct", "Joules per correct answer", "J/correct", "J", "Σ Eᵢ / Σ aᵢ", "lower"),
        ("energy_gross_j", "Energy per request, gross", "J", "J", "mean Eᵢ", "lower"),
        ("energy_net_j", "Energy per request, net", "J net", "J", "mean Eᵢ less idle", "lower"),
        ("power_gross_w", "Power, gross", "W", "W", "mean Pᵢ, with Pᵢ = Eᵢ / τᵢ", "lower"),
        ("ttft", "Time to first token", "TTFT", "s", "mean (first chunk − dispatch)", "lower"),
        ("latency", "Latency", "E2E", "s", "mean (last chunk − dispatch)", "lower"),
        ("failure_share", "Failed requests", "failed", "share", "failed / attempted", "lower"),
    )
)

Row = dict[str, Any]


def make_run(
    *,
    pairs: int = 2,
    items: int = 96,
    grade: Grade | None = "D",
    in_flight: int = 1,
    fail_every: int | None = None,
    pause_after: int | None = None,
    seed: int = 7,
    text: str | None = None,
) -> ReportRun:
    """`pause_after`: an hour passes after so many requests. `grade` None: no sensor was found."""
    rng = random.Random(seed)
    identities = [_identity(n) for n in range(pairs)]
    rows: list[Row] = []
    clock = FIRST_NS
    for n, identity in enumerate(identities):
        free = [clock] * in_flight
        for k in range(items):
            slot = min(range(in_flight), key=free.__getitem__)
            if pause_after is not None and len(rows) == pause_after:
                free = [max(free) + 3600 * 10**9] * in_flight
                slot = 0
            failed = fail_every is not None and k % fail_every == fail_every - 1
            row = _row(rng, identity.pair_id, n, k, free[slot], grade, failed, text)
            row["in_flight"] = in_flight
            free[slot] = row["last_chunk_ns"] + 4_000_000
            rows.append(row)
        clock = max(free) + 2 * 10**9
    names = list(rows[0])
    requests = {name: [row[name] for row in rows] for name in names}
    summaries = tuple(_pair(identity, rows, grade) for identity in identities)
    return ReportRun(
        directory="20261121-demo",
        summary=_summary(summaries, grade, rows),
        requests=requests,
        power={} if grade is None else _power(rng, rows),
    )


def _identity(n: int) -> PairIdentity:
    precision = ("q4_1", "q8_0", "f16", "q5_1", "q4_0", "bf16", "q6_k")[n % 7]
    again = f"-{n // 7 + 1}" if n >= 7 else ""
    return PairIdentity(
        pair_id=f"smollm2-135m@{precision}{again}",
        label=f"SmolLM2-135M {precision.upper()}{again}",
        model="smollm2-135m",
        engine="llama.cpp",
        engine_version="b7099",
        precision=precision,
        model_file=f"smollm2-135m-{precision}.gguf",
        model_sha256="3f" * 32,
        model_bytes=98_400_000 + n * 46_000_000,
        parameters=134_515_008,
        licence="Apache-2.0",
        device="AMD EPYC 9354 (2 of its threads)",
        settings={"threads": 2, "context": 2048},
    )


def _row(
    rng: random.Random,
    pair: str,
    n: int,
    k: int,
    at: int,
    grade: Grade | None,
    failed: bool,
    text: str | None,
) -> Row:
    tokens = rng.randint(3, 48)
    ttft = int(rng.lognormvariate(math.log(0.11 * (1 + 0.3 * n)), 0.35) * 1e9)
    gaps = [int(rng.gauss(22 + 7 * n, 2.2) * 1e6) for _ in range(tokens - 1)]
    offsets = [ttft]
    for gap in gaps:
        offsets.append(offsets[-1] + gap)
    last = at + (int(0.4e9) if failed else offsets[-1])
    joules = (last - at) / 1e9 * rng.gauss(14.5 + 2 * n, 0.6)
    known = grade is not None
    right = rng.random() < 0.38 + 0.06 * n - 0.02 * (k % 6)
    prefill = joules * ttft / (last - at) if not failed else joules
    return {
        "request_id": f"{pair}/{k}",
        "item_id": f"{KINDS[k % 6]}-{k:03d}",
        "pair_id": pair,
        "kind": KINDS[k % 6],
        "level": k % 3 + 1,
        "category": CATEGORIES[k % 3],
        "repeat": 0,
        "status": "error" if failed else "ok",
        "error_kind": "timeout" if failed else None,
        "error": "no chunk for 120 s" if failed else None,
        "dispatched_ns": at,
        "scheduled_ns": at - 1_000_000,
        "first_chunk_ns": None if failed else at + ttft,
        "last_chunk_ns": last,
        "chunk_offsets_ns": [] if failed else offsets,
        "completion_tokens": None if failed else tokens,
        "text": ""
        if failed
        else (text if text is not None else f"The answer is {rng.choice('ABCD')}."),
        "extracted": None if failed else "B",
        "score": 0.0 if failed else float(right),
        "energy_gross_j": joules if known else None,
        "energy_net_j": joules * 0.4 if known else None,
        "energy_low_j": joules * 0.5 if known else None,
        "energy_high_j": joules * 1.9 if known else None,
        "prefill_j": min(prefill, joules) if known else None,
        "decode_j": max(joules - prefill, 0.0) if known else None,
        "grade": grade,
        "flags": [],
    }


def _power(rng: random.Random, rows: list[Row]) -> dict[str, list[Any]]:
    """A counter at 20 Hz from 2 s before each busy stretch to 1 s after it."""
    spans = sorted((r["dispatched_ns"], r["last_chunk_ns"]) for r in rows)
    starts = [spans[0][0]]
    ends = [spans[0][1]]
    for start, end in spans[1:]:
        if start - ends[-1] > 60 * 10**9:
            starts.append(start)
            ends.append(end)
        ends[-1] = max(ends[-1], end)
    out: dict[str, list[Any]] = {
        name: []
        for name in (
            "t_ns",
            "device",
            "domain",
            "counter_j",
            "power_w",
            "source",
            "session",
            "flag",
        )
    }
    for session, (start, end) in enumerate(zip(starts, ends, strict=True)):
        counter, t = 0.0, start - 2 * 10**9
        marks = iter(spans)
        span = next(marks)
        while t <= end + 10**9:
            while span[1] < t and (after := next(marks, None)) is not None:
                span = after
            watts = rng.gauss(15.5, 1.1) if span[0] <= t <= span[1] else rng.gauss(8.2, 0.3)
            failed = rng.random() < 0.001
            joules, flag = (None, "read-failed") if failed else (counter, None)
            device, domain, source = "AMD EPYC 9354", "package-0", "estimated"
            values = (t, device, domain, joules, None, source, session, flag)
            for name, value in zip(out, values, strict=True):
                out[name].append(value)
            t += 50_000_000
            counter += watts * 0.05
    return out


def _estimate(value: float, unit: str, n: int, spread: float, grade: Grade | None) -> Estimate:
    half = spread / math.sqrt(max(n, 1))
    low, high = value * max(0.0, 1 - 2 * half), value * (1 + 2 * half)
    return Estimate(
        value=value,
        low=low,
        high=min(high, 1.0) if unit == "share" else high,
        unit=unit,
        method="joint bootstrap over items, 2000 draws",
        n=n,
        grade=grade,
        boundary="package" if grade else None,
    )


def _metrics(rows: list[Row], grade: Grade | None) -> dict[str, Estimate]:
    n = len(rows)
    right = sum(r["score"] for r in rows)
    seconds = [(r["last_chunk_ns"] - r["dispatched_ns"]) / 1e9 for r in rows]
    served = [r for r in rows if r["status"] == "ok"]
    plain = {
        "accuracy": (right / n, "share", 1.2),
        "failure_share": (1 - len(served) / n, "share", 1.0),
        "latency": (sum(seconds) / n, "s", 0.6),
        "ttft": (
            sum(r["first_chunk_ns"] - r["dispatched_ns"] for r in served)
            / 1e9
            / max(len(served), 1),
            "s",
            0.35,
        ),
    }
    found = {name: _estimate(v, unit, n, spread, None) for name, (v, unit, spread) in plain.items()}
    why = "no sensor could be read"
    if grade is None:
        return found | {
            i.name: Estimate(value=None, unit=i.unit, reason=why) for i in INFOS if i.name in JOULES
        }
    joules = sum(r["energy_gross_j"] for r in rows)
    watts = sum(r["energy_gross_j"] / s for r, s in zip(rows, seconds, strict=True)) / n
    energy = {
        "ipj": (right / joules, "1/J", 1.3),
        "ipw": (right / n / watts, "1/W", 1.2),
        "energy_gross_j": (joules / n, "J", 0.7),
        "energy_net_j": (joules / n * 0.4, "J", 0.8),
        "power_gross_w": (watts, "W", 0.1),
    }
    found |= {name: _estimate(v, u, n, spread, grade) for name, (v, u, spread) in energy.items()}
    found["j_per_correct"] = (
        _estimate(joules / right, "J", n, 1.4, grade)
        if right
        else Estimate(value=None, unit="J", reason="no answer was right")
    )
    return found


def _pair(identity: PairIdentity, rows: list[Row], grade: Grade | None) -> PairSummary:
    own = [r for r in rows if r["pair_id"] == identity.pair_id]
    slices: dict[str, dict[str, dict[str, Estimate]]] = {}
    for by in ("kind", "level", "category"):
        for name in sorted({str(r[by]) for r in own}):
            found = _metrics([r for r in own if str(r[by]) == name], grade)
            slices.setdefault(by, {})[name] = {k: found[k] for k in ("accuracy", "j_per_correct")}
    served = sum(r["status"] == "ok" for r in own)
    return PairSummary(
        identity=identity,
        attempted=len(own),
        served=served,
        failed=len(own) - served,
        metrics=_metrics(own, grade),
        slices=slices,
        ledger=None if grade is None else _ledger(identity.pair_id, own, grade),
    )


def _ledger(pair_id: str, rows: list[Row], grade: Grade) -> EnergyLedger:
    requests = sum(r["energy_gross_j"] for r in rows)
    prefill = sum(r["prefill_j"] for r in rows)
    return EnergyLedger(
        pair_id=pair_id,
        device_j=requests * 1.061,
        requests_j=requests,
        idle_j=requests * 0.04,
        unattributed_j=requests * 0.021,
        prefill_j=prefill,
        decode_j=requests - prefill,
        idle_power_w=8.2,
        window_s=(max(r["last_chunk_ns"] for r in rows) - rows[0]["dispatched_ns"]) / 1e9,
        domains=("package-0",),
        boundary="package",
        grade=grade,
        gain_low=0.5 if grade == "D" else 1.0,
        gain_high=1.9 if grade == "D" else 1.0,
    )


def _summary(pairs: tuple[PairSummary, ...], grade: Grade | None, rows: list[Row]) -> RunSummary:
    line = "Energy: RAPL package-0 + dram-0, counter (grade B), package boundary."
    verdicts: list[Verdict] = []
    if grade is None:
        line = "Energy is UNKNOWN: no sensor could be read here."
        verdicts.append(Verdict(code="no-energy", severity="warning", sentence=line))
    if grade == "D":
        line = (
            "Energy is ESTIMATED (grade D) from CPU load × a power curve: no RAPL and no NVIDIA GPU"
            " here; the truth may be 0.5× to 1.9× as large."
        )
        verdicts.append(
            Verdict(
                code="estimated-energy",
                severity="warning",
                sentence="Joules and watts here are a model's estimate, not a measurement.",
                mend="Run where a counter can be read; `perwatt doctor` says what is lacking.",
            )
        )
    failed = sum(p.failed for p in pairs)
    if failed:
        sentence = f"{failed} of {len(rows)} requests failed, and count as wrong."
        verdicts.insert(0, Verdict(code="failures", severity="invalid", sentence=sentence))
    few = Verdict(code="few-items", severity="note", sentence="Fewer than 400 items were asked.")
    return RunSummary(
        name="demo",
        perwatt_version="0.1.0",
        started="2026-11-21T04:58:22+00:00",
        duration_s=(max(r["last_chunk_ns"] for r in rows) - FIRST_NS) / 1e9,
        complete=True,
        workload={"name": "core", "version": "1", "sha256": "ab" * 32, "licence": "CC0-1.0"},
        energy_line=line,
        headline=f"{pairs[0].identity.label} answers "
        f"{pairs[0].metrics['accuracy']} of {len(rows) // len(pairs)} items right.",
        pairs=pairs,
        comparisons=tuple(c for b in pairs[1:] for c in _comparisons(pairs[0], b)),
        verdicts=(*verdicts, few),
        metrics=INFOS,
        environment={
            "cpu": "AMD EPYC 9354",
            "cpus": 2,
            "memory_bytes": 8_000_000_000,
            "packages": {"xllamacpp": "2026.10", "numpy": "2.3"},
        },
        spec={
            "model": [p.identity.pair_id for p in pairs],
            "workload": "core",
            "limit": 96,
            "seed": 0,
            "out": "/home/someone/runs/demo",
        },
    )


def _comparisons(a: PairSummary, b: PairSummary) -> list[Comparison]:
    found = []
    names = f"{a.identity.label} against {b.identity.label}"
    for metric, spread in (
        ("accuracy", 0.2),
        ("ipj", 0.22),
        ("energy_gross_j", 0.06),
        ("latency", 0.05),
    ):
        one, other = a.metrics[metric], b.metrics[metric]
        if one.value is None or not other.value:
            ratio = Estimate(value=None, unit="×", reason="joules are unknown")
        else:
            value = one.value / other.value
            low, high = value * (1 - spread), value * (1 + spread)
            ratio = Estimate(value=value, low=low, high=high, unit="×", n=a.attempted)
        decided = (
            ratio.low is not None and ratio.high is not None and not ratio.low <= 1 <= ratio.high
        )
        found.append(
            Comparison(
                a=a.identity.pair_id,
                b=b.identity.pair_id,
                metric=metric,
                ratio=ratio,
                decided=decided,
                sentence=f"{names}: {metric} {ratio}, {'decided' if decided else 'undecided'}.",
            )
        )
    return found


@pytest.fixture(scope="session")
def made_run() -> Callable[..., ReportRun]:
    return make_run
