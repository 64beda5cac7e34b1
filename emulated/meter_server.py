"""A loopback HTTP server for an emulated meter: true watts behind it, faults at will."""

from __future__ import annotations

import socket
import ssl
import threading
import time
from bisect import bisect_right
from collections.abc import Callable, Sequence
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import pairwise
from types import TracebackType
from typing import Any, NamedTuple, Self
from urllib.parse import parse_qs, urlsplit

__all__ = ["Asked", "MeterServer", "PowerTrace", "Sent"]


class PowerTrace:
    """True watts as steps from a start on the monotonic clock; joules are their exact integral."""

    def __init__(
        self, steps: Sequence[tuple[float, float]] = ((0.0, 100.0),), start_ns: int | None = None
    ) -> None:
        """`steps`: (seconds after the start, watts from then on), the first at 0."""
        self.start_ns = time.monotonic_ns() if start_ns is None else start_ns
        self.steps = tuple(steps)
        self._at_s = [at for at, _ in steps]
        self._watts = [watts for _, watts in steps]
        self._sum_j = [0.0]
        for (a, watts), (b, _) in pairwise(steps):
            self._sum_j.append(self._sum_j[-1] + watts * (b - a))

    def power_w(self, t_ns: int) -> float:
        return self._watts[self._step(t_ns)]

    def energy_j(self, t_ns: int) -> float:
        """Joules since the start."""
        step = self._step(t_ns)
        return self._sum_j[step] + self._watts[step] * (self._since_s(t_ns) - self._at_s[step])

    def _since_s(self, t_ns: int) -> float:
        return (t_ns - self.start_ns) / 1e9

    def _step(self, t_ns: int) -> int:
        return max(bisect_right(self._at_s, self._since_s(t_ns)) - 1, 0)


class Asked(NamedTuple):
    """One request."""

    path: str
    query: dict[str, str]
    headers: Message


class Sent(NamedTuple):
    """What is answered."""

    body: bytes | str
    status: int = 200
    headers: tuple[tuple[str, str], ...] = (("Content-Type", "application/json"),)


class MeterServer:
    """`with MeterServer(answer) as server:` listens on an ephemeral loopback port.

    `fault` may be set at any time: `hang` (accepts, never answers), `drip` (a byte at a time),
    `garbage` (not HTTP), `cut` (half of the body), `huge` (endless), `redirect` (to another host),
    or a status number.
    """

    def __init__(self, answer: Callable[[Asked], Sent], tls: ssl.SSLContext | None = None) -> None:
        """`tls`: a server context with its certificate, to speak https."""
        self._answer = answer
        self.fault: str | int | None = None
        self.asked: list[Asked] = []
        self._gone = threading.Event()
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self._server.meter = self
        if tls is not None:
            self._server.socket = tls.wrap_socket(self._server.socket, server_side=True)
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.003}, daemon=True
        )

    @property
    def host(self) -> str:
        """`127.0.0.1:PORT`."""
        return f"127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._gone.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def drop_connections(self) -> None:
        """Close every open connection, as a meter that restarts does."""
        self._server.drop()

    def serve(self, handler: BaseHTTPRequestHandler) -> None:
        url = urlsplit(handler.path)
        query = {name: values[0] for name, values in parse_qs(url.query).items()}
        asked = Asked(url.path, query, handler.headers)
        self.asked.append(asked)
        fault = self.fault
        if fault == "hang":
            self._gone.wait(30)
            handler.close_connection = True
            return
        if fault == "garbage":
            handler.wfile.write(b"\x00\xffnot HTTP at all\r\n\r\n")
            handler.close_connection = True
            return
        if fault == "redirect":
            sent = Sent("", 302, (("Location", "http://198.51.100.7/elsewhere"),))
        elif isinstance(fault, int):
            sent = Sent("{}", fault)
        else:
            sent = self._answer(asked)
        body = sent.body.encode() if isinstance(sent.body, str) else sent.body
        length = 1 << 40 if fault == "huge" else len(body)
        handler.send_response(sent.status)
        for name, value in (*sent.headers, ("Content-Length", str(length))):
            handler.send_header(name, value)
        handler.end_headers()
        if fault == "huge":
            while not self._gone.is_set():
                handler.wfile.write(b" " * 65536)
        elif fault == "cut":
            handler.wfile.write(body[: len(body) // 2])
            handler.close_connection = True
        elif fault == "drip":
            for k in range(len(body)):
                handler.wfile.write(body[k : k + 1])
                if self._gone.wait(0.02):
                    break
        else:
            handler.wfile.write(body)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    meter: MeterServer

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self._open: set[socket.socket] = set()

    def get_request(self) -> tuple[socket.socket, Any]:
        sock, address = super().get_request()
        self._open.add(sock)
        return sock, address

    def shutdown_request(self, request: Any) -> None:
        self._open.discard(request)
        super().shutdown_request(request)

    def drop(self) -> None:
        for sock in list(self._open):
            try:
                sock.shutdown(socket.SHUT_RDWR)
            except OSError:
                self._open.discard(sock)

    def server_close(self) -> None:
        super().server_close()
        self.drop()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that goes away in the middle is no news."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # else each answer waits 40 ms for the client's delayed ACK
    server: _Server

    def do_GET(self) -> None:
        self.server.meter.serve(self)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base's name
        pass
