"""A server whose every answer carries a number of its own, and that remembers what it served.

So an answer in a run's files names the one serving it came from: a copy, a mix-up or an answer that
was never sent cannot go unseen.
"""

from __future__ import annotations

import asyncio
import json
import logging
import threading
from itertools import count
from types import TracebackType
from typing import Any, NamedTuple, Self

from aiohttp import web

__all__ = ["MODELS", "Served", "Server"]

MODELS = ("one", "two")
TOKEN_S = 0.005
WORDS = 8


class Served(NamedTuple):
    """One request that reached the server. Lists of them are read by other threads."""

    number: int
    model: str
    question: str
    """The last user message."""
    done: bool
    """Was it all sent? Else the caller went away."""


class Server:
    """Speaks the OpenAI protocol on loopback, in a thread of its own, until the block ends."""

    def __init__(self) -> None:
        self.served: list[Served] = []
        self.last = 0
        """Number of the newest request that has arrived."""
        self.url = ""
        self._numbers = count(1)
        self._ready = threading.Event()
        self._stop: asyncio.Event | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()), daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        if not self._ready.wait(30):
            msg = "the server did not start"
            raise RuntimeError(msg)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        assert self._loop is not None and self._stop is not None
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(10)

    async def _serve(self) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        logging.getLogger("aiohttp.server").setLevel(logging.CRITICAL)  # callers are killed
        app = web.Application()
        app.router.add_post("/v1/chat/completions", self._chat)
        app.router.add_get("/v1/models", self._models)
        runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0.1)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        self.url = f"http://127.0.0.1:{runner.addresses[0][1]}/v1"
        self._ready.set()
        await self._stop.wait()
        await runner.cleanup()

    async def _models(self, _: web.Request) -> web.Response:
        return web.json_response({"data": [{"id": model} for model in MODELS]})

    async def _chat(self, request: web.Request) -> web.StreamResponse:
        number = self.last = next(self._numbers)
        asked = await request.json()
        model, question = asked["model"], asked["messages"][-1]["content"]
        done = False
        try:
            response = await self._stream(request, answer_to(question, number))
            done = True
        finally:
            self.served.append(Served(number, model, question, done))
        return response

    async def _stream(self, request: web.Request, text: str) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        pieces = text.split(" ")
        for n, piece in enumerate(pieces):
            delta = {"content": piece if n == 0 else f" {piece}"}
            await _event(response, {"choices": [{"index": 0, "delta": delta}]})
            await asyncio.sleep(TOKEN_S)
        end = {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}
        usage = {"prompt_tokens": 10, "completion_tokens": len(pieces)}
        await _event(response, {**end, "usage": usage})
        await response.write(b"data: [DONE]\n\n")
        return response


def answer_to(question: str, number: int) -> str:
    """A program where one is asked for, so that scoring takes its time, else words."""
    if "program" in question:
        return f"```python\ndef twice(x):\n    return x + x  # served as {number}\n```"
    return f"Answer: {'so ' * (WORDS - 4)}served as {number}"


async def _event(response: web.StreamResponse, event: dict[str, Any]) -> None:
    await response.write(b"data: " + json.dumps(event).encode() + b"\n\n")
