"""One request and its answer: who listens, what is known of it, and how it may fail."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from enum import Enum
from typing import Literal, Protocol

import msgspec

from perwatt.core.protocols import Timeouts

__all__ = ["BodyReceiver", "Exchange", "Flow", "Heard", "Receiver", "Sent", "TransportError"]


class Heard(Enum):
    """What a piece of a body meant to its receiver."""

    NOTHING = 0
    """No sign of progress, such as a ping: the wait between two chunks goes on."""
    CHUNK = 1
    DONE = 2
    """All that is wanted has come. `send` returns; what follows is read and thrown away."""


class Sent(msgspec.Struct):
    """What is known of a request. None: it did not get so far."""

    dispatched_ns: int
    """Before a connection was looked for."""
    sent_ns: int | None = None
    """Just before its first byte was handed to the kernel."""
    first_byte_ns: int | None = None
    """When the read that brought the answer's first byte returned."""
    status: int | None = None
    headers: dict[str, str] = {}
    connection: Literal["new", "reused"] | None = None


class Flow(Protocol):
    """Lets a receiver that cannot keep up stop the reading, and with it the server."""

    def pause(self) -> None:
        """What has been read already still comes."""
        ...

    def resume(self) -> None:
        """The wait for the next chunk begins anew."""
        ...


class Receiver:
    """Hears an answer as it comes, on the event loop: it must be quick. What it raises, `send`
    raises, and the connection is closed."""

    flow: Flow | None = None
    sent: Sent | None = None
    """Both are set before anything is sent; `sent` is filled in as the request goes on."""

    def head(self, status: int, headers: Mapping[str, str], t_ns: int) -> None:
        """Once, before any body. Names in lower case; repeated ones are joined by a comma."""

    def body(self, data: bytes, t_ns: int) -> Heard:
        """A piece of the body, and when the read that brought it returned."""
        raise NotImplementedError


class TransportError(Exception):
    """No whole answer came. `kind` is one of `failures.KINDS`; `sent`: what is known."""

    def __init__(self, kind: str, sentence: str, sent: Sent) -> None:
        self.kind = kind
        self.sentence = sentence
        self.sent = sent
        super().__init__(sentence)


class Exchange:
    """A request on its way: what the connection needs to know of it."""

    __slots__ = ("chunk_ns", "first_ns", "future", "receiver", "sent", "total_at_ns")

    def __init__(
        self,
        sent: Sent,
        receiver: Receiver,
        timeouts: Timeouts,
        future: asyncio.Future[None],
    ) -> None:
        self.sent = sent
        self.receiver = receiver
        self.future = future
        self.first_ns = int(timeouts.first_s * 1e9)
        self.chunk_ns = int(timeouts.chunk_s * 1e9)
        self.total_at_ns: int | None = None
        if timeouts.total_s is not None:
            self.total_at_ns = sent.dispatched_ns + int(timeouts.total_s * 1e9)

    def fail(self, error: Exception) -> None:
        if not self.future.done():
            self.future.set_exception(error)

    def end(self) -> None:
        if not self.future.done():
            self.future.set_result(None)


class BodyReceiver(Receiver):
    """Keeps a whole body, of at most `limit` bytes; of a longer one the beginning."""

    def __init__(self, limit: int = 16 * 1024 * 1024) -> None:
        self.limit = limit
        self.status = 0
        self.too_long = False
        self._parts: list[bytes] = []
        self._size = 0

    def head(self, status: int, headers: Mapping[str, str], t_ns: int) -> None:  # noqa: ARG002
        self.status = status

    def body(self, data: bytes, t_ns: int) -> Heard:  # noqa: ARG002
        self._parts.append(data[: self.limit - self._size])
        self._size += len(self._parts[-1])
        self.too_long = len(self._parts[-1]) < len(data)
        return Heard.DONE if self.too_long else Heard.CHUNK

    @property
    def content(self) -> bytes:
        return b"".join(self._parts)
