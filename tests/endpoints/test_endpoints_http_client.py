"""The HTTP client against servers that write exact bytes, on loopback."""

from __future__ import annotations

import asyncio
import shutil
import socket
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from perwatt.core.errors import FileError
from perwatt.core.protocols import Timeouts
from perwatt.endpoints.http_client import HttpClient
from perwatt.endpoints.http_exchange import BodyReceiver, Heard, Receiver, Sent, TransportError

Peer = Any  # of conftest.py, as is Server
Server = Any
Run = Callable[..., Any]
WAIT = Timeouts(connect_s=60.0, first_s=60.0, chunk_s=60.0)


class Words(Receiver):
    """Keeps each piece with its mark; done when `end` comes."""

    def __init__(self, end: bytes = b"\0") -> None:
        self.pieces: list[tuple[bytes, int]] = []
        self.end = end

    @property
    def text(self) -> bytes:
        return b"".join(data for data, _ in self.pieces)

    def body(self, data: bytes, t_ns: int) -> Heard:
        self.pieces.append((data, t_ns))
        if data.startswith(b":"):
            return Heard.NOTHING
        return Heard.DONE if self.end in data else Heard.CHUNK


async def get(client: HttpClient, receiver: Receiver | None = None, **more: Any) -> Sent:
    timeouts = more.pop("timeouts", WAIT)
    return await client.send("POST", "/x", {}, b"{}", receiver or Words(), timeouts)


CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
BODIES = {
    "content-length": b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
    "chunked": CHUNKED + b"2\r\nhe\r\n3;ext=1\r\nllo\r\n0\r\nTrailer: x\r\n\r\n",
    "until close": b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nhello",
    "http/1.0": b"HTTP/1.0 200 OK\r\n\r\nhello",
}
BODIES["after a 100"] = b"HTTP/1.1 100 Continue\r\n\r\n" + BODIES["content-length"]
BODIES["after hints"] = b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n" + BODIES["chunked"]


@pytest.mark.parametrize("name", list(BODIES))
@pytest.mark.parametrize("dribble", [False, True])
def test_every_framing_of_a_body(run_bytes: Run, name: str, dribble: bool) -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        step = 1 if dribble else 1000
        for at in range(0, len(BODIES[name]), step):
            await peer.say(BODIES[name][at : at + step])
        if "length" in name or "a 100" in name or "chunk" in name or "hints" in name:
            await peer.request()  # stays open

    async def test(client: HttpClient, server: Server) -> None:
        receiver = BodyReceiver()
        sent = await get(client, receiver)
        assert (receiver.status, receiver.content) == (200, b"hello")
        assert (sent.status, sent.connection) == (200, "new")
        assert sent.sent_ns is not None
        assert sent.first_byte_ns is not None
        assert sent.dispatched_ns <= sent.sent_ns <= sent.first_byte_ns

    run_bytes(script, test)


async def echo(peer: Peer) -> None:
    while request := await peer.request():
        await peer.say(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(request) + request)


def test_what_is_sent(run_bytes: Run) -> None:
    async def test(client: HttpClient, server: Server) -> None:
        receiver = BodyReceiver()
        await client.send("POST", "/a?b=c", {"X-A": "é"}, b"body", receiver, WAIT)
        host = server.url.removeprefix("http://").encode()
        assert receiver.content == (
            b"POST /a?b=c HTTP/1.1\r\nHost: " + host + b"\r\nX-A: \xe9\r\n"
            b"Content-Length: 4\r\n\r\nbody"
        )
        with pytest.raises(ValueError, match="line break"):
            await client.send("GET", "/", {"X": "a\r\nY: b"}, None, Words(), WAIT)

    run_bytes(echo, test)


def test_headers_are_joined_in_lower_case(run_bytes: Run) -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        head = b"HTTP/1.1 204 No Content\r\nX-A: 1\r\nx-a: 2\r\nEmpty:\r\n\r\n"
        await peer.say(head)

    async def test(client: HttpClient, server: Server) -> None:
        sent = await get(client)
        assert (sent.status, sent.headers) == (204, {"x-a": "1, 2", "empty": ""})

    run_bytes(script, test)


def test_a_connection_is_used_again_and_many_at_once(run_bytes: Run) -> None:
    async def test(client: HttpClient, server: Server) -> None:
        kinds = [(await get(client)).connection for _ in range(3)]
        assert kinds == ["new", "reused", "reused"]
        await asyncio.gather(*(get(client) for _ in range(20)))
        assert server.connections <= 20
        before = server.connections
        await asyncio.gather(*(get(client) for _ in range(before)))
        assert server.connections == before

    run_bytes(echo, test)


def test_the_same_under_uvloop(run_bytes: Run) -> None:
    uvloop = pytest.importorskip("uvloop", reason="needs the `fast` extra")

    async def test(client: HttpClient, server: Server) -> None:
        kinds = [(await get(client)).connection for _ in range(3)]
        assert kinds == ["new", "reused", "reused"]
        task = asyncio.create_task(get(client))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert (await get(client)).connection == "new"

    run_bytes(echo, test, loop=uvloop.new_event_loop)


def test_ipv6(run_bytes: Run) -> None:
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
    except OSError:
        pytest.skip("no IPv6 here")

    async def test(client: HttpClient, server: Server) -> None:
        receiver = BodyReceiver()
        await get(client, receiver)
        assert f"Host: {server.url.removeprefix('http://')}".encode() in receiver.content

    run_bytes(echo, test, host="::1")


@pytest.mark.parametrize(
    "tail", [b"Connection: close\r\n", b"Keep-Alive: timeout=0\r\n"], ids=["close", "timeout=0"]
)
def test_a_connection_that_will_not_last_is_not_used_again(run_bytes: Run, tail: bytes) -> None:
    async def script(peer: Peer) -> None:
        while await peer.request():
            await peer.say(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n" + tail + b"\r\nx")

    async def test(client: HttpClient, server: Server) -> None:
        assert [(await get(client)).connection for _ in range(3)] == ["new"] * 3
        assert server.connections == 3

    run_bytes(script, test)


def test_a_kept_connection_closed_unseen_costs_no_request(run_bytes: Run) -> None:
    """The server reads the second request and closes: as if it had closed just before it came."""
    asked: list[int] = []

    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.say(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx")
        if await peer.request():
            asked.append(1)
            peer.reset()

    async def test(client: HttpClient, server: Server) -> None:
        await get(client)
        sent = await get(client)
        assert (sent.status, sent.connection) == (200, "new")
        assert (server.connections, asked) == (2, [1])

    run_bytes(script, test)


def test_bytes_nobody_asked_for_spoil_a_connection(run_bytes: Run) -> None:
    async def script(peer: Peer) -> None:
        while await peer.request():
            await peer.say(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nxHTTP/1.1 200 OK\r\n")

    async def test(client: HttpClient, server: Server) -> None:
        for _ in range(2):
            receiver = BodyReceiver()
            assert (await get(client, receiver)).connection == "new"
            assert receiver.content == b"x"

    run_bytes(script, test)


def test_a_server_that_dawdles_after_the_end_costs_nothing(run_bytes: Run) -> None:
    ends = asyncio.Event()

    async def script(peer: Peer) -> None:
        while await peer.request():
            await peer.say(CHUNKED + b"3\r\nEND\r\n")
            await ends.wait()
            await peer.say(b"0\r\n\r\n")

    async def test(client: HttpClient, server: Server) -> None:
        await get(client, Words(b"END"))  # returns though the response has not ended
        second = await get(client, Words(b"END"))
        assert second.connection == "new"
        ends.set()
        async with asyncio.timeout(60):
            while len(client._free) < 2:  # the rest is read with nobody waiting
                await asyncio.sleep(0.01)
        third = await get(client, Words(b"END"))
        assert (third.connection, server.connections) == ("reused", 2)

    run_bytes(script, test)


def test_a_slow_receiver_holds_the_server_back(run_bytes: Run) -> None:
    written = 0
    size = 40_000_000

    async def script(peer: Peer) -> None:
        nonlocal written
        await peer.request()
        await peer.say(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size)
        while written < size:
            await peer.say(bytes(100_000))
            written += 100_000

    class Slow(Receiver):
        got = 0

        def body(self, data: bytes, t_ns: int) -> Heard:
            if not self.got:
                assert self.flow is not None
                self.flow.pause()
            self.got += len(data)
            return Heard.CHUNK

    async def test(client: HttpClient, server: Server) -> None:
        slow = Slow()
        task = asyncio.create_task(get(client, slow, timeouts=Timeouts(first_s=60, chunk_s=0.5)))
        before = -1
        while not slow.got or written != before:  # until the server can write no more
            before = written
            await asyncio.sleep(0.6)  # longer than a chunk may take: the wait is ours
        assert written < size
        assert slow.got < 1_000_000
        assert slow.flow is not None
        slow.flow.resume()
        await task
        assert slow.got == size

    run_bytes(script, test)


def test_a_body_kept_whole_has_a_limit(run_bytes: Run) -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.say(CHUNKED)
        for _ in range(100):
            await peer.say(b"64\r\n" + b"x" * 100 + b"\r\n")

    async def test(client: HttpClient, server: Server) -> None:
        receiver = BodyReceiver(limit=250)
        await get(client, receiver)
        assert (len(receiver.content), receiver.too_long) == (250, True)

    run_bytes(script, test)


def certificate(folder: Path) -> tuple[Path, Path]:
    key, pem = folder / "key.pem", folder / "cert.pem"
    command = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2"
    names = ["-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1"]
    files = ["-keyout", str(key), "-out", str(pem)]
    subprocess.run([*command.split(), *names, *files], check=True, capture_output=True)
    return key, pem


@pytest.mark.skipif(shutil.which("openssl") is None, reason="no openssl to make a certificate")
def test_https_with_a_certificate_of_ones_own(
    run_bytes: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import ssl

    key, pem = certificate(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem, key)

    async def trusted(client: HttpClient, server: Server) -> None:
        assert [(await get(client)).connection for _ in range(2)] == ["new", "reused"]

    async def not_trusted(client: HttpClient, server: Server) -> None:
        with pytest.raises(TransportError, match="certificate is not trusted") as caught:
            await get(client)
        assert caught.value.kind == "connect"

    monkeypatch.delenv("PERWATT_CA_FILE", raising=False)
    run_bytes(echo, not_trusted, ssl=context)
    monkeypatch.setenv("PERWATT_CA_FILE", str(pem))
    run_bytes(echo, trusted, ssl=context)
    monkeypatch.setenv("PERWATT_CA_FILE", str(tmp_path / "none.pem"))
    with pytest.raises(FileError, match=r"PERWATT_CA_FILE.*none\.pem"):
        HttpClient("https://127.0.0.1:1")


def test_marks_are_those_of_the_reads(run_bytes: Run) -> None:
    """True gaps of 30 ms between chunks; a mark is never before its chunk was written."""
    written: list[int] = []

    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.say(CHUNKED, 0.03)
        for _ in range(5):
            written.append(time.monotonic_ns())
            await peer.say(b"1\r\na\r\n", 0.03)
        await peer.say(b"0\r\n\r\n")

    async def test(client: HttpClient, server: Server) -> None:
        words = Words()
        sent = await get(client, words)
        marks = [mark for _, mark in words.pieces]
        assert len(marks) == 5
        assert all(mark >= t for mark, t in zip(marks, written, strict=True))
        assert sent.first_byte_ns is not None
        assert sent.first_byte_ns < marks[0]  # headers are the first byte, and no chunk

    run_bytes(script, test)
