"""What goes wrong between us and a server: resets, nonsense, silence, leaving."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest

from perwatt.core.protocols import Timeouts
from perwatt.endpoints.http_client import HttpClient
from perwatt.endpoints.http_exchange import Heard, Receiver, Sent, TransportError

Peer = Any  # of conftest.py, as is Server
Server = Any
Run = Callable[..., Any]
WAIT = Timeouts(connect_s=60.0, first_s=60.0, chunk_s=60.0)
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


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


HEAD_TOO_LONG = b"HTTP/1.1 200 OK\r\n" + b"X: " + b"y" * 400_000


@pytest.mark.parametrize(
    ("reply", "kind", "words"),
    [
        (b"", "reset", "before it answered"),
        (b"reset", "reset", "before it answered"),
        (b"HTTP/1.1 200 OK\r\nContent-Le", "reset", "in the middle"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhal", "reset", "in the middle"),
        (CHUNKED + b"5\r\nhello\r\n", "reset", "in the middle"),
        (CHUNKED + b"zz\r\nhello\r\n", "malformed", "not HTTP"),
        (b"hello, I am no web server\r\n\r\n", "malformed", "not HTTP"),
        (b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
         "malformed", "not HTTP"),
        (HEAD_TOO_LONG, "malformed", "KiB of headers"),
    ],
    ids=lambda value: value[:20].decode() if isinstance(value, bytes) else None,
)  # fmt: skip
def test_answers_that_are_none(run_bytes: Run, reply: bytes, kind: str, words: str) -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        if reply == b"reset":
            peer.reset()
            return
        await peer.say(reply)
        if reply is HEAD_TOO_LONG:
            await peer.say(b"z", 60.0)

    async def test(client: HttpClient, server: Server) -> None:
        with pytest.raises(TransportError, match=words) as caught:
            await get(client)
        assert caught.value.kind == kind
        assert caught.value.sent.connection == "new"
        assert caught.value.sent.sent_ns is not None

    run_bytes(script, test)


@pytest.mark.parametrize(
    ("given", "kind", "pieces"),
    [
        ({"first_s": 0.2}, "timeout-first", 0),
        ({"chunk_s": 0.2}, "timeout-chunk", 1),
        ({"total_s": 0.3}, "timeout-total", 1),
    ],
)
def test_each_wait_has_its_limit(
    run_bytes: Run, given: dict[str, float], kind: str, pieces: int
) -> None:
    """Headers and pings come in time, and are no chunk."""

    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.say(CHUNKED)
        if pieces:
            await peer.say(b"1\r\na\r\n")
        while not peer.writer.is_closing():
            await peer.say(b"2\r\n:p\r\n", 0.02)

    async def test(client: HttpClient, server: Server) -> None:
        limits = Timeouts(**{"first_s": 60.0, "chunk_s": 60.0} | given)
        words = Words()
        # Held up by the machine for so long, it hears of nothing before the limit.
        for _ in range(20):
            words = Words()
            with pytest.raises(TransportError) as caught:
                await get(client, words, timeouts=limits)
            assert caught.value.kind == kind
            if words.text.count(b"a") == pieces and words.text.count(b":p") >= 2:
                return
        pytest.fail(f"of what came in time only {words.text!r} was heard")

    run_bytes(script, test)


def test_chunks_move_the_limit_on(run_bytes: Run) -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.say(CHUNKED)
        for _ in range(8):
            await peer.say(b"1\r\na\r\n", 0.3)
        await peer.say(b"0\r\n\r\n")

    async def test(client: HttpClient, server: Server) -> None:
        words = Words()
        await get(client, words, timeouts=Timeouts(first_s=60.0, chunk_s=2.0))
        assert words.text == b"a" * 8
        marks = [mark for _, mark in words.pieces]
        assert marks == sorted(marks)
        assert marks[-1] - marks[0] > 2e9

    run_bytes(script, test)


def test_connecting_has_its_limit(run_bytes: Run) -> None:
    """A listener whose queue is full answers nothing to one more."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        port = listener.getsockname()[1]
        crowd = [socket.socket() for _ in range(4)]
        try:
            for one in crowd:
                one.setblocking(False)
                with suppress(BlockingIOError):
                    one.connect(("127.0.0.1", port))

            async def go(**limits: Any) -> str:
                client = HttpClient(f"http://127.0.0.1:{port}")
                with pytest.raises(TransportError) as caught:
                    await get(client, timeouts=Timeouts(**limits))
                assert caught.value.sent.sent_ns is None
                await client.close()
                return caught.value.kind

            assert asyncio.run(go(connect_s=0.1)) == "timeout-connect"
            assert asyncio.run(go(connect_s=60.0, total_s=0.1)) == "timeout-total"
        finally:
            for one in crowd:
                one.close()


def test_nobody_there_and_no_such_host(run_bytes: Run) -> None:
    async def go(url: str) -> TransportError:
        client = HttpClient(url)
        with pytest.raises(TransportError) as caught:
            await get(client)
        await client.close()
        return caught.value

    with socket.socket() as nobody:  # bound, so that nobody else comes to listen there
        nobody.bind(("127.0.0.1", 0))
        refused = asyncio.run(go(f"http://127.0.0.1:{nobody.getsockname()[1]}"))
    assert refused.kind == "connect"
    assert refused.sentence == "the server cannot be reached: Connection refused"
    assert asyncio.run(go("http://no-such-host.invalid")).kind == "connect"


def test_what_follows_the_end_is_not_read_for_ever(run_bytes: Run) -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.say(CHUNKED + b"3\r\nEND\r\n")
        while not peer.writer.is_closing():
            await peer.say(b"10000\r\n" + b"x" * 65536 + b"\r\n", 0.001)

    async def test(client: HttpClient, server: Server) -> None:
        await get(client, Words(b"END"))
        async with asyncio.timeout(60):
            while client._all:
                await asyncio.sleep(0.01)

    run_bytes(script, test)


def test_cancelling_closes_the_socket_at_once(run_bytes: Run) -> None:
    left = asyncio.Event()
    asked = asyncio.Event()

    async def script(peer: Peer) -> None:
        await peer.request()
        asked.set()
        await peer.say(CHUNKED + b"1\r\na\r\n")
        assert await peer.request() == b""
        left.set()

    async def test(client: HttpClient, server: Server) -> None:
        task = asyncio.create_task(get(client))
        await asked.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await asyncio.wait_for(left.wait(), 60)  # before the client is closed

    run_bytes(script, test)


async def hello(peer: Peer) -> None:
    while await peer.request():
        await peer.say(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello")


def test_what_a_receiver_raises_is_raised_and_closes_the_connection(run_bytes: Run) -> None:
    class Picky(Receiver):
        def body(self, data: bytes, t_ns: int) -> Heard:
            raise LookupError(data.decode())

    async def test(client: HttpClient, server: Server) -> None:
        picky = Picky()
        with pytest.raises(LookupError, match="hello"):
            await get(client, picky)
        assert picky.sent is not None
        assert picky.sent.status == 200
        assert (await get(client)).connection == "new"

    run_bytes(hello, test)
