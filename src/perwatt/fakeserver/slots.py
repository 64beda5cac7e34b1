"""Places in the server: so many requests are worked on at once, the rest wait in order."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

__all__ = ["Slots"]


class Slots:
    """`most` places; None: no limit."""

    def __init__(self, most: int | None) -> None:
        self._most = most
        self._waiting: deque[Callable[[], bool]] = deque()
        self.active = 0

    @property
    def waiting(self) -> int:
        return len(self._waiting)

    def take(self, begin: Callable[[], bool]) -> None:
        """Call `begin` when there is a place: now, or later. It says whether it wants it still."""
        if self._most is None or self.active < self._most:
            self.active += begin()
        else:
            self._waiting.append(begin)

    def give(self) -> None:
        """A place that was taken is free again."""
        self.active -= 1
        while self._waiting and (self._most is None or self.active < self._most):
            self.active += self._waiting.popleft()()
