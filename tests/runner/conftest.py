"""A real HTTP server on loopback that speaks the OpenAI API and can be told to misbehave."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from perwatt.fakeserver.settings import Settings
from perwatt.fakeserver.spawn import Spawned, spawn


class Server:
    """Answers every question with `answer(n)`, the n-th request from 0, in its own thread."""

    def __init__(self) -> None:
        self.answer: Callable[[int], str | int] = lambda n: "Answer: A"
        """Text to stream, or an HTTP status to fail with."""
        self.asked = 0
        self.token_s = 0.002
        self.rest_s = 0.0
        """Between the last word and the end of the answer: no part of the request's own time."""
        self.handler: Callable[[web.Request], Any] = self._chat
        """May be wrapped, to answer otherwise."""
        self.url = ""
        self._ready = threading.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop: asyncio.Event | None = None
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()))

    def start(self) -> None:
        self._thread.start()
        assert self._ready.wait(120)

    def stop(self) -> None:
        if self._thread.is_alive() and self._loop and self._stop:
            self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(120)

    async def _serve(self) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        app = web.Application()
        app.router.add_post("/v1/chat/completions", self._handled)
        app.router.add_get("/v1/models", self._models)
        runner = web.AppRunner(app, shutdown_timeout=0.1)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        host, port = runner.addresses[0][:2]
        self.url = f"http://{host}:{port}/v1"
        self._ready.set()
        await self._stop.wait()
        await runner.cleanup()

    async def _models(self, request: web.Request) -> web.Response:
        return web.json_response({"data": [{"id": "m"}, {"id": "n"}]})

    async def _handled(self, request: web.Request) -> web.StreamResponse:
        response: web.StreamResponse = await self.handler(request)
        return response

    async def _chat(self, request: web.Request) -> web.StreamResponse:
        answer = self.answer(self.asked)
        self.asked += 1
        if isinstance(answer, int):
            return web.json_response({"error": {"message": "told to fail"}}, status=answer)
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        words = answer.split(" ")
        for n, word in enumerate(words):
            await asyncio.sleep(self.token_s)
            delta = {"content": word if n == 0 else f" {word}"}
            await self._event(response, {"choices": [{"index": 0, "delta": delta}]})
        if self.rest_s:
            await asyncio.sleep(self.rest_s)
        usage = {"prompt_tokens": 10, "completion_tokens": len(words)}
        end = {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}], "usage": usage}
        await self._event(response, end)
        await response.write(b"data: [DONE]\n\n")
        return response

    @staticmethod
    async def _event(response: web.StreamResponse, event: dict[str, Any]) -> None:
        await response.write(b"data: " + json.dumps(event).encode() + b"\n\n")


@pytest.fixture
def server() -> Iterator[Server]:
    one = Server()
    one.start()
    yield one
    one.stop()


@pytest.fixture
def questions(tmp_path: Path) -> Path:
    """Ten questions whose right answer is always A."""
    file = tmp_path / "questions.jsonl"
    lines = [
        {
            "id": f"q{n}",
            "kind": ("even", "odd")[n % 2],
            "level": 1,
            "messages": [{"role": "user", "content": f"Question {n}?"}],
            "reference": "A",
            "scorer": "exact",
            "options": {"accept": ["Answer: A"]},
        }
        for n in range(10)
    ]
    file.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return file


@pytest.fixture(scope="session")
def fake() -> Iterator[Spawned]:
    """The fast server of known truth, in a process of its own: 4 words, 2 ms and 1 ms apart."""
    with spawn(Settings(ttft="2ms", itl="1ms", tokens=4, retry_after_s=0.05)) as one:
        yield one
