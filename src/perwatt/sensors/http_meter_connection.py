"""One kept HTTP connection, bounded in time and size. Raises OSError and HTTPException only."""

from __future__ import annotations

import contextlib
import http.client
import io
import socket
import ssl
from collections.abc import Mapping
from http.client import HTTPMessage
from typing import Any, NamedTuple

from perwatt.core.clock import now_ns

__all__ = ["MOST_BYTES", "Answer", "Connection", "CutAnswerError", "LongAnswerError"]

MOST_BYTES = 8 << 20
"""No meter has more to say; a DCGM exporter of 16 GPUs sends 100 kB."""


class LongAnswerError(http.client.HTTPException):
    """More than MOST_BYTES came."""


class CutAnswerError(http.client.HTTPException):
    """Less came than was announced."""


class Answer(NamedTuple):
    """What came back, between two marks."""

    body: bytes
    sent_ns: int
    """Just before the question left, connected already."""
    received_ns: int

    @property
    def t_ns(self) -> int:
        """The middle of the round trip: our best guess of when the value was true."""
        return (self.sent_ns + self.received_ns) // 2

    @property
    def clock_error_ns(self) -> int:
        """Half the round trip: the value's moment lies within this of `t_ns`."""
        return (self.received_ns - self.sent_ns + 1) // 2


class Connection:
    """Connects when first asked, and anew when the other side has closed meanwhile.

    Not thread-safe but for `abandon`.
    """

    def __init__(self, host: str, port: int, tls: ssl.SSLContext | None) -> None:
        self._host, self._port, self._tls = host, port, tls
        self._http: http.client.HTTPConnection | None = None
        self._socket: socket.socket | None = None
        self._abandoned = False
        self._deadline_ns = 0

    def get(
        self, target: str, headers: Mapping[str, str], timeout_s: float
    ) -> tuple[int, HTTPMessage, Answer]:
        """Status, headers and body. `timeout_s` bounds the whole exchange, not each byte."""
        self._deadline_ns = now_ns() + round(timeout_s * 1e9)
        kept = self._http is not None
        try:
            return self._exchange(target, headers)
        except (ConnectionError, http.client.HTTPException) as error:
            stale = isinstance(error, (http.client.RemoteDisconnected, ConnectionError))
            if not (kept and stale):
                raise
        return self._exchange(target, headers)

    def abandon(self) -> None:
        """From any thread: a `get` under way fails at once, and so do all later ones."""
        self._abandoned = True
        sock = self._socket
        if sock is not None:
            with contextlib.suppress(OSError):  # it may be closed already
                sock.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Safe to call twice."""
        if self._http is not None:
            self._http.close()
        if self._socket is not None:
            self._socket.close()
        self._http = self._socket = None

    def left_s(self) -> float:
        """Seconds until the deadline. Raises TimeoutError past it."""
        left_s = (self._deadline_ns - now_ns()) / 1e9
        if left_s <= 0:
            raise TimeoutError
        return left_s

    def _exchange(self, target: str, headers: Mapping[str, str]) -> tuple[int, HTTPMessage, Answer]:
        sound = False
        try:
            connection = self._connected()
            sent_ns = now_ns()
            connection.request("GET", target, headers=dict(headers))
            response = connection.getresponse()
            body = response.read(MOST_BYTES + 1)
            received_ns = now_ns()
            if len(body) > MOST_BYTES:
                raise LongAnswerError
            if response.length:  # `read(n)` does not complain of a body that was cut
                raise CutAnswerError
            sound = not response.will_close
            return response.status, response.headers, Answer(body, sent_ns, received_ns)
        finally:
            if not sound:
                self.close()

    def _connected(self) -> http.client.HTTPConnection:
        if self._abandoned:
            raise ConnectionAbortedError
        if self._http is None:
            made: http.client.HTTPConnection
            if self._tls is None:
                made = http.client.HTTPConnection(self._host, self._port, timeout=self.left_s())
            else:
                made = http.client.HTTPSConnection(
                    self._host, self._port, timeout=self.left_s(), context=self._tls
                )
            made.connect()
            self._http, self._socket = made, made.sock
            made.sock = _Hurried(made.sock, self)
        return self._http


class _Hurried:
    """A socket that gives up at the deadline, however slowly the bytes drip in."""

    def __init__(self, sock: socket.socket, owner: Connection) -> None:
        self._sock, self._owner = sock, owner

    def sendall(self, data: Any) -> None:
        self._sock.settimeout(self._owner.left_s())
        self._sock.sendall(data)

    def makefile(self, _mode: str) -> io.BufferedReader:
        return io.BufferedReader(_HurriedFile(self._sock, self._owner))

    def close(self) -> None:
        self._sock.close()


class _HurriedFile(io.RawIOBase):
    def __init__(self, sock: socket.socket, owner: Connection) -> None:
        super().__init__()
        self._sock, self._owner = sock, owner
        # Holds the descriptor open after `sock.close()`, as http.client expects of makefile.
        self._raw = sock.makefile("rb", buffering=0)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        self._sock.settimeout(self._owner.left_s())
        return self._raw.readinto(buffer)

    def close(self) -> None:
        self._raw.close()
        super().close()
