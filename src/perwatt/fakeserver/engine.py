"""One worker: what its connections share, and where each request goes."""

from __future__ import annotations

import asyncio
import hmac
import os
import random
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from perwatt.core.errors import SpecError
from perwatt.fakeserver.ask import BadAskError, parse_ask
from perwatt.fakeserver.counters import Counters
from perwatt.fakeserver.faults import Faults
from perwatt.fakeserver.script import Script
from perwatt.fakeserver.scripter import Scripter
from perwatt.fakeserver.settings import Settings
from perwatt.fakeserver.slots import Slots
from perwatt.fakeserver.stream import Stream
from perwatt.fakeserver.timer import Timer
from perwatt.fakeserver.truth import Truth, TruthLog

if TYPE_CHECKING:
    from perwatt.fakeserver.connection import Connection, HttpRequest
    from perwatt.fakeserver.routes import Routes

__all__ = ["Engine"]

ASKS = {b"/v1/chat/completions": True, b"/v1/completions": False}


class Engine:
    """Answers requests by the settings. Raises SpecError where the key's variable is not set."""

    def __init__(self, settings: Settings, loop: asyncio.AbstractEventLoop, worker: int) -> None:
        self.settings = settings
        self.worker = worker
        self.timer = Timer(loop)
        self.slots = Slots(settings.slots)
        self.counters = Counters()
        self.truth = TruthLog(settings.truth_keep)
        self.created = int(time.time())
        self.connections: set[Connection] = set()
        self.routes: Routes | None = None
        self.asked: Callable[[int], None] | None = None
        """Called with each question's number before it is answered."""
        self._scripter = Scripter(settings, self.created)
        self._faults = Faults(settings.faults)
        self._key = _key(settings.api_key_env)
        self._asked = 0

    def connected(self, connection: Connection) -> int:
        """Its number."""
        self.connections.add(connection)
        self.counters.connections += 1
        return self.counters.connections

    def disconnected(self, connection: Connection) -> None:
        self.connections.discard(connection)

    def serve(self, connection: Connection, request: HttpRequest) -> None:
        """Answer `request`, now or over time."""
        path, _, query = request.target.partition(b"?")
        chat = ASKS.get(path)
        if chat is None or request.method != b"POST":
            assert self.routes is not None
            self.routes.serve(connection, request, path.decode("latin-1"), query.decode("latin-1"))
            return
        self._asked += 1
        if self.asked is not None:
            self.asked(self._asked)
        headers = request.headers
        own_id = headers.get(b"x-perwatt-request-id") or headers.get(b"x-request-id")
        request_id = own_id.decode("latin-1") if own_id else f"fake-{self.worker}-{self._asked}"
        truth = Truth(
            n=self._asked,
            request_id=request_id,
            worker=self.worker,
            path=path.decode("latin-1"),
            connection=connection.serial,
            nth=connection.requests,
            accepted_ns=connection.accepted_ns,
            first_byte_ns=request.first_byte_ns,
            complete_ns=request.complete_ns,
        )
        script = self._script(request, chat, truth)
        script.head += b"server: perwatt-fake\r\nx-request-id: %b\r\n" % request_id.encode(
            "latin-1"
        )
        truth.status = script.status
        truth.text = script.text
        truth.model = script.model
        truth.prompt_tokens = script.prompt_tokens
        if truth.fault is not None:
            self.counters.faults[truth.fault] = self.counters.faults.get(truth.fault, 0) + 1
        self.counters.in_flight += 1
        connection.answer(Stream(self, connection, script, truth))

    def _script(self, request: HttpRequest, chat: bool, truth: Truth) -> Script:
        if not self.authorised(request):
            return self._scripter.refuse(401, "Incorrect API key provided.", "invalid_api_key")
        try:
            ask = parse_ask(bytes(request.body), chat=chat)
        except BadAskError as error:
            return self._scripter.refuse(400, str(error))
        truth.stream = ask.stream
        rng = None
        if self._scripter.draws or self._faults.draws:
            # By the caller's id where it gives one: the same draw in whatever order they arrive.
            rng = random.Random(f"{self.settings.seed} {truth.request_id}")
        header = request.headers.get(b"x-fake-fault")
        named = header.decode("latin-1") if header else None
        truth.fault = self._faults.pick(named, ask.prompt, self._asked, rng)
        return self._scripter.make(ask, truth.fault, self._asked, rng)

    def authorised(self, request: HttpRequest) -> bool:
        if self._key is None:
            return True
        said = request.headers.get(b"authorization", b"")
        return hmac.compare_digest(said, b"Bearer " + self._key)

    def ended(self, truth: Truth) -> None:
        """A request is over."""
        self.counters.in_flight -= 1
        how = "refused" if truth.status != 200 else truth.ended or "done"
        self.counters.requests[how] = self.counters.requests.get(how, 0) + 1
        self.truth.add(truth)

    def close(self) -> None:
        """Drop all connections; what was in flight is cancelled in the truth."""
        for connection in tuple(self.connections):
            connection.connection_lost(None)
            connection.drop()
        self.timer.close()


def _key(variable: str | None) -> bytes | None:
    if variable is None:
        return None
    value = os.environ.get(variable)
    if not value:
        msg = f"The environment variable {variable} is not set."
        raise SpecError(msg, "It holds the key that callers must present.")
    return value.encode()
