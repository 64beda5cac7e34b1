"""The server in this process, on the running event loop: what tests use."""

from __future__ import annotations

import asyncio
from contextlib import ExitStack
from types import TracebackType

from perwatt.core.errors import SpecError
from perwatt.fakeserver.connection import Connection
from perwatt.fakeserver.engine import Engine
from perwatt.fakeserver.ports import BACKLOG, FullBacklog, RefusedPort, listening
from perwatt.fakeserver.routes import Routes
from perwatt.fakeserver.settings import Settings
from perwatt.fakeserver.truth import Truth

__all__ = ["FakeServer"]


class FakeServer:
    """`async with FakeServer(Settings(...)) as server:` then `server.url` and `server.truth`.

    Raises SpecError, FileError and PortInUseError on entry. `worker` and `shared` are for `child`.
    """

    def __init__(self, settings: Settings, *, worker: int = 0, shared: bool = False) -> None:
        if settings.workers > 1 and not shared:
            msg = "A server inside this process has one worker."
            raise SpecError(msg, "Use spawn(), or `perwatt fake-server --workers`.")
        self.settings = settings
        self.url = ""
        self.port = 0
        self.own_port = 0
        """Where this worker alone answers."""
        self._worker = worker
        self._shared = shared
        self._stack = ExitStack()
        self._servers: list[asyncio.Server] = []

    async def __aenter__(self) -> FakeServer:
        loop = asyncio.get_running_loop()
        self._engine = Engine(self.settings, loop, self._worker)
        self._routes = self._engine.routes = Routes(self._engine)
        self._engine.asked = self._hang_up
        host = self.settings.host
        self.port = await self._listen(host, self.settings.port, shared=self._shared)
        self.url = f"http://[{host}]:{self.port}" if ":" in host else f"http://{host}:{self.port}"
        self.own_port = await self._listen("127.0.0.1", 0) if self._shared else self.port
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for server in self._servers:
            server.close()
        self._engine.close()
        self._stack.close()
        await asyncio.sleep(0)  # closing transports end in the next turn of the loop

    @property
    def truth(self) -> list[Truth]:
        """Of the requests that have ended, in the order they did."""
        return list(self._engine.truth)

    @property
    def in_flight(self) -> int:
        return self._engine.counters.in_flight

    def clear(self) -> None:
        """Forget the truth so far."""
        self._engine.truth.clear()

    def refused_url(self) -> str:
        """An address at which connections are refused while the server lives."""
        return self._stack.enter_context(RefusedPort(self.settings.host)).url

    def stalled_url(self) -> str:
        """An address at which no connection is ever made, nor refused (Linux)."""
        return self._stack.enter_context(FullBacklog(self.settings.host)).url

    def _hang_up(self, asked: int) -> None:
        if asked not in {self.settings.refuse_after, self.settings.stall_after}:
            return
        for server in self._servers:
            server.close()
        kind = RefusedPort if asked == self.settings.refuse_after else FullBacklog
        self._stack.enter_context(kind(self.settings.host, self.port))

    def know_siblings(self, ports: list[int]) -> None:
        """Where the other workers answer: `/truth` and `/metrics` then speak for all."""
        self._routes.siblings = [port for port in ports if port != self.own_port]

    async def _listen(self, host: str, port: int, *, shared: bool = False) -> int:
        sock = listening(host, port, shared=shared)
        bound: int = sock.getsockname()[1]
        loop = asyncio.get_running_loop()
        server = await loop.create_server(
            lambda: Connection(self._engine), sock=sock, backlog=BACKLOG
        )
        self._servers.append(server)
        return bound
