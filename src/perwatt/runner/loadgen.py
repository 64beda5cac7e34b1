"""The load clock. Closed loop: N places, each asking the next job the moment its last one ended."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable

from perwatt.core.clock import now_ns
from perwatt.core.protocols import Endpoint
from perwatt.core.records import Prompt, Reply
from perwatt.runner.plan import Job

__all__ = ["Asked", "closed_loop"]

Asked = Callable[[Job, Prompt, int, int, Reply], None]
"""Called with job, prompt, scheduled_ns, requests in flight at dispatch, reply."""


async def closed_loop(
    endpoint: Endpoint,
    jobs: Iterable[tuple[Job, Prompt]],
    places: int,
    finished: Asked,
    keep_going: Callable[[], Awaitable[None]] | None = None,
) -> None:
    """Ask all jobs with at most `places` in flight; `finished` hears of each as it ends.

    `jobs` may be endless or made as it goes: the next is taken when a place comes free.

    When this is cancelled, requests in flight end as `cancelled` replies, so that their joules are
    theirs and not their neighbours'. `keep_going` may raise to stop early (a dead engine).
    """
    queue = iter(jobs)
    in_flight = 0

    async def place() -> None:
        nonlocal in_flight
        for job, prompt in queue:
            scheduled_ns = now_ns()
            in_flight += 1
            at_dispatch = in_flight
            try:
                reply = await endpoint.ask(prompt)
            except asyncio.CancelledError:
                end = now_ns()
                reply = Reply(status="cancelled", dispatched_ns=scheduled_ns, last_chunk_ns=end)
                finished(job, prompt, scheduled_ns, at_dispatch, reply)
                raise
            finally:
                in_flight -= 1
            finished(job, prompt, scheduled_ns, at_dispatch, reply)
            if keep_going is not None:
                await keep_going()

    async with asyncio.TaskGroup() as group:
        for _ in range(places):
            group.create_task(place())
