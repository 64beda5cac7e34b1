"""Against a server that knows when it sent: where marks err, the client says it was the limit."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

from perwatt.core.protocols import EndpointConfig
from perwatt.core.records import ClientAudit, Message, Prompt, Reply, Sampling
from perwatt.endpoints.openai import OpenAIEndpoint
from perwatt.fakeserver.settings import Settings
from perwatt.fakeserver.spawn import spawn
from perwatt.runner.client_marks import quantile
from perwatt.runner.client_view import client_views
from perwatt.runner.loop_watch import LoopWatch
from perwatt.runner.verdicts import find_verdicts
from tests.runner.asked_load import evidence, phase, request

PLACES, EACH = 8, 12


async def asked(url: str, work_dir: Path) -> tuple[dict[str, Reply], ClientAudit]:
    """Ninety-six requests, eight in flight, by a loop that is mostly held by something else."""
    endpoint = OpenAIEndpoint(
        EndpointConfig(pair_id="a", model="fake", work_dir=work_dir, url=url, parallel=PLACES)
    )
    await endpoint.open()
    replies: dict[str, Reply] = {}

    async def place(number: int) -> None:
        for turn in range(EACH):
            messages = (Message(role="user", content="Count."),)
            name = f"a-{number * EACH + turn}"
            prompt = Prompt(request_id=name, messages=messages, sampling=Sampling())
            replies[name] = await endpoint.ask(prompt)

    async def holder() -> None:
        while True:
            await asyncio.sleep(0.003)  # less than the TTFT, so that first chunks come in between
            time.sleep(0.02)

    async with LoopWatch() as watch:
        held = asyncio.create_task(holder())
        await asyncio.gather(*(place(number) for number in range(PLACES)))
        held.cancel()
    await endpoint.close()
    return replies, watch.audit("p")


def test_a_loop_that_is_held_up_is_told_where_the_server_knows_that_marks_err(
    tmp_path: Path,
) -> None:
    with spawn(Settings(ttft="5ms", itl="2ms", tokens=16)) as server:
        replies, audit = asyncio.run(asked(server.url, tmp_path))
        truth = {each.request_id: each for each in server.truth()}
    assert all(reply.status == "ok" for reply in replies.values())
    assert set(truth) == set(replies)
    error_s = [
        ((reply.first_chunk_ns or 0) - truth[name].before_ns[0]) / 1e9
        for name, reply in replies.items()
    ]
    assert min(error_s) >= 0
    worst_s = quantile(error_s, 0.99)
    assert worst_s is not None
    assert worst_s > 0.002
    requests = tuple(
        request(n, reply, in_flight=PLACES) for n, reply in enumerate(replies.values())
    )
    load = phase(
        start_ns=min(r.dispatched_ns for r in replies.values()),
        end_ns=max(r.last_chunk_ns for r in replies.values()),
        load=f"closed:{PLACES}",
    )
    seen = evidence(requests=requests, phases=(load,), audits=(audit,))
    said = {v.code: v for v in find_verdicts(seen)}
    assert "client-bound" in said
    (view,) = client_views(["a"], requests, [load], [audit])
    assert 0 < view.connections_new <= PLACES
    assert view.connections_new + view.connections_reused == PLACES * EACH
