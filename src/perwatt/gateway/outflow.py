"""Messages to the caller, each sent in the very turn of the loop in which its bytes came.

A task that waits for chunks would add a turn of the loop to each of them. ASGI's `send` suspends
only while the caller reads too slowly; then the server is not read from either, until it has.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, Generator, MutableMapping
from types import CoroutineType, coroutine
from typing import Any, Protocol

__all__ = ["Message", "Outflow", "Send"]

Message = MutableMapping[str, Any]
Send = Callable[[Message], Awaitable[None]]


class _Flow(Protocol):
    def pause(self) -> None: ...

    def resume(self) -> None: ...


class Outflow:
    """`push` messages in order; `drained` waits until the last of them is sent."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self._waiting: deque[Message] = deque()
        self._task: asyncio.Task[None] | None = None

    def push(self, message: Message, flow: _Flow | None = None) -> None:
        """Send now, or in turn. `flow`: what to pause while the caller is behind."""
        if self._task is not None:
            self._waiting.append(message)
            return
        sending = self._send(message)
        if type(sending) is not CoroutineType:
            sending = _awaited(sending)
        try:
            awaited = sending.send(None)
        except StopIteration:
            return
        if flow is not None:
            flow.pause()
        self._task = asyncio.create_task(self._catch_up(sending, awaited, flow))

    async def drained(self) -> None:
        """Raises what sending raised."""
        if self._task is not None:
            await self._task

    async def _catch_up(
        self, sending: Coroutine[Any, Any, None], awaited: Any, flow: _Flow | None
    ) -> None:
        await _rest_of(sending, awaited)
        while self._waiting:
            await self._send(self._waiting.popleft())
        self._task = None
        if flow is not None:
            flow.resume()


async def _awaited(one: Awaitable[None]) -> None:
    await one


@coroutine
def _rest_of(sending: Coroutine[Any, Any, None], awaited: Any) -> Generator[Any, Any, None]:
    """Go on with a coroutine that has been begun and waits for `awaited`."""
    while True:
        value = yield awaited
        try:
            awaited = sending.send(value)
        except StopIteration:
            return
