"""Server-sent events on their way through: passed byte for byte, one of them with joules put in.

Whole events are passed on in the piece in which they came. Only the unfinished end of a piece is
held until its event is whole, since what it is cannot be told before, nor used by anybody.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

import msgspec

__all__ = ["Events", "Passed", "is_last_usage", "payload_of", "with_figure"]

LONGEST = 1024 * 1024
"""An event longer than this is no longer looked at, and the rest of the stream goes through raw."""
_END = re.compile(rb"\r\n\r\n|\n\n|\r\r")


class Passed(NamedTuple):
    """One whole event: its bytes with the blank line, and its data, None for a comment."""

    raw: bytes
    data: bytes | None


class Events:
    """Feed the pieces of a stream; get its whole events."""

    def __init__(self) -> None:
        self._held = b""
        self.raw = False
        """An event was too long: nothing is looked at any more."""

    def feed(self, piece: bytes) -> list[Passed]:
        """The events that end in this piece. With `raw` set, the piece itself as a comment."""
        if self.raw:
            return [Passed(piece, None)]
        if (
            not self._held
            and piece.endswith(b"\n\n")
            and piece.startswith(b"data: ")
            and piece.find(b"\n") == len(piece) - 2
            and b"\r" not in piece
        ):  # one event of one line, as nearly all of them are
            return [Passed(piece, piece[6:-2])]
        buffer = self._held + piece if self._held else piece
        if b"\r" not in buffer:
            found = buffer.split(b"\n\n")
            self._held = found.pop()
            events = [Passed(raw + b"\n\n", payload_of(raw)) for raw in found]
        else:
            events = list(self._cut(buffer))
        if len(self._held) > LONGEST:
            self.raw = True
            events.append(Passed(self.rest(), None))
        return events

    def rest(self) -> bytes:
        """What is held: the stream ended in the middle of an event."""
        held, self._held = self._held, b""
        return held

    def _cut(self, buffer: bytes) -> Iterator[Passed]:
        at = 0
        for match in _END.finditer(buffer):
            yield Passed(buffer[at : match.end()], payload_of(buffer[at : match.start()]))
            at = match.end()
        self._held = buffer[at:]


def payload_of(event: bytes) -> bytes | None:
    """Its data, lines joined by a line feed; None where it has none."""
    if event.startswith(b"data: ") and b"\n" not in event and b"\r" not in event:
        return event[6:]
    lines = [
        line[5:].removeprefix(b" ") for line in event.splitlines() if line.startswith(b"data:")
    ]
    return b"\n".join(lines) if lines else None


class _Choice(msgspec.Struct):
    finish_reason: str | None = None


class _Usage(msgspec.Struct):
    usage: dict[str, object] | None = None
    choices: list[_Choice] | None = None


_DECODER = msgspec.json.Decoder(_Usage)


def is_last_usage(data: bytes) -> bool:
    """Does this event count the tokens of the whole answer? Cumulative counts on the way do not."""
    if b'"usage"' not in data:
        return False
    try:
        found = _DECODER.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return False
    if found.usage is None:
        return False
    return not found.choices or any(choice.finish_reason for choice in found.choices)


def with_figure(raw: bytes, figure: bytes) -> bytes:
    """The event's JSON object with one more member, `perwatt`; every other byte as it was."""
    at = raw.rstrip().rfind(b"}")
    return raw[:at] + b',"perwatt":' + figure + raw[at:]
