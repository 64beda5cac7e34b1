from __future__ import annotations

import msgspec
import pytest

from perwatt.core.records import Phase, Request
from perwatt.runner.verdicts import find_verdicts
from tests.runner.asked_load import PAIR, evidence, ledger, phase, request


def failed(n: int, kind: str, status: str = "error") -> Request:
    whole = request(n)
    answer = msgspec.structs.replace(
        whole.reply, status=status, error_kind=kind, first_chunk_ns=None, chunk_offsets_ns=()
    )
    return msgspec.structs.replace(whole, reply=answer)


def load(neighbours: float | None, own: float | None = 0.01, kind: str = "load") -> Phase:
    return phase(neighbour_share=neighbours, own_share=own, kind=kind)


def test_a_clean_run_has_none() -> None:
    assert find_verdicts(evidence()) == []


UPCAST = msgspec.structs.replace(PAIR, upcast_from="Q4_1", precision="Q8_0")
ONE_FAILED = (failed(0, "timeout-first"), *map(request, range(1, 40)))
ALL_FAILED = tuple(failed(n, "reset") for n in range(40))
REPLAYED = msgspec.structs.replace(PAIR, engine="replay")
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
        ({"pairs": {"a": REPLAYED}}, "replayed", "invalid"),
    ],
)
def test_each_cause_has_its_verdict_and_no_other(
    changed: dict[str, object], code: str, severity: str
) -> None:
    (verdict,) = find_verdicts(evidence(**changed))
    assert (verdict.code, verdict.severity) == (code, severity)
    assert verdict.sentence.endswith(".")


def test_unknown_neighbours_are_not_called_quiet_or_busy() -> None:
    assert find_verdicts(evidence(phases=(load(None),))) == []


def test_cancelled_requests_are_no_failures() -> None:
    requests = (failed(0, "", "cancelled"), *map(request, range(1, 40)))
    assert find_verdicts(evidence(requests=requests)) == []


def test_gravest_first() -> None:
    found = find_verdicts(
        evidence(sessions=2, phases=(load(0.5),), energy={"line": "", "grade": "D"})
    )
    assert [v.severity for v in found] == ["invalid", "warning", "note"]
