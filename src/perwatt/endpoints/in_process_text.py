"""Tokens → text as it can be shown: whole characters only, and nothing past a stop string."""

from __future__ import annotations

from collections.abc import Callable, Sequence

__all__ = ["Detokenizer", "StopStrings", "ThinkTags"]

OPEN, CLOSE = "<think>", "</think>"

REPLACEMENT = "\ufffd"
"""What a decoder writes for bytes that are not (yet) a character."""


class Detokenizer:
    """Decodes with the tokens just before, since many tokenizers drop a space at the start."""

    def __init__(self, decode: Callable[[Sequence[int]], str]) -> None:
        self._decode = decode
        self._ids: list[int] = []
        self._from = 0
        """Tokens before this are no longer needed to decode those after."""
        self._shown = 0
        """Tokens before this have been given out."""

    def feed(self, ids: Sequence[int]) -> str:
        """Text that `ids` complete; the bytes of an unfinished character wait."""
        self._ids += ids
        text = self._decode(self._ids[self._from :])
        if text.endswith(REPLACEMENT):
            return ""
        return self._give(text)

    def end(self) -> str:
        """What still waited, replacement characters and all."""
        return self._give(self._decode(self._ids[self._from :]))

    def _give(self, text: str) -> str:
        before = self._decode(self._ids[self._from : self._shown])
        self._from, self._shown = self._shown, len(self._ids)
        return text[len(before) :]


class StopStrings:
    """Cuts a stream of text before the first stop string, holding back what might begin one."""

    def __init__(self, stops: Sequence[str]) -> None:
        self._stops = tuple(stop for stop in stops if stop)
        self._held = ""
        self.stopped = False

    def feed(self, text: str) -> str:
        """What is safe to show of `text` and of what was held. Nothing once it has stopped."""
        if self.stopped:
            return ""
        text, self._held = self._held + text, ""
        found = [at for stop in self._stops if (at := text.find(stop)) >= 0]
        if found:
            self.stopped = True
            return text[: min(found)]
        keep = max((_overlap(text, stop) for stop in self._stops), default=0)
        if keep:
            text, self._held = text[:-keep], text[-keep:]
        return text

    def end(self) -> str:
        """What was held, now that nothing follows."""
        text, self._held = self._held, ""
        return "" if self.stopped else text


class ThinkTags:
    """Tells reasoning from answer, as servers do: what stands in `<think>` at the very beginning.

    Some templates end the prompt with the opening tag: then `prompt` does, and text starts inside.
    """

    def __init__(self, prompt: str) -> None:
        self._inside: bool | None = True if prompt.rstrip().endswith(OPEN) else None
        """None: not yet known."""
        self._held = ""

    def feed(self, text: str) -> list[tuple[bool, str]]:
        """(is it reasoning, text) of what is certain; tags themselves are left out."""
        text, self._held = self._held + text, ""
        if self._inside is None:
            start = text.lstrip()
            if OPEN.startswith(start):  # nothing so far, or the tag's beginning
                self._held = text
                return []
            self._inside = start.startswith(OPEN)
            text = start.removeprefix(OPEN) if self._inside else text
        if not self._inside:
            return [(False, text)] if text else []
        thought, closed, answer = text.partition(CLOSE)
        if closed:
            self._inside = False
        elif keep := _overlap(thought, CLOSE):
            thought, self._held = thought[:-keep], thought[-keep:]
        return [part for part in ((True, thought), (False, answer)) if part[1]]

    def end(self) -> list[tuple[bool, str]]:
        """What was held, now that nothing follows."""
        text, self._held = self._held, ""
        if self._inside is None and text.lstrip() == OPEN:
            return []
        return [(bool(self._inside), text)] if text else []


def _overlap(text: str, stop: str) -> int:
    """The longest end of `text` that is a proper beginning of `stop`."""
    for size in range(min(len(text), len(stop) - 1), 0, -1):
        if text.endswith(stop[:size]):
            return size
    return 0
