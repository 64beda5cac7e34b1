"""A scripted server, an emulated energy counter of known watts, and an address in front of them."""

from __future__ import annotations

import asyncio
import http.client
import json
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, Literal, NamedTuple

import pytest

from perwatt.core.errors import PerwattError
from perwatt.core.records import Request
from perwatt.gateway.options import ServeOptions
from perwatt.gateway.serve import Serving, serve
from perwatt.store.journal import read_journal

STREAM_HEAD = (
    b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
)
Step = bytes | float | Literal["reset", "close"]
IDLE_W, BUSY_W = 20.0, 80.0


class Asked:
    """One request as the server got it, to the byte."""

    def __init__(self, head: bytes, body: bytes) -> None:
        self.head = head
        self.body = body
        lines = head.decode("latin-1").split("\r\n")
        self.line = lines[0]
        self.headers = {
            name.lower(): value
            for name, _, value in (line.partition(": ") for line in lines[1:] if line)
        }
        self.caller_left = threading.Event()


class Upstream:
    """Answers with `script(asked)`: bytes as they are, waits in seconds, a reset or a close."""

    def __init__(self) -> None:
        self.script: Callable[[Asked], list[Step]] = lambda _: [self.json_answer({"ok": True})]
        self.sent_bytes = 0
        self.asked: list[Asked] = []
        self.url = ""
        self.busy = 0
        """Requests that are answered right now."""
        self._ready = threading.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop: asyncio.Event | None = None
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()))

    @staticmethod
    def json_answer(value: Any, status: str = "200 OK", more: str = "") -> bytes:
        body = value if isinstance(value, bytes) else json.dumps(value).encode()
        head = f"HTTP/1.1 {status}\r\nContent-Type: application/json\r\n{more}"
        return f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body

    @staticmethod
    def stream(events: Iterable[bytes], gap_s: float = 0.0) -> list[Step]:
        """A whole stream, one event a chunk."""
        steps: list[Step] = [STREAM_HEAD]
        for one in events:
            steps += [b"%x\r\n%s\r\n" % (len(one), one), gap_s]
        return [*steps, b"0\r\n\r\n"]

    @staticmethod
    def event(value: Any) -> bytes:
        return b"data: " + json.dumps(value).encode() + b"\n\n"

    @classmethod
    def delta(cls, text: str) -> bytes:
        return cls.event({"choices": [{"index": 0, "delta": {"content": text}}]})

    def __enter__(self) -> Upstream:
        self._thread.start()
        assert self._ready.wait(120)
        return self

    def __exit__(self, *_: object) -> None:
        assert self._loop is not None
        assert self._stop is not None
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(10)

    async def _serve(self) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        tasks: set[asyncio.Task[None]] = set()

        def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = asyncio.create_task(self._connection(reader, writer))
            tasks.add(task)
            task.add_done_callback(tasks.discard)

        server = await asyncio.start_server(connected, "127.0.0.1", 0, limit=2**26)
        self.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
        self._ready.set()
        await self._stop.wait()
        server.close()
        for task in list(tasks):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                asked = Asked(head, b"")
                asked.body = await reader.readexactly(int(asked.headers.get("content-length", 0)))
                self.asked.append(asked)
                answering = asyncio.create_task(self._answer(asked, writer))
                # The next byte is the next request's, which nobody sends before the answer: so
                # whatever comes before that is the caller's end.
                leaving = asyncio.create_task(reader.read(1))
                await asyncio.wait({answering, leaving}, return_when=asyncio.FIRST_COMPLETED)
                if not answering.done():
                    asked.caller_left.set()
                    answering.cancel()
                    with suppress(asyncio.CancelledError):
                        await answering
                    return
                if not answering.result():
                    leaving.cancel()
                    return
                byte = await leaving
                if not byte:
                    return
                # Pushed back: readuntil has to see it.
                reader._buffer[:0] = byte  # type: ignore[attr-defined]
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    async def _answer(self, asked: Asked, writer: asyncio.StreamWriter) -> bool:
        """True: the connection can carry another."""
        self.busy += 1
        try:
            for step in self.script(asked):
                if isinstance(step, float):
                    await asyncio.sleep(step)
                elif step == "reset":
                    linger = struct.pack("ii", 1, 0)
                    sock = writer.get_extra_info("socket")
                    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
                    writer.transport.abort()
                    return False
                elif step == "close":
                    return False
                else:
                    assert isinstance(step, bytes)
                    writer.write(step)
                    await writer.drain()
                    self.sent_bytes += len(step)
        finally:
            self.busy -= 1
        return True


class Device:
    """A powercap tree that draws BUSY_W while the server answers and IDLE_W otherwise."""

    def __init__(self, root: Path, upstream: Upstream) -> None:
        self.joules = 0.0
        self.longest_s = 0.0
        """For so long a busy machine let nothing be counted, since it was set to 0."""
        self._upstream = upstream
        zone = root / "intel-rapl:0"
        zone.mkdir(parents=True)
        (zone / "name").write_text("package-0")
        (zone / "max_energy_range_uj").write_text("262143328850")
        self._file = zone / "energy_uj"
        self._write()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._tick)

    def __enter__(self) -> Device:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _tick(self) -> None:
        last = time.monotonic()
        while not self._stop.wait(0.002):
            now = time.monotonic()
            self.joules += (BUSY_W if self._upstream.busy else IDLE_W) * (now - last)
            self.longest_s = max(self.longest_s, now - last)
            last = now
            self._write()

    def _write(self) -> None:
        whole = self._file.with_suffix(".new")
        whole.write_text(f"{int(self.joules * 1e6)}\n")
        whole.replace(self._file)  # a sensor never sees half a number


class Address:
    """`serve` in a thread of its own."""

    def __init__(self, options: ServeOptions) -> None:
        self.options = options
        self.serving = Serving()
        self.events: list[Any] = []
        self.finished: Path | None = None
        self.error: PerwattError | None = None
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> Address:
        self._thread.start()
        assert self.serving.opened.wait(120), self.error
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> Path:
        """Close the address and wait for the run."""
        self.serving.stop()
        self._thread.join(120)
        assert not self._thread.is_alive()
        if self.error is not None:
            raise self.error
        return self.options.out or Path()

    def record(self, request_id: str) -> Request:
        """What the journal says of it, once it does."""
        assert self.options.out is not None
        for _ in range(3000):
            for request in read_journal(self.options.out / "journal.jsonl").requests:
                if request.request_id == request_id:
                    return request
            time.sleep(0.02)
        raise AssertionError(request_id)

    @property
    def host(self) -> str:
        return self.serving.url.removeprefix("http://")

    def _run(self) -> None:
        try:
            self.finished = serve(self.options, self.events.append, serving=self.serving)
        except PerwattError as error:
            self.error = error


class Answered(NamedTuple):
    status: int
    headers: dict[str, str]
    body: bytes


def asked_of(
    host: str,
    body: Any = None,
    *,
    path: str = "/v1/chat/completions",
    method: str = "POST",
    headers: dict[str, str] | None = None,
) -> Answered:
    connection = http.client.HTTPConnection(host, timeout=120)
    try:
        data = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        connection.request(method, path, body=data, headers=headers or {})
        response = connection.getresponse()
        found = {name.lower(): value for name, value in response.getheaders()}
        return Answered(response.status, found, response.read())
    finally:
        connection.close()


@pytest.fixture(scope="module")
def upstream() -> Iterator[Upstream]:
    with Upstream() as one:
        yield one


@pytest.fixture(scope="module")
def device(upstream: Upstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Device]:
    root = tmp_path_factory.mktemp("powercap")
    (root / "intel-rapl").mkdir(parents=True)
    with pytest.MonkeyPatch.context() as patch, Device(root, upstream) as one:
        patch.setenv("PERWATT_POWERCAP_ROOT", str(root))
        patch.setenv("PERWATT_HOST_PROFILE", "/dev/null/absent")
        yield one


@pytest.fixture(scope="module")
def make_address(
    upstream: Upstream, device: Device, tmp_path_factory: pytest.TempPathFactory
) -> Callable[..., Address]:
    """An address in front of `upstream`, metered by `device`, not yet entered."""

    def make(**more: Any) -> Address:
        given: dict[str, Any] = {
            "to": upstream.url,
            "port": 0,
            "out": tmp_path_factory.mktemp("run") / "run",
            "sensors": ("rapl",),
            "require_grade": "B",
            "sample_hz": 100.0,
            "idle_s": 0.3,
            "drain_s": 3.0,
        }
        return Address(ServeOptions(**(given | more)))

    return make


@pytest.fixture(scope="module")
def address(make_address: Callable[..., Address]) -> Iterator[Address]:
    """One that all tests of a module share."""
    with make_address() as one:
        yield one


@pytest.fixture
def ask(address: Address) -> Callable[..., Answered]:
    """Ask the shared address: `ask(body, path=…, method=…, headers=…)`."""

    def one(body: Any = None, **more: Any) -> Answered:
        return asked_of(address.host, body, **more)

    return one


@pytest.fixture
def ask_at() -> Callable[..., Answered]:
    """The same of any address: `ask_at(host, body, …)`."""
    return asked_of
