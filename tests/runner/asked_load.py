"""A load that went well, as records: tests change the one thing that they are about."""

from __future__ import annotations

from typing import Any

import msgspec

from perwatt.core.records import ClientAudit, PairIdentity, Phase, Reply, Request, Sampling
from perwatt.core.summary import EnergyLedger
from perwatt.runner.verdicts import Evidence

MS = 1_000_000
S = 1_000_000_000
PAIR = PairIdentity(pair_id="a", label="Model A", model="a", engine="e")


def reply(
    at_ns: int = 0, *, ttft_ms: float = 50, gaps_ms: Any = (10,) * 9, **changed: Any
) -> Reply:
    """Ten chunks: the first after 50 ms, the others every 10 ms. `changed`: fields of the reply."""
    offsets = [round(ttft_ms * MS)]
    for gap in gaps_ms:
        offsets.append(offsets[-1] + round(gap * MS))
    known: dict[str, Any] = {
        "status": "ok",
        "dispatched_ns": at_ns,
        "sent_ns": at_ns + MS // 10,
        "connection": "reused",
        "first_chunk_ns": at_ns + offsets[0],
        "first_answer_ns": at_ns + offsets[0],
        "last_chunk_ns": at_ns + offsets[-1],
        "chunk_offsets_ns": tuple(offsets),
        "text": f"Answer given at {at_ns}",
        "finish_reason": "stop",
        "prompt_tokens": 100,
        "completion_tokens": len(offsets),
        "tokens_by": "server",
    }
    return Reply(**{**known, **changed})


def request(n: int, answer: Reply | None = None, **changed: Any) -> Request:
    """The n-th of a closed loop of one: asked when the one before had ended, every 0.14 s."""
    at_ns = round(n * 0.14 * S)
    made = reply(at_ns) if answer is None else answer
    known: dict[str, Any] = {
        "request_id": f"a/{n}/0",
        "item_id": str(n),
        "pair_id": "a",
        "session": 1,
        "phase_id": "p",
        "repeat": 0,
        "scheduled_ns": made.dispatched_ns,
        "in_flight": 1,
        "prompt_sha256": f"{n:064x}",
        "sampling": Sampling(),
        "reply": made,
    }
    return Request(**{**known, **changed})


def phase(**changed: Any) -> Phase:
    known: dict[str, Any] = {
        "phase_id": "p",
        "kind": "load",
        "session": 1,
        "pair_id": "a",
        "start_ns": 0,
        "end_ns": 6 * S,
        "neighbour_share": 0.0,
        "own_share": 0.01,
        "stage": 0,
        "load": "closed:1",
    }
    return Phase(**{**known, **changed})


def audit(**changed: Any) -> ClientAudit:
    """Of a client that had little to do."""
    known: dict[str, Any] = {
        "phase_id": "p",
        "wall_s": 6.0,
        "cpu_s": 0.6,
        "loop_cpu_s": 0.5,
        "loop_lag_s": (0.0002, 0.0004, 0.0008, 0.001, 0.002),
        "probes": 300,
        "gc_s": 0.01,
    }
    return ClientAudit(**{**known, **changed})


def ledger(**changed: Any) -> EnergyLedger:
    clean = EnergyLedger(
        pair_id="a",
        device_j=100.0,
        requests_j=90.0,
        idle_j=10.0,
        unattributed_j=0.0,
        prefill_j=40.0,
        decode_j=50.0,
        idle_power_w=3.0,
        window_s=10.0,
        domains=("package-0",),
        boundary="package",
        grade="B",
        gain_low=0.95,
        gain_high=1.05,
    )
    return msgspec.structs.replace(clean, **changed)


def evidence(**changed: Any) -> Evidence:
    """Forty requests, one at a time, to one pair. It deserves no verdict."""
    clean = Evidence(
        pairs={"a": PAIR},
        requests=tuple(request(n) for n in range(40)),
        phases=(phase(),),
        ledgers={"a": ledger()},
        energy={"line": "Energy: RAPL.", "grade": "B", "boundary": "package", "domains": []},
        sessions=1,
        in_flight=1,
        attribution="time",
        unmeasured={"a": 0},
        audits=(audit(),),
    )
    return msgspec.structs.replace(clean, **changed)
