"""Asked again only where that is right, for so long, and every attempt accounted for."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence

import pytest

from perwatt.core.clock import now_ns
from perwatt.core.records import Item, Message, Prompt, Reply, Request, Sampling, Served
from perwatt.runner import loadgen_ask
from perwatt.runner.loadgen_ask import Asker, Place
from perwatt.runner.plan import Job
from perwatt.runner.retry import LONGEST_WAIT_S, may_retry, wait_s

ITEM = Item(
    id="q", kind="k", messages=(Message(role="user", content="?"),), reference="", scorer="exact"
)


def failed(kind: str, status: int | None = None, **about: object) -> Reply:
    now = now_ns()
    return Reply(
        status="error",
        error_kind=kind,
        http_status=status,
        dispatched_ns=now,
        last_chunk_ns=now,
        **about,  # type: ignore[arg-type]
    )


def answered(text: str = "A") -> Reply:
    now = now_ns()
    return Reply(status="ok", dispatched_ns=now, last_chunk_ns=now, first_chunk_ns=now, text=text)


class Scripted:
    """Gives these replies in order."""

    def __init__(self, replies: Sequence[Reply]) -> None:
        self.left = list(replies)
        self.asked: list[Prompt] = []

    async def open(self) -> Served:
        raise AssertionError

    async def render(self, prompt: Prompt) -> str | None:
        return None

    async def ask(self, prompt: Prompt) -> Reply:
        self.asked.append(prompt)
        await asyncio.sleep(0)
        return self.left.pop(0)

    async def close(self) -> None:
        return None


def ask(replies: Sequence[Reply], retries: int) -> list[Request]:
    told: list[Request] = []
    place = Place(pair_id="p", session=1, phase_id="s1-1")
    asker = Asker(Scripted(replies), place, {"q": "hash"}, told.append, retries)
    prompt = Prompt(request_id="p/q/0", messages=ITEM.messages, sampling=Sampling())
    asyncio.run(asker(Job("p/q/0", ITEM, 0), prompt, 123))
    return told


@pytest.mark.parametrize(
    ("kind", "status", "again"),
    [
        ("connect", None, True),
        ("timeout-connect", None, True),
        ("reset", None, True),
        ("http-408", 408, True),
        ("http-409", 409, True),
        ("http-429", 429, True),
        ("http-500", 500, True),
        ("http-503", None, True),
        ("overloaded", 529, True),
        ("http-400", 400, False),
        ("context-overflow", 400, False),
        ("http-401", 401, False),
        ("timeout-first", None, False),
        ("malformed", 200, False),
        ("wrong-model", 200, False),
    ],
)
def test_what_may_pass_is_asked_again(kind: str, status: int | None, again: bool) -> None:
    assert may_retry(failed(kind, status)) is again
    assert not may_retry(failed(kind, status, first_chunk_ns=1))  # something was streamed


def test_an_answer_is_never_asked_again() -> None:
    assert not may_retry(answered())


def test_waits_are_the_servers_or_grow_with_jitter_and_are_bounded() -> None:
    rng = random.Random(0)
    assert wait_s(failed("http-429", 429, retry_after_s=2.5), 1, rng) == 2.5
    assert wait_s(failed("http-429", 429, retry_after_s=1e9), 1, rng) == LONGEST_WAIT_S
    assert wait_s(failed("http-429", 429, retry_after_s=-1.0), 1, rng) == 0
    draws = {n: [wait_s(failed("reset"), n, rng) for _ in range(400)] for n in (1, 2, 3, 20)}
    assert all(max(draws[n]) <= bound for n, bound in ((1, 0.5), (2, 1.0), (3, 2.0), (20, 30.0)))
    assert max(draws[1]) < max(draws[2]) < max(draws[3]) < max(draws[20])
    assert min(draws[3]) < 0.2  # full jitter: from nothing


def test_every_attempt_is_told_and_one_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loadgen_ask, "wait_s", lambda *_: 0.0)
    told = ask([failed("http-503", 503), failed("connect"), answered()], retries=2)
    assert [(r.request_id, r.reply.status, r.attempt) for r in told] == [
        ("p/q/0#attempt-1-session-1", "retried", 1),
        ("p/q/0#attempt-2-session-1", "retried", 2),
        ("p/q/0", "ok", 3),
    ]
    assert {r.scheduled_ns for r in told} == {123}  # latency from schedule holds the waits
    assert [r.reply.error_kind for r in told] == ["http-503", "connect", None]


def test_no_more_than_was_allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loadgen_ask, "wait_s", lambda *_: 0.0)
    told = ask([failed("http-503", 503)] * 5, retries=1)
    assert [(r.reply.status, r.attempt) for r in told] == [("retried", 1), ("error", 2)]
    assert [r.reply.status for r in ask([failed("http-503", 503)] * 2, retries=0)] == ["error"]


def test_cancelled_while_it_waits_it_leaves_its_attempts_alone() -> None:
    told: list[Request] = []
    place = Place(pair_id="p", session=1, phase_id="s1-1")
    slow = failed("http-429", 429, retry_after_s=60.0)
    asker = Asker(Scripted([slow]), place, {}, told.append, 3)
    prompt = Prompt(request_id="p/q/0", messages=ITEM.messages, sampling=Sampling())

    async def cut() -> None:
        one = asyncio.create_task(asker(Job("p/q/0", ITEM, 0), prompt, 0))
        while not told:
            await asyncio.sleep(0)
        one.cancel()
        with pytest.raises(asyncio.CancelledError):
            await one

    asyncio.run(cut())
    assert [r.reply.status for r in told] == ["retried"]
    assert asker.in_flight == 0
