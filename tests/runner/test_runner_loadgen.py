from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from perwatt.core.clock import now_ns
from perwatt.core.records import Item, Message, Prompt, Reply, Sampling, Served
from perwatt.runner.loadgen import closed_loop
from perwatt.runner.plan import Job

Finished = list[tuple[str, int, Reply]]


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


def jobs(count: int) -> list[tuple[Job, Prompt]]:
    messages = (Message(role="user", content="?"),)
    made = []
    for n in range(count):
        item = Item(id=str(n), kind="k", messages=messages, reference="", scorer="exact")
        prompt = Prompt(request_id=str(n), messages=messages, sampling=Sampling())
        made.append((Job(str(n), item, 0), prompt))
    return made


def note(into: Finished) -> Callable[[Job, Prompt, int, int, Reply], None]:
    def finished(job: Job, prompt: Prompt, scheduled: int, in_flight: int, reply: Reply) -> None:
        assert scheduled <= reply.dispatched_ns
        into.append((job.request_id, in_flight, reply))

    return finished


@pytest.mark.parametrize("places", [1, 2, 4, 50])
def test_every_job_once_and_never_more_than_n_in_flight(places: int) -> None:
    endpoint, seen = Echo(), Finished()
    asyncio.run(closed_loop(endpoint, jobs(20), places, note(seen)))
    assert sorted(int(name) for name, _, _ in seen) == list(range(20))
    assert endpoint.most == min(places, 20) == max(in_flight for _, in_flight, _ in seen)


def test_no_jobs_is_no_work() -> None:
    seen = Finished()
    asyncio.run(closed_loop(Echo(), [], 4, note(seen)))
    assert seen == []


def test_cancelling_keeps_what_was_in_flight_as_cancelled() -> None:
    seen = Finished()

    async def stopped_early() -> None:
        loop = asyncio.create_task(closed_loop(Echo(60), jobs(5), 2, note(seen)))
        await asyncio.sleep(0.01)
        loop.cancel()
        with pytest.raises(asyncio.CancelledError):
            await loop

    asyncio.run(stopped_early())
    # A task group cancels its tasks in no set order: only who ended, and how, is promised.
    assert {name: reply.status for name, _, reply in seen} == {"0": "cancelled", "1": "cancelled"}
    assert len(seen) == 2


def test_keep_going_may_stop_it() -> None:
    seen = Finished()

    async def enough() -> None:
        if len(seen) >= 3:
            raise RuntimeError("enough")

    with pytest.raises(ExceptionGroup):
        asyncio.run(closed_loop(Echo(), jobs(50), 1, note(seen), enough))
    assert len(seen) == 3
