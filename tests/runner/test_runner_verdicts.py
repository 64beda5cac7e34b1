from __future__ import annotations

import msgspec
import pytest

from perwatt.core.records import PairIdentity, Phase, Reply, Request, Sampling
from perwatt.core.summary import EnergyLedger
from perwatt.runner.verdicts import Evidence, find_verdicts

PAIR = PairIdentity(pair_id="a", label="Model A", model="a", engine="e")


def request(n: int, status: str = "ok", kind: str | None = None) -> Request:
    reply = msgspec.convert(
        {"status": status, "dispatched_ns": 0, "last_chunk_ns": 1, "error_kind": kind}, Reply
    )
    return Request(
        request_id=f"a/{n}/0",
        item_id=str(n),
        pair_id="a",
        session=1,
        phase_id="p",
        repeat=0,
        scheduled_ns=0,
        in_flight=1,
        prompt_sha256=None,
        sampling=Sampling(),
        reply=reply,
    )


def load(neighbours: float | None, own: float | None = 0.01, kind: str = "load") -> Phase:
    return msgspec.convert(
        {
            "phase_id": "p",
            "kind": kind,
            "session": 1,
            "pair_id": "a",
            "start_ns": 0,
            "end_ns": 10**9,
            "neighbour_share": neighbours,
            "own_share": own,
        },
        Phase,
    )


def ledger(**changed: object) -> EnergyLedger:
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


def clean(**changed: object) -> Evidence:
    evidence = Evidence(
        pairs={"a": PAIR},
        requests=tuple(request(n) for n in range(40)),
        phases=(load(0.0),),
        ledgers={"a": ledger()},
        energy={"line": "Energy: RAPL.", "grade": "B", "boundary": "package", "domains": []},
        sessions=1,
        in_flight=1,
        attribution="time",
        unmeasured={"a": 0},
    )
    return msgspec.structs.replace(evidence, **changed)


def test_a_clean_run_has_none() -> None:
    assert find_verdicts(clean()) == []


UPCAST = msgspec.structs.replace(PAIR, upcast_from="Q4_1", precision="Q8_0")
ONE_FAILED = (request(0, "error", "timeout"), *map(request, range(1, 40)))
ALL_FAILED = tuple(request(n, "error", "reset") for n in range(40))
UNKNOWN = {"line": "Energy is UNKNOWN.", "grade": None}


@pytest.mark.parametrize(
    ("changed", "code", "severity"),
    [
        ({"phases": (load(0.10),)}, "busy-machine", "warning"),
        ({"phases": (load(0.50),)}, "busy-machine", "invalid"),
        ({"phases": (load(0.0), load(0.2, kind="bare_idle"))}, "busy-machine", "warning"),
        ({"phases": (load(0.0, own=0.2),)}, "observer-cost", "warning"),
        ({"requests": ONE_FAILED}, "failures", "warning"),
        ({"requests": ALL_FAILED}, "failures", "invalid"),
        ({"requests": tuple(request(n) for n in range(5))}, "few-items", "note"),
        ({"energy": {"line": "E.", "grade": "D"}}, "estimated-energy", "warning"),
        ({"energy": UNKNOWN, "ledgers": {}}, "no-energy", "warning"),
        ({"ledgers": {"a": ledger(unattributed_j=5.0)}}, "sensor-gaps", "warning"),
        ({"ledgers": {"a": ledger(idle_power_w=None)}}, "no-baseline", "note"),
        ({"unmeasured": {"a": 2}}, "unmeasured-requests", "warning"),
        ({"sessions": 2}, "resumed", "note"),
        ({"in_flight": 4}, "batched", "note"),
        ({"pairs": {"a": UPCAST}}, "up-cast", "note"),
    ],
)
def test_each_cause_has_its_verdict_and_no_other(
    changed: dict[str, object], code: str, severity: str
) -> None:
    (verdict,) = find_verdicts(clean(**changed))
    assert (verdict.code, verdict.severity) == (code, severity)
    assert verdict.sentence.endswith(".")


def test_unknown_neighbours_are_not_called_quiet_or_busy() -> None:
    assert find_verdicts(clean(phases=(load(None),))) == []


def test_cancelled_requests_are_no_failures() -> None:
    requests = (request(0, "cancelled"), *map(request, range(1, 40)))
    assert find_verdicts(clean(requests=requests)) == []


def test_gravest_first() -> None:
    found = find_verdicts(clean(sessions=2, phases=(load(0.5),), energy={"line": "", "grade": "D"}))
    assert [v.severity for v in found] == ["invalid", "warning", "note"]
