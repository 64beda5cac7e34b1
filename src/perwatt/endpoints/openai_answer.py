"""The answer to one completion request: hears it, and says in the end what is wrong with it."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus

from perwatt.endpoints.failures import http_failure, server_message
from perwatt.endpoints.http_exchange import BodyReceiver, Heard, Receiver
from perwatt.endpoints.sse import EventTooLongError, SSEParser
from perwatt.endpoints.stream import StreamError, StreamReader
from perwatt.endpoints.stream_alike import Alike

__all__ = ["Answer", "answer_cached"]

PAGE_BYTES = 1024 * 1024
"""Of an answer that is no stream, so much is read."""

_CACHE_HEADERS = (
    "x-cache",  # CloudFront, Fastly, Varnish
    "x-cache-status",  # nginx
    "cf-cache-status",  # Cloudflare
    "cf-aig-cache-status",  # Cloudflare AI Gateway
    "helicone-cache",
    "x-portkey-cache-status",
)


class Answer(Receiver):
    """Bytes → events → StreamReader; or a page, where the answer is none."""

    def __init__(self, dispatched_ns: int) -> None:
        self.reader = StreamReader(dispatched_ns)
        self._parser = SSEParser()
        self._alike = Alike()
        self._page: BodyReceiver | None = None

    def head(self, status: int, headers: Mapping[str, str], t_ns: int) -> None:
        if status != 200 or headers.get("content-type", "").startswith("application/json"):
            self._page = BodyReceiver(PAGE_BYTES)
            self._page.head(status, headers, t_ns)
        elif headers.get("content-encoding", "identity") != "identity":
            msg = f"the server sent its stream as {headers['content-encoding']}, unasked"
            raise StreamError("malformed", msg)

    def body(self, data: bytes, t_ns: int) -> Heard:
        """A comment or an empty event is no sign of progress."""
        if self._page is not None:
            return self._page.body(data, t_ns)
        reader, parser, brought = self.reader, self._parser, False
        if parser.between and (text := self._alike.text_of(data)) is not None:
            reader.more(text, t_ns)
            return Heard.CHUNK
        at_start = parser.between
        try:
            events = parser.feed(data)
        except EventTooLongError:
            msg = "the server sent an event without end"
            raise StreamError("malformed", msg) from None
        for event in events:
            if reader.take(event, t_ns):
                brought = True
        if reader.done:
            return Heard.DONE
        if reader.plain and at_start and parser.between and len(events) == 1:
            self._alike.learn(data, reader.plain)
        else:  # it may have said something that the pattern's events say otherwise
            self._alike.forget()
        return Heard.CHUNK if brought else Heard.NOTHING

    def end(self, t_ns: int) -> tuple[str, str] | None:
        """`(error_kind, sentence)` of a response that has ended; None: a good answer."""
        page, reader = self._page, self.reader
        if page is not None:
            if page.status == 200:
                said = server_message(page.content)
                return "not-streamed", f"the server did not stream its answer: {said}"
            return http_failure(page.status, _reason(page.status), page.content)
        if not reader.done and (cut := self._last_event(t_ns)):
            return cut
        if not reader.complete:
            return "truncated", "the stream ended without a finish reason or [DONE]"
        if reader.finish_reason == "content_filter":
            return "content-filter", "the server's filter stopped the answer"
        if reader.finish_reason == "error":
            return "server", "the server gave `error` as the reason why it stopped"
        if reader.empty:
            return "empty", "the server answered with nothing"
        return None

    def _last_event(self, t_ns: int) -> tuple[str, str] | None:
        """An event cut by the end of the stream is a truncated stream, not a malformed event."""
        for event in self._parser.end():
            try:
                self.reader.take(event, t_ns)
            except StreamError as error:
                if error.kind in {"malformed", "bad-utf8"}:
                    if self.reader.complete:  # what was cut came after the answer
                        return None
                    return "truncated", "the stream ended in the middle of an event"
                return error.kind, str(error)
        return None


def answer_cached(headers: Mapping[str, str]) -> bool | None:
    """Does a proxy say that this came out of a cache of whole answers? None: it says nothing."""
    if "x-litellm-cache-key" in headers:  # sent with hits alone
        return True
    told = [headers[name].upper() for name in _CACHE_HEADERS if name in headers]
    return any("HIT" in value.split() for value in told) if told else None


def _reason(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return f"HTTP {status}"
