"""HTTP/1.1 to one origin, for answers that stream: kept connections, exact marks, named failures.

No limit on connections, so that nothing ever queues in the client unseen. No redirect is followed
(the question would be asked twice, and carry its key elsewhere), no proxy is used, and no
compression is asked for: a compressed stream has no chunks to mark.
"""

from __future__ import annotations

import asyncio
import os
import ssl
from collections.abc import Mapping
from contextlib import suppress
from urllib.parse import urlsplit

from perwatt.core.clock import now_ns
from perwatt.core.protocols import Timeouts
from perwatt.endpoints.http_connection import HttpConnection
from perwatt.endpoints.http_exchange import Exchange, Receiver, Sent, TransportError
from perwatt.endpoints.http_tls import tls_context

__all__ = ["HttpClient"]

KEEP_ALIVE_S = 3.0
"""Servers drop idle connections after 5 s and more: never send on one about to be dropped."""
STALE_S = 0.1
"""A kept connection that breaks this soon was closed before the request: it is sent again, on
another. Later than that the server had it, and it counts as a failure."""
RESOLVED_S = 30.0
"""A name is looked up no more often than this: the look-up would be part of each connection."""
READ_BYTES = 256 * 1024
"""Most that is taken from a socket at once."""


class HttpClient:
    """Connections to the origin of `root`, such as `https://host:8000`; its path is not used.

    Belongs to one event loop. Raises FileError where PERWATT_CA_FILE cannot be read.
    """

    def __init__(self, root: str, connect_s: float = 10.0) -> None:
        parts = urlsplit(root)
        self.connect_s = connect_s
        self._tls: ssl.SSLContext | None = tls_context() if parts.scheme == "https" else None
        self._host = parts.hostname or ""
        self._port = parts.port or (443 if self._tls else 80)
        self._host_header = parts.netloc.rpartition("@")[2]
        self._resolved: tuple[str, int] | None = None
        self._buffer = memoryview(bytearray(READ_BYTES))
        self._free: list[HttpConnection] = []
        self._all: set[HttpConnection] = set()

    async def send(
        self,
        method: str,
        target: str,
        headers: Mapping[str, str],
        body: bytes | None,
        receiver: Receiver,
        timeouts: Timeouts,
    ) -> Sent:
        """Ask, and return when the receiver has heard all. Cancelling closes the socket at once.

        `target` is the path with its query. `Host` and `Content-Length` are added. Raises
        TransportError, what the receiver raises, and ValueError for a header that cannot be sent.
        """
        sent = receiver.sent = Sent(now_ns())
        request = self._head(method, target, headers, body) + (body or b"")
        while True:
            connection = self._kept()
            sent.connection = "reused" if connection else "new"
            if connection is None:
                connection = await self._connect(sent, timeouts)
            future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            exchange = Exchange(sent, receiver, timeouts, future)
            connection.begin(exchange, request)
            try:
                await future
            except asyncio.CancelledError:
                connection.abort()
                raise
            except TransportError as error:
                if error.kind == "reset" and _stale(sent):
                    continue  # bounded: each of them is out of the pool now
                raise
            return sent

    async def close(self) -> None:
        """Close all connections; requests under way fail as `reset`. Safe to call twice."""
        connections = list(self._all)
        for connection in connections:
            connection.abort()
        if connections:
            await asyncio.sleep(0)  # `connection_lost` is called on the loop's next turn

    # What a connection calls.

    def free(self, connection: HttpConnection, keep_alive: str | None, t_ns: int) -> None:
        """Its exchange is over and it can carry another."""
        connection.expires_ns = t_ns + int(_keep_s(keep_alive) * 1e9)
        self._free.append(connection)

    def lost(self, connection: HttpConnection) -> None:
        self._all.discard(connection)
        with suppress(ValueError):
            self._free.remove(connection)

    def _kept(self) -> HttpConnection | None:
        """The one used last, so that those not needed grow old."""
        while self._free:
            connection = self._free.pop()
            if not connection.closing and now_ns() < connection.expires_ns:
                return connection
            connection.abort()
        return None

    async def _connect(self, sent: Sent, timeouts: Timeouts) -> HttpConnection:
        patience_s = min(timeouts.connect_s, self.connect_s)
        kind = "timeout-connect"
        if timeouts.total_s is not None:
            left_s = timeouts.total_s - (now_ns() - sent.dispatched_ns) / 1e9
            if left_s < patience_s:
                patience_s, kind = max(0.0, left_s), "timeout-total"
        try:
            async with asyncio.timeout(patience_s):
                return await self._open()
        except TimeoutError:
            msg = f"the server did not accept a connection within {patience_s:g} s"
            raise TransportError(kind, msg, sent) from None
        except ssl.SSLCertVerificationError as error:
            msg = f"the server's certificate is not trusted: {error.verify_message}"
            raise TransportError("connect", msg, sent) from None
        except OSError as error:
            msg = f"the server cannot be reached: {_plain(error)}"
            raise TransportError("connect", msg, sent) from None

    async def _open(self) -> HttpConnection:
        address, resolved_ns = self._resolved or (self._host, 0)
        if address != self._host and now_ns() - resolved_ns < RESOLVED_S * 1e9:
            try:
                return await self._open_to(address)
            except OSError:
                self._resolved = None  # others may stand behind the name
        return await self._open_to(self._host)

    async def _open_to(self, host: str) -> HttpConnection:
        transport, connection = await asyncio.get_running_loop().create_connection(
            lambda: HttpConnection(self, self._buffer),
            host,
            self._port,
            ssl=self._tls,
            server_hostname=self._host if self._tls else None,
        )
        peer = transport.get_extra_info("peername")
        if host == self._host and peer:
            self._resolved = (str(peer[0]), now_ns())
        self._all.add(connection)
        return connection

    def _head(
        self, method: str, target: str, headers: Mapping[str, str], body: bytes | None
    ) -> bytes:
        lines = [f"{method} {target} HTTP/1.1", f"Host: {self._host_header}"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        if body is not None:
            lines.append(f"Content-Length: {len(body)}")
        text = "\r\n".join(lines)
        if text.count("\n") != len(lines) - 1 or text.count("\r") != len(lines) - 1:
            msg = f"a header or the path of {method} holds a line break"
            raise ValueError(msg)
        return text.encode("latin-1") + b"\r\n\r\n"


def _plain(error: OSError) -> str:
    """asyncio puts the address where the system's words should be."""
    if isinstance(error, ConnectionError) and error.errno:
        return os.strerror(error.errno)
    return str(error.strerror or error)


def _stale(sent: Sent) -> bool:
    """The server closed a kept connection just as we sent: it never saw the request."""
    asked_s = (now_ns() - (sent.sent_ns or 0)) / 1e9
    return sent.connection == "reused" and sent.first_byte_ns is None and asked_s < STALE_S


def _keep_s(header: str | None) -> float:
    """Of `Keep-Alive: timeout=5, max=100`, with a second to spare."""
    for part in (header or "").split(","):
        name, _, value = part.partition("=")
        if name.strip().lower() == "timeout" and value.strip().isdigit():
            return max(int(value) / 2, int(value) - 1.0)
    return KEEP_ALIVE_S
