"""Server-sent events, read incrementally from bytes.

Follows the WHATWG event-stream grammar (https://html.spec.whatwg.org/multipage/server-sent-events.html)
for what inference servers send: `data` fields, comments, CR, LF or CRLF. Works on bytes, so that a
character or a line end cut by the network costs nothing.
"""

from __future__ import annotations

__all__ = ["EventTooLongError", "SSEParser"]

LONGEST_EVENT = 16 * 1024 * 1024
_BOM = b"\xef\xbb\xbf"


class EventTooLongError(ValueError):
    """More than 16 MiB without the end of an event: no memory is given to it."""


class SSEParser:
    """Feed bytes as they arrive, get each finished event's data: the same for any chunking."""

    def __init__(self, longest: int = LONGEST_EVENT) -> None:
        self._longest = longest
        self._tail = b""
        self._held = 0
        self._data: list[bytes] = []
        self._started = False

    @property
    def between(self) -> bool:
        """Nothing is left of what was fed: the next byte begins an event."""
        return self._started and not self._tail and not self._data

    def feed(self, chunk: bytes) -> list[bytes]:
        """Data of the events that end in `chunk`, lines of one event joined by a line feed.

        Raises EventTooLongError.
        """
        if (  # nearly always: one whole event of one line
            self.between
            and chunk.startswith(b"data: ")
            and chunk.find(b"\n") == len(chunk) - 2
            and chunk.endswith(b"\n\n")
            and b"\r" not in chunk
        ):
            return [chunk[6:-2]]
        buffer = self._tail + chunk
        if not self._started:
            if len(buffer) < len(_BOM) and _BOM.startswith(buffer):
                self._tail = buffer
                return []
            buffer = buffer.removeprefix(_BOM)
            self._started = True
        # A CR at the very end may be half of a CRLF: keep it until the next byte tells.
        held = b"\r" if buffer.endswith(b"\r") else b""
        if held:
            buffer = buffer[:-1]
        if b"\r" in buffer:
            buffer = buffer.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        *lines, rest = buffer.split(b"\n")
        self._tail = rest + held
        if len(self._tail) + self._held > self._longest:
            raise EventTooLongError
        return [event for line in lines if (event := self._line(line)) is not None]

    def end(self) -> list[bytes]:
        """Data of an event that the stream ended in without the closing blank line.

        The standard drops it; servers that omit the last line feeds after `[DONE]` exist.
        """
        tail, self._tail = self._tail.rstrip(b"\r"), b""
        events = [event] if tail and (event := self._line(tail)) is not None else []
        last = self._line(b"")
        return events if last is None else [*events, last]

    def _line(self, line: bytes) -> bytes | None:
        if not line:
            if not self._data:
                return None
            event = b"\n".join(self._data)
            self._data.clear()
            self._held = 0
            return event
        name, _, value = line.partition(b":")
        if name == b"data":
            self._data.append(value.removeprefix(b" "))
            self._held += len(value)
        return None
