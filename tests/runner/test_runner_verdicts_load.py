"""Was the load what it says? Late, held back, stalled, behind, changing; and when it was not."""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np
import pytest

from perwatt.attribution.integrate import Curve
from perwatt.core.records import Request
from perwatt.runner.verdicts import Evidence, find_verdicts
from tests.runner.asked_load import MS, S, evidence, phase, reply, request


def codes(seen: Evidence) -> dict[str, str]:
    return {v.code: v.severity for v in find_verdicts(seen)}


def sentence(seen: Evidence, code: str) -> str:
    (found,) = [v.sentence for v in find_verdicts(seen) if v.code == code]
    return found


def at(due_s: Any, latency_s: Any, lag_s: Any = 0.0, **changed: Any) -> tuple[Request, ...]:
    """Requests due then, dispatched `lag_s` later, answered in one chunk after `latency_s`."""
    due, took, lag = np.broadcast_arrays(due_s, latency_s, lag_s)
    return tuple(
        request(
            n,
            reply(
                round((due[n] + lag[n]) * S), ttft_ms=took[n] * 1e3, gaps_ms=(), tokens_by="chunks"
            ),
            **{"scheduled_ns": round(due[n] * S), **changed},
        )
        for n in range(len(due))
    )


EVERY_50_MS = np.arange(200) * 0.05
OPEN = phase(load="constant:20", end_ns=11 * S)


def opened(requests: tuple[Request, ...], **changed: Any) -> Evidence:
    return evidence(requests=requests, phases=(OPEN,), audits=(), **changed)


def test_requests_on_time_are_on_time() -> None:
    assert codes(opened(at(EVERY_50_MS, 0.1))) == {}
    # 4 ms are late, but not beside a TTFT of 100 ms.
    assert codes(opened(at(EVERY_50_MS, 0.1, 0.004))) == {}


@pytest.mark.parametrize(("share", "severity"), [(0.02, "warning"), (0.5, "invalid")])
def test_requests_that_left_late(share: float, severity: str) -> None:
    lag = np.where(np.arange(200) < 200 * share, 0.03, 0.0)
    seen = opened(at(EVERY_50_MS, 0.1, lag))
    assert codes(seen) == {"late-dispatch": severity}
    assert f"{round(200 * share)} of 200 requests" in sentence(seen, "late-dispatch")
    assert "the worst by 0.03 s" in sentence(seen, "late-dispatch")


def test_a_closed_loop_has_no_schedule_to_miss() -> None:
    late = evidence(requests=tuple(request(n, scheduled_ns=n * 140 * MS) for n in range(40)))
    assert "late-dispatch" not in codes(late)


def test_requests_held_back_are_queued_in_the_client_and_not_late() -> None:
    held = at(EVERY_50_MS, 0.11, np.where(EVERY_50_MS < 0.1, 0, 0.03))
    seen = opened(held, max_in_flight=2)
    assert codes(seen) == {"client-queued": "warning"}
    assert "--max-in-flight 2 held back 198 of 200" in sentence(seen, "client-queued")
    assert codes(opened(held, max_in_flight=3)) == {"late-dispatch": "invalid"}


def test_asking_again_is_no_lateness() -> None:
    again = at(EVERY_50_MS, 0.1, 0.5, attempt=2)
    assert "late-dispatch" not in codes(opened(again))


def closed(times: np.ndarray[Any, Any], places: int = 1, **changed: Any) -> Evidence:
    """A closed loop whose n-th request of each place takes `times[n]` seconds."""
    requests: list[Request] = []
    for place in range(places):
        due = np.concatenate([[0.0], np.cumsum(times)[:-1]]) + place * 0.001
        for made in at(due, times):
            number = len(requests)
            requests.append(
                msgspec.structs.replace(
                    made, request_id=f"a/{number}/0", item_id=f"{number}", in_flight=places
                )
            )
    end_ns = max(r.reply.last_chunk_ns for r in requests)
    load = phase(load=f"closed:{places}", end_ns=end_ns)
    return evidence(requests=tuple(requests), phases=(load,), audits=(), **changed)


def test_a_stall_that_few_saw_is_told_as_those_who_do_not_wait_would_see_it() -> None:
    times = np.full(300, 0.05)
    times[150] = 3.0
    seen = closed(times, places=2)
    found = codes(seen)
    assert found["coordinated-omission"] == "warning"
    said = sentence(seen, "coordinated-omission")
    assert "fell silent 1 time(s), for 3 s" in said
    assert "p99 of latency is 0.05 s" in said
    # 3 s of 17.95 pass in silence: the worst hundredth begins some 0.2 s below the whole wait.
    corrected = float(said.split("and ")[-1].split(" s")[0])
    assert corrected == pytest.approx(2.85, abs=0.15)


def test_slow_answers_that_the_others_do_not_wait_for_are_no_stall() -> None:
    steady = closed(np.full(300, 0.05), places=2)
    assert "coordinated-omission" not in codes(steady)
    varied = closed(np.random.default_rng(1).lognormal(-3, 0.7, 300))
    assert "coordinated-omission" not in codes(varied)


def test_places_that_stand_empty() -> None:
    half_idle = tuple(request(n, reply(n * 280 * MS)) for n in range(40))
    seen = evidence(requests=half_idle)
    assert codes(seen) == {"in-flight-not-reached": "warning"}
    assert "Only 0.5 of 1 requests" in sentence(seen, "in-flight-not-reached")
    # --per-query waits on purpose.
    assert codes(evidence(requests=half_idle, per_query=True)) == {}


def test_too_few_requests_to_fill_the_places() -> None:
    few = evidence(phases=(phase(load="closed:16"),))
    assert codes(few)["in-flight-not-reached"] == "note"


def test_a_server_that_cannot_keep_up() -> None:
    behind = at(EVERY_50_MS, 0.1 + EVERY_50_MS * 0.5)
    seen = opened(behind)
    assert codes(seen)["over-saturated"] == "warning"
    assert "those waiting grew from" in sentence(seen, "over-saturated")
    assert "over-saturated" not in codes(opened(at(EVERY_50_MS, 1.5)))  # slow, but it keeps up


def test_where_a_sweep_ended() -> None:
    ended = phase(load="closed:1", stopped="saturated")
    assert codes(evidence(phases=(ended,))) == {"saturated": "note"}


def test_a_stage_with_few_requests_besides_its_warm_up() -> None:
    warm = phase(counted_from_ns=4 * S)
    assert codes(evidence(phases=(warm,))) == {"few-requests": "note"}


def test_a_slow_start_is_not_steady_and_says_how_much_to_leave_out() -> None:
    rng = np.random.default_rng(2)
    times = rng.normal(0.05, 0.004, 300)
    times[:60] *= 3
    (verdict,) = [v for v in find_verdicts(closed(times)) if v.code == "not-steady"]
    assert "latency went from 0.15" in verdict.sentence
    assert "to 0.0495 s" in verdict.sentence
    assert verdict.mend is not None
    assert "--warmup-s 9." in verdict.mend or "--warmup-s 10." in verdict.mend  # 60 × 0.15 s
    left_out = phase(load="closed:1", end_ns=30 * S, counted_from_ns=round(9.1 * S))
    rest = msgspec.structs.replace(closed(times), phases=(left_out,))
    assert "not-steady" not in codes(rest)


def test_a_steady_load_is_steady() -> None:
    rng = np.random.default_rng(3)
    assert "not-steady" not in codes(closed(rng.normal(0.05, 0.004, 300)))


@pytest.mark.parametrize("ramp", [True, False])
def test_watts_that_change(ramp: bool) -> None:
    rng = np.random.default_rng(4)
    t_ns = np.arange(0, 15 * S, 20 * MS, dtype=np.int64)
    power_w = rng.normal(40, 1, len(t_ns)) * (np.linspace(1, 1.6, len(t_ns)) if ramp else 1)
    joules = np.cumsum(power_w) * 0.02
    curve = Curve(t_ns, joules, np.ones(len(t_ns) - 1, dtype=np.bool_))
    seen = closed(rng.normal(0.05, 0.004, 280), curves={"a": curve})
    assert ("not-steady" in codes(seen)) == ramp
    if ramp:
        assert "power went from 4" in sentence(seen, "not-steady")


def test_requests_that_others_send_are_neither_unsteady_nor_a_closed_loop() -> None:
    times = np.random.default_rng(5).normal(0.05, 0.004, 300)
    times[:60] *= 3
    times[200] = 3.0
    served = msgspec.structs.replace(closed(times), phases=(phase(load=None, end_ns=30 * S),))
    assert codes(served).keys() <= {"late-chunks"}
