"""One kept connection, read as its bytes arrive.

The mark of a read is taken before anything is done with it, so that a chunk's time is that of its
arrival and not of its parsing. HTTP is parsed by llhttp (`httptools`).
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Literal, cast

import httptools

from perwatt.core.clock import now_ns
from perwatt.endpoints.http_exchange import Exchange, Heard, TransportError

if TYPE_CHECKING:
    from perwatt.endpoints.http_client import HttpClient

__all__ = ["HttpConnection"]

LINGER_NS = 2_000_000
"""After the last event the server is given so long to end its response before the answer is handed
over all the same: a connection that is free again in a moment is better than one more."""
DRAIN_NS = 1_000_000_000
"""So long, in the background, until the connection is given up."""
DRAIN_BYTES = 1024 * 1024
BEFORE = "the server closed the connection before it answered"
HEAD_BYTES = 64 * 1024
"""Longest head of a response that comes in several reads."""

_Stage = Literal["idle", "head", "first", "chunk", "linger", "drain"]
"""What it waits for: nothing, the headers, the first chunk, the next one, the end of the response
after the last event, the same with nobody waiting."""


class HttpConnection(asyncio.BufferedProtocol):
    """Carries one exchange at a time. It tells its client when it is free and when it is lost.

    `buffer` may be shared by all connections of a loop: what is read is used up before the loop
    reads again. asyncio's own way takes and returns 256 KiB of memory for each read, which costs
    more than all the rest.
    """

    def __init__(self, client: HttpClient, buffer: memoryview) -> None:
        self._client = client
        self._buffer = buffer
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._exchange: Exchange | None = None
        self._parser: httptools.HttpResponseParser | None = None
        self._stage: _Stage = "idle"
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at_ns = 0
        self._deadline_ns = 0
        self._t_ns = 0
        self._paused = False
        self._headers: dict[str, str] = {}
        self._head_bytes = self._status = self._drained = 0
        self._ended = self._keep = False
        self.expires_ns = 0
        """Not to be used after this, once it is free."""

    @property
    def closing(self) -> bool:
        return self._transport is None or self._transport.is_closing()

    def begin(self, exchange: Exchange, request: bytes) -> None:
        """Send. The exchange's future is settled in due time."""
        transport = self._transport
        self._exchange = exchange
        self._parser = httptools.HttpResponseParser(self)
        self._headers = {}
        self._head_bytes = self._status = self._drained = 0
        self._ended = False
        self._stage = "head"
        exchange.receiver.flow = self
        exchange.sent.sent_ns = sent_ns = now_ns()
        if transport is None or transport.is_closing():
            self._fail("reset", BEFORE)
            return
        transport.write(request)
        self._arm(sent_ns + exchange.first_ns)

    def abort(self) -> None:
        """Close at once, whatever is under way: what makes a server stop generating."""
        if self._transport is not None:
            self._transport.abort()

    def pause(self) -> None:
        if self._transport is not None and not self._paused and not self._transport.is_closing():
            self._paused = True
            self._transport.pause_reading()

    def resume(self) -> None:
        if self._paused and self._transport is not None:
            self._paused = False
            if not self._transport.is_closing():
                self._transport.resume_reading()
            if self._exchange is not None:
                self._arm(now_ns() + self._exchange.chunk_ns)

    # What the event loop calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is no subclass

    def get_buffer(self, sizehint: int) -> memoryview:  # noqa: ARG002
        return self._buffer

    def buffer_updated(self, nbytes: int) -> None:
        t_ns = now_ns()
        parser, exchange = self._parser, self._exchange
        if parser is None:  # nothing was asked
            self.abort()
            return
        self._t_ns = t_ns
        if exchange is not None and exchange.sent.first_byte_ns is None:
            exchange.sent.first_byte_ns = t_ns
        try:
            parser.feed_data(self._buffer[:nbytes])
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            if self._ended:  # bytes after the end: the answer is whole, the connection is not
                self._ended = False
                self._finish(keep=False)
            else:
                why = error.__context__ or error
                self._fail("malformed", f"the server's answer is not HTTP that can be read: {why}")
            return
        if self._ended:
            self._finish(keep=self._keep)
        elif self._stage == "head":
            self._head_bytes += nbytes
            if self._head_bytes > HEAD_BYTES:
                self._fail("malformed", f"more than {HEAD_BYTES // 1024} KiB of headers came")
        elif self._stage == "linger":
            self.resume()
            if parser.should_keep_alive():
                self._arm(t_ns + LINGER_NS)
            else:
                self._drain()

    def connection_lost(self, exc: Exception | None) -> None:
        self._client.lost(self)
        exchange = self._exchange
        if exchange is not None:
            if self._stage in {"linger", "drain"} or self._until_close(exc):
                exchange.end()
            elif exchange.sent.first_byte_ns is None:
                self._fail("reset", BEFORE)
            else:
                self._fail("reset", "the server closed the connection in the middle of its answer")
        if self._timer is not None:
            self._timer.cancel()
        self._exchange = self._parser = self._timer = self._transport = None

    # What the parser calls.

    def on_message_begin(self) -> None:
        if self._ended:  # a second answer to one request
            msg = "an answer that nobody asked for"
            raise ValueError(msg)

    def on_header(self, name: bytes, value: bytes | None) -> None:
        if self._stage != "head":
            return  # trailers
        key = name.decode("latin-1").lower()
        text = (value or b"").decode("latin-1")
        known = self._headers.get(key)
        self._headers[key] = text if known is None else f"{known}, {text}"

    def on_headers_complete(self) -> None:
        assert self._parser is not None
        status = self._parser.get_status_code()
        exchange = self._exchange
        if status < 200 or exchange is None:  # 1xx: the true answer is still to come
            self._headers = {}
            return
        self._status = status
        self._stage = "first"
        exchange.sent.status, exchange.sent.headers = status, self._headers
        try:
            exchange.receiver.head(status, self._headers, self._t_ns)
        except Exception as error:
            self._give_up(error)

    def on_body(self, data: bytes) -> None:
        exchange = self._exchange
        if exchange is None or self._stage == "linger":
            self._drained += len(data)
            if self._drained > DRAIN_BYTES:
                self.abort()
            return
        try:
            heard = exchange.receiver.body(data, self._t_ns)
        except Exception as error:
            self._give_up(error)
            return
        if heard is Heard.CHUNK:
            if self._stage == "first":
                self._stage = "chunk"
                self._arm(self._t_ns + exchange.chunk_ns)
            else:  # the timer is earlier, and finds it when it is due
                self._deadline_ns = self._t_ns + exchange.chunk_ns
        elif heard is Heard.DONE:
            self._stage = "linger"

    def on_message_complete(self) -> None:
        if self._status:
            assert self._parser is not None
            self._ended = True
            self._keep = self._parser.should_keep_alive()  # later it no longer knows

    # Ends and deadlines.

    def _finish(self, *, keep: bool) -> None:
        """The whole response has been read."""
        exchange, self._exchange, self._parser = self._exchange, None, None
        self._stage = "idle"
        if exchange is not None:
            exchange.end()
        transport = self._transport
        if transport is None:
            return
        if keep and not transport.is_closing() and not transport.get_write_buffer_size():
            self.resume()
            self._client.free(self, self._headers.get("keep-alive"), self._t_ns)
        else:
            transport.close()

    def _fail(self, kind: str, sentence: str) -> None:
        exchange = self._exchange
        if exchange is not None:
            self._give_up(TransportError(kind, sentence, exchange.sent))
        else:
            self.abort()

    def _give_up(self, error: Exception) -> None:
        exchange, self._exchange = self._exchange, None
        self._stage = "drain"
        if exchange is not None:
            exchange.fail(error)
        self.abort()

    def _until_close(self, error: Exception | None) -> bool:
        """A body without a length ends with the connection."""
        headers = self._headers
        framed = "content-length" in headers or "transfer-encoding" in headers
        return error is None and self._stage in {"first", "chunk"} and not framed

    def _arm(self, deadline_ns: int) -> None:
        """One timer, which is left alone while the deadline only moves away from it."""
        self._deadline_ns = deadline_ns
        exchange = self._exchange
        if exchange is not None and exchange.total_at_ns is not None:
            deadline_ns = min(deadline_ns, exchange.total_at_ns)
        if self._timer is not None:
            if self._timer_at_ns <= deadline_ns:
                return
            self._timer.cancel()
        self._timer_at_ns = deadline_ns
        delay_s = (deadline_ns - now_ns()) / 1e9
        self._timer = self._loop.call_later(max(0.0, delay_s), self._on_time)

    def _on_time(self) -> None:
        self._timer = None
        exchange, t_ns = self._exchange, now_ns()
        total_ns = exchange.total_at_ns if exchange is not None else None
        if self._stage == "idle":
            return
        if total_ns is not None and t_ns >= total_ns:
            self._fail("timeout-total", "the answer was not whole in the time it may take")
        elif self._paused and exchange is not None:  # the wait is ours
            self._arm(t_ns + exchange.chunk_ns)
        elif t_ns < self._deadline_ns:
            self._arm(self._deadline_ns)
        elif self._stage == "linger":
            self._drain()
        elif exchange is None:
            self.abort()
        elif self._stage == "chunk":
            self._fail("timeout-chunk", f"nothing came for {exchange.chunk_ns / 1e9:g} s")
        else:
            self._fail("timeout-first", f"nothing came within {exchange.first_ns / 1e9:g} s")

    def _drain(self) -> None:
        """Hand the answer over; read the rest of the response with nobody waiting."""
        exchange, self._exchange = self._exchange, None
        self._stage = "drain"
        if exchange is not None:
            exchange.end()
        self._arm(now_ns() + DRAIN_NS)
