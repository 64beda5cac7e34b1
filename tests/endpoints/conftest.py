"""Two scriptable servers on loopback, tiny GGUF files, and where the cache is."""

from __future__ import annotations

import asyncio
import json
import socket
import struct
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from pathlib import Path
from typing import Any, Literal

import pytest
from aiohttp import web

from perwatt.core.protocols import EndpointConfig, Timeouts
from perwatt.core.records import Message, Prompt, Sampling
from perwatt.endpoints.http_client import HttpClient

Step = bytes | float | Literal["reset", "hang", "drop"]


class FakeServer:
    """Answers as scripted: bytes are written, numbers slept, `reset` cuts the connection."""

    def __init__(self) -> None:
        self.script: list[Step] = []
        self.status = 200
        self.content_type = "text/event-stream"
        self.headers: dict[str, str] = {}
        self.models: bytes = json.dumps({"data": [{"id": "m"}, {"id": "other"}]}).encode()
        self.models_status = 200
        self.requests: list[dict[str, Any]] = []
        self.seen_headers: list[dict[str, str]] = []
        self.paths: list[str] = []
        self.peers: set[int] = set()
        self.abandoned = asyncio.Event()
        self.url = ""

    async def answer(self, request: web.Request) -> web.StreamResponse:
        self.requests.append(await request.json())
        self.seen_headers.append(dict(request.headers))
        self.paths.append(request.path)
        assert request.transport is not None
        self.peers.add(request.transport.get_extra_info("peername")[1])
        if self.status != 200:
            body = b"".join(s for s in self.script if isinstance(s, bytes))
            return web.Response(status=self.status, body=body, headers=self.headers)
        response = web.StreamResponse(headers={"Content-Type": self.content_type})
        await response.prepare(request)
        try:
            for step in self.script:
                if isinstance(step, bytes):
                    await response.write(step)
                elif isinstance(step, float):
                    await asyncio.sleep(step)
                elif step == "reset":
                    request.transport.abort()
                    return response
                elif step == "hang":
                    await asyncio.sleep(60)
                elif step == "drop":  # as llama.cpp does: all said, then closed without a word
                    await response.write_eof()
                    request.transport.close()
        except (asyncio.CancelledError, ConnectionError):
            self.abandoned.set()
            raise
        return response

    async def list_models(self, request: web.Request) -> web.Response:
        self.seen_headers.append(dict(request.headers))
        return web.Response(status=self.models_status, body=self.models, headers=self.headers)

    async def template(self, request: web.Request) -> web.Response:
        asked = await request.json()
        return web.json_response({"prompt": "<s>" + asked["messages"][-1]["content"]})


@asynccontextmanager
async def serve_fake() -> AsyncIterator[FakeServer]:
    fake = FakeServer()
    app = web.Application()
    app.router.add_get("/v1/models", fake.list_models)
    app.router.add_post("/v1/chat/completions", fake.answer)
    app.router.add_post("/v1/completions", fake.answer)
    app.router.add_post("/apply-template", fake.template)
    runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    fake.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield fake
    finally:
        await runner.cleanup()


@pytest.fixture
def fake_server() -> Callable[[], AbstractAsyncContextManager[FakeServer]]:
    return serve_fake


class Peer:
    """One accepted connection, for a script to read from and write to."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    async def request(self) -> bytes:
        """The next request, head and body. Empty at the end of the connection."""
        try:
            head = await self.reader.readuntil(b"\r\n\r\n")
        except (asyncio.IncompleteReadError, ConnectionError):
            return b""
        size = 0
        for line in head.lower().split(b"\r\n"):
            if line.startswith(b"content-length:"):
                size = int(line.partition(b":")[2])
        return head + await self.reader.readexactly(size)

    async def say(self, data: bytes, pause_s: float = 0.0) -> None:
        self.writer.write(data)
        with suppress(ConnectionError):
            await self.writer.drain()
        await asyncio.sleep(pause_s)

    def reset(self) -> None:
        """RST, not FIN."""
        sock = self.writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()


class ByteServer:
    """Runs `script` on each connection, and counts them."""

    def __init__(self, script: Callable[[Peer], Awaitable[None]]) -> None:
        self.script = script
        self.connections = 0
        self.requests: list[bytes] = []
        self.url = ""

    async def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            await self.script(Peer(reader, writer))
        finally:
            writer.close()


def serve_bytes(
    script: Callable[[Peer], Awaitable[None]],
    test: Callable[[HttpClient, ByteServer], Awaitable[Any]],
    loop: Callable[[], asyncio.AbstractEventLoop] | None = None,
    **listen: Any,
) -> Any:
    async def go() -> Any:
        server = ByteServer(script)
        host = listen.pop("host", "127.0.0.1")
        listener = await asyncio.start_server(server.accept, host, 0, **listen)
        port = listener.sockets[0].getsockname()[1]
        shown = f"[{host}]" if ":" in host else host
        server.url = f"{'https' if listen else 'http'}://{shown}:{port}"
        client = HttpClient(server.url)
        try:
            return await test(client, server)
        finally:
            await client.close()
            listener.close()
            await asyncio.sleep(0)  # scripts that wait for a request see that none will come
            rest = asyncio.all_tasks() - {asyncio.current_task()}
            for task in rest:
                task.cancel()
            await asyncio.gather(*rest, return_exceptions=True)

    with asyncio.Runner(loop_factory=loop) as runner:
        return runner.run(go())


@pytest.fixture
def run_bytes() -> Callable[..., Any]:
    """`run_bytes(script, test)`: `script(peer)` answers each connection, `test(client, server)`."""
    return serve_bytes


class FakeOllama:
    """An Ollama server by its own API: `tags`, `show` and `ps` as given, answers as scripted."""

    def __init__(self) -> None:
        self.script: list[Step] = []
        self.status = 200
        self.show: dict[str, Any] = {
            "details": {"family": "qwen3", "quantization_level": "Q4_K_M"},
            "model_info": {"general.parameter_count": 751632384, "general.license": "apache-2.0"},
            "template": "{{ range .Messages }}{{ .Content }}{{ end }}",
        }
        self.ps: dict[str, Any] = {"size": 1000, "size_vram": 750, "context_length": 4096}
        self.renders = True
        self.requests: list[tuple[str, dict[str, Any]]] = []
        self.seen_headers: list[dict[str, str]] = []
        self.abandoned = asyncio.Event()
        self.url = ""

    async def handle(self, request: web.Request) -> web.StreamResponse:
        self.seen_headers.append(dict(request.headers))
        body = await request.json() if request.can_read_body else {}
        self.requests.append((request.path, body))
        if request.path == "/api/version":
            return web.json_response({"version": "0.12.6"})
        if request.path == "/api/tags":
            models = [{"name": m, "model": m, "size": 522} for m in ("qwen3:0.6b", "base:latest")]
            return web.json_response({"models": models})
        if request.path == "/api/show":
            return web.json_response(self.show)
        if request.path == "/api/ps":
            return web.json_response({"models": [{"model": "qwen3:0.6b"} | self.ps]})
        if body.get("_debug_render_only") and self.renders:
            text = "<u>" + body["messages"][-1]["content"]
            return web.json_response({"_debug_info": {"rendered_template": text}})
        if body.get("stream") is False:
            return web.json_response({"done": True, "done_reason": "load"})
        return await self._answer(request)

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        if self.status != 200:
            body = b"".join(s for s in self.script if isinstance(s, bytes))
            return web.Response(status=self.status, body=body)
        response = web.StreamResponse(headers={"Content-Type": "application/x-ndjson"})
        await response.prepare(request)
        try:
            for step in self.script:
                if isinstance(step, bytes):
                    await response.write(step)
                else:
                    await asyncio.sleep(60.0 if step == "hang" else float(step))
        except (asyncio.CancelledError, ConnectionError):
            self.abandoned.set()
            raise
        return response


@asynccontextmanager
async def serve_ollama() -> AsyncIterator[FakeOllama]:
    fake = FakeOllama()
    app = web.Application()
    app.router.add_route("*", "/api/{name}", fake.handle)
    runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    fake.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield fake
    finally:
        await runner.cleanup()


@pytest.fixture
def fake_ollama() -> Callable[[], AbstractAsyncContextManager[FakeOllama]]:
    return serve_ollama


@pytest.fixture
def make_config(tmp_path: Path) -> Callable[..., EndpointConfig]:
    def make(**more: Any) -> EndpointConfig:
        given: dict[str, Any] = {
            "pair_id": "pair",
            "model": "m",
            "work_dir": tmp_path,
        }
        wait = more.pop("timeout_s", 60.0)
        given["timeouts"] = Timeouts(first_s=wait, chunk_s=wait)
        return EndpointConfig(**(given | more))

    return make


@pytest.fixture
def make_prompt() -> Callable[..., Prompt]:
    def make(text: str = "What is the capital of France?", **sampling: Any) -> Prompt:
        return Prompt(
            request_id="r",
            messages=(Message(role="user", content=text),),
            sampling=Sampling(**sampling),
            examples=(
                Message(role="user", content="2+2?"),
                Message(role="assistant", content="4"),
            ),
        )

    return make


@pytest.fixture
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    folder = tmp_path / "cache"
    monkeypatch.setenv("PERWATT_CACHE", str(folder))
    yield folder


@pytest.fixture(scope="session")
def tiny_gguf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two small Q4_1 matrices, an embedding in Q8_0 and a norm, with every kind of metadata."""
    gguf = pytest.importorskip("gguf", reason="needs the `local` extra")
    import numpy as np

    path: Path = tmp_path_factory.mktemp("gguf") / "tiny.Q4_1.gguf"
    rng = np.random.default_rng(7)
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_name("Tiny")
    writer.add_file_type(3)
    writer.add_context_length(64)
    writer.add_license("cc0-1.0")
    writer.add_chat_template("{{ messages }}")
    writer.add_token_list(["a", "b", "é"])
    writer.add_token_scores([0.0, -1.0, -2.0])
    writer.add_bool("tokenizer.ggml.add_bos_token", True)
    kinds = gguf.GGMLQuantizationType
    shapes = {
        "token_embd.weight": ((8, 64), kinds.Q8_0),
        "blk.0.attn_q.weight": ((32, 64), kinds.Q4_1),
        "blk.0.ffn_up.weight": ((96, 64), kinds.Q4_1),
    }
    for name, (shape, kind) in shapes.items():
        data = gguf.quants.quantize(rng.normal(size=shape).astype(np.float32), kind)
        writer.add_tensor(name, data, raw_dtype=kind)
    writer.add_tensor("output_norm.weight", np.ones(64, dtype=np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


@pytest.fixture
def gone() -> Callable[..., bool]:
    def wait(pid: int, patience_s: float = 60.0) -> bool:
        """Ended, or a zombie that only its parent has not yet collected."""
        end = time.monotonic() + patience_s
        while time.monotonic() < end:
            try:
                state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
            except (FileNotFoundError, ProcessLookupError):
                return True
            if state == "Z":
                return True
            time.sleep(0.02)
        return False

    return wait
