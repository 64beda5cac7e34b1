"""uvicorn as perwatt uses it: one worker, the fastest parser and loop that are installed."""

from __future__ import annotations

import contextlib
import importlib.util
import socket
from collections.abc import Awaitable, Callable, Iterator
from typing import TYPE_CHECKING, Any

from perwatt.core.errors import MissingExtraError
from perwatt.gateway.outflow import Send
from perwatt.gateway.passage import Receive

if TYPE_CHECKING:
    import uvicorn

__all__ = ["App", "check_extra", "http_server", "routed", "url_of"]

App = Callable[[dict[str, Any], Receive, Send], Awaitable[None]]
KEEP_ALIVE_S = 75
"""Longer than common clients keep a connection, so that it is theirs to close."""


def check_extra() -> None:
    """Is all installed that serving needs? Raises MissingExtraError."""
    for package in ("uvicorn", "starlette", "prometheus_client"):
        if importlib.util.find_spec(package) is None:
            raise MissingExtraError(package, "gateway", "`perwatt serve`")


def http_server(app: App, drain_s: float) -> uvicorn.Server:
    """Not yet serving. Signals are the caller's to handle."""
    import uvicorn

    class Server(uvicorn.Server):
        @contextlib.contextmanager
        def capture_signals(self) -> Iterator[None]:
            yield

    return Server(
        uvicorn.Config(
            app,
            http="httptools",
            ws="none",
            lifespan="off",
            access_log=False,
            proxy_headers=False,  # nobody's word is taken for where a request came from
            log_config=None,
            log_level="critical",  # what goes wrong is answered, and recorded
            server_header=False,
            timeout_keep_alive=KEEP_ALIVE_S,
            timeout_graceful_shutdown=max(1, round(drain_s)),
        )
    )


def routed(proxy: App, admin: App) -> App:
    """`/v1` to the server, all else to ourselves."""

    async def app(scope: dict[str, Any], receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            inside = scope["raw_path"].startswith(b"/v1/") or scope["raw_path"] == b"/v1"
            await (proxy if inside else admin)(scope, receive, send)

    return app


def url_of(listening: socket.socket) -> str:
    """Where it is reached on this machine."""
    host, port = listening.getsockname()[:2]
    if host in ("0.0.0.0", "::"):
        host = "localhost"
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
