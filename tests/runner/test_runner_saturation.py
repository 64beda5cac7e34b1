from __future__ import annotations

import msgspec
import numpy as np
import pytest

from perwatt.core.load import parse_load
from perwatt.core.records import Item, Message, Phase, Reply, Request, Sampling
from perwatt.core.spec import RunSpec
from perwatt.runner.plan import Plan, make_plan
from perwatt.runner.plan_left import Past, what_is_left
from perwatt.runner.saturation import Outcome, outcome_of, saturated

S = 1_000_000_000


def request(n: int, due_s: float, end_s: float, stage: int = 0, status: str = "ok") -> Request:
    tail = f"/stage-{stage}"
    return Request(
        request_id=f"m/i{n}/0{tail}",
        item_id=f"i{n}",
        pair_id="m",
        session=1,
        phase_id=f"s1-{stage}",
        repeat=0,
        scheduled_ns=round(due_s * S),
        in_flight=1,
        prompt_sha256=None,
        sampling=Sampling(),
        stage=stage,
        reply=Reply(
            status=status,  # type: ignore[arg-type]
            dispatched_ns=round(due_s * S),
            first_chunk_ns=round((due_s + end_s) / 2 * S),
            last_chunk_ns=round(end_s * S),
            error_kind=None if status == "ok" else "http-429",
        ),
    )


def queue(text: str, rate: float, service_s: float, count: int, seed: int = 0) -> Outcome:
    """A server of one place that takes an exponential time: M/M/1."""
    rng = np.random.default_rng(seed)
    due = np.cumsum(rng.exponential(1 / rate, count))
    free = 0.0
    asked = []
    for n, (at, takes) in enumerate(zip(due, rng.exponential(service_s, count), strict=True)):
        free = max(free, float(at)) + float(takes)
        asked.append(request(n, float(at), free))
    return outcome_of(parse_load(text).stages[0], asked)


def loop(places: int, rate: float, latency_s: float, count: int = 50) -> list[Request]:
    return [request(n, n / rate, n / rate + latency_s) for n in range(count)]


def outcome(places: int, rate: float, latency_s: float) -> Outcome:
    return outcome_of(parse_load(f"closed:{places}").stages[0], loop(places, rate, latency_s))


def test_more_places_that_bring_nothing_and_cost_time_are_enough() -> None:
    assert saturated([outcome(1, 10, 0.1)]) is None
    assert saturated([outcome(1, 10, 0.1), outcome(2, 19, 0.1)]) is None
    reason = saturated([outcome(4, 20, 0.2), outcome(8, 20.2, 0.4)])
    assert reason is not None and "closed:8" in reason and "2.0 times" in reason
    # No more answers, and yet no slower: something else holds them back, such as this client.
    assert saturated([outcome(4, 20, 0.2), outcome(8, 20.2, 0.2)]) is None


@pytest.mark.parametrize(
    ("load", "count", "least", "most"),
    [(0.4, 60, 0, 2), (0.7, 240, 0, 4), (2.0, 60, 36, 40), (2.0, 240, 40, 40)],
)
def test_below_what_is_served_goes_on_and_above_stops(
    load: float, count: int, least: int, most: int
) -> None:
    stopped = [saturated([queue("poisson:9", load * 10, 0.1, count, seed)]) for seed in range(40)]
    assert least <= sum(reason is not None for reason in stopped) <= most
    assert all("poisson:9: " in reason for reason in stopped if reason)


def test_a_wait_that_grows_while_answers_keep_up_is_enough() -> None:
    slow = [
        msgspec.structs.replace(
            each,
            reply=msgspec.structs.replace(
                each.reply, first_chunk_ns=each.scheduled_ns + (n + 1) * S // 50
            ),
        )
        for n, each in enumerate(request(n, n * 0.5, n * 0.5 + 3.0) for n in range(60))
    ]
    reason = saturated([outcome_of(parse_load("constant:2@30s").stages[0], slow)])
    assert reason is not None and "first token grew" in reason


def test_refused_requests_are_not_served() -> None:
    many = [
        request(n, n * 0.1, n * 0.1 + 0.05, status="error" if n % 5 else "ok") for n in range(40)
    ]
    reason = saturated([outcome_of(parse_load("constant:10@4s").stages[0], many)])
    assert reason is not None and "8 of 40" in reason


def test_a_gap_between_sittings_is_no_slowness() -> None:
    whole = outcome(2, 20, 0.1)
    late = request(99, 3600.0, 3600.1)
    resumed = msgspec.structs.replace(late, phase_id="s2-4")
    assert outcome_of(whole.load, [*loop(2, 20, 0.1), resumed]) == whole


def test_few_requests_say_nothing() -> None:
    assert saturated([]) is None
    few = [request(n, n * 0.01, 5.0 + n) for n in range(10)]
    assert saturated([outcome_of(parse_load("poisson:100").stages[0], few)]) is None
    nothing = outcome_of(parse_load("closed:2").stages[0], [])
    assert nothing.latency_s is None and saturated([nothing, nothing]) is None


def sweep(count: int) -> Plan:
    question = (Message(role="user", content="?"),)
    items = tuple(
        Item(id=f"i{n}", kind="k", messages=question, reference="", scorer="exact")
        for n in range(count)
    )
    return make_plan(RunSpec.resolve({"model": ["m"], "load": "sweep:1..8"}), items)


@pytest.mark.parametrize(("second_rate", "left"), [(11.0, []), (20.0, [2, 3])])
def test_a_resumed_sweep_decides_again_from_the_journal(
    second_rate: float, left: list[int]
) -> None:
    plan = sweep(30)
    asked = [
        request(n, n / rate, n / rate + latency_s, stage)
        for stage, (rate, latency_s) in enumerate([(10.8, 0.1), (second_rate, 0.2)])
        for n in range(30)
    ]
    phases = tuple(
        Phase(
            phase_id=f"s1-{stage}",
            kind="load",
            session=1,
            pair_id="m",
            start_ns=0,
            end_ns=S,
            stage=stage,
        )
        for stage in range(2)
    )
    past = Past({r.request_id for r in asked}, tuple(asked), phases, sweep=True)
    rest, known = what_is_left(plan, past)
    stages = [stretch.stage for segment in rest.segments for stretch in segment.stretches]
    assert stages == left
    assert [len(each) for each in known.outcomes.values()] == [2]


def test_a_stage_that_was_cut_is_judged_with_what_it_had_asked() -> None:
    plan = sweep(30)
    first = [request(n, n / 10, n / 10 + 0.1, 0) for n in range(30)]
    cut = [request(n, n / 20, n / 20 + 0.1, 1) for n in range(28)]
    phases = tuple(
        Phase(phase_id=f"s1-{stage}", kind="load", session=1, pair_id="m", start_ns=0, stage=stage)
        for stage in range(2)
    )
    asked = (*first, *cut)
    rest, known = what_is_left(plan, Past({r.request_id for r in asked}, asked, phases, sweep=True))
    assert len(rest.segments[0].stretches[0].jobs) == 2
    assert known.begun["m", 0, 1] == tuple(cut)
