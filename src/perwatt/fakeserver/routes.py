"""All that is not a question: models, health, token counts, and what the server knows of itself."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from perwatt.fakeserver.ask import split_tokens
from perwatt.fakeserver.counters import Counters, added, as_prometheus
from perwatt.fakeserver.engine import Engine
from perwatt.fakeserver.events import error_body
from perwatt.fakeserver.truth import as_lines

if TYPE_CHECKING:
    from perwatt.fakeserver.connection import Connection, HttpRequest

__all__ = ["Routes"]

JSON, TEXT, LINES = b"application/json", b"text/plain; version=0.0.4", b"application/x-ndjson"
encode = msgspec.json.encode


class Routes:
    """`siblings`: ports on loopback at which the other workers answer for themselves."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._tasks: set[asyncio.Task[None]] = set()
        self.siblings: Sequence[int] = ()

    def serve(self, connection: Connection, request: HttpRequest, path: str, query: str) -> None:
        """Answer, at once or, where other workers must be asked, soon."""
        method = request.method.decode("latin-1")
        options = dict(part.partition("=")[::2] for part in query.split("&") if part)
        head = method == "HEAD"
        if path.startswith("/v1/") and not self._engine.authorised(request):
            self._refuse(connection, b"401 Unauthorized", "Incorrect API key provided.")
        elif path == "/v1/models" and method == "GET":
            connection.reply(b"200 OK", JSON, self._models())
        elif path in {"/health", "/v1/health"} and (head or method == "GET"):
            connection.reply(b"200 OK", JSON, b"" if head else b'{"status":"ok"}')
        elif path == "/tokenize" and method == "POST":
            self._tokenize(connection, bytes(request.body))
        elif path == "/truth" and method == "GET":
            self._later(self._truth(connection, query, options))
        elif path == "/counters" and method == "GET":
            connection.reply(b"200 OK", JSON, encode(self._counters()))
        elif path == "/metrics" and method == "GET":
            self._later(self._metrics(connection))
        else:
            self._refuse(connection, b"404 Not Found", f"There is no {method} {path} here.")

    def _models(self) -> bytes:
        engine = self._engine
        common = {"object": "model", "created": engine.created, "owned_by": "perwatt-fake"}
        if engine.settings.context is not None:
            common["max_model_len"] = engine.settings.context
        models = [{"id": model, **common} for model in engine.settings.models]
        return encode({"object": "list", "data": models})

    def _tokenize(self, connection: Connection, body: bytes) -> None:
        """In the shapes of llama.cpp (`content`) and of vLLM (`prompt`)."""
        try:
            asked: Any = msgspec.json.decode(body)
            text = asked["content"] if "content" in asked else asked["prompt"]
            tokens = list(range(len([t for t in split_tokens(text) if t.strip()])))
        except (msgspec.DecodeError, UnicodeDecodeError, KeyError, TypeError):
            self._refuse(connection, b"400 Bad Request", "content, or prompt, is missing")
            return
        connection.reply(b"200 OK", JSON, encode({"tokens": tokens, "count": len(tokens)}))

    def _counters(self) -> Counters:
        engine = self._engine
        engine.counters.waiting = engine.slots.waiting
        return engine.counters

    async def _truth(self, connection: Connection, query: str, options: dict[str, str]) -> None:
        log = self._engine.truth
        newest = int(options["n"]) if options.get("n", "").isdigit() else None
        truths = list(log)
        body = as_lines(truths if newest is None else truths[len(truths) - newest :])
        if options.get("clear") == "1":
            log.clear()
        if options.get("own") != "1":
            query = "&".join(part for part in (query, "own=1") if part)
            body += b"".join(await self._ask_siblings(f"/truth?{query}"))
        connection.reply(b"200 OK", LINES, body)

    async def _metrics(self, connection: Connection) -> None:
        others = await self._ask_siblings("/counters")
        decode = msgspec.json.Decoder(Counters).decode
        total = added([self._counters(), *map(decode, others)])
        connection.reply(b"200 OK", TEXT, as_prometheus(total))

    async def _ask_siblings(self, target: str) -> list[bytes]:
        return [await _get(port, target) for port in self.siblings]

    def _later(self, answering: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(answering)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _refuse(self, connection: Connection, status: bytes, message: str) -> None:
        code = int(status[:3])
        connection.reply(status, JSON, error_body(message, "invalid_request_error", code))


async def _get(port: int, target: str) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(f"GET {target} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n".encode())
        response = await reader.read()
    finally:
        writer.close()
        await writer.wait_closed()
    return response.partition(b"\r\n\r\n")[2]
