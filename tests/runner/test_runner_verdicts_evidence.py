"""From run.json and the journal to what verdicts are judged on."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from perwatt.core.clock import ClockAnchor
from perwatt.core.records import Domain, Item, PowerSample, Reply, Request
from perwatt.runner.rows import EnergyShare
from perwatt.runner.verdicts_evidence import Evidence, evidence_of, loads_of
from perwatt.store.journal import Journal, Power, Session
from tests.runner.asked_load import MS, PAIR, S, audit, evidence, phase, reply, request

GPU = Domain(
    name="gpu0",
    kind="counter",
    boundary="accelerator",
    source="nvml",
    grade="B",
    device="a card",
)


def retried(n: int) -> Request:
    failed = reply(n * 140 * MS, status="retried", error_kind="http-503")
    return request(50 + n, failed, request_id=f"a/{n}/0#attempt-1", item_id=str(n))


def gathered(
    requests: tuple[Request, ...], joules: dict[str, float | None], **spec: Any
) -> Evidence:
    watts = [
        PowerSample(t_ns=t * 20 * MS, domain="gpu0", counter_j=t * 0.5, power_w=None)
        for t in range(100)
    ]
    journal = Journal(
        sessions=(
            Session(
                session=1,
                anchor=ClockAnchor(monotonic_ns=0, wall_ns=0, boot_id=None),
                perwatt_version="0",
                pid=1,
            ),
        ),
        phases=(phase(),),
        requests=requests,
        scores=(),
        power=(Power(session=1, samples=tuple(watts)),),
        audits=(audit(),),
    )
    run = {
        "pairs": {"a": msgspec.to_builtins(PAIR)},
        "spec": {"attribution": "time", **spec},
        "energy": {
            "line": "Energy: nvml.",
            "grade": "B",
            "domains": [msgspec.to_builtins(GPU)],
            "counted": {"a": ["gpu0"]},
        },
    }
    shares = {
        name: EnergyShare(energy_gross_j=j, boundary="accelerator", grade="B", attribution="time")
        for name, j in joules.items()
    }
    items = {"0": Item(id="0", kind="k", messages=(), reference="", scorer="exact")}
    return evidence_of(run, journal, items, shares, {})


def test_joules_set_aside_are_those_of_attempts_asked_again() -> None:
    requests = (retried(0), retried(1), request(0), request(1))
    joules = {"a/0/0#attempt-1": 0.25, "a/1/0#attempt-1": 0.5, "a/0/0": 2.0, "a/1/0": None}
    seen = gathered(requests, joules)
    assert seen.set_aside_j == {"a": 0.75}
    assert seen.unmeasured == {"a": 1}
    # One that is not known makes the sum unknown, not smaller.
    assert gathered(requests, {**joules, "a/1/0#attempt-1": None}).set_aside_j == {}


def test_the_spec_and_the_counted_joules_are_at_hand() -> None:
    seen = gathered((request(0),), {}, max_in_flight=4, per_query=True)
    assert (seen.max_in_flight, seen.per_query) == (4, True)
    assert seen.audits == (audit(),)
    curve = seen.curves["a"]
    assert curve.energy_j[-1] - curve.energy_j[0] == pytest.approx(49.5)


def stages(*words: str | None) -> Evidence:
    return evidence(
        requests=tuple(
            request(k, phase_id=f"p{n}", stage=n) for n in range(len(words)) for k in range(3)
        ),
        phases=tuple(phase(phase_id=f"p{n}", stage=n, load=w) for n, w in enumerate(words)),
    )


def test_each_stage_is_a_load_of_its_own_and_named_where_there_are_several() -> None:
    loads = loads_of(stages("closed:1", "poisson:4@30s"))
    assert [load.label for load in loads] == ["Model A at closed:1", "Model A at poisson:4@30s"]
    assert [load.by_the_clock for load in loads] == [False, True]
    (alone,) = loads_of(stages("closed:1"))
    assert alone.label == "Model A"


def test_words_that_another_version_wrote_are_unknown() -> None:
    (load,) = loads_of(stages("closed:many"))
    assert load.load is None
    assert not load.by_the_clock


def test_warm_up_failures_and_what_was_asked_again_are_no_answers() -> None:
    failed: Reply = reply(3 * 140 * MS, status="error", error_kind="reset")
    requests = (*(request(n) for n in range(3)), request(3, failed), retried(4), request(5))
    counted = phase(counted_from_ns=140 * MS, counted_to_ns=S // 2)
    (load,) = loads_of(evidence(requests=requests, phases=(counted,)))
    assert [r.item_id for r in load.attempts] == ["0", "1", "2", "3", "4", "5"]
    assert [r.item_id for r in load.ended] == ["0", "1", "2", "3", "5"]
    assert [r.item_id for r in load.answered] == ["1", "2"]
    assert len(load.gaps_s) == 18
