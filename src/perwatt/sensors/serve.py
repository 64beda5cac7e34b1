"""A sampler's samples over HTTP, for `remote:` on another machine (see `remote_wire`)."""

from __future__ import annotations

import hmac
import ipaddress
import secrets
import socket
import threading
from collections import deque
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import islice
from typing import Any
from urllib.parse import parse_qs, urlsplit

import msgspec

from perwatt.core.clock import now_ns
from perwatt.core.errors import PortInUseError, SpecError
from perwatt.sensors.remote_wire import (
    TOKEN_VARIABLE,
    BatchHead,
    DomainsAnswer,
    TimeAnswer,
    WireSample,
    to_wire,
)
from perwatt.sensors.sampler import Sampler

__all__ = ["SampleServer", "parse_listen"]

KEPT = 200_000
"""Samples kept for clients: 17 minutes of 10 domains at 20 Hz, 60 MB at most."""
BATCH = 5_000
"""Most samples in one answer, about 1 MB."""
CLIENTS = 32
"""Most open connections."""
QUIET_S = 30.0
"""A connection on which nothing is asked for so long is closed."""


def parse_listen(text: str) -> tuple[str, int]:
    """`HOST:PORT`, with an IPv6 host in brackets. Raises SpecError."""
    try:
        url = urlsplit(f"//{text}")
        host, port = url.hostname, url.port
    except ValueError:
        host = port = None
    if not host or port is None or url.netloc != text or "@" in text:
        msg = f"--listen {text!r} is not usable."
        raise SpecError(msg, "Write HOST:PORT, such as 127.0.0.1:9471 or [::1]:9471.")
    return host, port


class SampleServer:
    """Serves what `sampler` reads. The sampler is started and stopped by the caller.

    Beyond loopback a token is required, and every question must carry it.
    """

    def __init__(
        self,
        sampler: Sampler,
        *,
        hz: float,
        host: str = "127.0.0.1",
        port: int = 0,
        token: str | None = None,
        kept: int = KEPT,
    ) -> None:
        """Binds at once. Raises SpecError without a needed token, PortInUseError."""
        if not token and not _loopback(host):
            msg = f"{host} can be reached by other machines, and no token is set."
            raise SpecError(msg, f"Set {TOKEN_VARIABLE} here and on the client, or keep 127.0.0.1.")
        self.session = secrets.token_hex(8)
        self.hz = hz
        self._sampler = sampler
        self._token = token.encode() if token else None
        self._kept: deque[WireSample] = deque(maxlen=kept)
        self._next = 1
        self._lock = threading.Lock()
        self._stop = threading.Event()
        try:
            self._http = _Server(host, port, self)
        except OSError as error:
            msg = f"{host}:{port} cannot be listened at: {error.strerror or error}."
            raise PortInUseError(msg, "Name another with --listen HOST:PORT.") from None
        self._threads = (
            threading.Thread(target=self._http.serve_forever, args=(0.05,), daemon=True),
            threading.Thread(target=self._pump, daemon=True),
        )

    @property
    def url(self) -> str:
        """Where it is reached; the port that was given out where 0 was asked for."""
        host, port = str(self._http.server_address[0]), self._http.server_address[1]
        if host in ("0.0.0.0", "::"):  # every address of this machine, which has a name
            host = socket.gethostname()
        return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"

    def start(self) -> None:
        """Answer from now on, in threads of its own."""
        for thread in self._threads:
            thread.start()

    def close(self) -> None:
        """Stop answering. Safe to call twice."""
        if not self._stop.is_set():
            self._stop.set()
            if self._threads[0].ident is not None:
                self._http.shutdown()
            self._http.server_close()
            for thread in self._threads:
                if thread.ident is not None:
                    thread.join()

    def answer(
        self, path: str, query: dict[str, list[str]], token: str | None
    ) -> tuple[int, bytes]:
        """Status and body of one question."""
        if self._token is not None:
            kind, _, given = (token or "").partition(" ")
            # Compared in constant time, so that a guess learns nothing from how long it took.
            if kind != "Bearer" or not hmac.compare_digest(given.encode(), self._token):
                return 401, b'{"error": "a token is needed"}'
        if path == "/v1/time":
            return 200, msgspec.json.encode(TimeAnswer(self.session, now_ns()))
        if path == "/v1/domains":
            self._collect()
            domains = self._sampler.domains
            found = DomainsAnswer(self.session, self.hz, self._next, domains)
            return 200, msgspec.json.encode(found)
        if path == "/v1/samples":
            since = query.get("since", ["0"])[0]
            if not since.isascii() or not since.isdigit() or len(since) > 18:
                return 400, b'{"error": "since is no sequence number"}'
            ours = query.get("session", [self.session])[0] == self.session
            return 200, self._batch(int(since) if ours else 0)
        return 404, b'{"error": "there are /v1/time, /v1/domains and /v1/samples"}'

    def _batch(self, since: int) -> bytes:
        """All that came after `since`, as lines. A number of another session counts for nothing."""
        self._collect()
        with self._lock:
            first = self._kept[0].seq if self._kept else self._next
            skip = min(max(since + 1 - first, 0), len(self._kept))
            found = list(islice(self._kept, skip, skip + BATCH))
            more = len(self._kept) > skip + BATCH
        head = BatchHead(self.session, first, len(found), more)
        return b"".join(msgspec.json.encode(each) + b"\n" for each in (head, *found))

    def _collect(self) -> None:
        with self._lock:
            for sample in self._sampler.drain():
                self._kept.append(to_wire(self._next, sample))
                self._next += 1

    def _pump(self) -> None:
        """So that a sampler nobody asks does not fill the memory."""
        while not self._stop.wait(1.0):
            self._collect()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def __init__(self, host: str, port: int, samples: SampleServer) -> None:
        self.address_family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self.samples = samples
        self._places = threading.BoundedSemaphore(CLIENTS)
        super().__init__((host, port), _Handler)

    def process_request(self, request: Any, client_address: Any) -> None:
        if self._places.acquire(blocking=False):
            super().process_request(request, client_address)
        else:
            self.shutdown_request(request)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._places.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away is its own affair."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_version = "perwatt"
    sys_version = ""
    timeout = QUIET_S
    wbufsize = -1
    disable_nagle_algorithm = True
    server: _Server

    def do_GET(self) -> None:
        url = urlsplit(self.path)
        status, body = self.server.samples.answer(
            url.path, parse_qs(url.query), self.headers.get("Authorization")
        )
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base's name
        """stdout is data and stderr is for people: neither is an access log."""


def _loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
