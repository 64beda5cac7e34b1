"""Was the client the limit: what raises each verdict, and what must not."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from perwatt.core.records import Reply, Request, ServerTimes, Verdict
from perwatt.runner.verdicts import Evidence, find_verdicts
from tests.runner.asked_load import MS, audit, evidence, phase, reply, request


def answered(**changed: Any) -> tuple[Request, ...]:
    return tuple(request(n, reply(n * 140 * MS, **changed)) for n in range(40))


def only(seen: Evidence) -> Verdict:
    (verdict,) = find_verdicts(seen)
    return verdict


LATE = (0.0005, 0.006, 0.012, 0.015, 0.02)


@pytest.mark.parametrize(
    ("audits", "severity", "said"),
    [
        ((audit(loop_cpu_s=5.1),), "warning", "85% of a core"),
        ((audit(loop_cpu_s=5.9),), "invalid", "98% of a core"),
        ((audit(worker=0), audit(worker=1, loop_cpu_s=5.1)), "warning", "85% of a core"),
        ((audit(loop_lag_s=LATE),), "warning", "12 ms late to what had arrived (p99)"),
        ((audit(loop_lag_s=LATE, probes=100),), "warning", "6 ms late to what had arrived (p90)"),
        ((audit(loop_lag_s=(0.006, 0.01, 0.012, 0.02, 0.02)),), "invalid", "12 ms late"),
        (
            (audit(loop_lag_s=(0.001, 0.01, 0.08, 0.1, 0.1)),),
            "invalid",
            "beside a usual gap between chunks of 10 ms",
        ),
    ],
)
def test_a_client_that_is_the_limit_says_so(audits: Any, severity: str, said: str) -> None:
    verdict = only(evidence(audits=audits))
    assert (verdict.code, verdict.severity) == ("client-bound", severity)
    assert said in verdict.sentence


@pytest.mark.parametrize(
    "audits",
    [
        (),
        (audit(loop_cpu_s=None),),
        (audit(loop_cpu_s=4.0),),
        (audit(loop_lag_s=(0.0003, 0.001, 0.0019, 0.01, 0.05)),),
        (audit(loop_lag_s=LATE, probes=5),),  # too few to be a percentile of anything
        (audit(loop_lag_s=(0.0003, 0.001, 0.012, 0.02, 0.03), probes=100),),  # p99 is one hiccup
        (audit(wall_s=0.1, loop_cpu_s=0.1),),  # a phase that is all start
    ],
)
def test_a_client_with_time_to_spare_is_not_blamed(audits: Any) -> None:
    assert find_verdicts(evidence(audits=audits)) == []


def test_it_is_told_beside_the_time_it_spoils_most() -> None:
    in_one_piece = answered(ttft_ms=130, gaps_ms=())
    late = audit(loop_lag_s=(0.0005, 0.006, 0.015, 0.02, 0.03))
    verdict = only(evidence(requests=in_one_piece, audits=(late,)))
    assert "beside a median TTFT of 130 ms" in verdict.sentence


def test_lateness_is_held_against_the_times_that_are_told() -> None:
    slow = answered(ttft_ms=900, gaps_ms=(80,) * 5)
    assert find_verdicts(evidence(requests=slow, audits=(audit(loop_lag_s=LATE),))) == []


def test_requests_that_are_long_in_leaving_are_the_clients_fault() -> None:
    slow = tuple(
        msgspec.structs.replace(
            r, reply=msgspec.structs.replace(r.reply, sent_ns=r.reply.dispatched_ns + 9 * MS)
        )
        for r in answered()
    )
    verdict = only(evidence(requests=slow))
    assert verdict.code == "client-bound"
    assert "left 9 ms after they were dispatched" in verdict.sentence


def connected(new: int, opening_ms: float = 9, **changed: Any) -> tuple[Request, ...]:
    return tuple(
        request(
            n,
            reply(
                n * 140 * MS,
                connection="new" if n < new else "reused",
                sent_ns=n * 140 * MS + round((opening_ms if n < new else 0.1) * MS),
            ),
            **changed,
        )
        for n in range(40)
    )


@pytest.mark.parametrize(("opening_ms", "severity"), [(9, "warning"), (1, "note")])
def test_connections_that_are_not_kept(opening_ms: float, severity: str) -> None:
    verdict = only(evidence(requests=connected(40, opening_ms)))
    assert (verdict.code, verdict.severity) == ("connections", severity)
    assert verdict.sentence.startswith("40 of 40 requests to Model A opened a connection")
    assert f"{opening_ms} ms of the 50 ms of TTFT" in verdict.sentence


def test_connections_that_are_kept_or_cost_nothing_are_not_mentioned() -> None:
    assert find_verdicts(evidence(requests=connected(40, 0.2))) == []
    assert find_verdicts(evidence(requests=connected(1))) == []
    # Each place of a load opens one.
    codes = {v.code for v in find_verdicts(evidence(requests=connected(16, in_flight=16)))}
    assert "connections" not in codes


def told(**times: Any) -> tuple[Request, ...]:
    return answered(server=ServerTimes(**times))


def test_a_server_whose_times_agree_is_believed() -> None:
    assert find_verdicts(evidence(requests=told(total_s=0.139))) == []
    assert find_verdicts(evidence(requests=told(prefill_s=0.04, decode_s=0.09))) == []
    assert find_verdicts(evidence(requests=told(prefill_s=0.001))) == []  # no total can be had


def test_a_server_that_says_less_leaves_the_rest_to_queue_network_and_client() -> None:
    verdict = only(evidence(requests=told(prefill_s=0.02, decode_s=0.05)))
    assert (verdict.code, verdict.severity) == ("server-disagrees", "note")
    assert "70 ms longer (median) than the 70 ms" in verdict.sentence


def test_a_server_that_says_more_than_passed_is_not_compared() -> None:
    verdict = only(evidence(requests=told(total_s=0.2)))
    assert (verdict.code, verdict.severity) == ("server-disagrees", "warning")
    assert "took longer than they did" in verdict.sentence


def test_the_token_that_ends_an_answer_takes_time_and_brings_no_chunk() -> None:
    assert find_verdicts(evidence(requests=told(prefill_s=0.0, decode_s=0.17))) == []
    few = answered(server=ServerTimes(total_s=0.139))[:30]
    longer = told(total_s=0.2)[30:]
    assert (
        find_verdicts(evidence(requests=(*few, *longer))) == []
    )  # stalls there are no disagreement


def test_two_counts_of_the_same_tokens() -> None:
    verdict = only(evidence(requests=told(total_s=0.139, completion_tokens=14)))
    assert verdict.code == "token-counts-differ"
    assert "40 of 40 answers" in verdict.sentence
    assert find_verdicts(evidence(requests=told(total_s=0.139, completion_tokens=11))) == []


def test_what_holds_of_several_stages_is_said_once_and_the_gravest_first() -> None:
    def stage(n: int, answer: Reply) -> list[Request]:
        return [request(k, answer, phase_id=f"p{n}", stage=n, item_id=f"{k}") for k in range(40)]

    seen = evidence(
        requests=tuple(r for n in range(3) for r in stage(n, reply())),
        phases=tuple(phase(phase_id=f"p{n}", stage=n, load=f"closed:{2**n}") for n in range(3)),
        audits=tuple(audit(phase_id=f"p{n}", loop_cpu_s=4.2 + n * 0.8) for n in range(3)),
    )
    (verdict,) = [v for v in find_verdicts(seen) if v.code == "client-bound"]
    assert verdict.severity == "invalid"
    assert "under Model A at closed:4" in verdict.sentence
    assert "97% of a core" in verdict.sentence
    assert verdict.sentence.endswith("The same holds of 1 more of its stages.")
