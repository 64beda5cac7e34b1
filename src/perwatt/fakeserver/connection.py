"""HTTP/1.1 of one connection: requests in, one answer at a time out."""

from __future__ import annotations

import asyncio
import os
import socket
import struct
from collections import deque
from typing import TYPE_CHECKING, cast

import httptools

from perwatt.core.clock import now_ns
from perwatt.fakeserver.script import Script

if TYPE_CHECKING:
    from perwatt.fakeserver.engine import Engine
    from perwatt.fakeserver.stream import Stream

__all__ = ["Connection", "HttpRequest"]

MOST_BODY = 64 * 1024 * 1024
RESET_ON_CLOSE = struct.pack("ii", 1, 0)


class HttpRequest:
    """What came in. Header names are in lower case."""

    __slots__ = (
        "body",
        "complete_ns",
        "first_byte_ns",
        "headers",
        "keep_alive",
        "method",
        "target",
    )

    def __init__(self, first_byte_ns: int) -> None:
        self.first_byte_ns = first_byte_ns
        self.complete_ns = 0
        self.method = b""
        self.target = b""
        self.headers: dict[bytes, bytes] = {}
        self.body = bytearray()
        self.keep_alive = True


class Connection(asyncio.Protocol):
    """A client. Bytes go to the kernel at once, so that the truth is no event loop's queue."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._parser = httptools.HttpRequestParser(self)
        self._transport: asyncio.Transport | None = None
        self._fd = -1
        self._read_ns = 0
        self._reading: HttpRequest | None = None
        self._pending: deque[HttpRequest] = deque()
        self._stream: Stream | None = None
        self._busy = False
        self._keep_alive = True
        self._idle_since = 0
        self.serial = 0
        self.requests = 0
        self.accepted_ns = 0

    # asyncio's calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.accepted_ns = now_ns()
        self._transport = cast("asyncio.Transport", transport)
        sock = transport.get_extra_info("socket")
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._fd = sock.fileno()
        self.serial = self._engine.connected(self)
        self._idle()

    def data_received(self, data: bytes) -> None:
        self._read_ns = now_ns()
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            self.drop()
        except httptools.HttpParserError:
            self.send(b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
            self.drop()

    def eof_received(self) -> None:
        self._gone()

    def connection_lost(self, _: Exception | None) -> None:
        self._gone()
        self._engine.disconnected(self)

    # httptools' calls

    def on_message_begin(self) -> None:
        self._reading = HttpRequest(self._read_ns)

    def on_url(self, url: bytes) -> None:
        assert self._reading is not None
        self._reading.target += url

    def on_header(self, name: bytes, value: bytes) -> None:
        assert self._reading is not None
        name = name.lower()
        self._reading.headers[name] = value
        if name == b"expect" and value.lower() == b"100-continue":
            self.send(b"HTTP/1.1 100 Continue\r\n\r\n")

    def on_body(self, body: bytes) -> None:
        assert self._reading is not None
        self._reading.body += body
        if len(self._reading.body) > MOST_BODY:
            self.drop()

    def on_message_complete(self) -> None:
        request = self._reading
        assert request is not None
        request.method = self._parser.get_method()
        request.keep_alive = self._parser.should_keep_alive()
        request.complete_ns = now_ns()
        if self._busy:
            self._pending.append(request)
        else:
            self._serve(request)

    # the server's own

    def _serve(self, request: HttpRequest) -> None:
        self._busy = True
        self._keep_alive = request.keep_alive and self._engine.settings.keep_alive
        self.requests += 1
        self._engine.serve(self, request)

    def answer(self, stream: Stream) -> None:
        """Send it; its end calls `answered` or `drop`."""
        self._stream = stream
        stream.start()

    def head(self, script: Script) -> bytes:
        """Status line and headers, with those of the connection."""
        return script.head + (b"\r\n" if self._keep_alive else b"connection: close\r\n\r\n")

    def send(self, data: bytes) -> bool:
        """Hand to the kernel now; what it does not take is sent later, and then it is False."""
        transport = self._transport
        if self._fd < 0 or transport is None:
            return False
        if transport.get_write_buffer_size():
            transport.write(data)
            return False
        try:
            sent = os.write(self._fd, data)
        except BlockingIOError:
            sent = 0
        except OSError:  # the client has gone, which the transport will notice too
            self._gone()
            return False
        if sent < len(data):
            transport.write(data[sent:])
            return False
        return True

    def reply(self, status: bytes, kind: bytes, body: bytes) -> None:
        """A whole response that is no stream, at once."""
        closing = b"" if self._keep_alive else b"connection: close\r\n"
        head = b"HTTP/1.1 %b\r\ncontent-type: %b\r\ncontent-length: %d\r\n%b\r\n"
        self.send(head % (status, kind, len(body), closing) + body)
        self.answered()

    def answered(self) -> None:
        """The response is complete: close, or go on with the next request."""
        self._stream = None
        self._busy = False
        if not self._keep_alive:
            self.drop()
        elif self._pending:
            self._serve(self._pending.popleft())
        else:
            self._idle()

    def drop(self, *, reset: bool = False) -> None:
        """Close, by RST where asked for."""
        transport, self._fd, self._stream = self._transport, -1, None
        if transport is None or transport.is_closing():
            return
        if reset:
            sock = transport.get_extra_info("socket")
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
            transport.abort()
        else:
            transport.close()

    def _gone(self) -> None:
        self._fd = -1
        self._pending.clear()
        stream, self._stream = self._stream, None
        if stream is not None:
            stream.cancel()

    def _idle(self) -> None:
        patience_s = self._engine.settings.keep_alive_s
        if patience_s is not None:
            since = self._idle_since = now_ns()

            def close(_: int) -> None:
                if not self._busy and self._idle_since == since:
                    self.drop()

            self._engine.timer.at(since + round(patience_s * 1e9), close)
