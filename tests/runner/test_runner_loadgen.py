from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest

from perwatt.core.clock import now_ns
from perwatt.core.load import parse_load
from perwatt.core.records import Item, Message, Prompt, Reply, Request, Sampling, Served
from perwatt.runner.loadgen import Question, closed_loop, open_loop
from perwatt.runner.loadgen_alarm import Alarm
from perwatt.runner.loadgen_stretch import Orders, Prepared, apply_load
from perwatt.runner.plan import Job, Stretch
from perwatt.runner.session_loop import run_loop

MS = 1_000_000


class Echo:
    """An endpoint that takes `delay_s`, and knows how many it answers at once."""

    def __init__(self, delay_s: float = 0.001) -> None:
        self.delay_s = delay_s
        self.now = 0
        self.most = 0

    async def open(self) -> Served:
        raise AssertionError

    async def render(self, prompt: Prompt) -> str | None:
        return None

    async def ask(self, prompt: Prompt) -> Reply:
        start = now_ns()
        self.now += 1
        self.most = max(self.most, self.now)
        try:
            await asyncio.sleep(self.delay_s)
        finally:
            self.now -= 1
        return Reply(
            status="ok", dispatched_ns=start, last_chunk_ns=now_ns(), text=prompt.request_id
        )

    async def close(self) -> None:
        return None


def stretch(load: str, count: int, **about: Any) -> Stretch:
    message = (Message(role="user", content="?"),)
    items = [
        Item(id=str(n), kind="k", messages=message, reference="", scorer="exact")
        for n in range(count)
    ]
    bare = Stretch(pair_id="p", load=parse_load(load).stages[0], jobs=(), **about)
    jobs = tuple(bare.numbered(item, 0) for item in items)
    return Stretch(pair_id="p", load=bare.load, jobs=jobs, **about)


def asked(endpoint: Echo, one: Stretch, **orders: Any) -> list[Request]:
    """What is told when the stretch is applied from now on."""
    told: list[Request] = []
    prompts = {
        job.item.id: Prompt(request_id="", messages=job.item.messages, sampling=Sampling())
        for job in one.jobs
    }

    async def apply() -> None:
        given = Orders(
            stretch=one, session=1, phase_id="s1-1", start_ns=now_ns() + MS, seed=0, **orders
        )
        await apply_load(endpoint, given, Prepared(prompts, {}), told.append)

    run_loop(apply())
    return told


@pytest.mark.parametrize("places", [1, 2, 4, 50])
def test_every_job_once_and_never_more_than_n_in_flight(places: int) -> None:
    endpoint = Echo()
    told = asked(endpoint, stretch(f"closed:{places}", 20))
    assert sorted(int(r.item_id) for r in told) == list(range(20))
    assert endpoint.most == min(places, 20) == max(r.in_flight for r in told)
    assert all(r.scheduled_ns <= r.reply.dispatched_ns for r in told)


def test_no_jobs_is_no_work() -> None:
    assert asked(Echo(), stretch("closed:4", 0)) == []
    assert asked(Echo(), stretch("poisson:4", 0)) == []


def test_an_open_loop_asks_when_due_whether_or_not_others_have_ended() -> None:
    endpoint = Echo(1.0)
    told = asked(endpoint, stretch("constant:200", 20))
    due = sorted(r.scheduled_ns for r in told)
    assert [later - due[0] for later in due] == [n * 5 * MS for n in range(20)]
    assert endpoint.most == 20
    assert all(r.scheduled_ns <= r.reply.dispatched_ns for r in told)


def test_a_burst_is_all_at_once() -> None:
    endpoint = Echo(0.5)
    told = asked(endpoint, stretch("burst", 100))
    assert endpoint.most == len(told) == 100
    assert len({r.scheduled_ns for r in told}) == 1


def test_holding_back_bounds_what_is_in_flight_and_shows_in_the_schedule() -> None:
    endpoint = Echo(0.02)
    told = asked(endpoint, stretch("burst", 9), max_in_flight=3)
    assert endpoint.most == 3
    waits = sorted(r.reply.dispatched_ns - r.scheduled_ns for r in told)
    assert waits[3] > 15 * MS and waits[6] > 35 * MS


@pytest.mark.parametrize("load", ["closed:2@600ms", "constant:50@600ms"])
def test_a_stage_with_a_time_asks_over_and_over_then_stops(load: str) -> None:
    told = asked(Echo(0.01), stretch(load, 3, repeats=2))
    begun, last = min(r.scheduled_ns for r in told), max(r.scheduled_ns for r in told)
    assert last - begun < 600 * MS
    assert len({r.request_id for r in told}) == len(told) > 6
    assert {r.repeat for r in told} >= {0, 2}  # each pass goes on where the repeats ended
    assert {r.repeat % 2 for r in told} == {0}


def test_shares_of_workers_are_the_whole() -> None:
    whole = stretch("poisson:500", 25)
    alone = {(r.request_id, r.scheduled_ns) for r in asked(Echo(), whole)}
    base = min(due for _, due in alone)
    shares = [asked(Echo(), whole, worker=w, workers=3) for w in range(3)]
    assert [len(share) for share in shares] == [9, 8, 8]
    assert sorted(r.request_id for share in shares for r in share) == sorted(i for i, _ in alone)
    gaps = sorted(due - base for _, due in alone)
    mine = sorted(r.scheduled_ns for r in shares[0])
    assert [due - mine[0] for due in mine] == [gap - gaps[0] for gap in gaps[::3]]
    places = Echo(0.02)
    asked(places, stretch("closed:5", 25), worker=1, workers=3)
    assert places.most == 2


def test_cancelling_keeps_what_was_in_flight_as_cancelled() -> None:
    told: list[Request] = []
    endpoint = Echo(600)
    one = stretch("closed:2", 5)
    prompts = {j.item.id: Prompt(request_id="", messages=(), sampling=Sampling()) for j in one.jobs}

    async def stopped_early() -> None:
        orders = Orders(stretch=one, session=3, phase_id="s3-1", start_ns=now_ns(), seed=0)
        loop = asyncio.create_task(apply_load(endpoint, orders, Prepared(prompts, {}), told.append))
        while endpoint.now < 2:
            await asyncio.sleep(0.001)
        loop.cancel()
        with pytest.raises(asyncio.CancelledError):
            await loop

    run_loop(stopped_early())
    # A task group cancels its tasks in no set order: only who ended, and how, is promised.
    assert {r.request_id for r in told} == {"p/0/0#cancelled-3", "p/1/0#cancelled-3"}
    assert {r.reply.status for r in told} == {"cancelled"}


@pytest.mark.parametrize("kind", ["closed", "open"])
def test_after_may_stop_it(kind: str) -> None:
    ended: list[str] = []

    async def ask(job: Job, prompt: Prompt, due_ns: int) -> None:
        await asyncio.sleep(0.001)
        ended.append(job.request_id)

    async def enough() -> None:
        if len(ended) >= 3:
            raise RuntimeError("enough")

    def questions() -> Iterator[Question]:
        for job in stretch("closed:1", 50).jobs:
            yield job, Prompt(request_id="", messages=(), sampling=Sampling())

    async def load() -> None:
        if kind == "closed":
            await closed_loop(ask, questions(), 1, after=enough)
        else:
            start = now_ns()
            due = ((start + 100 * MS * n, each) for n, each in enumerate(questions()))
            await open_loop(ask, due, after=enough)

    with pytest.raises(ExceptionGroup):
        run_loop(load())
    # A machine that held it up has several due at once.
    assert len(ended) == 3 or (kind == "open" and 3 < len(ended) < 50)


def test_the_alarm_never_rings_early_and_not_ever_later() -> None:
    late: list[int] = []

    async def rung() -> None:
        with Alarm() as alarm:
            await alarm.until(now_ns() - MS)  # the past: at once
            for n in range(20):
                due = now_ns() + n * 130_000
                await alarm.until(due)
                late.append(now_ns() - due)

    run_loop(rung())
    assert min(late) >= 0
    assert sorted(late)[10] < 500 * MS
