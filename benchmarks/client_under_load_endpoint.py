"""perwatt's endpoint alone, in a closed loop: the child of `client_under_load`.

python -m benchmarks.client_under_load_endpoint URL IN_FLIGHT REQUESTS OUT.json uvloop|asyncio
"""

from __future__ import annotations

import asyncio
import json
import sys
from itertools import pairwise
from pathlib import Path
from typing import Any

from perwatt.core.protocols import EndpointConfig
from perwatt.core.records import Message, Prompt, Reply, Sampling
from perwatt.endpoints.openai import OpenAIEndpoint


async def loop(url: str, in_flight: int, requests: int, out: Path) -> None:
    config = EndpointConfig(pair_id="fake", model="fake", work_dir=out.parent, url=f"{url}/v1")
    endpoint = OpenAIEndpoint(config)
    await endpoint.open()
    left = iter(range(requests))
    replies: dict[str, Reply] = {}

    async def place() -> None:
        for n in left:
            text = f"Question {n}: what is the capital of France?"
            prompt = Prompt(
                request_id=f"endpoint-{n}",
                messages=(Message(role="user", content=text),),
                sampling=Sampling(max_tokens=32),
            )
            replies[prompt.request_id] = await endpoint.ask(prompt)

    await asyncio.gather(*(place() for _ in range(in_flight)))
    await endpoint.close()
    out.write_text(json.dumps([_told(name, reply) for name, reply in replies.items()]))


def _told(name: str, reply: Reply) -> dict[str, Any]:
    if reply.first_chunk_ns is None:
        return {"request_id": name, "ttft_s": None, "itl_s": [], "error": reply.error_kind}
    offsets = reply.chunk_offsets_ns
    return {
        "request_id": name,
        "ttft_s": (reply.first_chunk_ns - reply.dispatched_ns) / 1e9,
        "itl_s": [(b - a) / 1e9 for a, b in pairwise(offsets)],
        "error": reply.error_kind,
    }


def main() -> None:
    url, in_flight, requests, out, which = sys.argv[1:]
    factory = None
    if which == "uvloop":
        import uvloop

        factory = uvloop.new_event_loop
    with asyncio.Runner(loop_factory=factory) as runner:
        runner.run(loop(url, int(in_flight), int(requests), Path(out)))


if __name__ == "__main__":
    main()
