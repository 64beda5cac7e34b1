"""The load clock: when each question is asked. What is asked, and what came of it, is the asker's.

Closed loop: N places, each asking the next item the moment its last one ended. Open loop: each item
when it is due, whether or not others have ended, so that a slow server is asked no less.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable

from perwatt.core.clock import now_ns
from perwatt.core.records import Prompt
from perwatt.runner.loadgen_alarm import Alarm
from perwatt.runner.plan import Job

__all__ = ["After", "Ask", "Question", "closed_loop", "open_loop"]

Question = tuple[Job, Prompt]

Ask = Callable[[Job, Prompt, int], Awaitable[None]]
"""Asks one item to its end, retries and turns included. The number: when it was due."""

After = Callable[[], Awaitable[None]]
"""Called after each item; it may raise to stop the load early, such as for a dead engine."""

TURN_EVERY = 64
"""Where so many are due at once, the loop is let round between them: answers arrive meanwhile."""


async def closed_loop(
    ask: Ask,
    questions: Iterable[Question],
    places: int,
    *,
    until_ns: int | None = None,
    after: After | None = None,
) -> None:
    """Ask all questions with at most `places` in flight, none of them begun at `until_ns` or later.

    `questions` may be endless or made as it goes: the next is taken when a place comes free.
    When this is cancelled, so is each question in flight. Errors come as an ExceptionGroup.
    """
    queue = iter(questions)

    async def place() -> None:
        while until_ns is None or now_ns() < until_ns:
            following = next(queue, None)
            if following is None:
                return
            await ask(*following, now_ns())
            if after is not None:
                await after()

    async with asyncio.TaskGroup() as group:
        for _ in range(places):
            group.create_task(place())


async def open_loop(
    ask: Ask,
    questions: Iterable[tuple[int, Question]],
    *,
    most: int | None = None,
    after: After | None = None,
) -> None:
    """Ask each of (due_ns, question), in rising order, when it is due, or as soon as fewer than
    `most` are in flight. What has become due is asked, however long it was held back.

    Cancelling and errors as for `closed_loop`.
    """
    free = asyncio.Semaphore(most) if most is not None else None

    async def one(due_ns: int, question: Question) -> None:
        try:
            await ask(*question, due_ns)
        finally:
            if free is not None:
                free.release()
        if after is not None:
            await after()

    at_once = 0
    with Alarm() as alarm:
        async with asyncio.TaskGroup() as group:
            for due_ns, question in questions:
                if now_ns() < due_ns:
                    at_once = 0
                    await alarm.until(due_ns)
                elif (at_once := at_once + 1) % TURN_EVERY == 0:
                    await asyncio.sleep(0)
                if free is not None:
                    await free.acquire()
                group.create_task(one(due_ns, question))
