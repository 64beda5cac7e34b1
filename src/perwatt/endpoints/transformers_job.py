"""One request on its way through a batch, and the tokens it gives."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import NamedTuple

from perwatt.core.records import Sampling

__all__ = ["Job", "Token"]


class Token(NamedTuple):
    """One token that was picked."""

    t_ns: int
    """When its value was known on the host."""
    id: int
    logprob: float | None
    """Natural, under the model itself: before temperature and any cut."""
    ends: bool
    """It is an end-of-sequence token."""


class Job:
    """Filled by a thread that generates, read by the event loop."""

    def __init__(
        self,
        number: int,
        ids: list[int],
        most: int,
        sampling: Sampling,
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        self.number = number
        self.ids = ids
        """The prompt."""
        self.most = most
        """Tokens to generate at the most."""
        self.sampling = sampling
        self.begun_ns: int | None = None
        """When work on its prompt began."""
        self.error: str | None = None
        self.cancelled = False
        self._loop = loop
        self._tokens: asyncio.Queue[Token | None] = asyncio.Queue()

    def put(self, token: Token | None) -> None:
        """From any thread. None: there are no more."""
        self._loop.call_soon_threadsafe(self._tokens.put_nowait, token)

    async def tokens(self) -> AsyncIterator[Token]:
        while (token := await self._tokens.get()) is not None:
            yield token
