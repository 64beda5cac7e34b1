"""Ports: one to serve at, one that refuses, and one at which a connection is never made."""

from __future__ import annotations

import socket
from types import TracebackType

from perwatt.core.errors import PortInUseError

__all__ = ["FullBacklog", "RefusedPort", "listening"]

BACKLOG = 4096


def listening(host: str, port: int, *, shared: bool = False) -> socket.socket:
    """Bound, to be listened at. `shared`: other processes may bind it too.

    Raises PortInUseError, also where the host is none of this machine's.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM)
    sock.setblocking(False)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if shared:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    try:
        sock.bind((host, port))
    except OSError as error:
        sock.close()
        msg = f"The fake server cannot listen at {host}:{port}: {error.strerror or error}."
        raise PortInUseError(msg, "Give another --port; 0 picks a free one.") from None
    return sock


class RefusedPort:
    """Bound and never listened at: a connection is refused, and nobody else can take the port."""

    def __init__(self, host: str, port: int = 0) -> None:
        self._sock = listening(host, port)
        self.url = _url(self._sock)

    def __enter__(self) -> RefusedPort:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        self._sock.close()


class FullBacklog(RefusedPort):
    """On `port`; 0 picks a free one.

    Listened at, its backlog full and never accepted from.

    Linux then drops the first packet of a new connection, so that it is neither made nor refused:
    what a firewall or a hung host looks like.
    """

    def __init__(self, host: str, port: int = 0) -> None:
        super().__init__(host, port)
        self._sock.listen(0)
        self._fillers = []
        for _ in range(4):  # a backlog of 0 holds one, and one more may be half made
            filler = socket.socket(self._sock.family, socket.SOCK_STREAM)
            filler.setblocking(False)
            filler.connect_ex(self._sock.getsockname())
            self._fillers.append(filler)

    def close(self) -> None:
        for filler in self._fillers:
            filler.close()
        super().close()


def _url(sock: socket.socket) -> str:
    host, port = sock.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
