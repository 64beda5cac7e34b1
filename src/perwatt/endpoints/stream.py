"""Events of a completion stream → text, token counts and the raw marks of a Reply.

Covers chat chunks (`delta`) and completion chunks (`text`); usage in the last chunk, in the finish
chunk, beside `choices: []` or null, or nowhere; reasoning under either of its two names; and
llama.cpp's `timings`.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from perwatt.core.records import Reply

__all__ = ["StreamError", "StreamReader"]


class StreamError(Exception):
    """The stream says that it failed, or cannot be read. Becomes a Reply."""

    def __init__(self, kind: str, message: str) -> None:
        self.kind = kind
        super().__init__(message)


class _Delta(msgspec.Struct):
    content: str | None = None
    reasoning_content: str | None = None
    reasoning: str | None = None


class _Choice(msgspec.Struct):
    delta: _Delta | None = None
    text: str | None = None
    finish_reason: str | None = None


class _PromptDetails(msgspec.Struct):
    cached_tokens: int | None = None


class _CompletionDetails(msgspec.Struct):
    reasoning_tokens: int | None = None


class _Usage(msgspec.Struct):
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    prompt_tokens_details: _PromptDetails | None = None
    completion_tokens_details: _CompletionDetails | None = None


class _Chunk(msgspec.Struct):
    choices: list[_Choice] | None = None
    usage: _Usage | None = None
    model: str | None = None
    timings: dict[str, Any] | None = None
    error: Any = None


_DECODER = msgspec.json.Decoder(_Chunk)


class StreamReader:
    """Takes events in order, each with the monotonic ns at which its bytes were read."""

    def __init__(self, dispatched_ns: int) -> None:
        self.dispatched_ns = dispatched_ns
        self.done = False
        """`[DONE]` was seen."""
        self.finish_reason: str | None = None
        self._text: list[str] = []
        self._reasoning: list[str] = []
        self._offsets: list[int] = []
        self._first_answer_ns: int | None = None
        self._finished_ns: int | None = None
        self._usage: _Usage | None = None
        self._model: str | None = None
        self._timings: dict[str, float] = {}

    @property
    def complete(self) -> bool:
        """The server said that this was all."""
        return self.done or self.finish_reason is not None

    def take(self, data: bytes, t_ns: int) -> bool:
        """Use one event; true if it brought content. Raises StreamError."""
        if data.strip() == b"[DONE]":
            self.done = True
            self._finished_ns = self._finished_ns or t_ns
            return False
        try:
            chunk = _DECODER.decode(data)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            shown = data[:80].decode("utf-8", errors="replace")
            msg = f"the server sent an event that cannot be read ({error}): {shown}"
            raise StreamError("malformed", msg) from None
        if chunk.error is not None:
            raise _server_error(chunk.error)
        if chunk.model:
            self._model = chunk.model
        if chunk.usage is not None:
            self._usage = chunk.usage
        if chunk.timings:
            self._timings = {
                k: float(v)
                for k, v in chunk.timings.items()
                if isinstance(v, (int, float)) and not isinstance(v, bool)
            }
        brought = False
        for choice in chunk.choices or ():
            brought |= self._choice(choice, t_ns)
        return brought

    def ok(self) -> Reply:
        """The reply of a stream that came to its end."""
        end_ns = self._finished_ns or self.dispatched_ns
        return self._reply(status="ok", last_chunk_ns=self._last_ns() or end_ns)

    def failed(self, kind: str, message: str, t_ns: int, http_status: int | None = None) -> Reply:
        """The reply of a request that failed at `t_ns`, with whatever had come by then."""
        return self._reply(
            status="error",
            last_chunk_ns=t_ns,
            error_kind=kind,
            error=message,
            http_status=http_status,
        )

    def _choice(self, choice: _Choice, t_ns: int) -> bool:
        if choice.finish_reason:
            self.finish_reason = choice.finish_reason
            self._finished_ns = t_ns
        answer = choice.text or ""
        thought = ""
        if choice.delta is not None:
            answer = choice.delta.content or answer
            thought = choice.delta.reasoning_content or choice.delta.reasoning or ""
        if thought:
            self._reasoning.append(thought)
        if answer:
            self._text.append(answer)
            if self._first_answer_ns is None:
                self._first_answer_ns = t_ns
        if answer or thought:
            self._offsets.append(t_ns - self.dispatched_ns)
        return bool(answer or thought)

    def _last_ns(self) -> int | None:
        return self.dispatched_ns + self._offsets[-1] if self._offsets else None

    def _reply(self, **known: Any) -> Reply:
        usage = self._usage
        prompt_details = usage.prompt_tokens_details if usage else None
        details = usage.completion_tokens_details if usage else None
        tokens = usage.completion_tokens if usage else None
        by_server = tokens is not None
        if not by_server and (self._offsets or self.complete):
            tokens = len(self._offsets)
        counted: Literal["chunks"] | None = None if tokens is None else "chunks"
        return Reply(
            dispatched_ns=self.dispatched_ns,
            first_chunk_ns=self.dispatched_ns + self._offsets[0] if self._offsets else None,
            first_answer_ns=self._first_answer_ns,
            chunk_offsets_ns=tuple(self._offsets),
            text="".join(self._text),
            reasoning="".join(self._reasoning) if self._reasoning else None,
            finish_reason=self.finish_reason,
            prompt_tokens=usage.prompt_tokens if usage else None,
            completion_tokens=tokens,
            reasoning_tokens=details.reasoning_tokens if details else None,
            cached_tokens=prompt_details.cached_tokens if prompt_details else None,
            tokens_by="server" if by_server else counted,
            served_model=self._model,
            server_timings=self._timings,
            **known,
        )


def _server_error(error: Any) -> StreamError:
    """An `error` object in the middle of a stream, as vLLM and llama.cpp send it."""
    code = error.get("code") if isinstance(error, dict) else None
    message = error.get("message") if isinstance(error, dict) else None
    kind = f"http-{code}" if isinstance(code, int) and 400 <= code <= 599 else "server"
    return StreamError(kind, str(message or error))
