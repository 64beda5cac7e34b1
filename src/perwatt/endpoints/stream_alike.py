"""Nearly all events of an answer are the same bytes but for one string: the text they bring.

Where an event is the one before with another JSON string in that place, it says the same with
another text, and only the string has to be read.
"""

from __future__ import annotations

import json

import msgspec

__all__ = ["Alike"]

MISSES = 4
"""So many events in a row that fit no pattern, and no more patterns are made: something else
changes with each of them, such as log-probabilities."""
_KEYS = (b'"content":', b'"text":')
_string = msgspec.json.Decoder(str).decode


class Alike:
    """The pattern of the last plain event: one read, one event, one choice, its text alone."""

    def __init__(self) -> None:
        self._before = self._after = b""
        self._misses = 0

    def text_of(self, read: bytes) -> str | None:
        """The text in a read that fits the pattern; None: it has to be parsed."""
        before, after = self._before, self._after
        if not before or not read.startswith(before) or not read.endswith(after):
            return None
        try:
            text = _string(read[len(before) : len(read) - len(after)])
        except (msgspec.DecodeError, UnicodeDecodeError):
            return None  # no string alone: the event differs in more than its text
        self._misses = 0
        return text or None

    def forget(self) -> None:
        """Another event came: the next is no longer one that differs from the last in its text."""
        self._before = b""

    def learn(self, read: bytes, text: str) -> None:
        """`read` was parsed, and brought `text` and nothing else."""
        self.forget()
        self._misses += 1
        whole = read.startswith(b"data: ") and read.find(b"\n") == len(read) - 2
        if self._misses > MISSES or not whole:
            return
        for key in _KEYS:
            at = read.find(key) + len(key)
            if at < len(key) or read.find(key, at) >= 0:
                continue
            at += read[at : at + 1] == b" "
            for literal in (msgspec.json.encode(text), json.dumps(text).encode()):
                if read.startswith(literal, at):
                    self._before, self._after = read[:at], read[at + len(literal) :]
                    return
