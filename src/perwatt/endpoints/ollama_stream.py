"""Ollama's own streams: one JSON object a line, durations in nanoseconds (its api/types.go).

Covers /api/chat (`message`) and /api/generate (`response`), `thinking`, tool calls, errors in the
stream, and the figures of the last object.
"""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Literal

import msgspec

from perwatt.core.records import Reply, ServerTimes
from perwatt.endpoints.failures import classify, http_failure
from perwatt.endpoints.http_exchange import BodyReceiver, Heard, Receiver

__all__ = ["OllamaAnswer", "OllamaError"]

PAGE_BYTES = 1024 * 1024
_FIGURES = (
    "total_duration",
    "load_duration",
    "prompt_eval_count",
    "prompt_eval_cached_count",
    "prompt_eval_duration",
    "eval_count",
    "eval_duration",
)


class OllamaError(Exception):
    """The stream says that it failed, or cannot be read. Becomes a Reply."""

    def __init__(self, kind: str, message: str) -> None:
        self.kind = kind
        super().__init__(message)


class _Message(msgspec.Struct):
    content: str | None = None
    thinking: str | None = None
    tool_calls: list[Any] | None = None


class _Logprob(msgspec.Struct):
    logprob: float


class _Line(msgspec.Struct):
    model: str | None = None
    message: _Message | None = None
    response: str | None = None
    thinking: str | None = None
    tool_calls: list[Any] | None = None
    logprobs: list[_Logprob] | None = None
    done: bool = False
    done_reason: str | None = None
    error: Any = None
    total_duration: int | None = None
    load_duration: int | None = None
    prompt_eval_count: int | None = None
    prompt_eval_cached_count: int | None = None
    """Of `prompt_eval_count`, those read from its cache. Newer versions alone say."""
    prompt_eval_duration: int | None = None
    eval_count: int | None = None
    eval_duration: int | None = None


_DECODER = msgspec.json.Decoder(_Line)


class OllamaAnswer(Receiver):
    """Bytes as they arrive → a Reply."""

    def __init__(self, dispatched_ns: int) -> None:
        self.dispatched_ns = dispatched_ns
        self.model: str | None = None
        self._rest = b""
        self._page: BodyReceiver | None = None
        self._marks: list[int] = []
        self._first_answer_ns: int | None = None
        self._texts: list[str] = []
        self._thoughts: list[str] = []
        self._tools: list[Any] = []
        self._logprobs: list[float] = []
        self._last: _Line | None = None

    @property
    def complete(self) -> bool:
        return self._last is not None

    def head(self, status: int, headers: Mapping[str, str], t_ns: int) -> None:
        if status != 200:
            self._page = BodyReceiver(PAGE_BYTES)
            self._page.head(status, headers, t_ns)

    def body(self, data: bytes, t_ns: int) -> Heard:
        if self._page is not None:
            return self._page.body(data, t_ns)
        *lines, self._rest = (self._rest + data).split(b"\n")
        brought = [self._take(line, t_ns) for line in lines if line.strip()]
        if self._last is not None:
            return Heard.DONE
        return Heard.CHUNK if any(brought) else Heard.NOTHING

    def end(self, t_ns: int) -> tuple[str, str] | None:
        """`(error_kind, sentence)` of a response that has ended; None: a good answer."""
        if self._page is not None:
            status = self._page.status
            known = status in {each.value for each in HTTPStatus}
            reason = HTTPStatus(status).phrase if known else f"HTTP {status}"
            return http_failure(status, reason, self._page.content)
        if self._last is None and self._rest.strip():
            try:  # the last line may lack its line feed
                self._take(self._rest, t_ns)
            except OllamaError as error:
                cut = error.kind in {"malformed", "bad-utf8"}
                sentence = "the stream ended in the middle of an object"
                return ("truncated", sentence) if cut else (error.kind, str(error))
        if self._last is None:
            return "truncated", "the stream ended without an object that says `done`"
        if not self._marks and not self._last.eval_count:
            return "empty", "the server answered with nothing"
        return None

    def reply(self, failure: tuple[str, str] | None, t_ns: int, **known: Any) -> Reply:
        """`t_ns`: now. `known`: further fields."""
        last = self._last or _Line()
        marks, start_ns = self._marks, self.dispatched_ns
        tokens_by: Literal["server", "chunks"] | None = "chunks" if marks else None
        if last.eval_count is not None:
            tokens_by = "server"
        counted = last.eval_count if last.eval_count is not None else len(marks) or None
        given = {name: float(v) for name in _FIGURES if (v := getattr(last, name)) is not None}
        fields: dict[str, Any] = {
            "status": "ok" if failure is None else "error",
            "last_chunk_ns": marks[-1] if marks and failure is None else t_ns,
            "error_kind": failure[0] if failure else None,
            "error": failure[1] if failure else None,
        }
        return Reply(
            dispatched_ns=start_ns,
            first_chunk_ns=marks[0] if marks else None,
            first_answer_ns=self._first_answer_ns,
            chunk_offsets_ns=tuple(mark - start_ns for mark in marks),
            text="".join(self._texts),
            reasoning="".join(self._thoughts) or None,
            tool_calls=msgspec.json.encode(self._tools).decode() if self._tools else None,
            logprobs=tuple(self._logprobs),
            finish_reason=last.done_reason,
            prompt_tokens=last.prompt_eval_count,
            completion_tokens=counted,
            cached_tokens=last.prompt_eval_cached_count,
            tokens_by=tokens_by,
            served_model=self.model,
            server_timings=given,
            server=_server_times(last) if given else None,
            **fields,
            **known,
        )

    def _take(self, line: bytes, t_ns: int) -> bool:
        """Whether it brought anything of the answer."""
        try:
            told = _DECODER.decode(line)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise _unreadable(line, error) from None
        if told.error is not None:
            words = str(told.error)
            raise OllamaError(classify(None, words) or "server", words)
        self.model = told.model or self.model
        message = told.message
        text = (message.content if message else None) or told.response
        thought = (message.thinking if message else None) or told.thinking
        tools = (message.tool_calls if message else None) or told.tool_calls
        self._logprobs += [each.logprob for each in told.logprobs or ()]
        if text:
            self._texts.append(text)
        if thought:
            self._thoughts.append(thought)
        if tools:
            self._tools += tools
        brought = bool(text or thought or tools)
        if brought:
            self._marks.append(t_ns)
            if (text or tools) and self._first_answer_ns is None:
                self._first_answer_ns = t_ns
        if told.done:
            self._last = told
        return brought


def _server_times(last: _Line) -> ServerTimes:
    def seconds(duration_ns: int | None) -> float | None:
        return None if duration_ns is None else duration_ns / 1e9

    prompt = last.prompt_eval_count
    if prompt is not None:
        prompt -= last.prompt_eval_cached_count or 0
    return ServerTimes(
        load_s=seconds(last.load_duration),
        prefill_s=seconds(last.prompt_eval_duration),
        decode_s=seconds(last.eval_duration),
        total_s=seconds(last.total_duration),
        prompt_tokens=prompt,
        completion_tokens=last.eval_count,
    )


def _unreadable(line: bytes, error: Exception) -> OllamaError:
    try:
        line.decode("utf-8")
    except UnicodeDecodeError as bad:
        sentence = f"the server sent an object that is no UTF-8 at its byte {bad.start}"
        return OllamaError("bad-utf8", sentence)
    shown = line[:80].decode("utf-8", errors="replace")
    sentence = f"the server sent an object that cannot be read ({error}): {shown}"
    return OllamaError("malformed", sentence)
