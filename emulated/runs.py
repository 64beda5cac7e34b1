"""Run directories whose every number is known, so that a study of them is plain arithmetic."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from uuid import uuid4

import msgspec

from perwatt import __version__
from perwatt.core.estimate import Grade
from perwatt.core.records import Columns, PairIdentity
from perwatt.core.spec import RunSpec
from perwatt.core.summary import EnergyLedger
from perwatt.store.integrity import hashes_of
from perwatt.store.rundir import RunDir
from perwatt.store.tables import write_tables

__all__ = ["Answered", "write_run_directory"]


class Answered(msgspec.Struct, frozen=True, kw_only=True):
    """One answer as the run has it. Joules None: not measured; score None: not judged."""

    pair: str
    item: str
    score: float | None
    energy_j: float | None
    net_j: float | None = None
    """None: three quarters of `energy_j`."""
    seconds: float = 1.0
    kind: str = "knowledge"
    level: int | None = None
    category: str | None = None
    repeat: int = 0
    status: str = "ok"
    stage: int = 0
    prompt_tokens: int = 100
    completion_tokens: int = 50
    text: str = ""


def write_run_directory(
    directory: Path,
    answers: Sequence[Answered],
    *,
    identities: Sequence[PairIdentity] = (),
    device: str | None = "Emulated 80GB",
    workload: str = "known",
    load: str = "closed:1",
    boundary: str = "accelerator",
    grade: Grade = "B",
    gain: tuple[float, float] = (1.0, 1.0),
    run_id: str | None = None,
    version: str = __version__,
) -> Path:
    """A finished run of `answers`, one second apart; `identities` of pairs that need more than a
    name. Pairs without any joules have no ledger."""
    pairs = list(dict.fromkeys(answer.pair for answer in answers))
    known = {identity.pair_id: identity for identity in identities}
    for pair in pairs:
        plain = PairIdentity(pair_id=pair, label=pair, model=pair, engine="emulated", device=device)
        known.setdefault(pair, plain)
    ledgers = {
        pair: _ledger(pair, [a for a in answers if a.pair == pair], boundary, grade, gain)
        for pair in pairs
        if any(a.pair == pair and a.energy_j is not None for a in answers)
    }
    items = sorted({answer.item for answer in answers})
    spec = RunSpec.resolve({"model": pairs, "endpoint": "replay:known", "load": load})
    run: dict[str, Any] = {
        "format": 1,
        "perwatt_version": version,
        "name": directory.name,
        "status": "complete",
        "run_id": run_id or uuid4().hex,
        "started": "2026-01-02T03:04:05+00:00",
        "ended": "2026-01-02T03:14:05+00:00",
        "spec": spec.to_json(),
        "workload": {
            "name": workload,
            "version": "1",
            "sha256": hashlib.sha256("\n".join(items).encode()).hexdigest(),
            "licence": "none",
            "source": "emulated",
            "items": len(items),
            "items_asked": len(items),
        },
        "requests": len(answers),
        "environment": {},
        "pairs": {pair: msgspec.to_builtins(known[pair]) for pair in pairs},
        "energy": {
            "line": f"Energy is known: grade {grade}, {boundary}." if ledgers else "No energy.",
            "boundary": boundary if ledgers else None,
            "grade": grade if ledgers else None,
            "domains": [],
            "tried": [],
            "counted": {},
            "hosting": {},
            "refused": {},
            "timings": [],
        },
        "ledgers": msgspec.to_builtins(ledgers),
        "phases": [],
        "sessions": 1,
        "client": [],
        "verdicts": [],
        "traps": [],
    }
    rows = [
        _row(n, answer, workload, boundary, grade if answer.pair in ledgers else None)
        for n, answer in enumerate(answers)
    ]
    with RunDir.create(directory) as run_dir:
        write_tables(directory, requests=_columns(rows), power={}, scores={})
        run["files"] = hashes_of(directory)
        run_dir.write_run(run)
    return directory


def _row(
    n: int, answer: Answered, workload: str, boundary: str, grade: Grade | None
) -> dict[str, Any]:
    start = n * 1_000_000_000
    known = answer.energy_j is not None
    net = answer.net_j
    if net is None and answer.energy_j is not None:
        net = 0.75 * answer.energy_j
    return {
        "request_id": f"{answer.pair}/{answer.item}/{answer.repeat}/{answer.stage}/{n}",
        "item_id": answer.item,
        "pair_id": answer.pair,
        "workload": workload,
        "kind": answer.kind,
        "level": answer.level,
        "category": answer.category,
        "repeat": answer.repeat,
        "status": answer.status,
        "error_kind": None if answer.status == "ok" else "reset",
        "scheduled_ns": start,
        "dispatched_ns": start,
        "first_chunk_ns": start + round(answer.seconds * 2e8),
        "first_answer_ns": start + round(answer.seconds * 2e8),
        "last_chunk_ns": start + round(answer.seconds * 1e9),
        "prompt_tokens": answer.prompt_tokens,
        "completion_tokens": answer.completion_tokens,
        "text": answer.text,
        "score": answer.score,
        "energy_gross_j": answer.energy_j,
        "energy_net_j": net,
        "prefill_j": None if answer.energy_j is None else 0.25 * answer.energy_j,
        "decode_j": None if answer.energy_j is None else 0.75 * answer.energy_j,
        "power_mean_w": None if answer.energy_j is None else answer.energy_j / answer.seconds,
        "boundary": boundary if known else None,
        "grade": grade if known else None,
        "attribution": "phase" if known else None,
        "flags": [],
        "group": answer.item,
        "stage": answer.stage,
        "turn": 0,
        "attempt": 1,
        "abstained": answer.score is None,
        "extracted": answer.text or None,
        "scorer": "exact",
    }


def _ledger(
    pair: str,
    answers: Sequence[Answered],
    boundary: str,
    grade: Grade,
    gain: tuple[float, float],
) -> EnergyLedger:
    joules = sum(a.energy_j or 0.0 for a in answers)
    return EnergyLedger(
        pair_id=pair,
        device_j=joules + 10.0,
        requests_j=joules,
        idle_j=10.0,
        unattributed_j=0.0,
        prefill_j=0.25 * joules,
        decode_j=0.75 * joules,
        idle_power_w=10.0,
        window_s=sum(a.seconds for a in answers) + 1.0,
        domains=("gpu0",),
        boundary=boundary,
        grade=grade,
        gain_low=gain[0],
        gain_high=gain[1],
        attribution="phase",
    )


def _columns(rows: Sequence[dict[str, Any]]) -> Columns:
    return {name: [row[name] for row in rows] for name in rows[0]} if rows else {}
