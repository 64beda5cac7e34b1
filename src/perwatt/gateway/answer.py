"""One answer on its way from the server to the caller, with joules put where they can be seen."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Literal, NamedTuple

import msgspec

from perwatt.core.clock import now_ns
from perwatt.endpoints.http_exchange import Heard as Progress
from perwatt.endpoints.http_exchange import Receiver
from perwatt.gateway.events import Events, is_last_usage, with_figure
from perwatt.gateway.failure import error_event
from perwatt.gateway.headers import answered
from perwatt.gateway.live_meter import Told
from perwatt.gateway.live_shares import LiveRequest
from perwatt.gateway.outflow import Outflow
from perwatt.gateway.recorder import Heard

__all__ = ["Answer", "HeadOnlyError", "Metering", "energy_headers"]

WHOLE_BYTES = 64 * 1024 * 1024
"""A JSON answer is held until it is whole, so that its joules fit in its headers; one longer than
this goes through as it comes, without them."""

_Way = Literal["stream", "whole", "through"]


class HeadOnlyError(Exception):
    """The answer to a HEAD has no body, whatever length its head tells of."""


class Metering(NamedTuple):
    """What is wanted of an answer besides passing it on."""

    heard: Heard
    live: LiveRequest
    tell: Callable[[int], Told]
    """The figure at that moment."""


class Answer(Receiver):
    """Hears the server and pushes to the caller."""

    def __init__(
        self,
        out: Outflow,
        request_id: str | None,
        metering: Metering | None,
        *,
        head_only: bool = False,
    ) -> None:
        """`request_id` None: refused before it had a name. `metering` None: passed on without being
        metered. `head_only`: a HEAD's answer."""
        self.status: int | None = None
        self.started = False
        """The caller has been sent the head."""
        self.finished = False
        self.last_ns: int | None = None
        self.first_ns: int | None = None
        self.way: _Way = "through"
        self.body_text = b""
        """The beginning of an answer that failed, for the record."""
        self._out = out
        self._id = request_id
        self._metering = metering
        self._head_only = head_only
        self.headers: Mapping[str, str] = {}
        self._events = Events()
        self._parts: list[bytes] = []
        self._size = 0
        self._told = False
        self._whole = b""
        """What is still to be sent."""
        self._more: list[tuple[bytes, bytes]] = []

    def head(self, status: int, headers: Mapping[str, str], t_ns: int) -> None:
        self.status, self.headers = status, headers
        self.first_ns = t_ns
        kind = headers.get("content-type", "").partition(";")[0].strip().lower()
        plain = headers.get("content-encoding", "identity") == "identity"
        if self._metering and plain and kind == "text/event-stream":
            self.way = "stream"
        elif self._metering and plain and kind == "application/json":
            self.way = "whole"
            return
        self._start(keep_length=self.way == "through")
        if self._head_only:
            raise HeadOnlyError

    def body(self, data: bytes, t_ns: int) -> Progress:
        self.last_ns = t_ns
        if self.way == "stream":
            self._stream(data, t_ns)
        elif self.way == "whole":
            self._parts.append(data)
            self._size += len(data)
            if self._size > WHOLE_BYTES:
                self.way = "through"
                self._start(keep_length=True)
                self._push(b"".join(self._parts))
                self._parts = []
        else:
            if self._metering:
                self._metering.live.chunk(t_ns)
            self._push(data)
        return Progress.CHUNK

    def complete(self, end_ns: int) -> None:
        """The server has said all, or as much as it will: read what came, work out its joules."""
        if self._metering is None:
            return
        if self.way == "whole":
            self._whole = b"".join(self._parts)
            if self.status is not None and self.status < 300:
                self._metering.heard.whole(self._whole, end_ns)
            self.body_text = self._whole[:2000]
            self._more = energy_headers(self._metering.tell(end_ns))
        elif self.way == "stream" and not self._told and not self._events.raw:
            self._whole = self._events.rest() or self._comment(end_ns)

    def energy(self) -> list[tuple[bytes, bytes]]:
        """The figure of this moment as headers; none for what is not metered."""
        return energy_headers(self._metering.tell(now_ns())) if self._metering else []

    def finish(self) -> None:
        """Send what is left of it."""
        if self.way == "whole":
            self._start(keep_length=True, more=self._more)
        self._last(self._whole)

    def break_off(self, sentence: str, code: str) -> None:
        """The server failed after the head had been sent: an error event, where it is a stream.

        Anything else is left without its end, which closes the caller's connection.
        """
        if self.way == "stream":  # half an event would swallow the one that says what happened
            self._last(error_event(sentence, "upstream_error", code))

    def say(self, status: int, body: bytes, more: list[tuple[bytes, bytes]]) -> None:
        """An answer of our own: nothing of the server's was sent."""
        headers = [
            (b"content-type", b"application/json"),
            (b"content-length", str(len(body)).encode()),
            *self._named(),
            *more,
        ]
        self.started = True
        self._out.push({"type": "http.response.start", "status": status, "headers": headers})
        self._last(body)

    def _stream(self, data: bytes, t_ns: int) -> None:
        assert self._metering is not None
        heard, live = self._metering.heard, self._metering.live
        out = []
        for raw, text in self._events.feed(data):
            passed = raw
            if text is not None:
                if heard.event(text, t_ns):
                    live.chunk(t_ns)
                if is_last_usage(text):
                    passed, self._told = with_figure(raw, self._figure(t_ns)), True
                elif len(text) < 9 and not self._told and text.strip() == b"[DONE]":
                    passed, self._told = self._comment(t_ns) + raw, True
            out.append(passed)
        if out:
            self._push(out[0] if len(out) == 1 else b"".join(out))

    def _figure(self, t_ns: int) -> bytes:
        assert self._metering is not None
        return msgspec.json.encode(self._metering.tell(t_ns))

    def _comment(self, t_ns: int) -> bytes:
        return b": perwatt " + self._figure(t_ns) + b"\n\n"

    def _start(self, *, keep_length: bool, more: list[tuple[bytes, bytes]] | None = None) -> None:
        self.started = True
        headers = answered(self.headers, keep_length=keep_length)
        headers += self._named()
        self._out.push(
            {
                "type": "http.response.start",
                "status": self.status or 502,
                "headers": headers + (more or []),
            },
            self.flow,
        )

    def _named(self) -> list[tuple[bytes, bytes]]:
        name = self._id
        return [] if name is None else [(b"x-perwatt-request-id", name.encode("latin-1"))]

    def _push(self, data: bytes) -> None:
        message = {"type": "http.response.body", "body": data, "more_body": True}
        self._out.push(message, self.flow)

    def _last(self, data: bytes) -> None:
        self.finished = True
        self._out.push({"type": "http.response.body", "body": data, "more_body": False})


def energy_headers(told: Told) -> list[tuple[bytes, bytes]]:
    """A figure as headers; what is not known has none."""
    named = (
        (b"x-perwatt-energy-j", told.energy_j),
        (b"x-perwatt-net-j", told.energy_net_j),
        (b"x-perwatt-low-j", told.low_j),
        (b"x-perwatt-high-j", told.high_j),
        (b"x-perwatt-grade", told.grade),
        (b"x-perwatt-boundary", told.boundary),
    )
    return [(name, str(value).encode("latin-1")) for name, value in named if value is not None]
