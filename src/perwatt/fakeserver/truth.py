"""What really happened to each request, on the clock that clients on this host share."""

from __future__ import annotations

from array import array
from collections import deque
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from perwatt.core.errors import FileError

if TYPE_CHECKING:
    Marks = array[int]
else:  # which only type checkers may index, in Python 3.11
    Marks = array

__all__ = ["Truth", "TruthLog", "as_lines", "read_truth"]


def _no_marks() -> Marks:
    return array("q")


class Truth(msgspec.Struct, kw_only=True):
    """One request. Marks are CLOCK_MONOTONIC ns; arrays have one entry for each chunk sent.

    A chunk is an event with content, reasoning or a piece of a tool call; those that are due
    together with it (the role before the first, finish and usage after the last) go with it.
    """

    n: int
    """Counts the requests of this worker, from 1."""
    request_id: str
    """The caller's `X-Perwatt-Request-Id` or `X-Request-Id`, else one that was made up."""
    worker: int
    path: str
    connection: int
    """Counts the worker's connections, from 1; `nth`: this request's place on it, from 1."""
    nth: int
    accepted_ns: int
    """The connection; before `first_byte_ns` by as long as it was idle."""
    first_byte_ns: int
    """When the request's first bytes were read."""
    complete_ns: int
    """When its last were, and work on it could begin."""
    begun_ns: int | None = None
    """When it got a slot."""
    due_ns: Marks = msgspec.field(default_factory=_no_marks)
    """When each chunk should have been sent."""
    before_ns: Marks = msgspec.field(default_factory=_no_marks)
    """Just before each chunk was handed to the kernel."""
    after_ns: Marks = msgspec.field(default_factory=_no_marks)
    """Just after."""
    buffered: int = 0
    """Chunks the kernel did not take at once, since the client did not read: sent later."""
    end_ns: int | None = None
    """When the last of the response was handed over, or it was given up."""
    ended: Literal["done", "cancelled", "broken"] | None = None
    """`cancelled`: by the client; `broken`: by a fault."""
    cancelled_ns: int | None = None
    """When the client's close was seen."""
    status: int = 200
    fault: str | None = None
    model: str | None = None
    stream: bool = False
    text: str = ""
    """The answer as planned; of a request that did not end well, less was sent."""
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    """Sent so far."""

    @property
    def ttft_s(self) -> float | None:
        """First chunk less first byte of the request; None where no chunk was sent."""
        return (self.before_ns[0] - self.first_byte_ns) / 1e9 if self.before_ns else None

    @property
    def late_s(self) -> list[float]:
        """By how much each chunk was sent after it was due: the server's own fault."""
        pairs = zip(self.before_ns, self.due_ns, strict=True)
        return [(before - due) / 1e9 for before, due in pairs]


class TruthLog:
    """The newest `keep` requests that have ended."""

    def __init__(self, keep: int) -> None:
        self._ended: deque[Truth] = deque(maxlen=keep)

    def add(self, truth: Truth) -> None:
        self._ended.append(truth)

    def clear(self) -> None:
        self._ended.clear()

    def __iter__(self) -> Iterator[Truth]:
        return iter(self._ended)

    def __len__(self) -> int:
        return len(self._ended)


def as_lines(truths: Iterable[Truth]) -> bytes:
    """JSON lines, in the order given."""
    return b"".join(msgspec.json.encode(truth, enc_hook=list) + b"\n" for truth in truths)


def read_truth(data: bytes | Path) -> list[Truth]:
    """Back from JSON lines. Raises FileError for a file that is none."""
    try:
        raw = data.read_bytes() if isinstance(data, Path) else data
        return [_DECODER.decode(line) for line in raw.splitlines()]
    except (OSError, msgspec.DecodeError) as error:
        msg = f"{data if isinstance(data, Path) else 'The truth'} cannot be read: {error}."
        raise FileError(msg, "Give a file that `perwatt fake-server --truth` wrote.") from None


def _marks(_: type, value: Any) -> Any:
    return array("q", value)


_DECODER = msgspec.json.Decoder(Truth, dec_hook=_marks)
